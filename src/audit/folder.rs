//! Keeps the files of the audit log: lines at the end of the newest, and a mark that says which is the last.
//!
//! What has been added is on the card when [`Folder::add`] returns, or not there at all: what was written of it by
//! halves is cut off again. What a power cut has left by halves is cut off at the next start. Nothing else is ever
//! taken away but the oldest file, when there are enough younger ones.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::chain::{Chain, Link, Mark, hash};
use super::record::{Entry, Stamp, What};
use super::verify::{Fault, Place, Summary, Verifier, Why};
use crate::base::files;

/// The longest that a file becomes: what is read whole to show a page of it, on an appliance with 1 GiB.
pub const LONGEST_FILE: u64 = 1 << 20;

/// As many are kept: some ten thousand records, which is years of a person's work.
pub const FILES: usize = 4;

/// The file of the mark.
pub const MARK: &str = "end";

/// Where an audit log is kept, and how far it has come.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    boot: String,
    chain: Chain,
    /// The files, the oldest first: their numbers, and their first records.
    numbers: Vec<(u64, u64)>,
    newest: Option<Newest>,
    mark: Option<File>,
}

/// The file at whose end lines are added.
#[derive(Debug)]
struct Newest {
    file: File,
    len: u64,
}

impl Folder {
    /// Opens a folder, which is made if it is not there. What was wrong with it is the first thing to be written.
    pub fn open(path: &Path, boot: &str) -> io::Result<(Folder, Vec<Entry>)> {
        files::create_folder(path)?;
        let mut found = Vec::new();
        let mut note = |code, detail: String| found.push(Entry::new(What::Trail, detail).ended(Err(code)));
        let numbers = numbers(path)?;
        let mark = read(&path.join(MARK))?;
        let is_first = numbers.is_empty() && mark.is_none();
        let mark = mark.and_then(|text| Mark::decode(&text));
        if mark.is_none() && !is_first {
            note("no-mark", "the mark of the log's end was missing or damaged".into());
        }
        let mut last = None;
        let mut kept = Vec::new();
        for (at, number) in numbers.iter().enumerate().rev() {
            let file = path.join(name(*number));
            let mut text = read(&file)?.unwrap_or_default();
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            if at + 1 == numbers.len() && whole < text.len() {
                let torn = text.len() - whole;
                note("torn", format!("cut off {torn} bytes of a record that a power cut had interrupted"));
                let file = open(&file, OpenOptions::new().write(true))?;
                file.set_len(whole as u64)?;
                file.sync_all()?;
            }
            text.truncate(whole);
            let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let first = lines.next();
            if last.is_none() {
                last = lines.next_back().or(first).map(|line| (seq(line), hash(line)));
            }
            kept.insert(0, (*number, first.and_then(seq).unwrap_or_default()));
        }
        let written = mark.as_ref().map_or(0, |mark| mark.seq);
        let (found_seq, hash) = last.unwrap_or_else(|| (Some(0), Chain::default().hash().to_string()));
        let is_damaged = found_seq.is_none();
        let seq = found_seq.unwrap_or(written);
        if is_damaged {
            note("changed", "the last line was no record".into());
        } else if seq < written {
            note("cut", format!("the log ended with record {seq}, though {written} had been written"));
        } else if mark.is_some_and(|mark| mark.seq == seq && mark.hash != hash) {
            note("changed", format!("record {seq}, the last one, had been changed"));
        }
        let mut folder = Folder {
            path: path.into(),
            boot: boot.into(),
            chain: Chain::after(seq, hash),
            numbers: kept,
            newest: None,
            mark: None,
        };
        // A damaged line stays as it is, for whoever looks into it.
        if !is_damaged && let Some((number, _)) = folder.numbers.last() {
            let file = open(&path.join(name(*number)), OpenOptions::new().append(true))?;
            let len = file.metadata()?.len();
            folder.newest = Some(Newest { file, len });
        }
        Ok((folder, found))
    }

    /// Adds records for good: all of them are on the card afterwards, or none.
    pub fn add(&mut self, entries: &[(Stamp, Entry)]) -> io::Result<()> {
        let (mut chain, mut text) = (self.chain.clone(), String::new());
        // A file that somebody has removed takes everything, and keeps nothing.
        let is_gone = self.newest.as_ref().is_some_and(|newest| newest.file.metadata().is_ok_and(|is| is.nlink() == 0));
        if is_gone && let Some((stamp, _)) = entries.first() {
            let gone = Entry::new(What::Trail, "files of the log were removed while it was written");
            text += &chain.add(&self.boot, *stamp, &gone.ended(Err("removed")));
        }
        for (stamp, entry) in entries {
            text += &chain.add(&self.boot, *stamp, entry);
        }
        let begun = self.chain.seq() + 1;
        let mut newest = match self.newest.take().filter(|_| !is_gone) {
            Some(newest) if LONGEST_FILE < newest.len + text.len() as u64 => self.begin_file(begun)?,
            Some(newest) => newest,
            None => self.begin_file(begun)?,
        };
        let added = add(&mut newest, text.as_bytes());
        self.newest = Some(newest);
        added?;
        self.chain = chain;
        // The lines are there. A mark that is behind, or a file too many, is put right with the next ones.
        if self.write_mark().is_err() {
            self.mark = None;
        } else {
            self.remove_oldest();
        }
        Ok(())
    }

