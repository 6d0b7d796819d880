//! Watches whether a screen's thread still moves, shows it when it does not, and replaces it.
//!
//! A capture driver may keep its caller waiting for ever. Nothing can end such a thread, and the only one who reports
//! the signal is the thread that hangs. So another looks at its pulse. It costs the picture, never keyboard, relays or
//! the process: when the device is unplugged or its driver answers in the end, capture goes on, if need be with another
//! thread.

use std::io;
use std::mem;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Screen, ScreenStatus, SeatBus};
use crate::base::error_chain::chain;
use crate::base::heartbeat::STALLED_AFTER;
use crate::base::signal::Signal;
use crate::base::tasks::{self, Stop, Stopper};
use crate::video::encode::jpeg_from_rgb;
use crate::video::placeholder;

/// How often to look.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a thread may stand still until another one takes its place: longer than USB's own timeouts.
const REPLACED_AFTER: Duration = Duration::from_secs(30);
/// How many that hang are left behind until one of them ends.
const MOST_ABANDONED: usize = 3;
/// How long to wait before the place of a thread is taken that has ended.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Runs a screen until told to stop, with as many threads in turn as it takes.
pub async fn keep(bus: SeatBus, screen: impl Fn() -> Box<dyn Screen>, mut stop: Stop) {
    let mut running = Running::start(&bus, screen());
    let mut replaced = tokio::time::Instant::now().into_std();
    let mut abandoned: Vec<Running> = Vec::new();
    let mut tick = interval(CHECK_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.requested() => {
                running.stopper.stop();
                return running.ended().await;
            }
            () = running.ended() => {
                log::error!("seat {}: its capture thread has ended, and is started again", bus.seat);
                tokio::select! {
                    () = stop.requested() => return,
                    () = sleep(RESTART_PAUSE) => (),
                }
                bus.forget_screen();
                running = Running::start(&bus, screen());
            }
            _ = tick.tick() => {
                let now = tokio::time::Instant::now().into_std();
                bus.check_pulse(now);
                abandoned.retain_mut(Running::lives);
                // Each has as long. Only a thread's own beat says that it moves, so none is made up for the new one.
                let age = bus.heartbeat.age(now).min(now.saturating_duration_since(replaced));
                if REPLACED_AFTER <= age && abandoned.len() < MOST_ABANDONED {
                    log::warn!("seat {}: capture goes on with another thread", bus.seat);
                    running.stopper.stop();
                    bus.forget_screen();
                    abandoned.push(mem::replace(&mut running, Running::start(&bus, screen())));
                    replaced = now;
                }
            }
        }
    }
}

/// A screen's thread.
struct Running {
    stopper: Stopper,
    end: oneshot::Receiver<()>,
}

impl Running {
    /// Starts it. One that cannot be started has ended.
    fn start(bus: &SeatBus, screen: Box<dyn Screen>) -> Running {
        let ((stopper, stop), (alive, end)) = (tasks::stop(), oneshot::channel());
        let (name, bus) = (format!("screen {}", bus.seat), bus.clone());
        let started: io::Result<_> = thread::Builder::new().name(name).spawn(move || {
            screen.run(bus, stop);
            // Dropped, too, if it panics.
            drop(alive);
        });
        if let Err(error) = started {
            log::error!("no thread for a screen: {error}");
        }
        Running { stopper, end }
    }

    async fn ended(&mut self) {
        // The sender is dropped, never used.
        let _ = (&mut self.end).await;
    }

    fn lives(&mut self) -> bool {
        matches!(self.end.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }
}

impl SeatBus {
    /// Notes that the screen's thread goes round. Returns whether it was shown to be stuck: then everything that it
    /// shows must be shown again.
    pub fn beat(&self, now: Instant) -> bool {
        self.heartbeat.beat(now);
        self.status.was_stuck.swap(false, Ordering::Relaxed)
    }

    /// Takes back what a thread said whose place is taken: it can no longer correct it.
    fn forget_screen(&self) {
        self.status.update(|status| {
            status.screen = ScreenStatus { stuck: status.screen.stuck, ..ScreenStatus::default() };
        });
    }

