//! Lends out the driver's buffers as pictures, and gives each back when its last user is done.
//!
//! A picture is worth some hundred kilobytes and may go to dozens of viewers, so it is never copied: its bytes are the
//! driver's own memory. Whoever drops the last reference, on whatever thread, only puts the buffer into the [`Inbox`]
//! of the capture thread: a driver may keep its caller waiting, and unmapping megabytes takes time as well. That thread
//! queues it again. The driver must not run out of buffers; so once it has too few, a picture is copied after all.
//! Pictures outlive the stream they came from.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use tokio::sync::mpsc;
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

/// As many as can be given back at a time, so that the inbox is never full: of one stream each buffer once, since it is
/// not handed out again before the capture thread has taken it from the inbox, which it does before it starts another
/// stream; of earlier ones those that were lent out, and the one that was looked at. If it were full all the same, a
/// buffer would be missing until the stream is started again.
const INBOX: usize = MOST_BUFFERS as usize + LENDABLE + 1;
/// No driver has more (`VIDEO_MAX_FRAME`).
const MOST_BUFFERS: u32 = 32;

/// What comes to the capture thread from whoever was lent a buffer.
pub struct Inbox(mpsc::Receiver<Returned>);

impl Inbox {
    /// An empty one, and what lends out buffers that come back to it.
    pub fn new() -> (Inbox, Lender) {
        let (inbox, returned) = mpsc::channel(INBOX);
        (Inbox(returned), Lender { inbox, lent: Arc::default() })
    }

    /// Waits for a buffer that is given back.
    pub async fn next(&mut self) -> Returned {
        match self.0.recv().await {
            Some(returned) => returned,
            // Nobody is left who could give anything back.
            None => std::future::pending().await,
        }
    }

    /// A buffer that was given back already.
    pub fn take(&mut self) -> Option<Returned> {
        self.0.try_recv().ok()
    }
}

/// Lends out buffers, and counts those that are, from one stream to the next.
#[derive(Debug, Clone)]
pub struct Lender {
    inbox: mpsc::Sender<Returned>,
    lent: Arc<AtomicUsize>,
}

/// A buffer that is given back. If its stream has ended, its memory is unmapped when this is dropped.
#[derive(Debug)]
pub struct Returned {
    index: u32,
    /// Tells the buffers of one stream from those of the next, which go by the same numbers.
    map: Arc<Map>,
}

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
    /// How many buffers the driver has.
    queued: usize,
    lender: Lender,
    is_stopped: bool,
}

impl Pool {
    /// Takes buffers from a device, maps them and queues them all.
    pub fn new(driver: Arc<dyn Driver>, lender: Lender) -> Result<Pool, Failure> {
        let count = driver.request(WANTED)?;
        // From here on, dropping it gives them back, whatever fails.
        let mut pool = Pool { driver, maps: Vec::new(), queued: 0, lender, is_stopped: false };
        for index in 0..count.min(MOST_BUFFERS) {
            let map = pool.driver.map(index)?;
            pool.maps.push(Arc::new(map));
        }
        for index in 0..count.min(MOST_BUFFERS) {
            pool.queue(index)?;
        }
        Ok(pool)
    }

    fn queue(&mut self, index: u32) -> Result<(), Failure> {
        self.driver.queue(index)?;
        self.queued += 1;
        Ok(())
    }

    /// Takes the oldest filled buffer from the driver. `None`: there is none.
    pub fn dequeue(&mut self) -> Result<Option<(Filled, Picture)>, Failure> {
        let Some(filled) = self.driver.dequeue()? else { return Ok(None) };
        self.queued = self.queued.saturating_sub(1);
        let Some(map) = self.maps.get(filled.index as usize).cloned() else {
            return Err(Failure { op: "VIDIOC_DQBUF", errno: nix::errno::Errno::EINVAL });
        };
        // A length beyond the buffer is a lie; what is in it may be a picture all the same.
        let len = filled.len.min(map.len);
        let (map, lender, index) = (Some(map), self.lender.clone(), filled.index);
        Ok(Some((filled, Picture { map, lender, index, len, is_lent: false })))
    }

    /// Lends out a picture: in place, unless the driver is short of buffers, or too many are lent out.
    pub fn pin(&self, mut picture: Picture) -> Pinned {
        let is_short = self.queued < SPARE || LENDABLE <= self.lender.lent.load(Ordering::Relaxed);
        // What nobody may keep is back in a moment.
        if !is_short {
            picture.lend();
        }
        Pinned::new(Bytes::from_owner(picture), is_short)
    }

