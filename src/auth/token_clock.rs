//! Tells what time counts for tokens, which outlive a boot: never earlier than it has been.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::auth::clock::Clock;
use crate::auth::monotonic_clock::MonotonicClock;

/// The clock by which tokens expire.
#[derive(Debug)]
pub struct TokenClock {
    clock: Arc<dyn Clock>,
    monotonic: Mutex<MonotonicClock>,
}

impl TokenClock {
    /// Goes on from the latest time that was kept.
    pub fn new(clock: Arc<dyn Clock>, latest: u64) -> TokenClock {
        let monotonic = Mutex::new(MonotonicClock::new(clock.since_boot(), latest));
        TokenClock { clock, monotonic }
    }

    /// The time, in seconds since 1970.
    pub fn time(&self) -> u64 {
        let mut monotonic = self.monotonic.lock().unwrap_or_else(PoisonError::into_inner);
        monotonic.time(self.clock.since_boot(), self.clock.wall())
    }

    /// The time that is worth keeping beyond this boot.
    pub fn kept(&self) -> u64 {
        // Looked at first, so that who only keeps the time sees the wall clock, too.
        self.time();
        let monotonic = self.monotonic.lock().unwrap_or_else(PoisonError::into_inner);
        monotonic.kept(self.clock.since_boot())
    }

    /// The time since boot.
    pub fn since_boot(&self) -> Duration {
        self.clock.since_boot()
    }

    /// See [`Clock::wait_for`].
    pub async fn wait_for(&self, time: Duration) {
        self.clock.wait_for(time).await;
    }
}
