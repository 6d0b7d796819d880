//! Reads pointer reports as a host does: absolute position scaled to its screen, buttons, wheel.

use crate::base::signal::Size;

/// The pointer's position from the top left corner, in the screen's pixels, and its buttons and wheel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the type's documentation says what they are")]
pub struct Pointer {
    pub x: i32,
    pub y: i32,
    pub left: bool,
    pub right: bool,
    /// Wheel detents since the last report; positive is away from the user.
    pub wheel: i32,
}

impl Pointer {
    /// Takes a report: buttons, x and y from 0 to 32767, wheel, horizontal wheel.
    pub fn receive(report: [u8; 7], screen: Size) -> Pointer {
        let [buttons, x0, x1, y0, y1, wheel, _] = report;
        // Values beyond the logical maximum are "null" in HID 1.11 section 6.2.2.5; hosts clamp or ignore them.
        let scale = |value: u16, length: u16| (i32::from(value.min(32767)) * i32::from(length)) >> 15;
        Pointer {
            x: scale(u16::from_le_bytes([x0, x1]), screen.width),
            y: scale(u16::from_le_bytes([y0, y1]), screen.height),
            left: buttons & 1 != 0,
            right: buttons & 2 != 0,
            wheel: i32::from(wheel as i8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Size = Size { width: 1920, height: 1080 };

    #[test]
    fn the_range_covers_the_screen_to_its_last_pixel() {
        assert_eq!(Pointer::default(), Pointer::receive([0; 7], SCREEN));
        let corner = Pointer::receive([3, 0xff, 0x7f, 0xff, 0x7f, 0xff, 0], SCREEN);
        assert_eq!(Pointer { x: 1919, y: 1079, left: true, right: true, wheel: -1 }, corner);
    }

    #[test]
    fn values_out_of_range_stay_on_the_screen() {
        let corner = Pointer::receive([0, 0xff, 0xff, 0xff, 0xff, 0, 0], SCREEN);
        assert_eq!((1919, 1079), (corner.x, corner.y));
    }
}
