//! Keeps, and takes up, what one life of the machine leaves for the next to read.
//!
//! What a kernel said when it panicked is in RAM that survives a reset (pstore, ramoops), and taken from there at once, so
//! that the next panic finds room. Everything else is a line below `/data/state`, which is root's alone to write.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::health::needs::Needs;

/// Where the kernel shows what it kept.
const PSTORE: &str = "/sys/fs/pstore";
/// Where rcS has put the note that the life before left. On the card it would be found again by the next start, and again, if
/// each hung before anybody had taken it.
const NOTED: &str = "/run/restarted";
/// The most that is kept of a kernel's panic log, from their end: the cause and the registers are a tenth of it.
const PANIC_LOG: usize = 64 * 1024;
/// The most that is read of a note.
const NOTE: u64 = 1024;

/// The files below one state folder.
#[derive(Debug, Clone)]
pub struct Traces {
    state: PathBuf,
}

impl Traces {
    /// Those of this data folder.
    pub fn new(data: &Path) -> Traces {
        Traces { state: data.join("state") }
    }

    /// Notes why the machine will restart: a word, then a sentence.
    pub fn note(&self, text: &str) -> io::Result<()> {
        keep(&self.state.join("restart"), text.as_bytes())
    }

    /// Takes that note back, before anybody has read it.
    pub fn take_back(&self) {
        forget(&self.state.join("restart"));
    }

    /// Marks that a restart is to mend what is wrong. False: an earlier life has done so, and it did not help.
    pub fn mark(&self) -> io::Result<bool> {
        match OpenOptions::new().write(true).create_new(true).open(self.state.join("crash-loop")) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            created => created?.sync_all()?,
        }
        File::open(&self.state)?.sync_all().map(|()| true)
    }

    /// Forgets that services crashed in an earlier life.
    pub fn forgive(&self) {
        forget(&self.state.join("crash-loop"));
    }

    /// What a confirmed release had, as far as that has been noted.
    pub fn needs(&self) -> Option<Needs> {
        read_note(&self.state.join("needs")).and_then(|note| Needs::parse(&note))
    }

    /// Keeps the time, which is when this was done, and what a confirmed release has.
    pub fn remember(&self, needs: Option<Needs>) -> io::Result<()> {
        if let Some(needs) = needs {
            keep(&self.state.join("needs"), needs.to_string().as_bytes())?;
        }
        // For clock-floor, by the time of its writing. rcK does the same.
        keep(&self.state.join("clock"), b"")
    }

    /// Takes what a kernel that panicked said last, and keeps them in `panic.txt` until the next ones.
    pub fn take_panic_log(&self) -> Option<String> {
        let words = take_records(Path::new(PSTORE))?;
        if let Err(error) = keep(&self.state.join("panic.txt"), words.as_bytes()) {
            log::warn!("cannot keep the kernel's panic log: {error}");
        }
        Some(words)
    }
}

/// The note that the life before this one left, whoever asks and however often.
pub fn noted() -> Option<String> {
    read_note(Path::new(NOTED))
}

fn read_note(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(NOTE).read_to_end(&mut bytes)).ok()?;
    // One that is no text is a note all the same: somebody restarted the machine.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads and removes the kernel's records; what they hold of a panic, from its end.
fn take_records(pstore: &Path) -> Option<String> {
    let mut records: Vec<_> = fs::read_dir(pstore).ok()?.flatten().map(|entry| entry.path()).collect();
    // The parts of one panic are numbered from its end; the first is the last.
    records.sort();
    let mut words = String::new();
    for record in records {
        let is_panic = record.file_name().is_some_and(|name| name.to_string_lossy().starts_with("dmesg-"));
        let mut bytes = Vec::new();
        let read = File::open(&record).and_then(|file| file.take(PANIC_LOG as u64).read_to_end(&mut bytes));
        if is_panic && read.is_ok() && words.len() + bytes.len() <= PANIC_LOG {
            words.insert_str(0, &String::from_utf8_lossy(&bytes));
        }
        forget(&record);
    }
    (!words.is_empty()).then_some(words)
}

