//! Finds a capture device, queries its input and makes it stream.
//!
//! Devices report wrong values and drivers differ, so whatever a driver cannot report (sizes, rates, events, DV
//! timings) counts as unknown, and only what capture needs is an error.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use v4l::capability::Flags;
use v4l::device::Handle;
use v4l2_sys_mit as sys;

use super::buffers::{Lender, Picture, Pool, Returned};
use super::claims::{Claim, Claims, nodes, usb_port};
use super::error::VideoError;
use super::fallback::{Fallback, lacks_room, may_pass};
use super::ioctl::{self, Failure, Filled, Format, Timings};
use crate::base::seat_id::SeatId;
use crate::base::signal::Size;
use crate::config::{self, CaptureSize};
use crate::ports::Pinned;
use crate::video::choice::{Coding, Offer, listed, outcome, ranked};
use crate::video::signal::Reading;

/// An open capture device.
pub struct Device {
    path: PathBuf,
    /// Its own name, and its driver's.
    name: String,
    handle: Arc<Handle>,
    /// The connected input, on devices that have inputs.
    input: Option<ioctl::Input>,
    /// All that it offers, and of that what we can use, the best first.
    offers: Vec<Offer>,
    ranked: Vec<Offer>,
    /// Which of the latter is used.
    fallback: Fallback,
    wish: CaptureSize,
    lender: Lender,
    claim: Claim,
    /// Wakes when the source changes, on drivers that report it. A descriptor of its own: on the one we capture with,
    /// interest in events would also be interest in pictures, and polling for pictures before a stream has begun makes
    /// the kernel start its read() emulation.
    events: Option<AsyncFd<OwnedFd>>,
}

/// What capture keeps from one device to the next.
#[derive(Debug)]
pub struct Kept {
    /// Whose devices these are.
    pub seat: SeatId,
    pub claims: Claims,
    pub lender: Lender,
    /// The node that was busy last: the next is tried before it.
    pub avoided: Option<PathBuf>,
}

impl Device {
    /// Opens the configured device, or the best there is.
    pub fn open(video: &config::Video, kept: &Kept) -> Result<Device, VideoError> {
        let mut device = match &video.device {
            config::Device::Path(path) => Device::at(path, video.size, kept)?,
            config::Device::Auto => Device::best(nodes(), video.size, kept, false)?,
            config::Device::Usb(port) => {
                let there = nodes().into_iter().filter(|node| usb_port(node).as_ref() == Some(port)).collect();
                // What cannot be used at the very port that is meant is named as such.
                Device::best(there, video.size, kept, true).map_err(|error| match error {
                    VideoError::NoneFound => VideoError::NothingAt(port.clone()),
                    error => error,
                })?
            }
        };
        device.listen();
        Ok(device)
    }

    /// The first device that codes JPEG itself, else the first that captures at all. One that is another seat's
    /// counts as none, unless it is meant.
    fn best(mut nodes: Vec<PathBuf>, wish: CaptureSize, kept: &Kept, meant: bool) -> Result<Device, VideoError> {
        let mut raw = None;
        let mut refusal = VideoError::NoneFound;
        // A device can be opened though another program captures with it; that shows later.
        nodes
            .sort_by_cached_key(|node| (kept.avoided.as_ref() == Some(node), !kept.claims.has_found(&kept.seat, node)));
        for path in nodes {
            match Device::at(&path, wish, kept) {
                Ok(device) if Coding::from_fourcc(device.offer().fourcc) == Some(Coding::Jpeg) => {
                    let last = kept.avoided.as_ref() == Some(&path);
                    return Ok(if last { raw.unwrap_or(device) } else { device });
                }
                Ok(device) => raw = raw.or(Some(device)),
                // Nodes for other purposes are expected; one that cannot be opened may be the one that is wanted.
                Err(VideoError::Missing(_) | VideoError::Unsuitable(_) | VideoError::NoneFound) => (),
                Err(VideoError::Taken(_)) if !meant => (),
                Err(error) => refusal = error,
            }
        }
        raw.ok_or(refusal)
    }

