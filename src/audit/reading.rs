//! Shows an audit log: a page of it with the newest first, or the whole as it is stored.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::folder::{self, name, numbers};
use super::record::Record;

/// The most records of a page.
pub const LONGEST_PAGE: usize = 500;

/// A part of the whole log: what is read at a time.
const PART: usize = 64 * 1024;

/// Which records somebody wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Those before the one of this number.
    pub before: Option<u64>,
    /// As many, at most [`LONGEST_PAGE`].
    pub limit: usize,
    /// Those with this text.
    pub search: Option<String>,
}

/// Some of the records.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "AuditPage")]
pub struct Page {
    /// The records, the newest first.
    pub records: Vec<Record>,
    /// What to ask for with `before` to see older ones; null when there are none.
    pub before: Option<u64>,
}

/// Finds a page in the log of this folder. One file at a time is in memory.
pub fn page(path: &Path, wanted: &Wanted) -> io::Result<Page> {
    let search = wanted.search.as_deref().map(str::to_lowercase);
    let mut page = Page::default();
    for number in numbers(path)?.into_iter().rev() {
        // The oldest may be taken away just now.
        let Some(text) = folder::read(&path.join(name(number)))? else { break };
        // A line without its end is being written.
        let whole = text.iter().rposition(|byte| *byte == b'\n').unwrap_or_default();
        for line in text[..whole].split(|byte| *byte == b'\n').rev() {
            // One that is damaged is for `farhand audit --verify` to name.
            let Ok(record) = serde_json::from_slice::<Record>(line) else { continue };
            let is_wanted = wanted.before.is_none_or(|before| record.seq < before)
                && search.as_deref().is_none_or(|search| record.has(search));
            if !is_wanted {
                continue;
            }
            if page.records.len() == wanted.limit.min(LONGEST_PAGE) {
                page.before = page.records.last().map(|last| last.seq);
                return Ok(page);
            }
            page.records.push(record);
        }
    }
    Ok(page)
}

/// The whole log as it is stored, part after part.
#[derive(Debug)]
pub struct Whole {
    /// The files that are still to be read, the oldest last. They are open, so that what is taken away meanwhile is
    /// read all the same.
    files: Vec<(File, u64)>,
}

impl Whole {
    /// The log of this folder as it is now.
    pub fn open(path: &Path) -> io::Result<Whole> {
        let paths: Vec<PathBuf> = numbers(path)?.into_iter().map(|number| path.join(name(number))).collect();
        let mut files = Vec::new();
        for path in paths.into_iter().rev() {
            match folder::open(&path, OpenOptions::new().read(true)) {
                Ok(file) => {
                    let len = whole(&file)?;
                    files.push((file, len));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => (),
                Err(error) => return Err(error),
            }
        }
        Ok(Whole { files })
    }

    /// How long it is.
    pub fn len(&self) -> u64 {
        self.files.iter().map(|(_, left)| left).sum()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the next part; `None` at the end.
    pub fn part(&mut self) -> io::Result<Option<Vec<u8>>> {
        while let Some((file, left)) = self.files.last_mut() {
            let mut part = Vec::new();
            file.take((*left).min(PART as u64)).read_to_end(&mut part)?;
            *left -= part.len() as u64;
            if part.is_empty() {
                self.files.pop();
                continue;
            }
            return Ok(Some(part));
        }
        Ok(None)
    }
}

/// The length of a file up to the end of its last whole line: the next one may be being written.
fn whole(file: &File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let mut end = vec![0; PART.min(usize::try_from(len).unwrap_or(PART))];
    let start = len - end.len() as u64;
    file.read_exact_at(&mut end, start)?;
    Ok(end.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| start + at as u64 + 1))
}
