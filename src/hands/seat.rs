//! Joins one target's hardware to what decides about it.
//!
//! Reports that wait, presses that last and lamps that change all end here at a port. Whatever becomes of the loop
//! around it, dropping a [`SeatDevices`] opens its relays.

use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::protocol::{HandsError, Input};
use crate::base::front_panel::Contact;
use crate::base::seat_id::SeatId;
use crate::base::usb::{KeyboardLeds, Udc};
use crate::bus::TargetStatus;
use crate::hid::keyboard::{Owner, Usage};
use crate::hid::report_queue::{Interface, ReportQueue};
use crate::hid::text::Stroke;
use crate::hid::typing::{Failure, Requester};
use crate::hid::wakeup::RemoteWakeup;
use crate::ports::{Board, Offer, UsbEvent, WakeError};
use crate::power::{Action, PressError, Sequencer};

/// How often lamps are read at most, however often the client beats.
const LAMPS_APART: Duration = Duration::from_millis(100);

/// How often a suspended bus is asked whether it takes a report now. No controller has to say that it wakes: without
/// our kernel patches it shows `configured` all the time. And asking costs the processor as much as an answer.
const ASLEEP: Duration = Duration::from_millis(500);

/// One target with everything that can act on it.
pub struct SeatDevices {
    seat: SeatId,
    board: Board,
    reports: ReportQueue,
    sequencer: Sequencer,
    wakeup: RemoteWakeup,
    status: TargetStatus,
    lamps_read: Option<Instant>,
    /// What the target last set, even if it sleeps now.
    leds: KeyboardLeds,
    /// When a suspended bus is asked again.
    ask_again: Option<Instant>,
}

impl SeatDevices {
    /// Takes over a target's hardware and makes it safe: a process that died may have left a relay closed.
    pub fn new(seat: SeatId, board: Board) -> SeatDevices {
        let (reports, sequencer, status) = (ReportQueue::default(), Sequencer::default(), TargetStatus::default());
        let wakeup = RemoteWakeup::new(board.wakes_by_key);
        let leds = KeyboardLeds::default();
        let (lamps_read, ask_again) = (None, None);
        let mut devices = SeatDevices { seat, board, reports, sequencer, wakeup, status, lamps_read, leds, ask_again };
        devices.open_all();
        devices
    }

    /// Carries out one input.
    pub fn input(&mut self, now: Instant, owner: Owner, input: Input) -> Result<(), HandsError> {
        if input.presses() {
            self.wake_by_key();
        }
        let done = match input {
            Input::Key { usage, down: true } if !self.status.takes_keys() => {
                self.reports.hold(owner, usage);
                Ok(())
            }
            Input::Key { usage, down } => self.reports.key(now, owner, usage, down),
            Input::Pointer { x, y, buttons } => self.reports.point(now, owner, x, y, buttons),
            Input::Wheel { dx, dy } => self.reports.wheel(now, owner, dx, dy),
            Input::Release => self.reports.leave(now, owner),
        };
        done.map_err(HandsError::from)
    }

    /// Begins to type a text; the outcome comes by [`SeatDevices::poll`].
    pub fn strokes(&mut self, now: Instant, id: u64, by: Requester, strokes: &[(Usage, u8)]) {
        self.wake_by_key();
        let strokes: Vec<_> = strokes.iter().map(|&(usage, modifiers)| Stroke { usage, modifiers }).collect();
        self.reports.strokes(now, id, by, &strokes);
    }

    /// Begins to press a chord; the outcome comes by [`SeatDevices::poll`].
    pub fn chord(&mut self, now: Instant, id: u64, by: Requester, usages: &[Usage]) {
        self.wake_by_key();
        self.reports.chord(now, id, by, usages);
    }

    /// Ends a text or chord early.
    pub fn cancel(&mut self, now: Instant, id: u64) {
        self.reports.cancel(now, id);
    }

