//! Describes the keyboard and the pointer to the target, byte by byte.
//!
//! A BIOS does not read these: it assumes the boot protocol (HID 1.11 appendix B). So the keyboard's description must
//! come out as exactly that layout, without a report id, or keys would work in the operating system and nowhere before
//! it.

use super::pointer::FAR;
use crate::base::usb::{Keys, Point};

/// Length of the keyboard's input report.
pub const KEYBOARD_BYTES: usize = 8;
/// Length of the pointer's input report.
pub const POINTER_BYTES: usize = 7;

/// The last key that fits a slot: the end of the keypad, before the modifiers. The boot layout's own 0x65 would leave
/// out the keys of Japanese and Korean keyboards and F13 to F24.
const LAST_KEY: u8 = 0xDD;

// HID 1.11 section 6.2.2: the first byte is tag, type and, in its two low bits, the number of data bytes.
const USAGE_PAGE: u8 = 0x04;
const USAGE: u8 = 0x08;
const USAGE_MINIMUM: u8 = 0x18;
const USAGE_MAXIMUM: u8 = 0x28;
const LOGICAL_MINIMUM: u8 = 0x14;
const LOGICAL_MAXIMUM: u8 = 0x24;
const REPORT_SIZE: u8 = 0x74;
const REPORT_COUNT: u8 = 0x94;
const INPUT: u8 = 0x80;
const OUTPUT: u8 = 0x90;
const COLLECTION: u8 = 0xA0;
const END_COLLECTION: u8 = 0xC0;

// HID 1.11 section 6.2.2.5, data of input and output items. Unnamed bits are zero: data, array, absolute.
const ARRAY: u8 = 0x00;
const CONSTANT: u8 = 0x01;
const VARIABLE: u8 = 0x02;
const RELATIVE: u8 = 0x04;

const APPLICATION: u8 = 0x01;
const PHYSICAL: u8 = 0x00;

// HID Usage Tables 1.5: pages, then usages.
const GENERIC_DESKTOP: u8 = 0x01;
const KEYBOARD_PAGE: u8 = 0x07;
const LED_PAGE: u8 = 0x08;
const BUTTON_PAGE: u8 = 0x09;
const CONSUMER_PAGE: u8 = 0x0C;
const POINTER: u8 = 0x01;
const MOUSE: u8 = 0x02;
const KEYBOARD: u8 = 0x06;
const X: u8 = 0x30;
const Y: u8 = 0x31;
const WHEEL: u8 = 0x38;
const AC_PAN: u16 = 0x0238;

/// The boot keyboard: 8 bytes in (modifiers, reserved, six keys), 1 byte out (lamps).
pub fn keyboard() -> Vec<u8> {
    [
        byte(USAGE_PAGE, GENERIC_DESKTOP),
        byte(USAGE, KEYBOARD),
        byte(COLLECTION, APPLICATION),
        // Byte 0: a bit for each modifier, left Control to right GUI.
        byte(USAGE_PAGE, KEYBOARD_PAGE),
        byte(USAGE_MINIMUM, 0xE0),
        byte(USAGE_MAXIMUM, 0xE7),
        byte(LOGICAL_MINIMUM, 0),
        byte(LOGICAL_MAXIMUM, 1),
        fields(8, 1),
        byte(INPUT, VARIABLE),
        // Byte 1: reserved for the maker.
        fields(1, 8),
        byte(INPUT, CONSTANT),
        // The output byte, from the target: Num, Caps and Scroll Lock, Compose, Kana.
        byte(USAGE_PAGE, LED_PAGE),
        byte(USAGE_MINIMUM, 1),
        byte(USAGE_MAXIMUM, 5),
        fields(5, 1),
        byte(OUTPUT, VARIABLE),
        fields(1, 3),
        byte(OUTPUT, CONSTANT),
        // Bytes 2 to 7: the keys that are down.
        byte(USAGE_PAGE, KEYBOARD_PAGE),
        byte(USAGE_MINIMUM, 0),
        byte(USAGE_MAXIMUM, LAST_KEY),
        byte(LOGICAL_MINIMUM, 0),
        // Two bytes, since one would be read as a negative number.
        word(LOGICAL_MAXIMUM, LAST_KEY as u16),
        fields(6, 8),
        byte(INPUT, ARRAY),
        vec![END_COLLECTION],
    ]
    .concat()
}

