//! Decides which lines the log takes of one principal, and counts those that it leaves out.
//!
//! The log is short, and a script may ask for a thousand things a second. Without a bound its lines push out those that
//! an owner looks for. [`LineLimiter`] takes the first lines of each window; when the window is over, it gives the
//! number of the others. It reads no clock: the caller passes `now` in, and comes back at [`LineLimiter::deadline`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Lines of one principal in a window: more than a person makes.
pub const LINES: u32 = 20;

/// How long they count, from the first one on.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Principals who are counted by themselves. All others share one count.
const PRINCIPALS: usize = 64;

/// How many lines were left out of one principal; without a name, of several.
#[derive(Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Whose.
    pub name: Option<String>,
    /// How many.
    pub count: u64,
}

/// Counts lines by principal.
#[derive(Debug, Default)]
pub struct LineLimiter {
    counts: BTreeMap<Option<String>, Count>,
    left_out: VecDeque<LeftOut>,
}

#[derive(Debug)]
struct Count {
    began: Duration,
    lines: u32,
    left_out: u64,
}

impl LineLimiter {
    /// Whether the log takes another line of this principal; drain [`LineLimiter::poll`] afterwards.
    pub fn admit(&mut self, now: Duration, name: &str) -> bool {
        self.tick(now);
        let name = Some(name.to_string());
        let name = if self.counts.contains_key(&name) || self.counts.len() < PRINCIPALS { name } else { None };
        let count = self.counts.entry(name).or_insert(Count { began: now, lines: 0, left_out: 0 });
        let is_admitted = count.lines < LINES;
        if is_admitted {
            count.lines += 1;
        } else {
            count.left_out += 1;
        }
        is_admitted
    }

    /// Ends the windows that are over.
    pub fn tick(&mut self, now: Duration) {
        let LineLimiter { counts, left_out } = self;
        counts.retain(|name, count| {
            let is_over = count.began + WINDOW <= now;
            if is_over && 0 < count.left_out {
                left_out.push_back(LeftOut { name: name.clone(), count: count.left_out });
            }
            !is_over
        });
    }

    /// Ends all windows.
    pub fn end(&mut self) {
        self.tick(Duration::MAX);
    }

    /// Takes the next number that is to be told.
    pub fn poll(&mut self) -> Option<LeftOut> {
        self.left_out.pop_front()
    }

    /// When [`LineLimiter::tick`] next has a number to tell.
    pub fn deadline(&self) -> Option<Duration> {
        let told = self.counts.values().filter(|count| 0 < count.left_out);
        told.map(|count| count.began + WINDOW).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    /// How many of `lines` at one moment are taken.
    fn taken(limiter: &mut LineLimiter, now: Duration, name: &str, lines: u32) -> u32 {
        (0..lines).map(|_| u32::from(limiter.admit(now, name))).sum()
    }

    #[test]
    fn the_first_lines_of_a_window_are_taken_and_the_others_are_counted_once() {
        let (mut limiter, anna) = (LineLimiter::default(), "anna");
        assert_eq!(LINES, taken(&mut limiter, START, anna, LINES));
        assert_eq!(None, limiter.deadline(), "nothing was left out");
        assert_eq!(0, taken(&mut limiter, START + WINDOW / 2, anna, 1000));
        assert_eq!(Some(START + WINDOW), limiter.deadline());
        limiter.tick(START + WINDOW - Duration::from_millis(1));
        assert_eq!(None, limiter.poll());
        limiter.tick(START + WINDOW);
        assert_eq!(Some(LeftOut { name: Some(anna.into()), count: 1000 }), limiter.poll());
        assert_eq!((None, None), (limiter.poll(), limiter.deadline()));
        assert_eq!(LINES, taken(&mut limiter, START + WINDOW, anna, 1000), "another window");
        limiter.end();
        assert_eq!(Some(1000 - u64::from(LINES)), limiter.poll().map(|left_out| left_out.count));
    }

    #[test]
    fn nobody_uses_up_anothers_lines() {
        let mut limiter = LineLimiter::default();
        taken(&mut limiter, START, "script", 1000);
        assert_eq!(LINES, taken(&mut limiter, START, "anna", LINES));
    }

    #[test]
    fn memory_is_bounded_and_who_is_one_too_many_is_counted_with_others() {
        let mut limiter = LineLimiter::default();
        let lines: u32 = (0..1000).map(|n| taken(&mut limiter, START, &format!("user{n}"), 2)).sum();
        assert_eq!(PRINCIPALS + 1, limiter.counts.len());
        assert_eq!(2 * PRINCIPALS as u32 + LINES, lines);
        limiter.end();
        let others = LeftOut { name: None, count: 2 * (1000 - PRINCIPALS as u64) - u64::from(LINES) };
        assert_eq!((Some(others), None), (limiter.poll(), limiter.poll()));
        assert!(limiter.counts.is_empty());
    }
}
