//! Stores an update that arrives in the spool folder, for the hands to take over.
//!
//! Whether somebody sends it or it is fetched, it is the one body that is not small. So it never
//! lies in memory: each piece goes to a thread that writes it. The space is asked for first, and a part of the card
//! left free: an appliance that cannot save its owner's settings because of an upload would be worse off than without
//! one. Whatever ends an upload early, nothing of it stays. Each has a file of its own name until it is whole, so that
//! the end of one never takes the next one's; and files are removed by another thread, since a card may be long about
//! it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use log::warn;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use nix::sys::statvfs::statvfs;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::base::files;
use crate::bus::SystemBus;
use crate::hands::appliance::spool;
use crate::update::{ApplianceError, Phase, Progress};

/// How long nothing may come. The whole may take its time: a slow line is no offence.
const SILENCE: Duration = Duration::from_secs(15);

/// But not for ever, because others wait: the largest file at 20 kB/s.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// Pieces that may wait to be written; then the sender waits. Hyper's are 8 KiB at most.
const MOST_WAITING: usize = 8;

/// What stays free on a card of the usual size, and on a small one the eighth part.
const RESERVE: u64 = 64 << 20;

/// Why an upload failed.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The card is full.
    #[error("there is not enough space for this update: {free} MiB are free, and {needed} MiB are needed")]
    NoSpace {
        /// In MiB, without the reserve.
        free: u64,
        /// In MiB.
        needed: u64,
    },
    /// Nothing came any more.
    #[error("nothing of the update arrived for {} seconds", SILENCE.as_secs())]
    TooSlow,
    /// It arrived too slowly to finish in time.
    #[error("the update did not arrive within {} minutes", LONGEST.as_secs() / 60)]
    Endless,
    /// It stopped in the middle.
    #[error("the update broke off")]
    Broken,
    /// It cannot be written.
    #[error("the update could not be stored; see the log")]
    Store(#[source] io::Error),
}

/// An update that arrives. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Upload {
    bus: SystemBus,
    /// Its own, as long as it is not whole.
    file: PathBuf,
    /// Where the hands look for it.
    whole: PathBuf,
    phase: Phase,
    /// What is reported of it once it has gone.
    last: Progress,
    /// Set when nobody waits for the file any more, which may be about to be made.
    gone: Arc<AtomicBool>,
    /// Whether the hands have it.
    given: bool,
}

/// The folder for what arrives.
fn folder(data: &Path) -> PathBuf {
    data.join("spool")
}

/// Removes what an earlier run left.
pub fn clear(data: &Path) {
    for entry in fs::read_dir(folder(data)).into_iter().flatten().flatten() {
        remove(&entry.path());
    }
}

fn remove(path: &Path) {
    if let Err(error) = files::remove(path) {
        warn!("cannot remove {}: {error}", path.display());
    }
}

impl Upload {
    /// Makes this the only one.
    pub fn begin(bus: &SystemBus, data: &Path, phase: Phase) -> Result<Upload, ApplianceError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut outcome = Ok(());
        bus.update(|system| {
            outcome = system.check_update();
            if outcome.is_ok() {
                system.arrival = Progress { phase, ..Progress::default() };
            }
            outcome.is_ok()
        });
        outcome?;
        let (folder, number) = (folder(data), COUNT.fetch_add(1, Ordering::Relaxed));
        Ok(Upload {
            bus: bus.clone(),
            file: folder.join(format!("arriving-{number}")),
            whole: spool::file(&folder),
            phase,
            last: Progress::default(),
            gone: Arc::default(),
            given: false,
        })
    }

    /// Writes a body to the file, and calls `arrived` for each piece of it.
    pub async fn store<E>(
        &self,
        len: u64,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        mut arrived: impl FnMut(),
    ) -> Result<(), UploadError> {
        let (path, gone) = (self.file.clone(), self.gone.clone());
        let reserved = spawn_blocking(move || {
            let reserved = reserve(&path, len);
            // After this look it is the end of the upload that removes the file.
            if reserved.is_ok() && gone.load(Ordering::SeqCst) {
                remove(&path);
            }
            reserved
        });
        let file = reserved.await.map_err(io::Error::from);
        let mut file = file.map_err(UploadError::Store)??;
        let (pieces, mut waiting) = mpsc::channel::<Bytes>(MOST_WAITING);
        let (own, whole) = (self.file.clone(), self.whole.clone());
        let writer = spawn_blocking(move || {
            let mut left = len;
            while let Some(piece) = waiting.blocking_recv() {
                file.write_all(&piece)?;
                left = left.saturating_sub(piece.len() as u64);
            }
            // What broke off has not earned the name.
            if left == 0 { fs::rename(own, whole) } else { Ok(()) }
        });
        let mut received = 0;
        while received < len {
            let piece = timeout(SILENCE, body.next()).await.map_err(|_| UploadError::TooSlow)?;
            let piece = piece.and_then(Result::ok).ok_or(UploadError::Broken)?;
            received += piece.len() as u64;
            arrived();
            self.bus.update(|system| {
                let percent = u8::try_from(received * 100 / len).unwrap_or(100);
                std::mem::replace(&mut system.arrival.percent, percent) != percent
            });
            if pieces.send(piece).await.is_err() {
                // The writer has failed, and says why below.
                break;
            }
        }
        drop(pieces);
        writer.await.map_err(io::Error::from).flatten().map_err(UploadError::Store)
    }

    /// Leaves the file to the hands, who have taken it over, and tells how it goes on.
    pub fn end(mut self) -> Progress {
        self.given = true;
        leave(&self.bus, self.phase, Progress::default());
        self.bus.now().update()
    }

    /// Leaves word of why there is no file.
    pub fn fail(mut self, message: String) {
        self.last = Progress { phase: Phase::Failed, message, ..self.bus.now().arrival };
    }
}