/// The absolute pointer: 7 bytes in (buttons, x, y, wheel, sideways wheel), nothing out.
pub fn pointer() -> Vec<u8> {
    [
        byte(USAGE_PAGE, GENERIC_DESKTOP),
        byte(USAGE, MOUSE),
        byte(COLLECTION, APPLICATION),
        byte(USAGE, POINTER),
        byte(COLLECTION, PHYSICAL),
        // Byte 0: five buttons and padding.
        byte(USAGE_PAGE, BUTTON_PAGE),
        byte(USAGE_MINIMUM, 1),
        byte(USAGE_MAXIMUM, 5),
        byte(LOGICAL_MINIMUM, 0),
        byte(LOGICAL_MAXIMUM, 1),
        fields(5, 1),
        byte(INPUT, VARIABLE),
        fields(1, 3),
        byte(INPUT, CONSTANT),
        // Bytes 1 to 4: the position.
        byte(USAGE_PAGE, GENERIC_DESKTOP),
        byte(USAGE, X),
        byte(USAGE, Y),
        byte(LOGICAL_MINIMUM, 0),
        word(LOGICAL_MAXIMUM, FAR),
        fields(2, 16),
        byte(INPUT, VARIABLE),
        // Byte 5: how far the wheel turned.
        byte(USAGE, WHEEL),
        byte(LOGICAL_MINIMUM, (-127i8).cast_unsigned()),
        byte(LOGICAL_MAXIMUM, 127),
        fields(1, 8),
        byte(INPUT, VARIABLE | RELATIVE),
        // Byte 6: how far it turned sideways, which has its usage on another page.
        byte(USAGE_PAGE, CONSUMER_PAGE),
        word(USAGE, AC_PAN),
        fields(1, 8),
        byte(INPUT, VARIABLE | RELATIVE),
        vec![END_COLLECTION, END_COLLECTION],
    ]
    .concat()
}

/// A keyboard's input report, as [`keyboard`] describes it.
pub fn keyboard_report(keys: &Keys) -> [u8; KEYBOARD_BYTES] {
    let mut report = [0; KEYBOARD_BYTES];
    report[0] = keys.modifiers;
    report[2..].copy_from_slice(&keys.usages);
    report
}

/// A pointer's input report, as [`pointer`] describes it.
pub fn pointer_report(point: &Point) -> [u8; POINTER_BYTES] {
    let ([x0, x1], [y0, y1]) = (point.x.to_le_bytes(), point.y.to_le_bytes());
    [point.buttons, x0, x1, y0, y1, point.wheel.cast_unsigned(), point.pan.cast_unsigned()]
}

/// An item with one byte of data.
fn byte(item: u8, value: u8) -> Vec<u8> {
    vec![item | 1, value]
}

/// An item with two bytes of data.
fn word(item: u8, value: u16) -> Vec<u8> {
    let [low, high] = value.to_le_bytes();
    vec![item | 2, low, high]
}

/// The two items that size the fields which the next input or output item makes.
fn fields(count: u8, bits: u8) -> Vec<u8> {
    [byte(REPORT_COUNT, count), byte(REPORT_SIZE, bits)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds up the bits of all input and output fields, as a host's parser would.
    fn bits(descriptor: &[u8]) -> (usize, usize) {
        let (mut size, mut count, mut input, mut output, mut at, mut open) = (0, 0, 0, 0, 0, 0);
        while at < descriptor.len() {
            let len = usize::from(descriptor[at] & 3);
            let data =
                descriptor[at + 1..at + 1 + len].iter().rev().fold(0, |data, byte| data << 8 | usize::from(*byte));
            match descriptor[at] & !3 {
                REPORT_SIZE => size = data,
                REPORT_COUNT => count = data,
                INPUT => input += size * count,
                OUTPUT => output += size * count,
                COLLECTION => open += 1,
                END_COLLECTION => open -= 1,
                0x84 => panic!("a report id would shift every byte, and a BIOS does not expect one"),
                _ => (),
            }
            at += 1 + len;
        }
        assert_eq!(0, open, "every collection must end");
        (input, output)
    }

    #[test]
    fn the_keyboard_is_the_boot_layout() {
        assert_eq!((8 * KEYBOARD_BYTES, 8), bits(&keyboard()));
    }

    #[test]
    fn the_pointer_has_no_output() {
        assert_eq!((8 * POINTER_BYTES, 0), bits(&pointer()));
    }

    #[test]
    fn keys_stand_behind_the_modifiers_and_a_reserved_byte() {
        let keys = Keys { modifiers: 0x81, usages: [4, 5, 6, 7, 8, 9] };
        assert_eq!([0x81, 0, 4, 5, 6, 7, 8, 9], keyboard_report(&keys));
    }

    #[test]
    fn coordinates_are_little_endian_behind_the_buttons_and_wheels_are_signed() {
        let point = Point { x: 0x1234, y: FAR, buttons: 0b10, wheel: -1, pan: 2 };
        assert_eq!([0b10, 0x34, 0x12, 0xFF, 0x7F, 0xFF, 2], pointer_report(&point));
    }

    #[test]
    fn the_keyboard_begins_as_the_specification_prints_it() {
        // HID 1.11 appendix B.1, up to the modifiers' input item; size and count may come in either order.
        let printed = [5, 1, 9, 6, 0xA1, 1, 5, 7, 0x19, 0xE0, 0x29, 0xE7, 0x15, 0, 0x25, 1, 0x95, 8, 0x75, 1, 0x81, 2];
        assert_eq!(printed, keyboard()[..printed.len()]);
    }

    #[test]
    fn every_key_of_the_table_fits_a_slot_or_is_a_modifier() {
        for key in crate::hid::keymap::KEYS {
            assert!(key.usage.modifier().is_some() || key.usage.0 <= LAST_KEY, "{}", key.code);
        }
    }
}
