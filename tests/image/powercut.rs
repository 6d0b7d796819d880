//! Cuts the power at every moment of an update and of a change of the configuration.
//!
//! QEMU records what the appliance writes to its card, and when it tells the card to keep it. From that, the card is
//! reconstructed as it would be if the power had failed after any of these writes, with unflushed data lost in part.
//! None of those cards may need a person. The last tests each break one rule that this depends on, to show that a
//! broken one is noticed.

mod disk;
mod firmware;
mod log;
mod plug;
mod record;
mod verdict;

use std::num::NonZero;
use std::ops::Range;
use std::sync::{Mutex, OnceLock};
use std::thread;

use self::disk::{Cut, Dice, Disk};
use self::log::{Entry, Write};
use self::record::{Phase, Recording, recording};
use self::verdict::Broken;
use crate::pi::environment::{COPIES, SIZE};

/// With fewer, most of what can be lost would not be tried.
const LEAST: usize = 400;
/// How many random losses are tried at each moment with unflushed data.
const LOSSES: usize = 8;
/// More for a mutant, which has few such moments.
const LOSSES_OF_MUTANT: usize = 40;

#[test]
fn every_cut_leaves_a_slot_that_starts_and_the_configuration_whole() {
    let mut total = 0;
    for (phase, &Verdicts { cards, ref broken }) in recording().phases.iter().zip(genuine()) {
        println!("{}: {} moments, {cards} cards, {} broken", phase.name, phase.entries.len(), broken.len());
        assert!(1 < cards, "nothing was written to the card: {}", phase.name);
        total += cards;
    }
    assert_whole();
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
    // Without fsync, the kernel may write an installer's data at any later time.
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

/// The verdicts on some cards.
#[derive(Debug)]
struct Verdicts {
    cards: usize,
    /// When the power failed, and what is broken.
    broken: Vec<(String, Broken)>,
}

/// The verdicts on each recorded phase.
fn genuine() -> &'static [Verdicts] {
    static GENUINE: OnceLock<Vec<Verdicts>> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let Recording { start, entries, phases, .. } = recording();
        phases.iter().map(|phase| judge(start, entries, phase, LOSSES)).collect()
    })
}

/// Judges the card after each entry of a phase, and `losses` times more with random losses.
fn judge(start: &Disk<'static>, entries: &[Entry], phase: &Phase, losses: usize) -> Verdicts {
    let cuts = Mutex::new(cuts(start, entries, phase, losses).enumerate());
    let judges = thread::available_parallelism().map_or(1, NonZero::get);
    let found: Vec<_> = thread::scope(|scope| {
        let judge = || {
            let next = || cuts.lock().expect("a thread that panics ends the test").next();
            let judge = |(number, (when, cut))| (number, when, recording().judge.judge(&cut, &phase.configurations));
            std::iter::from_fn(next).map(judge).collect::<Vec<_>>()
        };
        let judges: Vec<_> = (0..judges).map(|_| scope.spawn(judge)).collect();
        judges.into_iter().flat_map(|judge| judge.join().expect("a thread that panics ends the test")).collect()
    });
    let cards = found.len();
    let mut broken: Vec<_> =
        found.into_iter().filter_map(|(number, when, verdict)| Some((number, when, verdict.err()?))).collect();
    broken.sort_by_key(|(number, ..)| *number);
    Verdicts { cards, broken: broken.into_iter().map(|(_, when, why)| (when, why)).collect() }
}

/// The card after each entry of a phase, without and with random losses, and when that is.
fn cuts<'a>(
    start: &Disk<'static>,
    entries: &'a [Entry],
    phase: &'a Phase,
    losses: usize,
) -> impl Iterator<Item = (String, Cut<'a>)> {
    let mut disk: Disk<'a> = start.clone();
    (recording().begin..phase.entries.end).flat_map(move |number| {
        disk.feed(&entries[number]);
        let throws = if disk.is_pending() { losses } else { 0 };
        let (disk, when) = (disk.clone(), format!("{}, after entry {number}", phase.name));
        let wanted = phase.entries.contains(&number);
        let whole = wanted.then(|| (format!("{when}, nothing lost"), disk.cut()));
        whole.into_iter().chain((0..throws).filter(move |_| wanted).map(move |throw| {
            let seed = (number * LOSSES_OF_MUTANT + throw + 1) as u64;
            (format!("{when}, throw {throw}"), disk.cut_with_losses(&mut Dice::new(seed)))
        }))
    })
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

/// Checks that no card of a recorded phase is broken.
#[track_caller]
fn assert_whole() {
    let broken: Vec<_> = genuine().iter().flat_map(|verdicts| &verdicts.broken).collect();
    assert!(broken.is_empty(), "{} cards: {broken:#?}", broken.len());
}

/// Checks that a mutant is found broken for the reason that it was made for, and for no other: otherwise the test would
/// notice something else.
#[track_caller]
fn assert_broken(Verdicts { cards, broken }: &Verdicts, expected: impl Fn(&Broken) -> bool) {
    assert_whole();
    println!("{} of {cards} cards broken, first: {:?}", broken.len(), broken.first());
    assert!(!broken.is_empty(), "not noticed in {cards} cards");
    let others: Vec<_> = broken.iter().filter(|(_, why)| !expected(why)).collect();
    assert!(others.is_empty(), "{} of {} are broken for another reason: {others:#?}", others.len(), broken.len());
}
