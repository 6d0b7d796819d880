//! Decides which pictures are drawn, so that none is for nobody.
//!
//! A simulated machine draws when something changes, for nobody once a second. It reads no clock: the caller passes
//! `now` in.

use std::time::{Duration, Instant};

/// How old the newest picture may become while nobody watches.
const SAMPLE: Duration = Duration::from_secs(1);

/// Remembers when a picture was last made.
#[derive(Debug, Default)]
pub struct Demand(Option<Instant>);

impl Demand {
    /// Whether a picture that has just arrived is wanted: all are while somebody watches.
    pub fn wants(&self, now: Instant, watched: bool) -> bool {
        watched || self.0.is_none_or(|made| made + SAMPLE <= now)
    }

    /// Notes that a picture was made.
    pub fn made(&mut self, now: Instant) {
        self.0 = Some(now);
    }

    /// Wants the next picture in any case, because what was shown last is out of date.
    pub fn renew(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_machine_is_drawn_once_a_second_for_nobody() {
        let (mut demand, mut now) = (Demand::default(), Instant::now());
        let mut drawn = |watched| {
            let wanted = (0..500).filter(|_| {
                now += Duration::from_millis(20);
                let wants = demand.wants(now, watched);
                if wants {
                    demand.made(now);
                }
                wants
            });
            wanted.count()
        };
        assert_eq!([10, 500, 10], [drawn(false), drawn(true), drawn(false)]);
    }
}
