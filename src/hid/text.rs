//! Turns text into keystrokes on a US layout.

use super::keyboard::Usage;

/// One key typed: modifiers down, key down, all up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stroke {
    /// The key.
    pub usage: Usage,
    /// The report's first byte: bit 1 is the left Shift.
    pub modifiers: u8,
}

/// A character that no key of the layout gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no key of the US layout types {0:?}")]
pub struct Untypable(pub char);

/// The strokes that type `text`; line feeds become Enter.
pub fn strokes(_text: &str) -> Result<Vec<Stroke>, Untypable> {
    todo!()
}
