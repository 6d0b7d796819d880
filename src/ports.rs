//! Names what the daemon needs of the world, so that a Pi, a laptop and a simulated machine look alike.
//!
//! These traits and the values that cross them are all that hardware and logic know of each other. No foreign crate's type
//! crosses a port, and nothing behind a port decides anything: policy (how long a press lasts, what is released when) is
//! in the pure modules.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::{Deserialize, Serialize};

use crate::bus::SeatBus;
use crate::tasks::Stop;

/// Names one target machine with its capture device, gadget and relays.
///
/// It appears in paths, configuration tables and log lines, so it is 1 to 32 of `a-z`, `0-9` and `-`, and starts with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SeatId(Arc<str>);

impl SeatId {
    /// The name as it stands in paths and tables.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SeatId {
    type Error = String;

    fn try_from(name: String) -> Result<SeatId, String> {
        let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= 32
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if fits {
            Ok(SeatId(name.into()))
        } else {
            Err(format!("seat name {name:?} must be 1 to 32 of a-z, 0-9 and -, starting with a letter"))
        }
    }
}

impl From<SeatId> for String {
    fn from(seat: SeatId) -> String {
        seat.0.to_string()
    }
}

impl fmt::Display for SeatId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SeatId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SeatId({})", self.0)
    }
}

/// Width and height of a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// What is known of the target's video signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// Nothing is known yet.
    #[default]
    Starting,
    /// Pictures arrive.
    Ok,
    /// No capture device is plugged in.
    NoDevice,
    /// Another program holds the capture device.
    Busy,
    /// The device sees no cable, or a target that sends nothing.
    NoSignal,
    /// Something arrives that the device cannot synchronise to.
    NoLock,
    /// The target's mode is more than the device can take.
    OutOfRange,
    /// The mode has just changed and the next good picture is awaited.
    Changing,
    /// The device is there and claims a signal but gives no pictures.
    Stalled,
}

/// A source of pictures of the target's screen: a capture device, or the simulated machine.
pub trait Screen: Send + 'static {
    /// Publishes pictures, and what is known of the signal, until told to stop. Runs on a thread of its own.
    fn run(self: Box<Self>, bus: SeatBus, stop: Stop);
}

/// One report for the target's host controller to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// HID 1.11 appendix B.1, boot keyboard: modifiers, reserved, six usages.
    Keyboard([u8; 8]),
    /// Buttons, x and y (0 to 32767, little-endian), wheel, horizontal wheel.
    Pointer([u8; 7]),
}

/// The lamps of the keyboard as the target sets them (HID 1.11 appendix B.1, output report).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeyboardLeds {
    /// Num Lock.
    pub num: bool,
    /// Caps Lock.
    pub caps: bool,
    /// Scroll Lock.
    pub scroll: bool,
}

/// Our USB device controller as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Udc {
    /// Its name under `/sys/class/udc`.
    pub name: String,
    /// The kernel's word: `not attached`, `default`, `addressed`, `configured`, `suspended`, ...
    pub state: String,
}

/// What a USB port has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsbEvent {
    /// A report was fetched, so that another one may be offered.
    Ready,
    /// The target set the keyboard's lamps.
    Leds(KeyboardLeds),
    /// The controller changed its state, or came or went.
    Udc(Option<Udc>),
}

/// The target's USB socket with our keyboard and pointer in it.
pub trait UsbPort: Send {
    /// Offers a report to the target. `WouldBlock`: it has not fetched the one before; `NotConnected`: it takes none at all.
    fn offer(&mut self, report: Report) -> io::Result<()>;

    /// Waits for the next event. `Ready` comes once after an offer that would have blocked.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<UsbEvent>;
}

/// A front-panel contact that a relay closes in place of a finger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contact {
    /// The power button's header.
    Power,
    /// The reset button's header.
    Reset,
}

/// The relays over the front-panel headers.
pub trait Relays: Send {
    /// Closes or opens one contact. `Unsupported`: no relay is configured for it.
    fn set(&mut self, contact: Contact, closed: bool) -> io::Result<()>;
}

/// The front panel's lamps; `None` where no input is configured or it cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lamps {
    /// The power lamp.
    pub power: Option<bool>,
    /// The disc lamp.
    pub disk: Option<bool>,
}

/// The inputs over the front-panel lamps.
pub trait LampInputs: Send {
    /// Reads both lamps now.
    fn read(&mut self) -> Lamps;
}

/// What a board's sensors say; `None` where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Readings {
    /// Whether the supply's voltage was too low within the last two seconds.
    pub low_voltage: Option<bool>,
    /// The processor's temperature.
    pub celsius: Option<f32>,
    /// Whether the processor's clock is held down for its heat.
    pub slowed: Option<bool>,
}

/// What has become of the card that holds what survives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardState {
    /// It does what it must.
    Good,
    /// Its file system has met errors, or takes no more writes.
    Failing,
}

/// What a board can say of itself.
pub trait Sensors: Send {
    /// Reads supply and heat now.
    fn read(&mut self) -> Readings;

    /// Looks at the card, without writing to it; `None` where there is none.
    fn card(&mut self) -> Option<CardState>;
}

/// One seat's hardware, as the process that owns it sees it.
pub struct Board {
    /// Keyboard and pointer towards the target.
    pub usb: Box<dyn UsbPort>,
    /// Power and reset.
    pub relays: Box<dyn Relays>,
    /// Power and disc lamps.
    pub lamps: Box<dyn LampInputs>,
}