    fn at(path: &Path, wish: CaptureSize, kept: &Kept) -> Result<Device, VideoError> {
        let claim = kept.claims.take(&kept.seat, path).ok_or_else(|| VideoError::Taken(path.into()))?;
        // The v4l crate panics on a name with a zero in it; no node has one.
        if path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(VideoError::Missing(path.into()));
        }
        let device = v4l::Device::with_path(path).map_err(|error| {
            let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
            VideoError::new(path, Failure { op: "open", errno }).blame(&claim)
        })?;
        let handle = device.handle();
        let fd = handle.fd();
        let capability = match ioctl::capability(fd) {
            Err(Failure { errno: Errno::ENOTTY, .. }) => return Err(VideoError::Unsuitable(path.into())),
            answer => answer.map_err(|failure| VideoError::new(path, failure))?,
        };
        // Codecs take pictures as well as giving them; metadata nodes give none.
        let suitable = capability.flags.contains(Flags::VIDEO_CAPTURE | Flags::STREAMING)
            && !capability.flags.intersects(Flags::VIDEO_M2M | Flags::VIDEO_OUTPUT);
        if !suitable {
            return Err(VideoError::Unsuitable(path.into()));
        }
        let input = select_input(fd);
        let offers = offers(fd, input.is_some_and(|input| input.dv_timings));
        let ranked = ranked(&offers, wish);
        let (path, name) = (path.to_path_buf(), format!("{} ({})", capability.card, capability.driver));
        if ranked.is_empty() {
            return Err(VideoError::Unsupported { path, name, offers: listed(ioctl::formats(fd)) });
        }
        let (fallback, lender, events) = (Fallback::default(), kept.lender.clone(), None);
        Ok(Device { path, name, handle, input, offers, ranked, fallback, wish, lender, claim, events })
    }

    /// Subscribes to changes of the source, which many drivers cannot report.
    fn listen(&mut self) {
        let fd = self.handle.fd();
        // The input's number in vivid, 0 in the bridge chips' drivers.
        let input = self.input.map_or(0, |input| input.index);
        let told = [input, 0].into_iter().filter(|id| ioctl::subscribe_source_change(fd, *id).is_ok()).count();
        if told == 0 {
            log::debug!("{} does not report changes of its source", self.path.display());
            return;
        }
        // SAFETY: the handle keeps the descriptor open while this borrow lasts.
        let events = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
        // SAFETY: an `OwnedFd` stays open, and the same, for as long as it lives.
        let register = |events| unsafe { AsyncFd::register_with_interest(events, Interest::PRIORITY) };
        match events.and_then(|events| Ok(register(events)?)) {
            Ok(events) => self.events = Some(events),
            Err(error) => log::warn!("{}: no events, so changes are noticed late: {error}", self.path.display()),
        }
    }

    /// Waits for a change of the source.
    pub async fn changed(&self) -> Result<(), VideoError> {
        let Some(events) = &self.events else { return std::future::pending().await };
        loop {
            let ready = events.ready(Interest::PRIORITY).await;
            let mut ready = ready.map_err(|source| self.error("epoll_wait", source))?;
            // Events merge in the queue, so their number says nothing; after any of them the source is queried again.
            let event =
                ioctl::dequeue_event(self.handle.fd()).map_err(|failure| VideoError::new(&self.path, failure))?;
            if event.is_some() {
                return Ok(());
            }
            ready.clear_ready();
        }
    }

    /// The input's state now.
    pub fn read(&self) -> Result<Reading<Timings>, VideoError> {
        let fd = self.handle.fd();
        let gone = |failure| VideoError::new(&self.path, failure);
        ioctl::capability(fd).map_err(gone)?;
        let Some(input) = self.input else { return Ok(Reading::Mode(None)) };
        if input.dv_timings {
            return match ioctl::query_timings(fd) {
                Err(Failure { errno: Errno::ENOLINK, .. }) => Ok(Reading::NoSignal),
                Err(Failure { errno: Errno::ENOLCK, .. }) => Ok(Reading::NoLock),
                Err(Failure { errno: Errno::ERANGE, .. }) => Ok(Reading::OutOfRange),
                Err(failure @ Failure { errno: Errno::ENODEV | Errno::ENXIO, .. }) => Err(gone(failure)),
                Ok(timings) => Ok(Reading::Mode(Some(timings))),
                // The driver has inputs with timings but cannot detect them.
                Err(_) => Ok(Reading::Mode(None)),
            };
        }
        let status = ioctl::input(fd, input.index).map_err(gone)?.status;
        Ok(if status & NOTHING != 0 {
            Reading::NoSignal
        } else if status & UNSTABLE != 0 {
            Reading::NoLock
        } else {
            Reading::Mode(None)
        })
    }

    /// Adopts the source's mode and starts streaming, in the best of the device's own modes that USB has room for.
    pub fn start(&mut self, now: Instant, watched: bool, timings: Option<Timings>) -> Result<Stream, VideoError> {
        let (mut refused, mut first): (Vec<Offer>, Option<io::Error>) = (Vec::new(), None);
        for at in self.fallback.first(now, watched)..self.ranked.len() {
            let offer = self.ranked[at];
            if refused.iter().any(|refused| !offer.is_lighter_than(refused)) {
                continue;
            }
            let mut started = self.start_in(offer, timings);
            if let Err(VideoError::Io { op: "VIDIOC_STREAMON", source, .. }) = &started
                && may_pass(source)
            {
                started = self.start_in(offer, timings);
            }
            match started {
                Err(VideoError::Io { op: "VIDIOC_STREAMON", source, .. }) if lacks_room(&source) => {
                    log::debug!("{} refused {offer}: {source}", self.path.display());
                    refused.push(offer);
                    first.get_or_insert(source);
                    // Each attempt is a burden to the device.
                    if refused.len() == MOST_ATTEMPTS {
                        break;
                    }
                }
                Err(error) => return Err(error.blame(&self.claim)),
                Ok(stream) => {
                    self.claim.keep_port();
                    self.fallback.streams(now, at, refused.first().zip(first.as_ref()));
                    return Ok(stream);
                }
            }
        }
        let modes = refused.iter().map(Offer::to_string).collect::<Vec<_>>().join(", ");
        let source = first.unwrap_or_else(|| Errno::EINVAL.into());
        self.fallback = Fallback::default();
        Err(VideoError::NoRoom { path: self.path.clone(), modes, source })
    }

    fn start_in(&self, offer: Offer, timings: Option<Timings>) -> Result<Stream, VideoError> {
        let fd = self.handle.fd();
        let refused = |failure| VideoError::new(&self.path, failure);
        let mut size = offer.size.map(|size| (size.width.into(), size.height.into()));
        if let Some(timings) = timings {
            ioctl::set_timings(fd, timings).map_err(refused)?;
            if self.wish == CaptureSize::Auto {
                size = Some(timings.size());
            }
        }
        let format = ioctl::set_format(fd, offer.fourcc, size).map_err(refused)?;
        let unsupported = || {
            let offers = listed([format.fourcc]);
            VideoError::Unsupported { path: self.path.clone(), name: self.name.clone(), offers }
        };
        let coding = Coding::from_fourcc(format.fourcc).ok_or_else(unsupported)?;
        let size = size_of((format.width, format.height)).ok_or_else(unsupported)?;
        if let Some(interval) = ioctl::shortest_interval(fd, format.fourcc, (format.width, format.height)) {
            // The rate is only a request; the real one is measured.
            let _ = ioctl::set_interval(fd, interval);
        }
        let pool = Pool::new(self.handle.clone(), self.lender.clone()).map_err(refused)?;
        ioctl::stream_on(fd).map_err(refused)?;
        // Not before: asking an idle queue for pictures starts the kernel's read() emulation, which keeps it.
        // SAFETY: the handle in a `Descriptor` keeps the same descriptor open for as long as it lives.
        let ready = unsafe { AsyncFd::register_with_interest(Descriptor(self.handle.clone()), PICTURES) };
        let ready = ready.map_err(|error| self.error("epoll_ctl", error.into()))?;
        Ok(Stream { ready, pool, path: self.path.clone(), size, coding, format })
    }

    /// Leaves out so many of its modes, because they gave nothing that could be shown.
    pub fn skip_modes(&mut self, count: usize, why: &str) {
        self.fallback.skip(count, &self.ranked, why);
    }

    /// Whether it may stream in a better mode by now, if it is started again: which interrupts the picture.
    pub fn may_do_better(&self, now: Instant, watched: bool) -> bool {
        self.fallback.is_due(now, watched)
    }

    /// What was chosen among all that it offers, and why.
    pub fn choice(&self, stream: &Stream) -> String {
        let offer = self.offer();
        match self.fallback.setback() {
            Some(setback) => format!("{offer}: {setback}"),
            None => format!("{offer}: {}", outcome(&offer, &self.offers, self.wish, stream.size)),
        }
    }

    fn offer(&self) -> Offer {
        self.ranked[self.fallback.mode()]
    }

    /// Describes where the pictures come from, for people.
    pub fn describe(&self, stream: Option<&Stream>) -> String {
        match stream {
            None => self.name.clone(),
            Some(stream) => format!("{}, {} {}", self.name, stream.size, stream.format.fourcc.escape_ascii()),
        }
    }

    /// The path of its node.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is, for people: its node, and the port by which the configuration can name it.
    pub fn place(&self) -> String {
        match usb_port(&self.path) {
            Some(port) => format!("{} (usb:{port})", self.path.display()),
            None => self.path.display().to_string(),
        }
    }

    fn error(&self, op: &'static str, source: io::Error) -> VideoError {
        VideoError::Io { path: self.path.clone(), op, source }
    }
}

