//! Names everything for which a person's wish is not carried out, in words for that person.
//!
//! How a front says it, with a status or a code, is the front's business.

use std::time::Duration;

use crate::auth::rights::Denied;
use crate::base::coded::Coded;
use crate::hands::protocol::{HandsError, LARGEST_CHORD, MOST_STROKES};
use crate::hid::text::Untypable;

/// A shorter hold is a tap, and a longer one is an accident.
pub const HOLDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(12));

/// The longest text that is checked at once, in characters: more than anybody pastes.
pub const MOST_CHECKED: usize = 256 * 1024;

/// What is asked for in a request of its own is late after this: such a request may have to open a connection first,
/// and its time is an estimate of our clock, which is behind by a message's way.
pub const LATE_REQUEST: Duration = Duration::from_secs(2);

/// Why somebody's wish was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// They may not do it, or no longer.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A hold outside its range.
    #[error("seconds must be {} to {}", HOLDS.0.as_secs(), HOLDS.1.as_secs())]
    HoldLength,
    /// No keys, or more than hands have fingers.
    #[error("a chord has 1 to {LARGEST_CHORD} keys")]
    ChordLength,
    /// Nothing to type, or too much at once.
    #[error("a text has 1 to {MOST_STROKES} characters")]
    TextLength,
    /// Nothing to check, or too much at once.
    #[error("a text to check has 1 to {MOST_CHECKED} characters")]
    CheckLength,
    /// A chord with a key that no keyboard has.
    #[error("no key has the code {0:?}")]
    UnknownKey(String),
    /// A text with characters that no key gives.
    #[error(transparent)]
    Untypable(#[from] Untypable),
    /// Asked for too long ago, into a network that stalled.
    #[error("this came more than {} seconds after it was asked for and was not done; do it again", LATE_REQUEST.as_secs())]
    Late,
    /// The hands did not do it.
    #[error(transparent)]
    Hands(#[from] HandsError),
}

impl Coded for ControlError {
    fn code_name(&self) -> &'static str {
        match self {
            ControlError::Denied(denied) => denied.code_name(),
            ControlError::HoldLength
            | ControlError::ChordLength
            | ControlError::TextLength
            | ControlError::CheckLength => "malformed",
            ControlError::UnknownKey(_) | ControlError::Untypable(_) => "cannot-type",
            ControlError::Late => "late",
            ControlError::Hands(error) => error.code_name(),
        }
    }
}
