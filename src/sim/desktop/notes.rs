//! Keeps the text that is typed on the desktop.

use crate::sim::keyboard::{Key, Press};

/// Characters that a line shows.
const WIDTH: usize = 72;
/// Lines that are kept: what the window shows.
const HEIGHT: usize = 20;

/// A page of text with the caret at its end.
#[derive(Debug)]
pub struct Notes {
    lines: Vec<String>,
}

impl Default for Notes {
    fn default() -> Notes {
        Notes { lines: vec!["Type here.".into(), String::new()] }
    }
}

impl Notes {
    /// Takes a key.
    pub fn press(&mut self, press: Press) {
        let Some(line) = self.lines.last_mut() else { return };
        match press.key {
            Key::Char(character) if !press.control && !press.alt => line.push(character),
            Key::Tab => line.push_str("    "),
            Key::Enter => self.lines.push(String::new()),
            Key::Backspace if line.pop().is_none() && 1 < self.lines.len() => {
                self.lines.pop();
            }
            _ => (),
        }
        if self.lines.last().is_some_and(|line| WIDTH - 4 <= line.len()) {
            self.lines.push(String::new());
        }
        let surplus = self.lines.len().saturating_sub(HEIGHT);
        self.lines.drain(..surplus);
    }

    /// The lines, of which the last has the caret.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(keys: &[Key], expected: &[&str]) {
        let mut notes = Notes { lines: vec![String::new()] };
        for &key in keys {
            notes.press(Press { key, control: false, alt: false });
        }
        assert_eq!(expected, notes.lines());
    }

    #[test]
    fn text_is_typed_and_taken_back() {
        let [a, b] = ['a', 'b'].map(Key::Char);
        check(&[a, b, Key::Enter, a], &["ab", "a"]);
        check(&[a, Key::Enter, Key::Backspace, b], &["ab"]);
        check(&[Key::Backspace, a, a, Key::Backspace], &["a"]);
    }

    #[test]
    fn a_key_held_for_ever_fills_no_memory() {
        let mut notes = Notes::default();
        for key in [Key::Char('a'), Key::Tab, Key::Enter] {
            for _ in 0..10_000 {
                notes.press(Press { key, control: false, alt: false });
            }
            assert!(notes.lines().len() <= HEIGHT);
            assert!(notes.lines().iter().all(|line| line.len() <= WIDTH));
        }
    }
}
