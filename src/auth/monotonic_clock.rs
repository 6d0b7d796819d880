//! Keeps the date from going back, for what must not come to life again.
//!
//! A board without a battery for its clock starts each boot at the time its image was built, and may never learn a better
//! one. What expires there would be valid again after every reboot. So the latest time that anybody has seen is kept, and it
//! is never earlier than that; from there on the time since boot counts, so that even such a board reaches an end.

use std::time::Duration;

/// What time it is, in seconds since 1970: by the wall clock, or later.
#[derive(Debug)]
pub struct MonotonicClock {
    latest: u64,
    /// When it was that time, on the boot clock.
    at: Duration,
}

impl MonotonicClock {
    /// Goes on from the latest time that was kept, at `now` on the boot clock.
    pub fn new(now: Duration, latest: u64) -> MonotonicClock {
        MonotonicClock { latest, at: now }
    }

    /// The time, given what the boot clock and the wall clock say.
    pub fn time(&mut self, now: Duration, wall: u64) -> u64 {
        let counted = self.latest.saturating_add(now.saturating_sub(self.at).as_secs());
        if counted < wall {
            *self = MonotonicClock::new(now, wall);
        }
        counted.max(wall)
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::monotonic_clock::*;

    fn boot(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_good_clock_is_believed() {
        let mut calendar = MonotonicClock::new(boot(5), 0);
        assert_eq!(1000, calendar.time(boot(5), 1000));
        assert_eq!(1060, calendar.time(boot(65), 1060));
        assert_eq!(9000, calendar.time(boot(66), 9000), "somebody has set it");
    }

    #[test]
    fn a_clock_that_starts_again_goes_on_from_the_latest_time() {
        let mut calendar = MonotonicClock::new(boot(5), 1000);
        assert_eq!(1000, calendar.time(boot(5), 10));
        assert_eq!(1030, calendar.time(boot(35), 40));
        assert_eq!(2000, calendar.time(boot(40), 2000), "it has learnt the time");
    }

    #[test]
    fn setting_the_clock_back_changes_nothing() {
        let mut calendar = MonotonicClock::new(boot(0), 0);
        assert_eq!(1000, calendar.time(boot(10), 1000));
        assert_eq!(1010, calendar.time(boot(20), 500));
    }

    #[test]
    fn parts_of_a_second_add_up() {
        let mut calendar = MonotonicClock::new(boot(0), 1000);
        let last = (0..=100).map(|tenth| calendar.time(Duration::from_millis(tenth * 100), 0)).last();
        assert_eq!(Some(1010), last);
    }

    #[test]
    fn a_time_beyond_all_others_does_not_overflow() {
        assert_eq!(u64::MAX, MonotonicClock::new(boot(0), u64::MAX).time(boot(10), 1));
    }
}
