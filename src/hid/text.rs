//! Turns text into keystrokes on a US layout.
//!
//! A whole text is checked before its first key is pressed: half a command with the rest missing is worse than none.

use super::keyboard::{LEFT_CONTROL, Usage};
use super::keymap::KEYS;

/// The left Shift's bit in the report's first byte.
const LEFT_SHIFT: u8 = 1 << 1;

/// The letters, in the order of the alphabet.
const KEY_A: u8 = 0x04;
const KEY_Z: u8 = 0x1D;

/// One key typed: modifiers down, key down, all up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "`usage` is described by its type")]
pub struct Stroke {
    pub usage: Usage,
    /// The report's first byte: bit 1 is the left Shift.
    pub modifiers: u8,
}

impl Stroke {
    /// The stroke that types the same character if Caps Lock is on: it turns letters, and nothing else.
    pub fn under_caps_lock(self, is_on: bool) -> Stroke {
        let is_letter = (KEY_A..=KEY_Z).contains(&self.usage.0);
        Stroke { modifiers: if is_on && is_letter { self.modifiers ^ LEFT_SHIFT } else { self.modifiers }, ..self }
    }

    /// The keys that go down together, modifiers first.
    pub fn usages(self) -> impl Iterator<Item = Usage> {
        (0..8)
            .filter(move |bit| self.modifiers & 1 << bit != 0)
            .map(|bit| Usage(LEFT_CONTROL + bit))
            .chain([self.usage])
    }
}

/// A character that no key of the layout gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no key of the US layout types {0:?}")]
pub struct Untypable(pub char);

/// The strokes that type `text`; line feeds become Enter.
pub fn strokes(text: &str) -> Result<Vec<Stroke>, Untypable> {
    // Text from Windows ends lines with two characters; a lone carriage return means what it meant on a typewriter.
    text.replace("\r\n", "\n")
        .chars()
        .map(|character| stroke(if character == '\r' { '\n' } else { character }))
        .collect()
}

fn stroke(character: char) -> Result<Stroke, Untypable> {
    KEYS.iter()
        .find_map(|key| {
            let level = key.types.chars().position(|typed| typed == character)?;
            Some(Stroke { usage: key.usage, modifiers: if level == 0 { 0 } else { LEFT_SHIFT } })
        })
        .ok_or(Untypable(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(u8, u8)]) {
        let typed: Vec<_> =
            strokes(text).unwrap().into_iter().map(|stroke| (stroke.modifiers, stroke.usage.0)).collect();
        assert_eq!(expected, typed);
    }

    #[test]
    fn capitals_and_signs_take_shift() {
        check("aA1!", &[(0, 4), (2, 4), (0, 0x1E), (2, 0x1E)]);
        check("\\|'\"", &[(0, 0x31), (2, 0x31), (0, 0x34), (2, 0x34)]);
    }

    #[test]
    fn lines_end_with_one_enter() {
        check("\n", &[(0, 0x28)]);
        check("\r\n", &[(0, 0x28)]);
        check("\r", &[(0, 0x28)]);
        check("\n\r\n\t ", &[(0, 0x28), (0, 0x28), (0, 0x2B), (0, 0x2C)]);
    }

    #[test]
    fn what_cannot_be_typed_is_named() {
        assert_eq!(Err(Untypable('é')), strokes("cafés"));
        assert_eq!("no key of the US layout types 'é'", Untypable('é').to_string());
        assert_eq!(Err(Untypable('\u{7}')), strokes("\u{7}"));
    }

    #[test]
    fn a_stroke_presses_its_modifiers_first() {
        let usages: Vec<_> = Stroke { usage: Usage(4), modifiers: 0b1000_0010 }.usages().map(|usage| usage.0).collect();
        assert_eq!([0xE1, 0xE7, 0x04].as_slice(), usages);
    }
}
