//! Tells the time to whoever decides when a session or a token ends.
//!
//! It is passed in, so that a test can let twelve hours pass without waiting for them.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

/// The longest sleep before looking again: tokio's clock stands still during suspend, the boot clock does not.
const LOOK_AGAIN: Duration = Duration::from_secs(600);

/// What time it is.
pub trait Clock: Debug + Send + Sync {
    /// The time since boot. It goes on during suspend, and nobody can set it.
    fn since_boot(&self) -> Duration;

    /// What the wall clock says, in seconds since 1970. Anybody may have set it.
    fn wall(&self) -> u64;

    /// Waits for a time since boot. It may return early, so the caller looks at the clock again.
    fn wait_for(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The kernel's clocks.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn since_boot(&self) -> Duration {
        clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has had this clock since 2.6.39").into()
    }

    fn wall(&self) -> u64 {
        seconds(SystemTime::now())
    }

    fn wait_for(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(sleep(time.saturating_sub(self.since_boot()).min(LOOK_AGAIN)))
    }
}

/// Seconds since 1970 as RFC 3339 has them. What is later than its last year is that year's end.
pub fn rfc3339(seconds: u64) -> String {
    const LAST: u64 = 253_402_300_799;
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(LAST))).to_string()
}

/// A time of the wall clock in seconds since 1970.
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_can_be_written() {
        for (time, text) in
            [(0, "1970-01-01T00:00:00Z"), (1_900_000_000, "2030-03-17T17:46:40Z"), (u64::MAX, "9999-12-31T23:59:59Z")]
        {
            assert_eq!(text, rfc3339(time));
        }
    }
}
