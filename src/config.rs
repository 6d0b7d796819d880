//! Reads the configuration: one documented struct, parsed by a pure function, each value valid by its type.
//!
//! Nothing downstream checks a value again. A bad one is reported with its key, the value and the accepted range, and the
//! daemon does not start on it: a relay on the wrong pin can switch the target off.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

use crate::ports::{SeatId, Size};

pub mod card;
mod guard;
pub mod layers;
pub mod network;
pub mod newer;
pub mod update;
pub mod url;

pub use guard::{Guard, Watchdog};
use network::{Network, Time};
use update::Update;

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which form the file has; see [`newer`].
    pub schema: u32,
    /// The machine on its network.
    pub network: Network,
    /// Its clock.
    pub time: Time,
    /// What is served there.
    pub server: Server,
    /// What supervises the machine.
    pub guard: Guard,
    /// Where updates may be fetched from.
    pub update: Update,
    /// One table for each target machine.
    pub seats: BTreeMap<SeatId, Seat>,
}

/// Where the daemon listens, and as whom.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port of page and API. Every IPv4 and IPv6 address unless narrowed.
    pub https: SocketAddr,
    /// Address and port that only redirect there, or `"none"`.
    pub http: Redirect,
    /// Host names by which browsers may call us, beside IP addresses, `localhost` and the machine's own name.
    pub names: Vec<String>,
}

/// Where plain HTTP is answered with the way to HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Redirect {
    /// Nowhere.
    None,
    /// At this address and port.
    At(SocketAddr),
}

impl TryFrom<String> for Redirect {
    type Error = String;

    fn try_from(text: String) -> Result<Redirect, String> {
        match text.as_str() {
            "none" => Ok(Redirect::None),
            address => address
                .parse()
                .map(Redirect::At)
                .map_err(|_| format!("http {text:?} must be \"none\" or an address and port, such as \"[::]:80\"")),
        }
    }
}

/// One target machine.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Video {
    /// `"auto"`, the first device that can capture, or a path such as `"/dev/video0"`.
    pub device: Device,
    /// `"auto"`, what the device does best, or a size such as `"1280x720"`.
    pub size: CaptureSize,
}

/// `"auto"` or a path below `/dev`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Device {
    /// The first that fits.
    #[default]
    Auto,
    /// This one only.
    Path(PathBuf),
}

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(text: String) -> Result<Device, String> {
        match text.as_str() {
            "auto" => Ok(Device::Auto),
            path if path.starts_with("/dev/") && !path.contains("..") => Ok(Device::Path(path.into())),
            _ => Err(format!("device {text:?} must be \"auto\" or a path below /dev, such as \"/dev/video0\"")),
        }
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

impl TryFrom<String> for CaptureSize {
    type Error = String;

    fn try_from(text: String) -> Result<CaptureSize, String> {
        if text == "auto" {
            return Ok(CaptureSize::Auto);
        }
        let size = text.split_once('x').and_then(|(width, height)| {
            let (width, height) = (width.parse().ok()?, height.parse().ok()?);
            ((160..=4096).contains(&width) && (120..=2160).contains(&height)).then_some(Size { width, height })
        });
        size.map(CaptureSize::Exactly)
            .ok_or(format!("size {text:?} must be \"auto\" or from \"160x120\" to \"4096x2160\""))
    }
}

/// How the target sees our USB device.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usb {
    /// `"auto"`, the first USB device controller; its name under `/sys/class/udc`; or `"none"`.
    pub controller: Controller,
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

impl TryFrom<String> for Controller {
    type Error = String;

    fn try_from(text: String) -> Result<Controller, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        match text.as_str() {
            "auto" => Ok(Controller::Auto),
            "none" => Ok(Controller::None),
            name if (1..=64).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain) => {
                Ok(Controller::Named(text))
            }
            _ => Err(format!("controller {text:?} must be \"auto\", \"none\" or a name from /sys/class/udc")),
        }
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
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Power {
    /// Who drives the relays.
    pub driver: RelayDriver,
    /// For `gpiocdev`: the chip's node or label, such as `"/dev/gpiochip0"` or `"pinctrl-bcm2711"`.
    pub chip: Option<String>,
    /// The line of the relay over the power button.
    pub power: Option<Line>,
    /// The line of the relay over the reset button.
    pub reset: Option<Line>,
    /// Whether a low line closes the relay.
    pub active_low: bool,
    /// The line of the power lamp.
    pub power_led: Option<Line>,
    /// The line of the disc lamp.
    pub disk_led: Option<Line>,
    /// Whether a low line means a lit lamp.
    pub leds_active_low: bool,
}

/// Who drives the relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayDriver {
    /// Nobody: there are no relays.
    #[default]
    None,
    /// The registers of a Raspberry Pi.
    Rppal,
    /// The kernel's GPIO character device, on any board.
    Gpiocdev,
}

/// A GPIO line: on a Pi its BCM number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "i64")]
pub struct Line(pub u16);

