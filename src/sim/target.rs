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
use crate::base::usb::{KeyboardLeds, Report, Udc};
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
            Report::Keyboard(report) => {
                let before = self.keyboard.leds;
                for press in self.keyboard.receive(now, report) {
                    self.press(now, press);
                }
                if self.keyboard.leds != before {
                    self.events.push_back(UsbEvent::Leds(self.keyboard.leds));
                }
            }
            Report::Pointer(report) => {
                if let Some(mode) = self.mode {
                    let pointer = Pointer::receive(report, mode);
                    self.ask(now, |stage, requests| stage.point(now, pointer, requests));
                }
            }
        }
        Taken::Yes
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
mod tests {
    use super::*;
    use crate::sim::keyboard::report_for;

    const ENTER: u8 = 0x28;
    const ESCAPE: u8 = 0x29;
    const CAPS: u8 = 0x39;
    const F2: u8 = 0x3b;
    const F10: u8 = 0x43;
    const F12: u8 = 0x45;
    const RIGHT: u8 = 0x4f;
    const DOWN: u8 = 0x51;

    /// A machine and a clock.
    struct Story {
        target: Target,
        now: Instant,
    }

    impl Story {
        /// The machine has been switched on.
        fn begins() -> Story {
            let now = Instant::now();
            let mut story = Story { target: Target::new(now), now };
            story.tap(Contact::Power);
            story
        }

        /// The machine has booted to its console.
        fn at_console() -> Story {
            let mut story = Story::begins();
            story.until("practice$");
            story
        }

        fn at_desktop() -> Story {
            let mut story = Story::at_console();
            story.types("startx\n");
            story.until("Log out");
            story.wait(1000);
            story
        }

        /// Lets time pass, and calls the machine at each of its deadlines.
        fn wait(&mut self, ms: u64) {
            let end = self.now + Duration::from_millis(ms);
            while let Some(deadline) = self.target.deadline().filter(|deadline| *deadline <= end) {
                self.now = self.now.max(deadline);
                self.target.tick(self.now);
            }
            self.now = end;
            self.target.tick(end);
        }

        /// Waits until the screen shows a text, for ten seconds at most.
        #[track_caller]
        fn until(&mut self, text: &str) {
            for _ in 0..100 {
                if self.target.text().contains(text) {
                    return;
                }
                self.wait(100);
            }
            panic!("{text:?} is not on the screen:\n{}", self.target.text());
        }

        #[track_caller]
        fn shows(&self, text: &str) {
            assert!(self.target.text().contains(text), "{text:?} is not on the screen:\n{}", self.target.text());
        }

        #[track_caller]
        fn hides(&self, text: &str) {
            assert!(!self.target.text().contains(text), "{text:?} is on the screen:\n{}", self.target.text());
        }

        #[track_caller]
        fn report(&mut self, report: [u8; 8]) {
            assert_eq!(Taken::Yes, self.target.offer(self.now, Report::Keyboard(report)));
            self.wait(10);
        }

        /// Releases every key; there may be no host any more because of that key.
        fn release(&mut self) {
            self.target.offer(self.now, Report::Keyboard([0; 8]));
            self.wait(10);
        }

        #[track_caller]
        fn key(&mut self, usage: u8) {
            self.report([0, 0, usage, 0, 0, 0, 0, 0]);
            self.release();
        }

        #[track_caller]
        fn types(&mut self, text: &str) {
            for character in text.chars() {
                self.report(report_for(character));
                self.release();
            }
        }

        #[track_caller]
        fn control_alt_delete(&mut self) {
            self.report([0x05, 0, 0x4c, 0, 0, 0, 0, 0]);
            self.release();
        }

        #[track_caller]
        fn point(&mut self, x: u32, y: u32, buttons: u8, wheel: i8) {
            // The middle of a pixel, in the report's units.
            let x = (((x * 2 + 1) << 14) / 1920) as u16;
            let y = (((y * 2 + 1) << 14) / 1080) as u16;
            let ([x0, x1], [y0, y1]) = (x.to_le_bytes(), y.to_le_bytes());
            let report = Report::Pointer([buttons, x0, x1, y0, y1, wheel as u8, 0]);
            assert_eq!(Taken::Yes, self.target.offer(self.now, report));
        }

        #[track_caller]
        fn click(&mut self, x: u32, y: u32) {
            self.point(x, y, 1, 0);
            self.point(x, y, 0, 0);
        }

        fn tap(&mut self, contact: Contact) {
            self.hold(contact, 500);
        }

        fn hold(&mut self, contact: Contact, ms: u64) {
            self.target.set_contact(self.now, contact, true);
            self.wait(ms);
            self.target.set_contact(self.now, contact, false);
        }

        fn is_on(&self) -> bool {
            self.target.lamps(self.now).power == Some(true)
        }

        /// The newest event of each kind from the USB port.
        fn usb(&mut self) -> (Option<String>, Option<KeyboardLeds>, bool) {
            let mut seen = (None, None, false);
            while let Some(event) = self.target.poll() {
                match event {
                    UsbEvent::Udc(udc) => seen.0 = udc.map(|udc| udc.state),
                    UsbEvent::Leds(leds) => seen.1 = Some(leds),
                    UsbEvent::Ready => seen.2 = true,
                }
            }
            seen
        }
    }

