//! Finds a capture device, and makes it stream in the best of its modes.
//!
//! A device is a receiver, which knows what arrives, and a queue, which gives pictures. With all that we know the same
//! node is both. Devices report wrong values and drivers differ, so whatever a driver cannot report (sizes, rates,
//! events, DV timings) counts as unknown, and only what capture needs is an error.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::errno::Errno;
use v4l::capability::Flags;

use super::buffers::Lender;
use super::claims::{Claim, Claims, nodes, usb_port};
use super::error::VideoError;
use super::fallback::{Fallback, lacks_room, may_pass};
use super::ioctl::{self, Failure, Timings};
use super::queue::{Queue, Stream};
use super::receiver::Receiver;
use crate::base::seat_id::SeatId;
use crate::config::{self, CaptureSize};
use crate::video::choice::{Coding, Offer, outcome, ranked};

/// An open capture device.
pub struct Device {
    receiver: Receiver,
    queue: Queue,
    /// All that it offers, and of that what we can use, the best first.
    offers: Vec<Offer>,
    ranked: Vec<Offer>,
    /// Which of the latter is used.
    fallback: Fallback,
    wish: CaptureSize,
    claim: Claim,
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
        device.receiver.listen();
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
        let capability = match ioctl::capability(handle.fd()) {
            Err(Failure { errno: Errno::ENOTTY, .. }) => return Err(VideoError::Unsuitable(path.into())),
            answer => answer.map_err(|failure| VideoError::new(path, failure))?,
        };
        // Codecs take pictures as well as giving them; metadata nodes give none.
        let suitable = capability.flags.contains(Flags::VIDEO_CAPTURE | Flags::STREAMING)
            && !capability.flags.intersects(Flags::VIDEO_M2M | Flags::VIDEO_OUTPUT);
        if !suitable {
            return Err(VideoError::Unsuitable(path.into()));
        }
        let name = format!("{} ({})", capability.card, capability.driver);
        let receiver = Receiver::new(path, handle.clone());
        let queue = Queue::new(path, name, handle, kept.lender.clone());
        let offers = queue.offers(receiver.follows_source());
        let ranked = ranked(&offers, wish);
        if ranked.is_empty() {
            return Err(queue.refusal());
        }
        Ok(Device { receiver, queue, offers, ranked, fallback: Fallback::default(), wish, claim })
    }

    /// What answers what arrives.
    pub fn receiver(&self) -> &Receiver {
        &self.receiver
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
                    log::debug!("{} refused {offer}: {source}", self.path().display());
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
        Err(VideoError::NoRoom { path: self.path().into(), modes, source })
    }

    fn start_in(&self, offer: Offer, timings: Option<Timings>) -> Result<Stream, VideoError> {
        let mut size = offer.size.map(|size| (size.width.into(), size.height.into()));
        if let Some(timings) = timings {
            self.receiver.adopt(timings)?;
            if self.wish == CaptureSize::Auto {
                size = Some(timings.size());
            }
        }
        self.queue.start(offer.fourcc, size)
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
            None => format!("{offer}: {}", outcome(&offer, &self.offers, self.wish, stream.size())),
        }
    }

    fn offer(&self) -> Offer {
        self.ranked[self.fallback.mode()]
    }

    /// Describes where the pictures come from, for people.
    pub fn describe(&self, stream: Option<&Stream>) -> String {
        match stream {
            None => self.queue.name().into(),
            Some(stream) => {
                format!("{}, {} {}", self.queue.name(), stream.size(), stream.format().fourcc.escape_ascii())
            }
        }
    }

    /// The path of its node.
    pub fn path(&self) -> &Path {
        self.queue.path()
    }

    /// Where it is, for people: its node, and the port by which the configuration can name it.
    pub fn place(&self) -> String {
        match usb_port(self.path()) {
            Some(port) => format!("{} (usb:{port})", self.path().display()),
            None => self.path().display().to_string(),
        }
    }
}

/// How many modes are tried in one go until one streams.
const MOST_ATTEMPTS: usize = 4;

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
