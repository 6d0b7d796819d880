//! The tables of one target machine: its screen, its keyboard, its buttons and lamps.
//!
//! A relay on the wrong pin can switch the target off, so what two lines may not both be is refused here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::choice::Choice;
use super::error::ConfigError;
use crate::base::signal::Size;
use crate::base::usb::HubPort;

/// One target machine.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seat {
    /// Its screen.
    pub video: Video,
    /// Its keyboard and mouse.
    pub usb: Usb,
    /// Its buttons and lamps.
    pub power: Power,
}

/// Which device captures the screen, and how.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Video {
    /// `"auto"`, the first device that can capture; the one at a USB port, such as `"usb:1-1.3"`; or a path such as
    /// `"/dev/video0"`.
    pub device: Device,
    /// `"auto"`, what the device does best, or a size such as `"1280x720"`.
    pub size: CaptureSize,
    /// `"auto"`, what the driver says, or which numbers mean black and white: `"full"` or `"limited"`.
    pub range: CaptureRange,
}

/// `"auto"`, a USB port or a path below `/dev`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Device {
    /// The first that fits and is no other seat's.
    #[default]
    Auto,
    /// The one that is plugged in there, by whatever name: `1-1.3`, as the kernel calls it.
    Usb(String),
    /// This one only.
    Path(PathBuf),
}

const DEVICE: Choice<Device> = Choice {
    key: "device",
    words: &[("auto", Device::Auto)],
    or: &["a USB port such as \"usb:1-1.3\"", "a path below /dev, such as \"/dev/video0\""],
};

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(text: String) -> Result<Device, String> {
        DEVICE.read(&text, |text| match text.strip_prefix("usb:") {
            Some(port) => HubPort::try_from(port.to_string()).ok().map(|port| Device::Usb(port.into())),
            None => (text.starts_with("/dev/") && !text.contains("..")).then(|| Device::Path(text.into())),
        })
    }
}

/// `"auto"` or `"WIDTHxHEIGHT"`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum CaptureSize {
    /// What the device does best.
    #[default]
    Auto,
    /// This size.
    Exactly(Size),
}

const CAPTURE_SIZE: Choice<CaptureSize> =
    Choice { key: "size", words: &[("auto", CaptureSize::Auto)], or: &["from \"160x120\" to \"4096x2160\""] };

impl TryFrom<String> for CaptureSize {
    type Error = String;

    fn try_from(text: String) -> Result<CaptureSize, String> {
        CAPTURE_SIZE.read(&text, |size| {
            let (width, height) = size.split_once('x')?;
            let (width, height) = (width.parse().ok()?, height.parse().ok()?);
            let is_possible = (160..=4096).contains(&width) && (120..=2160).contains(&height);
            is_possible.then_some(CaptureSize::Exactly(Size { width, height }))
        })
    }
}

/// Which numbers of a device's pictures mean black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum CaptureRange {
    /// Those that the driver says; in JPEG files those that the format says.
    #[default]
    Auto,
    /// 0 and 255.
    Full,
    /// 16 and 235.
    Limited,
}

const CAPTURE_RANGE: Choice<CaptureRange> = Choice {
    key: "range",
    words: &[("auto", CaptureRange::Auto), ("full", CaptureRange::Full), ("limited", CaptureRange::Limited)],
    or: &[],
};

impl TryFrom<String> for CaptureRange {
    type Error = String;

    fn try_from(text: String) -> Result<CaptureRange, String> {
        CAPTURE_RANGE.word(&text)
    }
}

/// How the target sees our USB device.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usb {
    /// `"auto"`, the first USB device controller; its name under `/sys/class/udc`; or `"none"`.
    pub controller: Controller,
    /// What wakes a target that sleeps.
    pub wake: Wake,
    /// USB vendor number.
    pub vendor: u16,
    /// USB product number.
    pub product: u16,
    /// What the target shows as the maker.
    pub manufacturer: UsbString,
    /// What the target shows as the device's name.
    pub name: UsbString,
    /// What tells two of these apart.
    pub serial: UsbString,
}

/// What wakes a target that sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wake {
    /// Whoever asks for it.
    Button,
    /// A key or a mouse button, too, as on any keyboard. A host that saves power while it runs relies on it.
    #[default]
    Key,
}