    #[test]
    fn it_boots_from_power_on_to_the_prompt() {
        let mut story = Story::begins();
        story.shows("Press F2 to enter Setup, F12 for boot menu");
        story.until("16384 MiB OK");
        story.until("Booting from NVMe");
        story.until("Started network");
        story.until("practice$");
    }

    #[test]
    fn a_typed_word_appears_on_the_console() {
        let mut story = Story::at_console();
        story.types("echo It's 100% \"real\"!");
        story.shows("practice$ echo It's 100% \"real\"!");
        story.types("\n");
        story.shows("\nIt's 100% \"real\"!\npractice$");
    }

    #[test]
    fn lines_are_edited_and_recalled() {
        let mut story = Story::at_console();
        story.types("echo onn");
        story.key(0x2a);
        story.types("e\n");
        story.key(0x52);
        story.shows("\none\npractice$ echo one");
        story.report([0x01, 0, 0x06, 0, 0, 0, 0, 0]);
        story.shows("^C\npractice$");
    }

    #[test]
    fn a_changed_boot_order_takes_effect_and_stays() {
        let mut story = Story::begins();
        story.wait(1000);
        story.key(F2);
        story.shows("Practice BIOS Setup");
        story.key(RIGHT);
        story.key(RIGHT);
        story.shows("1. NVMe");
        story.key(DOWN);
        story.types("+");
        story.shows("1. USB: Rescue Stick");
        story.key(F10);
        story.shows("Save changes and restart?");
        story.types("y");
        story.until("Booting from USB: Rescue Stick");
        story.until("rescue$");
        story.hold(Contact::Power, 5000);
        assert!(!story.is_on());
        story.tap(Contact::Power);
        story.until("rescue$");
    }

    #[test]
    fn discarded_changes_are_forgotten() {
        let mut story = Story::begins();
        story.wait(1000);
        story.key(F2);
        story.shows("Quick boot                  [Disabled]");
        story.key(ENTER);
        story.shows("Quick boot                  [Enabled]");
        story.key(ESCAPE);
        story.types("n");
        story.shows("Quick boot                  [Enabled]");
        story.key(ESCAPE);
        story.key(ENTER);
        story.wait(1000);
        story.key(F2);
        story.shows("Quick boot                  [Disabled]");
    }

    #[test]
    fn the_boot_menu_boots_something_else_once() {
        let mut story = Story::begins();
        story.wait(1000);
        story.key(F12);
        story.shows("Please select a boot device");
        story.key(DOWN);
        story.key(DOWN);
        story.key(ENTER);
        story.until("PXE-E51");
        story.shows("No bootable device");
        story.key(ENTER);
        story.until("Press F2");
        story.until("practice$");
    }

    #[test]
    fn a_tap_shuts_the_system_down_in_good_order() {
        for mut story in [Story::at_console(), Story::at_desktop()] {
            story.tap(Contact::Power);
            story.until("The system is shutting down...");
            assert!(story.is_on());
            story.until("Power down");
            story.wait(500);
            assert!(!story.is_on());
            assert_eq!(Signal::NoSignal, story.target.signal());
            story.tap(Contact::Power);
            assert!(story.is_on());
            story.until("practice$");
        }
    }

    #[test]
    fn a_tap_during_the_self_test_cuts_the_power() {
        let mut story = Story::begins();
        story.wait(1000);
        story.tap(Contact::Power);
        assert!(!story.is_on());
        assert_eq!(Some("not attached".into()), story.usb().0);
        assert_eq!(Taken::NoHost, story.target.offer(story.now, Report::Keyboard([0; 8])));
    }

    #[test]
    fn only_reset_or_a_long_press_ends_a_hang() {
        for contact in [Contact::Reset, Contact::Power] {
            let mut story = Story::at_console();
            story.types("hang");
            story.report(report_for('\n'));
            story.usb();
            let picture = story.target.text();
            // One report waits in the controller for a host that never fetches it.
            assert_eq!(Taken::Yes, story.target.offer(story.now, Report::Keyboard([0; 8])));
            assert_eq!(Taken::NotYet, story.target.offer(story.now, Report::Keyboard([0; 8])));
            story.tap(Contact::Power);
            story.hold(Contact::Power, 3900);
            assert_eq!(picture, story.target.text());
            assert_eq!(Signal::Ok, story.target.signal());
            match contact {
                Contact::Reset => story.tap(contact),
                Contact::Power => {
                    story.hold(contact, 4000);
                    assert!(!story.is_on());
                    story.tap(contact);
                }
            }
            assert!(story.usb().2, "a caller that waits to send must get an event");
            story.until("practice$");
        }
    }

    #[test]
    fn control_alt_delete_restarts_all_but_the_desktop() {
        let mut story = Story::begins();
        story.wait(3000);
        story.control_alt_delete();
        story.hides("Network :");
        story.wait(1000);
        story.key(F2);
        story.control_alt_delete();
        story.shows("Press F2");
        story.until("practice$");
        story.control_alt_delete();
        story.until("Restarting.");
        story.until("Press F2");
        let mut story = Story::at_desktop();
        story.control_alt_delete();
        story.shows("Key Ctrl+Alt+Delete");
    }

