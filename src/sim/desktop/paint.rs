//! Paints the desktop: wallpaper, icons, windows from the bottom to the top, bar, pointer.

use embedded_graphics::Drawable;
use embedded_graphics::geometry::Point;
use embedded_graphics::primitives::{Circle, Line, Primitive, PrimitiveStyle};

use super::layout::{BAR_ROW, COLUMNS, JOURNAL_LINES, LOG_OUT, MODE};
use super::practice::RADIUS;
use super::state::Desktop;
use super::window::{Kind, Window};
use crate::sim::screen::{CELL_HEIGHT, CELL_WIDTH, Color, Raster, Style};

const WHITE: Color = Color::new(0xff, 0xff, 0xff);
const BLACK: Color = Color::new(0, 0, 0);
const ACCENT: Color = Color::new(0x1d, 0x5f, 0xc4);
const EDGE: Color = Color::new(0x5a, 0x6b, 0x8c);
const BAR: Style = Style::new(Color::new(0xf0, 0xf4, 0xfa), Color::new(0x10, 0x18, 0x28));
const BUTTON: Style = Style::new(WHITE, Color::new(0x9c, 0x2a, 0x3a));
const INSIDE: Style = Style::new(Color::new(0xe8, 0xec, 0xf4), Color::new(0x18, 0x20, 0x30));
const QUIET: Style = Style::new(Color::new(0xb8, 0xc4, 0xd8), Color::new(0x34, 0x40, 0x58));
const LABEL: Style = Style::new(WHITE, Color::new(0x14, 0x2a, 0x44));
const TARGET: Color = Color::new(0xff, 0x8a, 0x3c);
const BALL: i32 = 24;

/// The pointer: `#` outline, `.` inside. Its first pixel is the place it points at.
const ARROW: [&str; 19] = [
    "#           ",
    "##          ",
    "#.#         ",
    "#..#        ",
    "#...#       ",
    "#....#      ",
    "#.....#     ",
    "#......#    ",
    "#.......#   ",
    "#........#  ",
    "#.........# ",
    "#..........#",
    "#......#####",
    "#...#..#    ",
    "#..##...#   ",
    "#.#  #..#   ",
    "##   #...#  ",
    "      #..#  ",
    "       ##   ",
];

/// Paints all of it.
pub fn desktop(desktop: &Desktop, raster: &mut Raster) {
    raster.copy(&desktop.wallpaper);
    for kind in Kind::ALL {
        icon(kind, raster);
    }
    for (index, shown) in desktop.windows.iter().enumerate() {
        window(desktop, shown, index + 1 == desktop.windows.len(), raster);
    }
    let top = BAR_ROW * CELL_HEIGHT - 4;
    raster.fill(0, top as i32, MODE.width.into(), (usize::from(MODE.height) - top) as u32, BAR.paper);
    raster.write(0, BAR_ROW, &bar(desktop), BAR);
    raster.write(LOG_OUT.0, BAR_ROW, LOG_OUT.1, BUTTON);
    pointer((desktop.pointer.x, desktop.pointer.y), raster);
}

