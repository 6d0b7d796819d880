//! Decides which records the audit log takes, and counts those that it leaves out.
//!
//! The log is on a card, which wears out, and has room for some ten thousand records, which a flood must not push out.
//! So each class of records has so many at once and so many a day, and of what one person does that lasts each person
//! has a part: nobody uses up what is left for others. What is left out is reported as a number, a line for many.

use std::collections::BTreeMap;
use std::time::Duration;

use super::record::{Entry, LONGEST_LINE, Outcome, What};

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Something that people do who have shown who they are, and that lasts.
    Lasting,
    /// Typing, which begins and ends all the time, and what people are refused.
    Frequent,
    /// A wrong password or code: anybody can send one.
    Stranger,
}

impl Class {
    const ALL: [Class; 3] = [Class::Lasting, Class::Frequent, Class::Stranger];

    /// How many at once, and one in which time from then on: all of a class together.
    const fn rate(self) -> Rate {
        match self {
            Class::Lasting => Rate { burst: 400, every: Duration::from_secs(30) },
            Class::Frequent => Rate { burst: 100, every: Duration::from_secs(120) },
            Class::Stranger => Rate { burst: 20, every: Duration::from_secs(300) },
        }
    }
}

/// The same for what one person does that lasts: a program that presses a button every minute is written down whole.
const OWN: Rate = Rate { burst: 60, every: Duration::from_secs(60) };

/// How often the number of those left out is reported, in each class.
const COUNTED: Duration = Duration::from_secs(600);

/// Persons who are counted by themselves: all accounts and tokens there can be. All others share one count.
const PERSONS: usize = 128;

/// The most bytes a day that are written once bursts are over: each act has a line before and one after.
pub const BYTES_A_DAY: u64 = {
    const DAY: u64 = 24 * 60 * 60;
    let acts = DAY / Class::Lasting.rate().every.as_secs()
        + DAY / Class::Frequent.rate().every.as_secs()
        + DAY / Class::Stranger.rate().every.as_secs();
    let counted = Class::ALL.len() as u64 * DAY / COUNTED.as_secs();
    (2 * acts + counted) * LONGEST_LINE as u64
};

// Some 16 MiB in the worst of cases, when every text in every record is as long as can be: a card of 8 GB is written
// once in a year and a half.
const _: () = assert!(BYTES_A_DAY <= 17 << 20);

#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: u32,
    every: Duration,
}

/// How much of a rate has been used: the time at which all of it is there again.
#[derive(Debug, Clone, Copy, Default)]
struct Used(Duration);

impl Used {
    fn has_room(self, now: Duration, rate: Rate) -> bool {
        self.0.saturating_sub(now) + rate.every <= rate.every * rate.burst
    }

    fn take(&mut self, now: Duration, rate: Rate) {
        self.0 = self.0.max(now) + rate.every;
    }
}

#[derive(Debug, Default)]
struct LeftOut {
    count: u64,
    /// Whose they were, if one person's.
    who: Option<String>,
    of_several: bool,
    last_told: Option<Duration>,
}

/// What has been used of what there is.
#[derive(Debug, Default)]
pub struct Budget {
    all: [Used; 3],
    own: BTreeMap<Option<String>, Used>,
    left_out: [LeftOut; 3],
}

impl Budget {
    /// Whether another record is taken. One that is not is counted.
    pub fn admit(&mut self, now: Duration, class: Class, who: Option<&str>) -> bool {
        self.own.retain(|_, used| now < used.0);
        let name = who.map(String::from);
        let key = if self.own.contains_key(&name) || self.own.len() < PERSONS { name } else { None };
        let own = self.own.get(&key).copied().unwrap_or_default();
        let all = &mut self.all[class as usize];
        let is_own = class == Class::Lasting;
        if all.has_room(now, class.rate()) && (!is_own || own.has_room(now, OWN)) {
            all.take(now, class.rate());
            if is_own {
                self.own.entry(key).or_default().take(now, OWN);
            }
            return true;
        }
        self.leave_out(class, who);
        false
    }

    /// Counts one for which there is no room elsewhere.
    pub fn leave_out(&mut self, class: Class, who: Option<&str>) {
        let left_out = &mut self.left_out[class as usize];
        left_out.of_several |= 0 < left_out.count && left_out.who.as_deref() != who;
        left_out.who = who.map(String::from);
        left_out.count += 1;
    }

    /// Takes what is to be told of what was left out.
    pub fn tick(&mut self, now: Duration) -> Vec<Entry> {
        let due = |left_out: &LeftOut| left_out.due().is_some_and(|due| due <= now);
        self.tell(now, due)
    }

    /// The same, whether or not it is time to.
    pub fn end(&mut self, now: Duration) -> Vec<Entry> {
        self.tell(now, |left_out| 0 < left_out.count)
    }

