//! Receives an update into the spool folder, for the hands to take over.
//!
//! Whether somebody sends it or it is [fetched](super::fetch), it is the one body that is not small. So it never lies in
//! memory: each piece goes to a thread that writes it. The space is asked for first, and a part of the card left free: an
//! appliance that cannot save its owner's settings because of an upload would be worse off than without one. Whatever ends an
//! upload early, nothing of it stays.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::header::CONTENT_TYPE;
use log::{info, warn};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use nix::sys::statvfs::statvfs;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::base::files;
use crate::bus::SystemBus;
use crate::hands::appliance::spool;
use crate::net::http::codes::{self, Code};
use crate::net::http::problem::{ApiError, Problem};
use crate::update::{ApplianceError, LARGEST, Phase, Progress};

use super::Site;
use super::api::end_of;
use super::http::Connection;
use crate::auth::authenticator::AuthError;
use crate::auth::principal::Principal;

/// How long nothing may come. The whole may take its time: a slow line is no offence.
const SILENCE: Duration = Duration::from_secs(15);

/// But not for ever, because others wait: the largest file at 20 kB/s.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// Pieces that may wait to be written; then the sender waits. Hyper's are 8 KiB at most.
const MOST_WAITING: usize = 8;

/// What stays free on a card of the usual size, and on a small one the eighth part.
const RESERVE: u64 = 64 << 20;

/// Why an upload came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Labelled as something else.
    #[error("the body must be the update itself and say so: Content-Type: application/octet-stream")]
    NotLabelled,
    /// Not announced, so that no space can be asked for.
    #[error("say how long the update is: Content-Length")]
    NoLength,
    /// Longer than any update.
    #[error("an update is {} MiB at most", LARGEST >> 20)]
    TooLong,
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
    /// It came, and hardly.
    #[error("the update did not arrive within {} minutes", LONGEST.as_secs() / 60)]
    Endless,
    /// It stopped in the middle.
    #[error("the update broke off")]
    Broken,
    /// It cannot be written.
    #[error("the update could not be stored; see the log")]
    Store(#[source] io::Error),
}

impl ApiError for UploadError {
    fn code(&self) -> &'static Code {
        match self {
            UploadError::NotLabelled => codes::NOT_OCTETS,
            UploadError::NoLength => codes::NO_LENGTH,
            UploadError::TooLong => codes::TOO_LONG,
            UploadError::NoSpace { .. } => codes::NO_SPACE,
            UploadError::TooSlow | UploadError::Endless => codes::TOO_SLOW,
            UploadError::Broken => codes::MALFORMED,
            UploadError::Store(_) => codes::NOT_STORED,
        }
    }
}

/// Receives an update and has it installed; answers once the installer runs.
pub async fn receive(
    site: &Arc<Site>,
    connection: &Connection,
    principal: &Principal,
    request: Request<Incoming>,
) -> Result<Progress, Problem> {
    let bus = &site.system;
    bus.now().check_update()?;
    let label = request.headers().get(CONTENT_TYPE).and_then(|label| label.to_str().ok()).unwrap_or_default();
    if !label.eq_ignore_ascii_case("application/octet-stream") {
        return Err(UploadError::NotLabelled.into());
    }
    // Before the first byte, and before hyper asks for it with 100 Continue.
    let len = request.body().size_hint().exact().filter(|len| *len > 0).ok_or(UploadError::NoLength)?;
    if LARGEST < len {
        return Err(UploadError::TooLong.into());
    }
    let upload = Upload::begin(site, Phase::Receiving)?;
    let peer = connection.peer();
    info!("{} uploads an update of {len} bytes from {peer}", principal.name.as_str());
    let mut body = request.into_body();
    let stored = tokio::select! {
        stored = timeout(LONGEST, upload.store(len, &mut body)) => stored.unwrap_or(Err(UploadError::Endless)),
        () = end_of(principal.clone(), connection.stop()) => return Err(AuthError::NotLoggedIn.into()),
    };
    if let Err(error) = &stored {
        warn!("an upload came to nothing: {}", crate::base::error_chain::chain(error));
    }
    stored?;
    // From here on it is the hands' file, and theirs to remove.
    site.hands.install(len).await?;
    Ok(Upload::end(upload))
}

