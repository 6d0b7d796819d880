//! Turns keys held by several people into keyboard reports.
//!
//! A report says what is down, not what changed, so one place must know all keys of all people. Each key is held by an
//! owner: when an owner leaves, only that owner's keys are released, and a key that two hold stays down until both have
//! released it.

use crate::base::usb::Keys;

/// A key, as HID Usage Tables 1.5 section 10 (Keyboard/Keypad page) numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Usage(pub u8);

/// Tells apart those who hold keys, so that only the keys of the one who leaves are released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Owner(pub u64);

/// Who holds the keys of texts and chords. No client may use this number, or typing would release its keys.
pub const TYPING: Owner = Owner(u64::MAX);

/// Who caused the reports that nobody caused, such as a release after keys were dropped. They must not count as typed:
/// a text would wait for them, and releases may wait for ever.
pub const NOBODY: Owner = Owner(u64::MAX - 1);

/// The first of the eight modifier keys, left Control; the last is right GUI. They have a bit each, and no slot.
pub const LEFT_CONTROL: u8 = 0xE0;

/// HID Usage Tables 1.5 section 10, `ErrorRollOver`: more keys are down than the report has slots.
const ROLLOVER: u8 = 0x01;

/// Keys that one owner may hold: more than hands and elbows press. What one holds takes no room from others.
pub const MOST_HELD: usize = 32;

/// Keys that are kept at once. Without a limit a broken client that invents owners could fill the memory.
const MOST_HELD_BY_ALL: usize = 64 * MOST_HELD;

impl Owner {
    /// Whether no client may use this number.
    pub fn is_reserved(self) -> bool {
        [TYPING, NOBODY].contains(&self)
    }
}

impl Usage {
    /// Its bit in the report's first byte, if it is a modifier.
    pub fn modifier(self) -> Option<u8> {
        (LEFT_CONTROL..LEFT_CONTROL + 8).contains(&self.0).then(|| 1 << (self.0 - LEFT_CONTROL))
    }
}

/// Every key that any owner holds.
#[derive(Debug, Clone, Default)]
pub struct Keyboard {
    // In the order of pressing, which is the order of the slots.
    held: Vec<(Owner, Usage)>,
    /// Keys that people hold and that are up all the same, since something typed needed them.
    covered: Vec<(Owner, Usage)>,
    /// Whether people's modifiers are up although they hold them, because a text or chord is being typed.
    is_masked: bool,
}

impl Keyboard {
    /// Notes that `owner` holds a key. False if they hold too many.
    pub fn press(&mut self, owner: Owner, usage: Usage) -> bool {
        if self.held.contains(&(owner, usage)) {
            return true;
        }
        let own = self.held.iter().filter(|(holder, _)| *holder == owner).count();
        let has_room = owner == TYPING || own < MOST_HELD && self.held.len() < MOST_HELD_BY_ALL;
        if has_room {
            self.held.push((owner, usage));
        }
        has_room
    }

    /// Notes that `owner` released a key.
    pub fn release(&mut self, owner: Owner, usage: Usage) {
        self.retain(|held| held != (owner, usage));
    }

    /// Releases all that `owner` holds.
    pub fn leave(&mut self, owner: Owner) {
        self.retain(|(holder, _)| holder != owner);
    }

    /// Has a key come up that people hold and that is to be typed: a target takes no press of what is down. It stays up
    /// until they have released it.
    pub fn cover(&mut self, usage: Usage) {
        let is_down = |held: &&(Owner, Usage)| held.0 != TYPING && held.1 == usage && !self.covered.contains(held);
        let down: Vec<_> = self.held.iter().filter(is_down).copied().collect();
        self.covered.extend(&down);
    }

    fn retain(&mut self, stays: impl Fn((Owner, Usage)) -> bool) {
        self.held.retain(|held| stays(*held));
        self.covered.retain(|covered| stays(*covered));
    }

    /// Has everybody's modifiers come up, or go down again: somebody's Control would make commands of a text.
    pub fn mask(&mut self, is_masked: bool) {
        self.is_masked = is_masked;
    }

    /// Whether something typed is down.
    pub fn is_typed(&self) -> bool {
        self.held.iter().any(|(owner, _)| *owner == TYPING)
    }

    /// Whether a key that `owner` presses now would arrive with other modifiers than they hold, because of what is
    /// typed.
    pub fn would_alter(&self, owner: Owner, usage: Usage) -> bool {
        self.is_masked && (usage.modifier().is_some() || self.modifiers_of(owner) != self.modifiers_of(TYPING))
    }

    fn modifiers_of(&self, owner: Owner) -> u8 {
        let own = self.held.iter().filter(|(holder, _)| *holder == owner);
        own.filter_map(|(_, usage)| usage.modifier()).fold(0, |all, bit| all | bit)
    }

