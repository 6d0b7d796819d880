//! Names everything for which the hands may not do as asked, in words for whoever asked.

use serde::{Deserialize, Serialize};

use super::message::{LARGEST_CHORD, MOST_STROKES};
use crate::base::front_panel::Contact;
use crate::hid::typist::MOST_JOBS;
use crate::update::ApplianceError;

/// Why the hands did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandsError {
    /// The process with the hardware does not answer.
    #[error("the process that holds keyboard and relays is restarting; try again in a second")]
    Away,
    /// The target takes no reports.
    #[error("the target does not take keys: USB is not plugged in, or the target is off")]
    Unplugged,
    /// The target has taken the keyboard, but fetches no reports.
    #[error("the target did not fetch the keys for 2 seconds: it is off, asleep or hung; they were dropped")]
    Stale,
    /// More was sent than the target fetches.
    #[error("the target is too slow for this much input; what was waiting has been dropped and all keys released")]
    Flooded,
    /// Too many want something typed at the same time.
    #[error("{MOST_JOBS} texts or chords wait to be typed already; try again when one is done")]
    TooMany,
    /// More than fits into one request.
    #[error("a text has at most {MOST_STROKES} keys and a chord at most {LARGEST_CHORD}")]
    TooLong,
    /// A text did not come to its end.
    #[error("all keys were released before this was typed to its end; look what has arrived and send the rest")]
    CutShort,
    /// Another press lasts.
    #[error("the {0:?} contact is being pressed already")]
    Busy(Contact),
    /// Nothing to press with.
    #[error("no relay is configured for the {0:?} contact; see [seats.NAME.power] in the configuration")]
    NoRelay(Contact),
    /// A press outside its range.
    #[error("a press lasts 0.05 to 12 seconds")]
    Length,
    /// The relay did not move.
    #[error("the relay did not move: {0}")]
    Relay(String),
    /// Something that the appliance was to do to itself.
    #[error(transparent)]
    Appliance(#[from] ApplianceError),
}
