//! Holds the state of the desktop.
//!
//! The parent module changes it; the painter only reads it.

use std::time::Instant;

use super::notes::Notes;
use super::practice::Practice;
use super::window::Window;
use crate::sim::pointer::Pointer;
use crate::sim::screen::Raster;

/// The desktop's windows, what they show, and the pointer.
#[derive(Debug)]
pub struct Desktop {
    pub(super) wallpaper: Raster,
    /// From the bottom to the top window, which gets the keys.
    pub(super) windows: Vec<Window>,
    pub(super) pointer: Pointer,
    /// Where the top window's title is held while it is dragged, in pixels from the window's corner.
    pub(super) drag: Option<(i32, i32)>,
    pub(super) notes: Notes,
    pub(super) practice: Practice,
    /// First visible line of the journal.
    pub(super) scroll: usize,
    pub(super) last_key: String,
    pub(super) started: Instant,
    pub(super) time: Instant,
    pub(super) ticks_at: Instant,
    pub(super) moves_at: Instant,
}
