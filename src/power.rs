//! Turns button presses into relay timing.
//!
//! A front-panel button is a contact that must be opened again, even when the client that closed it has gone.
//! [`Sequencer`] owns that promise. It does no I/O and reads no clock: the caller passes `now` in, carries out each
//! [`Action`], and comes back at [`Sequencer::deadline`]. On a busy machine a relay may close long after it was asked
//! to, so a press lasts from the first [`Sequencer::tick`] after that: it may be longer than asked by a moment, never
//! shorter.

use std::time::{Duration, Instant};

use crate::base::front_panel::Contact;

/// The shortest press that every board notices: inputs are debounced for 16 to 32 ms.
pub const SHORTEST_PRESS: Duration = Duration::from_millis(50);

/// The longest press that has a meaning. Boards cut power after four seconds; some clear their settings after fifteen.
pub const LONGEST_PRESS: Duration = Duration::from_secs(12);

/// How soon opening is tried again on a relay that failed to open.
const REOPEN_INTERVAL: Duration = Duration::from_millis(50);

/// What to do to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Close the contact, as a finger does.
    Close(Contact),
    /// Open it. If that fails, report it by [`Sequencer::stuck`].
    Open(Contact),
}

/// Why a press did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PressError {
    /// Another press is in progress. Power and reset together would be a third button that no board has.
    Busy(Contact),
    /// The press is shorter or longer than makes sense.
    Length,
}

/// Sequences the presses of one target, one at a time.
#[derive(Debug, Default)]
pub struct Sequencer {
    held: Option<Held>,
    action: Option<Action>,
}

/// A contact that is not to stay closed.
#[derive(Debug, Clone, Copy)]
struct Held {
    contact: Contact,
    /// When it is to open; before the time runs, when it was asked to close.
    end: Instant,
    /// How long it is to stay closed; `None` once the time runs.
    time: Option<Duration>,
}

impl Sequencer {
    /// Starts a press that will end by itself.
    pub fn press(&mut self, now: Instant, contact: Contact, time: Duration) -> Result<(), PressError> {
        if let Some(other) = self.held {
            return Err(PressError::Busy(other.contact));
        }
        if !(SHORTEST_PRESS..=LONGEST_PRESS).contains(&time) {
            return Err(PressError::Length);
        }
        self.held = Some(Held { contact, end: now, time: Some(time) });
        self.action = Some(Action::Close(contact));
        Ok(())
    }

    /// Ends the press now.
    pub fn release_all(&mut self) {
        if let Some(held) = self.held.take() {
            self.action = Some(Action::Open(held.contact));
        }
    }

    /// Notes that a contact could not be opened: opening is tried again, and nothing else is pressed until it succeeds.
    pub fn stuck(&mut self, now: Instant, contact: Contact) {
        self.held = Some(Held { contact, end: now + REOPEN_INTERVAL, time: None });
    }

    /// Tells the sequencer what time it is.
    pub fn tick(&mut self, now: Instant) {
        let Some(held) = &mut self.held else { return };
        if self.action.is_some() {
            // It has not been closed yet.
            return;
        }
        match held.time.take() {
            Some(time) => held.end = now + time,
            None if held.end <= now => self.release_all(),
            None => (),
        }
    }

    /// Takes the next action; drain this after every call.
    pub fn poll(&mut self) -> Option<Action> {
        self.action.take()
    }

    /// When [`Sequencer::tick`] next has work to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.held.map(|held| held.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Duration = Duration::from_millis(500);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_press_closes_at_once_and_opens_at_its_end() {
        let (mut sequencer, now) = (Sequencer::default(), Instant::now());
        sequencer.press(now, Contact::Power, HALF).unwrap();
        assert_eq!(Some(Action::Close(Contact::Power)), sequencer.poll());
        sequencer.tick(now);
        sequencer.tick(now + HALF - MS);
        assert_eq!(None, sequencer.poll());
        assert_eq!(Some(now + HALF), sequencer.deadline());
        sequencer.tick(now + HALF);
        assert_eq!(Some(Action::Open(Contact::Power)), sequencer.poll());
        assert_eq!((None, None), (sequencer.poll(), sequencer.deadline()));
    }

    #[test]
    fn a_press_lasts_from_when_the_contact_is_closed() {
        let (mut sequencer, asked) = (Sequencer::default(), Instant::now());
        sequencer.press(asked, Contact::Power, HALF).unwrap();
        sequencer.tick(asked + HALF);
        assert_eq!(Some(Action::Close(Contact::Power)), sequencer.poll(), "it has not been closed yet");
        let closed = asked + HALF + HALF;
        assert!(sequencer.deadline().is_some_and(|end| end <= closed), "the caller must come back at once");
        sequencer.tick(closed);
        assert_eq!((None, Some(closed + HALF)), (sequencer.poll(), sequencer.deadline()));
    }

    #[test]
    fn a_second_press_is_refused_while_the_first_lasts() {
        let (mut sequencer, now) = (Sequencer::default(), Instant::now());
        sequencer.press(now, Contact::Power, HALF).unwrap();
        for other in [Contact::Power, Contact::Reset] {
            assert_eq!(Err(PressError::Busy(Contact::Power)), sequencer.press(now, other, HALF));
        }
        sequencer.poll();
        sequencer.tick(now);
        assert_eq!(Some(now + HALF), sequencer.deadline(), "a refused press must not lengthen the first");
        sequencer.tick(now + HALF);
        assert_eq!(Ok(()), sequencer.press(now + HALF, Contact::Reset, HALF));
    }

    #[test]
    fn a_press_outside_its_range_is_refused() {
        let (mut sequencer, now) = (Sequencer::default(), Instant::now());
        for time in [Duration::ZERO, SHORTEST_PRESS - MS, LONGEST_PRESS + MS, Duration::MAX] {
            assert_eq!(Err(PressError::Length), sequencer.press(now, Contact::Power, time));
        }
        assert_eq!(None, sequencer.poll());
        for time in [SHORTEST_PRESS, LONGEST_PRESS] {
            assert_eq!(Ok(()), Sequencer::default().press(now, Contact::Power, time));
        }
    }

    #[test]
    fn releasing_ends_a_press_early() {
        let (mut sequencer, now) = (Sequencer::default(), Instant::now());
        sequencer.press(now, Contact::Reset, LONGEST_PRESS).unwrap();
        sequencer.poll();
        sequencer.release_all();
        assert_eq!(Some(Action::Open(Contact::Reset)), sequencer.poll());
        assert_eq!(None, sequencer.deadline());
        sequencer.release_all();
        assert_eq!(None, sequencer.poll());
    }

    #[test]
    fn a_press_that_was_never_carried_out_is_opened_all_the_same() {
        let (mut sequencer, now) = (Sequencer::default(), Instant::now());
        sequencer.press(now, Contact::Power, HALF).unwrap();
        sequencer.release_all();
        assert_eq!((Some(Action::Open(Contact::Power)), None), (sequencer.poll(), sequencer.poll()));
    }

    #[test]
    fn a_stuck_relay_is_opened_again_and_blocks_other_presses() {
        let (mut sequencer, now) = (Sequencer::default(), Instant::now());
        sequencer.stuck(now, Contact::Power);
        assert_eq!(Err(PressError::Busy(Contact::Power)), sequencer.press(now, Contact::Reset, HALF));
        sequencer.tick(now + REOPEN_INTERVAL);
        assert_eq!(Some(Action::Open(Contact::Power)), sequencer.poll());
    }
}
