//! Names what passes between the target's USB host and our gadget: reports one way, lamps and state the other.
//!
//! The pure code that makes reports and the device nodes that carry them share these values and nothing else.

use serde::{Deserialize, Serialize};

/// One report for the target's host controller to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// HID 1.11 appendix B.1, boot keyboard: modifiers, reserved, six usages.
    Keyboard([u8; 8]),
    /// Buttons, x and y (0 to 32767, little-endian), wheel, horizontal wheel.
    Pointer([u8; 7]),
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
