//! Shows targets and measures how exactly they are hit.

use super::window::{Kind, Window};
use crate::sim::screen::{CELL_HEIGHT, CELL_WIDTH};

/// How far from its centre a target counts as hit.
pub const RADIUS: i32 = 24;
/// Rows at the top of the window, with its title, that hold text.
const TEXT_ROWS: usize = 6;

/// The state of the game.
#[derive(Debug)]
pub struct Practice {
    /// The centre of the target, in pixels from the window's corner.
    target: (i32, i32),
    seed: u32,
    hits: u32,
    misses: u32,
    last: String,
}

impl Default for Practice {
    fn default() -> Practice {
        let mut practice = Practice { target: (0, 0), seed: 1, hits: 0, misses: 0, last: "No click yet".into() };
        practice.move_target();
        practice
    }
}

impl Practice {
    /// Judges a click at a pixel of the screen, with the window's corner at `corner`.
    pub fn click(&mut self, (x, y): (i32, i32), corner: (i32, i32)) {
        let (target_x, target_y) = self.center(corner);
        let (dx, dy) = (x - target_x, y - target_y);
        let word = if dx * dx + dy * dy <= RADIUS * RADIUS {
            self.hits += 1;
            self.move_target();
            "Hit"
        } else {
            self.misses += 1;
            "Miss"
        };
        self.last = format!("{word} at {x},{y}: off by {dx},{dy}");
    }

    /// Where on the screen the target's centre is.
    pub fn center(&self, (x, y): (i32, i32)) -> (i32, i32) {
        (x + self.target.0, y + self.target.1)
    }

    /// What the window says.
    pub fn lines(&self, corner: (i32, i32)) -> Vec<String> {
        let (x, y) = self.center(corner);
        let score = format!("Hits {}  Misses {}", self.hits, self.misses);
        vec!["Click at the centre of the cross.".into(), format!("Target at {x},{y}"), self.last.clone(), score]
    }

    /// Puts the target somewhere else that is wholly inside the window, below its text.
    fn move_target(&mut self) {
        let window = Window::new(Kind::Practice);
        let top = (TEXT_ROWS * CELL_HEIGHT) as i32;
        let (width, height) = ((window.columns * CELL_WIDTH) as i32, (window.rows * CELL_HEIGHT) as i32);
        let x = self.random(2 * RADIUS, width - 2 * RADIUS);
        let y = self.random(top + 2 * RADIUS, height - 2 * RADIUS);
        self.target = (x, y);
    }

    /// A number in a range. The sequence is the same every time, so that tests are repeatable.
    fn random(&mut self, from: i32, to: i32) -> i32 {
        // The multiplier and increment of Numerical Recipes; only the high bits are any good.
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        from + (((self.seed >> 16) as i32 * (to - from)) >> 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_is_reported_to_the_pixel() {
        let mut practice = Practice::default();
        let (x, y) = practice.center((1000, 50));
        practice.click((x + 1, y - 2), (1000, 50));
        assert_eq!(format!("Hit at {},{}: off by 1,-2", x + 1, y - 2), practice.lines((1000, 50))[2]);
        assert_ne!((x, y), practice.center((1000, 50)));
    }

    #[test]
    fn a_click_beside_the_target_is_a_miss_and_leaves_it() {
        let mut practice = Practice::default();
        let (x, y) = practice.center((0, 0));
        practice.click((x + RADIUS, y + 1), (0, 0));
        assert_eq!("Hits 0  Misses 1", practice.lines((0, 0))[3]);
        assert_eq!((x, y), practice.center((0, 0)));
    }

    #[test]
    fn every_target_lies_inside_the_window() {
        let mut practice = Practice::default();
        let window = Window::new(Kind::Practice);
        for _ in 0..1000 {
            let (x, y) = practice.center((0, 0));
            assert!(RADIUS < x && x + RADIUS < (window.columns * CELL_WIDTH) as i32);
            assert!((TEXT_ROWS * CELL_HEIGHT) as i32 + RADIUS < y && y + RADIUS < (window.rows * CELL_HEIGHT) as i32);
            practice.move_target();
        }
    }
}
