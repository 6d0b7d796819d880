//! Reads keyboard reports as a host does: edges, typematic repeat, locks and a US layout.
//!
//! The table of characters is separate on purpose: if it were the one that we type with, no test would find a wrong
//! entry.

use std::time::{Duration, Instant};

use crate::base::usb::{KeyboardLeds, Keys};

/// How long a key is held before it repeats: the default of PC firmware and Linux consoles.
const REPEAT_DELAY: Duration = Duration::from_millis(500);

/// Usages 0x04 to 0x38 in order (HID Usage Tables 1.5, section 10), plain and with Shift.
/// Enter, Escape, Backspace, Tab, the non-US # and Caps Lock type nothing here and are dots.
const PLAIN: &[u8] = b"abcdefghijklmnopqrstuvwxyz1234567890.... -=[]\\.;'`,./";
const SHIFTED: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ!@#$%^&*().... _+{}|.:\"~<>?";

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "most variants are what is printed on a key")]
pub enum Key {
    /// It types this, after Shift and locks.
    Char(char),
    /// Enter, on either block.
    Enter,
    /// Deletes the character before the caret.
    Backspace,
    Tab,
    Escape,
    /// F1 to F12.
    Function(u8),
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    Insert,
    /// Deletes the character after the caret.
    Delete,
    /// A lock, a modifier or a key that means nothing here, by its usage.
    Other(u8),
}

/// One key going down, or repeating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Press {
    pub key: Key,
    pub control: bool,
    pub alt: bool,
}

impl Press {
    /// Whether this is Ctrl+Alt+Del.
    pub fn is_control_alt_delete(&self) -> bool {
        self.control && self.alt && self.key == Key::Delete
    }
}

/// The host's side of a boot keyboard.
#[derive(Debug, Default)]
pub struct Keyboard {
    modifiers: u8,
    held: [u8; 6],
    repeat: Option<(u8, Instant)>,
    /// Time from one repetition to the next.
    pub repeat_interval: Duration,
    /// Its lamps, which show the locks' state.
    pub leds: KeyboardLeds,
}

impl Keyboard {
    /// Takes a report and returns the presses in it.
    pub fn receive(&mut self, now: Instant, Keys { modifiers, usages: held }: Keys) -> Vec<Press> {
        self.modifiers = modifiers;
        // Usages 1 to 3 are errors such as rollover: which keys are down is then unknown, so what was known stays.
        if held.iter().any(|usage| (1..=3).contains(usage)) {
            return Vec::new();
        }
        let fresh: Vec<u8> = held.into_iter().filter(|usage| *usage != 0 && !self.held.contains(usage)).collect();
        self.held = held;
        if let Some((usage, _)) = self.repeat
            && !held.contains(&usage)
        {
            self.repeat = None;
        }
        for &usage in &fresh {
            match usage {
                0x39 => self.leds.caps ^= true,
                0x47 => self.leds.scroll ^= true,
                0x53 => self.leds.num ^= true,
                _ => self.repeat = Some((usage, now + REPEAT_DELAY)),
            }
        }
        fresh.into_iter().map(|usage| self.press(usage)).collect()
    }

    /// The repetition that is due, if any.
    pub fn tick(&mut self, now: Instant) -> Option<Press> {
        let (usage, due) = self.repeat.filter(|(_, due)| *due <= now)?;
        // One at a time: after a stall a host does not catch up on missed repetitions.
        self.repeat = Some((usage, (due + self.repeat_interval).max(now)));
        Some(self.press(usage))
    }

    /// When [`Keyboard::tick`] next has work to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.repeat.map(|(_, due)| due)
    }

    fn press(&self, usage: u8) -> Press {
        let pressed = |bits: u8| self.modifiers & bits != 0;
        Press { key: self.key(usage, pressed(0x22)), control: pressed(0x11), alt: pressed(0x44) }
    }

    fn key(&self, usage: u8, shift: bool) -> Key {
        match usage {
            0x28 | 0x58 => Key::Enter,
            0x29 => Key::Escape,
            0x2a => Key::Backspace,
            0x2b => Key::Tab,
            0x04..=0x38 if usage != 0x32 => {
                let upper = shift != (self.leds.caps && usage <= 0x1d);
                let table = if upper { SHIFTED } else { PLAIN };
                Key::Char(table[usize::from(usage - 0x04)].into())
            }
            0x3a..=0x45 => Key::Function(usage - 0x39),
            0x49 => Key::Insert,
            0x4a => Key::Home,
            0x4b => Key::PageUp,
            0x4c => Key::Delete,
            0x4d => Key::End,
            0x4e => Key::PageDown,
            0x4f => Key::Right,
            0x50 => Key::Left,
            0x51 => Key::Down,
            0x52 => Key::Up,
            0x54..=0x57 => Key::Char(b"/*-+"[usize::from(usage - 0x54)].into()),
            0x59..=0x63 if self.leds.num != shift => Key::Char(b"1234567890."[usize::from(usage - 0x59)].into()),
            0x59..=0x63 => {
                const KEYPAD: [u8; 11] = [0x4d, 0x51, 0x4e, 0x50, 0, 0x4f, 0x4a, 0x52, 0x4b, 0x49, 0x4c];
                match KEYPAD[usize::from(usage - 0x59)] {
                    0 => Key::Other(usage),
                    same => self.key(same, shift),
                }
            }
            _ => Key::Other(usage),
        }
    }
}

