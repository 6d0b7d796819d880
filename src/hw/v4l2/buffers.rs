//! Lends out the driver's buffers as pictures, and gives each back when its last user is done.
//!
//! A picture is worth some hundred kilobytes and may go to dozens of viewers, so it is never copied: its bytes are the
//! driver's own memory, and the drop of the last reference queues the buffer again. The driver must not run out of
//! buffers; so once it has too few, a picture is copied after all. Pictures outlive the stream they came from.

use std::io;
use std::num::NonZeroUsize;
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

/// The buffers of one stream, from its start to its stop.
pub struct Pool(Arc<Generation>);

/// What the buffers of a stream share. Lives until the last picture in them is dropped.
struct Generation {
    maps: Vec<Map>,
    /// How many buffers the driver has.
    queued: AtomicUsize,
    /// The device, until the stream stops. Locked while a buffer is given back, so that none of them can land in the
    /// queue of the next stream, whose buffers go by the same numbers.
    device: Mutex<Option<Arc<Handle>>>,
}

impl Pool {
    /// Takes buffers from a device, maps them and queues them all.
    pub fn new(device: Arc<Handle>) -> Result<Pool, Failure> {
        let fd = device.fd();
        let count = ioctl::request_buffers(fd, WANTED)?;
        let maps = (0..count).map(|index| Map::new(fd, index)).collect::<Result<_, _>>();
        let pool = maps.and_then(|maps| {
            let generation = Generation { maps, queued: AtomicUsize::new(0), device: Mutex::new(Some(device)) };
            (0..count).try_for_each(|index| generation.queue(index))?;
            Ok(Pool(Arc::new(generation)))
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
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
        let Some(map) = self.0.maps.get(filled.index as usize) else {
            return Err(Failure { op: "VIDIOC_DQBUF", errno: nix::errno::Errno::EINVAL });
        };
        // A length beyond the buffer means that the picture is damaged.
        let len = if filled.damaged || map.len < filled.len { 0 } else { filled.len };
        Ok(Some((filled, Picture { generation: self.0.clone(), index: filled.index, len })))
    }

    /// Takes all buffers from the driver; pictures in them stay readable.
    pub fn stop(&self) -> Result<(), Failure> {
        let device = self.0.device.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(device) = device else { return Ok(()) };
        ioctl::stream_off(device.fd())?;
        ioctl::request_buffers(device.fd(), 0).map(drop)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Failure means that the device has gone, and its buffers with it.
        let _ = self.stop();
    }
}

impl Generation {
    /// Gives a buffer to the driver, unless the stream has stopped.
    fn queue(&self, index: u32) -> Result<(), Failure> {
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
    generation: Arc<Generation>,
    index: u32,
    len: usize,
}

impl Picture {
    /// Its first `len` bytes, to be shared: in place, or as a copy if the driver is short of buffers.
    pub fn share(self, len: usize) -> Bytes {
        let len = len.min(self.len);
        if self.generation.queued.load(Ordering::Relaxed) < SPARE {
            Bytes::copy_from_slice(&self.as_ref()[..len])
        } else {
            Bytes::from_owner(self).slice(..len)
        }
    }
}

impl AsRef<[u8]> for Picture {
    fn as_ref(&self) -> &[u8] {
        &self.generation.maps[self.index as usize].bytes()[..self.len]
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // Failure means that the device has gone, and its buffers with it.
        let _ = self.generation.queue(self.index);
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
