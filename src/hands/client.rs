//! Asks the process with the hardware to type, point and press.
//!
//! A [`Hands`] is cheap to clone, and every clone speaks over the same socket. Input is sent in order and never waits: when
//! the other process does not keep up, the caller is told. If the connection breaks, everything held has already been let
//! go at the other end; the client connects again by itself and reports [`HandsError::Away`] until it has.

use std::time::Duration;

use crate::hid::keyboard::Usage;
use crate::hid::text::Stroke;
use crate::ports::{Contact, SeatId};

/// Distinguishes those who hold keys, so that one who leaves lets go of their own only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub u64);

/// Something done with keyboard or pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A key went down or up.
    Key {
        /// Which.
        usage: Usage,
        /// Whether it is down now.
        down: bool,
    },
    /// The pointer is here (0 to 32767 across the picture) with these buttons down.
    Pointer {
        /// From the left.
        x: u16,
        /// From the top.
        y: u16,
        /// 1 left, 2 right, 4 middle, 8 back, 16 forward.
        buttons: u8,
    },
    /// The wheel turned by detents; positive is away from the user, or to the right.
    Wheel {
        /// Sideways.
        dx: i8,
        /// Up and down.
        dy: i8,
    },
    /// Everything this owner holds is let go.
    Release,
}

/// Why the hands did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum HandsError {
    /// The process with the hardware does not answer.
    #[error("the process that holds keyboard and relays is restarting; try again in a second")]
    Away,
    /// The target takes no reports.
    #[error("the target does not take keys: USB is not plugged in, or the target is off")]
    Unplugged,
    /// More was sent than the target fetches.
    #[error("the target is too slow for this much input; what was waiting has been dropped and all keys released")]
    Flooded,
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
}

/// The network process's end of the hands. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hands {}

impl Hands {
    /// Sends one input, in order. `Away` and `Flooded` come at once.
    pub fn input(&self, _seat: &SeatId, _owner: Owner, _input: Input) -> Result<(), HandsError> {
        todo!()
    }

    /// Types strokes one after another and answers when the target has fetched the last release.
    pub async fn type_strokes(&self, _seat: &SeatId, _owner: Owner, _strokes: Vec<Stroke>) -> Result<(), HandsError> {
        todo!()
    }

    /// Presses a chord (all down in order, then all up) and answers when the target has fetched the last release.
    pub async fn chord(&self, _seat: &SeatId, _owner: Owner, _usages: Vec<Usage>) -> Result<(), HandsError> {
        todo!()
    }

    /// Closes a contact for a time; answers once it is closed. It opens by itself.
    pub async fn press(&self, _seat: &SeatId, _contact: Contact, _time: Duration) -> Result<(), HandsError> {
        todo!()
    }
}
