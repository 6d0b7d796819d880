//! Reconstructs a disk as it may be after a power cut.
//!
//! What was written before the last flush is there. Of what came after it, a disk may have kept everything, or some of
//! it, in any order, or half of one write. Nothing is copied for that: the disk after a cut is the flushed one with a
//! few pieces laid over it, and disks that differ in a few blocks share all others.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::log::{Entry, Write};

/// A write is torn only between these, as far as a file system is concerned: ext4 too relies on whole sectors.
const SECTOR: usize = 512;
/// A byte of flash that was erased in order to be written.
const ERASED: u8 = 0xff;
/// Disks share blocks of this size.
const BLOCK: usize = 4096;
const EMPTY: [u8; BLOCK] = [0; BLOCK];

/// A disk while it is being written.
#[derive(Debug, Clone)]
pub struct Disk<'a> {
    kept: Arc<Blocks>,
    /// Written since the last flush.
    pending: Vec<&'a Write>,
    /// The range that must not end up with a sector that is neither old nor new.
    fragile: Range<u64>,
}

impl<'a> Disk<'a> {
    /// A disk with all of this flushed.
    pub fn new(kept: &[u8], fragile: Range<u64>) -> Disk<'a> {
        let mut blocks = Blocks::default();
        blocks.write(0, kept);
        Disk { kept: Arc::new(blocks), pending: Vec::new(), fragile }
    }

    /// Does what was recorded.
    pub fn feed(&mut self, entry: &'a Entry) {
        match entry {
            Entry::Write(write) => self.pending.push(write),
            Entry::Flush => {
                let kept = Arc::make_mut(&mut self.kept);
                for write in std::mem::take(&mut self.pending) {
                    kept.write(write.at, &write.bytes);
                }
            }
        }
    }

    /// Overwrites this part of it as if it had never been written.
    pub fn spoil(&mut self, range: Range<u64>) {
        let len = usize::try_from(range.end - range.start).expect("it fits in memory");
        Arc::make_mut(&mut self.kept).write(range.start, &vec![ERASED; len]);
    }

    /// Whether a power cut now could lose anything.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The disk if nothing is lost.
    pub fn cut(&self) -> Cut<'a> {
        let pieces = self.pending.iter().map(|write| (write.at, write.bytes.as_slice().into())).collect();
        Cut { kept: Arc::clone(&self.kept), pieces }
    }

    /// The disk if unflushed data is partly lost: each write is complete, missing or torn, at random.
    pub fn cut_with_losses(&self, dice: &mut Dice) -> Cut<'a> {
        let mut pieces = Vec::new();
        for &write in &self.pending {
            match dice.roll(3) {
                0 => pieces.push((write.at, write.bytes.as_slice().into())),
                1 => (),
                _ if write.touches(&self.fragile) => {
                    let mut torn = write.bytes.clone();
                    let cut = dice.roll(torn.len().min(SECTOR));
                    torn[cut..].fill(ERASED);
                    pieces.push((write.at, torn.into()));
                }
                _ => {
                    for (number, sector) in write.bytes.chunks(SECTOR).enumerate() {
                        if dice.roll(2) == 0 {
                            pieces.push((write.at + (number * SECTOR) as u64, sector.into()));
                        }
                    }
                }
            }
        }
        Cut { kept: Arc::clone(&self.kept), pieces }
    }
}

/// A disk after a power cut.
#[derive(Debug)]
pub struct Cut<'a> {
    kept: Arc<Blocks>,
    /// What is laid over the flushed disk, in this order.
    pieces: Vec<(u64, Cow<'a, [u8]>)>,
}

