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
/// How long without a picture counts as a stall. A still screen causes none: capture devices repeat it.
const STALL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a source must keep its mode before the mode is queried.
const SETTLE_TIME: Duration = Duration::from_millis(30);
/// How long a source that keeps changing can delay that query.
const LONGEST_SETTLE: Duration = Duration::from_millis(200);
/// The period over which pictures are counted.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// What the caller must do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "`Stop` and `Close` say it")]
pub enum Action {
    /// Open the device; answer with [`SignalTracker::opened`] or [`SignalTracker::absent`].
    Open,
    /// Query the device's input; answer with [`SignalTracker::read`] or [`SignalTracker::absent`].
    Query,
    /// Adopt the source's mode and start streaming; answer with [`SignalTracker::started`], [`SignalTracker::absent`]
    /// or [`SignalTracker::failed`].
    Start,
    Stop,
    Close,
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
}

/// What a device reports about its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A mode that can be captured.
    Mode,
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
}

/// Tracks the state of one capture device.
#[derive(Debug)]
pub struct SignalTracker {
    phase: Phase,
    seen: SignalStatus,
    window: Window,
    actions: VecDeque<Action>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// No device is open; when to try again.
    Closed { retry: Instant },
    /// A device is open but does not stream; when to query its input, and since when that has been changing.
    Watching { query: Instant, changing: Option<Instant> },
    /// It streams; when the last picture came, when to query its input, and since when that has been changing.
    Streaming { last: Instant, query: Option<Instant>, changing: Option<Instant> },
}

/// Counts the pictures of the current second.
#[derive(Debug)]
struct Window {
    start: Instant,
    count: u32,
}

impl SignalTracker {
    /// Starts by looking for the device.
    pub fn new(now: Instant) -> SignalTracker {
        SignalTracker {
            phase: Phase::Closed { retry: now + REOPEN_INTERVAL },
            seen: SignalStatus { signal: Signal::Starting, mode: None, fps: 0.0 },
            window: Window { start: now, count: 0 },
            actions: VecDeque::from([Action::Show(Signal::Starting), Action::Open]),
        }
    }

    /// The device is open.
    pub fn opened(&mut self, now: Instant) {
        self.phase = Phase::Watching { query: now + QUERY_INTERVAL, changing: None };
        self.actions.push_back(Action::Query);
    }

    /// No device can be opened, or the one that was has gone.
    pub fn absent(&mut self, now: Instant, absence: Absence) {
        self.close(
            now,
            match absence {
                Absence::Missing => Signal::NoDevice,
                Absence::Busy => Signal::Busy,
            },
        );
    }

