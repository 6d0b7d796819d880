//! Draws the picture that says why there is no picture.
//!
//! A black rectangle looks like a fault of the network, the browser or the appliance. So each [`Signal`] that gives no
//! picture has a placeholder, with what is wrong in large letters and what to do about it below. It is for those who
//! can show only pictures, as a snapshot and a plain viewer; whoever can show words gets the same words.

use embedded_graphics::mono_font::{MonoTextStyle, ascii};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle, RoundedRectangle};
use embedded_graphics::text::{Baseline, Text};

use crate::base::signal;
use crate::base::signal::Signal;

/// The placeholder's size: small enough to cost nothing, large enough to read on a phone.
pub const SIZE: signal::Size = signal::Size { width: 640, height: 360 };

const BACKGROUND: Rgb888 = Rgb888::new(0x10, 0x14, 0x1c);
const PANEL: Rgb888 = Rgb888::new(0x1a, 0x20, 0x2c);
const TITLE: Rgb888 = Rgb888::new(0xf2, 0xf5, 0xfa);
const ADVICE: Rgb888 = Rgb888::new(0xa8, 0xb3, 0xc7);
const FOOTER: Rgb888 = Rgb888::new(0x84, 0x92, 0xa8);
const WAITING: Rgb888 = Rgb888::new(0x4a, 0x9e, 0xff);
const TROUBLE: Rgb888 = Rgb888::new(0xff, 0xb0, 0x3a);

/// Where the text starts, in pixels from the left.
const LEFT: i32 = 64;
/// How many small letters fit to the right of that.
const COLUMNS: usize = 68;

/// The picture for a signal: [`SIZE`] pixels, three bytes each, red, green, blue.
pub fn draw(signal: Signal) -> Vec<u8> {
    draw_with_reason(signal, "")
}

/// The same with what exactly is wrong, in small letters and as far as there is room.
pub fn draw_with_reason(signal: Signal, reason: &str) -> Vec<u8> {
    let mut canvas = Canvas::new();
    let (title, advice) = words(signal);
    let accent = if matches!(signal, Signal::Starting | Signal::Changing | Signal::Ok) { WAITING } else { TROUBLE };
    let Ok(()) = paint(&mut canvas, title, advice, &wrapped(reason), accent);
    canvas.rgb
}

/// What to do about a signal that gives no picture, in a line.
pub fn advice(signal: Signal) -> String {
    words(signal).1.join(" ")
}

/// What is wrong, and what to do about it.
fn words(signal: Signal) -> (&'static str, &'static [&'static str]) {
    match signal {
        Signal::Starting => ("Starting", &["Looking for the capture device."]),
        Signal::Ok => ("Picture follows", &[]),
        Signal::NoDevice => (
            "No capture device",
            &["Plug the HDMI capture dongle into a USB port", "of this device. It is found by itself."],
        ),
        Signal::Busy => (
            "Capture device is busy",
            &["Another program on this device holds it.", "Stop that program; this one then takes over."],
        ),
        Signal::NoSignal => (
            "No signal",
            // Not the power button: a machine whose screen is only dark shuts down by it.
            &["If it sleeps, or its screen is dark, press a key.", "Is it on, and the HDMI cable in at both ends?"],
        ),
        Signal::NoLock => (
            "Unstable signal",
            &["A signal arrives but cannot be locked on to.", "Try a shorter or better HDMI cable."],
        ),
        Signal::OutOfRange => (
            "Mode not supported",
            &["The machine sends more than the capture device", "can take. Choose a lower resolution or rate there."],
        ),
        Signal::Changing => ("Changing mode", &["The next picture is on its way."]),
        Signal::Stalled => (
            "No pictures arrive",
            &["The capture device is there but sends nothing.", "Is the machine on? Else plug it in again."],
        ),
        Signal::Damaged => (
            "Damaged pictures",
            &["Pictures arrive, but none that can be shown.", "Try another USB port, or a smaller size."],
        ),
        Signal::Unsupported => (
            "Unknown format",
            &["The capture device sends in no format that is", "known here. Another dongle will do."],
        ),
        Signal::NoBandwidth => (
            "No room on USB",
            &["USB has no room for the dongle's pictures.", "Plug it into another port, without a hub."],
        ),
        Signal::Stuck => (
            "Capture driver hangs",
            &["The capture device's driver does not answer.", "Unplug the device, and plug it in again."],
        ),
    }
}

/// A reason in lines, of letters that the font has.
fn wrapped(reason: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in reason.split_whitespace() {
        let word: String = word.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(COLUMNS).collect();
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= COLUMNS => *line = format!("{line} {word}"),
            _ => lines.push(word),
        }
    }
    lines.truncate(2);
    lines
}