    /// When [`Budget::tick`] next has something to tell.
    pub fn deadline(&self) -> Option<Duration> {
        self.left_out.iter().filter_map(LeftOut::due).min()
    }

    fn tell(&mut self, now: Duration, is_due: impl Fn(&LeftOut) -> bool) -> Vec<Entry> {
        let told = Class::ALL.into_iter().zip(&mut self.left_out).filter(|(_, left_out)| is_due(left_out));
        told.map(|(class, left_out)| {
            let LeftOut { count, who, of_several, .. } = std::mem::take(left_out);
            left_out.last_told = Some(now);
            let (what, of) = match class {
                Class::Lasting => (What::Other, "more acts"),
                Class::Frequent => (What::Typing, "more times that somebody typed or was refused"),
                Class::Stranger => (What::Login, "more wrong passwords and codes"),
            };
            let who = who.filter(|_| !of_several);
            let entry = Entry::new(what, format!("{of}, which are only counted")).by(who.as_deref(), None);
            Entry { outcome: if class == Class::Stranger { Outcome::NotDone } else { Outcome::Begun }, ..entry }
                .times(count)
        })
        .collect()
    }
}

impl LeftOut {
    fn due(&self) -> Option<Duration> {
        (0 < self.count).then(|| self.last_told.map_or(Duration::ZERO, |last| last + COUNTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1000);
    const DAY: u64 = 24 * 60 * 60;

    /// How many of a flood of a thousand a second are taken in this time, and how many are counted in how many lines.
    fn flood(budget: &mut Budget, class: Class, who: Option<&str>, seconds: u64) -> (u64, u64, u64) {
        let (mut taken, mut counted, mut lines) = (0, 0, 0);
        for second in 0..seconds {
            let now = START + Duration::from_secs(second);
            for _ in 0..2 {
                taken += u64::from(budget.admit(now, class, who));
            }
            for entry in budget.tick(now) {
                counted += entry.times.unwrap();
                lines += 1;
            }
        }
        counted +=
            budget.end(START + Duration::from_secs(seconds)).iter().map(|entry| entry.times.unwrap()).sum::<u64>();
        (taken, counted, lines)
    }

    #[test]
    fn a_flood_of_wrong_passwords_is_some_hundred_lines_a_day_and_none_is_lost_count_of() {
        let (taken, counted, lines) = flood(&mut Budget::default(), Class::Stranger, None, DAY);
        assert_eq!((20 + DAY / 300, 2 * DAY), (taken + 1, taken + counted));
        assert_eq!(DAY / 600, lines);
    }

    #[test]
    fn a_day_of_every_flood_at_once_stays_within_the_bytes_that_are_promised() {
        let mut budget = Budget::default();
        let bytes: u64 = Class::ALL
            .into_iter()
            .map(|class| {
                let (taken, _, lines) = flood(&mut budget, class, Some("anna"), DAY);
                let burst = u64::from(class.rate().burst.max(OWN.burst));
                (2 * taken.saturating_sub(burst) + lines) * LONGEST_LINE as u64
            })
            .sum();
        assert!(bytes <= BYTES_A_DAY, "{bytes} of {BYTES_A_DAY}");
    }

    #[test]
    fn nobody_uses_up_what_another_does() {
        let mut budget = Budget::default();
        let (taken, ..) = flood(&mut budget, Class::Lasting, Some("script"), 600);
        assert!((60..80).contains(&taken), "{taken}");
        flood(&mut budget, Class::Stranger, None, 600);
        flood(&mut budget, Class::Frequent, Some("script"), 600);
        let now = START + Duration::from_secs(600);
        assert!((0..60).all(|_| budget.admit(now, Class::Lasting, Some("anna"))));
        assert!(!budget.admit(now, Class::Lasting, Some("anna")));
    }

    #[test]
    fn what_was_left_out_is_told_with_whose_it_was_if_it_was_one_persons() {
        let mut budget = Budget::default();
        flood(&mut budget, Class::Frequent, Some("anna"), 100);
        assert_eq!(Vec::<Entry>::new(), budget.end(START), "all told");
        let deadlines = (budget.admit(START, Class::Frequent, Some("anna")), budget.deadline());
        assert_eq!((false, true), (deadlines.0, deadlines.1.is_some_and(|at| START < at)));
        assert_eq!(Some("anna"), budget.end(START)[0].who.as_deref());
        for who in ["anna", "bert"] {
            assert!(!budget.admit(START, Class::Frequent, Some(who)));
        }
        let told = budget.end(START);
        assert_eq!((None, Some(2)), (told[0].who.as_deref(), told[0].times));
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let mut budget = Budget::default();
        for n in 0..10_000 {
            budget.admit(START, Class::Lasting, Some(&format!("user{n}")));
        }
        assert!(budget.own.len() <= PERSONS + 1);
    }
}