    /// Closes a contact; it is opened at its deadline by [`SeatDevices::turn`].
    pub fn press(&mut self, now: Instant, contact: Contact, time: Duration) -> Result<(), HandsError> {
        self.sequencer.press(now, contact, time)?;
        // The sequencer has just agreed, so its action is to close.
        self.sequencer.poll();
        let Err(error) = self.board.relays.set(contact, true) else {
            log::info!("seat {}: pressing {contact:?} for {} ms", self.seat, time.as_millis());
            return Ok(());
        };
        self.sequencer.release_all();
        if error.kind() == io::ErrorKind::Unsupported {
            self.sequencer.poll();
            return Err(HandsError::NoRelay(contact));
        }
        // Nobody knows what a relay does that reports an error: open it, and go on until that succeeds.
        self.relays(now);
        log::error!("seat {}: cannot close the {contact:?} contact: {error}", self.seat);
        Err(HandsError::Relay(error.to_string()))
    }

    /// Signals a target that sleeps to wake up.
    pub fn wake(&mut self) -> Result<(), HandsError> {
        if !self.status.takes_keys() {
            return Err(HandsError::Unplugged);
        }
        if !self.wakeup.ask() {
            return Err(HandsError::Awake);
        }
        self.board.usb.wake()?;
        self.reports.signalled();
        log::info!("seat {}: the target has been signalled to wake up", self.seat);
        Ok(())
    }

    /// Releases keys and buttons at once.
    pub fn let_go(&mut self, now: Instant) {
        self.reports.release_all(now);
    }

    /// Opens every relay at once.
    pub fn release_all(&mut self, now: Instant) {
        self.sequencer.release_all();
        self.relays(now);
    }

    /// Waits for the USB port's next event.
    pub fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<UsbEvent> {
        self.board.usb.poll_event(context)
    }

    /// Takes a USB event in. What `Ready` allows is done by the next [`SeatDevices::turn`].
    pub fn event(&mut self, now: Instant, event: UsbEvent) {
        match event {
            UsbEvent::Ready => (),
            UsbEvent::Leds(leds) => self.set_leds(leds),
            UsbEvent::Udc(udc) => {
                let was_configured = self.is_configured();
                self.wakeup.sleeps(now, udc.as_ref().is_some_and(Udc::is_suspended));
                self.status.udc = udc;
                // Whether it still sleeps, the next offer shows.
                (self.ask_again, self.status.asleep) = (None, false);
                // A target that fetches nothing shows no lamps. One that resumes without a reset has them still.
                let is_suspended = self.status.takes_keys() && !self.is_configured();
                self.status.keyboard_leds = if is_suspended { KeyboardLeds::default() } else { self.leds };
                if !self.status.takes_keys() {
                    // Its lamps went dark with it, and whoever starts next will set them again.
                    self.set_leds(KeyboardLeds::default());
                    self.reports.forgotten(now);
                }
                if self.is_configured() {
                    if was_configured {
                        // The bus was reset and configured, or suspended and resumed, faster than we looked.
                        self.reports.reset_or_resumed(now);
                    } else {
                        self.reports.retaken(now);
                    }
                }
            }
        }
    }

    fn set_leds(&mut self, leds: KeyboardLeds) {
        self.leds = leds;
        self.status.keyboard_leds = leds;
        self.reports.caps_lock(leds.caps);
    }

    fn is_configured(&self) -> bool {
        self.status.udc.as_ref().is_some_and(|udc| udc.state == "configured")
    }

    /// Does all that is due: relays first, then the reports that the target takes.
    pub fn turn(&mut self, now: Instant) {
        self.sequencer.tick(now);
        self.relays(now);
        self.reports.tick(now);
        if self.reports.must_replug() {
            log::info!("seat {}: plugging in again, so that keys that were not fetched do not arrive late", self.seat);
            self.board.usb.replug();
        }
        Interface::ALL.into_iter().for_each(|interface| self.offer(now, interface));
    }

