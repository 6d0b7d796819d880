//! Puts one simulated machine behind all ports of a board.
//!
//! The machine is in a mutex that input holds for microseconds, and the screen for the few milliseconds of drawing; the
//! picture is coded outside of it. The screen's thread also tells the machine the time.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::screen::Raster;
use super::target::{Taken, Target};
use crate::base::front_panel::{Contact, Lamps};
use crate::base::signal::{Signal, Size};
use crate::base::tasks::Stop;
use crate::base::usb::Report;
use crate::ports::{
    Board, CaptureSource, Captured, LampInputs, Offer, PictureSink, Pinned, Relays, SourceStatus, UsbEvent, UsbPort,
    WakeError,
};
use crate::video::demand::Demand;
use crate::video::encode::{Colour, Encoder, PixelFormat, Range, Raw};
use crate::video::jpeg::Jpeg;
use crate::video::signal::SignalStatus;

/// The shortest time between pictures, as from a good capture device.
const FRAME_INTERVAL: Duration = Duration::from_micros(33_333);
/// A picture is sent at least this often even if nothing moves, as a capture device does; so a viewer sees that the
/// stream works.
const KEEP_ALIVE: Duration = Duration::from_millis(500);
/// How long the screen's thread may sleep without asking whether to stop.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// A machine that has just been switched on: its ports, and its screen.
pub fn machine() -> (Board, SimulatedScreen) {
    let now = Instant::now();
    let mut target = Target::new(now);
    target.set_contact(now, Contact::Power, true);
    target.set_contact(now, Contact::Power, false);
    let machine = Machine::new(target);
    let board = Board {
        usb: Box::new(machine.clone()),
        wakes_by_key: false,
        relays: Box::new(machine.clone()),
        lamps: Box::new(machine.clone()),
    };
    (board, SimulatedScreen(machine))
}

/// The machine as all ports share it.
#[derive(Clone)]
struct Machine(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Notified whenever `State::touched` becomes true.
    touch: Condvar,
}

struct State {
    target: Target,
    /// Wakes the task that waits for its USB events.
    waker: Option<Waker>,
    /// Whether the machine was changed since its screen last looked.
    touched: bool,
}