impl Cut<'_> {
    pub fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = self.kept.read(at, len);
        let range = at..at + len as u64;
        for (start, piece) in self.pieces_in(&range) {
            let from = usize::try_from(start - at).expect("it is in there");
            bytes[from..from + piece.len()].copy_from_slice(piece);
        }
        bytes
    }

    /// Whether these bytes are at this place.
    pub fn holds(&self, at: u64, image: &[u8]) -> bool {
        if self.pieces_in(&(at..at + image.len() as u64)).next().is_some() {
            return self.read(at, image.len()) == image;
        }
        spans(at, image.len()).all(|(block, part, from)| {
            let found = self.kept.0.get(&block).map_or(&EMPTY, |bytes| &**bytes);
            found[part.clone()] == image[from..from + part.len()]
        })
    }

    /// A part of it as a file, for programs that need one; their repairs change only the file.
    pub fn file(&self, at: u64, len: u64) -> Scratch {
        let scratch = Scratch::new(len);
        let range = at..at + len;
        for (&block, bytes) in self.kept.0.range(at / BLOCK as u64..range.end.div_ceil(BLOCK as u64)) {
            scratch.write(&range, block * BLOCK as u64, &bytes[..]);
        }
        for (start, piece) in self.pieces_in(&range) {
            scratch.write(&range, start, piece);
        }
        scratch
    }

    /// What is laid over this range, clipped to it.
    fn pieces_in(&self, range: &Range<u64>) -> impl Iterator<Item = (u64, &[u8])> {
        self.pieces.iter().filter_map(move |(start, piece)| clip(range, *start, piece))
    }
}

/// A private file: it has no name by which others could open it, and disappears afterwards.
#[derive(Debug)]
pub struct Scratch(File);

impl Scratch {
    fn new(len: u64) -> Scratch {
        let file = File::from(memfd_create(c"cut", MFdFlags::MFD_CLOEXEC).expect("there is memory"));
        file.set_len(len).expect("there is memory");
        Scratch(file)
    }

    /// Where child processes of this one find it, as long as this exists.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", process::id(), self.0.as_raw_fd()).into()
    }

    /// Writes those of the given bytes that are in this part of the disk.
    fn write(&self, part: &Range<u64>, start: u64, bytes: &[u8]) {
        if let Some((at, bytes)) = clip(part, start, bytes) {
            self.0.write_all_at(bytes, at - part.start).expect("there is memory");
        }
    }
}

/// The blocks of a disk that are not empty. A copy shares them until one of the two writes.
#[derive(Debug, Clone, Default)]
struct Blocks(BTreeMap<u64, Arc<[u8; BLOCK]>>);

impl Blocks {
    fn write(&mut self, at: u64, bytes: &[u8]) {
        for (block, part, from) in spans(at, bytes.len()) {
            let bytes = &bytes[from..from + part.len()];
            if bytes == &EMPTY[part.clone()] && !self.0.contains_key(&block) {
                continue;
            }
            let kept = self.0.entry(block).or_insert_with(|| Arc::new(EMPTY));
            Arc::make_mut(kept)[part].copy_from_slice(bytes);
        }
    }

    fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        for (block, part, from) in spans(at, len) {
            if let Some(kept) = self.0.get(&block) {
                bytes[from..from + part.len()].copy_from_slice(&kept[part]);
            }
        }
        bytes
    }
}

/// The blocks that this range covers: the number of each, which part of it, and the offset in the range.
fn spans(at: u64, len: usize) -> impl Iterator<Item = (u64, Range<usize>, usize)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let here = at + from as u64;
        let start = (here % BLOCK as u64) as usize;
        let part = start..BLOCK.min(start + len - from);
        let span = (here / BLOCK as u64, part.clone(), from);
        from += part.len();
        (!part.is_empty()).then_some(span)
    })
}

/// Those of the bytes that begin at `start` which are within `range`, and where they begin.
fn clip<'a>(range: &Range<u64>, start: u64, bytes: &'a [u8]) -> Option<(u64, &'a [u8])> {
    let (first, end) = (start.max(range.start), (start + bytes.len() as u64).min(range.end));
    let index = |at: u64| usize::try_from(at - start).expect("it is within a slice");
    (first < end).then(|| (first, &bytes[index(first)..index(end)]))
}

