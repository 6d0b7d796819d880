//! Draws a desktop in sixteen states and codes it like a capture dongle.
//!
//! Servers forward the bytes, so the contents of the pictures matter little, but their size matters much: a busy 1080p
//! desktop in quality 80 is about 320 kB. After the first marker comes a comment with room for the time of capture,
//! which every server must keep in place.

use std::convert::Infallible;
use std::error::Error;

use embedded_graphics::mono_font::{MonoTextStyle, ascii::FONT_9X15};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use embedded_graphics::text::Text;

pub const WIDTH: usize = 1920;
pub const HEIGHT: usize = 1080;
/// Enough different pictures that no cache holds all of them.
const COUNT: u32 = 16;
/// The strength of the wallpaper's grain; chosen for the size of the pictures.
const GRAIN: u32 = 10;

/// A comment (ITU-T T.81, B.2.4.5) after the start marker; its length includes itself.
const COMMENT: &[u8] = b"\xff\xfe\x00\x29farhand-bench 0000000000000000 00000000";
const STAMP_AT: usize = 2 + 4 + b"farhand-bench ".len();
/// How much of a picture must be read to know when it was captured.
pub const HEAD_BYTES: usize = 2 + COMMENT.len();

/// When a picture was captured, and which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds on the monotonic clock.
    pub nanos: u64,
    /// Counts the pictures of a device.
    pub number: u32,
}

impl Stamp {
    /// The bytes for the comment: hexadecimal digits, which no server can take for a marker.
    pub fn digits(self) -> [u8; 25] {
        let mut digits = [0; 25];
        digits.copy_from_slice(format!("{:016x} {:08x}", self.nanos, self.number).as_bytes());
        digits
    }

    /// Their offset in a picture.
    pub fn place() -> usize {
        STAMP_AT
    }

    /// Reads the comment of a picture, of which the first [`HEAD_BYTES`] are given.
    pub fn read(picture: &[u8]) -> Option<Stamp> {
        let text = std::str::from_utf8(picture.get(STAMP_AT..HEAD_BYTES)?).ok()?;
        let (nanos, number) = text.split_once(' ')?;
        Some(Stamp { nanos: u64::from_str_radix(nanos, 16).ok()?, number: u32::from_str_radix(number, 16).ok()? })
    }
}

/// All pictures, coded, with an empty stamp.
pub fn all() -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    (0..COUNT).map(|n| code(&Canvas::desktop(n))).collect()
}

/// Codes a picture with half the horizontal colour resolution (4:2:2), like dongles.
fn code(canvas: &Canvas) -> Result<Vec<u8>, Box<dyn Error>> {
    let format = turbojpeg::PixelFormat::RGB;
    let image = turbojpeg::Image { pixels: &canvas.pixels[..], width: WIDTH, pitch: WIDTH * 3, height: HEIGHT, format };
    let jpeg = turbojpeg::compress(image, 80, turbojpeg::Subsamp::Sub2x1)?;
    let (start, rest) = jpeg.split_at(2);
    Ok([start, COMMENT, rest].concat())
}

struct Canvas {
    pixels: Vec<u8>,
}

impl Canvas {
    /// A grainy wallpaper, a terminal that scrolls from picture to picture, a document, and a pointer that moves.
    fn desktop(n: u32) -> Canvas {
        let mut canvas = Canvas { pixels: vec![0; WIDTH * HEIGHT * 3] };
        let mut random = Random(1);
        for (at, pixel) in canvas.pixels.chunks_exact_mut(3).enumerate() {
            let (x, y) = (at % WIDTH, at / WIDTH);
            let grain = (random.next() % GRAIN) as usize;
            pixel.copy_from_slice(
                &[20 + x * 60 / WIDTH + grain, 40 + y * 90 / HEIGHT + grain, 110 + grain].map(|v| v as u8),
            );
        }
        canvas.window((80, 90, 1110, 890), Rgb888::new(12, 12, 14), Rgb888::new(200, 220, 200), 20 + n * 2);
        canvas.window((1250, 160, 590, 640), Rgb888::new(245, 245, 245), Rgb888::new(20, 20, 20), 900);
        canvas.rectangle((0, 1040, 1920, 40), Rgb888::new(30, 30, 34));
        canvas.rectangle((n as i32 * 40 + 300, n as i32 * 30 + 200, 12, 16), Rgb888::WHITE);
        canvas
    }

    fn window(&mut self, (x, y, width, height): (i32, i32, u32, u32), back: Rgb888, ink: Rgb888, first_line: u32) {
        self.rectangle((x, y - 26, width, 26), Rgb888::new(70, 70, 90));
        self.rectangle((x, y, width, height), back);
        let style = MonoTextStyle::new(&FONT_9X15, ink);
        for line in 0..height / 24 {
            let text = line_of_text(first_line + line, width as usize / 9 - 2);
            let Ok(_) = Text::new(&text, Point::new(x + 8, y + 15 + line as i32 * 24), style).draw(self);
        }
    }

    fn rectangle(&mut self, (x, y, width, height): (i32, i32, u32, u32), colour: Rgb888) {
        let area = Rectangle::new(Point::new(x, y), Size::new(width, height));
        let Ok(()) = area.into_styled(PrimitiveStyle::with_fill(colour)).draw(self);
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(WIDTH as u32, HEIGHT as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, colour) in pixels {
            if (0..WIDTH as i32).contains(&x) && (0..HEIGHT as i32).contains(&y) {
                let at = (y as usize * WIDTH + x as usize) * 3;
                self.pixels[at..at + 3].copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

/// A line of words and gaps as in a log; the same for the same number.
fn line_of_text(number: u32, longest: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789 .:/-   ";
    let mut random = Random(number.wrapping_mul(2_654_435_761) | 1);
    random.next();
    let length = random.next() as usize % longest;
    (0..length).map(|_| char::from(LETTERS[random.next() as usize % LETTERS.len()])).collect()
}

/// Xorshift: the same pictures on every machine.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 >> 4
    }
}
