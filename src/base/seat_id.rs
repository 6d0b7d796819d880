//! Names a target machine wherever one is meant: in paths, configuration tables, messages and log lines.
//!
//! A name is checked once, where it comes in; a [`SeatId`] that exists is a good one.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Names one target machine with its capture device, gadget and relays.
///
/// It appears in paths, configuration tables and log lines, so it is 1 to 32 of `a-z`, `0-9` and `-`, and starts with a
/// letter.
#[derive(schemars::JsonSchema)]
#[schemars(with = "String")]
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
