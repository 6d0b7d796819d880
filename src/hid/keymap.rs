//! Knows every key once: its UI Events `code`, its HID usage and what it types on a US layout.
//!
//! Browsers name keys by their place on the keyboard, and so does USB, so the one is translated into the other without
//! knowing the layout that the target has set. Only typing text needs a layout, and takes it from the same table.

use super::keyboard::Usage;

/// A key, under each of its names.
#[derive(Debug)]
pub struct Key {
    /// Its name in UI Events KeyboardEvent code Values.
    pub code: &'static str,
    /// Its number in HID Usage Tables 1.5 section 10.
    pub usage: Usage,
    /// What it types on a US layout: plain, then with Shift. Empty for a key that types nothing.
    pub types: &'static str,
}

/// The usage of a key named as browsers name it, such as `KeyA`.
pub fn usage(code: &str) -> Option<Usage> {
    KEYS.iter().find(|key| key.code == code).map(|key| key.usage)
}

/// Whether a keyboard of ours has this key.
pub fn knows(usage: Usage) -> bool {
    KEYS.iter().any(|key| key.usage == usage)
}

const fn key(code: &'static str, usage: u8, types: &'static str) -> Key {
    Key { code, usage: Usage(usage), types }
}

/// Every key. `Power` is left out on purpose: the right to type must not include the right to switch the target off.
#[rustfmt::skip] // One key per line keeps the table readable.
pub const KEYS: &[Key] = &[
    // Letters.
    key("KeyA", 0x04, "aA"),
    key("KeyB", 0x05, "bB"),
    key("KeyC", 0x06, "cC"),
    key("KeyD", 0x07, "dD"),
    key("KeyE", 0x08, "eE"),
    key("KeyF", 0x09, "fF"),
    key("KeyG", 0x0A, "gG"),
    key("KeyH", 0x0B, "hH"),
    key("KeyI", 0x0C, "iI"),
    key("KeyJ", 0x0D, "jJ"),
    key("KeyK", 0x0E, "kK"),
    key("KeyL", 0x0F, "lL"),
    key("KeyM", 0x10, "mM"),
    key("KeyN", 0x11, "nN"),
    key("KeyO", 0x12, "oO"),
    key("KeyP", 0x13, "pP"),
    key("KeyQ", 0x14, "qQ"),
    key("KeyR", 0x15, "rR"),
    key("KeyS", 0x16, "sS"),
    key("KeyT", 0x17, "tT"),
    key("KeyU", 0x18, "uU"),
    key("KeyV", 0x19, "vV"),
    key("KeyW", 0x1A, "wW"),
    key("KeyX", 0x1B, "xX"),
    key("KeyY", 0x1C, "yY"),
    key("KeyZ", 0x1D, "zZ"),
    // The row of digits.
    key("Digit1", 0x1E, "1!"),
    key("Digit2", 0x1F, "2@"),
    key("Digit3", 0x20, "3#"),
    key("Digit4", 0x21, "4$"),
    key("Digit5", 0x22, "5%"),
    key("Digit6", 0x23, "6^"),
    key("Digit7", 0x24, "7&"),
    key("Digit8", 0x25, "8*"),
    key("Digit9", 0x26, "9("),
    key("Digit0", 0x27, "0)"),
    // What surrounds the letters.
    key("Enter", 0x28, "\n"),
    key("Escape", 0x29, ""),
    key("Backspace", 0x2A, ""),
    key("Tab", 0x2B, "\t"),
    key("Space", 0x2C, " "),
    key("Minus", 0x2D, "-_"),
    key("Equal", 0x2E, "=+"),
    key("BracketLeft", 0x2F, "[{"),
    key("BracketRight", 0x30, "]}"),
    key("Backslash", 0x31, "\\|"),
    key("Semicolon", 0x33, ";:"),
    key("Quote", 0x34, "'\""),
    key("Backquote", 0x35, "`~"),
    key("Comma", 0x36, ",<"),
    key("Period", 0x37, ".>"),
    key("Slash", 0x38, "/?"),
    key("CapsLock", 0x39, ""),
    // Function keys.
    key("F1", 0x3A, ""),
    key("F2", 0x3B, ""),
    key("F3", 0x3C, ""),
    key("F4", 0x3D, ""),
    key("F5", 0x3E, ""),
    key("F6", 0x3F, ""),
    key("F7", 0x40, ""),
    key("F8", 0x41, ""),
    key("F9", 0x42, ""),
    key("F10", 0x43, ""),
    key("F11", 0x44, ""),
    key("F12", 0x45, ""),
    key("F13", 0x68, ""),
    key("F14", 0x69, ""),
    key("F15", 0x6A, ""),
    key("F16", 0x6B, ""),
    key("F17", 0x6C, ""),
    key("F18", 0x6D, ""),
    key("F19", 0x6E, ""),
    key("F20", 0x6F, ""),
    key("F21", 0x70, ""),
    key("F22", 0x71, ""),
    key("F23", 0x72, ""),
    key("F24", 0x73, ""),
    // Navigation.
    key("PrintScreen", 0x46, ""),
    key("ScrollLock", 0x47, ""),
    key("Pause", 0x48, ""),
    key("Insert", 0x49, ""),
    key("Home", 0x4A, ""),
    key("PageUp", 0x4B, ""),
    key("Delete", 0x4C, ""),
    key("End", 0x4D, ""),
    key("PageDown", 0x4E, ""),
    key("ArrowRight", 0x4F, ""),
    key("ArrowLeft", 0x50, ""),
    key("ArrowDown", 0x51, ""),
    key("ArrowUp", 0x52, ""),
    // The keypad. Its characters depend on Num Lock, so text is typed on the main keys.
    key("NumLock", 0x53, ""),
    key("NumpadDivide", 0x54, ""),
    key("NumpadMultiply", 0x55, ""),
    key("NumpadSubtract", 0x56, ""),
    key("NumpadAdd", 0x57, ""),
    key("NumpadEnter", 0x58, ""),
    key("Numpad1", 0x59, ""),
    key("Numpad2", 0x5A, ""),
    key("Numpad3", 0x5B, ""),
    key("Numpad4", 0x5C, ""),
    key("Numpad5", 0x5D, ""),
    key("Numpad6", 0x5E, ""),
    key("Numpad7", 0x5F, ""),
    key("Numpad8", 0x60, ""),
    key("Numpad9", 0x61, ""),
    key("Numpad0", 0x62, ""),
    key("NumpadDecimal", 0x63, ""),
    key("NumpadEqual", 0x67, ""),
    key("NumpadComma", 0x85, ""),
    key("NumpadParenLeft", 0xB6, ""),
    key("NumpadParenRight", 0xB7, ""),
    key("NumpadBackspace", 0xBB, ""),
    key("NumpadClear", 0xD8, ""),
    key("NumpadClearEntry", 0xD9, ""),
    // Keys of other countries' keyboards.
    key("IntlBackslash", 0x64, ""),
    key("IntlRo", 0x87, ""),
    key("KanaMode", 0x88, ""),
    key("IntlYen", 0x89, ""),
    key("Convert", 0x8A, ""),
    key("NonConvert", 0x8B, ""),
    key("Lang1", 0x90, ""),
    key("Lang2", 0x91, ""),
    key("Lang3", 0x92, ""),
    key("Lang4", 0x93, ""),
    key("Lang5", 0x94, ""),
    // Keys of old and large keyboards.
    key("ContextMenu", 0x65, ""),
    key("Open", 0x74, ""),
    key("Help", 0x75, ""),
    key("Select", 0x77, ""),
    key("Again", 0x79, ""),
    key("Undo", 0x7A, ""),
    key("Cut", 0x7B, ""),
    key("Copy", 0x7C, ""),
    key("Paste", 0x7D, ""),
    key("Find", 0x7E, ""),
    key("AudioVolumeMute", 0x7F, ""),
    key("AudioVolumeUp", 0x80, ""),
    key("AudioVolumeDown", 0x81, ""),
    // Modifiers, in the order of their bits.
    key("ControlLeft", 0xE0, ""),
    key("ShiftLeft", 0xE1, ""),
    key("AltLeft", 0xE2, ""),
    key("MetaLeft", 0xE3, ""),
    key("ControlRight", 0xE4, ""),
    key("ShiftRight", 0xE5, ""),
    key("AltRight", 0xE6, ""),
    key("MetaRight", 0xE7, ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, expected: Option<u8>) {
        assert_eq!(expected.map(Usage), usage(code));
    }

    #[test]
    fn codes_give_usages() {
        check("KeyA", Some(0x04));
        check("Digit0", Some(0x27));
        check("F12", Some(0x45));
        check("F24", Some(0x73));
        check("ArrowUp", Some(0x52));
        check("Numpad0", Some(0x62));
        check("NumpadDecimal", Some(0x63));
        check("IntlBackslash", Some(0x64));
        check("Lang1", Some(0x90));
        check("MetaRight", Some(0xE7));
        check("keya", None);
        check("Power", None);
        check("", None);
    }

    #[test]
    fn no_code_and_no_usage_stands_twice() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..at].iter().all(|other| other.code != key.code && other.usage != key.usage), "{}", key.code);
        }
    }

    #[test]
    fn every_printable_ascii_character_is_on_one_key() {
        for character in ' '..='~' {
            assert_eq!(1, KEYS.iter().filter(|key| key.types.contains(character)).count(), "{character:?}");
        }
    }
}
