//! Simulates a capture device: fills the buffers that a server queues, thirty times a second, and stamps each with the
//! time.
//!
//! The server's side is device.c, preloaded into it; it describes what the two share. The stamp is written last, when a
//! driver would report the buffer as complete.

use std::error::Error;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use nix::unistd::{ftruncate, pipe2, read, write};

use crate::pictures::{HEIGHT, Stamp, WIDTH};
use crate::schedule;

/// The rate of a dongle at 1080p.
pub const FRAMES_PER_SECOND: u32 = 30;
/// Room for any of our pictures, in whole pages.
const BUFFER_BYTES: usize = 1 << 20;
const CONTROL_BYTES: usize = 4096;
const MOST_BUFFERS: usize = 32;

/// Must be the same as the structure in device.c.
#[repr(C)]
struct Control {
    width: AtomicU32,
    height: AtomicU32,
    frames_per_second: AtomicU32,
    buffer_bytes: AtomicU32,
    streaming: AtomicU32,
    generation: AtomicU32,
    filled: [Filled; MOST_BUFFERS],
}

#[repr(C)]
struct Filled {
    completed_nanos: AtomicU64,
    bytes: AtomicU32,
    sequence: AtomicU32,
}

const _: () = assert!(size_of::<Control>() <= CONTROL_BYTES);

/// Nanoseconds of the clock that both sides and all clients read.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has a monotonic clock");
    Duration::from(time).as_nanos() as u64
}

/// Builds the library that is preloaded into the servers.
pub fn build_preload(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let library = folder.join("device.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/device.c");
    let status =
        Command::new("cc").args(["-O2", "-Wall", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status()?;
    if !status.success() {
        return Err(format!("cc could not build {}", source.display()).into());
    }
    Ok(library)
}

/// A device, streaming whenever its server wants, until dropped.
pub struct Device {
    /// The server's ends, which it inherits. Kept open so that an early exit of the server causes no broken pipe here.
    inherited: [OwnedFd; 3],
    missed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Device {
    /// Starts a device that shows these pictures in turn.
    pub fn new(pictures: Arc<Vec<Vec<u8>>>) -> Result<Device, Box<dyn Error>> {
        if pictures.iter().any(|picture| BUFFER_BYTES < picture.len()) {
            return Err("a picture does not fit a buffer".into());
        }
        let file = memfd_create(c"farhand-bench", MFdFlags::empty())?;
        let len = CONTROL_BYTES + MOST_BUFFERS * BUFFER_BYTES;
        ftruncate(&file, len as i64)?;
        let memory = Memory::map(&file, len)?;
        memory.control().width.store(WIDTH as u32, Ordering::Relaxed);
        memory.control().height.store(HEIGHT as u32, Ordering::Relaxed);
        memory.control().frames_per_second.store(FRAMES_PER_SECOND, Ordering::Relaxed);
        memory.control().buffer_bytes.store(BUFFER_BYTES as u32, Ordering::Relaxed);

        let (full_there, full_here) = pipe2(OFlag::O_CLOEXEC)?;
        let (empty_here, empty_there) = pipe2(OFlag::O_CLOEXEC)?;
        for here in [&full_here, &empty_here] {
            fcntl(here, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        for there in [&full_there, &empty_there] {
            fcntl(there, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        let (stop, missed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let source = Source { memory, full: full_here, empty: empty_here, missed: missed.clone(), stop: stop.clone() };
        let thread = thread::Builder::new().name("device".into()).spawn(move || source.run(&pictures))?;
        Ok(Device { inherited: [file, full_there, empty_there], missed, stop, thread: Some(thread) })
    }

    /// Makes a command find this device at `/dev/video0`.
    pub fn lend_to(&self, command: &mut Command, preload: &Path) {
        let [memory, full, empty] = self.inherited.each_ref().map(|fd| fd.as_raw_fd());
        command.env("LD_PRELOAD", preload).env("FARHAND_BENCH_DEVICE", format!("{memory},{full},{empty}"));
    }

    /// For how many pictures there was no buffer so far.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // If it panicked, the message has been printed.
            let _ = thread.join();
        }
    }
}

struct Source {
    memory: Memory,
    full: OwnedFd,
    empty: OwnedFd,
    missed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Source {
    fn run(&self, pictures: &[Vec<u8>]) {
        // Above servers and clients, because hardware does not wait; only if real-time scheduling is permitted.
        schedule::round_robin(schedule::DEVICE);
        let period = 1_000_000_000 / u64::from(FRAMES_PER_SECOND);
        let start = now();
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            number += 1;
            let next = TimeSpec::from(Duration::from_nanos(start + u64::from(number) * period));
            // An interrupted sleep makes one picture early, but its stamp is right.
            let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &next);
            if self.memory.control().streaming.load(Ordering::SeqCst) != 0 {
                match self.next_empty() {
                    Some(byte) => self.fill(byte, number, &pictures[number as usize % pictures.len()]),
                    None => drop(self.missed.fetch_add(1, Ordering::Relaxed)),
                }
            }
        }
    }

    /// The buffer that was queued first, as its byte. `None`: the server holds all of them.
    fn next_empty(&self) -> Option<u8> {
        loop {
            let mut byte = [0];
            match read(&self.empty, &mut byte) {
                Ok(1) if u32::from(byte[0] >> 5) == self.memory.control().generation.load(Ordering::SeqCst) & 7 => {
                    return Some(byte[0]);
                }
                // The buffer was queued before the server took its buffers back.
                Ok(1) => (),
                _ => return None,
            }
        }
    }

    fn fill(&self, byte: u8, number: u32, picture: &[u8]) {
        let index = usize::from(byte & 31);
        self.memory.write(index, 0, picture);
        let stamp = Stamp { nanos: now(), number };
        self.memory.write(index, Stamp::place(), &stamp.digits());
        let filled = &self.memory.control().filled[index];
        filled.completed_nanos.store(stamp.nanos, Ordering::Relaxed);
        filled.bytes.store(picture.len() as u32, Ordering::Relaxed);
        filled.sequence.store(number, Ordering::Relaxed);
        // The server may have closed the device meanwhile, as it does when it ends.
        let _ = write(&self.full, &[byte]);
    }
}

/// The control page and the buffers.
struct Memory {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to no thread; only its one owner writes to it.
unsafe impl Send for Memory {}

impl Memory {
    fn map(file: &OwnedFd, len: usize) -> Result<Memory, Box<dyn Error>> {
        let length = NonZeroUsize::new(len).ok_or("nothing to map")?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses, unmapped in `drop` and nowhere else.
        let start = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, file, 0) }?;
        Ok(Memory { start: start.cast(), len })
    }

    fn control(&self) -> &Control {
        // SAFETY: the first page is zeroed, aligned, larger than `Control`, and consists of atomics on both sides.
        unsafe { self.start.cast().as_ref() }
    }

    fn write(&self, index: usize, at: usize, bytes: &[u8]) {
        assert!(index < MOST_BUFFERS && at + bytes.len() <= BUFFER_BYTES, "outside of the buffer");
        // SAFETY: within the mapping, as just asserted. The server does not touch a buffer that it has queued, and one
        // that breaks this rule sees a torn picture, which is what hardware would give it.
        unsafe {
            let target = self.start.as_ptr().add(CONTROL_BYTES + index * BUFFER_BYTES + at);
            ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` for this length; `control` borrows from `self`.
        let unmapped = unsafe { munmap(self.start.cast(), self.len) };
        debug_assert!(unmapped.is_ok());
    }
}