    /// Offers what waits, for as long as the target takes it.
    fn offer(&mut self, now: Instant, interface: Interface) {
        while let Some(report) = self.reports.next(interface) {
            let is_asleep = self.ask_again.is_some_and(|at| now < at);
            match if is_asleep { Offer::Asleep } else { self.board.usb.offer(report) } {
                Offer::Taken => {
                    (self.ask_again, self.status.asleep) = (None, false);
                    self.reports.taken(now, interface);
                }
                Offer::Full => return self.reports.full(now, interface),
                Offer::Asleep => {
                    self.status.asleep = true;
                    if !is_asleep {
                        self.ask_again = Some(now + ASLEEP);
                    }
                    return self.reports.asleep(now);
                }
                Offer::Absent | Offer::NoFunction => {
                    (self.ask_again, self.status.asleep) = (None, false);
                    return self.reports.lost(now);
                }
            }
        }
    }

    /// Reads the lamps, unless that has just been done.
    pub fn read_lamps(&mut self, now: Instant) {
        if self.lamps_read.is_none_or(|read| read + LAMPS_APART <= now) {
            self.lamps_read = Some(now);
            self.status.lamps = self.board.lamps.read();
        }
    }

    /// What is known of the target.
    pub fn status(&self) -> &TargetStatus {
        &self.status
    }

    /// Takes the outcome of a text or chord that has ended.
    pub fn poll(&mut self) -> Option<(u64, Option<HandsError>)> {
        self.reports.poll().map(|(id, outcome)| (id, outcome.err().map(HandsError::from)))
    }

    /// Takes whose keys were dropped after they had been accepted, and why.
    pub fn dropped(&mut self) -> Option<(Owner, HandsError)> {
        self.reports.dropped().map(|(owner, failure)| (owner, failure.into()))
    }

    /// When [`SeatDevices::turn`] next has something to do by itself.
    pub fn deadline(&self) -> Option<Instant> {
        let ask_again = self.ask_again.filter(|_| !self.is_idle());
        [self.sequencer.deadline(), self.reports.deadline(), ask_again].into_iter().flatten().min()
    }

    /// Whether nothing waits to be fetched.
    pub fn is_idle(&self) -> bool {
        Interface::ALL.iter().all(|interface| self.reports.next(*interface).is_none())
    }

    /// Wakes a target that sleeps, if its owner wants keys to do that.
    fn wake_by_key(&mut self) {
        if self.wakeup.press()
            && let Err(error) = self.wake()
        {
            log::warn!("seat {}: a key does not wake the target: {error}", self.seat);
        }
    }

    fn relays(&mut self, now: Instant) {
        while let Some(action) = self.sequencer.poll() {
            let (contact, closed) = match action {
                Action::Close(contact) => (contact, true),
                Action::Open(contact) => (contact, false),
            };
            match self.board.relays.set(contact, closed) {
                Ok(()) => log::debug!("seat {}: {contact:?} closed: {closed}", self.seat),
                Err(error) => {
                    log::error!("seat {}: cannot open the {contact:?} contact: {error}", self.seat);
                    self.sequencer.stuck(now, contact);
                }
            }
        }
    }

    fn open_all(&mut self) {
        for contact in [Contact::Power, Contact::Reset] {
            match self.board.relays.set(contact, false) {
                Err(error) if error.kind() != io::ErrorKind::Unsupported => {
                    log::error!("seat {}: cannot open the {contact:?} contact: {error}", self.seat);
                }
                _ => (),
            }
        }
    }
}

impl Drop for SeatDevices {
    fn drop(&mut self) {
        self.open_all();
    }
}

impl From<PressError> for HandsError {
    fn from(error: PressError) -> HandsError {
        match error {
            PressError::Busy(contact) => HandsError::Busy(contact),
            PressError::Length => HandsError::Length,
        }
    }
}

impl From<WakeError> for HandsError {
    fn from(error: WakeError) -> HandsError {
        match error {
            WakeError::NotArmed => HandsError::NotArmed,
            WakeError::Failed(error) => HandsError::CannotWake(error.to_string()),
        }
    }
}

impl From<Failure> for HandsError {
    fn from(failure: Failure) -> HandsError {
        match failure {
            Failure::Unplugged => HandsError::Unplugged,
            Failure::Stale => HandsError::Stale,
            Failure::Flooded => HandsError::Flooded,
            Failure::TooMany => HandsError::TooMany,
            // Who cancels does not wait for an answer; who does wait has been cut short by something else.
            Failure::Cancelled => HandsError::CutShort,
        }
    }
}