    /// The device failed; after a pause it is opened again.
    pub fn failed(&mut self, now: Instant) {
        self.close(now, Signal::Stalled);
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
    pub fn read(&mut self, now: Instant, reading: Reading) {
        if let Phase::Streaming { .. } = self.phase {
            self.actions.push_back(Action::Stop);
        }
        self.phase = Phase::Watching { query: now + QUERY_INTERVAL, changing: None };
        match reading {
            Reading::Mode => self.actions.push_back(Action::Start),
            Reading::NoSignal => self.see(Signal::NoSignal),
            Reading::NoLock => self.see(Signal::NoLock),
            Reading::OutOfRange => self.see(Signal::OutOfRange),
        }
    }

    /// Streaming has begun.
    pub fn started(&mut self, now: Instant) {
        self.phase = Phase::Streaming { last: now, query: None, changing: None };
        // After a stall, and at the start, only a picture proves that the device works.
        if !matches!(self.seen.signal, Signal::Starting | Signal::Stalled) {
            self.see(Signal::Changing);
        }
    }

    /// A whole picture has arrived.
    pub fn picture(&mut self, now: Instant, size: Size) {
        let Phase::Streaming { last, query, .. } = &mut self.phase else { return };
        *last = now;
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

    /// Tells the tracker what time it is.
    pub fn tick(&mut self, now: Instant) {
        self.count(now);
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
            Phase::Streaming { last, .. } if *last + STALL_TIMEOUT <= now => {
                *last = now;
                self.see(Signal::Stalled);
                self.actions.push_back(Action::Query);
            }
            _ => (),
        }
    }

    /// Takes the next action; drain this after every call that takes `now`.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`SignalTracker::tick`] next has work to do.
    pub fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Closed { retry } => retry,
            Phase::Watching { query, .. } => query,
            Phase::Streaming { last, query, .. } => {
                let due = query.map_or(last + STALL_TIMEOUT, |query| query.min(last + STALL_TIMEOUT));
                if self.seen.fps == 0.0 && self.window.count == 0 {
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

    fn close(&mut self, now: Instant, signal: Signal) {
        if let Phase::Streaming { .. } = self.phase {
            self.actions.push_back(Action::Stop);
        }
        self.actions.push_back(Action::Close);
        self.phase = Phase::Closed { retry: now + REOPEN_INTERVAL };
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
mod tests {
    use super::*;

    const HD: Size = Size { width: 1280, height: 720 };

    /// A tracker with a clock, which always drains its actions.
    struct Test {
        now: Instant,
        tracker: SignalTracker,
    }

    impl Test {
        fn new() -> Test {
            let now = Instant::now();
            let mut test = Test { now, tracker: SignalTracker::new(now) };
            test.expect(&[Action::Show(Signal::Starting), Action::Open]);
            test
        }

        fn streaming() -> Test {
            let mut test = Test::new();
            test.tracker.opened(test.now);
            test.expect(&[Action::Query]);
            test.start();
            test.pictures(3, 20);
            assert_eq!(Signal::Ok, test.signal());
            test
        }

        fn start(&mut self) {
            self.tracker.read(self.now, Reading::Mode);
            self.expect(&[Action::Start]);
            self.tracker.started(self.now);
        }

        fn pictures(&mut self, count: u32, every_ms: u64) {
            for _ in 0..count {
                self.pass(every_ms);
                self.tracker.picture(self.now, HD);
            }
        }

        /// Lets time pass, deadline by deadline.
        fn pass(&mut self, ms: u64) {
            let end = self.now + Duration::from_millis(ms);
            while self.tracker.deadline() <= end {
                assert!(self.now <= self.tracker.deadline(), "a deadline that has passed was not acted on");
                self.now = self.tracker.deadline();
                self.tracker.tick(self.now);
            }
            self.now = end;
        }

        #[track_caller]
        fn expect(&mut self, actions: &[Action]) {
            let done: Vec<Action> = std::iter::from_fn(|| self.tracker.poll()).collect();
            assert_eq!(actions, done);
        }

        fn signal(&self) -> Signal {
            self.tracker.seen().signal
        }
    }

    #[test]
    fn the_first_picture_makes_the_signal_good() {
        let mut test = Test::new();
        test.tracker.opened(test.now);
        test.expect(&[Action::Query]);
        test.start();
        assert_eq!(Signal::Starting, test.signal());
        test.pictures(1, 20);
        assert_eq!((Signal::Ok, Some(HD)), (test.signal(), test.tracker.seen().mode));
        test.expect(&[]);
    }

    #[test]
    fn an_absent_device_is_looked_for_for_ever() {
        for (absence, signal) in [(Absence::Missing, Signal::NoDevice), (Absence::Busy, Signal::Busy)] {
            let mut test = Test::new();
            test.tracker.absent(test.now, absence);
            test.expect(&[Action::Close, Action::Show(signal)]);
            for _ in 0..3 {
                test.pass(500);
                test.expect(&[Action::Open]);
                test.tracker.absent(test.now, absence);
                // The card is drawn once, not at every look.
                test.expect(&[Action::Close]);
            }
            assert_eq!(signal, test.signal());
        }
    }

    #[test]
    fn a_device_that_turns_out_busy_at_the_start_is_shown_once() {
        let mut test = Test::new();
        for round in 0..3 {
            test.tracker.opened(test.now);
            test.expect(&[Action::Query]);
            test.tracker.read(test.now, Reading::Mode);
            test.expect(&[Action::Start]);
            test.tracker.absent(test.now, Absence::Busy);
            test.expect(if round == 0 { &[Action::Close, Action::Show(Signal::Busy)] } else { &[Action::Close] });
            test.pass(500);
            test.expect(&[Action::Open]);
        }
    }

    #[test]
    fn an_unplugged_device_is_closed_and_looked_for() {
        let mut test = Test::streaming();
        test.tracker.absent(test.now, Absence::Missing);
        test.expect(&[Action::Stop, Action::Close, Action::Show(Signal::NoDevice)]);
        assert_eq!(SignalStatus { signal: Signal::NoDevice, mode: None, fps: 0.0 }, test.tracker.seen());
        test.pass(500);
        test.expect(&[Action::Open]);
        test.tracker.opened(test.now);
        test.expect(&[Action::Query]);
        test.start();
        test.pictures(1, 20);
        assert_eq!(Signal::Ok, test.signal());
    }

    #[test]
    fn a_change_of_mode_restarts_once_it_has_settled() {
        let mut test = Test::streaming();
        test.tracker.changed(test.now);
        assert_eq!(Signal::Changing, test.signal());
        test.expect(&[]);
        test.pass(30);
        test.expect(&[Action::Query]);
        test.tracker.read(test.now, Reading::Mode);
        test.expect(&[Action::Stop, Action::Start]);
        test.tracker.started(test.now);
        test.pictures(1, 20);
        assert_eq!(Signal::Ok, test.signal());
        test.expect(&[]);
    }

    #[test]
    fn changes_in_quick_succession_are_asked_about_once() {
        let mut test = Test::streaming();
        for _ in 0..5 {
            test.tracker.changed(test.now);
            test.pass(20);
            // The old mode's last pictures prove nothing.
            test.tracker.picture(test.now, HD);
            assert_eq!(Signal::Changing, test.signal());
        }
        test.expect(&[]);
        test.pass(10);
        test.expect(&[Action::Query]);
    }

    #[test]
    fn a_source_that_never_settles_is_asked_all_the_same() {
        let mut test = Test::streaming();
        for _ in 0..11 {
            test.tracker.changed(test.now);
            test.pass(20);
        }
        test.expect(&[Action::Query]);
    }

    #[test]
    fn each_bad_signal_is_shown_and_asked_about_again() {
        for (reading, signal) in [
            (Reading::NoSignal, Signal::NoSignal),
            (Reading::NoLock, Signal::NoLock),
            (Reading::OutOfRange, Signal::OutOfRange),
        ] {
            let mut test = Test::streaming();
            test.tracker.changed(test.now);
            test.pass(30);
            test.expect(&[Action::Query]);
            test.tracker.read(test.now, reading);
            test.expect(&[Action::Stop, Action::Show(signal)]);
            test.pass(1000);
            test.expect(&[Action::Query]);
            test.tracker.read(test.now, reading);
            test.expect(&[]);
            // The event comes before the next look.
            test.tracker.changed(test.now);
            test.pass(30);
            test.expect(&[Action::Query]);
            test.start();
            assert_eq!(Signal::Changing, test.signal());
            test.pictures(1, 20);
            assert_eq!(Signal::Ok, test.signal());
        }
    }

    #[test]
    fn silence_is_noticed_and_the_stream_restarted_until_it_speaks() {
        let mut test = Test::streaming();
        test.pass(1999);
        test.expect(&[]);
        test.pass(1);
        assert_eq!(Signal::Stalled, test.signal());
        for round in 0..3 {
            test.expect(if round == 0 { &[Action::Show(Signal::Stalled), Action::Query] } else { &[Action::Query] });
            test.tracker.read(test.now, Reading::Mode);
            test.expect(&[Action::Stop, Action::Start]);
            test.tracker.started(test.now);
            test.pass(2000);
            assert_eq!(Signal::Stalled, test.signal());
        }
        test.expect(&[Action::Query]);
        test.tracker.picture(test.now, HD);
        assert_eq!(Signal::Ok, test.signal());
    }

    #[test]
    fn a_device_that_refuses_is_opened_afresh() {
        let mut test = Test::streaming();
        test.tracker.failed(test.now);
        test.expect(&[Action::Stop, Action::Close, Action::Show(Signal::Stalled)]);
        test.pass(500);
        test.expect(&[Action::Open]);
    }

    #[test]
    fn pictures_are_counted_over_a_second() {
        let mut test = Test::streaming();
        test.pictures(200, 20);
        assert!((49.0..=51.0).contains(&test.tracker.seen().fps), "{:?}", test.tracker.seen());
        test.pictures(20, 100);
        assert!((9.0..=11.0).contains(&test.tracker.seen().fps), "{:?}", test.tracker.seen());
        test.pass(2000);
        assert_eq!(0.0, test.tracker.seen().fps);
    }

    #[test]
    fn at_rest_there_is_little_to_wake_for() {
        let mut test = Test::new();
        test.tracker.opened(test.now);
        test.tracker.read(test.now, Reading::NoSignal);
        let mut wakes = 0;
        let end = test.now + Duration::from_secs(10);
        while test.tracker.deadline() < end {
            test.now = test.tracker.deadline();
            test.tracker.tick(test.now);
            wakes += 1;
        }
        assert!(wakes <= 20, "{wakes} in 10 s");
    }
}
