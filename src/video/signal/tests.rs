//! A capture device that behaves and misbehaves, with the time passed in.

use super::*;

const HD: Size = Size { width: 1280, height: 720 };

/// A tracker with a clock, which always drains its actions.
struct Test {
    now: Instant,
    tracker: SignalTracker<u8>,
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
        test.tracker.opened(test.now, false);
        test.expect(&[Action::Query]);
        test.start();
        test.pictures(3, 20);
        assert_eq!(Signal::Ok, test.signal());
        test
    }

    fn start(&mut self) {
        self.tracker.read(self.now, Reading::Mode(None));
        self.expect(&[Action::Start(None)]);
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
    fn expect(&mut self, actions: &[Action<u8>]) {
        let done: Vec<Action<u8>> = std::iter::from_fn(|| self.tracker.poll()).collect();
        assert_eq!(actions, done);
    }

    fn signal(&self) -> Signal {
        self.tracker.seen().signal
    }
}

#[test]
fn the_first_picture_makes_the_signal_good() {
    let mut test = Test::new();
    test.tracker.opened(test.now, false);
    test.expect(&[Action::Query]);
    test.start();
    assert_eq!(Signal::Starting, test.signal());
    test.pictures(1, 20);
    assert_eq!((Signal::Ok, Some(HD)), (test.signal(), test.tracker.seen().mode));
    test.expect(&[]);
}

#[test]
fn an_absent_device_is_looked_for_for_ever() {
    for (absence, signal) in [
        (Absence::Missing, Signal::NoDevice),
        (Absence::Busy, Signal::Busy),
        (Absence::Unsupported, Signal::Unsupported),
        (Absence::Stuck, Signal::Stuck),
    ] {
        let mut test = Test::new();
        test.tracker.absent(test.now, absence);
        test.expect(&[Action::Close, Action::Show(signal)]);
        for _ in 0..3 {
            test.pass(500);
            test.expect(&[Action::Open]);
            test.tracker.absent(test.now, absence);
            // It is shown once, not at every look.
            test.expect(&[Action::Close]);
        }
        assert_eq!(signal, test.signal());
    }
}

