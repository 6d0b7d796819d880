//! Lends out the driver's buffers as pictures, and gives each back when its last user is done.
//!
//! A picture is worth some hundred kilobytes and may go to dozens of viewers, so it is never copied: its bytes are the
//! driver's own memory, and the drop of the last reference queues the buffer again. The driver must not run out of
//! buffers; so once it has too few, a picture is copied after all. Pictures outlive the stream they came from.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use v4l::device::Handle;

use super::ioctl::{self, Failure, Filled};
use crate::ports::Pinned;

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

/// What is asked of the driver of a device.
pub trait Driver: Send + Sync {
    /// Requests buffers and returns how many there are; a `count` of 0 gives all of them back.
    fn request(&self, count: u32) -> Result<u32, Failure>;
    /// Puts a buffer into our address space.
    fn map(&self, index: u32) -> Result<Map, Failure>;
    /// Gives it a buffer.
    fn queue(&self, index: u32) -> Result<(), Failure>;
    /// Takes the oldest filled buffer. `None`: there is none.
    fn dequeue(&self) -> Result<Option<Filled>, Failure>;
    /// Ends the stream, and takes every buffer.
    fn stop(&self) -> Result<(), Failure>;
}

impl Driver for Handle {
    fn request(&self, count: u32) -> Result<u32, Failure> {
        ioctl::request_buffers(self.fd(), count)
    }

    fn map(&self, index: u32) -> Result<Map, Failure> {
        let (offset, len) = ioctl::buffer_place(self.fd(), index)?;
        // SAFETY: we hold the handle, which keeps this descriptor open.
        Map::new(unsafe { BorrowedFd::borrow_raw(self.fd()) }, offset, len)
    }

    fn queue(&self, index: u32) -> Result<(), Failure> {
        ioctl::queue_buffer(self.fd(), index)
    }

    fn dequeue(&self) -> Result<Option<Filled>, Failure> {
        ioctl::dequeue_buffer(self.fd())
    }

    fn stop(&self) -> Result<(), Failure> {
        ioctl::stream_off(self.fd())
    }
}

/// The buffers of one stream, from its start to its stop.
pub struct Pool {
    driver: Arc<dyn Driver>,
    maps: Vec<Arc<Map>>,
    queue: Arc<Queue>,
}

/// The driver's queue, during one stream.
struct Queue {
    /// How many buffers the driver has.
    queued: AtomicUsize,
    /// The device, until the stream stops. Locked while a buffer is given back, so that none of them can land in the
    /// queue of the next stream, whose buffers go by the same numbers.
    device: Mutex<Option<Arc<dyn Driver>>>,
    loans: Loans,
}

impl Pool {
    /// Takes buffers from a device, maps them and queues them all.
    pub fn new(driver: Arc<dyn Driver>, loans: Loans) -> Result<Pool, Failure> {
        let count = driver.request(WANTED)?;
        let maps = (0..count).map(|index| driver.map(index).map(Arc::new)).collect::<Result<_, _>>();
        let pool = maps.and_then(|maps| {
            let queue = Queue { queued: AtomicUsize::new(0), device: Mutex::new(Some(driver.clone())), loans };
            (0..count).try_for_each(|index| queue.take(index))?;
            Ok(Pool { driver: driver.clone(), maps, queue: Arc::new(queue) })
        });
        if pool.is_err() {
            // If this fails, the device has gone; the error above is returned anyway.
            let _ = driver.request(0);
        }
        pool
    }