    /// Gives a buffer to the driver, if it is one of this stream.
    pub fn take_back(&mut self, returned: &Returned) -> Result<(), Failure> {
        let map = self.maps.get(returned.index as usize).filter(|_| !self.is_stopped);
        let is_ours = map.is_some_and(|map| Arc::ptr_eq(map, &returned.map));
        if is_ours { self.queue(returned.index) } else { Ok(()) }
    }

    /// Takes all buffers from the driver; pictures in them stay readable.
    pub fn stop(&mut self) -> Result<(), Failure> {
        if self.is_stopped {
            return Ok(());
        }
        self.is_stopped = true;
        let stopped = self.driver.stop();
        // Though it failed: whose buffers are not given back owns the queue, as long as a picture keeps the file open.
        let emptied = self.driver.request(0).map(drop);
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

/// A filled buffer, which is ours until it is dropped.
pub struct Picture {
    /// Its own buffer and no other: those that nobody looks at are unmapped when the stream stops. There until it is
    /// given back.
    map: Option<Arc<Map>>,
    lender: Lender,
    index: u32,
    len: usize,
    is_lent: bool,
}

impl Picture {
    fn lend(&mut self) {
        self.is_lent = true;
        self.lender.lent.fetch_add(1, Ordering::Relaxed);
    }
}

impl AsRef<[u8]> for Picture {
    fn as_ref(&self) -> &[u8] {
        self.map.as_ref().map_or(&[], |map| &map.bytes()[..self.len])
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        if self.is_lent {
            self.lender.lent.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(map) = self.map.take() {
            // If the capture thread has ended, so have its streams, and the memory is unmapped here.
            let _ = self.lender.inbox.try_send(Returned { index: self.index, map });
        }
    }
}

/// A buffer in our address space.
#[derive(Debug)]
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
    use std::sync::Mutex;

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
        /// How many buffers it has room for, if that is less than it is asked for.
        most: Option<u32>,
    }

    impl Driver for Played {
        fn request(&self, count: u32) -> Result<u32, Failure> {
            let mut state = self.0.lock().unwrap();
            assert!(count == 0 || state.count == 0, "the buffers of the stream before were not given back");
            state.queued.clear();
            let count = count.min(state.most.unwrap_or(count));
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
        let (driver, (mut inbox, lender), mut dice) = (Arc::new(Played::default()), Inbox::new(), Dice(seed));
        let start = || Pool::new(driver.clone(), lender.clone()).unwrap();
        let (mut pool, mut held, mut waiting): (_, Vec<Held>, Vec<Picture>) = (start(), Vec::new(), Vec::new());
        // What was taken from the inbox, to be looked at.
        let mut returned: Vec<Returned> = Vec::new();
        for _ in 0..500 {
            match dice.roll(14) {
                0 => {
                    read(&mut inbox, &mut returned, &mut pool);
                    driver.0.lock().unwrap().refuses_to_stop = dice.roll(2) == 0;
                    drop(pool);
                    pool = start();
                }
                1..6 => {
                    if let Some((filled, picture)) = pool.dequeue().unwrap() {
                        let is = [driver.0.lock().unwrap().stream, filled.index as u8];
                        assert_eq!(is, picture.as_ref());
                        match dice.roll(3) {
                            // Some are not lent out at once, and some never.
                            0 => waiting.push(picture),
                            _ if held.len() < patience => held.push(Held { bytes: pool.pin(picture).share(0..9), is }),
                            _ => (),
                        }
                    }
                }
                6..9 if !held.is_empty() => {
                    let queued = driver.0.lock().unwrap().queued.clone();
                    drop(held.swap_remove(dice.roll(held.len())));
                    assert_eq!(queued, driver.0.lock().unwrap().queued, "a viewer has called the driver");
                }
                9 => waiting.clear(),
                10..13 => read(&mut inbox, &mut returned, &mut pool),
                _ => (),
            }
            // Nobody but us takes anything out, so what is in it can be looked at in between.
            returned.extend(std::iter::from_fn(|| inbox.take()));
            assert!(lender.lent.load(Ordering::Relaxed) <= LENDABLE);
            held.iter().for_each(|held| assert_eq!(held.is, held.bytes[..], "a viewer's picture has changed"));
            let state = driver.0.lock().unwrap();
            let queued: BTreeSet<_> = state.queued.iter().copied().collect();
            assert_eq!(queued.len(), pool.queued, "not counted as the driver does");
            let is_ours = |map: &Arc<Map>| pool.maps.iter().any(|one| Arc::ptr_eq(one, map));
            let lent = held.iter().filter(|held| held.is[0] == state.stream).map(|held| u32::from(held.is[1]));
            let waits = waiting.iter().filter(|one| one.map.as_ref().is_some_and(is_ours)).map(|one| one.index);
            let back = returned.iter().filter(|one| is_ours(&one.map)).map(|one| one.index);
            let known: BTreeSet<_> = queued.iter().copied().chain(lent).chain(waits).chain(back).collect();
            assert_eq!((0..state.count).collect::<BTreeSet<_>>(), known, "a buffer is lost");
        }
        drop((held, waiting));
        read(&mut inbox, &mut returned, &mut pool);
        assert_eq!(0, lender.lent.load(Ordering::Relaxed));
        assert_eq!(WANTED as usize, driver.0.lock().unwrap().queued.len(), "all come back in the end");
    }

    /// What the capture thread does when it goes round.
    fn read(inbox: &mut Inbox, returned: &mut Vec<Returned>, pool: &mut Pool) {
        returned.extend(std::iter::from_fn(|| inbox.take()));
        assert!(returned.len() <= INBOX);
        returned.drain(..).for_each(|returned| pool.take_back(&returned).unwrap());
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
    fn a_coder_that_takes_its_time_never_leaves_the_driver_without_a_buffer() {
        for most in 2..=WANTED {
            let (driver, (mut inbox, lender)) = (Arc::new(Played::default()), Inbox::new());
            driver.0.lock().unwrap().most = Some(most);
            let mut pool = Pool::new(driver.clone(), lender).unwrap();
            let (mut coded, mut waits, mut copies) = (None, None, 0);
            for turn in 0..100 {
                while let Some(returned) = inbox.take() {
                    pool.take_back(&returned).unwrap();
                }
                let (_, picture) = pool.dequeue().unwrap().expect("the driver has no picture");
                let place = picture.as_ref().as_ptr();
                let pixels = pool.pin(picture).share(0..2);
                copies += usize::from(place != pixels.as_ptr());
                assert!(1 <= pool.queued, "{most}: the driver has no room for the next");
                waits = Some(pixels);
                if turn % 10 == 0 {
                    coded = waits.take();
                }
            }
            assert_eq!(most < WANTED, 0 < copies, "{most}: {copies}");
            drop((coded, waits));
        }
    }

    #[test]
    fn pictures_that_outlive_their_stream_keep_their_own_buffers_only() {
        let (driver, (mut inbox, lender)) = (Arc::new(Played::default()), Inbox::new());
        let mut held = Vec::new();
        let mut maps = Vec::new();
        for _ in 0..9 {
            while inbox.take().is_some() {}
            let mut pool = Pool::new(driver.clone(), lender.clone()).unwrap();
            maps.extend(pool.maps.iter().map(Arc::downgrade));
            let (_, picture) = pool.dequeue().unwrap().unwrap();
            held.push(pool.pin(picture).share(0..2));
        }
        while inbox.take().is_some() {}
        let mapped = || maps.iter().filter(|map| 0 < map.strong_count()).count();
        assert_eq!(LENDABLE, mapped(), "of nine pictures, the others are copies");
        held.clear();
        assert_eq!(LENDABLE, mapped(), "a viewer has unmapped memory, which is the capture thread's work");
        while inbox.take().is_some() {}
        assert_eq!(0, mapped());
    }

    #[test]
    fn what_outlives_the_capture_thread_is_unmapped_by_whoever_had_it() {
        let (inbox, lender) = Inbox::new();
        let mut pool = Pool::new(Arc::new(Played::default()), lender).unwrap();
        let (_, picture) = pool.dequeue().unwrap().unwrap();
        let map = Arc::downgrade(&pool.maps[picture.index as usize]);
        let held = pool.pin(picture).share(0..2);
        drop((pool, inbox));
        assert_eq!(1, map.strong_count());
        drop(held);
        assert_eq!(0, map.strong_count());
    }

    #[tokio::test]
    async fn a_buffer_that_is_given_back_wakes_the_capture_thread() {
        let (mut inbox, lender) = Inbox::new();
        let mut pool = Pool::new(Arc::new(Played::default()), lender).unwrap();
        let (filled, picture) = pool.dequeue().unwrap().unwrap();
        let held = pool.pin(picture).share(0..2);
        let viewer = std::thread::spawn(move || drop(held));
        assert_eq!(filled.index, inbox.next().await.index);
        viewer.join().unwrap();
    }

    #[test]
    fn a_part_beyond_the_picture_is_none() {
        let mut pool = Pool::new(Arc::new(Played::default()), Inbox::new().1).unwrap();
        for (part, expected) in [(0..2, &[1, 0][..]), (1..9, &[0]), (5..9, &[])] {
            let (_, picture) = pool.dequeue().unwrap().unwrap();
            let index = picture.index as u8;
            let expected: Vec<u8> = expected.iter().map(|byte| if *byte == 0 { index } else { *byte }).collect();
            assert_eq!(expected, pool.pin(picture).share(part));
        }
    }
}