/// A device that streams. When this is dropped, it stops, and can be started again.
pub struct Stream {
    // Dropped before the buffers are given back, for the same reason as it is created after streaming has begun.
    ready: AsyncFd<Descriptor>,
    pool: Pool,
    path: PathBuf,
    size: Size,
    coding: Coding,
    format: Format,
}

impl Stream {
    /// Waits for a picture, and takes the newest if there are several.
    pub async fn newest(&mut self) -> Result<(Filled, Picture), VideoError> {
        loop {
            let ready = self.ready.ready(PICTURES).await;
            let mut ready =
                ready.map_err(|source| VideoError::Io { path: self.path.clone(), op: "epoll_wait", source })?;
            let mut newest: Option<(Filled, Picture)> = None;
            while let Some(next) = self.pool.dequeue().map_err(|failure| VideoError::new(&self.path, failure))? {
                // The previous one is given back here, unused. A damaged one does not replace a good one.
                if newest.is_none() || !(next.0.damaged || next.1.as_ref().is_empty()) {
                    newest = Some(next);
                }
            }
            ready.clear_ready();
            if let Some(newest) = newest {
                return Ok(newest);
            }
        }
    }

    /// Lends out a picture of its own.
    pub fn pin(&self, picture: Picture) -> Pinned {
        self.pool.pin(picture)
    }

