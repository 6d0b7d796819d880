//! Decides when a configuration that is tried is taken back.
//!
//! It does no I/O and reads no clock: the caller passes the time since boot in, and comes back at [`Timer::deadline`].

use std::time::Duration;

use crate::update::ApplianceError;

/// How long a configuration is tried: enough to plug a cable in elsewhere, and less than a person waits who is locked
/// out.
pub const TRIAL: Duration = Duration::from_secs(180);

/// How long it takes until the old settings count no more: a service starts again in a second, and a page a moment
/// later. Who confirms before that may not have come over the new ones.
pub const CHANGEOVER: Duration = Duration::from_secs(5);

/// After which time it is taken back again, if that has not worked.
pub const RETRY: Duration = Duration::from_secs(5);

/// One trial after another.
#[derive(Debug, Default)]
pub struct Timer {
    /// From when on it can be confirmed.
    from: Duration,
    until: Option<Duration>,
    /// Whether it is being taken back, which has not worked yet.
    is_over: bool,
}

impl Timer {
    /// Begins a trial, and gives its end.
    pub fn begin(&mut self, now: Duration) -> Duration {
        self.resume(now, now + TRIAL)
    }

    /// Goes on with one that an earlier run has begun. None lasts longer than it may.
    pub fn resume(&mut self, now: Duration, until: Duration) -> Duration {
        self.from = now + CHANGEOVER;
        self.is_over = false;
        *self.until.insert(until.min(now + TRIAL))
    }

    /// Whether another change has to wait.
    pub fn check_free(&self) -> Result<(), ApplianceError> {
        if self.until.is_some() { Err(ApplianceError::OnTrial) } else { Ok(()) }
    }

    /// Whether there is something to keep or to take back.
    pub fn check_running(&self) -> Result<(), ApplianceError> {
        if self.until.is_some() { Ok(()) } else { Err(ApplianceError::NotOnTrial) }
    }

    /// Whether whoever confirms it now has come over the new settings.
    pub fn check_confirmed(&self, now: Duration) -> Result<(), ApplianceError> {
        self.check_running()?;
        if self.is_over {
            return Err(ApplianceError::NotOnTrial);
        }
        if now < self.from { Err(ApplianceError::TooEarly) } else { Ok(()) }
    }

    /// Ends the trial, whichever way: nothing is left to be done for it.
    pub fn end(&mut self) {
        (self.until, self.is_over) = (None, false);
    }

    /// Has what is tried taken back in a moment, and again until [`Timer::end`].
    pub fn give_up(&mut self, now: Duration) {
        (self.until, self.is_over) = (Some(now + RETRY), true);
    }

    /// Whether it is being taken back.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether what is tried is to be taken back now. Says so again until [`Timer::end`].
    pub fn tick(&mut self, now: Duration) -> bool {
        let is_due = self.until.is_some_and(|until| until <= now);
        if is_due {
            self.give_up(now);
        }
        is_due
    }

    /// When [`Timer::tick`] next has work to do.
    pub fn deadline(&self) -> Option<Duration> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);
    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn what_nobody_confirms_is_taken_back_until_that_has_worked() {
        let mut timer = Timer::default();
        assert_eq!(Err(ApplianceError::NotOnTrial), timer.check_running());
        let until = timer.begin(NOW);
        assert_eq!((NOW + TRIAL, Some(until)), (until, timer.deadline()));
        assert_eq!(Err(ApplianceError::OnTrial), timer.check_free());
        assert!(!timer.tick(until - MOMENT));
        assert!(timer.tick(until));
        assert!(!timer.tick(until + MOMENT));
        assert_eq!(Err(ApplianceError::NotOnTrial), timer.check_confirmed(until + MOMENT));
        assert_eq!(Some(until + RETRY), timer.deadline());
        assert!(timer.tick(until + RETRY));
        timer.end();
        assert!(!timer.tick(until + 2 * RETRY));
        assert_eq!((None, Ok(())), (timer.deadline(), timer.check_free()));
    }

    #[test]
    fn what_is_confirmed_stays() {
        let mut timer = Timer::default();
        timer.begin(NOW);
        assert_eq!((Ok(()), Err(ApplianceError::TooEarly)), (timer.check_running(), timer.check_confirmed(NOW)));
        assert_eq!(Err(ApplianceError::TooEarly), timer.check_confirmed(NOW + CHANGEOVER - MOMENT));
        assert_eq!(Ok(()), timer.check_confirmed(NOW + CHANGEOVER));
        timer.end();
        assert_eq!(Err(ApplianceError::NotOnTrial), timer.check_confirmed(NOW + CHANGEOVER));
        assert!(!timer.tick(NOW + 2 * TRIAL));
        assert_eq!(Err(ApplianceError::NotOnTrial), timer.check_running());
    }

    #[test]
    fn a_trial_goes_on_after_a_restart_and_no_longer_than_any() {
        let mut timer = Timer::default();
        assert_eq!(NOW + MOMENT, timer.resume(NOW, NOW + MOMENT));
        assert_eq!(NOW + TRIAL, timer.resume(NOW, Duration::MAX));
        timer.resume(NOW, MOMENT);
        assert!(timer.tick(NOW), "its time was over before");
    }
}
