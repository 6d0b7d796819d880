//! Makes a disc again as it may be after a power cut.
//!
//! What was written before the last flush is there. Of what came after it, a disc may have kept everything, or some of it, in
//! any order, or half of one write. Nothing is copied for that: a cut disc is the flushed one with a few pieces laid over it.

use std::borrow::Cow;
use std::ops::Range;

use super::log::{Entry, Write};

/// A disc tears a write only between these, as far as a file system is concerned: ext4, too, relies on whole sectors.
const SECTOR: usize = 512;
/// Flash that was emptied in order to be written.
const ERASED: u8 = 0xff;

/// A disc while it is being written.
#[derive(Debug, Clone)]
pub struct Disc<'a> {
    kept: Vec<u8>,
    /// Written since the last flush.
    pending: Vec<&'a Write>,
    /// From here to there lies what must be safe from a sector that is neither old nor new.
    fragile: Range<u64>,
}

impl<'a> Disc<'a> {
    /// A disc with all of this safely on it.
    pub fn new(kept: Vec<u8>, fragile: Range<u64>) -> Disc<'a> {
        Disc { kept, pending: Vec::new(), fragile }
    }

    /// Does what was recorded.
    pub fn feed(&mut self, entry: &'a Entry) {
        match entry {
            Entry::Write(write) => self.pending.push(write),
            Entry::Flush => {
                for write in std::mem::take(&mut self.pending) {
                    let at = index(write.at);
                    self.kept[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
                }
            }
        }
    }

    /// Makes this part of it what it would be if it had never been written.
    pub fn spoil(&mut self, range: Range<u64>) {
        self.kept[index(range.start)..index(range.end)].fill(ERASED);
    }

    /// Whether a power cut now could lose anything.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The disc if nothing is lost.
    pub fn cut(&self) -> Cut<'_> {
        Cut {
            kept: &self.kept,
            pieces: self.pending.iter().map(|write| (write.at, write.bytes.as_slice().into())).collect(),
        }
    }

    /// The disc if what was not flushed is partly lost: each write whole, not at all, or torn, as the dice fall.
    pub fn cut_with_losses(&self, dice: &mut Dice) -> Cut<'_> {
        let mut pieces = Vec::new();
        for write in &self.pending {
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
        Cut { kept: &self.kept, pieces }
    }
}

/// A disc after a power cut.
#[derive(Debug)]
pub struct Cut<'a> {
    kept: &'a [u8],
    /// What is laid over it, in this order.
    pieces: Vec<(u64, Cow<'a, [u8]>)>,
}

impl Cut<'_> {
    pub fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let from = index(at);
        let mut bytes = self.kept[from..from + len].to_vec();
        for (start, piece) in &self.pieces {
            let start = index(*start);
            let (first, last) = (start.max(from), (start + piece.len()).min(from + len));
            if first < last {
                bytes[first - from..last - from].copy_from_slice(&piece[first - start..last - start]);
            }
        }
        bytes
    }
}

/// Chance that is the same in every run.
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
        // The upper bits are the better ones.
        (self.0 >> 33) as usize % sides
    }
}

fn index(at: u64) -> usize {
    usize::try_from(at).expect("a card fits the memory")
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
        let mut disc = Disc::new(vec![0; 2048], 0..0);
        let mut seen = Vec::new();
        for entry in &entries {
            disc.feed(entry);
            let cut = disc.cut();
            seen.push([0, 512, 1024].map(|at| cut.read(at, 512)[511]));
        }
        assert_eq!(vec![[1, 1, 0], [1, 2, 0], [1, 2, 0], [3, 2, 0]], seen);
        assert_eq!(vec![3, 2], disc.cut().read(511, 2), "pieces are laid over what is read, wherever that begins");
    }

    #[test]
    fn every_mixture_of_unflushed_writes_may_be_left_and_nothing_else() {
        let entries = [write(0, 1, 512), Entry::Flush, write(0, 2, 512), write(512, 3, 1024)];
        let mut disc = Disc::new(vec![0; 2048], 0..0);
        entries.iter().for_each(|entry| disc.feed(entry));
        let mut dice = Dice::new(1);
        let seen: BTreeSet<_> = (0..500)
            .map(|_| {
                let cut = disc.cut_with_losses(&mut dice);
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
        let mut disc = Disc::new(vec![1; 2048], 512..2048);
        disc.feed(&entry);
        let mut dice = Dice::new(1);
        let torn = (0..100).filter(|_| disc.cut_with_losses(&mut dice).read(512, 1024).contains(&ERASED)).count();
        assert!((10..60).contains(&torn), "{torn} of 100");
    }
}