fn paint<D: DrawTarget<Color = Rgb888>>(
    canvas: &mut D,
    title: &str,
    advice: &[&str],
    reason: &[String],
    accent: Rgb888,
) -> Result<(), D::Error> {
    canvas.clear(BACKGROUND)?;
    let panel = Rectangle::new(Point::new(24, 60), Size::new(592, 240));
    let rounded = RoundedRectangle::with_equal_corners(panel, Size::new(12, 12));
    rounded.into_styled(PrimitiveStyle::with_fill(PANEL)).draw(canvas)?;
    let bar = Rectangle::new(Point::new(LEFT, 108), Size::new(56, 6));
    bar.into_styled(PrimitiveStyle::with_fill(accent)).draw(canvas)?;

    let style = MonoTextStyle::new(&ascii::FONT_9X18_BOLD, TITLE);
    let mut large = Doubled(canvas);
    Text::with_baseline(title, Point::new(LEFT / 2, 66), style, Baseline::Top).draw(&mut large)?;

    let style = MonoTextStyle::new(&ascii::FONT_10X20, ADVICE);
    for (line, y) in advice.iter().zip((192..).step_by(28)) {
        Text::with_baseline(line, Point::new(LEFT, y), style, Baseline::Top).draw(canvas)?;
    }
    let style = MonoTextStyle::new(&ascii::FONT_8X13, FOOTER);
    for (line, y) in reason.iter().zip((308..).step_by(16)) {
        Text::with_baseline(line, Point::new(LEFT, y), style, Baseline::Top).draw(canvas)?;
    }
    let footer = "Keyboard, mouse and power keep working.";
    Text::with_baseline(footer, Point::new(LEFT, 264), style, Baseline::Top).draw(canvas)?;
    Ok(())
}

/// The picture while it is drawn.
struct Canvas {
    rgb: Vec<u8>,
}

impl Canvas {
    fn new() -> Canvas {
        Canvas { rgb: vec![0; usize::from(SIZE.width) * usize::from(SIZE.height) * 3] }
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(SIZE.width.into(), SIZE.height.into())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Self::Error> {
        let area = self.bounding_box();
        for Pixel(point, color) in pixels {
            if area.contains(point) {
                let at = (point.y as usize * usize::from(SIZE.width) + point.x as usize) * 3;
                self.rgb[at..at + 3].copy_from_slice(&[color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}

/// Draws everything at twice its size, since no bitmap font is large enough for a title.
struct Doubled<'a, D>(&'a mut D);

impl<D: DrawTarget> Dimensions for Doubled<'_, D> {
    fn bounding_box(&self) -> Rectangle {
        let whole = self.0.bounding_box();
        Rectangle::new(whole.top_left / 2, whole.size / 2)
    }
}

impl<D: DrawTarget> DrawTarget for Doubled<'_, D> {
    type Color = D::Color;
    type Error = D::Error;

    fn draw_iter<I: IntoIterator<Item = Pixel<D::Color>>>(&mut self, pixels: I) -> Result<(), D::Error> {
        for Pixel(point, color) in pixels {
            self.0.fill_solid(&Rectangle::new(point * 2, Size::new_equal(2)), color)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::video::placeholder::*;

    const ALL: [Signal; 13] = [
        Signal::Starting,
        Signal::Ok,
        Signal::NoDevice,
        Signal::Busy,
        Signal::NoSignal,
        Signal::NoLock,
        Signal::OutOfRange,
        Signal::Changing,
        Signal::Stalled,
        Signal::Damaged,
        Signal::Unsupported,
        Signal::NoBandwidth,
        Signal::Stuck,
    ];

    #[test]
    fn every_signal_has_a_card_of_its_own() {
        let cards: std::collections::HashSet<Vec<u8>> = ALL.into_iter().map(draw).collect();
        assert_eq!(ALL.len(), cards.len());
    }

    #[test]
    fn all_words_fit_the_panel() {
        for signal in ALL {
            let (title, advice) = words(signal);
            assert!(title.len() <= 28, "{title:?} is too long");
            assert!(advice.len() <= 2);
            for line in advice {
                assert!(line.len() <= 52, "{line:?} is too long");
            }
        }
    }

    #[test]
    fn a_reason_stands_below_and_is_cut_where_there_is_no_room() {
        let reason = "/dev/video0 (USB Vid\u{e9}o) refused VIDIOC_STREAMON: No space left on device ";
        let lines = wrapped(&reason.repeat(9));
        assert_eq!((2, 0), (lines.len(), lines.iter().filter(|line| COLUMNS < line.len()).count()));
        assert!(lines[0].starts_with("/dev/video0 (USB Vid?o) refused"), "{lines:?}");
        assert_ne!(draw(Signal::Stalled), draw_with_reason(Signal::Stalled, reason));
        assert_eq!(draw(Signal::Stalled), draw_with_reason(Signal::Stalled, " "));
    }

    #[test]
    fn the_title_is_large() {
        // The tallest run of bright pixels in any column is the stem of a letter.
        let (width, bright) = (usize::from(SIZE.width), [TITLE.r(), TITLE.g(), TITLE.b()]);
        let rgb = draw(Signal::NoDevice);
        let tallest = (0..width)
            .map(|x| {
                let column = rgb.chunks_exact(width * 3).map(|row| row[x * 3..x * 3 + 3] == bright);
                column.fold((0, 0), |(run, best): (u32, u32), lit| {
                    let run = if lit { run + 1 } else { 0 };
                    (run, best.max(run))
                })
            })
            .map(|(_, best)| best)
            .max();
        assert!(tallest >= Some(20), "{tallest:?}");
    }
}
