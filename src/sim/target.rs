//! Simulates a whole machine: power, set-up program, boot menu, console, desktop.
//!
//! One object is behind all ports of a seat, so that what is typed shows in the picture, and switching it off ends
//! picture, keyboard and lamps together, as with a real machine. It does no I/O and reads no clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::boot::{Boot, BootMenu};
use super::console::Console;
use super::desktop::Desktop;
use super::keyboard::{Keyboard, Press};
use super::pointer::Pointer;
use super::post::{Post, USB_READY};
use super::screen::Raster;
use super::settings::{Device, Settings};
use super::setup::Setup;
use super::stage::{Next, Requests, Stage};
use crate::base::front_panel::{Contact, Lamps};
use crate::base::signal::{Signal, Size};
use crate::base::usb::{KeyboardLeds, Keys, Report, Udc};
use crate::ports::UsbEvent;

/// ATX: holding the power button this long cuts the power, whatever runs.
const FORCED_OFF: Duration = Duration::from_secs(4);
/// About how long a capture device has no picture when the video mode changes.
const MODE_CHANGE: Duration = Duration::from_millis(300);
/// Half a period of the disk lamp while the disk is busy.
const FLICKER_MS: u128 = 70;

/// Whether an offered report was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The controller has taken it.
    Yes,
    /// The host has not fetched the previous one.
    NotYet,
    /// There is no host, or it has not configured our device.
    NoHost,
}

/// The simulated machine.
#[derive(Debug)]
pub struct Target {
    settings: Settings,
    /// What runs; `None` while the power is off.
    stage: Option<Box<dyn Stage>>,
    /// The running system and its start, once one has been booted.
    system: Option<(Device, Instant)>,
    keyboard: Keyboard,
    /// When the host will have configured our USB device.
    configures_at: Option<Instant>,
    configured: bool,
    /// Whether the controller holds a report that is not fetched yet, and whether another was refused because of it.
    unfetched: bool,
    refused: bool,
    /// Since when the machine hangs.
    hung: Option<Instant>,
    /// Since when the power contact is closed.
    power_closed: Option<Instant>,
    mode: Option<Size>,
    /// When the picture returns after a change of mode.
    settles_at: Option<Instant>,
    disk_until: Option<Instant>,
    epoch: Instant,
    stale: bool,
    events: VecDeque<UsbEvent>,
}

impl Target {
    /// A machine that has just been plugged in and is off.
    pub fn new(now: Instant) -> Target {
        Target {
            settings: Settings::default(),
            stage: None,
            system: None,
            keyboard: Keyboard::default(),
            configures_at: None,
            configured: false,
            unfetched: false,
            refused: false,
            hung: None,
            power_closed: None,
            mode: None,
            settles_at: None,
            disk_until: None,
            epoch: now,
            stale: true,
            events: VecDeque::from([UsbEvent::Udc(Some(udc("not attached")))]),
        }
    }

    /// Closes or opens a front-panel contact.
    pub fn set_contact(&mut self, now: Instant, contact: Contact, closed: bool) {
        self.tick(now);
        match contact {
            Contact::Power if closed && self.power_closed.is_none() => {
                self.power_closed = Some(now);
                if self.stage.is_none() {
                    self.restart(now);
                } else {
                    self.ask(now, |stage, requests| stage.power(now, requests));
                }
            }
            Contact::Power if !closed => self.power_closed = None,
            Contact::Reset if closed && self.stage.is_some() => self.restart(now),
            _ => (),
        }
    }

