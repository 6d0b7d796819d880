//! Tells what came late from what came in time, by the clock of whoever sent it.
//!
//! A network that stalls keeps what was sent into it, and delivers it all when the stall ends: keys that somebody
//! struck at a picture that stood still, and that would now meet another one. So a message may say when it was sent.
//! The two clocks begin at different moments and say nothing alone; but the smallest difference between them is that
//! of the fastest message, and what differs by much more was held up on its way. The clock is passed in.

use std::time::{Duration, Instant};

use super::error::{ControlError, LATE_REQUEST};
use super::lowest::Lowest;

/// What was held up for longer is late. A person waits about this long before they believe that nothing happened.
pub const LATE: Duration = Duration::from_secs(1);

/// How long a fast message is remembered. Longer than any stall that a connection outlives, so that what comes out of
/// one is compared with what went before; and short enough for two clocks that do not run equally fast. Answers to
/// beats see to it that there is a recent one.
const MEMORY: Duration = Duration::from_secs(60);

/// Refuses what was asked for at `at` if that is too long ago by `now`, both in milliseconds of our own clock. Without
/// a time nothing is late, and what seems to come from the future was asked for before we started again.
pub fn check_time(now: u64, at: Option<u64>) -> Result<(), ControlError> {
    match at.map(|at| Duration::from_millis(now.saturating_sub(at))) {
        Some(age) if LATE_REQUEST < age => Err(ControlError::Late),
        _ => Ok(()),
    }
}

/// How long the messages of one sender are on their way.
#[derive(Debug)]
pub struct Delay {
    start: Instant,
    /// Our clock less the sender's, in milliseconds, each since its own start.
    apart: Lowest<i128>,
}

impl Delay {
    /// Nothing has come yet.
    pub fn new(now: Instant) -> Delay {
        Delay { start: now, apart: Lowest::over(MEMORY, now) }
    }

    /// Notes a message that was sent at `t`, in milliseconds by its sender's clock, and tells whether it is late.
    pub fn is_late(&mut self, now: Instant, t: u64) -> bool {
        let ours = now.saturating_duration_since(self.start).as_millis();
        let apart = i128::try_from(ours).unwrap_or(i128::MAX).saturating_sub(i128::from(t));
        self.apart.note(now, apart);
        let lowest = self.apart.value().unwrap_or(apart);
        u128::try_from(apart - lowest).is_ok_and(|held_up| LATE.as_millis() < held_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages by when they come and when they were sent, in milliseconds; gives which are late.
    fn late(messages: &[(u64, u64)]) -> Vec<bool> {
        let start = Instant::now();
        let mut delay = Delay::new(start);
        messages.iter().map(|(comes, sent)| delay.is_late(start + Duration::from_millis(*comes), *sent)).collect()
    }

    #[test]
    fn a_request_is_late_after_two_seconds_and_without_a_time_never() {
        let is_late = |now, at| check_time(now, at).is_err();
        assert!(!is_late(9000, Some(9000)) && !is_late(9000, Some(7000)) && is_late(9000, Some(6999)));
        assert!(is_late(u64::MAX, Some(0)));
        assert!(!is_late(9000, None));
        assert!(!is_late(9000, Some(u64::MAX)), "we have started again since");
    }

    #[test]
    fn what_a_stall_held_up_is_late_and_what_follows_is_not() {
        let came = late(&[(100, 50), (5000, 1000), (5000, 3949), (5000, 3950), (5001, 4949), (6000, 5940)]);
        assert_eq!(vec![false, true, true, false, false, false], came);
    }

    #[test]
    fn where_the_senders_clock_begins_does_not_matter() {
        assert_eq!(vec![false, false, true], late(&[(100, 9_000_000), (200, 9_000_100), (3000, 9_000_200)]));
        assert_eq!(vec![false, false], late(&[(100, u64::MAX), (200, u64::MAX)]));
        assert_eq!(vec![false, true], late(&[(100, u64::MAX), (200, 0)]));
    }

    #[test]
    fn a_way_that_is_always_long_makes_nothing_late() {
        assert_eq!(vec![false; 3], late(&[(2000, 0), (3000, 1000), (4100, 2000)]));
    }

    #[test]
    fn hours_of_silence_between_clocks_that_drift_make_nothing_late() {
        let hour = 3_600_000;
        assert_eq!(
            vec![false, false, false],
            late(&[(100, 50), (12 * hour, 12 * hour - 4000), (12 * hour + 9, 12 * hour - 4000)])
        );
    }

    #[test]
    fn a_clock_that_runs_slow_makes_nothing_late_in_hours() {
        let each_second = |second: u64| (second * 1000, second * 1000 - second / 5);
        let came = late(&(1..6 * 3600).map(each_second).collect::<Vec<_>>());
        assert!(came.iter().all(|late| !late));
    }
}
