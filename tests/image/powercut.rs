//! Cuts the power at every moment of an update and of a change of the configuration.
//!
//! QEMU records what the appliance writes to its card, and when it tells the card to keep it. From that, the card is made
//! again as it would be if the power had failed after any of these writes, and with whatever was not flushed lost in part.
//! None of those cards may need a person. The last tests break one rule each that this depends on, so that it is known that a
//! broken one would be seen.

mod disc;
mod firmware;
mod log;
mod plug;
mod record;
mod verdict;

use std::ops::Range;

use self::disc::{Cut, Dice, Disc};
use self::log::{Entry, Write};
use self::record::{Phase, Recording, recording};
use self::verdict::Broken;
use crate::pi::environment::{COPIES, SIZE};

/// Fewer would leave most of what can be lost untried.
const LEAST: usize = 400;
/// How often the dice are thrown for each moment with something to lose.
const LOSSES: usize = 8;
/// A mutant has few such moments.
const LOSSES_OF_MUTANT: usize = 40;

#[test]
fn every_cut_leaves_a_slot_that_starts_and_the_configuration_whole() {
    let Recording { start, entries, phases, .. } = recording();
    let mut total = 0;
    let mut broken = Vec::new();
    for phase in phases {
        let (cards, mut found) = judge(start, entries, phase, LOSSES);
        println!("{}: {} moments, {cards} cards, {} broken", phase.name, phase.entries.len(), found.len());
        assert!(1 < cards, "nothing was written to the card: {}", phase.name);
        total += cards;
        broken.append(&mut found);
    }
    assert!(broken.is_empty(), "{} of {total}: {broken:#?}", broken.len());
    assert!(LEAST <= total, "only {total} cards");
}

#[test]
fn a_slot_that_is_written_after_the_switch_is_noticed() {
    let Recording { start, entries, phases, judge: known, .. } = recording();
    let install = phases.iter().find(|phase| phase.name == record::INSTALL).unwrap();
    let is_switch = |write: &Write| contains(&write.bytes, b"BOOT_ORDER=B A");
    let (before, installing) =
        entries[..position(entries, &install.entries, is_switch)].split_at(install.entries.start);
    let slot = ["boot.B", "root.B"].map(|part| {
        let (at, len) = known.parts[part];
        at..at + len
    });
    // What an installer without fsync leaves to the kernel may be written at any later time.
    let is_late = |entry: &Entry| matches!(entry, Entry::Write(write) if slot.iter().any(|part| write.touches(part)));
    let (late, punctual): (Vec<_>, Vec<_>) = installing.iter().cloned().partition(is_late);
    let switch = &entries[before.len() + installing.len()..][..1];
    let mutant = [before, &punctual, switch, &[Entry::Flush], &late].concat();
    let phase = Phase { entries: before.len() + punctual.len()..mutant.len(), ..install.clone() };
    assert_broken(&judge(start, &mutant, &phase, 1), |broken| matches!(broken, Broken::Slot(_)));
}

#[test]
fn a_memory_of_u_boot_without_a_second_copy_is_noticed() {
    let Recording { start, entries, phases, .. } = recording();
    let [only, other] = COPIES;
    let mut mutant = entries.clone();
    for entry in &mut mutant {
        match entry {
            Entry::Write(write) if write.touches(&(other..other + SIZE as u64)) => write.at -= other - only,
            _ => (),
        }
    }
    let mut start = start.clone();
    start.spoil(other..other + SIZE as u64);
    let phase = phases.iter().find(|phase| phase.name == record::CONFIRM).unwrap();
    assert_broken(&judge(&start, &mutant, phase, LOSSES_OF_MUTANT), |broken| *broken == Broken::Environment);
}

#[test]
fn a_configuration_that_is_written_in_place_is_noticed() {
    let Recording { start, entries, in_place, .. } = recording();
    assert_broken(&judge(start, entries, in_place, 1), |broken| matches!(broken, Broken::Configuration(_)));
}

/// Judges the card after each entry of a phase, and so often with losses; returns how many cards that were, and what was wrong.
fn judge(start: &Disc<'static>, entries: &[Entry], phase: &Phase, losses: usize) -> (usize, Vec<(String, Broken)>) {
    let mut disc: Disc = start.clone();
    let mut cards = 0;
    let mut broken = Vec::new();
    for (number, entry) in entries[..phase.entries.end].iter().enumerate().skip(recording().begin) {
        disc.feed(entry);
        if !phase.entries.contains(&number) {
            continue;
        }
        let mut verdict = |cut: &Cut, how: &str| {
            cards += 1;
            if let Err(why) = recording().judge.judge(cut, &phase.configurations) {
                broken.push((format!("{}, after entry {number}, {how}", phase.name), why));
            }
        };
        verdict(&disc.cut(), "nothing lost");
        if disc.is_pending() {
            for throw in 0..losses {
                let seed = (number * LOSSES_OF_MUTANT + throw + 1) as u64;
                verdict(&disc.cut_with_losses(&mut Dice::new(seed)), &format!("throw {throw}"));
            }
        }
    }
    (cards, broken)
}

/// Where the first such write of these entries is.
#[track_caller]
fn position(entries: &[Entry], range: &Range<usize>, is: impl Fn(&Write) -> bool) -> usize {
    let found = entries[range.clone()].iter().position(|entry| matches!(entry, Entry::Write(write) if is(write)));
    range.start + found.expect("there is such a write")
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// A mutant is found out for the reason that it was made for.
#[track_caller]
fn assert_broken((cards, broken): &(usize, Vec<(String, Broken)>), expected: impl Fn(&Broken) -> bool) {
    println!("{} of {cards} cards broken, first: {:?}", broken.len(), broken.first());
    assert!(broken.iter().any(|(_, why)| expected(why)), "not noticed in {cards} cards: {broken:?}");
}
