//! Defines what the machine needs from the program that runs on it.
//!
//! Firmware, boot loader, console and desktop are one *stage* each. A stage takes input and time, requests what it
//! cannot do itself, and draws its whole screen whenever the machine wants a picture; so it need not remember what is
//! drawn already.

use std::fmt;
use std::time::{Duration, Instant};

use super::keyboard::Press;
use super::pointer::Pointer;
use super::screen::Raster;
use super::settings::{Device, Settings};
use crate::base::signal::Size;

/// What runs next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Setup` and `restart` say it")]
pub enum Next {
    Setup,
    /// The firmware's list of what can be booted.
    BootMenu,
    /// Try these devices, one after another.
    Boot(Vec<Device>),
    /// The operating system on this device.
    System(Device),
    /// The text console of a system that runs already.
    Console,
    /// The graphical desktop of a system that runs already.
    Desktop,
    /// The machine restarts, with other settings if there are any.
    Restart(Option<Settings>),
    /// The operating system shuts down, and the machine is off or restarts.
    Shutdown {
        restart: bool,
    },
    /// The power supply is switched off.
    Off,
    /// Everything freezes.
    Hang,
}

/// What a stage requests from the machine while it handles an event.
#[derive(Debug, Default)]
pub struct Requests {
    /// The stage has ended, and this follows.
    pub next: Option<Next>,
    /// How long the disk is busy.
    pub disk: Duration,
    /// Whether the picture is out of date.
    pub redraw: bool,
}

/// A program that runs on the machine.
pub trait Stage: Send + fmt::Debug {
    /// The video mode it uses.
    fn size(&self) -> Size;

    /// A key went down or repeats.
    fn press(&mut self, now: Instant, press: Press, requests: &mut Requests);

    /// The pointer moved, or a button or the wheel changed.
    fn point(&mut self, _now: Instant, _pointer: Pointer, _requests: &mut Requests) {}

    /// Does what is due at `now`.
    fn tick(&mut self, now: Instant, requests: &mut Requests);

    /// When [`Stage::tick`] next has work to do.
    fn deadline(&self) -> Option<Instant>;

    /// Draws the whole screen into a picture of [`Stage::size`].
    fn draw(&self, raster: &mut Raster);

    /// All text on the screen.
    fn text(&self) -> String;

    /// The power button was pressed. While no operating system handles ACPI, that cuts the power at once.
    fn power(&mut self, _now: Instant, requests: &mut Requests) {
        requests.next = Some(Next::Off);
    }

    /// Ctrl+Alt+Del was pressed. A firmware restarts at once.
    fn control_alt_delete(&mut self, _now: Instant, requests: &mut Requests) {
        requests.next = Some(Next::Restart(None));
    }
}
