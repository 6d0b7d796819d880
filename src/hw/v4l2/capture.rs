//! Runs a capture device: carries out what [`SignalTracker`] decides, hands out pictures, reports the status.

use std::error::Error;
use std::future::pending;
use std::mem;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::buffers::{Inbox, Lender, Picture, Returned};
use super::claims::{self, Claims};
use super::device::{Device, Kept};
use super::error::VideoError;
use super::ioctl::{Filled, Timings};
use super::queue::Stream;
use crate::base::error_chain::chain;
use crate::base::seat_id::SeatId;
use crate::base::signal::{Signal, Size};
use crate::base::tasks::Stop;
use crate::base::usb::HubPort;
use crate::config::{CaptureRange, Video};
use crate::ports::{CaptureSource, Captured, PictureSink, Pinned, SourceStatus};
use crate::video::choice::Coding;
use crate::video::encode::{Layout, Range};
use crate::video::intake::Intake;
use crate::video::jpeg::{self, Flaw, Jpeg};
use crate::video::signal::{Absence, Action, Reading, SignalStatus, SignalTracker};

/// How often the loop goes round at least: a thread that waits for a silent device is alive, and must be seen to be.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A capture device, which may be plugged in and out.
#[derive(Debug)]
pub struct V4l2Source {
    seat: SeatId,
    video: Video,
    claims: Claims,
    ports: mpsc::Sender<(SeatId, HubPort)>,
}

impl V4l2Source {
    /// A source that will look for a seat's device as soon as it runs, among those that no other seat claims. It asks
    /// by `ports` for the USB port of a silent one to be switched off and on.
    pub fn new(seat: SeatId, video: Video, claims: Claims, ports: mpsc::Sender<(SeatId, HubPort)>) -> V4l2Source {
        V4l2Source { seat, video, claims, ports }
    }
}

impl CaptureSource for V4l2Source {
    fn run(self: Box<Self>, out: Box<dyn PictureSink>, stop: Stop) {
        // This thread has a runtime of its own: what keeps it waiting delays nothing else.
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(capture(*self, out, stop)),
            Err(error) => log::error!("seat {}: no video, for want of a runtime: {error}", self.seat),
        }
    }
}

async fn capture(source: V4l2Source, out: Box<dyn PictureSink>, mut stop: Stop) {
    let mut tracker = SignalTracker::new(Instant::now());
    let (mut inbox, lender) = Inbox::new();
    let mut capture = CaptureLoop::new(source, out, lender);
    let mut timer = pin!(sleep_until(next_turn(Instant::now(), tracker.deadline()).into()));
    loop {
        // Another thread may have taken our place while a driver kept us waiting.
        if stop.is_requested() {
            return;
        }
        capture.out.beat(Instant::now());
        while let Some(returned) = inbox.take() {
            capture.take_back(&returned);
        }
        while let Some(action) = tracker.poll() {
            capture.carry_out(action, &mut tracker);
            if stop.is_requested() {
                return;
            }
        }
        capture.report(tracker.seen());
        let turn = next_turn(Instant::now(), tracker.deadline()).into();
        // Not for each picture: a turn too early costs less than setting the timer.
        if timer.is_elapsed() || turn < timer.deadline() {
            timer.as_mut().reset(turn);
        }
        tokio::select! {
            () = stop.requested() => return,
            () = &mut timer => (),
            returned = inbox.next() => capture.take_back(&returned),
            news = capture.news() => match news {
                // The driver has kept us waiting, and another thread shows pictures by now.
                _ if stop.is_requested() => return,
                Ok(DeviceEvent::Picture(filled, picture)) => match capture.receive(filled, picture, tracker.is_settled()) {
                    Some(size) => tracker.picture(Instant::now(), size),
                    None => tracker.damaged(),
                },
                Ok(DeviceEvent::Changed) => tracker.changed(Instant::now()),
                Err(error) => capture.fail(&error, &mut tracker),
            },
        }
        let now = Instant::now();
        tracker.tick(now);
        let watched = capture.out.is_watched();
        if capture.device.as_ref().is_some_and(|device| device.may_do_better(now, watched)) {
            tracker.restart(now);
        }
    }
}

/// When the loop goes round again if nothing happens, while the tracker has nothing to do before `due`.
fn next_turn(now: Instant, due: Instant) -> Instant {
    due.min(now + LONGEST_WAIT)
}