    /// Everybody who holds a key; whoever holds several comes several times.
    pub fn owners(&self) -> impl Iterator<Item = Owner> + '_ {
        self.held.iter().map(|(owner, _)| *owner)
    }

    /// Has people hold what they hold in `held`, and nothing else. What is being typed stays down.
    pub fn take_over(&mut self, held: &Keyboard) {
        self.held.retain(|(owner, _)| *owner == TYPING);
        self.held.extend(held.held.iter().filter(|(owner, _)| *owner != TYPING));
        self.covered.retain(|covered| self.held.contains(covered));
    }

    /// What the target must see now.
    ///
    /// Keys that are typed come first, so that those of others never leave them without a slot.
    pub fn report(&self) -> Keys {
        let mut report = Keys::default();
        let mut slots = Vec::new();
        let (typed, others): (Vec<_>, Vec<_>) = self.held.iter().partition(|(owner, _)| *owner == TYPING);
        let own = typed.iter().filter(|(_, usage)| usage.modifier().is_none()).count();
        for held in typed.iter().chain(&others).filter(|held| !self.covered.contains(held)) {
            let (owner, usage) = held;
            match usage.modifier() {
                Some(_) if self.is_masked && *owner != TYPING => (),
                Some(bit) => report.modifiers |= bit,
                None if slots.contains(&usage.0) => (),
                None => slots.push(usage.0),
            }
        }
        let keys = &mut report.usages;
        if (1..=keys.len()).contains(&own) {
            slots.truncate(keys.len());
        }
        if keys.len() < slots.len() {
            // Appendix C: with more keys than slots every slot says so, or the target would see keys come up that did
            // not.
            keys.fill(ROLLOVER);
        } else {
            keys[..slots.len()].copy_from_slice(&slots);
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: Owner = Owner(1);
    const BERT: Owner = Owner(2);
    const A: u8 = 0x04;
    const B: u8 = 0x05;
    const LEFT_SHIFT: u8 = 0xE1;
    const RIGHT_GUI: u8 = 0xE7;

    fn down(modifiers: u8, usages: &[u8]) -> Keys {
        let mut keys = Keys { modifiers, ..Keys::default() };
        keys.usages[..usages.len()].copy_from_slice(usages);
        keys
    }

    #[track_caller]
    fn check(presses: &[u8], expected: Keys) {
        let mut keyboard = Keyboard::default();
        for &key in presses {
            keyboard.press(ANNA, Usage(key));
        }
        assert_eq!(expected, keyboard.report());
    }

    #[test]
    fn nothing_held_is_all_zero() {
        check(&[], Keys::default());
    }

    #[test]
    fn modifiers_go_to_the_first_byte() {
        check(&[LEFT_SHIFT, A], down(0x02, &[A]));
        check(&[LEFT_CONTROL, RIGHT_GUI], down(0x81, &[]));
    }

    #[test]
    fn keys_stand_in_the_order_of_pressing() {
        check(&[9, 8, 7, 6, 5, 4], down(0, &[9, 8, 7, 6, 5, 4]));
    }

    #[test]
    fn seventh_key_reports_rollover_in_every_slot_and_keeps_the_modifiers() {
        check(&[4, 5, 6, 7, 8, 9, 10, LEFT_SHIFT], down(2, &[1, 1, 1, 1, 1, 1]));
    }

    #[test]
    fn rollover_ends_when_six_are_left() {
        let mut keyboard = Keyboard::default();
        (4..=10).for_each(|key| assert!(keyboard.press(ANNA, Usage(key))));
        keyboard.release(ANNA, Usage(4));
        assert_eq!(down(0, &[5, 6, 7, 8, 9, 10]), keyboard.report());
    }

    #[test]
    fn a_key_pressed_twice_is_one_key() {
        check(&[A, A], down(0, &[A]));
    }

    #[test]
    fn a_key_held_by_two_stays_until_both_let_go() {
        let mut keyboard = Keyboard::default();
        keyboard.press(ANNA, Usage(A));
        keyboard.press(BERT, Usage(A));
        keyboard.release(ANNA, Usage(A));
        assert_eq!(down(0, &[A]), keyboard.report());
        keyboard.release(BERT, Usage(A));
        assert_eq!(Keys::default(), keyboard.report());
    }

    #[test]
    fn who_leaves_takes_only_their_own_keys() {
        let mut keyboard = Keyboard::default();
        keyboard.press(ANNA, Usage(LEFT_SHIFT));
        keyboard.press(BERT, Usage(B));
        keyboard.leave(ANNA);
        assert_eq!(down(0, &[B]), keyboard.report());
    }

    #[test]
    fn what_is_typed_has_its_own_modifiers_alone() {
        let mut keyboard = Keyboard::default();
        keyboard.press(ANNA, Usage(LEFT_SHIFT));
        keyboard.press(ANNA, Usage(B));
        keyboard.mask(true);
        assert_eq!(down(0, &[B]), keyboard.report());
        keyboard.press(TYPING, Usage(RIGHT_GUI));
        assert_eq!(down(0x80, &[B]), keyboard.report());
        keyboard.leave(TYPING);
        keyboard.mask(false);
        assert_eq!(down(2, &[B]), keyboard.report());
    }

    #[test]
    fn a_flood_of_owners_does_not_grow_without_bound() {
        let mut keyboard = Keyboard::default();
        (0..100_000).for_each(|owner| {
            keyboard.press(Owner(owner), Usage(A));
        });
        assert_eq!(MOST_HELD_BY_ALL, keyboard.held.len());
    }
}