    /// Offers a report from our keyboard or pointer.
    pub fn offer(&mut self, now: Instant, report: Report) -> Taken {
        self.tick(now);
        if !self.configured {
            return Taken::NoHost;
        }
        if self.hung.is_some() {
            // The controller takes one report, and no host fetches it.
            self.refused = self.unfetched;
            self.unfetched = true;
            return if self.refused { Taken::NotYet } else { Taken::Yes };
        }
        match report {
            Report::Keys(keys) => {
                let before = self.keyboard.leds;
                for press in self.keyboard.receive(now, keys) {
                    self.press(now, press);
                }
                if self.keyboard.leds != before {
                    self.events.push_back(UsbEvent::Leds(self.keyboard.leds));
                }
            }
            Report::Point(point) => {
                if let Some(mode) = self.mode {
                    let pointer = Pointer::receive(point, mode);
                    self.ask(now, |stage, requests| stage.point(now, pointer, requests));
                }
            }
        }
        Taken::Yes
    }

    /// Pulls our keyboard's cable and plugs it in again. A host that runs takes the keyboard again.
    pub fn replug(&mut self, now: Instant) {
        self.tick(now);
        (self.configured, self.unfetched, self.refused) = (false, false, false);
        // A host releases the keys of a keyboard that it loses.
        self.keyboard.receive(now, Keys::default());
        self.configures_at = self.stage.as_ref().map(|_| now + USB_READY);
        self.events.push_back(UsbEvent::Udc(Some(udc("not attached"))));
    }

    /// Tells the machine what time it is.
    pub fn tick(&mut self, now: Instant) {
        if self.power_closed.is_some_and(|since| since + FORCED_OFF <= now) && self.stage.is_some() {
            self.power_off();
        }
        if self.settles_at.is_some_and(|settles| settles <= now) {
            self.settles_at = None;
            self.stale = true;
        }
        if self.hung.is_some() {
            return;
        }
        if self.configures_at.is_some_and(|at| at <= now) {
            self.configures_at = None;
            self.configured = true;
            self.events.push_back(UsbEvent::Udc(Some(udc("configured"))));
            self.keyboard.leds.num = self.settings.num_lock;
            self.events.push_back(UsbEvent::Leds(self.keyboard.leds));
        }
        if let Some(press) = self.keyboard.tick(now) {
            self.press(now, press);
        }
        if self.stage.as_ref().and_then(|stage| stage.deadline()).is_some_and(|deadline| deadline <= now) {
            self.ask(now, |stage, requests| stage.tick(now, requests));
        }
    }

    /// Takes the next event of the USB port.
    pub fn poll(&mut self) -> Option<UsbEvent> {
        self.events.pop_front()
    }

    /// Whether [`Target::poll`] has an event.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// When [`Target::tick`] next has work to do.
    pub fn deadline(&self) -> Option<Instant> {
        let forced_off = self.power_closed.filter(|_| self.stage.is_some()).map(|since| since + FORCED_OFF);
        let alive =
            [self.configures_at, self.keyboard.deadline(), self.stage.as_ref().and_then(|stage| stage.deadline())];
        let alive = alive.into_iter().flatten().filter(|_| self.hung.is_none());
        alive.chain(forced_off).chain(self.settles_at).min()
    }

    /// What a capture device would report about the video signal.
    pub fn signal(&self) -> Signal {
        match (self.stage.is_some(), self.settles_at) {
            (false, _) => Signal::NoSignal,
            (true, Some(_)) => Signal::Changing,
            (true, None) => Signal::Ok,
        }
    }

    /// Draws the screen, if there is a picture and it differs from the last one drawn. Returns whether it drew.
    pub fn draw(&mut self, raster: &mut Raster) -> bool {
        let Some(stage) = self.stage.as_ref().filter(|_| self.settles_at.is_none() && self.stale) else {
            return false;
        };
        raster.resize(stage.size());
        stage.draw(raster);
        self.stale = false;
        true
    }

    /// Whether [`Target::draw`] would draw.
    pub fn is_stale(&self) -> bool {
        self.stale && self.signal() == Signal::Ok
    }

    /// All text on the screen; none while the power is off.
    pub fn text(&self) -> String {
        self.stage.as_ref().map(|stage| stage.text()).unwrap_or_default()
    }

