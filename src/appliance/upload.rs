//! Stores an update that arrives in the spool folder, for the hands to take over.
//!
//! Whether somebody sends it or it is fetched, it is the one body that is not small. So it never
//! lies in memory: each piece goes to a thread that writes it. The space is asked for first, and a part of the card
//! left free: an appliance that cannot save its owner's settings because of an upload would be worse off than without
//! one. Whatever ends an upload early, nothing of it stays. A card that hangs ends an upload, too, and what its threads
//! do when it wakes up concerns that upload's file alone: the next one may have begun by then.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use log::warn;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use nix::sys::statvfs::statvfs;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::base::files;
use crate::bus::SystemBus;
use crate::hands::appliance::spool;
use crate::update::{ApplianceError, Phase, Progress};

/// How long nothing may come. The whole may take its time: a slow line is no offence.
const SILENCE: Duration = Duration::from_secs(15);

/// But not for ever, because others wait: the largest file at 20 kB/s.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// How long the card may take for a piece, or to give a file its name. One that is busy may need seconds.
const CARD_TIMEOUT: Duration = Duration::from_secs(60);

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
    file: Arc<Arriving>,
    phase: Phase,
    /// What is reported of it once it has gone.
    last: Progress,
    /// Whether the hands have it.
    given: bool,
}

/// The file of an upload. Threads that wait for the card share it, and may do so longer than the upload lasts.
#[derive(Debug)]
struct Arriving {
    number: u64,
    /// Its name as long as it is not whole.
    own: PathBuf,
    /// Where the hands look for it.
    whole: PathBuf,
    /// Set when nobody waits for the file any more, which may be about to be made.
    gone: AtomicBool,
}

/// For each name that the hands look for, the number of the upload whose file was given it last. Held by whoever gives
/// a file that name or takes it away.
static NAMED: Mutex<BTreeMap<PathBuf, u64>> = Mutex::new(BTreeMap::new());

impl Arriving {
    fn new(folder: &Path) -> Arriving {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let own = folder.join(format!("arriving-{number}"));
        Arriving { number, own, whole: spool::file(folder), gone: AtomicBool::new(false) }
    }

    /// Makes the file.
    fn make(&self, len: u64) -> Result<File, UploadError> {
        let reserved = reserve(&self.own, len);
        // After this look it is the end of the upload that removes the file.
        if reserved.is_ok() && self.gone.load(Ordering::SeqCst) {
            remove(&self.own);
        }
        reserved
    }

    /// Gives the file the name by which the hands know it, unless nobody waits for it any more.
    fn name(&self) -> io::Result<()> {
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        if self.gone.load(Ordering::SeqCst) {
            return Ok(());
        }
        fs::rename(&self.own, &self.whole)?;
        named.insert(self.whole.clone(), self.number);
        Ok(())
    }

