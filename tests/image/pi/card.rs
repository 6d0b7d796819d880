//! Copies the card that an owner would write to a file, which can be read and damaged from outside.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::environment::{self, COPIES, SIZE, Variables};
use crate::release::Release;

const SECTOR: u64 = 512;
/// How many bytes are compared at once.
const CHUNK: usize = 1 << 16;
/// The partition with U-Boot, the device tree and an owner's first configuration.
const FIRMWARE: u32 = 1;
/// The partition with the appliance's own data.
const DATA: u32 = 3;

/// One of the two systems on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub name: &'static str,
    boot: u32,
    root: u32,
}

pub const A: Slot = Slot { name: "A", boot: 5, root: 6 };
pub const B: Slot = Slot { name: "B", boot: 7, root: 8 };

/// One of a slot's partitions: the kernel with its arguments, or the root.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    Boot(Slot),
    Root(Slot),
}

#[derive(Debug)]
pub struct Card {
    /// The folder with the copy and its logs, which can be read after a failure.
    pub folder: PathBuf,
}

impl Card {
    /// The card of the image that was built last for this board, for reading only.
    pub fn built(board: &str) -> Card {
        Card { folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("out").join(board) }
    }

    /// Copies the card of the Pi's image that was built last.
    #[track_caller]
    pub fn copy(name: &str) -> Card {
        Card::copy_of(name, &Card::built("rpi4").path())
    }

    /// Copies the image of any card, for a Pi.
    #[track_caller]
    pub fn copy_of(name: &str, image: &Path) -> Card {
        let card = Card::exact_copy_of(name, image);
        // QEMU accepts only cards of certain sizes, and an owner's is larger than our image too.
        let file = card.open();
        let size = file.metadata().expect("the card is there").len();
        file.set_len(size.next_power_of_two()).expect("out/ has room");
        card
    }

    /// Copies the image of any card, as it is.
    #[track_caller]
    pub fn exact_copy_of(name: &str, image: &Path) -> Card {
        let card = Card { folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("out/run").join(name) };
        fs::create_dir_all(&card.folder).expect("out/ can be written");
        // cp keeps the file's holes, which are most of it.
        run(Command::new("cp").arg("--sparse=always").arg(image).arg(card.path()));
        card
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join("card.img")
    }

    /// Copies a file from the firmware's partition into the folder.
    #[track_caller]
    pub fn take(&self, name: &str) -> PathBuf {
        let file = self.folder.join(name);
        run(Command::new("mcopy").args(["-n", "-o", "-i", &self.firmware(), &format!("::/{name}")]).arg(&file));
        file
    }

    /// Puts a file into the appliance's own data.
    #[track_caller]
    pub fn give(&self, file: &Path, name: &str) {
        let data = format!("{}?offset={}", self.path().display(), self.partition(DATA));
        let write = format!("write {} {name}", file.display());
        run(Command::new("debugfs").args(["-w", "-R", &write, &data]));
        let mut check = Command::new("debugfs");
        let output = check.args(["-R", &format!("stat {name}"), &data]).output().expect("debugfs is installed");
        // debugfs exits with 0 even if it failed.
        assert!(String::from_utf8_lossy(&output.stdout).contains("Type: regular"), "{write}: {output:?}");
    }

    /// What U-Boot will read; `None` if it will use its own defaults.
    #[track_caller]
    pub fn environment(&self) -> Option<Variables> {
        self.copies().map(|(_, variables)| variables)
    }

