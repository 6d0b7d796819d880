//! Keeps the date from going back, so that what has expired stays expired.
//!
//! A board without a battery for its clock starts each boot at the time its image was built, and may never learn a
//! better one. What expires there would be valid again after every reboot. So the latest time that anybody has seen is
//! kept, and it is never earlier than that; from there on the time since boot counts, so that even such a board reaches
//! an end.
//!
//! A server of the time may be wrong, too, and what is kept cannot be taken back. So only what the wall clock has said
//! for an hour, in step with the time since boot, is worth keeping. (The kernel's word that its clock is synchronised
//! would say less: busybox's ntpd leaves that unset.)

use std::time::Duration;

/// How long the wall clock has to have said the same for it to be kept.
const STEADY: Duration = Duration::from_secs(3600);

/// By how many seconds it may differ from the boot clock meanwhile, and still be the same.
const DRIFT: u64 = 60;

/// What time it is, in seconds since 1970: by the wall clock, or later.
#[derive(Debug)]
pub struct MonotonicClock {
    latest: Reading,
    kept: Reading,
    /// What the wall clock began to say, which may be kept one day.
    said: Option<Reading>,
}

/// A time in seconds since 1970, and when it was that time, on the boot clock.
#[derive(Debug, Clone, Copy)]
struct Reading {
    time: u64,
    at: Duration,
}

impl Reading {
    /// What time it is by now.
    fn time(self, now: Duration) -> u64 {
        self.time.saturating_add(now.saturating_sub(self.at).as_secs())
    }
}

impl MonotonicClock {
    /// Goes on from the latest time that was kept, at `now` on the boot clock.
    pub fn new(now: Duration, latest: u64) -> MonotonicClock {
        let kept = Reading { time: latest, at: now };
        MonotonicClock { latest: kept, kept, said: None }
    }

    /// The time, given what the boot clock and the wall clock say.
    pub fn time(&mut self, now: Duration, wall: u64) -> u64 {
        let reading = Reading { time: wall, at: now };
        let said = self.said.filter(|said| said.time(now).abs_diff(wall) <= DRIFT).unwrap_or(reading);
        self.said = Some(said);
        if said.at + STEADY <= now && self.kept.time(now) < wall {
            self.kept = reading;
        }
        if self.latest.time(now) < wall {
            self.latest = reading;
        }
        self.latest.time(now)
    }

    /// The time that is worth keeping beyond this boot.
    pub fn kept(&self, now: Duration) -> u64 {
        self.kept.time(now)
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
    fn a_time_is_worth_keeping_once_the_wall_clock_has_said_it_for_an_hour() {
        let mut calendar = MonotonicClock::new(boot(0), 1000);
        for minute in 0..60 {
            calendar.time(boot(minute * 60), 50_000 + minute * 60);
            assert_eq!(1000 + minute * 60, calendar.kept(boot(minute * 60)));
        }
        calendar.time(boot(3600), 53_601);
        assert_eq!(53_601, calendar.kept(boot(3600)), "a second of drift is none");
    }

    #[test]
    fn a_wrong_answer_is_not_kept() {
        let mut calendar = MonotonicClock::new(boot(0), 1000);
        const YEAR_2106: u64 = u32::MAX as u64;
        for minute in 0..600 {
            let wrong = if minute % 50 == 0 { YEAR_2106 } else { 2000 + minute * 60 };
            calendar.time(boot(minute * 60), wrong);
            assert!(calendar.kept(boot(minute * 60)) < 100_000, "after {minute} minutes");
        }
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
