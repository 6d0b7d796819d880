//! Names what the appliance's own board can tell of itself: supply, heat and the state of its card.
//!
//! The sensors' drivers read it, and the health report judges it.

use serde::{Deserialize, Serialize};

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
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardState {
    /// It does what it must.
    Good,
    /// Its file system has met errors, or takes no more writes.
    Failing,
}
