//! Remembers what a confirmed release had, so that the next one is held to the same and to no more.
//!
//! An appliance may be fit without an address from anybody, because its owner reaches it over a plain cable. An update
//! that was held to what its machine never had would be taken back, and the next one, too. So what a release meets
//! while it is confirmed is noted down, and a trial asks for that.

use std::fmt;
use std::time::{Duration, Instant};

/// How long something must have been missing before a new release may lack it, too: a router that restarts takes
/// minutes.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Between two tries to write the same note.
const AGAIN: Duration = Duration::from_secs(60);
/// What a machine has is there by then, as far as it is worth a first note.
const SETTLED: Duration = Duration::from_secs(30);

/// A set of what a machine needs in addition to a page that answers.
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
        // A word of a newer release is ignored: what it asks for is not looked at here.
        let named = |word: &str| Needs::NAMES.iter().find(|(_, name)| *name == word).map(|(need, _)| *need);
        let all = note.split_whitespace().filter_map(named).fold(Needs::default(), Needs::with);
        all.has(Needs::STORAGE).then_some(all)
    }

    /// What either of the two names.
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
    /// What is to be noted, until it has been, and when that was last tried.
    wanted: Option<Needs>,
    tried: Option<Instant>,
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

    /// Takes in what a confirmed release meets. Gives what is to be noted down: at once when that is more than before,
    /// and after an hour when it was less all the time; and again after a minute if [`Record::written`] has not been
    /// told.
    pub fn met(&mut self, now: Instant, met: Needs) -> Option<Needs> {
        let noted = self.noted?;
        let since = *self.since.get_or_insert(now);
        self.lately = self.lately.with(met);
        let lasted = now.saturating_duration_since(since);
        let wanted = match self.wanted.or(noted) {
            None if lasted < SETTLED => return None,
            Some(known) if lasted < FORGOTTEN => known.with(met),
            _ => self.lately,
        };
        if FORGOTTEN <= lasted {
            (self.lately, self.since) = (met, Some(now));
        }
        self.wanted = (noted != Some(wanted)).then_some(wanted);
        let is_early = self.tried.is_some_and(|tried| now.saturating_duration_since(tried) < AGAIN);
        let due = self.wanted.filter(|_| !is_early)?;
        self.tried = Some(now);
        Some(due)
    }

    /// Takes in that this has been noted down.
    pub fn written(&mut self, needs: Needs) {
        self.noted = Some(Some(needs));
        self.wanted = self.wanted.filter(|wanted| *wanted != needs);
        self.tried = None;
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
            let due = record.met(begun + Duration::from_secs(secs), met);
            due.into_iter().for_each(|needs| record.written(needs));
            noted.extend(due.map(|needs| (secs, needs)));
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
            let due = record.met(begun + Duration::from_secs(60 * minute), met);
            due.into_iter().for_each(|needs| record.written(needs));
            noted.extend(due.map(|needs| (minute, needs)));
        }
        assert_eq!([(0, Needs::ALL), (120, CABLE)], noted[..]);
        assert_eq!(CABLE, record.demanded());
    }

    #[test]
    fn a_note_that_could_not_be_written_is_tried_again_and_not_believed_meanwhile() {
        let (mut record, begun) = (Record::default(), Instant::now());
        record.recall(Some(CABLE));
        let at = |secs| begun + Duration::from_secs(secs);
        assert_eq!(Some(Needs::ALL), record.met(at(0), Needs::ALL));
        assert_eq!((None, CABLE), (record.met(at(5), CABLE), record.demanded()), "not yet again, and not noted");
        assert_eq!(Some(Needs::ALL), record.met(at(60), CABLE), "what was met once stays to be noted");
        record.written(Needs::ALL);
        assert_eq!((None, Needs::ALL), (record.met(at(65), CABLE), record.demanded()));
        // What goes is forgotten an hour later, and that, too, until it is written.
        let mut tries = Vec::new();
        for minute in 60..200 {
            tries.extend(record.met(at(60 * minute), CABLE).map(|needs| (minute, needs)));
        }
        assert_eq!([(120, CABLE), (121, CABLE)], tries[..2]);
        assert_eq!(80, tries.len(), "once a minute");
        record.written(CABLE);
        assert_eq!(None, record.met(at(60 * 200), CABLE));
    }

    #[test]
    fn the_same_again_is_not_written_again() {
        let (mut record, begun) = (Record::default(), Instant::now());
        record.recall(Some(Needs::ALL));
        let notes = (0..1000).filter_map(|minute| record.met(begun + Duration::from_secs(60 * minute), Needs::ALL));
        assert_eq!(0, notes.count());
    }
}