fn leave(bus: &SystemBus, phase: Phase, last: Progress) {
    bus.update(|system| {
        // What has been said already stays.
        let is_ours = system.arrival.phase == phase;
        if is_ours {
            system.arrival = last;
        }
        is_ours
    });
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
        if self.given {
            return;
        }
        let (files, bus) = ([self.file.clone(), self.whole.clone()], self.bus.clone());
        let (phase, last) = (self.phase, std::mem::take(&mut self.last));
        // In this order: until nothing is left of this one, there is no other.
        let clear = move || {
            files.iter().for_each(|file| remove(file));
            leave(&bus, phase, last);
        };
        match Handle::try_current() {
            // At the daemon's end this may not come to run; the next run clears up.
            Ok(runtime) => drop(runtime.spawn_blocking(clear)),
            Err(_) => clear(),
        }
    }
}

/// Makes the file at its full length, if that leaves enough free.
fn reserve(path: &Path, len: u64) -> Result<File, UploadError> {
    let made = || {
        let folder = path.parent().unwrap_or(path);
        files::create_folder(folder)?;
        Ok(statvfs(folder)?)
    };
    let space = made().map_err(UploadError::Store)?;
    let (all, free) = (space.blocks() * space.fragment_size(), space.blocks_available() * space.fragment_size());
    let free = room(all, free);
    if free < len {
        return Err(UploadError::NoSpace { free: free >> 20, needed: (len >> 20) + 1 });
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    let file = options.open(path).map_err(UploadError::Store)?;
    match fallocate(&file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, len.cast_signed()) {
        // Not every file system can; then a full card shows while writing.
        Ok(()) | Err(Errno::EOPNOTSUPP) => Ok(file),
        Err(error) => {
            remove(path);
            Err(UploadError::Store(error.into()))
        }
    }
}

/// How much of what is free an update may take.
fn room(all: u64, free: u64) -> u64 {
    free.saturating_sub(RESERVE.min(all / 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::{Machine, slots};

    #[test]
    fn a_part_of_the_card_stays_free() {
        const MIB: u64 = 1 << 20;
        assert_eq!(936 * MIB, room(29_000 * MIB, 1000 * MIB));
        assert_eq!(0, room(29_000 * MIB, 64 * MIB));
        assert_eq!(42 * MIB, room(64 * MIB, 50 * MIB), "on a card that has not grown yet a bundle still fits");
        assert_eq!(0, room(64 * MIB, 8 * MIB));
        assert_eq!(0, room(0, 0));
    }

    #[test]
    fn the_end_of_one_upload_leaves_the_next_ones_file_alone() {
        let data = std::env::temp_dir().join(format!("farhand-uploads-{}", std::process::id()));
        let (bus, slots) = (SystemBus::default(), slots::read(slots::Slot::A, "1.0.0", "", ""));
        bus.update(|system| {
            system.machine = Some(Machine { real: true, slots: Some(slots), update: Progress::default() });
            true
        });
        let begin = || Upload::begin(&bus, &data, Phase::Receiving);
        let first = begin().unwrap();
        assert_eq!(Some(ApplianceError::Busy), begin().err());
        // Its end is reported before a thread that still makes its file has come to do so.
        let late = first.file.clone();
        drop(first);
        let second = begin().unwrap();
        reserve(&second.file, 4096).unwrap();
        reserve(&late, 4096).unwrap();
        remove(&late);
        assert!(second.file.exists() && !late.exists());
        drop(second);
        assert_eq!(0, fs::read_dir(folder(&data)).unwrap().count());
        fs::write(folder(&data).join("arriving-7"), "").unwrap();
        clear(&data);
        assert_eq!(0, fs::read_dir(folder(&data)).unwrap().count());
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn more_than_there_is_room_for_is_refused_and_makes_no_file() {
        let folder = std::env::temp_dir().join(format!("farhand-upload-{}", std::process::id()));
        let file = folder.join("arriving-0");
        let error = reserve(&file, 1 << 60).unwrap_err();
        assert!(matches!(error, UploadError::NoSpace { .. }), "{error}");
        assert!(!file.exists());
        drop(reserve(&file, 4096).unwrap());
        assert_eq!(0, std::fs::metadata(&file).unwrap().len(), "reserved, and empty all the same");
        assert!(reserve(&file, 4096).is_err(), "it is another's");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