/// These keys and no others, for tests that press.
#[cfg(test)]
pub fn down(modifiers: u8, usages: &[u8]) -> Keys {
    let mut keys = Keys { modifiers, ..Keys::default() };
    keys.usages[..usages.len()].copy_from_slice(usages);
    keys
}

/// The report that types a character on this layout, for tests that type.
#[cfg(test)]
pub fn report_for(character: char) -> Keys {
    let place = |table: &[u8]| table.iter().position(|typed| char::from(*typed) == character);
    let (modifiers, usage) = match (character, place(PLAIN), place(SHIFTED)) {
        ('\n', ..) => (0, 0x28),
        ('.', ..) => (0, 0x37),
        (_, Some(place), _) => (0, 0x04 + place),
        (_, None, Some(place)) => (0x02, 0x04 + place),
        _ => panic!("no key types {character:?}"),
    };
    down(modifiers, &[usage as u8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyboard() -> Keyboard {
        Keyboard { repeat_interval: Duration::from_millis(33), ..Keyboard::default() }
    }

    #[track_caller]
    fn check(locks: &[u8], modifiers: u8, usage: u8, expected: Key) {
        let (mut keyboard, now) = (keyboard(), Instant::now());
        for &lock in locks {
            keyboard.receive(now, down(0, &[lock]));
        }
        let presses = keyboard.receive(now, down(modifiers, &[usage]));
        assert_eq!(vec![expected], presses.iter().map(|press| press.key).collect::<Vec<_>>());
    }

    #[test]
    fn keys_type_what_a_us_keyboard_says() {
        check(&[], 0, 0x04, Key::Char('a'));
        check(&[], 0x02, 0x04, Key::Char('A'));
        check(&[], 0x20, 0x1f, Key::Char('@'));
        check(&[], 0, 0x2c, Key::Char(' '));
        check(&[], 0, 0x31, Key::Char('\\'));
        check(&[], 0x02, 0x34, Key::Char('"'));
        check(&[], 0, 0x38, Key::Char('/'));
        check(&[], 0, 0x3b, Key::Function(2));
        check(&[], 0, 0x45, Key::Function(12));
    }

    #[test]
    fn caps_lock_turns_letters_but_not_digits() {
        check(&[0x39], 0, 0x04, Key::Char('A'));
        check(&[0x39], 0x02, 0x04, Key::Char('a'));
        check(&[0x39], 0, 0x1e, Key::Char('1'));
        check(&[0x39, 0x39], 0, 0x04, Key::Char('A'));
    }

    #[test]
    fn num_lock_makes_the_keypad_type_digits() {
        check(&[], 0, 0x60, Key::Up);
        check(&[0x53], 0, 0x60, Key::Char('8'));
        check(&[0x53], 0x02, 0x60, Key::Up);
        check(&[], 0, 0x63, Key::Delete);
    }

    #[test]
    fn a_key_that_stays_down_is_pressed_once() {
        let (mut keyboard, now) = (keyboard(), Instant::now());
        assert_eq!(1, keyboard.receive(now, down(0, &[0x04])).len());
        let keys: Vec<Key> = keyboard.receive(now, down(0, &[0x04, 0x05])).iter().map(|press| press.key).collect();
        assert_eq!(vec![Key::Char('b')], keys);
        assert_eq!(0, keyboard.receive(now, down(0, &[0x05])).len());
    }

    #[test]
    fn a_held_key_repeats_until_it_is_let_go() {
        let (mut keyboard, now) = (keyboard(), Instant::now());
        keyboard.receive(now, down(0, &[0x04]));
        assert_eq!(None, keyboard.tick(now + Duration::from_millis(499)));
        let typed = (500..1000).filter_map(|ms| keyboard.tick(now + Duration::from_millis(ms))).count();
        assert_eq!(16, typed);
        keyboard.receive(now, Keys::default());
        assert_eq!(None, keyboard.deadline());
    }

    #[test]
    fn rollover_neither_presses_nor_lets_go() {
        let (mut keyboard, now) = (keyboard(), Instant::now());
        keyboard.receive(now, down(0, &[0x04]));
        assert!(keyboard.receive(now, down(0, &[1, 1, 1, 1, 1, 1])).is_empty());
        assert!(keyboard.receive(now, down(0, &[0x04])).is_empty());
    }
}
