//! Says what stands in a record of the audit log, and makes one line of it whatever the texts are.
//!
//! Names, paths and errors come from outside, also from strangers. None of them may end a line, look like another
//! record, move a terminal's cursor, or take more room than a record has.

use core::net::IpAddr;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest text in a record, in characters: a sentence. A name or a code has less.
pub const LONGEST_TEXT: usize = 120;

/// The longest line, its end included: each character of three texts as long as JSON makes it, and the rest. The budget
/// of bytes a day rests on it.
pub const LONGEST_LINE: usize = 2048;

/// What somebody does. A record has no other word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Becomes the owner.
    Claim,
    /// Logs in.
    Login,
    /// Logs out.
    Logout,
    /// Presses a button of the target.
    Press,
    /// Wakes the target.
    Wake,
    /// Presses a chord: that, not which.
    Chord,
    /// Types with keyboard or pointer, or has a text typed: that, never what.
    Typing,
    /// Puts media in the target's drive.
    Media,
    /// Sends an update, has one fetched, or stops that.
    Update,
    /// Has an update installed that has come.
    Install,
    /// Restarts the appliance.
    Restart,
    /// Has the appliance forget its owner.
    FactoryReset,
    /// Changes who may come in.
    Users,
    /// Makes or removes a token.
    Tokens,
    /// Ends a session.
    Sessions,
    /// Changes the certificate.
    Certificate,
    /// Changes the configuration.
    Configuration,
    /// Does something for which there is no word yet.
    Other,
    /// Nobody did anything: the trail tells of itself.
    Trail,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is about to be done.
    Begun,
    /// It has been done.
    Done,
    /// It was refused, or failed.
    NotDone,
    /// Nobody waited for the end, and what came of it is not known.
    Left,
}

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// By the wall clock, in seconds since 1970. It may be wrong.
    pub wall: u64,
    /// Since boot, by a clock that nobody can set.
    pub up: Duration,
}

/// What is to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who has shown who they are.
    pub who: Option<String>,
    /// The address that they came from.
    pub from: Option<IpAddr>,
    /// What they do.
    pub what: What,
    /// At which seat.
    pub seat: Option<String>,
    /// More, in words.
    pub detail: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The code by which a program knows why it was not done.
    pub error: Option<&'static str>,
    /// How often, if it stands for several.
    pub times: Option<u64>,
}

impl Entry {
    /// Something that begins.
    pub fn new(what: What, detail: impl Into<String>) -> Entry {
        Entry {
            who: None,
            from: None,
            what,
            seat: None,
            detail: detail.into(),
            outcome: Outcome::Begun,
            error: None,
            times: None,
        }
    }

    /// The same, by somebody.
    pub fn by(self, who: Option<&str>, from: Option<IpAddr>) -> Entry {
        Entry { who: who.map(String::from), from, ..self }
    }

    /// The same, at a seat.
    pub fn at(self, seat: Option<&str>) -> Entry {
        Entry { seat: seat.map(String::from), ..self }
    }

    /// The same, with what came of it: done, or the code of the error.
    pub fn ended(self, outcome: Result<(), &'static str>) -> Entry {
        match outcome {
            Ok(()) => Entry { outcome: Outcome::Done, error: None, ..self },
            Err(code) => Entry { outcome: Outcome::NotDone, error: Some(code), ..self },
        }
    }

    /// The same, for this many.
    pub fn times(self, times: u64) -> Entry {
        Entry { times: Some(times), ..self }
    }
}

/// A record as it is stored. Its words are texts here, since a newer release may have written others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AuditRecord")]
pub struct Record {
    /// Its number: one more than that of the line before.
    pub seq: u64,
    /// When, by the appliance's clock, which may have been wrong.
    pub time: String,
    /// When, in seconds since the appliance was started.
    pub up: u64,
    /// Which start that was.
    pub boot: String,
    /// Who; nobody where somebody has not shown who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What was done, in a word.
    pub what: String,
    /// At which seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
    /// More, in words.
    pub detail: String,
    /// What came of it: `begun`, `done`, `not-done` or `left`.
    pub outcome: String,
    /// The code of the error, if it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often, if the record stands for several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// SHA-256 of the line before, as it is stored; zeros before the first.
    pub prev: String,
}