    /// Removes the file, whatever it is called, and leaves another upload's.
    fn remove(&self) {
        remove(&self.own);
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        if named.get(&self.whole) == Some(&self.number) {
            remove(&self.whole);
            named.remove(&self.whole);
        }
    }
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
        let mut outcome = Ok(());
        bus.update(|system| {
            outcome = system.check_update();
            if outcome.is_ok() {
                system.arrival = Progress { phase, ..Progress::default() };
                system.clears_up = false;
            }
            outcome.is_ok()
        });
        outcome?;
        let file = Arc::new(Arriving::new(&folder(data)));
        Ok(Upload { bus: bus.clone(), file, phase, last: Progress::default(), given: false })
    }

    /// Writes a body to the file, and calls `arrived` for each piece of it.
    pub async fn store<E>(
        &self,
        len: u64,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        mut arrived: impl FnMut(),
    ) -> Result<(), UploadError> {
        let file = self.file.clone();
        let mut file = on_card(spawn_blocking(move || file.make(len))).await??;
        let (pieces, mut waiting) = mpsc::channel::<Bytes>(MOST_WAITING);
        let arriving = self.file.clone();
        let writer = spawn_blocking(move || {
            let mut left = len;
            while let Some(piece) = waiting.blocking_recv() {
                file.write_all(&piece)?;
                left = left.saturating_sub(piece.len() as u64);
            }
            // What broke off has not earned the name.
            if left == 0 { arriving.name() } else { Ok(()) }
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
            let sent = timeout(CARD_TIMEOUT, pieces.send(piece)).await;
            if sent.map_err(|_| silent())?.is_err() {
                // The writer has failed, and says why below.
                break;
            }
        }
        drop(pieces);
        on_card(writer).await?.map_err(UploadError::Store)
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

/// Waits for a thread that works at the card, which may hang.
async fn on_card<T>(work: JoinHandle<T>) -> Result<T, UploadError> {
    timeout(CARD_TIMEOUT, work).await.map_err(|_| silent())?.map_err(|error| UploadError::Store(error.into()))
}

fn silent() -> UploadError {
    UploadError::Store(io::Error::new(io::ErrorKind::TimedOut, "the card does not answer"))
}

fn leave(bus: &SystemBus, phase: Phase, last: Progress) {
    bus.update(|system| {
        // What has been said already stays.
        system.clears_up = false;
        let is_ours = system.arrival.phase == phase;
        if is_ours {
            system.arrival = last;
        }
        is_ours
    });
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.file.gone.store(true, Ordering::SeqCst);
        if self.given {
            return;
        }
        let (file, bus, phase, last) =
            (self.file.clone(), self.bus.clone(), self.phase, std::mem::take(&mut self.last));
        bus.update(|system| !std::mem::replace(&mut system.clears_up, true));
        let leave = move || leave(&bus, phase, last);
        let Ok(runtime) = Handle::try_current() else {
            file.remove();
            return leave();
        };
        // At the daemon's end this may not come to run; the next run clears up.
        let removal = runtime.spawn_blocking(move || file.remove());
        runtime.spawn(async move {
            // Another may need the space.
            let _ = timeout(CARD_TIMEOUT, removal).await;
            leave();
        });
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

    /// An appliance to which an update may be sent.
    fn bus() -> SystemBus {
        let (bus, slots) =
            (SystemBus::default(), slots::read(slots::Slot::A, "1.0.0", &slots::Environment::default(), ""));
        bus.update(|system| {
            system.machine = Some(Machine { real: true, slots: Some(slots), update: Progress::default() });
            true
        });
        bus
    }

    fn names(data: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder(data)).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Runs something whose card hangs: the one thread that would work at it waits until this is over.
    fn while_the_card_hangs(test: impl AsyncFnOnce()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
        let (wake, woken) = std::sync::mpsc::channel::<()>();
        runtime.unwrap().block_on(async {
            spawn_blocking(move || woken.recv());
            test().await;
            drop(wake);
            // Queued behind all that the card was asked for.
            spawn_blocking(|| ()).await.unwrap();
        });
    }

    #[test]
    fn an_upload_whose_file_cannot_be_removed_holds_up_no_restart() {
        let temporary = tempfile::tempdir().unwrap();
        let (bus, data) = (bus(), temporary.path());
        while_the_card_hangs(async || {
            let upload = Upload::begin(&bus, data, Phase::Receiving).unwrap();
            drop(upload.file.make(4096).unwrap());
            assert_eq!(Err(ApplianceError::Busy), bus.now().check_restart());
            tokio::time::pause();
            // The clock does not go on by itself while a thread is at work.
            let idle = async || {
                while bus.now().check_update().is_err() {
                    tokio::time::advance(CARD_TIMEOUT).await;
                }
            };
            drop(upload);
            let ended = || (bus.now().check_restart(), bus.now().check_update());
            assert_eq!((Ok(()), Err(ApplianceError::Busy)), ended());
            idle().await;
            let fetch = Upload::begin(&bus, data, Phase::Fetching).unwrap();
            assert_eq!(Err(ApplianceError::Busy), bus.now().check_restart());
            fetch.fail("why".into());
            assert_eq!((Ok(()), Err(ApplianceError::Busy)), ended());
            idle().await;
            tokio::time::resume();
            assert_eq!((Phase::Failed, "why".into()), (bus.now().update().phase, bus.now().update().message));
        });
        assert_eq!(Vec::<String>::new(), names(data), "removed when the card woke up");
    }

    #[test]
    fn a_card_that_hangs_ends_an_upload() {
        let temporary = tempfile::tempdir().unwrap();
        let (bus, data) = (bus(), temporary.path());
        while_the_card_hangs(async || {
            tokio::time::pause();
            let upload = Upload::begin(&bus, data, Phase::Receiving).unwrap();
            let body = futures_util::stream::iter([Ok::<_, ()>(Bytes::from_static(b"bundle"))]);
            let mut stored = std::pin::pin!(upload.store(6, body, || ()));
            // The clock does not go on by itself while a thread is at work.
            let error = loop {
                tokio::select! {
                    biased;
                    stored = &mut stored => break stored.unwrap_err(),
                    () = tokio::time::advance(CARD_TIMEOUT) => (),
                }
            };
            assert!(matches!(&error, UploadError::Store(why) if why.kind() == io::ErrorKind::TimedOut), "{error:?}");
            tokio::time::resume();
        });
        assert_eq!(Vec::<String>::new(), names(data));
    }

    #[test]
    fn what_a_late_thread_does_concerns_its_own_uploads_file_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let (bus, data) = (bus(), temporary.path());
        let begin = || Upload::begin(&bus, data, Phase::Receiving);
        let first = begin().unwrap();
        assert_eq!(Some(ApplianceError::Busy), begin().err());
        let late = first.file.clone();
        drop(first);
        let second = begin().unwrap();
        drop(second.file.make(4096).unwrap());
        // The first one's threads come to work only now.
        late.make(4096).unwrap();
        assert!(second.file.own.exists() && !late.own.exists());
        reserve(&late.own, 4096).unwrap();
        late.name().unwrap();
        assert!(!late.whole.exists(), "nobody waits for it, so the hands must not find it");
        second.file.name().unwrap();
        late.remove();
        assert_eq!([spool::NAME], names(data)[..], "the second one's");
        drop(second);
        assert_eq!(Vec::<String>::new(), names(data));
    }

    #[test]
    fn what_an_earlier_run_left_is_removed() {
        let temporary = tempfile::tempdir().unwrap();
        files::create_folder(&folder(temporary.path())).unwrap();
        fs::write(folder(temporary.path()).join("arriving-7"), "").unwrap();
        clear(temporary.path());
        assert_eq!(Vec::<String>::new(), names(temporary.path()));
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
