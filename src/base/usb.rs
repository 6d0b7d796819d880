//! Names what passes between the target's USB host and our gadget (reports one way, lamps and state the other), and the
//! ports of our own hubs, where capture devices are.
//!
//! The pure code that makes reports and the device nodes that carry them share these values and nothing else.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One report for the target to fetch. It says what it means; how that is written is a matter of the device that
/// carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// What is down on the keyboard.
    Keys(Keys),
    /// Where the absolute pointer is.
    Point(Point),
}

/// The keys that are down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keys {
    /// A bit for each modifier, left Control to right GUI.
    pub modifiers: u8,
    /// The other keys, by usage (HID Usage Tables 1.5 section 10), and zeros; six times `ErrorRollOver` if there are
    /// more than six (HID 1.11 appendix C).
    pub usages: [u8; 6],
}

/// An absolute pointer's position, its buttons, and how far its wheels have turned since the last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Point {
    /// From the left, 0 to 32767.
    pub x: u16,
    /// From the top, 0 to 32767.
    pub y: u16,
    /// A bit for each button: left, right, middle, back, forward.
    pub buttons: u8,
    /// In detents, away from the user.
    pub wheel: i8,
    /// In detents, to the right.
    pub pan: i8,
}

/// The lamps of the keyboard as the target sets them (HID 1.11 appendix B.1, output report).
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeyboardLeds {
    /// Num Lock.
    pub num: bool,
    /// Caps Lock.
    pub caps: bool,
    /// Scroll Lock.
    pub scroll: bool,
}

/// Our USB device controller as the kernel describes it.
#[derive(schemars::JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Udc {
    /// Its name under `/sys/class/udc`.
    pub name: String,
    /// The kernel's word: `not attached`, `default`, `addressed`, `configured`, `suspended`, ...
    pub state: String,
}

impl Udc {
    /// Whether its host sleeps. To a Pi, a host that is off, or unplugged since it was configured, looks the same.
    pub fn is_suspended(&self) -> bool {
        self.state == "suspended"
    }
}

/// A port of one of our hubs, by the name that the kernel gives it and what is plugged in there: `1-1.3`, which is the
/// bus, then the port at each hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HubPort(String);

impl HubPort {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hub that it is a port of, as `1-1`, and its number there; of a port of the bus's own hub the bus, as `1`.
    pub fn hub(&self) -> (&str, &str) {
        self.0.rsplit_once('.').or_else(|| self.0.split_once('-')).unwrap_or_default()
    }

    /// Whether its hub is the bus's own.
    pub fn is_at_root(&self) -> bool {
        !self.0.contains('.')
    }
}

impl TryFrom<String> for HubPort {
    type Error = String;

    fn try_from(name: String) -> Result<HubPort, String> {
        let is_number = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_port =
            |(bus, ports): (&str, &str)| is_number(bus) && ports.len() < 32 && ports.split('.').all(is_number);
        if name.split_once('-').is_some_and(is_port) {
            Ok(HubPort(name))
        } else {
            Err(format!("{name:?} is no USB port such as \"1-1.3\""))
        }
    }
}

impl From<HubPort> for String {
    fn from(port: HubPort) -> String {
        port.0
    }
}

impl fmt::Display for HubPort {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_bus_and_the_port_at_each_hub_and_nothing_that_leads_elsewhere() {
        let port = |name: &str| HubPort::try_from(name.to_string());
        for (name, hub) in [("1-1.3", ("1-1", "3")), ("2-1", ("2", "1")), ("1-1.4.10", ("1-1.4", "10"))] {
            assert_eq!((hub, hub.0.len() == 1), (port(name).unwrap().hub(), port(name).unwrap().is_at_root()));
        }
        for name in ["", "1", "usb1", "1-", "-1", "1-1.", "1-1..3", "1-1:1.0", "../1-1", "1-1/..", "1-1.1234", "1-1 "] {
            assert!(port(name).is_err(), "{name}");
        }
    }
}
