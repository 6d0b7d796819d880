//! Gives `/data` the rest of the card, at the first boot from it.
//!
//! An image is written to cards of any size. Three steps, each of which leaves a card that works, and each of which is only
//! taken when it is due: so a power cut between any two is made good by the next boot, and later boots write nothing.
//!
//! 1. The partition table gets a longer last entry: one sector, written past the cache, which a card writes whole or not at
//!    all. The kernel of the next boot would believe it without the second step.
//! 2. The kernel is told, though its partition is mounted.
//! 3. The file system is grown by `resize2fs`, mounted as it is: its journal sees to cuts.

mod mbr;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;

use mbr::{Growth, MbrError, SECTOR};

/// A difference that is not worth the call: less than the table's alignment.
const SLACK: u64 = 4 * 1024 * 1024;

/// What became of it.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// There was nothing left to give.
    Full,
    /// The file system has this many bytes now.
    Grown(u64),
}

/// Why `/data` is no larger than before.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// The card's table is left alone.
    #[error("{} is left as it is", disk.display())]
    Table {
        /// The card.
        disk: PathBuf,
        /// Why.
        source: MbrError,
    },
    /// The data partition holds something else.
    #[error("there is no ext4 file system on {}", .0.display())]
    NotExt4(PathBuf),
    /// A step failed; the next boot tries again.
    #[error("{}: {op} failed", file.display())]
    Io {
        /// The device.
        file: PathBuf,
        /// The step.
        op: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The file system could not be grown.
    #[error("resize2fs failed on {}: {said}", data.display())]
    Resize {
        /// The partition.
        data: PathBuf,
        /// What it says.
        said: String,
    },
}

/// Grows the partition `data` of `disk`, and its file system, as far as the disk reaches.
pub fn grow(disk: &Path, data: &Path) -> Result<Outcome, GrowError> {
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
    grow_file_system(data)
}

fn read_table(disk: &Path) -> Result<Option<Growth>, GrowError> {
    let op = |op| move |source| GrowError::Io { file: disk.into(), op, source };
    let mut file = File::open(disk).map_err(op("open"))?;
    let mut sector = [0; SECTOR];
    file.read_exact_at(&mut sector, 0).map_err(op("reading the partition table"))?;
    let bytes = file.seek(SeekFrom::End(0)).map_err(op("asking for its size"))?;
    mbr::grow(&sector, bytes / SECTOR as u64).map_err(|source| GrowError::Table { disk: disk.into(), source })
}

fn grow_file_system(data: &Path) -> Result<Outcome, GrowError> {
    // By its own name, under which it is mounted.
    let data =
        fs::canonicalize(data).map_err(|source| GrowError::Io { file: data.into(), op: "finding it", source })?;
    if !has_room(&data)? {
        return Ok(Outcome::Full);
    }
    let output = Command::new("resize2fs").arg(&data).output();
    let output = output.map_err(|source| GrowError::Io { file: data.clone(), op: "starting resize2fs", source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        return Err(GrowError::Resize { data, said });
    }
    Ok(Outcome::Grown(sizes(&data)?.0))
}

fn has_room(data: &Path) -> Result<bool, GrowError> {
    let (used, there) = sizes(data)?;
    Ok(used + SLACK <= there)
}

/// How large a file system says it is, and how large its partition is, in bytes.
fn sizes(data: &Path) -> Result<(u64, u64), GrowError> {
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
    // The upper half counts only with the 64bit feature; a card never has so many blocks.
    Ok((u64::from(s_blocks_count_lo) << (10 + s_log_block_size), there))
}

/// Direct I/O wants its memory on such a border.
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
    // SAFETY: both structures are laid out as in linux/blkpg.h and live until the call returns; the kernel only reads them.
    unsafe { raw::blkpg(disk.as_raw_fd(), &raw const argument) }?;
    Ok(())
}
