//! Names what passes between the target's USB host and our gadget: reports one way, lamps and state the other.
//!
//! The pure code that makes reports and the device nodes that carry them share these values and nothing else.

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
