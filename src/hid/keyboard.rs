//! Turns keys held by several people into boot-keyboard reports.

/// A key, as HID Usage Tables 1.5 section 10 (Keyboard/Keypad page) numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Usage(pub u8);
