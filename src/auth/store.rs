//! Reads and writes the files of those who may come in and of those who are in, and asks for what nobody can guess.
//!
//! Accounts, and until there are any the code to claim the device with, are in the data folder. Sessions go to the run
//! folder, which a reboot empties; they also name the boot they belong to, for machines on which it does not.

use std::io;
use std::path::{Path, PathBuf};

use log::warn;
use serde::{Deserialize, Serialize};

use crate::auth::accounts::Accounts;
use crate::auth::known_places::KnownPlaces;
use crate::auth::secret::ClaimCode;
use crate::auth::sessions::SessionTable;
use crate::base::files;

/// Why accounts or sessions cannot be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum StoreError {
    /// The file system refused.
    #[error("cannot read or write {}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// It is there and not ours. To start as if there were no owner would offer the device to whoever comes next.
    #[error("{} is damaged; restore it, or delete it to claim the device afresh", path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error("the kernel gives no random numbers")]
    Random(#[from] getrandom::Error),
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// The code of a device without an owner. It stays the same until there is one: an owner without a screen reads it from
/// the card, for which the device has to be off.
pub fn claim_code(file: &Path) -> Result<ClaimCode, StoreError> {
    if let Some(code) = files::read(file).ok().flatten().and_then(|text| ClaimCode::parse(&text)) {
        return Ok(code);
    }
    let code = ClaimCode::new(random()?);
    if let Err(error) = files::write_whole(file, code.to_string().as_bytes()) {
        warn!("the claim code will be another one at the next start: cannot write {}: {error}", file.display());
    }
    Ok(code)
}

/// Removes the code of a device that has an owner.
pub fn forget_code(file: &Path) {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => warn!("cannot remove {}: {error}", file.display()),
        _ => (),
    }
}

/// Makes a folder that only we may enter.
pub(super) fn create_folder(folder: &Path) -> Result<(), StoreError> {
    files::create_folder(folder).map_err(|source| failed(folder, source))
}

fn failed(path: &Path, source: io::Error) -> StoreError {
    StoreError::File { path: path.to_path_buf(), source }
}

/// Reads who may come in; nobody, when there is no such file.
pub fn read_accounts(file: &Path) -> Result<Accounts, StoreError> {
    let Some(text) = files::read(file).map_err(|source| failed(file, source))? else { return Ok(Accounts::default()) };
    Accounts::parse(&text).map_err(|source| StoreError::Damaged { path: file.to_path_buf(), source })
}

/// What [`read_accounts`] reads.
pub fn accounts_text(accounts: &Accounts) -> String {
    serde_json::to_string_pretty(accounts).expect("accounts are plain data with string keys")
}

/// Reads from where people have logged in. A file that cannot be used is as good as none: it opens nothing.
pub(super) fn read_places(file: &Path) -> Result<KnownPlaces, StoreError> {
    let places = files::read(file).ok().flatten().and_then(|text| KnownPlaces::parse(&text));
    places.map_or_else(|| Ok(KnownPlaces::new(random()?)), Ok)
}

/// Writes what [`read_places`] reads.
pub(super) fn write_places(file: &Path, places: &KnownPlaces) {
    let text = serde_json::to_string(places).expect("places are plain data with string keys");
    if let Err(error) = files::write_whole(file, text.as_bytes()) {
        warn!("where people log in from is not remembered: cannot write {}: {error}", file.display());
    }
}

/// A name for this boot, which no other has.
pub(super) fn boot() -> String {
    let id = files::read(Path::new("/proc/sys/kernel/random/boot_id")).ok().flatten().unwrap_or_default();
    // As much of it as tells one boot from another.
    id.chars().take(8).collect()
}

/// Where the sessions are kept.
#[derive(Debug)]
pub(super) struct SessionFile {
    path: PathBuf,
    boot: String,
}

/// Sessions as they are stored. None outlives a boot, so there is never another version's file to read.
#[derive(Serialize, Deserialize)]
struct Sessions {
    schema: u32,
    boot: String,
    book: SessionTable,
}

impl SessionFile {
    /// The sessions of this boot in the run folder.
    pub(super) fn open(run: &Path) -> Result<(SessionFile, SessionTable), StoreError> {
        let path = run.join("sessions.json");
        let boot = files::read(Path::new("/proc/sys/kernel/random/boot_id")).ok().flatten().unwrap_or_default();
        let stored = files::read(&path).map_err(|source| failed(&path, source))?;
        // Sessions of another boot, or a damaged file: people log in again, nothing worse.
        let table = stored
            .and_then(|text| serde_json::from_str(&text).ok())
            .filter(|sessions: &Sessions| sessions.boot == boot)
            .map_or_else(SessionTable::default, |sessions| sessions.book);
        Ok((SessionFile { path, boot }, table))
    }

    /// Stores the sessions. The run folder is in memory, so this neither waits nor wears anything out.
    pub(super) fn write(&self, table: &SessionTable) {
        let sessions = Sessions { schema: 1, boot: self.boot.clone(), book: table.clone() };
        let text = serde_json::to_string(&sessions).expect("sessions are plain data with string keys");
        if let Err(error) = files::write_whole(&self.path, text.as_bytes()) {
            warn!("cannot write {}: {error}; a restart will log everyone out", self.path.display());
        }
    }
}
