//! Gives `/data` the rest of the card, at the first boot from it.
//!
//! An image is written to cards of any size. Three steps, each of which leaves a card that works, and each of which is
//! only taken when it is due: so the next boot repairs what a power cut between two steps left, and later boots write
//! nothing.
//!
//! 1. The partition table gets a longer last entry: one sector, written past the cache, which a card writes whole or
//!    not at all. The kernel of the next boot would believe it without the second step.
//! 2. The kernel is given the new length, although its partition is mounted.
//! 3. The file system is grown by the kernel, mounted as it is: its journal protects against power cuts. `resize2fs`
//!    would ask for the same, but opens the partition for writing, which our kernel refuses while it is mounted.

mod mbr;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc;

use mbr::{Growth, MbrError, SECTOR};

/// A difference that is not worth the call: less than the table's alignment.
const SLACK: u64 = 4 * 1024 * 1024;

/// The result of growing.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The file system has the whole card already.
    Full,
    /// The file system has this many bytes now.
    Grown(u64),
}

/// Why `/data` is no larger than before.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum GrowError {
    /// The card's table is not changed.
    #[error("{} is left as it is", disk.display())]
    Table { disk: PathBuf, source: MbrError },
    /// The data partition holds something else.
    #[error("there is no ext4 file system on {}", .0.display())]
    NotExt4(PathBuf),
    /// Growing what is mounted there would grow the wrong file system.
    #[error("{} is not mounted from {}", mounted.display(), data.display())]
    Elsewhere { mounted: PathBuf, data: PathBuf },
    /// A step failed; the next boot tries again.
    #[error("{}: {op} failed", file.display())]
    Io { file: PathBuf, op: &'static str, source: io::Error },
}

/// Grows the partition `data` of `disk`, and the file system that is mounted from it at `mounted`, as far as the disk
/// reaches.
pub fn grow(disk: &Path, data: &Path, mounted: &Path) -> Result<Outcome, GrowError> {
    if let Some(growth) = read_table(disk)? {
        let op = |op| move |source| GrowError::Io { file: disk.into(), op, source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_DIRECT | libc::O_SYNC)
            .open(disk)
            .map_err(op("open"))?;
        file.write_all_at(&Aligned(growth.sector).0, 0).map_err(op("writing the partition table"))?;
        tell_kernel(&file, &growth).map_err(op("BLKPG_RESIZE_PARTITION"))?;
    }
    grow_file_system(data, mounted)
}

fn read_table(disk: &Path) -> Result<Option<Growth>, GrowError> {
    let op = |op| move |source| GrowError::Io { file: disk.into(), op, source };
    let mut file = File::open(disk).map_err(op("open"))?;
    let mut sector = [0; SECTOR];
    file.read_exact_at(&mut sector, 0).map_err(op("reading the partition table"))?;
    let bytes = file.seek(SeekFrom::End(0)).map_err(op("asking for its size"))?;
    mbr::grow(&sector, bytes / SECTOR as u64).map_err(|source| GrowError::Table { disk: disk.into(), source })
}

fn grow_file_system(data: &Path, mounted: &Path) -> Result<Outcome, GrowError> {
    let before = Sizes::read(data)?;
    if before.there < before.used + SLACK {
        return Ok(Outcome::Full);
    }
    let op = |op| move |source| GrowError::Io { file: mounted.into(), op, source };
    let root = File::open(mounted).map_err(op("open"))?;
    let mounted_from = root.metadata().map_err(op("stat"))?.dev();
    let device = fs::metadata(data).map_err(|source| GrowError::Io { file: data.into(), op: "stat", source })?.rdev();
    if mounted_from != device {
        return Err(GrowError::Elsewhere { mounted: mounted.into(), data: data.into() });
    }
    let blocks = before.there / before.block;
    // SAFETY: the kernel reads the number behind the pointer during the call only.
    unsafe { raw::resize_fs(root.as_raw_fd(), &raw const blocks) }
        .map_err(|errno| op("EXT4_IOC_RESIZE_FS")(errno.into()))?;
    Ok(Outcome::Grown(Sizes::read(data)?.used))
}

/// The sizes of the file system and its partition, in bytes.
struct Sizes {
    /// What the file system says it uses.
    used: u64,
    there: u64,
    /// The block size of the file system.
    block: u64,
}

impl Sizes {
    fn read(data: &Path) -> Result<Sizes, GrowError> {
        let op = |op| move |source| GrowError::Io { file: data.into(), op, source };
        let mut file = File::open(data).map_err(op("open"))?;
        let mut superblock = [0; 1024];
        file.read_exact_at(&mut superblock, 1024).map_err(op("reading the superblock"))?;
        let there = file.seek(SeekFrom::End(0)).map_err(op("asking for its size"))?;
        // Names and places as in the kernel's Documentation/filesystems/ext4/super.rst.
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| superblock[at + index]));
        let (s_blocks_count_lo, s_log_block_size, s_magic) = (word(0x4), word(0x18), word(0x38) & 0xffff);
        if s_magic != 0xef53 || 6 < s_log_block_size {
            return Err(GrowError::NotExt4(data.into()));
        }
        let block = 1024 << s_log_block_size;
        // The upper half of the count is for more blocks than a partition table of this kind can hold.
        Ok(Sizes { used: u64::from(s_blocks_count_lo) * block, there, block })
    }
}

/// Direct I/O needs memory with this alignment.
#[repr(C, align(4096))]
struct Aligned([u8; SECTOR]);

/// `struct blkpg_ioctl_arg` of linux/blkpg.h.
#[repr(C)]
struct BlkpgArgument {
    op: libc::c_int,
    flags: libc::c_int,
    datalen: libc::c_int,
    data: *const BlkpgPartition,
}

/// `struct blkpg_partition` of linux/blkpg.h, in bytes.
#[repr(C)]
struct BlkpgPartition {
    start: libc::c_longlong,
    length: libc::c_longlong,
    pno: libc::c_int,
    devname: [u8; 64],
    volname: [u8; 64],
}

const BLKPG_RESIZE_PARTITION: libc::c_int = 3;

mod raw {
    nix::ioctl_write_ptr_bad!(blkpg, nix::request_code_none!(0x12, 105), super::BlkpgArgument);
    // From fs/ext4/ext4.h: EXT4_IOC_RESIZE_FS.
    nix::ioctl_write_ptr!(resize_fs, b'f', 16, u64);
}

fn tell_kernel(disk: &File, growth: &Growth) -> io::Result<()> {
    let bytes = |sectors: u64| i64::try_from(sectors * SECTOR as u64).map_err(io::Error::other);
    let partition = BlkpgPartition {
        start: bytes(growth.data.start)?,
        length: bytes(growth.data.end - growth.data.start)?,
        pno: libc::c_int::try_from(mbr::DATA).map_err(io::Error::other)?,
        devname: [0; 64],
        volname: [0; 64],
    };
    let argument = BlkpgArgument {
        op: BLKPG_RESIZE_PARTITION,
        flags: 0,
        datalen: libc::c_int::try_from(size_of::<BlkpgPartition>()).map_err(io::Error::other)?,
        data: &raw const partition,
    };
    // SAFETY: both structures are laid out as in linux/blkpg.h and live until the call returns; the kernel only reads
    // them.
    unsafe { raw::blkpg(disk.as_raw_fd(), &raw const argument) }?;
    Ok(())
}