/// Random numbers that are the same in every run.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// `seed` is any number but zero.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The upper bits are more random.
        (self.0 >> 33) as usize % sides
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn write(at: u64, byte: u8, len: usize) -> Entry {
        Entry::Write(Write { at, bytes: vec![byte; len] })
    }

    #[test]
    fn the_last_write_counts_and_a_flush_keeps_it() {
        let entries = [write(0, 1, 1024), write(512, 2, 512), Entry::Flush, write(0, 3, 512)];
        let mut disk = Disk::new(&[0; 2048], 0..0);
        let mut seen = Vec::new();
        for entry in &entries {
            disk.feed(entry);
            let cut = disk.cut();
            seen.push([0, 512, 1024].map(|at| cut.read(at, 512)[511]));
        }
        assert_eq!(vec![[1, 1, 0], [1, 2, 0], [1, 2, 0], [3, 2, 0]], seen);
        assert_eq!(vec![3, 2], disk.cut().read(511, 2), "pieces apply wherever a read begins");
    }

    #[test]
    fn a_part_of_a_disk_is_found_wherever_it_begins_and_ends() {
        let len = 3 * BLOCK;
        let start: Vec<u8> =
            (0..len).map(|at| if (BLOCK..2 * BLOCK).contains(&at) { 0 } else { at as u8 | 1 }).collect();
        let entries = [write(BLOCK as u64 - 512, 9, 1024), Entry::Flush, write(2 * BLOCK as u64 - 512, 8, 1024)];
        let mut disk = Disk::new(&start, 0..0);
        let before = disk.clone();
        entries.iter().for_each(|entry| disk.feed(entry));
        let mut expected = start.clone();
        expected[BLOCK - 512..BLOCK + 512].fill(9);
        expected[2 * BLOCK - 512..2 * BLOCK + 512].fill(8);
        for (disk, expected) in [(before, start), (disk, expected)] {
            let cut = disk.cut();
            for (at, end) in [(0, len), (0, 512), (512, len - 512), (BLOCK - 1, BLOCK + 1), (BLOCK + 7, 2 * BLOCK + 9)]
            {
                let mut image = expected[at..end].to_vec();
                let (from, size) = (at as u64, end - at);
                assert_eq!(image, cut.read(from, size), "{at}..{end}");
                assert_eq!(image, std::fs::read(cut.file(from, size as u64).path()).unwrap(), "{at}..{end}");
                assert!(cut.holds(from, &image), "{at}..{end}");
                image[size / 2] ^= 1;
                assert!(!cut.holds(from, &image), "{at}..{end}");
            }
        }
    }

    #[test]
    fn every_mixture_of_unflushed_writes_may_be_left_and_nothing_else() {
        let entries = [write(0, 1, 512), Entry::Flush, write(0, 2, 512), write(512, 3, 1024)];
        let mut disk = Disk::new(&[0; 2048], 0..0);
        entries.iter().for_each(|entry| disk.feed(entry));
        let mut dice = Dice::new(1);
        let seen: BTreeSet<_> = (0..500)
            .map(|_| {
                let cut = disk.cut_with_losses(&mut dice);
                [0, 512, 1024, 1536].map(|at| {
                    let sector = cut.read(at, 512);
                    assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is old or new");
                    sector[0]
                })
            })
            .collect();
        let all: BTreeSet<_> = [1, 2]
            .into_iter()
            .flat_map(|first| [(0, 0), (0, 3), (3, 0), (3, 3)].map(|(second, third)| [first, second, third, 0]))
            .collect();
        assert_eq!(all, seen);
    }

    #[test]
    fn what_is_fragile_may_be_neither_old_nor_new() {
        let entry = write(512, 2, 1024);
        let mut disk = Disk::new(&[1; 2048], 512..2048);
        disk.feed(&entry);
        let mut dice = Dice::new(1);
        let torn = (0..100).filter(|_| disk.cut_with_losses(&mut dice).read(512, 1024).contains(&ERASED)).count();
        assert!((10..60).contains(&torn), "{torn} of 100");
    }
}
