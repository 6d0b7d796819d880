//! Defines the measures that the desktop's windows and their painting share.

use crate::base::signal::Size;
use crate::sim::screen::{CELL_HEIGHT, CELL_WIDTH};

/// Full HD, what most desktops send.
pub const MODE: Size = Size { width: 1920, height: 1080 };
/// Columns of cells.
pub const COLUMNS: usize = MODE.width as usize / CELL_WIDTH;
/// The row of the bar's text; the last one that fits.
pub const BAR_ROW: usize = MODE.height as usize / CELL_HEIGHT - 1;
/// The button that leaves the desktop: first column and text.
pub const LOG_OUT: (usize, &str) = (1, " Log out ");
/// Lines in the journal.
pub const JOURNAL_LINES: usize = 200;
