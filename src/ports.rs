//! Names what the daemon needs from the outside, so that a Pi, a laptop and a simulated machine look alike.
//!
//! These traits and the values that cross them are all that hardware and logic know of each other. No foreign crate's
//! type crosses a port but `Bytes`, and nothing behind a port decides anything: policy (how long a press lasts, what is
//! released when) is in the pure modules.

use std::io;
use std::ops::Range;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;

use crate::base::board::{CardState, Readings};
use crate::base::front_panel::{Contact, Lamps};
use crate::base::tasks::Stop;
use crate::base::usb::{KeyboardLeds, Report, Udc};
use crate::video::encode::{self, Layout};
use crate::video::jpeg::Jpeg;
use crate::video::signal::SignalStatus;

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

/// A source of pictures of the target's screen: a capture device, or the simulated machine.
pub trait CaptureSource: Send + 'static {
    /// Hands out pictures, and what is known of the signal, until told to stop. Runs on a thread of its own.
    fn run(self: Box<Self>, out: Box<dyn PictureSink>, stop: Stop);
}

/// Where a source's pictures go, and what it knows of them. Nothing here keeps a source waiting.
pub trait PictureSink {
    /// Takes a picture that can be shown, and was complete at this time.
    fn show(&mut self, at: Instant, picture: Captured);

    /// Notes that the screen may look otherwise by now than the last picture that was handed out.
    fn pass_over(&mut self);

    /// Notes what is known of the picture. Cheap if nothing has changed.
    fn report(&mut self, status: SourceStatus);

    /// Notes that the source's thread goes round.
    fn beat(&mut self, now: Instant);

    /// Whether anybody wants pictures now.
    fn is_watched(&self) -> bool;
}

/// A picture as a source gives it. Whether anything more is made of it is the sink's matter.
#[derive(Debug)]
pub enum Captured {
    /// A JPEG file, and what was found in these bytes.
    Jpeg(Pinned, Jpeg),
    /// Pixels, of which none are missing.
    Raw(Pinned, Layout),
}

/// A picture's bytes, in place: mostly in a buffer of the driver's, which goes without it until they are dropped.
#[derive(Debug)]
pub struct Pinned {
    bytes: Bytes,
    is_short: bool,
}

impl Pinned {
    /// `is_short`: whether the driver has so few buffers left that nobody may keep this one.
    pub fn new(bytes: Bytes, is_short: bool) -> Pinned {
        Pinned { bytes, is_short }
    }

    /// A part of it, to be kept: in place, or as a copy if the driver is short of buffers.
    pub fn share(self, part: Range<usize>) -> Bytes {
        let (end, start) = (part.end.min(self.bytes.len()), part.start.min(self.bytes.len()));
        let part = start.min(end)..end;
        if self.is_short { Bytes::copy_from_slice(&self.bytes[part]) } else { self.bytes.slice(part) }
    }
}

impl AsRef<[u8]> for Pinned {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a source knows of its pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceStatus {
    /// The signal, the size of the picture, and how many there are.
    pub seen: SignalStatus,
    /// What the pictures come from, in words.
    pub device: String,
    /// Why it gives them in the size and rate that it does.
    pub choice: Option<String>,
    /// What exactly is wrong, in words: with the device, the kernel or the pictures.
    pub reason: Option<String>,
    /// What the numbers of the pictures mean, once they are JPEG files.
    pub range: encode::Range,
}
