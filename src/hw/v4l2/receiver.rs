//! Tells what arrives at a device: whether anything does, in which mode, and when that changes.
//!
//! It is a type of its own, apart from the queue that gives the pictures: what receives the signal may have another
//! node than what puts pictures into memory. Drivers differ, so whatever one cannot report counts as unknown.

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use v4l::device::Handle;
use v4l2_sys_mit as sys;

use super::error::VideoError;
use super::ioctl::{self, Failure, Timings};
use crate::video::signal::Reading;

/// Input status flags for no signal.
const NOTHING: u32 = sys::V4L2_IN_ST_NO_POWER | sys::V4L2_IN_ST_NO_SIGNAL | sys::V4L2_IN_ST_NO_CARRIER;
/// Input status flags for a signal that the device cannot lock on to.
const UNSTABLE: u32 = sys::V4L2_IN_ST_NO_H_LOCK | sys::V4L2_IN_ST_NO_V_LOCK | sys::V4L2_IN_ST_NO_SYNC;

/// What receives the signal.
pub struct Receiver {
    path: PathBuf,
    handle: Arc<Handle>,
    /// The connected input, on devices that have inputs.
    input: Option<ioctl::Input>,
    /// Wakes when the source changes, on drivers that report it. A descriptor of its own: where pictures come from the
    /// same one, interest in events would also be interest in pictures, and polling for pictures before a stream has
    /// begun makes the kernel start its read() emulation.
    events: Option<AsyncFd<OwnedFd>>,
}

impl Receiver {
    /// The receiver behind a node that is open, with its best input connected.
    pub fn new(path: &Path, handle: Arc<Handle>) -> Receiver {
        let input = select_input(handle.fd());
        Receiver { path: path.into(), handle, input, events: None }
    }

    /// Whether it detects the source's mode, which then decides the size of the pictures.
    pub fn follows_source(&self) -> bool {
        self.input.is_some_and(|input| input.dv_timings)
    }

    /// Subscribes to changes of the source, which many drivers cannot report.
    pub fn listen(&mut self) {
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
            let mut ready = ready.map_err(|source| {
                let path = self.path.clone();
                VideoError::Io { path, op: "epoll_wait", source }
            })?;
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

    /// Expects a mode from now on. Fails while pictures are streamed.
    pub fn adopt(&self, timings: Timings) -> Result<(), VideoError> {
        ioctl::set_timings(self.handle.fd(), timings).map_err(|failure| VideoError::new(&self.path, failure))
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
