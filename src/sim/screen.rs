//! Draws text cells and shapes into an RGB picture.
//!
//! All text, on the desktop too, is in cells of 9x16 pixels counted from the top left corner, in one colour on another.
//! So a test that knows the glyphs (`tests/data/glyphs.json`) can read the screen's text from a picture.

use std::convert::Infallible;
use std::sync::OnceLock;

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size as Extent};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_9X15;
use embedded_graphics::pixelcolor::{BinaryColor, Rgb888, RgbColor};
use embedded_graphics::primitives::Rectangle;
use embedded_graphics::text::{Baseline, Text};

use crate::base::signal::Size;

/// Width of a text cell: what VGA text mode has at 720 pixels, so that 80x25 cells fill 720x400.
pub const CELL_WIDTH: usize = 9;
/// Height of a text cell.
pub const CELL_HEIGHT: usize = 16;

/// A colour of the screen.
pub type Color = Rgb888;

/// Colours of a piece of text: the glyphs are `ink`, what is behind them is `paper`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are described above")]
pub struct Style {
    pub ink: Color,
    pub paper: Color,
}

impl Style {
    /// `ink` on `paper`.
    pub const fn new(ink: Color, paper: Color) -> Style {
        Style { ink, paper }
    }

    /// The same with both exchanged, as a highlight.
    pub const fn inverse(self) -> Style {
        Style { ink: self.paper, paper: self.ink }
    }
}

/// A picture in memory: rows of red, green and blue bytes without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster {
    size: Size,
    pixels: Vec<u8>,
}

impl Raster {
    /// A black picture.
    pub fn new(size: Size) -> Raster {
        Raster { size, pixels: vec![0; usize::from(size.width) * usize::from(size.height) * 3] }
    }

    /// Its width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Red, green and blue of every pixel, from the top left, row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Becomes a copy of another picture, including its size.
    pub fn copy(&mut self, other: &Raster) {
        self.size = other.size;
        self.pixels.clone_from(&other.pixels);
    }

    /// Makes it a black picture of this size, unless it has the size already.
    pub fn resize(&mut self, size: Size) {
        if self.size != size {
            *self = Raster::new(size);
        }
    }

    /// Fills a rectangle given in pixels; what lies outside the picture is left out.
    pub fn fill(&mut self, x: i32, y: i32, width: u32, height: u32, color: Color) {
        let area = Rectangle::new(Point::new(x, y), Extent::new(width, height));
        let Ok(()) = self.fill_solid(&area, color);
    }

    /// Writes text from a cell onwards; what lies outside the picture is left out.
    pub fn write(&mut self, column: usize, row: usize, text: &str, style: Style) {
        for (offset, character) in text.chars().enumerate() {
            self.cell(column + offset, row, character, style);
        }
    }

    /// Draws one character into its cell.
    pub fn cell(&mut self, column: usize, row: usize, character: char, style: Style) {
        let (x, y) = (column * CELL_WIDTH, row * CELL_HEIGHT);
        let (width, height) = (usize::from(self.size.width), usize::from(self.size.height));
        if width < x + CELL_WIDTH || height < y + CELL_HEIGHT {
            return;
        }
        let (ink, paper) = (bytes(style.ink), bytes(style.paper));
        // Most lines of most glyphs are blank, and drawing a screen full of text spends most of its time here.
        let blank = [paper; CELL_WIDTH];
        for (line, bits) in glyph(character).into_iter().enumerate() {
            let mut pixels = blank;
            if bits != 0 {
                for (column, pixel) in pixels.iter_mut().enumerate() {
                    if bits >> (CELL_WIDTH - 1 - column) & 1 == 1 {
                        *pixel = ink;
                    }
                }
            }
            let start = ((y + line) * width + x) * 3;
            self.pixels[start..start + CELL_WIDTH * 3].copy_from_slice(pixels.as_flattened());
        }
    }
}

impl OriginDimensions for Raster {
    fn size(&self) -> Extent {
        Extent::new(self.size.width.into(), self.size.height.into())
    }
}

impl DrawTarget for Raster {
    type Color = Color;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Color>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        let (width, height) = (i32::from(self.size.width), i32::from(self.size.height));
        for Pixel(Point { x, y }, color) in pixels {
            if (0..width).contains(&x) && (0..height).contains(&y) {
                // Both are not negative here, so nothing is lost.
                let start = (y as usize * width as usize + x as usize) * 3;
                self.pixels[start..start + 3].copy_from_slice(&bytes(color));
            }
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, color: Color) -> Result<(), Infallible> {
        let area = area.intersection(&Rectangle::new(Point::zero(), OriginDimensions::size(self)));
        let stride = usize::from(self.size.width) * 3;
        // The intersection lies inside the picture, so its corner is not negative.
        let (left, length) = (area.top_left.x as usize * 3, area.size.width as usize * 3);
        let line = bytes(color).repeat(area.size.width as usize);
        for row in self.pixels.chunks_exact_mut(stride).skip(area.top_left.y as usize).take(area.size.height as usize) {
            row[left..left + length].copy_from_slice(&line);
        }
        Ok(())
    }
}

fn bytes(color: Color) -> [u8; 3] {
    [color.r(), color.g(), color.b()]
}

/// A character's 16 lines of 9 pixels; bit 8 is the leftmost.
pub type Glyph = [u16; CELL_HEIGHT];

