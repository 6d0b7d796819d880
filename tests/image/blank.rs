//! Makes cards as they are before the first boot: partitioned like the image, with files on the FAT partition.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const MIB: u64 = 1 << 20;
/// Where the partitions are, in MiB: firmware and data. The slots are not needed here.
const FIRMWARE: (u64, u64) = (4, 48);
const SLOTS: (u64, u64) = (52, 4);
const DATA: (u64, u64) = (56, 64);

/// A card in a file.
pub struct Blank {
    pub path: PathBuf,
}

impl Blank {
    /// A card of so many MiB.
    #[track_caller]
    pub fn new(name: &str, size: u64) -> Blank {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/run").join(name);
        fs::create_dir_all(&folder).unwrap();
        let (path, part) = (folder.join("card.img"), folder.join("part.img"));
        let card = File::create(&path).unwrap();
        card.set_len(size * MIB).unwrap();
        let mut table = [0; 512];
        table[440..444].copy_from_slice(&0xfa7a_4d01_u32.to_le_bytes());
        table[510..].copy_from_slice(&[0x55, 0xaa]);
        for (index, (kind, (start, length))) in [(0x0c, FIRMWARE), (0x05, SLOTS), (0x83, DATA)].into_iter().enumerate()
        {
            let entry = &mut table[446 + 16 * index..][..16];
            entry[4] = kind;
            entry[8..12].copy_from_slice(&sectors(start));
            entry[12..].copy_from_slice(&sectors(length));
        }
        card.write_all_at(&table, 0).unwrap();
        let make = |command: &mut Command, file: &Path, start: u64| {
            assert!(command.stdout(Stdio::null()).status().unwrap().success(), "{command:?}");
            card.write_all_at(&fs::read(file).unwrap(), start * MIB).unwrap();
            fs::remove_file(file).unwrap();
        };
        let firmware = concat!(env!("CARGO_MANIFEST_DIR"), "/board/common/firmware.sh");
        let mut firmware = Command::new(firmware);
        firmware.arg(&folder).arg("virt").env("SOURCE_DATE_EPOCH", "1700000000");
        make(&mut firmware, &folder.join("firmware.vfat"), FIRMWARE.0);
        File::create(&part).unwrap().set_len(DATA.1 * MIB).unwrap();
        // As board/common/post-image.sh does it.
        let mut data = Command::new("mke2fs");
        data.args(["-q", "-t", "ext4", "-b", "4096", "-i", "65536", "-E", "resize=268435456"]).arg(&part);
        make(&mut data, &part, DATA.0);
        Blank { path }
    }

    /// The card that was built, with its root.
    #[track_caller]
    pub fn of_image(name: &str) -> Blank {
        let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("out");
        let path = out.join("run").join(name).join("card.img");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(out.join("virt/card.img"), &path).expect("there is an image: run 'make image-quick'");
        // Larger than its image, as every card is.
        File::options().write(true).open(&path).unwrap().set_len(512 * MIB).unwrap();
        Blank { path }
    }

    /// QEMU's arguments for the card, which is the guest's fourth disk.
    pub fn arguments(&self) -> Vec<String> {
        // A guest whose clock jumps would count the time that the host's disk needs as its own.
        let drive = format!("if=none,id=card,format=raw,cache=unsafe,file={}", self.path.display());
        ["-drive", &drive, "-device", "virtio-blk-pci,drive=card"].map(String::from).into()
    }

    /// Puts a file on the FAT partition, as a laptop would.
    #[track_caller]
    pub fn put(&self, name: &str, text: &str) {
        let mut copy = Command::new("mcopy")
            .args(["-o", "-i", &self.firmware(), "-", &format!("::{name}")])
            .stdin(Stdio::piped())
            .spawn()
            .expect("make test-image installs mtools");
        copy.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(copy.wait().unwrap().success(), "{name}");
    }

    /// A file on the FAT partition, as a laptop would read it.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let output = Command::new("mtype").args(["-i", &self.firmware(), &format!("::{name}")]).output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The FAT partition, byte by byte.
    pub fn fat(&self) -> Vec<u8> {
        let mut fat = vec![0; usize::try_from(FIRMWARE.1 * MIB).unwrap()];
        File::open(&self.path).unwrap().read_exact_at(&mut fat, FIRMWARE.0 * MIB).unwrap();
        fat
    }

    /// The partition table.
    pub fn table(&self) -> [u8; 512] {
        let mut table = [0; 512];
        File::open(&self.path).unwrap().read_exact_at(&mut table, 0).unwrap();
        table
    }

    fn firmware(&self) -> String {
        format!("{}@@{}M", self.path.display(), FIRMWARE.0)
    }
}

fn sectors(mib: u64) -> [u8; 4] {
    u32::try_from(mib * MIB / 512).unwrap().to_le_bytes()
}
