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

    /// What the wall clock says, in seconds since 1970: by what people's own clocks go, and not for tokens.
    pub fn wall(&self) -> u64 {
        self.clock.wall()
    }

    /// The time since boot.
    pub fn since_boot(&self) -> Duration {
        self.clock.since_boot()
    }

    /// What the wall clock would have said at a time since boot that has passed, in seconds since 1970: by what it says
    /// now, since it may have been set right meanwhile.
    pub fn date(&self, since_boot: Duration) -> u64 {
        self.clock.wall().saturating_sub(self.clock.since_boot().saturating_sub(since_boot).as_secs())
    }

    /// See [`Clock::wait_for`].
    pub async fn wait_for(&self, time: Duration) {
        self.clock.wait_for(time).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, ready};
    use std::pin::Pin;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A hundred seconds after the boot, with a wall clock that somebody sets.
    #[derive(Debug)]
    struct Set(AtomicU64);

    impl Clock for Set {
        fn since_boot(&self) -> Duration {
            Duration::from_secs(100)
        }

        fn wall(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        fn wait_for(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(ready(()))
        }
    }

    #[test]
    fn a_clock_that_is_set_right_makes_the_dates_of_before_right() {
        let clock = Arc::new(Set(AtomicU64::new(5000)));
        let tokens = TokenClock::new(clock.clone(), 0);
        assert_eq!((5000, 4940), (tokens.date(Duration::from_secs(100)), tokens.date(Duration::from_secs(40))));
        clock.0.store(2_000_000_000, Ordering::Relaxed);
        assert_eq!(1_999_999_940, tokens.date(Duration::from_secs(40)));
        clock.0.store(30, Ordering::Relaxed);
        assert_eq!(
            (0, 30),
            (tokens.date(Duration::ZERO), tokens.date(Duration::from_secs(200))),
            "there is no earlier"
        );
    }
}
