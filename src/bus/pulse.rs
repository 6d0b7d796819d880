//! Shows that a screen's thread stands still, and when it moves again.
//!
//! The only one who reports the signal is the thread that may hang. So another looks at its pulse.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{ScreenStatus, SeatBus};
use crate::base::heartbeat::STALLED_AFTER;

impl SeatBus {
    /// Notes that the screen's thread goes round. Returns whether it was shown to be stuck: then everything that it
    /// shows must be shown again.
    pub fn beat(&self, now: Instant) -> bool {
        self.heartbeat.beat(now);
        self.status.was_stuck.swap(false, Ordering::Relaxed)
    }

    /// Takes back what a thread said whose place is taken: it can no longer correct it.
    pub fn forget_screen(&self, now: Instant) {
        self.report(now, |screen| *screen = ScreenStatus { stuck: screen.stuck, ..ScreenStatus::default() });
    }

    /// Shows that the screen's thread is stuck, or no longer.
    pub fn check_pulse(&self, now: Instant) {
        let stuck = STALLED_AFTER <= self.heartbeat.age(now);
        if stuck == self.status.newest.borrow().screen.stuck {
            return;
        }
        if stuck {
            log::error!("seat {}: the capture driver has not answered for {} s", self.seat, STALLED_AFTER.as_secs());
            self.status.was_stuck.store(true, Ordering::Relaxed);
        }
        self.report(now, |screen| screen.stuck = stuck);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::heartbeat::Heartbeat;
    use crate::base::seat_id::SeatId;
    use crate::base::signal::Signal;
    use crate::bus::{FrameBus, StatusBus};

    fn bus() -> SeatBus {
        let now = tokio::time::Instant::now().into_std();
        let seat = SeatId::try_from("main".to_string()).unwrap();
        let (frames, status) = (FrameBus::default(), StatusBus::default());
        SeatBus { seat, frames, status, heartbeat: Heartbeat::new(now) }
    }

    #[tokio::test]
    async fn a_still_pulse_is_shown_until_it_beats_again() {
        let bus = bus();
        let at = |secs| tokio::time::Instant::now().into_std() + Duration::from_secs(secs);
        let seen = || {
            let why = bus.frames.watch_lost().borrow().as_ref().map(|lost| lost.signal);
            (bus.status.now().screen.stuck, why == Some(Signal::Stuck))
        };
        bus.check_pulse(at(8));
        assert_eq!((false, false), seen());
        bus.check_pulse(at(11));
        assert_eq!((true, true), seen());
        assert!(bus.beat(at(12)), "all must be shown again");
        assert!(!bus.beat(at(12)));
        bus.check_pulse(at(13));
        assert_eq!((false, false), seen());
    }
}