impl Machine {
    fn new(target: Target) -> Machine {
        let state = State { target, waker: None, touched: true };
        Machine(Arc::new(Shared { state: Mutex::new(state), touch: Condvar::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in another thread that held the machine ends the program anyway, so this thread need not panic too.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the machine, and notifies its screen.
    fn act<T>(&self, action: impl FnOnce(&mut Target, Instant) -> T) -> T {
        self.touch(true, Instant::now, action)
    }

    /// Runs what the screen itself does, which needs no notification.
    fn look<T>(&self, clock: impl FnOnce() -> Instant, action: impl FnOnce(&mut Target, Instant) -> T) -> T {
        self.touch(false, clock, action)
    }

    fn touch<T>(
        &self,
        touched: bool,
        clock: impl FnOnce() -> Instant,
        action: impl FnOnce(&mut Target, Instant) -> T,
    ) -> T {
        let mut state = self.lock();
        // Read under the lock, so that the machine's time never goes back.
        let result = action(&mut state.target, clock());
        state.touched = touched;
        self.0.touch.notify_one();
        let waker = if state.target.has_events() { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    /// Waits until there may be something to show, because of input or of the machine's own deadline, but not longer
    /// than [`LONGEST_SLEEP`].
    fn wait(&self, next_frame: Option<Instant>) {
        let state = self.lock();
        let now = Instant::now();
        // When it changes faster than pictures are wanted, several changes go into one picture.
        let paced = next_frame.filter(|next| now < *next && state.target.is_stale());
        let until = paced.or(state.target.deadline());
        let time = until.map_or(LONGEST_SLEEP, |until| until.saturating_duration_since(now).min(LONGEST_SLEEP));
        let idle = |state: &mut State| paced.is_some() || !state.touched;
        // The reason for waking does not matter: the screen looks at everything anyway.
        drop(self.0.touch.wait_timeout_while(state, time, idle));
    }
}

impl UsbPort for Machine {
    fn offer(&mut self, report: Report) -> Offer {
        match self.act(|target, now| target.offer(now, report)) {
            Taken::Yes => Offer::Taken,
            Taken::NotYet => Offer::Full,
            Taken::NoHost => Offer::Absent,
        }
    }

    fn replug(&mut self) {
        self.act(|target, now| target.replug(now));
    }

    /// It never sleeps.
    fn wake(&mut self) -> Result<(), WakeError> {
        Err(WakeError::NotArmed)
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

impl CaptureSource for SimulatedScreen {
    /// Plays a device that codes JPEG itself.
    fn run(self: Box<Self>, out: Box<dyn PictureSink>, stop: Stop) {
        match Encoder::new() {
            Ok(encoder) => Recording::new(self.0, out, encoder).run(&stop),
            Err(error) => log::error!("the simulated screen cannot be shown: {error}"),
        }
    }
}

/// The state of the screen's thread.
struct Recording {
    machine: Machine,
    out: Box<dyn PictureSink>,
    encoder: Encoder,
    demand: Demand,
    raster: Raster,
    signal: Signal,
    /// The newest picture of the machine, to be shown again when nothing moves.
    picture: Option<(Size, Bytes)>,
    /// When the pictures of the last second were shown.
    shown: VecDeque<Instant>,
}

impl Recording {
    fn new(machine: Machine, out: Box<dyn PictureSink>, encoder: Encoder) -> Recording {
        let raster = Raster::new(Size { width: 0, height: 0 });
        let (demand, signal, picture, shown) = (Demand::default(), Signal::Starting, None, VecDeque::new());
        Recording { machine, out, encoder, demand, raster, signal, picture, shown }
    }

    fn run(mut self, stop: &Stop) {
        while !stop.is_requested() {
            self.look(Instant::now);
            self.out.beat(Instant::now());
            self.machine.wait(self.shown.back().map(|last| *last + FRAME_INTERVAL));
        }
    }

    /// Looks at the machine once and shows what has changed, if somebody watches.
    fn look(&mut self, clock: impl FnOnce() -> Instant) {
        let last = self.shown.back().copied();
        let due = |interval: Duration, now: Instant| last.is_none_or(|last| last + interval <= now);
        let (raster, demand, watched) = (&mut self.raster, &self.demand, self.out.is_watched());
        let (now, signal, drawn, stale) = self.machine.look(clock, |target, now| {
            target.tick(now);
            let drawn = due(FRAME_INTERVAL, now) && demand.wants(now, watched) && target.draw(raster);
            (now, target.signal(), drawn, target.is_stale())
        });
        if drawn {
            let (size, pixels) = (self.raster.size(), self.raster.pixels());
            let stride = PixelFormat::Rgb24.row_bytes(size.width);
            let raw = Raw { size, format: PixelFormat::Rgb24, colour: Colour::JPEG, stride, pixels };
            self.picture = code(&mut self.encoder, &raw).map(|jpeg| (size, jpeg));
            self.demand.made(now);
        } else if signal != Signal::Ok {
            self.picture = None;
            self.demand.renew();
        } else if stale && !watched {
            self.out.pass_over();
        }
        if let Some((size, jpeg)) = self.picture.as_ref().filter(|_| drawn || (!stale && due(KEEP_ALIVE, now))) {
            let found = Jpeg { size: *size, start: 0, len: jpeg.len(), ends: true, lacks_tables_at: None };
            self.out.show(now, Captured::Jpeg(Pinned::new(jpeg.clone(), false), found));
            self.shown.push_back(now);
        }
        self.signal = signal;
        self.report(now);
    }

    fn report(&mut self, now: Instant) {
        while self.shown.front().is_some_and(|at| *at + Duration::from_secs(1) <= now) {
            self.shown.pop_front();
        }
        let (mode, fps) = (self.picture.as_ref().map(|(size, _)| *size), self.shown.len() as f32);
        let seen = SignalStatus { signal: self.signal, mode, fps, dropped: 0 };
        self.out.report(SourceStatus {
            seen,
            device: "Simulated machine".into(),
            choice: None,
            reason: None,
            range: Range::Full,
        });
    }
}

/// The raster as a JPEG file; on failure, `None` and a line in the log.
fn code(encoder: &mut Encoder, raw: &Raw) -> Option<Bytes> {
    encoder.encode(raw).inspect_err(|error| log::error!("the simulated screen cannot be coded: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use crate::base::heartbeat::Heartbeat;
    use std::future::poll_fn;

    use tokio::time::timeout;

    use super::*;
    use crate::base::tasks;
    use crate::base::usb::Keys;
    use crate::bus::{FrameBus, Frames, SeatBus, StatusBus};
    use crate::pipeline::Pipeline;
    use crate::sim::keyboard::down;

    /// Longer than anything takes on the machine, even on a busy computer.
    const TIMEOUT: Duration = Duration::from_secs(20);

    fn bus() -> SeatBus {
        SeatBus {
            seat: "main".to_string().try_into().unwrap(),
            frames: FrameBus::default(),
            status: StatusBus::default(),
            heartbeat: Heartbeat::new(Instant::now()),
        }
    }

    async fn until(bus: &SeatBus, signal: Signal) {
        let mut status = bus.status.watch();
        let seen = timeout(TIMEOUT, status.wait_for(|status| status.screen.signal == signal)).await;
        seen.unwrap_or_else(|_| panic!("the signal is never {signal:?}")).unwrap();
    }

    /// Waits for a picture of this size, and reads the size out of the file itself.
    async fn picture(bus: &SeatBus, size: Size) -> Bytes {
        let mut frames = bus.frames.watch();
        let fits = frames.wait_for(|frame| frame.as_ref().is_some_and(|frame| frame.size == size));
        let jpeg = timeout(TIMEOUT, fits).await.expect("no such picture").unwrap().as_ref().unwrap().jpeg.clone();
        let header = turbojpeg::read_header(&jpeg).unwrap();
        assert_eq!((usize::from(size.width), usize::from(size.height)), (header.width, header.height));
        jpeg
    }

    /// How bright the picture is in its top left corner.
    fn corner(jpeg: &[u8]) -> u8 {
        turbojpeg::decompress(jpeg, turbojpeg::PixelFormat::GRAY).unwrap().pixels[0]
    }

    async fn until_udc(board: &mut Board, word: &str) {
        let wait = async {
            loop {
                if let UsbEvent::Udc(Some(udc)) = poll_fn(|context| board.usb.poll_event(context)).await
                    && udc.state == word
                {
                    return;
                }
            }
        };
        timeout(TIMEOUT, wait).await.unwrap_or_else(|_| panic!("the controller is never {word}"));
    }

    #[test]
    fn the_screen_is_drawn_as_it_moves_for_a_viewer_and_once_a_second_for_nobody() {
        let (_, SimulatedScreen(machine)) = machine();
        let bus = bus();
        let mut recording = Recording::new(machine, Box::new(Pipeline::new(bus.clone())), Encoder::new().unwrap());
        // The self-test counts memory, and so changes 20 times a second.
        let mut now = Instant::now() + Duration::from_millis(500);
        let mut last = None;
        let mut drawn = |frames: &mut Frames, seconds: u32| {
            let mut count = 0;
            for _ in 0..50 * seconds {
                now += Duration::from_millis(20);
                recording.look(|| now);
                let file = frames.borrow_and_update().as_ref().map(|frame| frame.jpeg.clone());
                count += usize::from(file != last);
                last = file;
            }
            count
        };
        let mut frames = bus.frames.watch();
        frames.want(false);
        let unseen = drawn(&mut frames, 1);
        assert!((1..=2).contains(&unseen), "{unseen} pictures in a second without viewers");
        assert!(bus.frames.is_behind());
        assert_eq!((Signal::Ok, true), {
            let screen = bus.status.now().screen;
            (screen.signal, screen.mode.is_some())
        });
        frames.want(true);
        let seen = drawn(&mut frames, 1);
        assert!((15..=30).contains(&seen), "{seen} for a viewer in a second");
    }

    #[tokio::test]
    async fn one_machine_answers_at_every_port() {
        const TEXT: Size = Size { width: 720, height: 400 };
        let (mut board, screen) = machine();
        let bus = bus();
        let (stopper, stop) = tasks::stop();
        let thread = std::thread::spawn({
            let bus = bus.clone();
            move || Box::new(screen).run(Box::new(Pipeline::new(bus)), stop)
        });

        until(&bus, Signal::Ok).await;
        let post = picture(&bus, TEXT).await;
        assert_eq!(Some(true), board.lamps.read().power);

        // F2 is taken once the host has set the keyboard up. The set-up program has a light bar where the self-test is
        // black.
        until_udc(&mut board, "configured").await;
        assert_eq!(0, corner(&post));
        board.usb.offer(Report::Keys(down(0, &[0x3b])));
        board.usb.offer(Report::Keys(Keys::default()));
        let mut frames = bus.frames.watch();
        let setup = frames.wait_for(|frame| frame.as_ref().is_some_and(|frame| 180 < corner(&frame.jpeg)));
        drop(timeout(TIMEOUT, setup).await.expect("F2 does not show in the picture").unwrap());
        assert!(0.0 < bus.status.now().screen.fps);

        board.relays.set(Contact::Power, true).unwrap();
        until(&bus, Signal::NoSignal).await;
        let status = bus.status.now();
        assert_eq!((None, true), (status.screen.mode, status.lost.is_some()));
        assert_eq!(Some(false), board.lamps.read().power);
        until_udc(&mut board, "not attached").await;
        assert_eq!(Offer::Absent, board.usb.offer(Report::Keys(Keys::default())));

        stopper.stop();
        thread.join().unwrap();
    }
}
