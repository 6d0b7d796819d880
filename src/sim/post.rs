//! Runs the power-on self-test: a banner, a memory count, what was found, and the keys that open other programs.

use std::time::{Duration, Instant};

use super::keyboard::{Key, Press};
use super::screen::{Color, Raster, Style};
use super::settings::Settings;
use super::stage::{Next, Requests, Stage};
use super::text::{PLAIN, TEXT_MODE, TextScreen};
use crate::base::signal::Size;

/// When the host has configured the keyboard: BIOSes need about a second from power-on.
pub const USB_READY: Duration = Duration::from_millis(1000);
/// Time for a person to read the line about the keys and press one.
const FULL_TIME: Duration = Duration::from_millis(4000);
/// Time for a person who knows the key already.
const QUICK_TIME: Duration = Duration::from_millis(2500);
/// One step of the memory count; short enough to look busy.
const STEP_TIME: Duration = Duration::from_millis(50);
const MEMORY_TIME: Duration = Duration::from_millis(1500);
const MEMORY_MIB: u128 = 16384;

const BRIGHT: Style = Style::new(Color::new(0xff, 0xff, 0xff), PLAIN.paper);
const GOLD: Style = Style::new(Color::new(0xff, 0xd7, 0x5f), PLAIN.paper);

/// The state of the self-test.
#[derive(Debug)]
pub struct Post {
    settings: Settings,
    started: Instant,
    time: Instant,
}

impl Post {
    /// Starts the self-test.
    pub fn new(now: Instant, settings: Settings) -> Post {
        Post { settings, started: now, time: now }
    }

    fn length(&self) -> Duration {
        if self.settings.quick_boot { QUICK_TIME } else { FULL_TIME }
    }

    fn screen(&self) -> TextScreen {
        let mut screen = TextScreen::new(TEXT_MODE, PLAIN);
        let age = self.time - self.started;
        screen.write(2, 1, "Practice BIOS 1.0", GOLD);
        screen.write(2, 2, "A simulated machine: nothing you do here can break anything.", PLAIN);
        screen.write(2, 4, "CPU     : Simulated Processor, 4 cores, 3.00 GHz", PLAIN);
        let counted = if self.settings.quick_boot { MEMORY_TIME } else { age.min(MEMORY_TIME) };
        let counted = MEMORY_MIB * counted.as_millis() / MEMORY_TIME.as_millis();
        let done = if counted == MEMORY_MIB { " OK" } else { "" };
        screen.write(2, 5, &format!("Memory  : {counted:5} MiB{done}"), PLAIN);
        let found = [
            (USB_READY, "USB     : Keyboard, Pointer, Rescue Stick 8GB"),
            (Duration::from_millis(1500), "NVMe    : Practice SSD 256GB"),
            (Duration::from_millis(1900), "Network : 52-54-00-12-34-56, link up"),
        ];
        for (row, (_, line)) in found.iter().enumerate().filter(|(_, (when, _))| *when <= age) {
            screen.write(2, 7 + row, line, PLAIN);
        }
        screen.write(2, 22, "Press F2 to enter Setup", BRIGHT);
        if self.settings.boot_menu_key {
            screen.write(25, 22, ", F12 for boot menu", BRIGHT);
        }
        let width = (screen.columns() - 4) as u128 * age.min(self.length()).as_millis() / self.length().as_millis();
        screen.write(2, 23, &"─".repeat(screen.columns() - 4), Style::new(Color::new(0x50, 0x50, 0x50), PLAIN.paper));
        screen.write(2, 23, &"─".repeat(width as usize), GOLD);
        screen
    }
}

impl Stage for Post {
    fn size(&self) -> Size {
        TEXT_MODE
    }

    fn press(&mut self, _now: Instant, press: Press, requests: &mut Requests) {
        match press.key {
            Key::Function(2) | Key::Delete => requests.next = Some(Next::Setup),
            Key::Function(12) if self.settings.boot_menu_key => requests.next = Some(Next::BootMenu),
            _ => (),
        }
    }

    fn tick(&mut self, now: Instant, requests: &mut Requests) {
        self.time = now;
        requests.redraw = true;
        requests.disk = STEP_TIME;
        if self.started + self.length() <= now {
            requests.next = Some(Next::Boot(self.settings.boot_order.clone()));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.time + STEP_TIME)
    }

    fn draw(&self, raster: &mut Raster) {
        self.screen().draw(raster);
    }

    fn text(&self) -> String {
        self.screen().text()
    }
}
