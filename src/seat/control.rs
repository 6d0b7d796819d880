//! Works one seat: the only way to do something to a target, whatever a person came by.
//!
//! Each front (the API, a WebSocket) says what is wanted; here it is decided whether this person may do it now, what is
//! meant by a tap or a hold, and how much may be asked for at once. What is done is logged before and after, with who
//! did it. Of what is typed only that it was.

use std::time::Duration;

use super::attachment::Attachment;
pub use super::error::ControlError;
use super::error::{HOLDS, MOST_CHECKED};
use crate::audit::record::What;
use crate::auth::act::{Act, Kind};
use crate::auth::principal::Principal;
use crate::auth::rights::{self, Denied};
use crate::auth::role::Privilege;
use crate::base::front_panel::Contact;
use crate::base::seat_id::SeatId;
use crate::bus::SeatBus;
use crate::hands::client::{Drops, Hands, Person, Requester};
use crate::hands::protocol::{HandsError, LARGEST_CHORD, MOST_STROKES};
use crate::hid::keyboard::{Owner, Usage};
use crate::hid::{keymap, text};

/// What a finger does: every board takes it as a press, none as a hold.
const TAP: Duration = Duration::from_millis(500);

/// Boards cut power after four seconds; the margin covers slow ones.
const HOLD: Duration = Duration::from_millis(5500);

/// What is to be done with a front-panel button.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Press {
    /// Power, as a finger does it.
    Tap,
    /// Power until the machine is off: for this long, or for as long as any board needs.
    Hold(Option<Duration>),
    /// Reset, as a finger does it.
    Reset,
}

impl Press {
    fn contact_and_time(self) -> Result<(Contact, Duration), ControlError> {
        match self {
            Press::Tap => Ok((Contact::Power, TAP)),
            Press::Reset => Ok((Contact::Reset, TAP)),
            Press::Hold(time) => {
                let time = time.unwrap_or(HOLD);
                if (HOLDS.0..=HOLDS.1).contains(&time) {
                    Ok((Contact::Power, time))
                } else {
                    Err(ControlError::HoldLength)
                }
            }
        }
    }
}

/// One seat, as it is worked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    bus: SeatBus,
    hands: Hands,
}

impl Control {
    /// Works this seat with these hands.
    pub fn of(bus: &SeatBus, hands: &Hands) -> Control {
        Control { bus: bus.clone(), hands: hands.clone() }
    }

    /// Which seat.
    pub fn seat(&self) -> &SeatId {
        &self.bus.seat
    }

    /// Presses a front-panel button, and gives for how long; it has been closed by then and opens by itself.
    pub async fn press(&self, principal: &Principal, press: Press) -> Result<Duration, ControlError> {
        self.check(principal, Privilege::Power)?;
        let (contact, time) = press.contact_and_time()?;
        let what = format!("press {contact:?} of {} for {:.1} s", self.seat(), time.as_secs_f64());
        let act = Act::begin(Kind::Lasting, principal, What::Press, Some(self.seat()), what).await;
        // Their session may have ended while that was written down.
        let pressed = match self.check(principal, Privilege::Power) {
            Ok(()) => self.hands.press(self.seat(), contact, time).await.map_err(ControlError::from),
            Err(denied) => Err(denied.into()),
        };
        act.end(pressed)?;
        Ok(time)
    }

    /// Signals a target that sleeps to wake up. Whether it does, its status will tell.
    pub async fn wake(&self, principal: &Principal) -> Result<(), ControlError> {
        self.check(principal, Privilege::Input)?;
        let act = self.typing(principal, What::Wake, format!("wake {}", self.seat())).await;
        act.end(self.hands.wake(self.seat()).await)?;
        Ok(())
    }

    /// Presses keys, given by their UI Events codes, and releases them; gives how many when the target has them all.
    pub async fn chord(&self, principal: &Principal, owner: Owner, codes: &[String]) -> Result<usize, ControlError> {
        self.check(principal, Privilege::Input)?;
        let usages = usages(codes)?;
        let act = self.typing(principal, What::Chord, format!("press a chord at {}", self.seat())).await;
        let typed = self.hands.chord(self.seat(), requester(principal, owner), usages);
        act.end(while_allowed(principal, typed).await)?;
        Ok(codes.len())
    }

