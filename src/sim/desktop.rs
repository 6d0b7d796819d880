//! Runs the graphical desktop: a pointer that follows exactly, windows, and things to click, type and scroll.
//!
//! It exists to check pointer and stream: the bar shows the pointer's position to the pixel and the last key, target
//! practice counts hits, and a ball moves as smoothly as the stream allows.

pub mod layout;
pub mod notes;
pub mod paint;
pub mod practice;
pub mod state;
pub mod window;

use std::time::{Duration, Instant};

pub use self::layout::{BAR_ROW, COLUMNS, JOURNAL_LINES, LOG_OUT, MODE};
use self::notes::Notes;
use self::practice::Practice;
pub use self::state::Desktop;
use self::window::{Kind, Part, Window};
use super::keyboard::{Key, Press};
use super::pointer::Pointer;
use super::screen::{CELL_HEIGHT, CELL_WIDTH, Raster};
use super::stage::{Next, Requests, Stage};
use crate::base::signal::Size;

const CLOCK: Duration = Duration::from_secs(1);
const MOTION: Duration = Duration::from_micros(33_333);

impl Desktop {
    /// Starts with most of its windows open.
    pub fn new(now: Instant) -> Desktop {
        Desktop {
            wallpaper: paint::wallpaper(),
            windows: [Kind::Journal, Kind::Practice, Kind::Notes].map(Window::new).into(),
            pointer: Pointer { x: i32::from(MODE.width) / 2, y: i32::from(MODE.height) / 2, ..Pointer::default() },
            drag: None,
            notes: Notes::default(),
            practice: Practice::default(),
            scroll: 0,
            last_key: String::new(),
            started: now,
            time: now,
            ticks_at: now + CLOCK,
            moves_at: now,
        }
    }

    fn is_open(&self, kind: Kind) -> bool {
        self.windows.iter().any(|window| window.kind == kind)
    }

    fn open(&mut self, kind: Kind) {
        let window = match self.windows.iter().position(|window| window.kind == kind) {
            Some(index) => self.windows.remove(index),
            None => Window::new(kind),
        };
        self.windows.push(window);
        self.moves_at = self.time;
    }

    fn click(&mut self, requests: &mut Requests) {
        let (x, y) = (self.pointer.x, self.pointer.y);
        // Neither is negative: the pointer stays on the screen.
        let (column, row) = (x as usize / CELL_WIDTH, y as usize / CELL_HEIGHT);
        if BAR_ROW <= row {
            let (first, label) = LOG_OUT;
            if (first..first + label.len()).contains(&column) {
                requests.next = Some(Next::Console);
            }
            return;
        }
        if let Some(index) = self.windows.iter().rposition(|window| window.part(column, row).is_some()) {
            let window = self.windows.remove(index);
            match window.part(column, row) {
                Some(Part::Close) => return,
                Some(Part::Title) => self.drag = Some((x - window.x(), y - window.y())),
                Some(Part::Inside) if window.kind == Kind::Practice => {
                    self.practice.click((x, y), (window.x(), window.y()));
                }
                _ => (),
            }
            self.windows.push(window);
        } else if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.icon_covers(column, row)) {
            self.open(kind);
        }
    }

    fn turn_wheel(&mut self, detents: i32) {
        let (column, row) = (self.pointer.x as usize / CELL_WIDTH, self.pointer.y as usize / CELL_HEIGHT);
        let under = self.windows.iter().rev().find(|window| window.part(column, row).is_some());
        if let Some(window) = under.filter(|window| window.kind == Kind::Journal) {
            // Three lines a detent, as most desktops do; away from the user is up.
            let lines = detents.unsigned_abs() as usize * 3;
            let scroll = if 0 < detents { self.scroll.saturating_sub(lines) } else { self.scroll + lines };
            self.scroll = scroll.min(JOURNAL_LINES.saturating_sub(paint::journal_rows(window)));
        }
    }
}

impl Stage for Desktop {
    fn size(&self) -> Size {
        MODE
    }

    fn press(&mut self, _now: Instant, press: Press, _requests: &mut Requests) {
        self.last_key = name(press);
        if self.windows.last().is_some_and(|window| window.kind == Kind::Notes) {
            self.notes.press(press);
        }
    }

    fn point(&mut self, _now: Instant, pointer: Pointer, requests: &mut Requests) {
        let before = std::mem::replace(&mut self.pointer, pointer);
        requests.redraw = before != pointer || pointer.wheel != 0;
        if !pointer.left {
            self.drag = None;
        }
        if let (Some((dx, dy)), Some(window)) = (self.drag, self.windows.last_mut()) {
            window.move_to(pointer.x - dx, pointer.y - dy);
        }
        if pointer.left && !before.left {
            self.click(requests);
        }
        if pointer.wheel != 0 {
            self.turn_wheel(pointer.wheel);
        }
    }

    fn tick(&mut self, now: Instant, requests: &mut Requests) {
        self.time = now;
        requests.redraw = true;
        if self.ticks_at <= now {
            self.ticks_at = now + CLOCK;
            // As on every computer, something writes to a log now and then.
            if (now - self.started).as_secs().is_multiple_of(3) {
                requests.disk = Duration::from_millis(300);
            }
        }
        if self.moves_at <= now {
            self.moves_at = now + MOTION;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(if self.is_open(Kind::Motion) { self.ticks_at.min(self.moves_at) } else { self.ticks_at })
    }

    fn draw(&self, raster: &mut Raster) {
        paint::desktop(self, raster);
    }

    fn text(&self) -> String {
        let mut lines = vec![paint::bar(self)];
        for window in &self.windows {
            lines.push(window.kind.name().to_string());
            lines.extend(paint::lines(self, window));
        }
        lines.join("\n")
    }

    fn power(&mut self, _now: Instant, requests: &mut Requests) {
        requests.next = Some(Next::Shutdown { restart: false });
    }

    // Desktops leave this chord to the user's programs; here the bar shows that it arrived.
    fn control_alt_delete(&mut self, _now: Instant, _requests: &mut Requests) {
        self.last_key = "Ctrl+Alt+Delete".into();
    }
}

fn name(press: Press) -> String {
    let key = match press.key {
        Key::Char(' ') => "Space".into(),
        Key::Char(character) => character.to_string(),
        Key::Function(number) => format!("F{number}"),
        Key::Other(usage) => format!("usage {usage:02x}"),
        key => format!("{key:?}"),
    };
    let control = if press.control { "Ctrl+" } else { "" };
    let alt = if press.alt { "Alt+" } else { "" };
    format!("{control}{alt}{key}")
}
