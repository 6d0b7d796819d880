//! Tells stories with the machine, as somebody at its keyboard, its buttons and its screen would.

use super::*;
use crate::base::usb::Point;
use crate::sim::keyboard::{down, report_for};

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
    fn report(&mut self, report: Keys) {
        assert_eq!(Taken::Yes, self.target.offer(self.now, Report::Keys(report)));
        self.wait(10);
    }

    /// Releases every key; there may be no host any more because of that key.
    fn release(&mut self) {
        self.target.offer(self.now, Report::Keys(Keys::default()));
        self.wait(10);
    }

    #[track_caller]
    fn key(&mut self, usage: u8) {
        self.report(down(0, &[usage]));
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
        self.report(down(0x05, &[0x4c]));
        self.release();
    }

    #[track_caller]
    fn point(&mut self, x: u32, y: u32, buttons: u8, wheel: i8) {
        // The middle of a pixel, in the report's units.
        let x = (((x * 2 + 1) << 14) / 1920) as u16;
        let y = (((y * 2 + 1) << 14) / 1080) as u16;
        let report = Report::Point(Point { x, y, buttons, wheel, pan: 0 });
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
    story.report(down(0x01, &[0x06]));
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
    assert_eq!(Taken::NoHost, story.target.offer(story.now, Report::Keys(Keys::default())));
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
        assert_eq!(Taken::Yes, story.target.offer(story.now, Report::Keys(Keys::default())));
        assert_eq!(Taken::NotYet, story.target.offer(story.now, Report::Keys(Keys::default())));
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
    story.report(Keys::default());
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
