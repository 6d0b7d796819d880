//! Watches a Pi from outside while it runs: its relays' pins without a gap, its watchdog, its resets.
//!
//! A thread of its own samples the pins every few milliseconds and gets each edge in between. Times are the guest's:
//! its own microsecond counter, read from outside.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use farhand::hw::reset_pin;

use super::pins::{Moment, Pins, Pulse, Sample};
use super::qtest::Qtest;
use super::watchdog::{self, Action, Cause, Watchdog};

/// The time between two samples, each of which costs a thousandth of a processor's time; edges are reported at once.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(4);
/// The pins' registers, and those by which a test drives an input from outside.
const GPIO: u32 = 0xfe20_0000;
const FUNCTIONS: [u32; 2] = [GPIO + 4, GPIO + 8];
const SET: u32 = GPIO + 0x1c;
const CLEAR: u32 = GPIO + 0x28;
const LEVELS: u32 = GPIO + 0x34;
/// The lower half of the system timer: microseconds, for 71 minutes.
const CLOCK: u32 = 0xfe00_3004;

/// What has been seen so far.
#[derive(Debug, Default)]
pub struct Seen {
    pub pins: Pins,
    /// One entry for each reset of the machine, with what ended the previous system: `None` for QEMU's own or the
    /// test's reset.
    pub resets: Vec<Option<Cause>>,
    /// The guest's time at the last sample.
    pub now: Duration,
    failed: Option<String>,
}

/// The watch over one machine, which ends with the machine.
#[derive(Debug)]
pub struct Probe {
    shared: Arc<Shared>,
    orders: Sender<Order>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Seen>,
    more: Condvar,
}

#[derive(Debug)]
enum Order {
    Level { pin: u8, high: bool },
    Touch { pin: u8 },
    Reset,
}

impl Probe {
    /// Begins to watch a machine that was started with `-S`, and starts it.
    pub fn begin(qtest: UnixStream, qmp: UnixStream) -> io::Result<Probe> {
        let (orders, inbox) = mpsc::channel();
        let mut qtest = Qtest::over(qtest);
        qtest.intercept("/machine/soc/peripherals/gpio")?;
        let mut monitor = Monitor { socket: qmp, heard: Vec::new() };
        monitor.order("qmp_capabilities")?;
        monitor.order("cont")?;
        let probe = Probe { shared: Arc::default(), orders };
        let shared = Arc::clone(&probe.shared);
        let watch = Watch { qtest, monitor, inbox, watchdog: Watchdog::default(), cause: None, last: Look::default() };
        thread::spawn(move || {
            if let Err(error) = watch.run(&shared) {
                shared.seen().failed = Some(error.to_string());
                shared.more.notify_all();
            }
        });
        Ok(probe)
    }

    /// Sets the level of a pin that is an input, as a lamp's wire would.
    pub fn level(&self, pin: u8, high: bool) {
        self.order(Order::Level { pin, high });
    }

    /// Raises an output for a moment, as a fault would.
    pub fn touch(&self, pin: u8) {
        self.order(Order::Touch { pin });
    }

    /// Presses the reset button that a Pi does not have.
    pub fn reset(&self) {
        self.order(Order::Reset);
    }

    /// Waits until `found` returns a value for what has been seen.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, within: Duration, found: impl Fn(&Seen) -> Option<T>) -> T {
        let deadline = Instant::now() + within;
        let mut seen = self.shared.seen();
        loop {
            if let Some(failed) = seen.failed.take() {
                drop(seen);
                panic!("the watch over the pins ended: {failed}");
            }
            if let Some(found) = found(&seen) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let so_far = format!("{:?}; resets: {:?}", seen.pins.pulses(), seen.resets);
                drop(seen);
                panic!("not within {within:?}: {what}; pulses: {so_far}");
            }
            seen = self.shared.more.wait_timeout(seen, left).expect("no watch panics while it holds this").0;
        }
    }

    /// All pulses of the relays until now, after at least one more sample.
    #[track_caller]
    pub fn pulses(&self) -> Vec<Pulse> {
        let before = self.wait("how often the pins were looked at", SAMPLE_INTERVAL, |seen| Some(seen.pins.samples()));
        let within = Duration::from_secs(30);
        self.wait("one more look at the pins", within, |seen| {
            (before + 1 < seen.pins.samples()).then(|| seen.pins.pulses().to_vec())
        })
    }

    /// What ended each system so far.
    #[track_caller]
    pub fn resets(&self) -> Vec<Option<Cause>> {
        self.wait("what ended each system", SAMPLE_INTERVAL, |seen| Some(seen.resets.clone()))
    }

    /// The guest's time at the last sample, a few milliseconds ago.
    #[track_caller]
    pub fn now(&self) -> Duration {
        self.wait("the time", SAMPLE_INTERVAL, |seen| Some(seen.now))
    }

    fn order(&self, order: Order) {
        // If the watch has ended, the next wait reports it.
        let _ = self.orders.send(order);
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no watch panics while it holds this")
    }
}