/// The bar's text, button included.
pub fn bar(desktop: &Desktop) -> String {
    let seconds = (desktop.time - desktop.started).as_secs();
    let clock = format!("Up {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let pointer = desktop.pointer;
    let buttons = match (pointer.left, pointer.right) {
        (true, true) => "left+right",
        (true, false) => "left",
        (false, true) => "right",
        (false, false) => "",
    };
    let left = format!("{:width$}{}", "", LOG_OUT.1, width = LOG_OUT.0);
    let middle = format!("Pointer {},{} {buttons:<10}   Key {}", pointer.x, pointer.y, desktop.last_key);
    format!("{left}    {middle:<width$}{clock} ", width = COLUMNS - left.len() - 4 - clock.len() - 1)
}

/// The text in a window, line by line.
pub fn lines(desktop: &Desktop, window: &Window) -> Vec<String> {
    match window.kind {
        Kind::Notes => desktop.notes.lines().to_vec(),
        Kind::Practice => desktop.practice.lines((window.x(), window.y())),
        Kind::Journal => {
            let shown = desktop.scroll..(desktop.scroll + journal_rows(window)).min(JOURNAL_LINES);
            shown.map(journal_line).collect()
        }
        Kind::Motion => vec!["A ball, thirty times a second.".into()],
    }
}

/// Lines of the journal that its window shows.
pub fn journal_rows(window: &Window) -> usize {
    // The title, and a row of margin above and below.
    window.rows - 3
}

fn journal_line(index: usize) -> String {
    const EVENTS: [&str; 5] = [
        "kernel: thermal zone 0 at 41 degrees",
        "network: lease renewed",
        "disk: flushed 12 pages",
        "session: opened for user",
        "timer: daily clean-up done",
    ];
    format!("{:3}  {}", index + 1, EVENTS[index * 7 % 5])
}

fn icon(kind: Kind, raster: &mut Raster) {
    let (column, row) = kind.label();
    let name = kind.name();
    // The icon is centred over the label's fifteen cells.
    let (x, y) = ((column * CELL_WIDTH + 40) as i32, ((row - 4) * CELL_HEIGHT - 4) as i32);
    raster.fill(x - 1, y - 1, 58, 58, EDGE);
    raster.fill(x, y, 56, 56, INSIDE.paper);
    match kind {
        Kind::Notes => {
            raster.fill(x + 12, y + 8, 32, 40, Color::new(0xf4, 0xf0, 0xd8));
            (0..5).for_each(|line| raster.fill(x + 16, y + 14 + line * 7, 24 - line as u32 % 2 * 8, 2, QUIET.paper));
        }
        Kind::Practice => cross((x + 28, y + 28), 18, raster),
        Kind::Journal => {
            (0..6).for_each(|line| raster.fill(x + 10, y + 9 + line * 7, 4, 3, TARGET));
            (0..6).for_each(|line| raster.fill(x + 18, y + 9 + line * 7, 28 - line as u32 % 3 * 6, 3, INSIDE.ink));
        }
        Kind::Motion => {
            disc((x + 34, y + 24), 12, Color::new(0x5f, 0xd0, 0xa0), raster);
            (0..3).for_each(|line| raster.fill(x + 6, y + 18 + line * 8, 12, 2, QUIET.ink));
        }
    }
    raster.write(column + (15 - name.len()) / 2, row, name, LABEL);
}

fn window(desktop: &Desktop, window: &Window, focused: bool, raster: &mut Raster) {
    let (x, y) = (window.x(), window.y());
    let (width, height) = ((window.columns * CELL_WIDTH) as u32, (window.rows * CELL_HEIGHT) as u32);
    let title = if focused { Style::new(WHITE, ACCENT) } else { QUIET };
    raster.fill(x + 6, y + 6, width + 2, height + 2, Color::new(0x06, 0x10, 0x1c));
    raster.fill(x - 1, y - 5, width + 2, height + 6, if focused { ACCENT } else { EDGE });
    raster.fill(x, y - 4, width, CELL_HEIGHT as u32 + 4, title.paper);
    raster.fill(x, y + CELL_HEIGHT as i32, width, height - CELL_HEIGHT as u32, INSIDE.paper);
    raster.write(window.column + 1, window.row, window.kind.name(), title);
    raster.write(window.column + window.columns - 4, window.row, " x  ", title);
    let lines = lines(desktop, window);
    for (row, line) in lines.iter().enumerate() {
        raster.write(window.column + 2, window.row + 2 + row, line, INSIDE);
    }
    match window.kind {
        Kind::Notes if focused => {
            let column = window.column + 2 + lines.last().map_or(0, String::len);
            let row = window.row + 1 + lines.len();
            raster.cell(column, row, '█', INSIDE);
        }
        Kind::Notes => (),
        Kind::Practice => cross(desktop.practice.center((x, y)), RADIUS, raster),
        Kind::Journal => scroll_bar(desktop.scroll, window, raster),
        Kind::Motion => ball(desktop, window, raster),
    }
}

fn scroll_bar(scroll: usize, window: &Window, raster: &mut Raster) {
    let (rows, track) = (journal_rows(window), (window.rows - 2) * CELL_HEIGHT);
    let x = window.x() + (window.columns * CELL_WIDTH) as i32 - 12;
    let y = window.y() + CELL_HEIGHT as i32 + 8;
    raster.fill(x, y, 6, track as u32, QUIET.paper);
    raster.fill(x, y + (track * scroll / JOURNAL_LINES) as i32, 6, (track * rows / JOURNAL_LINES) as u32, QUIET.ink);
}

fn ball(desktop: &Desktop, window: &Window, raster: &mut Raster) {
    let (width, height) = ((window.columns * CELL_WIDTH) as i32, ((window.rows - 4) * CELL_HEIGHT) as i32);
    let age = (desktop.time - desktop.started).as_millis() as i64;
    // A zigzag between two walls: there and back again.
    let bounce = |millis_per_pixel: i64, range: i32| {
        let at = (age / millis_per_pixel % i64::from(2 * range)) as i32;
        if at < range { at } else { 2 * range - at }
    };
    let x = window.x() + BALL + bounce(3, width - 2 * BALL);
    let y = window.y() + 4 * CELL_HEIGHT as i32 + BALL + bounce(5, height - 2 * BALL);
    disc((x, y), BALL, Color::new(0x5f, 0xd0, 0xa0), raster);
}

fn disc((x, y): (i32, i32), radius: i32, color: Color, raster: &mut Raster) {
    let circle = Circle::with_center(Point::new(x, y), 2 * radius.unsigned_abs() + 1);
    let Ok(()) = circle.into_styled(PrimitiveStyle::with_fill(color)).draw(raster);
}

/// A ring and a cross; the pixel where the lines meet is the centre.
fn cross((x, y): (i32, i32), radius: i32, raster: &mut Raster) {
    for radius in [radius, radius / 2] {
        let ring = Circle::with_center(Point::new(x, y), 2 * radius.unsigned_abs() + 1);
        let Ok(()) = ring.into_styled(PrimitiveStyle::with_stroke(TARGET, 2)).draw(raster);
    }
    for (dx, dy) in [(radius, 0), (0, radius)] {
        let line = Line::new(Point::new(x - dx, y - dy), Point::new(x + dx, y + dy));
        let Ok(()) = line.into_styled(PrimitiveStyle::with_stroke(WHITE, 1)).draw(raster);
    }
}

fn pointer((x, y): (i32, i32), raster: &mut Raster) {
    for (dy, row) in ARROW.iter().enumerate() {
        for (dx, pixel) in row.chars().enumerate().filter(|(_, pixel)| *pixel != ' ') {
            raster.fill(x + dx as i32, y + dy as i32, 1, 1, if pixel == '#' { BLACK } else { WHITE });
        }
    }
}

/// A sky at dusk: a gradient that a stream codes in few bytes, over two hills.
pub fn wallpaper() -> Raster {
    let mut raster = Raster::new(MODE);
    let (top, bottom) = ([0x0c, 0x1c, 0x3c], [0x2c, 0x7a, 0x8c]);
    for y in 0..i32::from(MODE.height) {
        let mix = |from: i32, to: i32| (from + (to - from) * y / i32::from(MODE.height)) as u8;
        let [r, g, b] = [0, 1, 2].map(|channel| mix(top[channel], bottom[channel]));
        raster.fill(0, y, MODE.width.into(), 1, Color::new(r, g, b));
    }
    disc((1500, 1900), 1150, Color::new(0x1c, 0x54, 0x64), &mut raster);
    disc((300, 2060), 1200, Color::new(0x14, 0x40, 0x50), &mut raster);
    raster
}
