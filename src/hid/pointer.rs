//! Turns absolute pointer positions into reports.
//!
//! The position is the last one set, by any owner, but a button belongs to the owner who holds it: two people may point
//! at once, and when one of them leaves, the other's drag must go on.

use super::keyboard::Owner;
use crate::base::usb::Point;

/// The largest coordinate: 15 bits, because hosts that read coordinates as signed halve a 16-bit range.
pub const FAR: u16 = 32767;

/// The buttons a report has room for: left, right, middle, back, forward.
pub const BUTTONS: u8 = 0b1_1111;

/// Owners with a button down that are kept at once; without a limit a broken client could fill the memory.
const MOST_HOLDERS: usize = 64;

/// Where the pointer is, and the buttons that each owner holds.
#[derive(Debug, Default)]
pub struct Pointer {
    x: u16,
    y: u16,
    held: Vec<(Owner, u8)>,
}

impl Pointer {
    /// Moves the pointer, with these of the owner's buttons down.
    pub fn point(&mut self, owner: Owner, x: u16, y: u16, buttons: u8) {
        (self.x, self.y) = (x.min(FAR), y.min(FAR));
        self.leave(owner);
        if buttons & BUTTONS != 0 && self.held.len() < MOST_HOLDERS {
            self.held.push((owner, buttons & BUTTONS));
        }
    }

    /// Releases the owner's buttons.
    pub fn leave(&mut self, owner: Owner) {
        self.held.retain(|(holder, _)| *holder != owner);
    }

    /// Releases all buttons and leaves the pointer where it is.
    pub fn release_all(&mut self) {
        self.held.clear();
    }

    /// Every button that any owner holds.
    pub fn buttons(&self) -> u8 {
        self.held.iter().fold(0, |buttons, (_, held)| buttons | held)
    }

    /// What the target must see now, with wheels that stand still.
    pub fn report(&self) -> Point {
        Point { x: self.x, y: self.y, buttons: self.buttons(), ..Point::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: Owner = Owner(1);
    const BERT: Owner = Owner(2);

    #[test]
    fn what_is_out_of_range_is_kept_inside() {
        let mut pointer = Pointer::default();
        pointer.point(ANNA, 40_000, 65_535, 0xFF);
        assert_eq!(Point { x: FAR, y: FAR, buttons: BUTTONS, ..Point::default() }, pointer.report());
    }

    #[test]
    fn a_button_held_by_two_stays_until_both_let_go() {
        let mut pointer = Pointer::default();
        pointer.point(ANNA, 1, 1, 1);
        pointer.point(BERT, 2, 2, 3);
        pointer.leave(BERT);
        assert_eq!(1, pointer.buttons());
        pointer.point(ANNA, 3, 3, 0);
        assert_eq!(Point { x: 3, y: 3, ..Point::default() }, pointer.report());
    }

    #[test]
    fn a_flood_of_owners_does_not_grow_without_bound() {
        let mut pointer = Pointer::default();
        (0..100_000).for_each(|owner| pointer.point(Owner(owner), 0, 0, 1));
        assert_eq!(MOST_HOLDERS, pointer.held.len());
    }
}