/// An update that arrives. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Upload {
    bus: SystemBus,
    file: PathBuf,
    phase: Phase,
    /// Set when nobody waits for the file any more, which may be about to be made.
    gone: Arc<AtomicBool>,
}

impl Upload {
    /// Makes this the only one.
    pub fn begin(site: &Site, phase: Phase) -> Result<Upload, ApplianceError> {
        let bus = site.system.clone();
        let mut outcome = Ok(());
        bus.update(|system| {
            outcome = system.check_update();
            if outcome.is_ok() {
                system.arrival = Progress { phase, ..Progress::default() };
            }
            outcome.is_ok()
        });
        outcome.map(|()| Upload {
            bus,
            file: spool::file(&site.folders.data.join("spool")),
            phase,
            gone: Arc::default(),
        })
    }

    /// Writes a body to the file.
    pub async fn store(&self, len: u64, body: &mut Incoming) -> Result<(), UploadError> {
        let (path, gone) = (self.file.clone(), self.gone.clone());
        let reserved = spawn_blocking(move || {
            if gone.load(Ordering::SeqCst) {
                // By now the file may be the next one's.
                return Err(UploadError::Broken);
            }
            let reserved = reserve(&path, len);
            // After this look it is the end of the upload that removes the file.
            if reserved.is_ok() && gone.load(Ordering::SeqCst) {
                let _ = files::remove(&path);
            }
            reserved
        });
        let file = reserved.await.map_err(io::Error::from);
        let mut file = file.map_err(UploadError::Store)??;
        let (pieces, mut waiting) = mpsc::channel::<Bytes>(MOST_WAITING);
        let writer = spawn_blocking(move || {
            while let Some(piece) = waiting.blocking_recv() {
                file.write_all(&piece)?;
            }
            io::Result::Ok(())
        });
        let mut received = 0;
        while received < len {
            let frame = timeout(SILENCE, body.frame()).await.map_err(|_| UploadError::TooSlow)?;
            let frame = frame.and_then(Result::ok).ok_or(UploadError::Broken)?;
            let Ok(piece) = frame.into_data() else { continue };
            received += piece.len() as u64;
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

    /// Hands the file over, and tells how it goes on.
    pub fn end(self) -> Progress {
        self.leave(Progress::default());
        self.bus.now().update()
    }

    /// Leaves word of why there is no file.
    pub fn fail(self, message: String) {
        self.leave(Progress { phase: Phase::Failed, message, ..self.bus.now().arrival });
    }

    fn leave(&self, arrival: Progress) {
        self.bus.update(|system| {
            // What has been said already stays.
            let is_ours = system.arrival.phase == self.phase;
            if is_ours {
                system.arrival = arrival;
            }
            is_ours
        });
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
        if let Err(error) = files::remove(&self.file) {
            warn!("cannot remove {}: {error}", self.file.display());
        }
        self.leave(Progress::default());
    }
}

/// Makes the file at its full length, if that leaves enough free.
fn reserve(path: &Path, len: u64) -> Result<File, UploadError> {
    let made = || {
        let folder = path.parent().unwrap_or(path);
        files::create_folder(folder)?;
        // One that an earlier life left is in the way of O_EXCL, which we want against planted links.
        files::remove(path)?;
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
            let _ = files::remove(path);
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
    fn more_than_there_is_room_for_is_refused_and_makes_no_file() {
        let folder = std::env::temp_dir().join(format!("farhand-upload-{}", std::process::id()));
        let file = folder.join("update.raucb");
        let error = reserve(&file, 1 << 60).unwrap_err();
        assert!(matches!(error, UploadError::NoSpace { .. }), "{error}");
        assert!(!file.exists());
        drop(reserve(&file, 4096).unwrap());
        assert_eq!(0, std::fs::metadata(&file).unwrap().len(), "reserved, and empty all the same");
        reserve(&file, 4096).expect("one of an earlier life is replaced");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
