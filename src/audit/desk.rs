//! Decides what of all that happens is written down: the budget and the batches, applied together.

use std::time::Duration;

use super::batches::{Batches, Subject};
use super::budget::{Budget, Class};
use super::record::{Entry, Stamp};

/// What is used of the budget, and what goes on.
#[derive(Debug, Default)]
pub struct Desk {
    budget: Budget,
    batches: Batches,
}

impl Desk {
    /// Whether a record of this is written, and so is the one of how it ends.
    pub fn admit(&mut self, stamp: Stamp, class: Class, who: Option<&str>) -> bool {
        self.budget.admit(stamp.up, class, who)
    }

    /// Notes that somebody begins what happens often, until [`Desk::pause`]. The first is a record; `None` if there is
    /// no room for it, and then there is no pause either.
    pub fn go_on(&mut self, stamp: Stamp, subject: &Subject) -> Option<Option<Entry>> {
        let (is_new, who) = (self.batches.is_new(subject), Some(subject.who.as_str()));
        if is_new && !self.batches.has_room() {
            self.budget.leave_out(Class::Frequent, who);
            return None;
        }
        if is_new && !self.budget.admit(stamp.up, Class::Frequent, who) {
            return None;
        }
        self.batches.go_on(stamp, subject.clone());
        Some(is_new.then(|| subject.entry("")))
    }

    /// Notes that this time has ended.
    pub fn pause(&mut self, stamp: Stamp, subject: &Subject) {
        self.batches.pause(stamp, subject);
    }

    /// Takes the records that are due.
    pub fn tick(&mut self, stamp: Stamp) -> Vec<Entry> {
        [self.batches.tick(stamp.up), self.budget.tick(stamp.up)].concat()
    }

    /// Takes the records of all that goes on, or was counted.
    pub fn end(&mut self, stamp: Stamp) -> Vec<Entry> {
        [self.batches.end(), self.budget.end(stamp.up)].concat()
    }

    /// When [`Desk::tick`] next has a record.
    pub fn deadline(&self) -> Option<Duration> {
        [self.batches.deadline(), self.budget.deadline()].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::batches::PAUSE;
    use super::super::record::What;
    use super::*;

    fn subject(n: usize) -> Subject {
        Subject { who: format!("user{n}"), from: None, what: What::Chord, seat: None }
    }

    #[test]
    fn a_thousand_chords_are_two_records() {
        let (mut desk, mut records) = (Desk::default(), Vec::new());
        let stamp = |n| Stamp { wall: 0, up: Duration::from_millis(n) };
        for n in 0..1000 {
            records.extend(desk.go_on(stamp(n), &subject(0)).flatten());
            desk.pause(stamp(n), &subject(0));
        }
        records.extend(desk.tick(Stamp { wall: 0, up: desk.deadline().unwrap() }));
        assert_eq!((2, Some(1000)), (records.len(), records[1].times));
        assert_eq!(None, desk.deadline());
    }

    #[test]
    fn however_many_go_on_memory_is_bounded_and_the_rest_is_counted() {
        let mut desk = Desk::default();
        let stamp = Stamp { wall: 0, up: Duration::from_secs(1) };
        let begun = (0..1000).filter(|n| desk.go_on(stamp, &subject(*n)).is_some()).count();
        assert_eq!(64, begun);
        let ended = desk.end(Stamp { wall: 0, up: stamp.up + PAUSE });
        let counted = ended.iter().find(|entry| entry.what == What::Typing).unwrap();
        assert_eq!((65, Some(936)), (ended.len(), counted.times));
    }
}
