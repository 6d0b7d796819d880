//! Knows every key once: its UI Events `code`, its HID usage and what it types on a US layout.

use super::keyboard::Usage;

/// The usage of a key named as browsers name it (UI Events KeyboardEvent code Values), such as `KeyA`.
pub fn usage(_code: &str) -> Option<Usage> {
    todo!()
}
