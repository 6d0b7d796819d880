//! Remembers the lowest of what was measured lately.
//!
//! What is measured on a network is what the way itself takes, plus what stood in the way just then; so the lowest is
//! the way itself. It must be forgotten in time, because ways change and clocks drift. The clock is passed in.

use std::time::{Duration, Instant};

/// The lowest value of the last period, and of as much as another before it.
#[derive(Debug)]
pub struct Lowest<T> {
    period: Duration,
    begun: Instant,
    now: Option<T>,
    before: Option<T>,
}

impl<T: Ord + Copy> Lowest<T> {
    /// Remembers for one to two of these periods.
    pub fn over(period: Duration, now: Instant) -> Lowest<T> {
        Lowest { period, begun: now, now: None, before: None }
    }

    /// Notes a value.
    pub fn note(&mut self, now: Instant, value: T) {
        let age = now.saturating_duration_since(self.begun);
        if self.period <= age {
            // After a silence of a period or more nothing that is known is recent.
            self.before = self.now.take().filter(|_| age < self.period * 2);
            self.begun = now;
        }
        self.now = Some(self.now.map_or(value, |lowest| lowest.min(value)));
    }

    /// The lowest value, if there has been any.
    pub fn value(&self) -> Option<T> {
        self.now.into_iter().chain(self.before).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[(u64, i64)], expected: Option<i64>) {
        let start = Instant::now();
        let mut lowest = Lowest::over(Duration::from_secs(10), start);
        for (second, value) in values {
            lowest.note(start + Duration::from_secs(*second), *value);
        }
        assert_eq!(expected, lowest.value());
    }

    #[test]
    fn the_lowest_of_late_is_known() {
        check(&[], None);
        check(&[(0, 7)], Some(7));
        check(&[(0, 7), (1, 3), (2, 5)], Some(3));
        check(&[(0, 3), (12, 5)], Some(3));
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        check(&[(0, 3), (12, 5), (23, 7)], Some(5));
        check(&[(0, 3), (12, 5), (23, 7), (34, 7)], Some(7));
    }

    #[test]
    fn a_shorter_silence_than_a_period_forgets_nothing_and_a_long_one_all() {
        check(&[(0, 3), (9, 5), (18, 7)], Some(3));
        check(&[(0, 3), (9, 5), (20, 7)], Some(7));
    }
}