/// `"auto"`, `"none"` or the name of a USB device controller.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Controller {
    /// The first there is.
    #[default]
    Auto,
    /// None: the seat has no keyboard, as a Pi with one controller has for all targets but one.
    None,
    /// This one only.
    Named(String),
}

const CONTROLLER: Choice<Controller> = Choice {
    key: "controller",
    words: &[("auto", Controller::Auto), ("none", Controller::None)],
    or: &["a name from /sys/class/udc"],
};

impl TryFrom<String> for Controller {
    type Error = String;

    fn try_from(text: String) -> Result<Controller, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        CONTROLLER.read(&text, |name| {
            let is_name = (1..=64).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain);
            is_name.then(|| Controller::Named(name.into()))
        })
    }
}

/// A USB string descriptor's text: 1 to 126 printable ASCII characters, since one counts its length in a byte.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct UsbString(String);

impl UsbString {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UsbString {
    type Error = String;

    fn try_from(text: String) -> Result<UsbString, String> {
        if (1..=126).contains(&text.len()) && text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            Ok(UsbString(text))
        } else {
            Err(format!("{text:?} must be 1 to 126 printable ASCII characters"))
        }
    }
}

/// How relays and lamps are wired.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Power {
    /// Who drives the relays.
    pub driver: RelayDriver,
    /// For `gpiocdev`: the chip's node or label, such as `"/dev/gpiochip0"` or `"pinctrl-bcm2711"`.
    pub chip: Option<String>,
    /// The line of the relay over the power button; `"none"` takes away what the board's file names, as with the other
    /// lines.
    #[serde(deserialize_with = "line_or_none", serialize_with = "write_line")]
    pub power: Option<Line>,
    /// The line of the relay over the reset button.
    #[serde(deserialize_with = "line_or_none", serialize_with = "write_line")]
    pub reset: Option<Line>,
    /// Whether a low line closes the relay.
    pub active_low: bool,
    /// The line of the power lamp.
    #[serde(deserialize_with = "line_or_none", serialize_with = "write_line")]
    pub power_led: Option<Line>,
    /// The line of the disk lamp.
    #[serde(deserialize_with = "line_or_none", serialize_with = "write_line")]
    pub disk_led: Option<Line>,
    /// Whether a low line means a lit lamp.
    pub leds_active_low: bool,
}

/// Who drives the relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum RelayDriver {
    /// Nobody: there are no relays.
    #[default]
    None,
    /// The registers of a Raspberry Pi.
    Rppal,
    /// The kernel's GPIO character device, on any board.
    Gpiocdev,
}

const RELAY_DRIVER: Choice<RelayDriver> = Choice {
    key: "driver",
    words: &[("none", RelayDriver::None), ("rppal", RelayDriver::Rppal), ("gpiocdev", RelayDriver::Gpiocdev)],
    or: &[],
};

impl TryFrom<String> for RelayDriver {
    type Error = String;

    fn try_from(text: String) -> Result<RelayDriver, String> {
        RELAY_DRIVER.word(&text)
    }
}

/// A GPIO line: on a Pi its BCM number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line(pub u16);

const LINE: Choice<Option<Line>> = Choice { key: "line", words: &[("none", None)], or: &["0 to 1023"] };

/// Reads a line's number, or `"none"`: TOML has no value for nothing, and a key that is left out leaves what lies below
/// it.
fn line_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Line>, D::Error> {
    struct LineVisitor;

    impl Visitor<'_> for LineVisitor {
        type Value = Option<Line>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a line from 0 to 1023, or \"none\"")
        }

        fn visit_i64<E: de::Error>(self, line: i64) -> Result<Option<Line>, E> {
            let number = u16::try_from(line).ok().filter(|line| *line < 1024);
            number.map(|line| Some(Line(line))).ok_or_else(|| E::custom(LINE.refusal(line)))
        }

        fn visit_str<E: de::Error>(self, word: &str) -> Result<Option<Line>, E> {
            LINE.word(word).map_err(E::custom)
        }
    }

    deserializer.deserialize_any(LineVisitor)
}

/// Writes what [`line_or_none`] reads.
fn write_line<S: Serializer>(line: &Option<Line>, serializer: S) -> Result<S::Ok, S::Error> {
    match line {
        Some(line) => serializer.serialize_u16(line.0),
        None => serializer.serialize_str("none"),
    }
}

