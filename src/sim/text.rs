//! Keeps a screen of characters, for BIOS, boot loader and console.

use super::screen::{CELL_HEIGHT, CELL_WIDTH, Color, Raster, Style};
use crate::base::signal::Size;

/// The mode of firmware: 80x25 cells.
pub const TEXT_MODE: Size = Size { width: 720, height: 400 };

/// Light grey on black, as a console starts.
pub const PLAIN: Style = Style::new(Color::new(0xd8, 0xd8, 0xd8), Color::new(0, 0, 0));

/// Rows and columns of coloured characters, with a position for the next one.
#[derive(Debug, Clone)]
pub struct TextScreen {
    size: Size,
    columns: usize,
    cells: Vec<(char, Style)>,
    /// Column and row of the next character.
    pub place: (usize, usize),
    /// Whether a caret shows there: a full block, which cannot be mistaken for a character.
    pub caret: bool,
}

impl TextScreen {
    /// An empty screen in one style.
    pub fn new(size: Size, style: Style) -> TextScreen {
        let (columns, rows) = (usize::from(size.width) / CELL_WIDTH, usize::from(size.height) / CELL_HEIGHT);
        TextScreen { size, columns, cells: vec![(' ', style); columns * rows], place: (0, 0), caret: false }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Characters in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows of characters.
    pub fn rows(&self) -> usize {
        self.cells.len() / self.columns
    }

    /// Writes at a place, without wrapping; what does not fit is left out.
    pub fn write(&mut self, column: usize, row: usize, text: &str, style: Style) {
        for (column, character) in (column..self.columns).zip(text.chars()) {
            if let Some(cell) = self.cells.get_mut(row * self.columns + column) {
                *cell = (character, style);
            }
        }
    }

    /// Draws a border and clears what is inside.
    pub fn frame(&mut self, (column, row): (usize, usize), (columns, rows): (usize, usize), style: Style) {
        let inner = columns.saturating_sub(2);
        self.write(column, row, &format!("┌{}┐", "─".repeat(inner)), style);
        for row in row + 1..(row + rows).saturating_sub(1) {
            self.write(column, row, &format!("│{}│", " ".repeat(inner)), style);
        }
        self.write(column, (row + rows).saturating_sub(1), &format!("└{}┘", "─".repeat(inner)), style);
    }

    /// Writes where the last text ended, wrapping and scrolling as a terminal does.
    pub fn print(&mut self, text: &str, style: Style) {
        for character in text.chars() {
            if character == '\n' {
                self.next_line();
                continue;
            }
            if self.columns <= self.place.0 {
                self.next_line();
            }
            let (column, row) = self.place;
            self.cells[row * self.columns + column] = (character, style);
            self.place.0 += 1;
        }
    }

    /// Fills it with blanks, and moves the position to the top left corner.
    pub fn clear(&mut self) {
        self.cells.fill((' ', PLAIN));
        self.place = (0, 0);
    }

    /// Draws all characters, and the caret if it shows.
    pub fn draw(&self, raster: &mut Raster) {
        for (row, cells) in self.cells.chunks_exact(self.columns).enumerate() {
            for (column, (character, style)) in cells.iter().enumerate() {
                raster.cell(column, row, *character, *style);
            }
        }
        let (column, row) = self.place;
        if self.caret {
            raster.cell(column, row, '█', PLAIN);
        }
    }

    /// Its rows as lines without trailing blanks.
    pub fn text(&self) -> String {
        let line = |cells: &[(char, Style)]| cells.iter().map(|cell| cell.0).collect::<String>().trim_end().to_string();
        let text = self.cells.chunks_exact(self.columns).map(line).collect::<Vec<_>>().join("\n");
        text.trim_end().to_string()
    }

    fn next_line(&mut self) {
        if self.place.1 + 1 < self.rows() {
            self.place = (0, self.place.1 + 1);
        } else {
            self.cells.drain(..self.columns);
            self.cells.extend(std::iter::repeat_n((' ', PLAIN), self.columns));
            self.place.0 = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_wrap_and_the_oldest_scroll_away() {
        let mut screen = TextScreen::new(Size { width: 45, height: 32 }, PLAIN);
        screen.print("abcdefg\nhi", PLAIN);
        assert_eq!("fg\nhi", screen.text());
    }

    #[test]
    fn writing_past_the_edge_is_left_out() {
        let mut screen = TextScreen::new(Size { width: 45, height: 32 }, PLAIN);
        screen.write(3, 1, "xyz", PLAIN);
        screen.write(0, 2, "below", PLAIN);
        screen.frame((4, 0), (9, 9), PLAIN);
        assert_eq!("    ┌\n   x│", screen.text());
    }
}
