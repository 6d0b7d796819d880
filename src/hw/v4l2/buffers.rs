//! Lends out the driver's buffers as pictures, and gives each back when its last user is done.
//!
//! A picture is worth some hundred kilobytes and may go to dozens of viewers, so it is never copied: its bytes are the
//! driver's own memory, and the drop of the last reference queues the buffer again. The driver must not run out of
//! buffers; so once it has too few, a picture is copied after all. Pictures outlive the stream they came from.

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::fd::{BorrowedFd, RawFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use v4l::device::Handle;

use super::ioctl::{self, Failure, Filled};

/// One being written, two in reserve, three with viewers.
const WANTED: u32 = 6;
/// With fewer the driver drops pictures: one is being written and one must be ready.
const SPARE: usize = 3;
/// How many buffers viewers may hold, of all streams together. A viewer that stalls keeps its picture for half a
/// minute, in which a bad dongle is restarted many times, and each buffer is worth several megabytes.
const LENDABLE: usize = WANTED as usize - SPARE;

/// Counts the buffers that are lent out, from one stream to the next.
#[derive(Debug, Clone, Default)]
pub struct Loans(Arc<AtomicUsize>);

/// The buffers of one stream, from its start to its stop.
pub struct Pool {
    maps: Vec<Arc<Map>>,
    queue: Arc<Queue>,
}

/// The driver's queue, during one stream.
struct Queue {
    /// How many buffers the driver has.
    queued: AtomicUsize,
    /// The device, until the stream stops. Locked while a buffer is given back, so that none of them can land in the
    /// queue of the next stream, whose buffers go by the same numbers.
    device: Mutex<Option<Arc<Handle>>>,
    loans: Loans,
}

impl Pool {
    /// Takes buffers from a device, maps them and queues them all.
    pub fn new(device: Arc<Handle>, loans: Loans) -> Result<Pool, Failure> {
        let fd = device.fd();
        let count = ioctl::request_buffers(fd, WANTED)?;
        let maps = (0..count).map(|index| Map::new(fd, index).map(Arc::new)).collect::<Result<_, _>>();
        let pool = maps.and_then(|maps| {
            let queue = Queue { queued: AtomicUsize::new(0), device: Mutex::new(Some(device)), loans };
            (0..count).try_for_each(|index| queue.take(index))?;
            Ok(Pool { maps, queue: Arc::new(queue) })
        });
        if pool.is_err() {
            // If this fails, the device has gone; the error above is returned anyway.
            let _ = ioctl::request_buffers(fd, 0);
        }
        pool
    }

    /// Takes the oldest filled buffer from the driver. `None`: there is none.
    pub fn dequeue(&self, fd: RawFd) -> Result<Option<(Filled, Picture)>, Failure> {
        let Some(filled) = ioctl::dequeue_buffer(fd)? else { return Ok(None) };
        self.queue.queued.fetch_sub(1, Ordering::Relaxed);
        let Some(map) = self.maps.get(filled.index as usize) else {
            return Err(Failure { op: "VIDIOC_DQBUF", errno: nix::errno::Errno::EINVAL });
        };
        // A length beyond the buffer is a lie; what is in it may be a picture all the same.
        let len = filled.len.min(map.len);
        Ok(Some((filled, Picture { map: map.clone(), queue: self.queue.clone(), index: filled.index, len })))
    }

    /// Takes all buffers from the driver; pictures in them stay readable.
    pub fn stop(&self) -> Result<(), Failure> {
        let device = self.queue.device.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(device) = device else { return Ok(()) };
        let stopped = ioctl::stream_off(device.fd());
        // Though it failed: whose buffers are not given back owns the queue, as long as a picture keeps the file open.
        let emptied = ioctl::request_buffers(device.fd(), 0).map(drop);
        stopped.and(emptied)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Err(Failure { op, errno }) = self.stop() {
            // Most often the device has gone, and its buffers with it.
            log::debug!("{op}: {}", io::Error::from(errno));
        }
    }
}

impl Queue {
    /// Gives a buffer to the driver, unless the stream has stopped.
    fn take(&self, index: u32) -> Result<(), Failure> {
        let device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = &*device {
            // Counted before: the driver may have filled it by the time the call returns.
            self.queued.fetch_add(1, Ordering::Relaxed);
            ioctl::queue_buffer(device.fd(), index)?;
        }
        Ok(())
    }
}

/// A filled buffer, which is ours until it is dropped.
pub struct Picture {
    // Its own buffer and no other: those that nobody looks at are unmapped when the stream stops.
    map: Arc<Map>,
    queue: Arc<Queue>,
    index: u32,
    len: usize,
}

impl Picture {
    /// A part of it, to be shared: in place, or as a copy if the driver is short of buffers.
    pub fn share(self, part: Range<usize>) -> Bytes {
        let (end, start) = (part.end.min(self.len), part.start.min(self.len));
        let part = start.min(end)..end;
        let lent = self.queue.loans.0.load(Ordering::Relaxed);
        if self.queue.queued.load(Ordering::Relaxed) < SPARE || LENDABLE <= lent {
            Bytes::copy_from_slice(&self.as_ref()[part])
        } else {
            Bytes::from_owner(Lent::new(self)).slice(part)
        }
    }
}

impl AsRef<[u8]> for Picture {
    fn as_ref(&self) -> &[u8] {
        &self.map.bytes()[..self.len]
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // Failure means that the device has gone, and its buffers with it.
        let _ = self.queue.take(self.index);
    }
}

/// A picture that is counted among those lent out.
struct Lent(Picture);

impl Lent {
    fn new(picture: Picture) -> Lent {
        picture.queue.loans.0.fetch_add(1, Ordering::Relaxed);
        Lent(picture)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.queue.loans.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A buffer in our address space.
struct Map {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to no thread, and nobody writes to it: we map it read-only, and the driver does not have
// it while a `Picture` lends it out.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    fn new(fd: RawFd, index: u32) -> Result<Map, Failure> {
        let (offset, len) = ioctl::buffer_place(fd, index)?;
        let failed = |errno| Failure { op: "mmap", errno };
        let length = NonZeroUsize::new(len).ok_or(failed(nix::errno::Errno::EINVAL))?;
        // SAFETY: the caller holds the device's handle, which keeps this descriptor open.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        // SAFETY: a new shared mapping at an address that the kernel chooses; it is unmapped in `drop` and nowhere
        // else.
        let start = unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, fd, offset.into()) };
        Ok(Map { start: start.map_err(failed)?.cast(), len })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for this length until `drop`. Only a `Picture` reads it, while the buffer is out of the
        // driver's queue; after the stream has stopped nobody writes to it at all.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` for this length, and every slice of it borrows from `self`.
        let unmapped = unsafe { munmap(self.start.cast(), self.len) };
        if let Err(errno) = unmapped {
            log::debug!("munmap: {}", io::Error::from(errno));
        }
    }
}