/// What a device reports by itself.
enum DeviceEvent {
    Picture(Filled, Picture),
    Changed,
}

/// The device, if there is one, and where its pictures go.
struct CaptureLoop {
    seat: SeatId,
    video: Video,
    out: Box<dyn PictureSink>,
    // Dropped in this order: a stream needs its device to stop.
    stream: Option<Stream>,
    device: Option<Device>,
    kept: Kept,
    intake: Intake,
    /// What was wrong with the last picture that could not be shown.
    flaw: Option<String>,
    /// Whether this stream has given such pictures only, and how many in a row did so before.
    flawed: bool,
    flawed_streams: usize,
    /// Where the device is of which that is known.
    place: String,
    /// The USB port of the device that was opened last, if it is at one, and where to ask for it to be switched.
    port: Option<HubPort>,
    ports: mpsc::Sender<(SeatId, HubPort)>,
    /// Why there is no stream, if anything failed.
    problem: Option<String>,
    /// What a device calls itself that cannot be used.
    refused: String,
    /// The last report, unless the device has changed since.
    seen: Option<SignalStatus>,
    /// The last source of pictures that was logged.
    source: String,
    /// The last failure that was logged, so that one that repeats is logged once.
    trouble: String,
    /// How many pictures were too damaged to show.
    dropped: u64,
}

impl CaptureLoop {
    fn new(source: V4l2Source, out: Box<dyn PictureSink>, lender: Lender) -> CaptureLoop {
        let V4l2Source { seat, video, claims, ports } = source;
        let kept = Kept { seat: seat.clone(), claims, lender, avoided: None };
        CaptureLoop {
            seat,
            video,
            out,
            stream: None,
            device: None,
            kept,
            intake: Intake::default(),
            flaw: None,
            flawed: false,
            flawed_streams: 0,
            place: String::new(),
            port: None,
            ports,
            problem: None,
            refused: String::new(),
            seen: None,
            source: String::new(),
            trouble: String::new(),
            dropped: 0,
        }
    }

    fn carry_out(&mut self, action: Action<Timings>, tracker: &mut SignalTracker<Timings>) {
        let result = match action {
            Action::Open => self.open(tracker),
            Action::Query => self.query(tracker),
            Action::Start(timings) => self.start(timings, tracker),
            Action::Stop => {
                self.stream = None;
                self.seen = None;
                Ok(())
            }
            Action::Close => {
                (self.stream, self.device, self.seen) = (None, None, None);
                self.source.clear();
                Ok(())
            }
            Action::CyclePort => {
                if let Some(port) = &self.port {
                    // Where others wait, this one is asked for again.
                    let _ = self.ports.try_send((self.seat.clone(), port.clone()));
                }
                Ok(())
            }
            Action::Show(_) => {
                // What comes next may keep us waiting.
                self.report(tracker.seen());
                Ok(())
            }
        };
        if let Err(error) = result {
            self.fail(&error, tracker);
        }
    }

    fn open(&mut self, tracker: &mut SignalTracker<Timings>) -> Result<(), VideoError> {
        let device = Device::open(&self.video, &self.kept)?;
        let place = device.place();
        if self.place != place {
            self.forget_flaws();
            self.place = place;
        }
        self.port = claims::usb_port(device.path()).and_then(|port| HubPort::try_from(port).ok());
        self.device = Some(device);
        (self.seen, self.problem) = (None, None);
        tracker.opened(Instant::now(), self.port.is_some());
        Ok(())
    }

    fn query(&mut self, tracker: &mut SignalTracker<Timings>) -> Result<(), VideoError> {
        let Some(device) = &self.device else { return Ok(()) };
        let reading = device.receiver().read()?;
        if !matches!(reading, Reading::Mode(_)) {
            let (seat, path) = (&self.seat, device.path().display());
            log::debug!("seat {seat}: {path} says {}", words(&reading));
        }
        tracker.read(Instant::now(), reading);
        Ok(())
    }

