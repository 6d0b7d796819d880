//! Decides what the signal is from what the capture device does, and what to do next.
//!
//! Cables are pulled, targets change mode three times while they boot, dongles stop without reporting anything.
//! [`SignalTracker`] turns all of it into one [`Signal`] and a short list of things to do, and recovers from everything
//! by itself. It does no I/O and reads no clock: the caller passes `now` in, carries out each [`Action`], reports the
//! result, and comes back at [`SignalTracker::deadline`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::base::signal::{Signal, Size};

/// How often to look for a device that is absent or busy: soon enough for somebody who has just plugged it in.
const REOPEN_INTERVAL: Duration = Duration::from_millis(500);
/// How often to query a bad signal, for drivers that do not report its return.
const QUERY_INTERVAL: Duration = Duration::from_secs(1);
/// How long without a picture counts as a stall, the first time, the second and so on. A still screen causes none:
/// capture devices repeat it. Each stall restarts the stream, which some dongles and USB controllers do not bear for
/// ever; one that needs a moment gets it.
const STALL_TIMEOUTS: [Duration; 4] =
    [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8), Duration::from_secs(15)];
/// After so many restarts in vain, a stalled device is opened again.
const RESTARTS: usize = 3;
/// After each so many silences in a row the device's USB port is switched off and on. Nothing else restarts some
/// dongles.
const SILENCES: usize = 5;
/// How long to wait at least before that is done again, the first time, the second and so on, until a picture comes. A
/// dongle that is silent because nothing is plugged into it must not tell its target again and again that its screen
/// came and went.
const PORT_PAUSES: [Duration; 3] =
    [Duration::from_secs(5 * 60), Duration::from_secs(15 * 60), Duration::from_secs(60 * 60)];
/// How long that takes, until the device is there again.
const PORT_TIME: Duration = Duration::from_secs(3);
/// How long to leave a device alone that failed, the first time, the second and so on.
const FAILURE_PAUSES: [Duration; 4] =
    [REOPEN_INTERVAL, Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
/// How long a source must keep its mode before the mode is queried.
const SETTLE_TIME: Duration = Duration::from_millis(30);
/// How long a source that keeps changing can delay that query.
const LONGEST_SETTLE: Duration = Duration::from_millis(200);
/// The period over which pictures are counted.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// What the caller must do next. `M` is a source's mode, as the device describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Stop` and `Close` say it")]
pub enum Action<M> {
    /// Open the device; answer with [`SignalTracker::opened`] or [`SignalTracker::absent`].
    Open,
    /// Query the device's input; answer with [`SignalTracker::read`] or [`SignalTracker::absent`].
    Query,
    /// Adopt this mode, if the device has said which it is, and start streaming; answer with
    /// [`SignalTracker::started`], [`SignalTracker::absent`] or [`SignalTracker::failed`].
    Start(Option<M>),
    Stop,
    Close,
    /// Switch the port of the device that was open off and on. There is no answer: what comes of it is seen.
    CyclePort,
    /// Show the picture that says what is wrong.
    Show(Signal),
}

/// Why there is no device to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Missing` says it")]
pub enum Absence {
    Missing,
    /// Another program holds it.
    Busy,
    /// It offers no format that is known here.
    Unsupported,
    /// USB has no room for any of its modes.
    NoBandwidth,
    /// Its driver keeps an earlier thread of ours, and the device with it.
    Stuck,
}

/// What a device reports about its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading<M> {
    /// A mode that can be captured: this one, if the device can tell.
    Mode(Option<M>),
    /// Nothing arrives.
    NoSignal,
    /// A signal arrives that it cannot synchronise to.
    NoLock,
    /// A mode beyond its limits.
    OutOfRange,
}

/// What is known about the picture, for the status.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignalStatus {
    /// Whether pictures arrive, and why not.
    pub signal: Signal,
    /// The size of the newest picture, while pictures arrive.
    pub mode: Option<Size>,
    /// How many arrived in the last second.
    pub fps: f32,
    /// How many were too damaged to be shown, counted once a second.
    pub dropped: u64,
}

/// Tracks the state of one capture device.
#[derive(Debug)]
pub struct SignalTracker<M> {
    phase: Phase,
    seen: SignalStatus,
    window: Window,
    /// The mode that was adopted last, if the device said which it is.
    mode: Option<M>,
    /// How many times in a row nothing was shown until the device was restarted.
    stalls: usize,
    /// How many times in a row it failed.
    failures: usize,
    /// Whether the device is at a USB port; when that was switched off and on, and how often since the last picture.
    is_on_usb: bool,
    cycled: Option<Instant>,
    cycles: usize,
    /// How many pictures were too damaged to be shown.
    dropped: u64,
    actions: VecDeque<Action<M>>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// No device is open; when to try again.
    Closed { retry: Instant },
    /// A device is open but does not stream; when to query its input, and since when that has been changing.
    Watching { query: Instant, changing: Option<Instant> },
    /// It streams; when the last picture came that could be shown, and whether others came since; when to query its
    /// input, and since when that has been changing.
    Streaming { last: Instant, damaged: bool, query: Option<Instant>, changing: Option<Instant> },
}

