//! Reads a value that is one of a few words, or something more exact in their place.
//!
//! [`Choice`] has the words once: they are what is read, and what the error shows to whoever wrote another.

use std::fmt::Debug;

/// What a key may be set to.
#[derive(Debug)]
pub(super) struct Choice<T: 'static> {
    /// The key, as the error names it.
    pub key: &'static str,
    /// The words, and what each means.
    pub words: &'static [(&'static str, T)],
    /// What else would do, as the error says it.
    pub or: &'static [&'static str],
}

impl<T: Clone> Choice<T> {
    /// Reads one of the words.
    pub fn word(&self, text: &str) -> Result<T, String> {
        self.read(text, |_| None)
    }

    /// Reads one of the words, or what `exact` makes of another text.
    pub fn read(&self, text: &str, exact: impl FnOnce(&str) -> Option<T>) -> Result<T, String> {
        let word = self.words.iter().find(|(word, _)| *word == text);
        word.map(|(_, meaning)| meaning.clone()).or_else(|| exact(text)).ok_or_else(|| self.refusal(text))
    }

    /// The error for something that would not do.
    pub fn refusal(&self, found: impl Debug) -> String {
        let mut accepted: Vec<String> = self.words.iter().map(|(word, _)| format!("{word:?}")).collect();
        accepted.extend(self.or.iter().copied().map(String::from));
        let last = accepted.pop().unwrap_or_default();
        let others = if accepted.is_empty() { String::new() } else { accepted.join(", ") + " or " };
        format!("{} {found:?} must be {others}{last}", self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &'static [(&'static str, u8)], or: &'static [&'static str], accepted: &str) {
        let choice = Choice { key: "count", words, or };
        for (word, meaning) in words {
            assert_eq!(Ok(*meaning), choice.word(word));
        }
        assert_eq!(Ok(9), choice.read("nine", |text| (text == "nine").then_some(9)));
        assert_eq!(Err(format!("count \"ten\" must be {accepted}")), choice.word("ten"));
        assert_eq!(format!("count 10 must be {accepted}"), choice.refusal(10));
    }

    #[test]
    fn a_refusal_shows_every_word_and_what_else_would_do() {
        check(&[("one", 1)], &[], "\"one\"");
        check(&[("one", 1), ("two", 2), ("three", 3)], &[], "\"one\", \"two\" or \"three\"");
        check(&[("one", 1)], &["a number"], "\"one\" or a number");
        check(&[("one", 1), ("two", 2)], &["a number"], "\"one\", \"two\" or a number");
        check(&[("one", 1)], &["a digit", "a number"], "\"one\", a digit or a number");
    }

    #[test]
    fn a_word_is_itself_and_no_text_that_would_do() {
        let choice = Choice { key: "count", words: &[("one", 1)], or: &[] };
        assert_eq!(Ok(1), choice.read("one", |_| Some(9)));
        assert!(choice.word("One").is_err());
    }
}