    fn start(&mut self, timings: Option<Timings>, tracker: &mut SignalTracker<Timings>) -> Result<(), VideoError> {
        let Some(device) = &mut self.device else { return Ok(()) };
        if let (true, Some(flaw)) = (mem::take(&mut self.flawed), &self.flaw) {
            self.flawed_streams += 1;
            // Once may be chance.
            if 2 <= self.flawed_streams {
                device.skip_modes(self.flawed_streams - 1, flaw);
            }
        }
        let stream = device.start(Instant::now(), self.out.is_watched(), timings)?;
        self.intake = Intake::default();
        let words = format!("{} ({})", device.describe(Some(&stream)), device.choice(&stream));
        // A silent device is restarted every few seconds; log it once.
        if self.source != words {
            log::info!("seat {}: capturing from {}: {words}", self.seat, device.place());
            self.source = words;
        }
        (self.stream, self.seen, self.problem) = (Some(stream), None, None);
        tracker.started(Instant::now());
        Ok(())
    }

    /// Another device may do well what the last one did badly.
    fn forget_flaws(&mut self) {
        (self.flaw, self.flawed, self.flawed_streams) = (None, false, 0);
    }

    /// Reports a failure to the tracker, and logs it if it is a new one.
    fn fail(&mut self, error: &VideoError, tracker: &mut SignalTracker<Timings>) {
        let text = chain(error);
        if self.trouble != text {
            log::warn!("seat {}: {text}", self.seat);
            self.trouble = text.clone();
        }
        (self.seen, self.problem) = (None, Some(text));
        self.refused = error.device().unwrap_or_default().into();
        let now = Instant::now();
        let absence = match error {
            VideoError::Busy(path) | VideoError::Hung(path) => {
                // Where any will do, the next is tried; and then this one again.
                let again = self.kept.avoided.as_ref() == Some(path);
                self.kept.avoided = Some(path.clone()).filter(|_| !again);
                if let VideoError::Hung(_) = error { Absence::Stuck } else { Absence::Busy }
            }
            VideoError::Taken(_) => Absence::Busy,
            VideoError::NoneFound | VideoError::NothingAt(_) | VideoError::Missing(_) | VideoError::Unsuitable(_) => {
                Absence::Missing
            }
            VideoError::Unsupported { .. } => Absence::Unsupported,
            VideoError::NoRoom { .. } => Absence::NoBandwidth,
            VideoError::Io { .. } if self.device.is_none() => Absence::Missing,
            VideoError::Io { .. } => return tracker.failed(now),
        };
        if absence == Absence::Missing {
            self.forget_flaws();
        }
        tracker.absent(now, absence);
    }

    /// Has the driver fill a buffer again that somebody has given back.
    fn take_back(&mut self, returned: &Returned) {
        if let Some(stream) = &mut self.stream {
            stream.take_back(returned);
        }
    }

