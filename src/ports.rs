//! Names what the daemon needs from the outside, so that a Pi, a laptop and a simulated machine look alike.
//!
//! These traits and the values that cross them are all that hardware and logic know of each other. No foreign crate's
//! type crosses a port, and nothing behind a port decides anything: policy (how long a press lasts, what is released
//! when) is in the pure modules.

use std::io;
use std::task::{Context, Poll};

use crate::base::board::{CardState, Readings};
use crate::base::front_panel::{Contact, Lamps};
use crate::base::usb::{KeyboardLeds, Report, Udc};

/// What a USB port reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsbEvent {
    /// The report before one that was refused as [`Offer::Full`] was fetched, so that it may be offered again.
    Ready,
    /// The target set the keyboard's lamps.
    Leds(KeyboardLeds),
    /// The controller changed its state, or came or went.
    Udc(Option<Udc>),
}

/// What became of a report that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// The controller has it, for the target to fetch.
    Taken,
    /// The one before has not been fetched. [`UsbEvent::Ready`] comes once when it has.
    Full,
    /// The bus is suspended: the target is asleep, off or unplugged, which a controller without sense of the cable
    /// cannot tell apart. Nothing may say so but this answer, nor when that ends: a Pi's controller shows `configured`
    /// throughout. Only offering again can tell.
    Asleep,
    /// No host has configured our keyboard, or there is no controller.
    Absent,
    /// This port has no such function, and never will.
    NoFunction,
}

/// Why a sleeping target was not signalled to wake up.
#[derive(Debug)]
pub enum WakeError {
    /// It has not armed the keyboard for that.
    NotArmed,
    /// The controller cannot, or there is none.
    Failed(io::Error),
}

/// The target's USB socket with our keyboard and pointer in it.
pub trait UsbPort: Send {
    /// Offers a report to the target.
    fn offer(&mut self, report: Report) -> Offer;

    /// Throws away what the controller has taken and the target has not fetched, as if the cable were pulled and
    /// plugged in again.
    fn replug(&mut self);

    /// Signals a target that sleeps to wake up. Whether it does, its state will tell.
    fn wake(&mut self) -> Result<(), WakeError>;

    /// Waits for the next event.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<UsbEvent>;
}

/// The relays over the front-panel headers.
pub trait Relays: Send {
    /// Closes or opens one contact. `Unsupported`: no relay is configured for it.
    fn set(&mut self, contact: Contact, closed: bool) -> io::Result<()>;
}

/// The inputs over the front-panel lamps.
pub trait LampInputs: Send {
    /// Reads both lamps now.
    fn read(&mut self) -> Lamps;
}

/// What a board can report about itself.
pub trait Sensors: Send {
    /// Reads supply voltage and temperature now.
    fn read(&mut self) -> Readings;

    /// Checks the card, without writing to it; `None` where there is none.
    fn card(&mut self) -> Option<CardState>;
}

/// One seat's hardware, as the process that owns it sees it.
pub struct Board {
    /// Keyboard and pointer towards the target.
    pub usb: Box<dyn UsbPort>,
    /// Whether a key wakes a target that sleeps.
    pub wakes_by_key: bool,
    /// Power and reset.
    pub relays: Box<dyn Relays>,
    /// Power and disk lamps.
    pub lamps: Box<dyn LampInputs>,
}
