//! Names what the target's front panel has: contacts to close and lamps to read.
//!
//! The drivers, the timing of a press and the status all speak of these.

use serde::{Deserialize, Serialize};

/// A front-panel contact that a relay closes in place of a finger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contact {
    /// The power button's header.
    Power,
    /// The reset button's header.
    Reset,
}

/// The front panel's lamps; `None` where no input is configured or it cannot be read.
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lamps {
    /// The power lamp.
    pub power: Option<bool>,
    /// The disk lamp.
    pub disk: Option<bool>,
}