    /// The front panel's lamps.
    pub fn lamps(&self, now: Instant) -> Lamps {
        // If a machine hangs during a disk access, its lamp stays as it was.
        let now = self.hung.unwrap_or(now);
        let lit = ((now - self.epoch).as_millis() / FLICKER_MS).is_multiple_of(2);
        let busy = self.disk_until.is_some_and(|end| now < end);
        Lamps { power: Some(self.stage.is_some()), disk: Some(self.stage.is_some() && busy && lit) }
    }

    fn press(&mut self, now: Instant, press: Press) {
        self.ask(now, |stage, requests| {
            requests.redraw = true;
            if press.is_control_alt_delete() {
                stage.control_alt_delete(now, requests);
            } else {
                stage.press(now, press, requests);
            }
        });
    }

    /// Lets the stage handle an event, and carries out its requests.
    fn ask(&mut self, now: Instant, event: impl FnOnce(&mut dyn Stage, &mut Requests)) {
        let Some(stage) = &mut self.stage else { return };
        let mut requests = Requests::default();
        event(stage.as_mut(), &mut requests);
        self.stale |= requests.redraw;
        if !requests.disk.is_zero() {
            self.disk_until = Some(now + requests.disk).max(self.disk_until);
        }
        if let Some(next) = requests.next {
            self.follow(now, next);
        }
        self.check_mode(now);
    }

    fn follow(&mut self, now: Instant, next: Next) {
        let (device, booted) = self.system.unwrap_or((Device::Disk, now));
        let order = self.settings.boot_order.clone();
        self.stage = Some(match next {
            Next::Setup => Box::new(Setup::new(self.settings.clone())),
            Next::BootMenu => Box::new(BootMenu::new(order)),
            Next::Boot(devices) => Box::new(Boot::new(now, devices)),
            Next::System(device) => {
                self.system = Some((device, now));
                Box::new(Console::boot(now, device))
            }
            Next::Console => Box::new(Console::prompt(now, booted, device)),
            Next::Desktop => Box::new(Desktop::new(now)),
            Next::Restart(settings) => {
                self.settings = settings.unwrap_or_else(|| self.settings.clone());
                return self.restart(now);
            }
            Next::Shutdown { restart } => Box::new(Console::shutdown(now, booted, device, restart)),
            Next::Off => return self.power_off(),
            Next::Hang => {
                self.hung = Some(now);
                return;
            }
        });
        self.stale = true;
    }

    /// Starts the self-test, whatever runs now.
    fn restart(&mut self, now: Instant) {
        self.forget();
        self.stage = Some(Box::new(Post::new(now, self.settings.clone())));
        self.keyboard.repeat_interval = self.settings.repeat_interval();
        self.configures_at = Some(now + USB_READY);
        // The port has power but the host has not configured it yet: the default state of the USB specification.
        self.events.push_back(UsbEvent::Udc(Some(udc("default"))));
        self.check_mode(now);
    }

    fn power_off(&mut self) {
        self.forget();
        self.stage = None;
        self.mode = None;
        self.settles_at = None;
        self.events.push_back(UsbEvent::Udc(Some(udc("not attached"))));
    }

    /// Drops all that a reset clears, and reports it on the USB port.
    fn forget(&mut self) {
        self.system = None;
        self.hung = None;
        self.configures_at = None;
        self.configured = false;
        self.disk_until = None;
        self.stale = true;
        if self.keyboard.leds != KeyboardLeds::default() {
            self.events.push_back(UsbEvent::Leds(KeyboardLeds::default()));
        }
        self.keyboard = Keyboard::default();
        self.unfetched = false;
        if std::mem::take(&mut self.refused) {
            self.events.push_back(UsbEvent::Ready);
        }
    }

    fn check_mode(&mut self, now: Instant) {
        let mode = self.stage.as_ref().map(|stage| stage.size());
        if mode != self.mode {
            self.mode = mode;
            self.settles_at = mode.map(|_| now + MODE_CHANGE);
        }
    }
}

fn udc(state: &str) -> Udc {
    Udc { name: "simulated".into(), state: state.into() }
}

#[cfg(test)]
mod tests;
