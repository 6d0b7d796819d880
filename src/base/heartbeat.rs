//! Tells how long a part has not moved.
//!
//! A thread that hangs in a driver is alive to everybody who only asks whether it exists. So each part that must go
//! round says so itself, every time it does, and whoever judges compares that with a clock of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a part may stand still before it counts as hung. The slowest goes round once a second.
pub const STALLED_AFTER: Duration = Duration::from_secs(10);

/// One part's sign of life. Cheap to clone; beating it never waits.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    born: Instant,
    beaten_ms: Arc<AtomicU64>,
}

impl Heartbeat {
    /// A part that has moved just now, by being made.
    pub fn new(now: Instant) -> Heartbeat {
        Heartbeat { born: now, beaten_ms: Arc::default() }
    }

    /// Notes that the part has come this far and is not stuck.
    pub fn beat(&self, now: Instant) {
        let age = now.saturating_duration_since(self.born).as_millis();
        self.beaten_ms.store(age.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// For how long it has not moved.
    pub fn age(&self, now: Instant) -> Duration {
        let age = now.saturating_duration_since(self.born);
        age.saturating_sub(Duration::from_millis(self.beaten_ms.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use crate::base::heartbeat::*;

    #[test]
    fn a_pulse_is_as_old_as_its_last_beat() {
        let start = Instant::now();
        let heartbeat = Heartbeat::new(start);
        let at = |secs| start + Duration::from_secs(secs);
        assert_eq!(Duration::from_secs(4), heartbeat.age(at(4)));
        heartbeat.clone().beat(at(9));
        assert_eq!(Duration::from_secs(2), heartbeat.age(at(11)));
    }

    #[test]
    fn a_clock_that_is_read_a_moment_early_is_no_harm() {
        let now = Instant::now() + Duration::from_secs(5);
        let heartbeat = Heartbeat::new(now);
        heartbeat.beat(now - Duration::from_secs(1));
        assert_eq!(Duration::ZERO, heartbeat.age(now - Duration::from_secs(1)));
    }
}