    /// Gives a buffer to the driver again, if it is one of this stream's.
    pub fn take_back(&mut self, returned: &Returned) {
        // Failure means that the device has gone, and its buffers with it.
        let _ = self.pool.take_back(returned);
    }

    /// What its pictures are.
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// The size that was negotiated; a JPEG file's own header has precedence.
    pub fn size(&self) -> Size {
        self.size
    }

    /// How raw pictures are laid out.
    pub fn format(&self) -> Format {
        self.format
    }
}

impl Filled {
    /// When the picture was complete: by the driver's clock if that is plausible, else now.
    pub fn captured(&self) -> Instant {
        let now = Instant::now();
        let clock = clock_gettime(ClockId::CLOCK_MONOTONIC).ok().map(Duration::from);
        let age = clock.zip(self.complete).and_then(|(clock, complete)| clock.checked_sub(complete));
        // Instant uses this clock too, but does not expose its zero. No picture waits a second in a queue of six.
        age.filter(|age| *age < Duration::from_secs(1)).and_then(|age| now.checked_sub(age)).unwrap_or(now)
    }
}

/// Errors as well: a queue that breaks reports nothing else.
const PICTURES: Interest = Interest::READABLE.add(Interest::ERROR);
/// Input status flags for no signal.
const NOTHING: u32 = sys::V4L2_IN_ST_NO_POWER | sys::V4L2_IN_ST_NO_SIGNAL | sys::V4L2_IN_ST_NO_CARRIER;
/// Input status flags for a signal that the device cannot lock on to.
const UNSTABLE: u32 = sys::V4L2_IN_ST_NO_H_LOCK | sys::V4L2_IN_ST_NO_V_LOCK | sys::V4L2_IN_ST_NO_SYNC;

