//! Takes pictures from a device's queue: lists what it offers, sets a format, and streams.
//!
//! What arrives at the device is not asked here: see [`Receiver`](super::receiver::Receiver).

use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use v4l::device::Handle;

use super::buffers::{Lender, Picture, Pool, Returned};
use super::error::VideoError;
use super::ioctl::{self, Filled, Format};
use crate::base::signal::Size;
use crate::ports::Pinned;
use crate::video::choice::{Coding, Offer, listed};

/// Errors as well: a queue that breaks reports nothing else.
const PICTURES: Interest = Interest::READABLE.add(Interest::ERROR);

/// What gives the pictures.
pub struct Queue {
    path: PathBuf,
    /// The device's own name, and its driver's.
    name: String,
    handle: Arc<Handle>,
    lender: Lender,
}

impl Queue {
    /// The queue behind a node that is open, whose buffers are lent out so.
    pub fn new(path: &Path, name: String, handle: Arc<Handle>, lender: Lender) -> Queue {
        Queue { path: path.into(), name, handle, lender }
    }

    /// The path of its node.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the device calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All that it can capture, in formats that we know. `follows_source`: the source decides the size.
    pub fn offers(&self, follows_source: bool) -> Vec<Offer> {
        let fd = self.handle.fd();
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

    /// Names what it offers, none of which we know.
    pub fn refusal(&self) -> VideoError {
        self.unsupported(ioctl::formats(self.handle.fd()))
    }

    fn unsupported(&self, formats: impl IntoIterator<Item = [u8; 4]>) -> VideoError {
        VideoError::Unsupported { path: self.path.clone(), name: self.name.clone(), offers: listed(formats) }
    }

    /// Starts streaming in a format, in the given size or else in the device's own.
    pub fn start(&self, fourcc: [u8; 4], size: Option<(u32, u32)>) -> Result<Stream, VideoError> {
        let fd = self.handle.fd();
        let refused = |failure| VideoError::new(&self.path, failure);
        let format = ioctl::set_format(fd, fourcc, size).map_err(refused)?;
        let unsupported = || self.unsupported([format.fourcc]);
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
        let ready = ready.map_err(|error| {
            let (path, source) = (self.path.clone(), error.into());
            VideoError::Io { path, op: "epoll_ctl", source }
        })?;
        Ok(Stream { ready, pool, path: self.path.clone(), size, coding, format })
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

/// A handle that the runtime can wait on.
struct Descriptor(Arc<Handle>);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd()
    }
}

/// A size that we can work with.
fn size_of((width, height): (u32, u32)) -> Option<Size> {
    let side = |length: u32| u16::try_from(length).ok().filter(|length| (1..=4096).contains(length));
    Some(Size { width: side(width)?, height: side(height)? })
}
