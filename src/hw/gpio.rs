//! Opens GPIO lines by either driver, and explains why when it cannot.
//!
//! rppal writes a Pi's registers and leaves a line as it was when its process dies; the kernel's lines fall back to
//! inputs by themselves. Behind [`Output`] and [`Input`] the two look alike.

use std::io;
use std::path::PathBuf;

use gpiocdev::Request;
use gpiocdev::chip::{Chip, chips};
use gpiocdev::line::{Bias, Value};
use rppal::gpio::{Gpio, InputPin, Level, OutputPin, Pin};

use crate::config::{Line, Power, RelayDriver};

/// The name under which other programs see us as a line's holder.
const CONSUMER: &str = "farhand";

/// Why a line cannot be used. Each message begins with the `key` of the configuration that names the line.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum RelayError {
    /// No such chip.
    #[error("chip: there is no GPIO chip {wanted:?}; {present}")]
    NoChip { wanted: String, present: String },
    /// The chip has fewer lines.
    #[error("{key}: {chip} has no line {line}; its lines are 0 to {last}")]
    NoLine { key: &'static str, chip: String, line: u16, last: u32 },
    /// Another process holds it.
    #[error("{key}: line {line} of {chip} is held by {holder:?}; end that, or choose another line")]
    Busy { key: &'static str, chip: String, line: u16, holder: String },
    /// The kernel denies access.
    #[error("{key}: no permission for {path}; run as root, or as a user in the group that owns it")]
    Permission { key: &'static str, path: String },
    /// rppal does not know this machine.
    #[error("driver: rppal finds no Raspberry Pi here; use driver = \"gpiocdev\"")]
    NoPi,
    /// Anything else.
    #[error("{key}: opening line {line} of {chip} failed")]
    Io { key: &'static str, chip: String, line: u16, source: io::Error },
}

/// Opens the lines of one seat.
#[derive(Debug)]
pub(super) enum Bank {
    None,
    Registers(Gpio),
    Chip { chip: Chip, path: PathBuf },
}

impl Bank {
    pub(super) fn open(power: &Power) -> Result<Bank, RelayError> {
        match power.driver {
            RelayDriver::None => Ok(Bank::None),
            RelayDriver::Rppal => Gpio::new().map(Bank::Registers).map_err(|error| match error {
                rppal::gpio::Error::UnknownModel => RelayError::NoPi,
                other => pi_error("driver", 0, other),
            }),
            RelayDriver::Gpiocdev => {
                let wanted = power.chip.as_deref().unwrap_or_default();
                let chip = find(wanted)?;
                Ok(Bank::Chip { path: chip.path().to_path_buf(), chip })
            }
        }
    }

    /// Opens a relay's line with its contact open from the first moment.
    pub(super) fn output(&self, key: &'static str, line: Line, active_low: bool) -> Result<Output, RelayError> {
        match self {
            Bank::None => Ok(Output::None),
            Bank::Registers(gpio) => {
                // Both set the level before they make the pin an output.
                let pin = pin(gpio, key, line)?;
                let mut pin = if active_low { pin.into_output_high() } else { pin.into_output_low() };
                // A relay board's input that floats at our end has no defined level; driven open, it stays open.
                pin.set_reset_on_drop(false);
                Ok(Output::Register { pin, active_low })
            }
            Bank::Chip { chip, path } => {
                let mut request = Request::builder();
                request.on_chip(path).with_consumer(CONSUMER).with_line(line.0.into()).as_output(Value::Inactive);
                if active_low {
                    request.as_active_low();
                }
                request.request().map(Output::Line).map_err(|error| chip_error(key, line, chip, error))
            }
        }
    }

    /// Opens a lamp's line, pulled to the side that means dark: a loose wire must not look like a lit lamp.
    pub(super) fn input(&self, key: &'static str, line: Line, active_low: bool) -> Result<Input, RelayError> {
        match self {
            Bank::None => Ok(Input::None),
            Bank::Registers(gpio) => {
                let pin = pin(gpio, key, line)?;
                let pin = if active_low { pin.into_input_pullup() } else { pin.into_input_pulldown() };
                Ok(Input::Register { pin, active_low })
            }
            Bank::Chip { chip, path } => {
                let mut request = Request::builder();
                request.on_chip(path).with_consumer(CONSUMER).with_line(line.0.into()).as_input();
                if active_low {
                    request.as_active_low().with_bias(Bias::PullUp);
                } else {
                    request.with_bias(Bias::PullDown);
                }
                request.request().map(Input::Line).map_err(|error| chip_error(key, line, chip, error))
            }
        }
    }
}

/// A relay's line.
#[derive(Debug)]
pub(super) enum Output {
    None,
    Register { pin: OutputPin, active_low: bool },
    Line(Request),
}

impl Output {
    pub(super) fn set(&mut self, active: bool) -> io::Result<()> {
        match self {
            Output::None => Err(io::ErrorKind::Unsupported.into()),
            Output::Register { pin, active_low } => {
                pin.write(if active == *active_low { Level::Low } else { Level::High });
                Ok(())
            }
            Output::Line(request) => {
                let value = if active { Value::Active } else { Value::Inactive };
                request.set_lone_value(value).map(drop).map_err(into_io)
            }
        }
    }
}

/// A lamp's line.
#[derive(Debug)]
pub(super) enum Input {
    None,
    Register { pin: InputPin, active_low: bool },
    Line(Request),
}

impl Input {
    pub(super) fn is_active(&self) -> Option<bool> {
        match self {
            Input::None => None,
            Input::Register { pin, active_low } => Some(pin.is_low() == *active_low),
            Input::Line(request) => request.lone_value().ok().map(|value| value == Value::Active),
        }
    }
}

fn find(wanted: &str) -> Result<Chip, RelayError> {
    if wanted.starts_with('/') {
        return Chip::from_path(wanted).map_err(|error| match into_io(error) {
            error if error.kind() == io::ErrorKind::PermissionDenied => {
                RelayError::Permission { key: "chip", path: wanted.into() }
            }
            _ => RelayError::NoChip { wanted: wanted.into(), present: present() },
        });
    }
    let open = chips().unwrap_or_default().into_iter().filter_map(|path| Chip::from_path(path).ok());
    let is_wanted = |chip: &Chip| chip.name() == wanted || chip.info().is_ok_and(|info| info.label == wanted);
    open.into_iter().find(is_wanted).ok_or_else(|| RelayError::NoChip { wanted: wanted.into(), present: present() })
}

/// Lists the chips that exist, for an error's message.
fn present() -> String {
    let chips: Vec<_> = chips()
        .unwrap_or_default()
        .iter()
        .map(|path| match Chip::from_path(path).and_then(|chip| chip.info()) {
            Ok(info) => format!("{} ({:?})", path.display(), info.label),
            Err(error) => format!("{} ({error})", path.display()),
        })
        .collect();
    if chips.is_empty() { "there is none on this machine".into() } else { format!("there are {}", chips.join(", ")) }
}

fn pin(gpio: &Gpio, key: &'static str, line: Line) -> Result<Pin, RelayError> {
    // A number too large for the driver is one that no Pi has.
    let number = u8::try_from(line.0).unwrap_or(u8::MAX);
    gpio.get(number).map_err(|error| pi_error(key, line.0, error))
}

fn pi_error(key: &'static str, line: u16, error: rppal::gpio::Error) -> RelayError {
    let chip = "the Pi's registers".to_string();
    match error {
        rppal::gpio::Error::PermissionDenied(path) => RelayError::Permission { key, path },
        rppal::gpio::Error::PinNotAvailable(_) => RelayError::NoLine { key, chip, line, last: 27 },
        rppal::gpio::Error::PinUsed(_) => RelayError::Busy { key, chip, line, holder: CONSUMER.into() },
        rppal::gpio::Error::Io(source) => RelayError::Io { key, chip, line, source },
        other => RelayError::Io { key, chip, line, source: io::Error::other(other.to_string()) },
    }
}

fn chip_error(key: &'static str, line: Line, chip: &Chip, error: gpiocdev::Error) -> RelayError {
    let (name, line) = (chip.path().display().to_string(), line.0);
    let lines = chip.info().map_or(u32::MAX, |info| info.num_lines);
    if lines <= line.into() {
        return RelayError::NoLine { key, chip: name, line, last: lines.saturating_sub(1) };
    }
    match chip.line_info(line.into()) {
        Ok(info) if info.used => RelayError::Busy { key, chip: name, line, holder: info.consumer },
        _ => RelayError::Io { key, chip: name, line, source: into_io(error) },
    }
}

fn into_io(error: gpiocdev::Error) -> io::Error {
    match error {
        gpiocdev::Error::Os(errno) => io::Error::from_raw_os_error(errno.0),
        // gpiocdev does not export the type of its cause, but prints it.
        other => io::Error::other(other.to_string()),
    }
}