    fn begin_file(&mut self, first: u64) -> io::Result<Newest> {
        files::create_folder(&self.path)?;
        let present = numbers(&self.path)?;
        self.numbers.retain(|(number, _)| present.contains(number));
        let number = present.last().map_or(1, |last| last + 1);
        let path = self.path.join(name(number));
        let file = open(&path, OpenOptions::new().append(true).create_new(true).mode(0o600))?;
        File::open(&self.path)?.sync_all()?;
        self.numbers.push((number, first));
        self.mark = None;
        Ok(Newest { file, len: 0 })
    }

    fn write_mark(&mut self) -> io::Result<()> {
        let mark = match &mut self.mark {
            Some(mark) => mark,
            none => none.insert(open(
                &self.path.join(MARK),
                OpenOptions::new().write(true).create(true).truncate(false).mode(0o600),
            )?),
        };
        let kept = &self.numbers[self.numbers.len().saturating_sub(FILES)..];
        let first = kept.first().map_or(0, |(_, first)| *first);
        let text = Mark { first, seq: self.chain.seq(), hash: self.chain.hash().into() }.encode();
        mark.write_all_at(text.as_bytes(), 0)?;
        mark.sync_data()
    }

    fn remove_oldest(&mut self) {
        while FILES < self.numbers.len() && files::remove(&self.path.join(name(self.numbers[0].0))).is_ok() {
            self.numbers.remove(0);
        }
    }
}

fn add(newest: &mut Newest, text: &[u8]) -> io::Result<()> {
    // What an earlier attempt has left by halves.
    if newest.file.metadata()?.len() != newest.len {
        newest.file.set_len(newest.len)?;
    }
    let written = newest.file.write_all(text).and_then(|()| newest.file.sync_data());
    if written.is_err() {
        // If not even that succeeds, the next attempt begins with it.
        let _ = newest.file.set_len(newest.len);
    } else {
        newest.len += text.len() as u64;
    }
    written
}

/// The name of a file.
pub fn name(number: u64) -> String {
    format!("{number:08}.jsonl")
}

/// The numbers of the files in a folder, the oldest first.
pub fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.file_name();
        let number = file.to_str().and_then(|file| file.strip_suffix(".jsonl")?.parse().ok());
        numbers.extend(number.filter(|number| *name(*number) == *file));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads a file of ours; `None` if there is none. Neither a link is followed nor a pipe waited for.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match open(path, OpenOptions::new().read(true)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    // One that is longer is not ours.
    file.take(2 * LONGEST_FILE).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// Opens a file of ours. Neither a link is followed nor a pipe waited for.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not an ordinary file"))
    }
}

fn seq(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Link>(line).ok().map(|link| link.seq)
}

/// Why a log is not known to be whole.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum VerifyError {
    /// It is not.
    #[error("the audit log is not as it was written")]
    Fault(#[from] Fault),
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// There is nothing.
    #[error("there is no audit log in {}", .0.display())]
    Nothing(PathBuf),
}

/// Finds the first thing that is wrong with the log in a folder, or with a copy of it, which is one file.
pub fn verify(path: &Path) -> Result<Summary, VerifyError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| VerifyError::Io { path, source }
    };
    if !path.is_dir() {
        let mut verifier = Verifier::new(None);
        let text = fs::read(path).map_err(failed(path))?;
        feed(&mut verifier, &path.display().to_string(), &text)?;
        return Ok(verifier.end("")?);
    }
    let numbers = numbers(path).map_err(failed(path))?;
    let end = path.join(MARK);
    let mark = read(&end).map_err(failed(&end))?;
    if numbers.is_empty() && mark.is_none() {
        return Err(VerifyError::Nothing(path.into()));
    }
    let fault = |file: &str, why| Fault { place: Place { file: file.into(), line: 0 }, why };
    let mark = mark.and_then(|text| Mark::decode(&text)).ok_or_else(|| fault(MARK, Why::Mark))?;
    let mut verifier = Verifier::new(Some(mark));
    let first = numbers.first().copied().unwrap_or_default();
    for (expected, number) in (first..).zip(numbers) {
        if number != expected {
            return Err(fault(&name(expected), Why::NoFile).into());
        }
        let file = path.join(name(number));
        let text = read(&file).map_err(failed(&file))?.unwrap_or_default();
        feed(&mut verifier, &name(number), &text)?;
    }
    Ok(verifier.end(MARK)?)
}

fn feed(verifier: &mut Verifier, file: &str, text: &[u8]) -> Result<(), Fault> {
    for (at, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let place = Place { file: file.into(), line: at as u64 + 1 };
        // A line without its end is not whole, whatever it says.
        let whole = line.strip_suffix(b"\n").unwrap_or_default();
        verifier.feed(place, whole)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
