//! Makes one record of the beginning and one of the end of what somebody does again and again.
//!
//! Somebody who works at a target types for hours, with pauses; a script presses a chord a thousand times. What counts
//! later is who typed where, from when to when. How often is a number, and what was typed is nothing to write down.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::time::Duration;

use super::record::{Entry, Outcome, Stamp, What, time};

/// After this long without any more of it, it has ended. A pause in a person's work is shorter.
pub const PAUSE: Duration = Duration::from_secs(300);

/// As many go on at a time. Of what is one too many the budget counts that it was.
const MOST: usize = 64;

/// Who does what, where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Who.
    pub who: String,
    /// From where.
    pub from: Option<IpAddr>,
    /// What.
    pub what: What,
    /// At which seat.
    pub seat: Option<String>,
}

#[derive(Debug)]
struct Batch {
    last: Stamp,
    times: u64,
    /// How many are under way: as long as somebody goes on, there is no pause.
    under_way: u64,
}

/// What goes on.
#[derive(Debug, Default)]
pub struct Batches(BTreeMap<Subject, Batch>);

impl Batches {
    /// Whether this one begins: then there is a record to write.
    pub fn is_new(&self, subject: &Subject) -> bool {
        !self.0.contains_key(subject)
    }

    /// Whether there is room for one that is new.
    pub fn has_room(&self) -> bool {
        self.0.len() < MOST
    }

    /// Notes that somebody does it, once more or for the first time, and goes on until [`Batches::pause`].
    pub fn go_on(&mut self, stamp: Stamp, subject: Subject) {
        let batch = self.0.entry(subject).or_insert(Batch { last: stamp, times: 0, under_way: 0 });
        (batch.last, batch.times, batch.under_way) = (stamp, batch.times + 1, batch.under_way + 1);
    }

    /// Notes that this time has ended.
    pub fn pause(&mut self, stamp: Stamp, subject: &Subject) {
        if let Some(batch) = self.0.get_mut(subject) {
            (batch.last, batch.under_way) = (stamp, batch.under_way.saturating_sub(1));
        }
    }

    /// Takes the records of what has ended.
    pub fn tick(&mut self, now: Duration) -> Vec<Entry> {
        self.take(|batch| batch.due().is_some_and(|due| due <= now))
    }

    /// The same, of all there is.
    pub fn end(&mut self) -> Vec<Entry> {
        self.take(|_| true)
    }

    /// When [`Batches::tick`] next has something to give.
    pub fn deadline(&self) -> Option<Duration> {
        self.0.values().filter_map(Batch::due).min()
    }

    fn take(&mut self, is_due: impl Fn(&Batch) -> bool) -> Vec<Entry> {
        let ended = self.0.extract_if(.., |_, batch| is_due(batch));
        ended
            .map(|(subject, batch)| {
                let entry = subject.entry(format!("until {}", time(batch.last.wall))).times(batch.times);
                Entry { outcome: Outcome::Done, ..entry }
            })
            .collect()
    }
}

impl Batch {
    fn due(&self) -> Option<Duration> {
        (self.under_way == 0).then(|| self.last.up + PAUSE)
    }
}

impl Subject {
    /// A record of it.
    pub fn entry(&self, detail: impl Into<String>) -> Entry {
        Entry::new(self.what, detail).by(Some(&self.who), self.from).at(self.seat.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(who: &str) -> Subject {
        Subject { who: who.into(), from: None, what: What::Typing, seat: Some("main".into()) }
    }

    fn at(seconds: u64) -> Stamp {
        Stamp { wall: 1_800_000_000 + seconds, up: Duration::from_secs(seconds) }
    }

    #[test]
    fn pauses_are_no_ends_and_the_end_says_how_often_and_until_when() {
        let (mut batches, anna) = (Batches::default(), subject("anna"));
        assert!(batches.is_new(&anna));
        for start in (0..1000).step_by(100) {
            batches.go_on(at(start), anna.clone());
            batches.pause(at(start + 10), &anna);
            assert!(batches.tick(at(start + 20).up).is_empty() && !batches.is_new(&anna));
        }
        let due = at(910).up + PAUSE;
        assert_eq!(Some(due), batches.deadline());
        assert!(batches.tick(due - Duration::from_millis(1)).is_empty());
        let ended = batches.tick(due);
        assert_eq!((1, Outcome::Done, Some(10)), (ended.len(), ended[0].outcome, ended[0].times));
        assert_eq!("until 2027-01-15T08:15:10Z", ended[0].detail);
        assert_eq!((None, true), (batches.deadline(), batches.is_new(&anna)));
    }

    #[test]
    fn who_goes_on_for_hours_has_not_ended() {
        let (mut batches, anna) = (Batches::default(), subject("anna"));
        batches.go_on(at(0), anna.clone());
        batches.go_on(at(1), anna.clone());
        batches.pause(at(2), &anna);
        assert!(batches.tick(at(100_000).up).is_empty(), "the other page of theirs types");
        batches.pause(at(100_000), &anna);
        assert_eq!(1, batches.tick(at(100_000).up + PAUSE).len());
        batches.go_on(at(200_000), anna);
        assert_eq!(1, batches.end().len(), "with the daemon all ends");
    }
}