/// Counts the pictures of the current second.
#[derive(Debug)]
struct Window {
    start: Instant,
    count: u32,
}

impl<M: Copy + PartialEq> SignalTracker<M> {
    /// Starts by looking for the device.
    pub fn new(now: Instant) -> SignalTracker<M> {
        SignalTracker {
            phase: Phase::Closed { retry: now + REOPEN_INTERVAL },
            seen: SignalStatus { signal: Signal::Starting, mode: None, fps: 0.0, dropped: 0 },
            window: Window { start: now, count: 0 },
            mode: None,
            stalls: 0,
            failures: 0,
            is_on_usb: false,
            cycled: None,
            cycles: 0,
            dropped: 0,
            actions: VecDeque::from([Action::Show(Signal::Starting), Action::Open]),
        }
    }

    /// The device is open, and at a USB port or not.
    pub fn opened(&mut self, now: Instant, is_on_usb: bool) {
        self.is_on_usb = is_on_usb;
        self.phase = Phase::Watching { query: now + QUERY_INTERVAL, changing: None };
        self.actions.push_back(Action::Query);
    }

    /// No device can be opened, or the one that was has gone.
    pub fn absent(&mut self, now: Instant, absence: Absence) {
        let (signal, pause) = match absence {
            Absence::Missing => (Signal::NoDevice, REOPEN_INTERVAL),
            Absence::Busy => (Signal::Busy, REOPEN_INTERVAL),
            Absence::Unsupported => (Signal::Unsupported, REOPEN_INTERVAL),
            Absence::Stuck => (Signal::Stuck, REOPEN_INTERVAL),
            // That was many attempts to stream already.
            Absence::NoBandwidth => (Signal::NoBandwidth, self.pause()),
        };
        if absence == Absence::Missing {
            // What comes next is another device, or has been without power.
            (self.stalls, self.failures) = (0, 0);
        }
        self.close(now + pause, signal);
    }

    /// The device failed; after a pause it is opened again.
    pub fn failed(&mut self, now: Instant) {
        let pause = self.pause();
        self.close(now + pause, Signal::Stalled);
    }