struct Watch {
    qtest: Qtest,
    monitor: Monitor,
    inbox: Receiver<Order>,
    watchdog: Watchdog,
    /// The cause of the reset that has been requested.
    cause: Option<Cause>,
    last: Look,
}

/// When a sample of the pins began and ended.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    begin: Duration,
    end: Duration,
}

impl Watch {
    fn run(mut self, shared: &Shared) -> io::Result<()> {
        self.release_reset_pin()?;
        loop {
            match self.inbox.try_recv() {
                Ok(Order::Level { pin, high }) => self.qtest.write(if high { SET } else { CLEAR }, 1 << pin)?,
                Ok(Order::Touch { pin }) => {
                    self.qtest.write(SET, 1 << pin)?;
                    self.qtest.write(CLEAR, 1 << pin)?;
                }
                Ok(Order::Reset) => self.monitor.order("system_reset")?,
                Err(TryRecvError::Empty) => (),
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
            self.look(shared)?;
            self.watch_dog(shared)?;
        }
    }

    fn look(&mut self, shared: &Shared) -> io::Result<()> {
        let before = self.last;
        let edges = self.qtest.edges(SAMPLE_INTERVAL)?;
        let begin = self.now()?;
        let sample = Sample {
            functions: [self.qtest.read(FUNCTIONS[0])?, self.qtest.read(FUNCTIONS[1])?],
            levels: self.qtest.read(LEVELS)?,
        };
        // A change between two of these reads is reported by its edge; such a sample belongs to no single moment.
        let moved = self.qtest.edges(Duration::from_micros(1))?;
        let end = self.now()?;
        self.last = Look { begin, end };

        // An edge may arrive while the time is read after the last check for edges, so it may be older than that time.
        let mut seen = shared.seen();
        edges.into_iter().for_each(|edge| seen.pins.edge(Moment { after: before.begin, by: begin }, edge));
        if moved.is_empty() {
            seen.pins.sample(Moment { after: before.begin, by: end }, &sample);
        }
        moved.into_iter().for_each(|edge| seen.pins.edge(Moment { after: before.end, by: end }, edge));
        seen.now = end;
        drop(seen);
        shared.more.notify_all();
        Ok(())
    }

    fn watch_dog(&mut self, shared: &Shared) -> io::Result<()> {
        if self.monitor.was_reset()? {
            self.release_reset_pin()?;
            self.qtest.write(watchdog::CONTROL, 0)?;
            self.qtest.write(watchdog::COUNT, 0)?;
            self.watchdog.reset();
            shared.seen().resets.push(self.cause.take());
            shared.more.notify_all();
        }
        let (control, count) = (self.qtest.read(watchdog::CONTROL)?, self.qtest.read(watchdog::COUNT)?);
        let now = self.now()?;
        match self.watchdog.look(now, control, count) {
            Action::None => Ok(()),
            Action::Count(count) => self.qtest.write(watchdog::COUNT, count),
            // Requested once: the machine takes a moment to do it.
            Action::Reset(_) if self.cause.is_some() => Ok(()),
            Action::Reset(cause) => {
                self.cause = Some(cause);
                self.monitor.order("system_reset")
            }
        }
    }

    /// QEMU's pins have no pull-ups: an unconnected one reads as held to ground, at every start.
    fn release_reset_pin(&mut self) -> io::Result<()> {
        self.qtest.write(SET, 1 << reset_pin::LINE)
    }

    fn now(&mut self) -> io::Result<Duration> {
        self.qtest.read(CLOCK).map(|micros| Duration::from_micros(micros.into()))
    }
}

/// QEMU's control connection. Answers are not awaited; of the events, only resets matter.
struct Monitor {
    socket: UnixStream,
    heard: Vec<u8>,
}

impl Monitor {
    fn order(&mut self, command: &str) -> io::Result<()> {
        self.socket.set_nonblocking(false)?;
        self.socket.write_all(format!("{{\"execute\":\"{command}\"}}\n").as_bytes())
    }

    /// Whether the machine was reset since the last call.
    fn was_reset(&mut self) -> io::Result<bool> {
        self.socket.set_nonblocking(true)?;
        let mut bytes = [0; 4096];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.heard.extend_from_slice(&bytes[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let Some(end) = self.heard.iter().rposition(|&byte| byte == b'\n') else { return Ok(false) };
        let lines: Vec<u8> = self.heard.drain(..=end).collect();
        let lines = String::from_utf8_lossy(&lines);
        if let Some(error) = lines.lines().find(|line| line.contains("\"error\"")) {
            return Err(io::Error::other(error.to_owned()));
        }
        Ok(lines.lines().any(|line| line.contains("\"event\": \"RESET\"")))
    }
}
