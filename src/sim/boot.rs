//! Shows the boot menu, and boots a device.

use std::time::{Duration, Instant};

use super::keyboard::{Key, Press};
use super::screen::{Color, Raster, Style};
use super::settings::Device;
use super::stage::{Next, Requests, Stage};
use super::text::{PLAIN, TEXT_MODE, TextScreen};
use crate::base::signal::Size;

const BOX: Style = Style::new(Color::new(0xff, 0xff, 0xff), Color::new(0x10, 0x20, 0x60));

/// The boot menu, whose choice holds for this boot only.
#[derive(Debug)]
pub struct BootMenu {
    devices: Vec<Device>,
    chosen: usize,
}

impl BootMenu {
    /// Lists devices, and below them the set-up program.
    pub fn new(devices: Vec<Device>) -> BootMenu {
        BootMenu { devices, chosen: 0 }
    }

    fn screen(&self) -> TextScreen {
        const WIDTH: usize = 50;
        let mut screen = TextScreen::new(TEXT_MODE, PLAIN);
        let left = (screen.columns() - WIDTH) / 2;
        screen.frame((left, 6), (WIDTH, self.devices.len() + 8), BOX);
        screen.write(left + 2, 7, "Please select a boot device", BOX);
        screen.write(left, 8, &format!("├{}┤", "─".repeat(WIDTH - 2)), BOX);
        let names = self.devices.iter().map(|device| device.name()).chain(["Enter Setup"]);
        for (index, name) in names.enumerate() {
            let style = if index == self.chosen { BOX.inverse() } else { BOX };
            screen.write(left + 1, 9 + index, &format!(" {name:<width$}", width = WIDTH - 3), style);
        }
        let row = 10 + self.devices.len();
        screen.write(left, row, &format!("├{}┤", "─".repeat(WIDTH - 2)), BOX);
        screen.write(left + 2, row + 1, "↑ and ↓ to move the selection", BOX);
        screen.write(left + 2, row + 2, "Enter to boot, Esc to boot as set up", BOX);
        screen
    }
}

impl Stage for BootMenu {
    fn size(&self) -> Size {
        TEXT_MODE
    }

    fn press(&mut self, _now: Instant, press: Press, requests: &mut Requests) {
        let entries = self.devices.len() + 1;
        match press.key {
            Key::Up => self.chosen = (self.chosen + entries - 1) % entries,
            Key::Down => self.chosen = (self.chosen + 1) % entries,
            Key::Escape => requests.next = Some(Next::Boot(self.devices.clone())),
            Key::Enter => {
                requests.next = Some(match self.devices.get(self.chosen) {
                    Some(device) => Next::Boot(vec![*device]),
                    None => Next::Setup,
                });
            }
            _ => (),
        }
    }

    fn tick(&mut self, _now: Instant, _requests: &mut Requests) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn draw(&self, raster: &mut Raster) {
        self.screen().draw(raster);
    }

    fn text(&self) -> String {
        self.screen().text()
    }
}

/// Tries devices in turn until one can be booted.
#[derive(Debug)]
pub struct Boot {
    screen: TextScreen,
    waiting: std::vec::IntoIter<Device>,
    trying: Option<(Device, Instant)>,
}

impl Boot {
    /// Starts with the first device.
    pub fn new(now: Instant, devices: Vec<Device>) -> Boot {
        let screen = TextScreen::new(TEXT_MODE, PLAIN);
        let mut boot = Boot { screen, waiting: devices.into_iter(), trying: None };
        boot.try_next(now);
        boot
    }

    fn try_next(&mut self, now: Instant) {
        let Some(device) = self.waiting.next() else {
            self.trying = None;
            self.screen.print("\nNo bootable device.\nPress any key to restart.", PLAIN);
            self.screen.caret = true;
            return;
        };
        self.screen.print(&format!("Booting from {} ...\n", device.name()), PLAIN);
        let time = match device {
            Device::Disk | Device::Stick => {
                self.screen.print("Loading Linux ...\nLoading initial ramdisk ...\n", PLAIN);
                Duration::from_millis(700)
            }
            Device::Network => {
                self.screen.print("Waiting for DHCP ", PLAIN);
                Duration::from_millis(1500)
            }
        };
        self.trying = Some((device, now + time));
    }
}

impl Stage for Boot {
    fn size(&self) -> Size {
        TEXT_MODE
    }

    fn press(&mut self, _now: Instant, _press: Press, requests: &mut Requests) {
        if self.trying.is_none() {
            requests.next = Some(Next::Restart(None));
        }
    }

    fn tick(&mut self, now: Instant, requests: &mut Requests) {
        let Some((device, _)) = self.trying.filter(|(_, end)| *end <= now) else { return };
        requests.redraw = true;
        if device == Device::Network {
            self.screen.print("\nPXE-E51: No DHCP or proxyDHCP offers were received.\n\n", PLAIN);
            self.try_next(now);
        } else {
            requests.disk = Duration::from_millis(500);
            requests.next = Some(Next::System(device));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.trying.map(|(_, end)| end)
    }

    fn draw(&self, raster: &mut Raster) {
        self.screen.draw(raster);
    }

    fn text(&self) -> String {
        self.screen.text()
    }
}