/// How many modes are tried in one go until one streams.
const MOST_ATTEMPTS: usize = 4;

/// A handle that the runtime can wait on.
struct Descriptor(Arc<Handle>);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd()
    }
}

/// The input that is connected. One that detects the source's mode is an HDMI socket, and preferred to a webcam's.
fn select_input(fd: RawFd) -> Option<ioctl::Input> {
    let current = ioctl::input(fd, ioctl::current_input(fd).ok()?).ok()?;
    if current.dv_timings {
        return Some(current);
    }
    let socket = ioctl::inputs(fd).find(|input| input.dv_timings);
    socket.filter(|socket| ioctl::select_input(fd, socket.index).is_ok()).or(Some(current))
}

/// All that a device can capture, in formats that we know.
fn offers(fd: RawFd, follows_source: bool) -> Vec<Offer> {
    let mut offers = Vec::new();
    for fourcc in ioctl::formats(fd).filter(|fourcc| Coding::from_fourcc(*fourcc).is_some()) {
        let before = offers.len();
        // Where the source decides the size, a list of all possible sizes says nothing.
        for (width, height) in ioctl::sizes(fd, fourcc).filter(|_| !follows_source) {
            let Some(size) = size_of((width, height)) else { continue };
            let interval = ioctl::shortest_interval(fd, fourcc, (width, height));
            let fps = interval.map(|(numerator, denominator)| denominator as f32 / numerator as f32);
            offers.push(Offer { fourcc, size: Some(size), fps });
        }
        if offers.len() == before {
            offers.push(Offer { fourcc, size: None, fps: None });
        }
    }
    offers
}

/// A size that we can work with.
fn size_of((width, height): (u32, u32)) -> Option<Size> {
    let side = |length: u32| u16::try_from(length).ok().filter(|length| (1..=4096).contains(length));
    Some(Size { width: side(width)?, height: side(height)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_holds_a_busy_device_is_blamed() {
        let (claims, node) = (Claims::default(), Path::new("/dev/farhand-test-0"));
        let seat = SeatId::try_from("main".to_string()).unwrap();
        let busy = || VideoError::new(node, Failure { op: "VIDIOC_S_FMT", errno: Errno::EBUSY });
        let hangs = claims.take(&seat, node).unwrap();
        assert_eq!("/dev/farhand-test-0 is held by another program", busy().blame(&hangs).to_string());
        let next = claims.take(&seat, node).unwrap();
        let words = "/dev/farhand-test-0 is held by our own capture, which its driver keeps waiting: unplug it";
        assert_eq!(words, busy().blame(&next).to_string());
        // It has answered in the end.
        drop(hangs);
        assert!(matches!(busy().blame(&next), VideoError::Busy(_)));
    }
}
