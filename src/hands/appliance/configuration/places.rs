//! Reads and writes the files of the configuration: the owner's, what is tried in its place, and what counted before.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::history::{self, MODE, Version};
use crate::base::files;
use crate::config::Config;
use crate::config::check::{self, Checked};
use crate::config::layers;

/// Where the configuration is kept. By default as on an appliance.
#[derive(Debug, Clone)]
pub struct Places {
    /// What the owner's is laid over.
    pub board: Board,
    /// The owner's.
    pub owner: PathBuf,
    /// What counts in its place while it is tried; next to it, by whom and until when.
    pub trial: PathBuf,
    /// Earlier ones, a file each.
    pub history: PathBuf,
    /// Whether the owner's counts only if root wrote it: whoever can write it decides what relays do.
    pub by_root: bool,
}

/// The board's own configuration.
#[derive(Debug, Clone)]
pub enum Board {
    /// In a file, if there is one.
    File(PathBuf),
    /// This.
    Text(String),
}

impl Default for Places {
    fn default() -> Places {
        Places {
            board: Board::File("/etc/farhand.toml".into()),
            owner: "/data/farhand.toml".into(),
            trial: "/run/trial/farhand.toml".into(),
            history: "/data/config".into(),
            by_root: true,
        }
    }
}

/// A change that somebody asks for.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "`text` is the owner's whole text")]
pub struct Change {
    pub text: String,
    /// The revision of what it changes.
    pub expected: String,
    /// Who asks.
    pub who: String,
}

/// Something that is asked of whoever keeps the configuration.
#[derive(Debug, Clone)]
pub enum Request {
    /// Change it.
    Change(Change),
    /// End the trial: keep what is tried, or take it back.
    Settle {
        /// Whether it is kept.
        keep: bool,
    },
}

/// What is on trial, as its file says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TrialNote {
    pub who: String,
    /// Milliseconds since the boot.
    pub until_ms: u64,
}

/// What counts now.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "`text` is the owner's")]
pub struct Current {
    pub text: String,
    /// What it is laid over.
    pub board: String,
    /// Whether it is tried only.
    pub on_trial: bool,
}

impl Current {
    /// By which a change names what it changes.
    pub fn revision(&self) -> String {
        revision(&self.text)
    }

    /// What is to be said about it, as long as it counts.
    pub fn check(&self) -> Checked {
        check::check(&self.board, &self.text)
    }

    /// What counts, or whoever reads it goes on with.
    pub fn config(&self) -> Option<Config> {
        layers::read(&self.board, &self.text).ok().map(|reading| reading.config)
    }
}

/// The same for the same text only.
pub fn revision(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Places {
    /// Those of an appliance whose data are here.
    pub fn of(data: &Path) -> Places {
        Places { owner: data.join("farhand.toml"), history: data.join("config"), ..Places::default() }
    }

    /// Those of a simulation, where whoever started it is the owner: `owner` is laid over `board`, and what is tried is
    /// kept in `until_restart`.
    pub fn simulated(board: String, owner: PathBuf, data: &Path, until_restart: &Path) -> Places {
        let trial = until_restart.join("trial.toml");
        Places { board: Board::Text(board), owner, trial, by_root: false, ..Places::of(data) }
    }

    /// Reads what counts.
    pub fn current(&self) -> io::Result<Current> {
        let board = self.board_text()?;
        if let Some(text) = files::read(&self.trial)? {
            return Ok(Current { text, board, on_trial: true });
        }
        Ok(Current { text: self.owner_text()?, board, on_trial: false })
    }

    /// Whether a configuration is tried.
    pub(super) fn is_tried(&self) -> io::Result<bool> {
        self.trial.try_exists()
    }

    /// The one that is tried, if it can be read.
    pub(super) fn tried(&self) -> Option<Current> {
        let text = files::read(&self.trial).ok()??;
        Some(Current { text, board: self.board_text().ok()?, on_trial: true })
    }

    /// Earlier texts of the owner's and the one in force, the newest first.
    pub fn history(&self) -> io::Result<Vec<Version>> {
        history::list(&self.history)
    }

    /// One of them.
    pub fn version(&self, number: u64) -> io::Result<Option<Version>> {
        history::read(&self.history, number)
    }

    fn board_text(&self) -> io::Result<String> {
        match &self.board {
            Board::File(file) => Ok(files::read(file)?.unwrap_or_default()),
            Board::Text(text) => Ok(text.clone()),
        }
    }

    /// The owner's text; empty if there is none that counts.
    fn owner_text(&self) -> io::Result<String> {
        if self.by_root && !is_roots(&self.owner) {
            return Ok(String::new());
        }
        Ok(files::read(&self.owner)?.unwrap_or_default())
    }

    fn note(&self) -> PathBuf {
        self.trial.with_file_name("farhand.json")
    }

    pub(super) fn begin_trial(&self, text: &str, note: &TrialNote) -> io::Result<()> {
        // The note first: a text without one is taken back at once.
        let json = serde_json::to_string(note).expect("a text and a number are JSON");
        files::write_with_mode(&self.note(), json.as_bytes(), MODE)?;
        files::write_with_mode(&self.trial, text.as_bytes(), MODE)
    }

    pub(super) fn end_trial(&self) -> io::Result<()> {
        files::remove(&self.trial)?;
        files::remove(&self.note())
    }

    pub(super) fn trial_note(&self) -> Option<TrialNote> {
        serde_json::from_str(&files::read(&self.note()).ok()??).ok()
    }

    /// Has a text count for good. `when` is a time of the wall clock, in seconds.
    pub(super) fn store(&self, text: &str, who: &str, when: u64) -> io::Result<()> {
        let before = self.owner_text()?;
        if before == text {
            return Ok(());
        }
        let writer = if self.by_root { 0 } else { geteuid().as_raw() };
        history::open(&self.history, writer)?;
        history::add_if_missing(&self.history, &before, changed(&self.owner))?;
        let number = history::add(&self.history, Version::new(Some(who.into()), when, text))?;
        let stored = files::write_with_mode(&self.owner, text.as_bytes(), MODE);
        if stored.is_err() {
            // What nobody has in force is no version.
            history::remove(&self.history, number);
        }
        stored
    }
}

fn is_roots(file: &Path) -> bool {
    std::fs::symlink_metadata(file).is_ok_and(|metadata| metadata.uid() == 0)
}

/// When a file was written, in seconds since 1970.
fn changed(file: &Path) -> u64 {
    std::fs::symlink_metadata(file).map_or(0, |metadata| metadata.mtime().try_into().unwrap_or(0))
}