    #[test]
    fn the_usb_port_lives_with_the_machine() {
        let now = Instant::now();
        let mut story = Story { target: Target::new(now), now };
        assert_eq!(Some("not attached".into()), story.usb().0);
        story.tap(Contact::Power);
        assert_eq!(Some("default".into()), story.usb().0);
        story.wait(600);
        let num = KeyboardLeds { num: true, ..KeyboardLeds::default() };
        assert_eq!((Some("configured".into()), Some(num), false), story.usb());
        story.hold(Contact::Power, 100);
        assert_eq!((Some("not attached".into()), Some(KeyboardLeds::default()), false), story.usb());
    }

    #[test]
    fn caps_lock_lights_its_lamp_and_types_capitals() {
        let mut story = Story::at_console();
        story.usb();
        story.key(CAPS);
        assert_eq!(Some(KeyboardLeds { num: true, caps: true, scroll: false }), story.usb().1);
        story.types("ab");
        story.shows("practice$ AB");
        story.key(CAPS);
        assert_eq!(Some(KeyboardLeds { num: true, caps: false, scroll: false }), story.usb().1);
    }

    #[test]
    fn a_key_held_down_repeats_on_the_console() {
        let mut story = Story::at_console();
        story.report(report_for('x'));
        story.wait(600);
        story.report([0; 8]);
        story.wait(600);
        let typed = story.target.text().matches('x').count() - Story::at_console().target.text().matches('x').count();
        assert_eq!(5, typed);
    }

    #[test]
    fn a_change_of_mode_leaves_a_gap_without_picture() {
        let mut story = Story::at_console();
        let mut raster = Raster::new(Size { width: 0, height: 0 });
        story.wait(300);
        assert!(story.target.draw(&mut raster));
        assert_eq!(Size { width: 1024, height: 768 }, raster.size());
        story.types("startx");
        story.report(report_for('\n'));
        assert_eq!(Signal::Changing, story.target.signal());
        assert!(!story.target.draw(&mut raster));
        story.wait(300);
        assert_eq!(Signal::Ok, story.target.signal());
        assert!(story.target.draw(&mut raster));
        assert_eq!(Size { width: 1920, height: 1080 }, raster.size());
        assert!(!story.target.draw(&mut raster), "nothing has changed");
    }

    #[test]
    fn the_desktop_hits_a_target_where_it_says_it_is() {
        let mut story = Story::at_desktop();
        let text = story.target.text();
        let line = text.lines().find_map(|line| line.strip_prefix("Target at ")).unwrap();
        let (x, y) = line.split_once(',').unwrap();
        story.click(x.parse().unwrap(), y.parse().unwrap());
        story.shows(&format!("Hit at {x},{y}: off by 0,0"));
        story.shows("Hits 1  Misses 0");
        story.hides(&format!("Target at {x},{y}"));
    }

    #[test]
    fn the_desktop_shows_the_pointer_at_every_pixel() {
        let mut story = Story::at_desktop();
        for (x, y) in [(0, 0), (1, 1), (959, 540), (1279, 719), (1919, 1079)] {
            story.point(x, y, 0, 0);
            story.shows(&format!("Pointer {x},{y} "));
        }
    }

    #[test]
    fn typed_text_goes_to_the_notes_and_the_wheel_to_the_journal() {
        let mut story = Story::at_desktop();
        story.types("hello\n");
        story.shows("Type here.\nhello\n");
        story.shows("  1  kernel");
        story.point(400, 700, 0, -1);
        story.hides("  1  kernel");
        story.point(400, 700, 0, 1);
        story.shows("  1  kernel");
    }

    #[test]
    fn windows_are_dragged_closed_and_opened() {
        let mut story = Story::at_desktop();
        let notes = Story::at_desktop().target.text();
        story.point(300, 70, 1, 0);
        story.point(390, 102, 1, 0);
        story.point(390, 102, 0, 0);
        assert_eq!(notes.lines().last(), story.target.text().lines().last());
        // Its box has moved by the same ten columns and two rows.
        story.click((24 + 76 + 10 - 3) * 9, 6 * 16 + 8);
        story.hides("Type here.");
        story.click(80, 7 * 16 - 40);
        story.shows("Type here.");
    }

    #[test]
    fn logging_out_leads_to_the_console() {
        let mut story = Story::at_desktop();
        story.click(40, 66 * 16 + 8);
        story.shows("practice$");
        story.types("echo back\n");
        story.shows("\nback\n");
    }

    #[test]
    fn the_disc_lamp_flickers_at_work_and_rests() {
        let mut story = Story::at_console();
        let lit = |story: &mut Story| {
            (0..50)
                .filter(|_| {
                    story.wait(10);
                    story.target.lamps(story.now).disk == Some(true)
                })
                .count()
        };
        story.wait(1000);
        assert_eq!(0, lit(&mut story));
        story.types("ls\n");
        assert!(0 < lit(&mut story));
    }
}