impl TryFrom<i64> for Line {
    type Error = String;

    fn try_from(line: i64) -> Result<Line, String> {
        match u16::try_from(line) {
            Ok(line) if line < 1024 => Ok(Line(line)),
            _ => Err(format!("line {line} must be 0 to 1023")),
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        let main = SeatId::try_from("main".to_string()).expect("a lower-case word is a seat name");
        Config {
            schema: newer::SCHEMA,
            network: Network::default(),
            time: Time::default(),
            server: Server::default(),
            guard: Guard::default(),
            update: Update::default(),
            seats: BTreeMap::from([(main, Seat::default())]),
        }
    }
}

impl Default for Server {
    fn default() -> Server {
        let any = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        Server { https: any(443), http: Redirect::At(any(80)), names: Vec::new() }
    }
}

impl Default for Usb {
    fn default() -> Usb {
        Usb {
            controller: Controller::Auto,
            // The Linux Foundation's multifunction composite gadget: what a Linux host expects of a device like this.
            vendor: 0x1d6b,
            product: 0x0104,
            manufacturer: UsbString("Farhand".into()),
            name: UsbString("Remote hands".into()),
            serial: UsbString("1".into()),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not TOML, has a key nobody knows, or a value outside its range; the text shows the line.
    #[error(transparent)]
    Parse(#[from] toml::de::Error),
    /// Two values do not go together.
    #[error("{key}: {problem}")]
    Conflict {
        /// The key at fault, in full.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl Config {
    /// Parses and checks a configuration file's text.
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::checked(toml::from_str(text)?)
    }

    /// Refuses values that do not go together.
    fn checked(config: Config) -> Result<Config, ConfigError> {
        if config.seats.is_empty() {
            let problem = "there is no seat: name one, such as [seats.main]".to_string();
            return Err(ConfigError::Conflict { key: "seats".into(), problem });
        }
        for name in &config.server.names {
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)) {
                let problem = format!("{name:?} must be a host name, such as \"kvm.example.org\"");
                return Err(ConfigError::Conflict { key: "server.names".into(), problem });
            }
        }
        config.network.check()?;
        config.time.check()?;
        config.update.check()?;
        for (id, seat) in &config.seats {
            seat.power.check(&format!("seats.{id}.power"))?;
        }
        config.check_shared()?;
        Ok(config)
    }

    /// Refuses seats that would take each other's devices: each works while it is alone, so nothing else would say why the
    /// other one is dead.
    fn check_shared(&self) -> Result<(), ConfigError> {
        let seats: Vec<_> = self.seats.iter().collect();
        for (at, (id, seat)) in seats.iter().enumerate() {
            for (other, earlier) in &seats[..at] {
                let conflict = |key: &str, advice: &str| ConfigError::Conflict {
                    key: format!("seats.{id}.{key}"),
                    problem: format!("may be the same device as seats.{other}.{key}; {advice}"),
                };
                if seat.usb.controller.may_be(&earlier.usb.controller) {
                    let advice =
                        "name a different one of /sys/class/udc in each, or \"none\" for a seat without keyboard";
                    return Err(conflict("usb.controller", advice));
                }
                if seat.video.device.may_be(&earlier.video.device) {
                    return Err(conflict("video.device", "name a different one in each, such as \"/dev/video0\""));
                }
            }
        }
        Ok(())
    }
}

impl Controller {
    fn may_be(&self, other: &Controller) -> bool {
        match (self, other) {
            (Controller::None, _) | (_, Controller::None) => false,
            (Controller::Auto, _) | (_, Controller::Auto) => true,
            (Controller::Named(one), Controller::Named(other)) => one == other,
        }
    }
}

impl Device {
    fn may_be(&self, other: &Device) -> bool {
        match (self, other) {
            (Device::Auto, _) | (_, Device::Auto) => true,
            (Device::Path(one), Device::Path(other)) => one == other,
        }
    }
}

/// Lines of a Pi's header that the appliance uses itself. A relay there would close with what the console says, or make the
/// appliance believe at power-on that somebody asks for a factory reset.
const SPOKEN_FOR: [(u16, &str); 3] = [(14, "the console's"), (15, "the console's"), (26, "the factory reset's")];

impl Power {
    /// The lines in use, each with its key.
    fn lines(&self) -> impl Iterator<Item = (&'static str, Line)> {
        [("power", self.power), ("reset", self.reset), ("power_led", self.power_led), ("disk_led", self.disk_led)]
            .into_iter()
            .filter_map(|(key, line)| Some((key, line?)))
    }

