//! Keeps a source running: watches whether its thread still moves, and replaces it when it does not.
//!
//! A capture driver may keep its caller waiting for ever. Nothing can end such a thread. It costs the picture, never
//! keyboard, relays or the process: when the device is unplugged or its driver answers in the end, capture goes on, if
//! need be with another thread.

use std::io;
use std::mem;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Pipeline;
use crate::base::tasks::{self, Stop, Stopper};
use crate::bus::SeatBus;
use crate::ports::CaptureSource;

/// How often to look.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a thread may stand still until another one takes its place: longer than USB's own timeouts.
const REPLACED_AFTER: Duration = Duration::from_secs(30);
/// How many that hang are left behind until one of them ends.
const MOST_ABANDONED: usize = 3;
/// How long to wait before the place of a thread is taken that has ended.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Runs a source until told to stop, with as many threads in turn as it takes.
pub async fn running(bus: SeatBus, source: impl Fn() -> Box<dyn CaptureSource>, mut stop: Stop) {
    let mut running = Running::start(&bus, source());
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
                bus.forget_screen(tokio::time::Instant::now().into_std());
                running = Running::start(&bus, source());
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
                    bus.forget_screen(now);
                    abandoned.push(mem::replace(&mut running, Running::start(&bus, source())));
                    replaced = now;
                }
            }
        }
    }
}

/// A source's thread.
struct Running {
    stopper: Stopper,
    end: oneshot::Receiver<()>,
}

impl Running {
    /// Starts it. One that cannot be started has ended.
    fn start(bus: &SeatBus, source: Box<dyn CaptureSource>) -> Running {
        let ((stopper, stop), (alive, end)) = (tasks::stop(), oneshot::channel());
        let (name, bus) = (format!("screen {}", bus.seat), bus.clone());
        let started: io::Result<_> = thread::Builder::new().name(name).spawn(move || {
            source.run(Box::new(Pipeline::new(bus)), stop);
            // Dropped, too, if it panics.
            drop(alive);
        });
        if let Err(error) = started {
            log::error!("no thread for capture: {error}");
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use bytes::Bytes;
    use tokio::sync::Notify;

    use super::*;
    use crate::base::heartbeat::Heartbeat;
    use crate::base::seat_id::SeatId;
    use crate::base::signal::{Signal, Size};
    use crate::bus::{FrameBus, ScreenStatus, StatusBus};
    use crate::ports::{Captured, PictureSink, Pinned, SourceStatus};
    use crate::video::encode::Range;
    use crate::video::jpeg::Jpeg;
    use crate::video::signal::SignalStatus;

    fn bus() -> SeatBus {
        let now = tokio::time::Instant::now().into_std();
        let seat = SeatId::try_from("main".to_string()).unwrap();
        let (frames, status) = (FrameBus::default(), StatusBus::default());
        SeatBus { seat, frames, status, heartbeat: Heartbeat::new(now) }
    }

    /// A source whose first thread hangs or panics, and whose second shows a picture.
    struct Clumsy {
        threads: Arc<AtomicU32>,
        fault: fn(),
        begun: Arc<Notify>,
    }

    impl CaptureSource for Clumsy {
        fn run(self: Box<Self>, mut out: Box<dyn PictureSink>, stop: Stop) {
            if self.threads.fetch_add(1, Ordering::Relaxed) == 0 {
                self.begun.notify_one();
                return (self.fault)();
            }
            out.beat(Instant::now() + Duration::from_secs(3600));
            let (bytes, size) = (Bytes::from_static(b"second"), Size { width: 64, height: 48 });
            let found = Jpeg { size, start: 0, len: bytes.len(), ends: true, lacks_tables_at: None };
            out.show(Instant::now(), Captured::Jpeg(Pinned::new(bytes, false), found));
            while !stop.is_requested() {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
    }

    async fn goes_on_after(fault: fn()) {
        let (bus, threads, begun) = (bus(), Arc::<AtomicU32>::default(), Arc::<Notify>::default());
        let (stopper, stop) = tasks::stop();
        let source = {
            let begun = begun.clone();
            move || {
                let (threads, begun) = (threads.clone(), begun.clone());
                Box::new(Clumsy { threads, fault, begun }) as Box<dyn CaptureSource>
            }
        };
        let kept = tokio::spawn(running(bus.clone(), source, stop));
        // Time that nobody uses passes at once, and a thread takes a moment to begin: no later one may be the first.
        begun.notified().await;
        tokio::time::pause();
        let mut frames = bus.frames.watch();
        let second = frames.wait_for(|frame| frame.as_ref().is_some_and(|frame| frame.jpeg == b"second"[..]));
        second.await.unwrap();
        stopper.stop();
        kept.await.unwrap();
    }

    #[tokio::test]
    async fn a_thread_that_hangs_is_replaced() {
        goes_on_after(thread::park).await;
    }

    #[tokio::test]
    async fn a_thread_that_panics_is_replaced() {
        goes_on_after(|| panic!("as a test must")).await;
    }

    /// A source that shows a picture once, and whose driver never answers after that.
    struct Hung(Arc<AtomicU32>);

    impl CaptureSource for Hung {
        fn run(self: Box<Self>, mut out: Box<dyn PictureSink>, _: Stop) {
            if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                let seen = SignalStatus { signal: Signal::Ok, mode: None, fps: 30.0, dropped: 0 };
                out.report(SourceStatus {
                    seen,
                    device: String::new(),
                    choice: None,
                    reason: None,
                    range: Range::Full,
                });
            }
            thread::park();
        }
    }

    #[tokio::test]
    async fn a_hang_is_shown_however_often_the_thread_is_replaced() {
        let bus = bus();
        let (stopper, stop) = tasks::stop();
        let mut status = bus.status.watch();
        let threads = Arc::new(AtomicU32::new(0));
        tokio::spawn(running(bus.clone(), move || Box::new(Hung(threads.clone())), stop));
        status.wait_for(|status| status.screen.signal == Signal::Ok).await.unwrap();
        // Not before, as above.
        tokio::time::pause();
        status.wait_for(|status| status.screen.stuck).await.unwrap();
        let cleared = async { status.wait_for(|status| !status.screen.stuck).await.map(|status| status.clone()) };
        let cleared = tokio::time::timeout(REPLACED_AFTER * 6, cleared).await;
        assert!(cleared.is_err(), "nobody has moved: {cleared:?}");
        let screen = bus.status.now().screen;
        assert_eq!(ScreenStatus { stuck: true, ..ScreenStatus::default() }, screen, "what it last said is over");
        drop(stopper);
    }
}
