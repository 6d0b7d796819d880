//! Remembers what a confirmed release had, so that the next one is held to the same and to no more.
//!
//! An appliance may be fit without an address from anybody, because its owner reaches it over a plain cable. An update that was
//! held to what its machine never had would be taken back, and the next one, too. So what a release meets while it is confirmed
//! is noted down, and a trial asks for that.

use std::fmt;
use std::time::{Duration, Instant};

/// How long something must have been missing before a new release may lack it, too: a router that restarts takes minutes.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// What a machine has is there by then, as far as it is worth a first note.
const SETTLED: Duration = Duration::from_secs(30);

/// A set of what a machine needs beside a page that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs(u8);

impl Needs {
    /// `/data` can be written.
    pub const STORAGE: Needs = Needs(1);
    /// The keyboard is bound to its controller.
    pub const KEYBOARD: Needs = Needs(2);
    /// The clock is past the build.
    pub const CLOCK: Needs = Needs(4);
    /// Some interface has an address that it has not made itself.
    pub const NETWORK: Needs = Needs(8);
    /// All of them.
    pub const ALL: Needs = Needs(15);

    const NAMES: [(Needs, &str); 4] = [
        (Needs::STORAGE, "storage"),
        (Needs::KEYBOARD, "keyboard"),
        (Needs::CLOCK, "clock"),
        (Needs::NETWORK, "network"),
    ];

    /// Reads a note. One without storage is none, since it could not have been written.
    pub fn parse(note: &str) -> Option<Needs> {
        // A word of a newer release is passed over: what it asks for is not looked at here.
        let named = |word: &str| Needs::NAMES.iter().find(|(_, name)| *name == word).map(|(need, _)| *need);
        let all = note.split_whitespace().filter_map(named).fold(Needs::default(), Needs::with);
        all.has(Needs::STORAGE).then_some(all)
    }

    /// These and those.
    pub fn with(self, other: Needs) -> Needs {
        Needs(self.0 | other.0)
    }

    /// These but for those.
    pub fn without(self, other: Needs) -> Needs {
        Needs(self.0 & !other.0)
    }

    /// Whether these contain all of those.
    pub fn has(self, other: Needs) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names: Vec<_> = Needs::NAMES.iter().filter(|(need, _)| self.has(*need)).map(|(_, name)| *name).collect();
        f.write_str(&names.join(" "))
    }
}

/// Something that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is not met by it.
    pub lacks: Needs,
    /// What is wrong, in words.
    pub text: String,
}

/// What is known of what this machine can have.
#[derive(Debug, Default)]
pub struct Record {
    /// What the note says, once it has been read; inside, None: there is no note.
    noted: Option<Option<Needs>>,
    lately: Needs,
    since: Option<Instant>,
}

impl Record {
    /// Takes in what was noted down earlier.
    pub fn recall(&mut self, noted: Option<Needs>) {
        self.noted = Some(noted);
    }

    /// What a release on trial is held to: everything, until it is known that the one before had less.
    pub fn demanded(&self) -> Needs {
        self.noted.flatten().unwrap_or(Needs::ALL)
    }

    /// Takes in what a confirmed release meets. Gives what is to be noted down: at once when that is more than before, and
    /// after an hour when it was less all the time.
    pub fn met(&mut self, now: Instant, met: Needs) -> Option<Needs> {
        let noted = self.noted?;
        let since = *self.since.get_or_insert(now);
        self.lately = self.lately.with(met);
        let lasted = now.saturating_duration_since(since);
        let wanted = match noted {
            None if lasted < SETTLED => return None,
            Some(noted) if lasted < FORGOTTEN => noted.with(met),
            _ => self.lately,
        };
        if FORGOTTEN <= lasted {
            (self.lately, self.since) = (met, Some(now));
        }
        self.noted = Some(Some(wanted));
        (noted != Some(wanted)).then_some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CABLE: Needs = Needs(7);

    #[test]
    fn a_note_is_read_as_it_was_written_and_half_of_one_is_none() {
        for bits in 0..=15 {
            let needs = Needs(bits);
            let expected = needs.has(Needs::STORAGE).then_some(needs);
            assert_eq!(expected, Needs::parse(&format!("{needs}\n")), "{needs}");
        }
        assert_eq!("storage keyboard clock network", Needs::ALL.to_string());
        assert_eq!(Some(Needs::STORAGE.with(Needs::CLOCK)), Needs::parse("clock tomorrow storage"));
        for garbage in ["", "\0\0\0", "stor", "network"] {
            assert_eq!(None, Needs::parse(garbage), "{garbage:?}");
        }
    }

    #[test]
    fn without_a_note_everything_is_demanded() {
        let mut record = Record::default();
        assert_eq!(Needs::ALL, record.demanded());
        assert_eq!(None, record.met(Instant::now(), CABLE), "what has not been read is not written over");
        record.recall(None);
        assert_eq!(Needs::ALL, record.demanded());
        record.recall(Some(CABLE));
        assert_eq!(CABLE, record.demanded());
    }

    #[test]
    fn the_first_note_is_made_when_all_has_had_time_to_come() {
        let (mut record, begun) = (Record::default(), Instant::now());
        record.recall(None);
        let mut noted = Vec::new();
        for secs in (0..120).step_by(5) {
            let met = if secs < 20 { Needs::STORAGE } else { CABLE };
            noted.extend(record.met(begun + Duration::from_secs(secs), met).map(|needs| (secs, needs)));
        }
        assert_eq!([(30, CABLE)], noted[..]);
    }

    #[test]
    fn what_comes_counts_at_once_and_what_goes_after_an_hour() {
        let (mut record, begun) = (Record::default(), Instant::now());
        record.recall(Some(CABLE));
        let mut noted = Vec::new();
        for minute in 0..240 {
            // A network for ten minutes, away for half an hour, back for a moment, and gone for good.
            let met = if minute < 10 || minute == 40 { Needs::ALL } else { CABLE };
            noted.extend(record.met(begun + Duration::from_secs(60 * minute), met).map(|needs| (minute, needs)));
        }
        assert_eq!([(0, Needs::ALL), (120, CABLE)], noted[..]);
        assert_eq!(CABLE, record.demanded());
    }

    #[test]
    fn the_same_again_is_not_written_again() {
        let (mut record, begun) = (Record::default(), Instant::now());
        record.recall(Some(Needs::ALL));
        let notes = (0..1000).filter_map(|minute| record.met(begun + Duration::from_secs(60 * minute), Needs::ALL));
        assert_eq!(0, notes.count());
    }
}