    /// Says whether a chord could be pressed, and does nothing.
    pub fn check_chord(&self, principal: &Principal, codes: &[String]) -> Result<(), ControlError> {
        self.check(principal, Privilege::Input)?;
        usages(codes).map(drop)
    }

    /// Says whether a text can be typed, however many pieces it takes, and does nothing.
    pub fn check_text(&self, principal: &Principal, text: &str) -> Result<(), ControlError> {
        self.check(principal, Privilege::Input)?;
        if !(1..=MOST_CHECKED).contains(&text.chars().count()) {
            return Err(ControlError::CheckLength);
        }
        text::strokes(text)?;
        Ok(())
    }

    /// Types a text; gives how many characters when the target has them all.
    pub async fn type_text(&self, principal: &Principal, owner: Owner, text: &str) -> Result<usize, ControlError> {
        self.check(principal, Privilege::Input)?;
        let length = text.chars().count();
        if !(1..=MOST_STROKES).contains(&length) {
            return Err(ControlError::TextLength);
        }
        let strokes = text::strokes(text)?;
        let what = format!("type {length} characters at {}", self.seat());
        let act = self.typing(principal, What::Typing, what).await;
        let typed = self.hands.type_strokes(self.seat(), requester(principal, owner), strokes);
        act.end(while_allowed(principal, typed).await)?;
        Ok(length)
    }

    /// Joins somebody to those who watch and work the seat, until they leave. `id` is theirs alone.
    pub async fn attach(&self, principal: &Principal, id: u64) -> (Attachment, Drops) {
        let (queue, drops) = self.hands.attach(self.seat(), Owner(id)).await;
        (Attachment::new(&self.bus, id, principal.clone(), queue), drops)
    }

    async fn typing(&self, principal: &Principal, what: What, words: String) -> Act {
        Act::begin(Kind::Typing, principal, what, Some(self.seat()), words).await
    }

    fn check(&self, principal: &Principal, privilege: Privilege) -> Result<(), Denied> {
        rights::check(principal, privilege, Some(self.seat()))
    }
}

/// The keys of a chord, given by their UI Events codes.
fn usages(codes: &[String]) -> Result<Vec<Usage>, ControlError> {
    if !(1..=LARGEST_CHORD).contains(&codes.len()) {
        return Err(ControlError::ChordLength);
    }
    let unknown = |code: &String| ControlError::UnknownKey(code.clone());
    codes.iter().map(|code| keymap::usage(code).ok_or_else(|| unknown(code))).collect()
}

/// The same person in all that they ask for, however many requests, sessions and pages of theirs there are.
fn requester(principal: &Principal, owner: Owner) -> Requester {
    Requester { owner, person: Person::new(principal.name.as_str()) }
}

/// Waits for what may last, but no longer than whoever asked for it may act.
async fn while_allowed(
    principal: &Principal,
    work: impl Future<Output = Result<(), HandsError>>,
) -> Result<(), ControlError> {
    tokio::select! {
        done = work => Ok(done?),
        () = principal.lease().ended() => Err(Denied::Ended.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_press_has_its_contact_and_time() {
        let hold = |seconds| Press::Hold(Some(Duration::from_millis(seconds))).contact_and_time();
        assert_eq!(Ok((Contact::Power, TAP)), Press::Tap.contact_and_time());
        assert_eq!(Ok((Contact::Reset, TAP)), Press::Reset.contact_and_time());
        assert_eq!(Ok((Contact::Power, HOLD)), Press::Hold(None).contact_and_time());
        assert_eq!(Ok((Contact::Power, HOLDS.0)), hold(1000));
        assert_eq!(Ok((Contact::Power, HOLDS.1)), hold(12_000));
        assert_eq!((Err(ControlError::HoldLength), Err(ControlError::HoldLength)), (hold(999), hold(12_001)));
    }
}