#[test]
fn a_device_that_turns_out_busy_at_the_start_is_shown_once() {
    let mut test = Test::new();
    for round in 0..3 {
        test.tracker.opened(test.now, false);
        test.expect(&[Action::Query]);
        test.tracker.read(test.now, Reading::Mode(None));
        test.expect(&[Action::Start(None)]);
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
    assert_eq!(SignalStatus { signal: Signal::NoDevice, mode: None, fps: 0.0, dropped: 0 }, test.tracker.seen());
    test.pass(500);
    test.expect(&[Action::Open]);
    test.tracker.opened(test.now, false);
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
    test.tracker.read(test.now, Reading::Mode(None));
    test.expect(&[Action::Stop, Action::Start(None)]);
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
        // The old mode's last pictures prove nothing, and are not shown.
        assert!(!test.tracker.is_settled());
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
fn silence_is_noticed_and_the_stream_restarted_ever_more_rarely() {
    let mut test = Test::streaming();
    test.pass(1999);
    test.expect(&[]);
    test.pass(1);
    assert_eq!(Signal::Stalled, test.signal());
    test.expect(&[Action::Show(Signal::Stalled), Action::Query]);
    for patience in [4, 8, 15] {
        test.tracker.read(test.now, Reading::Mode(None));
        test.expect(&[Action::Stop, Action::Start(None)]);
        test.tracker.started(test.now);
        test.pass(patience * 1000 - 1);
        test.expect(&[]);
        test.pass(1);
        assert_eq!(Signal::Stalled, test.signal());
        test.expect(if patience < 15 { &[Action::Query] } else { &[Action::Stop, Action::Close] });
    }
    // Restarts were in vain, so from now on it is opened again.
    for _ in 0..3 {
        test.pass(500);
        test.expect(&[Action::Open]);
        test.tracker.opened(test.now, false);
        test.expect(&[Action::Query]);
        test.start();
        assert_eq!(Signal::Stalled, test.signal());
        test.pass(15_000);
        test.expect(&[Action::Stop, Action::Close]);
    }
}

/// How long a device gives nothing before its port is switched off and on, if that happens within two hours.
fn silent_until_cycled(test: &mut Test, is_on_usb: bool) -> Option<Duration> {
    let begin = test.now;
    while test.now < begin + Duration::from_secs(2 * 3600) {
        while let Some(action) = test.tracker.poll() {
            match action {
                Action::Open => test.tracker.opened(test.now, is_on_usb),
                Action::Query => test.tracker.read(test.now, Reading::Mode(None)),
                Action::Start(_) => test.tracker.started(test.now),
                Action::CyclePort => return Some(test.now - begin),
                Action::Stop | Action::Close | Action::Show(_) => (),
            }
        }
        test.now = test.tracker.deadline();
        test.tracker.tick(test.now);
    }
    None
}

#[test]
fn the_port_of_a_silent_device_is_switched_after_five_silences_and_then_ever_more_rarely() {
    let mut test = Test::new();
    test.tracker.opened(test.now, true);
    let first = silent_until_cycled(&mut test, true).unwrap();
    assert_eq!(Duration::from_millis(2000 + 4000 + 8000 + 15_000 + 500 + 15_000), first);
    assert_eq!(Signal::Stalled, test.signal());
    for minutes in [5, 15, 60, 60] {
        let again = silent_until_cycled(&mut test, true).unwrap();
        let due = Duration::from_secs(60 * minutes);
        assert!((due..due + Duration::from_secs(80)).contains(&again), "{again:?}");
    }
}

#[test]
fn a_device_whose_port_is_switched_is_left_alone_until_it_is_back() {
    let mut test = Test::new();
    test.tracker.opened(test.now, true);
    silent_until_cycled(&mut test, true).unwrap();
    test.pass(2999);
    test.expect(&[]);
    test.pass(1);
    test.expect(&[Action::Open]);
}

#[test]
fn after_a_picture_a_port_is_switched_no_sooner_than_the_first_pause() {
    let mut test = Test::new();
    test.tracker.opened(test.now, true);
    silent_until_cycled(&mut test, true).unwrap();
    silent_until_cycled(&mut test, true).unwrap();
    test.pass(3000);
    test.tracker.opened(test.now, true);
    test.expect(&[Action::Open, Action::Query]);
    test.start();
    test.pictures(3, 20);
    let again = silent_until_cycled(&mut test, true).unwrap();
    assert!((Duration::from_secs(290)..Duration::from_secs(380)).contains(&again), "{again:?}");
}

#[test]
fn the_port_of_a_device_that_is_at_none_or_gives_damaged_pictures_is_not_switched() {
    let mut test = Test::new();
    test.tracker.opened(test.now, false);
    assert_eq!(None, silent_until_cycled(&mut test, false));
    let mut test = Test::new();
    test.tracker.opened(test.now, true);
    for _ in 0..100 {
        test.now += Duration::from_secs(16);
        test.tracker.damaged();
        test.tracker.tick(test.now);
        while let Some(action) = test.tracker.poll() {
            match action {
                Action::Open => test.tracker.opened(test.now, true),
                Action::Query => test.tracker.read(test.now, Reading::Mode(None)),
                Action::Start(_) => test.tracker.started(test.now),
                Action::CyclePort => panic!("it is not silent"),
                Action::Stop | Action::Close | Action::Show(_) => (),
            }
        }
    }
}

#[test]
fn a_picture_ends_a_stall_and_what_was_learned_of_it() {
    let mut test = Test::streaming();
    for _ in 0..5 {
        test.pass(2000);
        test.expect(&[Action::Show(Signal::Stalled), Action::Query]);
        test.tracker.read(test.now, Reading::Mode(None));
        test.expect(&[Action::Stop, Action::Start(None)]);
        test.tracker.started(test.now);
        test.pictures(1, 20);
        assert_eq!(Signal::Ok, test.signal());
    }
}

#[test]
fn pictures_that_cannot_be_shown_are_told_from_silence() {
    let mut test = Test::streaming();
    let damaged = |test: &mut Test, count| {
        for _ in 0..count {
            test.pass(20);
            test.tracker.damaged();
        }
    };
    damaged(&mut test, 50);
    test.pictures(1, 20);
    damaged(&mut test, 99);
    assert_eq!(Signal::Ok, test.signal());
    test.pass(20);
    test.expect(&[Action::Show(Signal::Damaged), Action::Query]);
    test.tracker.read(test.now, Reading::Mode(None));
    test.expect(&[Action::Stop, Action::Start(None)]);
    test.tracker.started(test.now);
    assert_eq!(Signal::Damaged, test.signal());
    damaged(&mut test, 60);
    assert_eq!(Signal::Damaged, test.signal());
    test.pictures(1, 20);
    test.pass(1000);
    assert_eq!((Signal::Ok, 209), (test.signal(), test.tracker.seen().dropped));
}

#[test]
fn a_change_that_was_none_restarts_nothing() {
    let mut test = Test::streaming();
    for (mode, restarts) in [(Some(1), true), (Some(1), false), (Some(2), true), (Some(2), false), (None, true)] {
        test.tracker.changed(test.now);
        test.pass(30);
        test.expect(&[Action::Query]);
        test.tracker.read(test.now, Reading::Mode(mode));
        let actions = if restarts { vec![Action::Stop, Action::Start(mode)] } else { Vec::new() };
        test.expect(&actions);
        if restarts {
            test.tracker.started(test.now);
        }
        assert!(test.tracker.is_settled());
        test.pictures(1, 20);
        assert_eq!(Signal::Ok, test.signal());
    }
    // Without a mode that it could compare it must restart.
    test.tracker.changed(test.now);
    test.pass(30);
    test.tracker.read(test.now, Reading::Mode(None));
    test.expect(&[Action::Query, Action::Stop, Action::Start(None)]);
}

#[test]
fn a_restart_waits_for_a_good_picture() {
    let mut test = Test::streaming();
    test.tracker.changed(test.now);
    test.tracker.restart(test.now);
    test.expect(&[]);
    test.pass(30);
    test.tracker.read(test.now, Reading::Mode(Some(1)));
    test.tracker.started(test.now);
    test.expect(&[Action::Query, Action::Stop, Action::Start(Some(1))]);
    test.tracker.restart(test.now);
    test.expect(&[]);
    test.pictures(1, 20);
    test.tracker.restart(test.now);
    test.tracker.restart(test.now);
    test.expect(&[Action::Stop, Action::Start(Some(1))]);
    test.tracker.started(test.now);
    assert_eq!(Signal::Changing, test.signal());
    test.pictures(1, 20);
    assert_eq!(Signal::Ok, test.signal());
}

#[test]
fn a_stall_restarts_though_the_mode_is_the_same() {
    let mut test = Test::streaming();
    test.tracker.changed(test.now);
    test.pass(30);
    test.tracker.read(test.now, Reading::Mode(Some(1)));
    test.tracker.started(test.now);
    test.expect(&[Action::Query, Action::Stop, Action::Start(Some(1))]);
    test.pass(2000);
    test.expect(&[Action::Show(Signal::Stalled), Action::Query]);
    test.tracker.read(test.now, Reading::Mode(Some(1)));
    test.expect(&[Action::Stop, Action::Start(Some(1))]);
}

#[test]
fn a_device_that_refuses_is_opened_afresh_ever_more_rarely() {
    let mut test = Test::streaming();
    test.tracker.failed(test.now);
    test.expect(&[Action::Stop, Action::Close, Action::Show(Signal::Stalled)]);
    for pause in [500, 2000, 4000, 8000, 8000] {
        test.pass(pause - 1);
        test.expect(&[]);
        test.pass(1);
        test.expect(&[Action::Open]);
        test.tracker.opened(test.now, false);
        test.expect(&[Action::Query]);
        test.tracker.read(test.now, Reading::Mode(None));
        test.expect(&[Action::Start(None)]);
        test.tracker.failed(test.now);
        test.expect(&[Action::Close]);
    }
    test.tracker.absent(test.now, Absence::Missing);
    test.expect(&[Action::Close, Action::Show(Signal::NoDevice)]);
    test.tracker.failed(test.now);
    test.expect(&[Action::Close, Action::Show(Signal::Stalled)]);
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
    test.tracker.opened(test.now, false);
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
