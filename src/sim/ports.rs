//! Puts one simulated machine behind all ports of a board.
//!
//! The machine lives in a mutex that is held for microseconds by input and for the few milliseconds of drawing by the
//! screen; coding the picture happens outside. The screen's thread is also what tells the machine the time.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::screen::Raster;
use super::target::{Taken, Target};
use crate::bus::SeatBus;
use crate::ports::{Board, Contact, LampInputs, Lamps, Relays, Report, Screen, Signal, Size, UsbEvent, UsbPort};
use crate::tasks::Stop;

/// Pictures come no faster than this: what a good capture device gives.
const FRAME_INTERVAL: Duration = Duration::from_micros(33_333);
/// A picture comes at least this often even if nothing moves, as from a capture device; so a viewer sees that it lives.
const KEEP_ALIVE: Duration = Duration::from_millis(500);
/// How long the screen's thread may sleep without asking whether to stop.
const NAP: Duration = Duration::from_millis(100);
/// Sharp text is worth the bytes on a machine that is mostly text.
const QUALITY: i32 = 90;

/// A machine that has just been switched on: its ports, and its screen.
pub fn machine() -> (Board, SimulatedScreen) {
    let now = Instant::now();
    let mut target = Target::new(now);
    target.set_contact(now, Contact::Power, true);
    target.set_contact(now, Contact::Power, false);
    let machine = Machine::new(target);
    let board =
        Board { usb: Box::new(machine.clone()), relays: Box::new(machine.clone()), lamps: Box::new(machine.clone()) };
    (board, SimulatedScreen(machine))
}

/// The machine as every port holds it.
#[derive(Clone)]
struct Machine(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told whenever `State::touched` becomes true.
    touch: Condvar,
}

struct State {
    target: Target,
    /// Who waits for its USB events.
    waker: Option<Waker>,
    /// Whether something was done to it since its screen last looked.
    touched: bool,
}

impl Machine {
    fn new(target: Target) -> Machine {
        let state = State { target, waker: None, touched: true };
        Machine(Arc::new(Shared { state: Mutex::new(state), touch: Condvar::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while holding the machine ends the program by itself; nothing is gained by panicking again.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the machine, and lets its screen know.
    fn act<T>(&self, action: impl FnOnce(&mut Target, Instant) -> T) -> T {
        self.touch(true, action)
    }

    /// Does what the screen does, which need not be told.
    fn look<T>(&self, action: impl FnOnce(&mut Target, Instant) -> T) -> T {
        self.touch(false, action)
    }

    fn touch<T>(&self, touched: bool, action: impl FnOnce(&mut Target, Instant) -> T) -> T {
        let mut state = self.lock();
        let result = action(&mut state.target, Instant::now());
        state.touched = touched;
        self.0.touch.notify_one();
        let waker = if state.target.has_events() { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    /// Waits until there may be something to show: someone acts on the machine, or its own time comes, but not for long.
    fn wait(&self, next_frame: Option<Instant>) {
        let state = self.lock();
        let now = Instant::now();
        // When it changes faster than pictures are wanted, what comes meanwhile goes into the same picture.
        let paced = next_frame.filter(|next| now < *next && state.target.is_stale());
        let until = paced.or(state.target.deadline());
        let time = until.map_or(NAP, |until| until.saturating_duration_since(now).min(NAP));
        let idle = |state: &mut State| paced.is_some() || !state.touched;
        // Why it returned does not matter: the screen looks at everything anyway.
        drop(self.0.touch.wait_timeout_while(state, time, idle));
    }
}

impl UsbPort for Machine {
    fn offer(&mut self, report: Report) -> io::Result<()> {
        match self.act(|target, now| target.offer(now, report)) {
            Taken::Yes => Ok(()),
            Taken::NotYet => Err(io::ErrorKind::WouldBlock.into()),
            Taken::NoHost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<UsbEvent> {
        let mut state = self.lock();
        match state.target.poll() {
            Some(event) => Poll::Ready(event),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Relays for Machine {
    fn set(&mut self, contact: Contact, closed: bool) -> io::Result<()> {
        self.act(|target, now| target.set_contact(now, contact, closed));
        Ok(())
    }
}

impl LampInputs for Machine {
    fn read(&mut self) -> Lamps {
        self.lock().target.lamps(Instant::now())
    }
}

/// The machine's screen, as a capture device would see it.
pub struct SimulatedScreen(Machine);

impl Screen for SimulatedScreen {
    fn run(self: Box<Self>, bus: SeatBus, stop: Stop) {
        let mut raster = Raster::new(Size { width: 0, height: 0 });
        let mut picture: Option<(Size, Bytes)> = None;
        let mut shown: VecDeque<Instant> = VecDeque::new();
        while !stop.is_requested() {
            let last = shown.back().copied();
            let due = |interval: Duration, now: Instant| last.is_none_or(|last| last + interval <= now);
            let (now, signal, drawn) = self.0.look(|target, now| {
                target.tick(now);
                (now, target.signal(), due(FRAME_INTERVAL, now) && target.draw(&mut raster))
            });
            if drawn {
                picture = code(&raster).map(|jpeg| (raster.size(), jpeg));
            } else if signal != Signal::Ok {
                picture = None;
            }
            if let Some((size, jpeg)) = picture.as_ref().filter(|_| drawn || due(KEEP_ALIVE, now)) {
                bus.frames.publish(now, *size, jpeg.clone());
                shown.push_back(now);
            }
            while shown.front().is_some_and(|at| *at + Duration::from_secs(1) <= now) {
                shown.pop_front();
            }
            bus.status.update(|status| {
                status.screen.signal = signal;
                status.screen.mode = picture.as_ref().map(|(size, _)| *size);
                status.screen.fps = shown.len() as f32;
                status.screen.device = "Simulated machine".into();
            });
            self.0.wait(shown.back().map(|last| *last + FRAME_INTERVAL));
        }
    }
}

/// The raster as a JPEG file; none, and a line in the log, if that fails.
fn code(raster: &Raster) -> Option<Bytes> {
    match try_code(raster) {
        Ok(jpeg) => Some(jpeg),
        Err(error) => {
            log::error!("the simulated screen cannot be coded as JPEG: {error}");
            None
        }
    }
}

fn try_code(raster: &Raster) -> turbojpeg::Result<Bytes> {
    let (width, height) = (raster.size().width.into(), raster.size().height.into());
    let format = turbojpeg::PixelFormat::RGB;
    let image = turbojpeg::Image { pixels: raster.pixels(), width, height, pitch: width * format.size(), format };
    let mut compressor = turbojpeg::Compressor::new()?;
    compressor.set_quality(QUALITY)?;
    compressor.set_subsamp(turbojpeg::Subsamp::None)?;
    Ok(compressor.compress_to_vec(image)?.into())
}