/// The pixels of a character. A question mark replaces what the font lacks.
pub fn glyph(character: char) -> Glyph {
    static PRINTABLE: OnceLock<Vec<Glyph>> = OnceLock::new();
    let printable = PRINTABLE.get_or_init(|| (' '..='~').map(from_font).collect());
    let index = u32::from(character).wrapping_sub(u32::from(' ')) as usize;
    match printable.get(index) {
        Some(glyph) => *glyph,
        None => symbol(character).unwrap_or_else(|| glyph('?')),
    }
}

fn from_font(character: char) -> Glyph {
    let mut glyph = Bits::default();
    let style = MonoTextStyle::new(&FONT_9X15, BinaryColor::On);
    let text = character.to_string();
    let text = Text::with_baseline(&text, Point::zero(), style, Baseline::Top);
    let Ok(_) = embedded_graphics::Drawable::draw(&text, &mut glyph);
    glyph.0
}

/// Box-drawing characters and arrows, which the font lacks and a BIOS needs.
fn symbol(character: char) -> Option<Glyph> {
    const MIDDLE: usize = CELL_HEIGHT / 2;
    // Which arms of a cross reach the cell's edge: left, right, up, down.
    let arms = match character {
        '─' => [true, true, false, false],
        '│' => [false, false, true, true],
        '┌' => [false, true, false, true],
        '┐' => [true, false, false, true],
        '└' => [false, true, true, false],
        '┘' => [true, false, true, false],
        '├' => [false, true, true, true],
        '┤' => [true, false, true, true],
        '┬' => [true, true, false, true],
        '┴' => [true, true, true, false],
        _ => return arrow(character),
    };
    let [left, right, up, down] = arms;
    let mut glyph = [0; CELL_HEIGHT];
    for (line, bits) in glyph.iter_mut().enumerate() {
        if (up && line <= MIDDLE) || (down && MIDDLE <= line) {
            *bits |= 0b000_010_000;
        }
        if line == MIDDLE {
            *bits |= if left { 0b111_110_000 } else { 0 } | if right { 0b000_011_111 } else { 0 };
        }
    }
    Some(glyph)
}

fn arrow(character: char) -> Option<Glyph> {
    let lines: [u16; 9] = match character {
        '←' => [0, 0o020, 0o060, 0o140, 0o377, 0o140, 0o060, 0o020, 0],
        '→' => [0, 0o020, 0o030, 0o014, 0o776, 0o014, 0o030, 0o020, 0],
        '↑' => [0o020, 0o070, 0o174, 0o326, 0o020, 0o020, 0o020, 0o020, 0],
        '↓' => [0o020, 0o020, 0o020, 0o020, 0o326, 0o174, 0o070, 0o020, 0],
        '█' => return Some([0o777; CELL_HEIGHT]),
        _ => return None,
    };
    let mut glyph = [0; CELL_HEIGHT];
    glyph[4..13].copy_from_slice(&lines);
    Some(glyph)
}

/// One cell that the font draws into.
#[derive(Default)]
struct Bits(Glyph);

impl OriginDimensions for Bits {
    fn size(&self) -> Extent {
        Extent::new(CELL_WIDTH as u32, CELL_HEIGHT as u32)
    }
}

impl DrawTarget for Bits {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, color) in pixels {
            let inside = (0..CELL_WIDTH as i32).contains(&point.x) && (0..CELL_HEIGHT as i32).contains(&point.y);
            if inside && color == BinaryColor::On {
                self.0[point.y as usize] |= 1 << (CELL_WIDTH as i32 - 1 - point.x);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_are_as_the_browser_tests_read_them() {
        let glyphs: serde_json::Map<_, _> = (' '..='~')
            .map(|character| {
                let rows: Vec<String> = glyph(character).iter().map(|bits| format!("{bits:09b}")).collect();
                (character.to_string(), rows.into())
            })
            .collect();
        let golden = serde_json::to_string_pretty(&glyphs).unwrap() + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/glyphs.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &golden).unwrap();
        }
        assert!(std::fs::read_to_string(path).unwrap() == golden, "rewrite it with UPDATE_GOLDEN=1 cargo test");
    }

    #[test]
    fn no_two_glyphs_look_alike() {
        let mut seen = std::collections::HashMap::new();
        for character in (' '..='~').chain("─│┌┐└┘├┤┬┴←→↑↓█".chars()) {
            if let Some(other) = seen.insert(glyph(character), character) {
                panic!("{character:?} looks like {other:?}");
            }
        }
    }

    #[test]
    fn drawing_outside_the_picture_is_left_out() {
        let mut raster = Raster::new(Size { width: 20, height: 20 });
        raster.fill(-5, -5, 10, 10, Color::WHITE);
        raster.fill(18, 18, 10, 10, Color::WHITE);
        raster.fill(40, 40, 10, 10, Color::WHITE);
        raster.write(1, 0, "ab", Style::new(Color::WHITE, Color::BLACK));
        raster.write(0, 1, "c", Style::new(Color::WHITE, Color::BLACK));
        let white = raster.pixels().chunks(3).filter(|pixel| *pixel == [255; 3]).count();
        let a: u32 = glyph('a').iter().map(|bits| bits.count_ones()).sum();
        assert_eq!(25 + 4 + a as usize, white);
    }
}