    /// Shows that the screen's thread is stuck, or no longer.
    pub fn check_pulse(&self, now: Instant) {
        let stuck = STALLED_AFTER <= self.heartbeat.age(now);
        if stuck == self.status.newest.borrow().screen.stuck {
            return;
        }
        if stuck {
            log::error!("seat {}: the capture driver has not answered for {} s", self.seat, STALLED_AFTER.as_secs());
            match jpeg_from_rgb(placeholder::SIZE, &placeholder::draw(Signal::Stuck)) {
                Ok(card) => self.frames.publish(now, placeholder::SIZE, card),
                Err(error) => log::error!("seat {}: no card: {}", self.seat, chain(&error)),
            }
            self.status.was_stuck.store(true, Ordering::Relaxed);
        }
        self.status.update(|status| status.screen.stuck = stuck);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use bytes::Bytes;

    use super::*;
    use crate::base::heartbeat::Heartbeat;
    use crate::base::seat_id::SeatId;
    use crate::bus::{FrameBus, StatusBus};

    fn bus() -> SeatBus {
        let now = tokio::time::Instant::now().into_std();
        let seat = SeatId::try_from("main".to_string()).unwrap();
        let (frames, status) = (FrameBus::default(), StatusBus::default());
        SeatBus { seat, frames, status, heartbeat: Heartbeat::new(now) }
    }

    #[tokio::test]
    async fn a_still_pulse_is_shown_until_it_beats_again() {
        let bus = bus();
        let at = |secs| tokio::time::Instant::now().into_std() + Duration::from_secs(secs);
        let seen = || (bus.status.now().screen.stuck, bus.frames.watch().borrow().is_some());
        bus.check_pulse(at(8));
        assert_eq!((false, false), seen());
        bus.check_pulse(at(11));
        assert_eq!((true, true), seen());
        assert!(bus.beat(at(12)), "the card must be replaced");
        assert!(!bus.beat(at(12)));
        bus.check_pulse(at(13));
        assert_eq!((false, true), seen());
    }

    /// A screen whose first thread hangs or panics, and whose second shows a picture.
    struct Clumsy(Arc<AtomicU32>, fn());

    impl Screen for Clumsy {
        fn run(self: Box<Self>, bus: SeatBus, stop: Stop) {
            if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                return (self.1)();
            }
            bus.heartbeat.beat(Instant::now() + Duration::from_secs(3600));
            bus.frames.publish(Instant::now(), placeholder::SIZE, Bytes::from_static(b"second"));
            while !stop.is_requested() {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
    }

    async fn goes_on_after(fault: fn()) {
        let (bus, threads) = (bus(), Arc::new(AtomicU32::new(0)));
        let (stopper, stop) = tasks::stop();
        let screen = move || Box::new(Clumsy(threads.clone(), fault)) as Box<dyn Screen>;
        let kept = tokio::spawn(keep(bus.clone(), screen, stop));
        let mut frames = bus.frames.watch();
        let second = frames.wait_for(|frame| frame.as_ref().is_some_and(|frame| frame.jpeg == b"second"[..]));
        second.await.unwrap();
        stopper.stop();
        kept.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_thread_that_hangs_is_replaced() {
        goes_on_after(thread::park).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_thread_that_panics_is_replaced() {
        goes_on_after(|| panic!("as a test must")).await;
    }

    /// A screen that shows a picture once, and whose driver never answers after that.
    struct Hung;

    impl Screen for Hung {
        fn run(self: Box<Self>, bus: SeatBus, _: Stop) {
            let mut first = true;
            bus.status.update(|status| first = status.screen == ScreenStatus::default());
            if first {
                bus.status.update(|status| (status.screen.signal, status.screen.fps) = (Signal::Ok, 30.0));
            }
            thread::park();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hang_is_shown_however_often_the_thread_is_replaced() {
        let bus = bus();
        let (stopper, stop) = tasks::stop();
        let mut status = bus.status.watch();
        tokio::spawn(keep(bus.clone(), || Box::new(Hung), stop));
        status.wait_for(|status| status.screen.signal == Signal::Ok).await.unwrap();
        status.wait_for(|status| status.screen.stuck).await.unwrap();
        let cleared = async { status.wait_for(|status| !status.screen.stuck).await.map(|status| status.clone()) };
        let cleared = tokio::time::timeout(REPLACED_AFTER * 6, cleared).await;
        assert!(cleared.is_err(), "nobody has moved: {cleared:?}");
        let screen = bus.status.now().screen;
        assert_eq!(ScreenStatus { stuck: true, ..ScreenStatus::default() }, screen, "what it last said is over");
        drop(stopper);
    }
}
