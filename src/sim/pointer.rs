//! Reads pointer reports as a host does: absolute position scaled to its screen, buttons, wheel.

use crate::base::signal::Size;
use crate::base::usb::Point;

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
    /// Takes a report.
    pub fn receive(point: Point, screen: Size) -> Pointer {
        // Values beyond the logical maximum are "null" in HID 1.11 section 6.2.2.5; hosts clamp or ignore them.
        let scale = |value: u16, length: u16| (i32::from(value.min(32767)) * i32::from(length)) >> 15;
        Pointer {
            x: scale(point.x, screen.width),
            y: scale(point.y, screen.height),
            left: point.buttons & 1 != 0,
            right: point.buttons & 2 != 0,
            wheel: point.wheel.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Size = Size { width: 1920, height: 1080 };

    #[test]
    fn the_range_covers_the_screen_to_its_last_pixel() {
        assert_eq!(Pointer::default(), Pointer::receive(Point::default(), SCREEN));
        let corner = Pointer::receive(Point { x: 32767, y: 32767, buttons: 3, wheel: -1, pan: 0 }, SCREEN);
        assert_eq!(Pointer { x: 1919, y: 1079, left: true, right: true, wheel: -1 }, corner);
    }

    #[test]
    fn values_out_of_range_stay_on_the_screen() {
        let corner = Pointer::receive(Point { x: 65535, y: 65535, ..Point::default() }, SCREEN);
        assert_eq!((1919, 1079), (corner.x, corner.y));
    }
}
