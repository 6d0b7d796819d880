//! Holds what the desktop shows.
//!
//! Its rules are in the parent; the painter only reads.

use std::time::Instant;

use super::notes::Notes;
use super::practice::Practice;
use super::window::Window;
use crate::sim::pointer::Pointer;
use crate::sim::screen::Raster;

/// The desktop.
#[derive(Debug)]
pub struct Desktop {
    pub(super) wallpaper: Raster,
    /// From the bottom to the top, which has the keyboard.
    pub(super) windows: Vec<Window>,
    pub(super) pointer: Pointer,
    /// Where in its title, in pixels from the window's corner, the top window is being dragged.
    pub(super) drag: Option<(i32, i32)>,
    pub(super) notes: Notes,
    pub(super) practice: Practice,
    /// First line of the journal that shows.
    pub(super) scroll: usize,
    pub(super) last_key: String,
    pub(super) started: Instant,
    pub(super) time: Instant,
    pub(super) ticks_at: Instant,
    pub(super) moves_at: Instant,
}