    /// Waits for the device's next event; for ever, while there is no device.
    async fn news(&mut self) -> Result<DeviceEvent, VideoError> {
        let picture = async {
            match &mut self.stream {
                Some(stream) => stream.newest().await,
                None => pending().await,
            }
        };
        let change = async {
            match &self.device {
                Some(device) => device.receiver().changed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            picture = picture => picture.map(|(filled, picture)| DeviceEvent::Picture(filled, picture)),
            change = change => change.map(|()| DeviceEvent::Changed),
        }
    }

    /// Hands out a picture, if it is valid and the mode is not changing. Returns its size in any case, for the status.
    fn receive(&mut self, filled: Filled, picture: Picture, settled: bool) -> Option<Size> {
        let at = filled.captured();
        match self.inspect(&filled, picture.as_ref()) {
            Ok(found) => {
                let size = found.size();
                match &self.stream {
                    Some(stream) if settled => self.out.show(at, found.of(stream.pin(picture))),
                    _ => self.out.pass_over(),
                }
                self.trouble.clear();
                self.forget_flaws();
                Some(size)
            }
            Err(flaw) => {
                self.dropped += 1;
                let flaw = chain(&*flaw);
                // The first few say enough, and a dongle can go on like this for days.
                if self.dropped.is_power_of_two() {
                    log::warn!("seat {}: {} damaged pictures dropped, the last: {}", self.seat, self.dropped, flaw);
                }
                (self.flaw, self.flawed) = (Some(flaw), true);
                None
            }
        }
    }

    /// What a picture is, unless it is too damaged to be shown.
    fn inspect(&mut self, filled: &Filled, bytes: &[u8]) -> Result<Found, Box<dyn Error>> {
        let Some(stream) = &self.stream else { return Err(Flaw::NoStart.into()) };
        match stream.coding() {
            Coding::Jpeg => {
                let found = jpeg::inspect(bytes)?;
                self.intake.take(&found, filled.damaged)?;
                Ok(Found::Jpeg(found))
            }
            Coding::Raw(format) => {
                let (size, set) = (stream.size(), stream.format());
                let stride = (set.stride as usize).max(format.row_bytes(size.width));
                let layout = Layout { size, format, colour: set.colour.in_range(configured(self.video.range)), stride };
                layout.of(bytes).check()?;
                Ok(Found::Raw(layout))
            }
        }
    }

    /// Updates the status. Cheap if nothing has changed, since it is called for every picture.
    fn report(&mut self, seen: SignalStatus) {
        if self.seen == Some(seen) {
            return;
        }
        self.seen = Some(seen);
        let device = self.device.as_ref().map(|device| device.describe(self.stream.as_ref()));
        let device = device.unwrap_or_else(|| self.refused.clone());
        let choice = self.device.as_ref().zip(self.stream.as_ref()).map(|(device, stream)| device.choice(stream));
        let reason = self.reason(seen.signal);
        let range = match self.stream.as_ref().map(Stream::coding) {
            Some(Coding::Jpeg) => configured(self.video.range).unwrap_or_default(),
            // Coded here, in full range.
            Some(Coding::Raw(_)) | None => Range::Full,
        };
        self.out.report(SourceStatus { seen, device, choice, reason, range });
    }

    /// What exactly is wrong, where the signal does not say all.
    fn reason(&self, signal: Signal) -> Option<String> {
        match signal {
            Signal::Damaged => self.flaw.clone(),
            Signal::NoDevice
            | Signal::Busy
            | Signal::Stalled
            | Signal::Unsupported
            | Signal::NoBandwidth
            | Signal::Stuck => self.problem.clone(),
            Signal::Starting
            | Signal::Ok
            | Signal::NoSignal
            | Signal::NoLock
            | Signal::OutOfRange
            | Signal::Changing => None,
        }
    }
}

/// What a valid picture is.
enum Found {
    Jpeg(Jpeg),
    Raw(Layout),
}

impl Found {
    fn size(&self) -> Size {
        match self {
            Found::Jpeg(found) => found.size,
            Found::Raw(layout) => layout.size,
        }
    }

    fn of(self, picture: Pinned) -> Captured {
        match self {
            Found::Jpeg(found) => Captured::Jpeg(picture, found),
            Found::Raw(layout) => Captured::Raw(picture, layout),
        }
    }
}

/// The range that the configuration says in place of the device.
fn configured(range: CaptureRange) -> Option<Range> {
    match range {
        CaptureRange::Auto => None,
        CaptureRange::Full => Some(Range::Full),
        CaptureRange::Limited => Some(Range::Limited),
    }
}

/// What a device says of its input, for the log.
fn words(reading: &Reading<Timings>) -> &'static str {
    match reading {
        Reading::Mode(_) => "a mode",
        Reading::NoSignal => "no signal",
        Reading::NoLock => "no lock",
        Reading::OutOfRange => "out of range",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::heartbeat::{Heartbeat, STALLED_AFTER};

    #[test]
    fn a_thread_that_waits_for_a_silent_device_never_counts_as_hung() {
        let start = Instant::now();
        let (mut tracker, mut now) = (SignalTracker::<u8>::new(start), start);
        let heartbeat = Heartbeat::new(start);
        let mut restarts = 0;
        while now < start + Duration::from_secs(120) {
            heartbeat.beat(now);
            while let Some(action) = tracker.poll() {
                match action {
                    Action::Open => tracker.opened(now, false),
                    Action::Query => tracker.read(now, Reading::Mode(None)),
                    Action::Start(_) => {
                        restarts += 1;
                        tracker.started(now);
                    }
                    Action::Stop | Action::Close | Action::CyclePort | Action::Show(_) => (),
                }
            }
            let turn = next_turn(now, tracker.deadline());
            assert!(heartbeat.age(turn) <= STALLED_AFTER / 2, "{:?}", heartbeat.age(turn));
            now = turn;
            tracker.tick(now);
        }
        assert!((5..=12).contains(&restarts), "{restarts}");
    }
}
