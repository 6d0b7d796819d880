//! Describes the target's video signal: its size, and whether pictures arrive.
//!
//! Capture, status and page use these same words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Width and height of a picture, in pixels.
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    /// Pictures arrive, but none that can be shown.
    Damaged,
    /// The device offers no format that is known here.
    Unsupported,
    /// USB has no room for any of the device's modes.
    NoBandwidth,
    /// The device's driver does not answer.
    Stuck,
}