impl Default for Usb {
    fn default() -> Usb {
        Usb {
            controller: Controller::Auto,
            wake: Wake::default(),
            // The Linux Foundation's multifunction composite gadget: what a Linux host expects of a device like this.
            vendor: 0x1d6b,
            product: 0x0104,
            manufacturer: UsbString("Farhand".into()),
            name: UsbString("Remote hands".into()),
            serial: UsbString("1".into()),
        }
    }
}

impl Controller {
    pub(super) fn may_be(&self, other: &Controller) -> bool {
        match (self, other) {
            (Controller::None, _) | (_, Controller::None) => false,
            (Controller::Auto, _) | (_, Controller::Auto) => true,
            (Controller::Named(one), Controller::Named(other)) => one == other,
        }
    }
}

impl Device {
    /// Whether two seats name the same one. What is found by itself is none that another seat has, or names.
    pub(super) fn is_same(&self, other: &Device) -> bool {
        *self != Device::Auto && self == other
    }
}

/// What the chip behind a Pi's header is called: by its driver, and by the node that it has, because it is the first.
const HEADER: [&str; 3] = ["pinctrl-bcm2711", "/dev/gpiochip0", "gpiochip0"];

/// Lines of a Pi's header that the appliance uses itself. A relay there would close with what the console says, or make
/// the appliance believe at power-on that somebody asks for a factory reset.
const SPOKEN_FOR: [(u16, &str); 3] = [(14, "the console's"), (15, "the console's"), (26, "the factory reset's")];

impl Power {
    /// The lines in use, each with its key.
    fn lines(&self) -> impl Iterator<Item = (&'static str, Line)> {
        [("power", self.power), ("reset", self.reset), ("power_led", self.power_led), ("disk_led", self.disk_led)]
            .into_iter()
            .filter_map(|(key, line)| Some((key, line?)))
    }

    /// Whether the lines are those of a Pi's header.
    fn is_on_header(&self) -> bool {
        match self.driver {
            RelayDriver::None => false,
            RelayDriver::Rppal => true,
            RelayDriver::Gpiocdev => self.chip.as_deref().is_some_and(|chip| HEADER.contains(&chip)),
        }
    }

    /// A line of ours that is also one of the other's, with both their keys.
    pub(super) fn shared_line(&self, other: &Power) -> Option<(&'static str, &'static str)> {
        let one_chip = (self.is_on_header() && other.is_on_header())
            || (self.driver == RelayDriver::Gpiocdev && other.driver == self.driver && self.chip == other.chip);
        let taken = |line: Line| other.lines().find(|(_, other)| one_chip && line == *other).map(|(key, _)| key);
        self.lines().find_map(|(key, line)| Some((key, taken(line)?)))
    }

    pub(super) fn check(&self, table: &str) -> Result<(), ConfigError> {
        let conflict = |key: &str, problem: String| ConfigError::conflict(format!("{table}.{key}"), problem);
        let mut taken: BTreeMap<Line, &str> = BTreeMap::new();
        for (key, line) in self.lines() {
            if self.driver == RelayDriver::None {
                let problem = "needs driver = \"rppal\" or \"gpiocdev\" beside it".to_string();
                return Err(conflict(key, problem));
            }
            // The Pi's header carries GPIO 0 to 27, of which 0 and 1 read the add-on board's memory at boot.
            if self.driver == RelayDriver::Rppal && !(2..=27).contains(&line.0) {
                return Err(conflict(key, format!("line {} must be 2 to 27 on a Raspberry Pi", line.0)));
            }
            if let (true, Some((_, use_))) =
                (self.is_on_header(), SPOKEN_FOR.iter().find(|(number, _)| *number == line.0))
            {
                return Err(conflict(key, format!("line {} is {use_}: take another", line.0)));
            }
            if let Some(other) = taken.insert(line, key) {
                return Err(conflict(key, format!("line {} is already {table}.{other}", line.0)));
            }
        }
        if self.driver == RelayDriver::Gpiocdev && self.chip.as_ref().is_none_or(String::is_empty) {
            return Err(conflict("chip", "driver \"gpiocdev\" needs a chip, such as \"/dev/gpiochip0\"".into()));
        }
        Ok(())
    }
}