impl Record {
    /// A record of this entry, with its place in the chain.
    pub(super) fn new(seq: u64, prev: String, boot: &str, stamp: Stamp, entry: &Entry) -> Record {
        Record {
            seq,
            time: time(stamp.wall),
            up: stamp.up.as_secs(),
            boot: boot.to_string(),
            who: entry.who.as_deref().map(clean),
            from: entry.from.map(|from| from.to_string()),
            what: word(&entry.what),
            seat: entry.seat.as_deref().map(clean),
            detail: clean(&entry.detail),
            outcome: word(&entry.outcome),
            error: entry.error.map(clean),
            times: entry.times,
            prev,
        }
    }

    /// Whether a text, which is in lower case, stands in what a person reads of it.
    pub fn has(&self, text: &str) -> bool {
        let optional = [&self.who, &self.from, &self.seat, &self.error];
        let texts = [&self.time, &self.what, &self.detail, &self.outcome];
        let mut texts = texts.into_iter().chain(optional.into_iter().flatten());
        texts.any(|own| own.to_lowercase().contains(text))
    }
}

/// A time as RFC 3339 has it. What no calendar has is the last moment of the last year that it has.
pub(super) fn time(wall: u64) -> String {
    const LAST: u64 = 253_402_300_799;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(wall.min(LAST));
    humantime::format_rfc3339_seconds(time).to_string()
}

/// How a word is stored.
fn word(word: &impl Serialize) -> String {
    match serde_json::to_value(word) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// A text in one line of bounded length, without what moves a cursor or turns the way that text is read.
fn clean(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut clean: String =
        text.chars().take(LONGEST_TEXT).map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Record {
        let entry = Entry::new(What::Other, text).by(Some(text), None).at(Some(text));
        Record::new(u64::MAX, "0".repeat(64), text, Stamp { wall: u64::MAX, up: Duration::MAX }, &entry)
    }

    #[test]
    fn whatever_is_in_a_text_a_record_is_one_line_that_says_it_once() {
        for text in [
            "a\r\nb",
            "\"},{\"what\":\"login\"",
            "\u{1b}[2J",
            "\u{202e}gnp",
            "\0",
            "\\",
            "\u{2028}",
            "</script>",
            "\u{85}",
        ] {
            let entry = Entry::new(What::Other, text).by(Some(text), None).at(Some(text));
            let record = Record::new(1, "0".repeat(64), "b", Stamp { wall: 0, up: Duration::ZERO }, &entry);
            let line = serde_json::to_string(&record).unwrap();
            assert!(!line.chars().any(|c| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c)), "{line}");
            let read: Record = serde_json::from_str(&line).unwrap();
            assert_eq!((&record, "other"), (&read, &*read.what));
        }
    }

    #[test]
    fn no_record_is_longer_than_the_budget_reckons_with() {
        for filler in ["\"", "\u{10ffff}", "\\", "\u{1}", "a"] {
            let mut record = record(&filler.repeat(100_000));
            record.boot = "01234567".into();
            record.from = Some("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".into());
            record.error = Some("not-taken-over".into());
            record.times = Some(u64::MAX);
            let line = serde_json::to_string(&record).unwrap();
            assert!(line.len() < LONGEST_LINE, "{} bytes", line.len());
        }
    }

    #[test]
    fn what_a_newer_release_has_written_can_be_read() {
        let line =
            r#"{"seq":1,"time":"t","up":1,"boot":"b","what":"teleport","detail":"","outcome":"odd","prev":"","x":1}"#;
        let record: Record = serde_json::from_str(line).unwrap();
        assert_eq!(("teleport", "odd"), (&*record.what, &*record.outcome));
    }

    #[test]
    fn a_record_is_found_by_what_a_person_reads_of_it() {
        let entry = Entry::new(What::Press, "press Power of main").by(Some("Anna"), Some([192, 0, 2, 7].into()));
        let stamp = Stamp { wall: 1_800_000_000, up: Duration::from_secs(5) };
        let record = Record::new(1, "abcdef".into(), "cafe", stamp, &entry.ended(Err("busy")));
        for there in ["anna", "192.0.2", "press", "power of", "2027-01-15t08:00", "busy", "not-done"] {
            assert!(record.has(there), "{there}");
        }
        for other in ["bert", "abcdef", "cafe", "seq"] {
            assert!(!record.has(other), "{other}");
        }
    }
}
