//! Checks that a card starts whatever has happened to one of its slots, or to the count of their tries.
//!
//! U-Boot decides, by what is stored on the card. So each scenario prepares a card from outside, boots it, and checks
//! which system comes up.

use crate::pi::{A, B, Card, Cause, Part, Pi, Slot};

/// The place in squashfs's superblock that says where its table of files is, which is read before anything else.
const FILES: u64 = 64;

#[test]
fn one_flipped_bit_in_a_root_is_refused_and_the_other_slot_boots() {
    let card = Card::copy("flipped");
    let files = card.number(Part::Root(A), FILES);
    card.flip(Part::Root(A), files + 100);
    let pi = boots(card, B);
    assert_eq!(3, pi.count("slot A: "), "it was tried as often as any other");
    assert_eq!(3, pi.count("dm-verity device corrupted"), "each time for that reason");
    assert_eq!([Some(Cause::Restart); 3], pi.resets()[..]);
    assert_eq!("0", left(&pi.unplug(), A));
}

#[test]
fn a_slot_without_a_kernel_is_passed_over() {
    let card = Card::copy("no-kernel");
    card.flip(Part::Boot(A), 0);
    let pi = boots(card, B);
    assert_eq!(3, pi.count("slot A: "));
    assert_eq!("0", left(&pi.unplug(), A));
}

#[test]
fn with_no_try_left_anywhere_the_confirmed_slot_boots() {
    let card = Card::copy("exhausted");
    card.set_environment(&[("BOOT_A_LEFT", "0"), ("BOOT_B_LEFT", "0"), ("CONFIRMED", "B")]);
    let pi = boots(card, B);
    assert!(pi.resets().is_empty(), "it boots at once: {:?}", pi.resets());
    let card = pi.unplug();
    assert_eq!("3", left(&card, A), "the other is given its tries, too");
    assert_ne!("0", left(&card, B));
}

#[test]
fn a_card_that_has_lost_its_environment_boots() {
    let card = Card::copy("no-environment");
    card.spoil_environment();
    let pi = boots(card, A);
    assert!(pi.resets().is_empty(), "{:?}", pi.resets());
    assert_ne!(None, pi.unplug().environment(), "it is written again, for user space to change");
}

#[test]
fn what_else_the_environment_says_is_not_believed() {
    let card = Card::copy("evil-environment");
    card.set_environment(&[
        ("bootcmd", "echo taken over; reset"),
        ("boot_slot", "echo taken over; reset"),
        ("args_after", "init=/bin/sh"),
        ("BOOT_A_LEFT", "2"),
    ]);
    let pi = boots(card, A);
    assert_eq!(0, pi.count("taken over"));
    assert_eq!(1, pi.count("slot A: order A B, tries left A 1, "), "the rest of it counted");
    pi.unplug();
}

#[test]
fn power_cuts_soon_after_the_start_cost_a_confirmed_slot_nothing() {
    let mut pi = boots(Card::copy("power-cuts"), A);
    // One boot more than there are tries.
    for _ in 0..4 {
        pi.reset();
        assert_eq!(A, pi.slot());
    }
    assert_eq!("3", left(&pi.unplug(), A));
}

#[test]
fn a_guard_that_hangs_is_ended_by_the_watchdog() {
    let mut pi = boots(Card::copy("hang"), A);
    pi.ask("until sv status /etc/sv/guard | grep -q '^run:' && ls -l /proc/$(cat /run/sv/guard/pid)/fd | grep -q watchdog; do sleep 0.2; done");
    pi.ask("kill -STOP $(cat /run/sv/guard/pid)");
    pi.meet_shell();
    assert_eq!([Some(Cause::Hang)], pi.resets()[..]);
    assert_eq!(A, pi.slot());
}

/// Plugs a Pi with this card in, and waits until this slot's system has come up.
#[track_caller]
fn boots(card: Card, expected: Slot) -> Pi {
    let mut pi = Pi::start(card);
    pi.meet_shell();
    assert_eq!(expected, pi.slot());
    pi
}

/// How many tries a slot has left, by the card's environment.
#[track_caller]
fn left(card: &Card, slot: Slot) -> String {
    let variables = card.environment().expect("the card has an environment");
    variables.get(&format!("BOOT_{}_LEFT", slot.name)).cloned().unwrap_or_default()
}
