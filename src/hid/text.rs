//! Turns text into keystrokes on a US layout.
//!
//! A whole text is checked before its first key is pressed: half a command with the rest missing is worse than none.

use std::fmt;
use std::sync::LazyLock;

use super::keyboard::{LEFT_CONTROL, Usage};
use super::keymap::KEYS;

/// The left Shift's bit in the report's first byte.
const LEFT_SHIFT: u8 = 1 << 1;

/// Characters without a key that a refusal names with their places, and how many it lists. Who has pasted the wrong
/// thing altogether needs no more.
const MOST_NAMED: usize = 10;
const MOST_LISTED: usize = 100;

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

/// The characters of a text that no key of the layout gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untypable {
    /// The first ones, with line and column, both from 1.
    named: Vec<(char, usize, usize)>,
    /// How many there are besides.
    others: usize,
    /// Each once, as far as they are listed.
    characters: Vec<char>,
}

impl Untypable {
    /// The characters, each once, with the name of one that cannot be told by its look; a hundred at most.
    pub fn characters(&self) -> impl Iterator<Item = (char, Option<String>)> {
        self.characters.iter().map(|character| (*character, Named(*character).name()))
    }
}

impl fmt::Display for Untypable {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("no key of the US layout types ")?;
        for (at, (character, line, column)) in self.named.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{} (line {line}, column {column})", Named(*character))?;
        }
        match self.others {
            0 => Ok(()),
            others => write!(f, " and {others} more"),
        }
    }
}

impl std::error::Error for Untypable {}

/// A character as a person can find it: by its look if it has one of its own, else by its name.
struct Named(char);

impl Named {
    fn name(&self) -> Option<String> {
        let code = u32::from(self.0);
        if let Some((_, name)) = NAMES.iter().find(|(character, _)| *character == self.0) {
            return Some((*name).into());
        }
        match self.has_look() {
            true => None,
            false if self.0.is_control() => Some(format!("the control character U+{code:04X}")),
            false => Some(format!("the invisible character U+{code:04X}")),
        }
    }

    fn has_look(&self) -> bool {
        self.0.escape_debug().len() == 1 && !self.0.is_whitespace()
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (self.name(), self.has_look()) {
            (Some(name), true) => write!(f, "{name} '{}'", self.0),
            (Some(name), false) => write!(f, "{name}"),
            (None, _) => write!(f, "{:?}", self.0),
        }
    }
}

/// Characters that look like nothing, or like another that can be typed, by their names in Unicode.
const NAMES: &[(char, &str)] = &[
    ('\u{A0}', "no-break space"),
    ('\u{AD}', "soft hyphen"),
    ('\u{2002}', "en space"),
    ('\u{2003}', "em space"),
    ('\u{2009}', "thin space"),
    ('\u{200B}', "zero width space"),
    ('\u{200C}', "zero width non-joiner"),
    ('\u{200D}', "zero width joiner"),
    ('\u{200E}', "left-to-right mark"),
    ('\u{200F}', "right-to-left mark"),
    ('\u{2010}', "hyphen"),
    ('\u{2011}', "non-breaking hyphen"),
    ('\u{2013}', "en dash"),
    ('\u{2014}', "em dash"),
    ('\u{2018}', "left single quotation mark"),
    ('\u{2019}', "right single quotation mark"),
    ('\u{201C}', "left double quotation mark"),
    ('\u{201D}', "right double quotation mark"),
    ('\u{2026}', "horizontal ellipsis"),
    ('\u{2028}', "line separator"),
    ('\u{2029}', "paragraph separator"),
    ('\u{202F}', "narrow no-break space"),
    ('\u{2060}', "word joiner"),
    ('\u{2212}', "minus sign"),
    ('\u{3000}', "ideographic space"),
    ('\u{FEFF}', "zero width no-break space"),
];

/// The strokes that type `text`; line feeds become Enter.
pub fn strokes(text: &str) -> Result<Vec<Stroke>, Untypable> {
    let (mut strokes, mut named, mut others, mut characters) = (Vec::new(), Vec::new(), 0, Vec::new());
    let (mut line, mut column) = (1, 0);
    // Text from Windows ends lines with two characters; a lone carriage return means what it meant on a typewriter.
    for character in text.replace("\r\n", "\n").chars().map(|c| if c == '\r' { '\n' } else { c }) {
        column += 1;
        let stroke = stroke(character);
        if stroke.is_none() && characters.len() < MOST_LISTED && !characters.contains(&character) {
            characters.push(character);
        }
        match stroke {
            Some(stroke) => strokes.push(stroke),
            None if named.len() < MOST_NAMED => named.push((character, line, column)),
            None => others += 1,
        }
        if character == '\n' {
            (line, column) = (line + 1, 0);
        }
    }
    if named.is_empty() { Ok(strokes) } else { Err(Untypable { named, others, characters }) }
}

/// Looked up, since a long text is checked on a thread that others wait for.
fn stroke(character: char) -> Option<Stroke> {
    static STROKES: LazyLock<[Option<Stroke>; 128]> =
        LazyLock::new(|| std::array::from_fn(|code| u8::try_from(code).ok().and_then(|code| find(char::from(code)))));
    STROKES.get(usize::try_from(u32::from(character)).ok()?).copied().flatten()
}

fn find(character: char) -> Option<Stroke> {
    KEYS.iter().find_map(|key| {
        let level = key.types.chars().position(|typed| typed == character)?;
        Some(Stroke { usage: key.usage, modifiers: if level == 0 { 0 } else { LEFT_SHIFT } })
    })
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

    #[track_caller]
    fn refuses(text: &str, expected: &str) {
        let refusal = strokes(text).unwrap_err().to_string();
        assert_eq!(format!("no key of the US layout types {expected}"), refusal);
    }

    #[test]
    fn every_character_that_cannot_be_typed_is_named_with_its_place() {
        refuses("cafés", "'é' (line 1, column 4)");
        refuses(
            "a\u{a0}b\r\n\u{feff}c",
            "no-break space (line 1, column 2), zero width no-break space (line 2, column 1)",
        );
        refuses("\u{7}", "the control character U+0007 (line 1, column 1)");
        refuses("\u{206A}", "the invisible character U+206A (line 1, column 1)");
        refuses("“€", "left double quotation mark '“' (line 1, column 1), '€' (line 1, column 2)");
    }

    #[test]
    fn each_character_that_cannot_be_typed_is_listed_once() {
        let refusal = strokes("é\u{a0}é–").unwrap_err();
        let names: Vec<_> = refusal.characters().collect();
        assert_eq!([('é', None), ('\u{a0}', Some("no-break space".into())), ('–', Some("en dash".into()))], *names);
    }

    #[test]
    fn a_refusal_has_an_end() {
        let refusal = strokes(&"é".repeat(1000)).unwrap_err().to_string();
        assert!(refusal.ends_with("'é' (line 1, column 10) and 990 more"), "{refusal}");
        let all: String = ('\u{4e00}'..'\u{5000}').collect();
        assert_eq!(100, strokes(&all).unwrap_err().characters().count());
    }

    #[test]
    fn a_stroke_presses_its_modifiers_first() {
        let usages: Vec<_> = Stroke { usage: Usage(4), modifiers: 0b1000_0010 }.usages().map(|usage| usage.0).collect();
        assert_eq!([0xE1, 0xE7, 0x04].as_slice(), usages);
    }
}