    /// Takes the oldest filled buffer from the driver. `None`: there is none.
    pub fn dequeue(&self) -> Result<Option<(Filled, Picture)>, Failure> {
        let Some(filled) = self.driver.dequeue()? else { return Ok(None) };
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
        let stopped = device.stop();
        // Though it failed: whose buffers are not given back owns the queue, as long as a picture keeps the file open.
        let emptied = device.request(0).map(drop);
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
            device.queue(index)?;
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
    /// Lends it out: in place, unless the driver is short of buffers, or too many are lent out.
    pub fn pin(self) -> Pinned {
        let lent = self.queue.loans.0.load(Ordering::Relaxed);
        let is_short = self.queue.queued.load(Ordering::Relaxed) < SPARE || LENDABLE <= lent;
        // What nobody may keep is back in a moment.
        Pinned::new(if is_short { Bytes::from_owner(self) } else { Bytes::from_owner(Lent::new(self)) }, is_short)
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
pub struct Map {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to no thread, and nobody writes to it: we map it read-only, and the driver does not have
// it while a `Picture` lends it out.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    fn new(fd: BorrowedFd, offset: u32, len: usize) -> Result<Map, Failure> {
        let failed = |errno| Failure { op: "mmap", errno };
        let length = NonZeroUsize::new(len).ok_or(failed(nix::errno::Errno::EINVAL))?;
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    use super::*;

    /// A page is the least that can be mapped.
    const LEN: usize = 4096;

    /// A driver that remembers who has which buffer, and panics where a real one would break.
    #[derive(Default)]
    struct Played(Mutex<State>);

    #[derive(Default)]
    struct State {
        /// The buffers of the current stream; each begins with the stream's number and its own.
        file: Option<File>,
        stream: u8,
        count: u32,
        queued: VecDeque<u32>,
        refuses_to_stop: bool,
    }

    impl Driver for Played {
        fn request(&self, count: u32) -> Result<u32, Failure> {
            let mut state = self.0.lock().unwrap();
            assert!(count == 0 || state.count == 0, "the buffers of the stream before were not given back");
            state.queued.clear();
            state.count = count;
            if 0 < count {
                let file = tempfile::tempfile().unwrap();
                file.set_len(u64::from(count) * LEN as u64).unwrap();
                state.stream += 1;
                for index in 0..count {
                    file.write_all_at(&[state.stream, index as u8], u64::from(index) * LEN as u64).unwrap();
                }
                state.file = Some(file);
            }
            Ok(count)
        }

        fn map(&self, index: u32) -> Result<Map, Failure> {
            Map::new(self.0.lock().unwrap().file.as_ref().unwrap().as_fd(), index * LEN as u32, LEN)
        }

        fn queue(&self, index: u32) -> Result<(), Failure> {
            let mut state = self.0.lock().unwrap();
            assert!(index < state.count && !state.queued.contains(&index), "{index} is queued twice, or unknown");
            state.queued.push_back(index);
            Ok(())
        }

        fn dequeue(&self) -> Result<Option<Filled>, Failure> {
            let index = self.0.lock().unwrap().queued.pop_front();
            Ok(index.map(|index| Filled { index, len: 2, damaged: false, complete: None }))
        }

        fn stop(&self) -> Result<(), Failure> {
            let mut state = self.0.lock().unwrap();
            state.queued.clear();
            let failure = Failure { op: "VIDIOC_STREAMOFF", errno: nix::errno::Errno::EIO };
            if state.refuses_to_stop { Err(failure) } else { Ok(()) }
        }
    }

    /// What a viewer may hold: a picture, and which it must be.
    struct Held {
        bytes: Bytes,
        is: [u8; 2],
    }

    /// Numbers without a pattern, the same in every run.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % sides
        }
    }

    /// Plays a stream with viewers that hold up to `patience` pictures, through many restarts.
    fn play(seed: u64, patience: usize) {
        let (driver, loans, mut dice) = (Arc::new(Played::default()), Loans::default(), Dice(seed));
        let start = || Pool::new(driver.clone(), loans.clone()).unwrap();
        let (mut pool, mut held, mut waiting): (_, Vec<Held>, Vec<Picture>) = (start(), Vec::new(), Vec::new());
        for _ in 0..500 {
            match dice.roll(12) {
                0 => {
                    driver.0.lock().unwrap().refuses_to_stop = dice.roll(2) == 0;
                    drop(pool);
                    pool = start();
                }
                1..6 => {
                    if let Some((filled, picture)) = pool.dequeue().unwrap() {
                        let is = [driver.0.lock().unwrap().stream, filled.index as u8];
                        assert_eq!(is, picture.as_ref());
                        match dice.roll(3) {
                            // Some are not shared at once, and some never.
                            0 => waiting.push(picture),
                            _ if held.len() < patience => held.push(Held { bytes: picture.pin().share(0..9), is }),
                            _ => (),
                        }
                    }
                }
                6..9 if !held.is_empty() => _ = held.swap_remove(dice.roll(held.len())),
                9 => waiting.clear(),
                _ => (),
            }
            assert!(loans.0.load(Ordering::Relaxed) <= LENDABLE);
            held.iter().for_each(|held| assert_eq!(held.is, held.bytes[..], "a viewer's picture has changed"));
            let state = driver.0.lock().unwrap();
            let queued: BTreeSet<_> = state.queued.iter().copied().collect();
            let lent = held.iter().filter(|held| held.is[0] == state.stream).map(|held| u32::from(held.is[1]));
            let waits = waiting.iter().filter(|one| Arc::ptr_eq(&one.queue, &pool.queue)).map(|one| one.index);
            let known: BTreeSet<_> = queued.iter().copied().chain(lent).chain(waits).collect();
            assert_eq!((0..state.count).collect::<BTreeSet<_>>(), known, "a buffer is lost");
        }
        drop((held, waiting));
        assert_eq!(0, loans.0.load(Ordering::Relaxed));
        assert_eq!(WANTED as usize, driver.0.lock().unwrap().queued.len(), "all come back in the end");
    }

    #[test]
    fn no_buffer_is_lost_or_queued_twice_or_in_another_stream_whatever_viewers_do() {
        for seed in 0..40 {
            for patience in [0, 1, 3, 6, 20] {
                play(seed, patience);
            }
        }
    }

    #[test]
    fn pictures_that_outlive_their_stream_keep_their_own_buffers_only() {
        let driver = Arc::new(Played::default());
        let loans = Loans::default();
        let mut held = Vec::new();
        let mut maps = Vec::new();
        for _ in 0..9 {
            let pool = Pool::new(driver.clone(), loans.clone()).unwrap();
            maps.extend(pool.maps.iter().map(Arc::downgrade));
            held.push(pool.dequeue().unwrap().unwrap().1.pin().share(0..2));
        }
        let mapped = maps.iter().filter(|map| 0 < map.strong_count()).count();
        assert_eq!(LENDABLE, mapped, "of nine pictures, the others are copies");
        held.clear();
        assert!(maps.iter().all(|map| map.strong_count() == 0));
    }

    #[test]
    fn a_part_beyond_the_picture_is_none() {
        let pool = Pool::new(Arc::new(Played::default()), Loans::default()).unwrap();
        for (part, expected) in [(0..2, &[1, 0][..]), (1..9, &[0]), (5..9, &[])] {
            let (_, picture) = pool.dequeue().unwrap().unwrap();
            let index = picture.index as u8;
            let expected: Vec<u8> = expected.iter().map(|byte| if *byte == 0 { index } else { *byte }).collect();
            assert_eq!(expected, picture.pin().share(part));
        }
    }
}