    /// Stores variables for U-Boot in addition to the existing ones.
    #[track_caller]
    pub fn set_environment(&self, changes: &[(&str, &str)]) {
        let (serial, mut variables) = self.copies().unwrap_or_default();
        variables.extend(changes.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        for (number, at) in COPIES.into_iter().enumerate() {
            let serial = serial.wrapping_add(number as u8 + 1);
            self.open().write_all_at(&environment::write(serial, &variables), at).expect("the card can be written");
        }
    }

    /// Makes both copies unreadable, as on a card that loses bits.
    #[track_caller]
    pub fn spoil_environment(&self) {
        for at in COPIES {
            self.change(at + 100, |bits| bits ^ 1);
        }
    }

    /// Puts a release into a slot, as if it had been installed.
    #[track_caller]
    pub fn fill(&self, slot: Slot, release: &Release) {
        for (part, image) in [(Part::Boot(slot), release.boot()), (Part::Root(slot), release.root())] {
            let image = fs::read(image).expect("a release is two files");
            self.open().write_all_at(&image, self.start(part)).expect("the card can be written");
        }
    }

    /// Flips one bit at this offset of a partition.
    #[track_caller]
    pub fn flip(&self, part: Part, at: u64) {
        self.change(self.start(part) + at, |bits| bits ^ 1);
    }

    /// The 64-bit number at this offset of a partition.
    #[track_caller]
    pub fn number(&self, part: Part, at: u64) -> u64 {
        let mut number = [0; 8];
        self.open().read_exact_at(&mut number, self.start(part) + at).expect("the card has such a place");
        u64::from_le_bytes(number)
    }

    /// Whether a partition begins with these bytes.
    #[track_caller]
    pub fn holds(&self, part: Part, image: &[u8]) -> bool {
        let mut found = vec![0; image.len()];
        self.open().read_exact_at(&mut found, self.start(part)).expect("the card has such a place");
        found == image
    }

    /// Whether both partitions of a slot are, to the last byte, what they are on another card.
    #[track_caller]
    pub fn has_same(&self, slot: Slot, other: &Card) -> bool {
        let (ours, theirs) = (self.open(), other.open());
        [slot.boot, slot.root].into_iter().all(|number| {
            let (start, len) = self.extent(number);
            assert_eq!((start, len), other.extent(number), "these cards are divided in different ways");
            let (mut our, mut their) = ([0; CHUNK], [0; CHUNK]);
            (start..start + len).step_by(CHUNK).all(|at| {
                let size = usize::try_from(start + len - at).map_or(CHUNK, |left| left.min(CHUNK));
                ours.read_exact_at(&mut our[..size], at).expect("the card has such a place");
                theirs.read_exact_at(&mut their[..size], at).expect("the card has such a place");
                our[..size] == their[..size]
            })
        })
    }

    fn change(&self, at: u64, change: impl Fn(u8) -> u8) {
        let (file, mut byte) = (self.open(), [0]);
        file.read_exact_at(&mut byte, at).expect("the card has such a place");
        file.write_all_at(&[change(byte[0])], at).expect("the card can be written");
    }

    fn start(&self, part: Part) -> u64 {
        self.partition(match part {
            Part::Boot(slot) => slot.boot,
            Part::Root(slot) => slot.root,
        })
    }

    fn copies(&self) -> Option<(u8, Variables)> {
        let copies = COPIES.map(|at| {
            let mut copy = vec![0; SIZE];
            self.open().read_exact_at(&mut copy, at).expect("the card has its environment");
            copy
        });
        environment::read([&copies[0], &copies[1]])
    }

    /// Where a partition begins, in bytes.
    fn partition(&self, number: u32) -> u64 {
        self.extent(number).0
    }

    /// Where a partition begins and how long it is, in bytes, from the table itself, as in the kernel.
    fn extent(&self, number: u32) -> (u64, u64) {
        /// Type, first sector and number of sectors of an entry of the table in this sector.
        fn entry(file: &File, table: u64, index: u64) -> (u8, u64, u64) {
            let mut entry = [0; 16];
            file.read_exact_at(&mut entry, table * SECTOR + 446 + 16 * index).expect("the card has a table");
            let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| entry[at + index])).into();
            (entry[4], number(8), number(12))
        }
        let file = self.open();
        if number <= 4 {
            let (_, first, sectors) = entry(&file, 0, u64::from(number) - 1);
            return (first * SECTOR, sectors * SECTOR);
        }
        let mut primary = (0..4).map(|index| entry(&file, 0, index));
        let (_, extended, _) = primary.find(|entry| matches!(entry.0, 0x05 | 0x0f)).expect("there are more than four");
        // Each further one has a table of its own, whose link to the next is relative to the first.
        let table = (5..number).fold(extended, |table, _| extended + entry(&file, table, 1).1);
        let (_, first, sectors) = entry(&file, table, 0);
        ((table + first) * SECTOR, sectors * SECTOR)
    }

    /// The image and the offset of its file system, as mtools want them.
    fn firmware(&self) -> String {
        format!("{}@@{}", self.path().display(), self.partition(FIRMWARE))
    }

    fn open(&self) -> File {
        File::options()
            .read(true)
            .write(true)
            .open(self.path())
            .expect("there is an image: run 'make image-quick BOARD=rpi4 VARIANT=development'")
    }
}

/// Runs a program of this machine that must succeed.
#[track_caller]
pub fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