    fn check(&self, table: &str) -> Result<(), ConfigError> {
        let conflict = |key: &str, problem: String| ConfigError::Conflict { key: format!("{table}.{key}"), problem };
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
            if let (RelayDriver::Rppal, Some((_, use_))) =
                (self.driver, SPOKEN_FOR.iter().find(|(number, _)| *number == line.0))
            {
                return Err(conflict(key, format!("line {} is {use_}: take another", line.0)));
            }
            if let Some(other) = taken.insert(line, key) {
                return Err(conflict(key, format!("line {} is already {table}.{other}", line.0)));
            }
        }
        if self.driver == RelayDriver::Gpiocdev && self.chip.is_none() {
            return Err(conflict("chip", "driver \"gpiocdev\" needs a chip, such as \"/dev/gpiochip0\"".into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(text: &str, parts: &[&str]) {
        let message = Config::parse(text).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Config::default(), Config::parse("").unwrap());
    }

    #[test]
    fn the_shipped_file_shows_the_defaults() {
        let shipped = include_str!("../overlay/etc/farhand.toml");
        assert_eq!(Config::default(), Config::parse(shipped).unwrap());
    }

    #[test]
    fn an_unknown_key_is_named_with_what_is_known() {
        refuses("[seats.main.video]\ndevise = \"auto\"", &["devise", "device", "line 2"]);
    }

    #[test]
    fn a_line_that_the_appliance_uses_itself_is_named_with_its_use() {
        for (line, part) in [(14, "console"), (26, "factory reset")] {
            let text = format!("[seats.main.power]\ndriver = \"rppal\"\nreset = {line}");
            refuses(&text, &["seats.main.power.reset", &line.to_string(), part]);
        }
    }

    #[test]
    fn a_line_outside_the_header_is_named_with_its_range() {
        refuses("[seats.main.power]\ndriver = \"rppal\"\npower = 45", &["seats.main.power.power", "45", "2 to 27"]);
        refuses("[seats.main.power]\ndriver = \"rppal\"\npower = -1", &["power = -1", "0 to 1023"]);
    }

    #[test]
    fn one_line_cannot_have_two_jobs() {
        refuses(
            "[seats.main.power]\ndriver = \"rppal\"\npower = 17\nreset = 17",
            &["seats.main.power.reset", "17", "seats.main.power.power"],
        );
    }

    #[test]
    fn lines_need_a_driver() {
        refuses("[seats.main.power]\npower = 17", &["seats.main.power.power", "rppal", "gpiocdev"]);
        refuses("[seats.main.power]\ndriver = \"gpiocdev\"\npower = 17", &["seats.main.power.chip", "/dev/gpiochip0"]);
    }

    #[test]
    fn two_seats_cannot_share_a_device() {
        let seat = |name: &str, controller: &str, device: &str| {
            format!("[seats.{name}]\nusb.controller = \"{controller}\"\nvideo.device = \"{device}\"\n")
        };
        let one = seat("one", "a.usb", "/dev/video0");
        for controller in ["auto", "a.usb"] {
            let keys = ["seats.two.usb.controller", "seats.one.usb.controller", "/sys/class/udc", "\"none\""];
            refuses(&(one.clone() + &seat("two", controller, "/dev/video2")), &keys);
        }
        for device in ["auto", "/dev/video0"] {
            let keys = ["seats.two.video.device", "seats.one.video.device", "/dev/video0"];
            refuses(&(one.clone() + &seat("two", "b.usb", device)), &keys);
        }
        refuses("[seats.one]\n[seats.two]", &["seats.two.usb.controller", "seats.one.usb.controller"]);
        let several = one + &seat("two", "none", "/dev/video2") + &seat("three", "none", "/dev/video4");
        assert_eq!(3, Config::parse(&several).unwrap().seats.len());
    }

    #[test]
    fn bad_values_are_named_with_what_would_do() {
        refuses("[seats.Main]", &["\"Main\"", "a-z"]);
        refuses("[seats.main.video]\ndevice = \"video0\"", &["\"video0\"", "/dev/video0"]);
        refuses("[seats.main.video]\nsize = \"9000x10\"", &["9000x10", "4096x2160"]);
        refuses("[seats.main.usb]\ncontroller = \"../x\"", &["../x", "/sys/class/udc"]);
        refuses("[seats.main.usb]\nname = \"a\\nb\"", &["126 printable"]);
        refuses("[server]\nhttps = \"443\"", &["https", "443"]);
        refuses("[server]\nhttp = \"80\"", &["\"80\"", "none", "[::]:80"]);
        refuses("[guard]\nwatchdog = \"yes\"", &["watchdog \"yes\"", "auto", "none", "/dev/watchdog0"]);
        refuses("[server]\nnames = [\"a b\"]", &["server.names", "a b"]);
        refuses("[update]\nurl = \"ftp://a/b\"", &["url \"ftp://a/b\"", "https://updates.example.org", "http://"]);
        refuses("[update]\nurl = \"https://anna:pw@a/b\"", &["user name or password"]);
        refuses("[update]\nurl = \"https://a/b#c\"", &["fragment"]);
        refuses("[update]\nca = \"x\"", &["update.ca", "url"]);
        refuses("[update]\nurl = \"https://a\"\nca = \"x\"", &["update.ca", "\"x\"", "BEGIN CERTIFICATE"]);
    }
}