/// Replaces a file as one step, readable to its folder's group.
pub fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    // One of a life that was cut short is in the way of O_EXCL, which we want against planted links.
    forget(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&temporary)?;
    // Whatever the mask is.
    file.set_permissions(fs::Permissions::from_mode(0o640))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn forget(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!("cannot remove {}: {error}", path.display());
        }
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("farhand-traces-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("state")).unwrap();
        path
    }

    #[test]
    fn the_last_note_counts_and_one_that_is_no_text_is_a_note() {
        let data = folder("note");
        let (traces, note) = (Traces::new(&data), data.join("state/restart"));
        assert_eq!(None, read_note(&note));
        traces.note("person").unwrap();
        traces.note("update 0.2.0").unwrap();
        assert_eq!(
            [Some("update 0.2.0".to_string()), Some("update 0.2.0".into())],
            [read_note(&note), read_note(&note)]
        );
        fs::write(&note, [0xff; 3000]).unwrap();
        assert_eq!(Some(NOTE as usize), read_note(&note).map(|text| text.chars().count()));
        traces.take_back();
        assert_eq!(0, fs::read_dir(data.join("state")).unwrap().count());
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn what_a_release_had_is_known_to_the_next_and_the_time_with_it() {
        let data = folder("needs");
        let traces = Traces::new(&data);
        let clock = || fs::metadata(data.join("state/clock")).and_then(|clock| clock.modified());
        assert_eq!(None, traces.needs());
        traces.remember(Some(Needs::STORAGE)).unwrap();
        fs::File::options()
            .write(true)
            .open(data.join("state/clock"))
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        traces.remember(None).unwrap();
        assert_eq!(Some(Needs::STORAGE), traces.needs());
        assert!(std::time::UNIX_EPOCH < clock().unwrap(), "a later time is kept, though no more is known");
        fs::remove_dir_all(&data).unwrap();
        assert!(traces.remember(None).is_err());
    }

    #[test]
    fn a_mark_stays_until_it_is_forgiven() {
        let data = folder("mark");
        let traces = Traces::new(&data);
        for _ in 0..2 {
            assert!(traces.mark().unwrap());
            assert!(!traces.mark().unwrap());
            traces.forgive();
        }
        fs::remove_dir_all(&data).unwrap();
        assert!(traces.mark().is_err(), "a restart would be forgotten");
    }

    #[test]
    fn records_are_put_in_order_bounded_and_removed() {
        let pstore = folder("pstore");
        assert_eq!(None, take_records(&pstore.join("nowhere")));
        fs::remove_dir(pstore.join("state")).unwrap();
        assert_eq!(None, take_records(&pstore));
        fs::write(pstore.join("dmesg-ramoops-0"), "the end\n").unwrap();
        fs::write(pstore.join("dmesg-ramoops-1"), "before it\n").unwrap();
        fs::write(pstore.join("dmesg-ramoops-2"), vec![b'x'; PANIC_LOG]).unwrap();
        fs::write(pstore.join("console-ramoops-0"), "chatter\n").unwrap();
        assert_eq!(Some("before it\nthe end\n".to_string()), take_records(&pstore));
        assert_eq!(0, fs::read_dir(&pstore).unwrap().count());
        fs::remove_dir_all(pstore).unwrap();
    }

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let data = folder("link");
        let (victim, path) = (data.join("victim"), data.join("started.json"));
        fs::write(&victim, "whole").unwrap();
        for link in [data.join("started.new"), path.clone()] {
            std::os::unix::fs::symlink(&victim, link).unwrap();
        }
        keep(&path, b"{}").unwrap();
        assert_eq!(("whole".to_string(), "{}".to_string()), {
            (fs::read_to_string(&victim).unwrap(), fs::read_to_string(&path).unwrap())
        });
        fs::remove_dir_all(data).unwrap();
    }
}
