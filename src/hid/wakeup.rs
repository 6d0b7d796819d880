//! Decides when a sleeping target is signalled to wake up.
//!
//! A person may ask for it at any time. A key does it where the owner chose so, but once for each sleep: a target that
//! does not answer must not be signalled with every key. A controller counts itself as awake while it signals, and as
//! asleep a moment later if nobody answered, so only what has been awake for [`AWAKE`] can begin another sleep.

use std::time::{Duration, Instant};

/// A resume takes 30 ms (USB 2.0 section 7.1.7.7), and a signal that nobody answers less. No host sleeps again sooner.
const AWAKE: Duration = Duration::from_secs(1);

/// Follows the sleep of one target.
#[derive(Debug)]
pub struct RemoteWakeup {
    /// Whether a key may signal by itself.
    by_key: bool,
    /// Whether this sleep has been signalled into.
    signalled: bool,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Since when, if it has slept before.
    Awake(Option<Instant>),
    Asleep,
}

impl RemoteWakeup {
    /// A target that is awake.
    pub fn new(by_key: bool) -> RemoteWakeup {
        RemoteWakeup { by_key, signalled: false, state: State::Awake(None) }
    }

    /// Takes in whether the target sleeps.
    pub fn sleeps(&mut self, now: Instant, asleep: bool) {
        self.state = match (self.state, asleep) {
            (State::Awake(since), true) => {
                self.signalled &= since.is_some_and(|since| now < since + AWAKE);
                State::Asleep
            }
            (State::Asleep, false) => State::Awake(Some(now)),
            (state, _) => state,
        };
    }

    /// Takes in that somebody has pressed a key or a button; gives whether to signal for it.
    pub fn press(&mut self) -> bool {
        self.by_key && !self.signalled && self.ask()
    }

    /// Takes in that somebody asks for it; gives whether there is anything to wake.
    pub fn ask(&mut self) -> bool {
        let asleep = matches!(self.state, State::Asleep);
        self.signalled |= asleep;
        asleep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(5);

    /// A target that has just fallen asleep.
    fn asleep(by_key: bool) -> (RemoteWakeup, Instant) {
        let now = Instant::now();
        let mut wakeup = RemoteWakeup::new(by_key);
        wakeup.sleeps(now, true);
        (wakeup, now)
    }

    #[test]
    fn a_target_that_is_awake_is_not_signalled() {
        let mut wakeup = RemoteWakeup::new(true);
        assert!(!wakeup.press() && !wakeup.ask());
        let (mut wakeup, now) = asleep(true);
        wakeup.sleeps(now + MOMENT, false);
        assert!(!wakeup.press() && !wakeup.ask());
    }

    #[test]
    fn a_key_wakes_only_where_that_was_chosen() {
        assert!(asleep(true).0.press());
        assert!(!asleep(false).0.press());
    }

    #[test]
    fn keys_signal_once_for_each_sleep() {
        let (mut wakeup, now) = asleep(true);
        assert!(wakeup.press());
        assert!(!wakeup.press());
        // The same sleep, told once more.
        wakeup.sleeps(now + MOMENT, true);
        assert!(!wakeup.press());
        wakeup.sleeps(now + 2 * MOMENT, false);
        wakeup.sleeps(now + 2 * MOMENT + AWAKE, true);
        assert!(wakeup.press(), "it is another sleep");
    }

    #[test]
    fn a_target_that_did_not_answer_is_still_in_the_same_sleep() {
        let (mut wakeup, now) = asleep(true);
        assert!(wakeup.press());
        wakeup.sleeps(now, false);
        wakeup.sleeps(now + MOMENT, true);
        assert!(!wakeup.press());
        assert!(wakeup.ask(), "a person may try again");
    }

    #[test]
    fn a_key_does_not_repeat_what_a_person_asked_for() {
        let (mut wakeup, _) = asleep(true);
        assert!(wakeup.ask());
        assert!(!wakeup.press());
    }
}
