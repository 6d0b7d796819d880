//! Bounds how many messages one viewer may send, without losing any.
//!
//! A hand on a fast mouse sends a thousand messages a second, and a page that has hung for a moment sends what it kept
//! at once. Who sends more than that is not read for a while, and the network holds the rest back. The clock is passed
//! in.

use std::time::{Duration, Instant};

/// Messages that may come at once.
const BURST: u32 = 500;

/// From one message to the next, on average.
const INTERVAL: Duration = Duration::from_millis(1);

/// How fast one viewer sends: a bucket that fills by the clock and from which each message takes.
#[derive(Debug)]
pub struct Pace {
    /// When the bucket will be full again.
    full: Instant,
}

impl Pace {
    /// A full bucket.
    pub fn new(now: Instant) -> Pace {
        Pace { full: now }
    }

    /// Notes that a message was taken.
    pub fn take(&mut self, now: Instant) {
        self.full = self.full.max(now) + INTERVAL;
    }

    /// When the next message may be taken, if that is not now.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let wait = self.full.saturating_duration_since(now).checked_sub((BURST - 1) * INTERVAL)?;
        (!wait.is_zero()).then(|| now + wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many messages are taken from `pace` before it wants to wait.
    fn burst(pace: &mut Pace, now: Instant) -> u32 {
        let mut taken = 0;
        while pace.deadline(now).is_none() && taken < 10 * BURST {
            pace.take(now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn five_hundred_come_at_once_and_no_more() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        assert_eq!(BURST, burst(&mut pace, now));
        assert_eq!(0, burst(&mut pace, now));
        assert_eq!(Some(now + INTERVAL), pace.deadline(now));
    }

    #[test]
    fn a_thousand_a_second_follow() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        burst(&mut pace, now);
        let taken: u32 = (1..=100).map(|step| burst(&mut pace, now + step * Duration::from_millis(10))).sum();
        assert_eq!(1000, taken);
    }

    #[test]
    fn a_pause_fills_the_bucket_and_not_more() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        burst(&mut pace, now);
        assert_eq!(BURST, burst(&mut pace, now + Duration::from_secs(3600)));
    }
}