    /// The device reports that its source has changed.
    pub fn changed(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Closed { .. } => return,
            Phase::Watching { query, changing } => *query = settled(now, changing),
            Phase::Streaming { query, changing, .. } => *query = Some(settled(now, changing)),
        }
        if self.seen.signal == Signal::Ok {
            self.see(Signal::Changing);
        }
    }

    /// The device has answered a query of its input.
    pub fn read(&mut self, now: Instant, reading: Reading<M>) {
        if let Phase::Streaming { .. } = self.phase {
            if let (Reading::Mode(mode @ Some(_)), Signal::Ok | Signal::Changing) = (reading, self.seen.signal)
                && mode == self.mode
            {
                // Nothing has changed after all. If the device sees that otherwise and stops, that is a stall.
                return;
            }
            self.actions.push_back(Action::Stop);
        }
        self.phase = Phase::Watching { query: now + QUERY_INTERVAL, changing: None };
        match reading {
            Reading::Mode(mode) => {
                self.mode = mode;
                self.actions.push_back(Action::Start(mode));
            }
            Reading::NoSignal => self.see(Signal::NoSignal),
            Reading::NoLock => self.see(Signal::NoLock),
            Reading::OutOfRange => self.see(Signal::OutOfRange),
        }
    }

    /// The device may do better if it is started again, for which a good picture is interrupted.
    pub fn restart(&mut self, now: Instant) {
        if self.is_settled() && self.seen.signal == Signal::Ok {
            self.actions.extend([Action::Stop, Action::Start(self.mode)]);
            self.phase = Phase::Watching { query: now + QUERY_INTERVAL, changing: None };
        }
    }

    /// Streaming has begun.
    pub fn started(&mut self, now: Instant) {
        self.phase = Phase::Streaming { last: now, damaged: false, query: None, changing: None };
        // After a stall, and at the start, only a picture proves that the device works.
        if !matches!(self.seen.signal, Signal::Starting | Signal::Stalled | Signal::Damaged) {
            self.see(Signal::Changing);
        }
    }

    /// A picture has arrived that can be shown.
    pub fn picture(&mut self, now: Instant, size: Size) {
        let Phase::Streaming { last, damaged, query, .. } = &mut self.phase else { return };
        (*last, *damaged) = (now, false);
        (self.stalls, self.failures, self.cycles) = (0, 0, 0);
        let settled = query.is_none();
        if self.seen.signal == Signal::Ok {
            self.count(now);
            self.window.count += 1;
        } else {
            // The time before must not count in the average.
            self.window = Window { start: now, count: 1 };
        }
        if settled {
            self.see(Signal::Ok);
            self.seen.mode = Some(size);
        }
    }

    /// Whether a picture that arrives now is of the mode that was adopted, as far as is known.
    pub fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Streaming { query: None, .. })
    }

    /// A picture has arrived that cannot be shown.
    pub fn damaged(&mut self) {
        self.dropped += 1;
        if let Phase::Streaming { damaged, .. } = &mut self.phase {
            *damaged = true;
        }
    }

    /// Tells the tracker what time it is.
    pub fn tick(&mut self, now: Instant) {
        self.count(now);
        let patience = self.patience();
        match &mut self.phase {
            Phase::Closed { retry } if *retry <= now => {
                *retry = now + REOPEN_INTERVAL;
                self.actions.push_back(Action::Open);
            }
            Phase::Watching { query, changing } if *query <= now => {
                (*query, *changing) = (now + QUERY_INTERVAL, None);
                self.actions.push_back(Action::Query);
            }
            Phase::Streaming { query: query @ Some(_), changing, .. } if query.is_some_and(|due| due <= now) => {
                (*query, *changing) = (None, None);
                self.actions.push_back(Action::Query);
            }
            Phase::Streaming { last, damaged, .. } if *last + patience <= now => {
                let signal = if *damaged { Signal::Damaged } else { Signal::Stalled };
                (*last, *damaged) = (now, false);
                self.stalls += 1;
                if self.stalls <= RESTARTS {
                    self.see(signal);
                    self.actions.push_back(Action::Query);
                } else if signal == Signal::Stalled && self.may_cycle(now) {
                    (self.cycled, self.cycles) = (Some(now), self.cycles + 1);
                    self.close(now + PORT_TIME, signal);
                    self.actions.push_back(Action::CyclePort);
                } else {
                    self.close(now + REOPEN_INTERVAL, signal);
                }
            }
            _ => (),
        }
    }

    /// Takes the next action; drain this after every call that takes `now`.
    pub fn poll(&mut self) -> Option<Action<M>> {
        self.actions.pop_front()
    }

    /// When [`SignalTracker::tick`] next has work to do.
    pub fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Closed { retry } => retry,
            Phase::Watching { query, .. } => query,
            Phase::Streaming { last, query, .. } => {
                let stall = last + self.patience();
                let due = query.map_or(stall, |query| query.min(stall));
                if self.seen.fps == 0.0 && self.window.count == 0 && self.seen.dropped == self.dropped {
                    due
                } else {
                    due.min(self.window.start + RATE_WINDOW)
                }
            }
        }
    }

    /// What is known about the picture.
    pub fn seen(&self) -> SignalStatus {
        self.seen
    }

    /// How long a stream may be silent now.
    fn patience(&self) -> Duration {
        STALL_TIMEOUTS[self.stalls.min(STALL_TIMEOUTS.len() - 1)]
    }

    /// Whether the device's port is to be switched off and on, after another silence.
    fn may_cycle(&self, now: Instant) -> bool {
        let pause = PORT_PAUSES[self.cycles.saturating_sub(1).min(PORT_PAUSES.len() - 1)];
        let is_due = self.cycled.is_none_or(|cycled| cycled + pause <= now);
        self.is_on_usb && self.stalls.is_multiple_of(SILENCES) && is_due
    }

    /// How long to leave the device alone after another failure.
    fn pause(&mut self) -> Duration {
        let pause = FAILURE_PAUSES[self.failures.min(FAILURE_PAUSES.len() - 1)];
        self.failures += 1;
        pause
    }

    fn close(&mut self, retry: Instant, signal: Signal) {
        if let Phase::Streaming { .. } = self.phase {
            self.actions.push_back(Action::Stop);
        }
        self.actions.push_back(Action::Close);
        self.phase = Phase::Closed { retry };
        self.see(signal);
    }

    fn see(&mut self, signal: Signal) {
        if self.seen.signal == signal {
            return;
        }
        self.seen.signal = signal;
        match signal {
            Signal::Ok => (),
            // For the moment that this takes, the last picture is the best one to show.
            Signal::Changing => self.seen.mode = None,
            _ => {
                (self.seen.mode, self.seen.fps) = (None, 0.0);
                self.window.count = 0;
                self.actions.push_back(Action::Show(signal));
            }
        }
    }

    fn count(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.window.start);
        if RATE_WINDOW <= time {
            self.seen.dropped = self.dropped;
            // To a tenth: watchers are woken only by what they can see.
            let rate = f64::from(self.window.count) / time.as_secs_f64();
            self.seen.fps = ((rate * 10.0).round() / 10.0) as f32;
            self.window = Window { start: now, count: 0 };
        }
    }
}

/// When a source that changed just now may be queried.
fn settled(now: Instant, changing: &mut Option<Instant>) -> Instant {
    let since = *changing.get_or_insert(now);
    (now + SETTLE_TIME).min(since + LONGEST_SETTLE)
}

#[cfg(test)]
mod tests;
