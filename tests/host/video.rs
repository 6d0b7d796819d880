//! Capture without a capture device: what is said of it, and the return of what was missing.

use std::time::{Duration, Instant};

use farhand::base::heartbeat::Heartbeat;
use farhand::base::signal::Signal;
use farhand::base::tasks;
use farhand::base::tasks::Tasks;
use farhand::bus::{FrameBus, SeatBus, StatusBus};
use farhand::config::{Config, Video};
use farhand::hw::v4l2::{Claims, V4l2Source};
use farhand::pipeline::Pipeline;
use farhand::ports::CaptureSource as _;
use tokio::sync::mpsc;

/// Long enough for a loaded machine; nothing here takes a tenth of it.
const DEADLINE: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(600);

/// A screen on a thread of its own, as the daemon runs it.
struct Running {
    bus: SeatBus,
    stopper: tasks::Stopper,
    tasks: Tasks,
}

impl Running {
    fn start(device: &str) -> Running {
        let text = format!("[seats.main.video]\ndevice = {device:?}");
        let mut config = Config::parse(&text).unwrap();
        let (seat, parts) = config.seats.pop_first().unwrap();
        let video: Video = parts.video;
        // Of a thread that has been hanging for a while, as far as anybody knows.
        let heartbeat = Heartbeat::new(Instant::now().checked_sub(LONG).unwrap());
        let bus = SeatBus { seat, frames: FrameBus::default(), status: StatusBus::default(), heartbeat };
        let (stopper, stop) = tasks::stop();
        let tasks = Tasks::new(stop);
        let source = Box::new(V4l2Source::new(bus.seat.clone(), video, Claims::default(), mpsc::channel(1).0));
        let pipeline_bus = bus.clone();
        tasks.thread("video", move |stop| source.run(Box::new(Pipeline::new(pipeline_bus)), stop)).unwrap();
        Running { bus, stopper, tasks }
    }

    async fn signal(&self, wanted: Signal) {
        let mut status = self.bus.status.watch();
        let wait = status.wait_for(|status| status.screen.signal == wanted);
        tokio::time::timeout(DEADLINE, wait).await.expect("the signal comes in time").unwrap();
    }

    async fn stop(mut self) {
        self.stopper.stop();
        let ended = tokio::time::timeout(DEADLINE, self.tasks.first_end()).await;
        assert_eq!("video", ended.expect("it ends in time"));
    }
}

#[tokio::test]
async fn a_missing_device_is_told_with_its_reason_and_shows_no_picture() {
    let running = Running::start("/dev/farhand-test-has-no-such-device");
    running.signal(Signal::NoDevice).await;
    assert!(running.bus.heartbeat.age(Instant::now()) < LONG, "without a device its thread must go round all the same");
    let reason = "no capture device at /dev/farhand-test-has-no-such-device";
    let lost = running.bus.frames.watch_lost().borrow().clone().unwrap();
    assert_eq!((Signal::NoDevice, Some(reason)), (lost.signal, lost.reason.as_deref()));
    assert!(running.bus.frames.newest().is_none());

    let screen = running.bus.status.now().screen;
    assert_eq!((None, 0.0, ""), (screen.mode, screen.fps, screen.device.as_str()));
    assert_eq!(Some(reason), screen.reason.as_deref());
    running.stop().await;
}

#[tokio::test]
async fn a_node_that_captures_nothing_is_no_device() {
    let running = Running::start("/dev/null");
    running.signal(Signal::NoDevice).await;
    running.stop().await;
}
