//! Reads what QEMU's `blklogwrites` recorded: every write to a disk, and every flush.
//!
//! The format is that of Linux's dm-log-writes. A sector with the number of entries; then, for each, a sector with the
//! place and length of the write, and the bytes. QEMU adds an entry when the write is complete, so the order is the one
//! in which the writes reached the disk.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// QEMU's default.
const SECTOR: u64 = 512;
const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
/// The entry of a flush: everything before it is on the disk.
const FLUSH: u64 = 1;

/// A write to a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub at: u64,
    pub bytes: Vec<u8>,
}

impl Write {
    pub fn range(&self) -> Range<u64> {
        self.at..self.at + self.bytes.len() as u64
    }

    /// Whether it touches any of these bytes.
    pub fn touches(&self, range: &Range<u64>) -> bool {
        self.at < range.end && range.start < self.range().end
    }
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Write(Write),
    Flush,
}

/// How many entries a log had at the last flush; works while it grows.
#[track_caller]
pub fn count(path: &Path) -> usize {
    let mut head = [0; SECTOR as usize];
    File::open(path).and_then(|file| file.read_exact_at(&mut head, 0)).expect("QEMU has begun a log");
    assert_eq!((MAGIC, VERSION), (number(&head, 0), number(&head, 8)), "{} is no log", path.display());
    assert_eq!(SECTOR, number(&head, 24) & 0xffff_ffff);
    usize::try_from(number(&head, 16)).expect("it fits in memory")
}

/// The first `count` entries.
#[track_caller]
pub fn read(path: &Path, count: usize) -> Vec<Entry> {
    parse(&std::fs::read(path).expect("QEMU has left a log"), count)
}

#[track_caller]
fn parse(log: &[u8], count: usize) -> Vec<Entry> {
    let mut rest = &log[SECTOR as usize..];
    let mut entries = Vec::new();
    for _ in 0..count {
        let (head, behind) = rest.split_at(SECTOR as usize);
        let [sector, sectors, flags] = [0, 8, 16].map(|at| number(head, at));
        assert_eq!(0, flags & !FLUSH, "an entry that is neither a write nor a flush");
        assert!(flags == FLUSH || sectors != 0, "entry {} of {count} was never written", entries.len());
        let (bytes, behind) = behind.split_at(usize::try_from(sectors * SECTOR).expect("it fits in memory"));
        rest = behind;
        entries.push(match flags {
            FLUSH => Entry::Flush,
            _ => Entry::Write(Write { at: sector * SECTOR, bytes: bytes.to_vec() }),
        });
    }
    entries
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[test]
fn recorded_writes_and_flushes_are_read_in_their_order() {
    let sector = |numbers: &[u64]| {
        let mut sector: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        sector.resize(SECTOR as usize, 0);
        sector
    };
    let log = [sector(&[MAGIC, VERSION, 2, SECTOR]), sector(&[3, 2, 0, 0]), vec![7; 1024], sector(&[0, 0, FLUSH, 0])]
        .concat();
    let write = Write { at: 3 * SECTOR, bytes: vec![7; 1024] };
    assert!(write.touches(&(2000..2001)) && !write.touches(&(2560..3000)) && !write.touches(&(0..1536)));
    assert_eq!(vec![Entry::Write(write), Entry::Flush], parse(&log, 2));
}

#[test]
#[should_panic(expected = "entry 1 of 2 was never written")]
fn log_with_a_hole_is_no_log() {
    let mut log = vec![0; 4 * SECTOR as usize];
    // A flush, and then nothing.
    log[SECTOR as usize + 16] = FLUSH as u8;
    parse(&log, 2);
}
