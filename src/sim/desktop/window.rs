//! Places windows and icons.
//!
//! Windows move by whole cells, so that the text in them stays in the screen's one grid.

use super::layout::{BAR_ROW, COLUMNS};
use crate::sim::screen::{CELL_HEIGHT, CELL_WIDTH};

/// What a window is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Takes typed text.
    Notes,
    /// Shows targets to click at.
    Practice,
    /// Scrolls by wheel.
    Journal,
    /// Moves all the time.
    Motion,
}

/// A piece of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Inside` says it")]
pub enum Part {
    /// The button that closes it.
    Close,
    /// The line to drag it by.
    Title,
    Inside,
}

/// A window: its title is its first row, and it has a margin of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say it")]
pub struct Window {
    pub kind: Kind,
    pub column: usize,
    pub row: usize,
    pub columns: usize,
    /// Its height, the title included.
    pub rows: usize,
}

impl Kind {
    /// In the order of their icons.
    pub const ALL: [Kind; 4] = [Kind::Notes, Kind::Practice, Kind::Journal, Kind::Motion];

    /// Its name in titles and below icons.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Notes => "Notes",
            Kind::Practice => "Target practice",
            Kind::Journal => "Journal",
            Kind::Motion => "Motion",
        }
    }

    /// The first cell of its icon's label; the icon is above.
    pub fn label(self) -> (usize, usize) {
        let index = Kind::ALL.iter().position(|kind| *kind == self).unwrap_or_default();
        (2, 7 + index * 8)
    }

    /// Whether a cell belongs to its icon.
    pub fn icon_covers(self, column: usize, row: usize) -> bool {
        let (_, label) = self.label();
        (2..17).contains(&column) && (label - 5..=label).contains(&row)
    }
}

impl Window {
    /// A window where it opens first.
    pub fn new(kind: Kind) -> Window {
        let (column, row, columns, rows) = match kind {
            Kind::Notes => (24, 4, 76, 24),
            Kind::Practice => (112, 4, 84, 40),
            Kind::Journal => (24, 32, 76, 24),
            Kind::Motion => (104, 36, 60, 22),
        };
        Window { kind, column, row, columns, rows }
    }

    /// Pixels from the screen's left edge.
    pub fn x(&self) -> i32 {
        (self.column * CELL_WIDTH) as i32
    }

    /// Pixels from the screen's top edge.
    pub fn y(&self) -> i32 {
        (self.row * CELL_HEIGHT) as i32
    }

    /// The part of it that is in a cell.
    pub fn part(&self, column: usize, row: usize) -> Option<Part> {
        let across = (self.column..self.column + self.columns).contains(&column);
        let down = (self.row..self.row + self.rows).contains(&row);
        (across && down).then(|| match row == self.row {
            true if self.column + self.columns - 4 <= column => Part::Close,
            true => Part::Title,
            false => Part::Inside,
        })
    }

    /// Moves its corner as close to a pixel as screen and grid allow.
    pub fn move_to(&mut self, x: i32, y: i32) {
        self.column = (x.max(0) as usize / CELL_WIDTH).min(COLUMNS - self.columns);
        self.row = (y.max(0) as usize / CELL_HEIGHT).min(BAR_ROW - 1 - self.rows);
    }
}
