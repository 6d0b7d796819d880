//! Says what the machine needs of the program that runs on it at the moment.
//!
//! Firmware, boot loader, console and desktop are one *stage* each. A stage takes input and time, asks for what it
//! cannot do itself, and draws all of itself whenever the machine wants a picture; so it keeps no notes about what is
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
pub enum Next {
    /// The set-up program of the firmware.
    Setup,
    /// The firmware's list of what can be booted.
    BootMenu,
    /// These devices are tried, one after another.
    Boot(Vec<Device>),
    /// The operating system on this device.
    System(Device),
    /// The text console of a system that runs already.
    Console,
    /// The graphical desktop of a system that runs already.
    Desktop,
    /// The machine restarts, with other settings if there are any.
    Restart(Option<Settings>),
    /// The operating system stops in good order, and the machine is off or restarts.
    Shutdown {
        /// Whether it comes back.
        restart: bool,
    },
    /// The power supply goes off.
    Off,
    /// Everything stops where it is.
    Hang,
}

/// What a stage asks of the machine while it handles an event.
#[derive(Debug, Default)]
pub struct Requests {
    /// The stage is over and this follows.
    pub next: Option<Next>,
    /// The disc is at work for so long.
    pub disk: Duration,
    /// The picture is no longer true.
    pub redraw: bool,
}

/// A program that has the machine for a while.
pub trait Stage: Send + fmt::Debug {
    /// The video mode it uses.
    fn size(&self) -> Size;

    /// A key went down or repeats.
    fn press(&mut self, now: Instant, press: Press, requests: &mut Requests);

    /// The pointer did something.
    fn point(&mut self, _now: Instant, _pointer: Pointer, _requests: &mut Requests) {}

    /// Time has passed.
    fn tick(&mut self, now: Instant, requests: &mut Requests);

    /// When [`Stage::tick`] next has work to do.
    fn deadline(&self) -> Option<Instant>;

    /// Draws the whole screen into a picture of [`Stage::size`].
    fn draw(&self, raster: &mut Raster);

    /// All text on the screen.
    fn text(&self) -> String;

    /// Someone touched the power button. While no operating system listens to ACPI, that cuts the power at once.
    fn power(&mut self, _now: Instant, requests: &mut Requests) {
        requests.next = Some(Next::Off);
    }

    /// Ctrl+Alt+Del was pressed. A firmware restarts at once.
    fn control_alt_delete(&mut self, _now: Instant, requests: &mut Requests) {
        requests.next = Some(Next::Restart(None));
    }
}
