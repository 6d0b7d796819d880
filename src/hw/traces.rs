//! Keeps, and takes up, what one boot of the machine leaves for the next to read.
//!
//! What a kernel said when it panicked is in RAM that survives a reset (pstore, ramoops), and taken from there at once,
//! so that the next panic finds room. Everything else is a line below `/data/state`, which is root's alone to write.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::base::files;
use crate::health::needs::Needs;

/// Where the kernel shows what it kept.
const PSTORE: &str = "/sys/fs/pstore";
/// Where rcS has put the note of the previous run. On the card it would be found again by the next start, and again, if
/// each hung before anybody had taken it.
const NOTED: &str = "/run/restarted";
/// The most that is kept of a kernel's panic log, from their end: the cause and the registers are a tenth of it.
const PANIC_LOG: usize = 64 * 1024;
/// Root writes them, and whoever is in the folder's group may read them. The scripts rcK, reset-pin and
/// service-crashed make the same by their umask.
pub const MODE: u32 = 0o640;
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

    /// Marks that a restart is to repair what is wrong. False: an earlier boot has done so, and it did not help.
    pub fn mark(&self) -> io::Result<bool> {
        match OpenOptions::new().write(true).create_new(true).open(self.state.join("crash-loop")) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            created => {
                let mark = created?;
                mark.set_permissions(Permissions::from_mode(MODE))?;
                mark.sync_all()?;
            }
        }
        File::open(&self.state)?.sync_all().map(|()| true)
    }

    /// Forgets that services crashed in an earlier boot.
    pub fn forgive(&self) {
        files::forget(&self.state.join("crash-loop"));
    }

    /// What a confirmed release had, as far as that has been noted.
    pub fn needs(&self) -> Option<Needs> {
        read_note(&self.state.join("needs")).and_then(|note| Needs::parse(&note))
    }

    /// Keeps the time, which is when this was done, and what a confirmed release has.
    pub fn remember(&self, needs: Option<Needs>) -> io::Result<()> {
        if let Some(needs) = needs {
            files::write_with_mode(&self.state.join("needs"), needs.to_string().as_bytes(), MODE)?;
        }
        // For clock-floor, by the time of its writing. rcK does the same.
        files::write_with_mode(&self.state.join("clock"), b"", MODE)
    }

    /// Takes what a kernel that panicked said last, and keeps them in `panic.txt` until the next ones.
    pub fn take_panic_log(&self) -> Option<String> {
        let words = take_records(Path::new(PSTORE))?;
        if let Err(error) = files::write_with_mode(&self.state.join("panic.txt"), words.as_bytes(), MODE) {
            log::warn!("cannot keep the kernel's panic log: {error}");
        }
        Some(words)
    }
}

/// The note of the previous run; it stays until the machine restarts.
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
        files::forget(&record);
    }
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    use crate::hw::restart;

    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        folder
    }

    #[test]
    fn a_note_is_read_as_often_as_it_is_asked_for_and_one_that_is_no_text_is_a_note() {
        let temporary = folder();
        let data = temporary.path();
        let note = data.join("state/restart");
        assert_eq!(None, read_note(&note));
        restart::note(&data.join("state"), &restart::Reason::Person).unwrap();
        assert_eq!([Some("person\n".to_string()), Some("person\n".into())], [read_note(&note), read_note(&note)]);
        fs::write(&note, [0xff; 3000]).unwrap();
        assert_eq!(Some(NOTE as usize), read_note(&note).map(|text| text.chars().count()));
    }

    #[test]
    fn what_a_release_had_is_known_to_the_next_and_the_time_with_it() {
        let temporary = folder();
        let data = temporary.path();
        let traces = Traces::new(data);
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
        fs::remove_dir_all(data).unwrap();
        assert!(traces.remember(None).is_err());
    }

    #[test]
    fn a_mark_stays_until_it_is_forgiven() {
        let temporary = folder();
        let data = temporary.path();
        let traces = Traces::new(data);
        for _ in 0..2 {
            assert!(traces.mark().unwrap());
            assert!(!traces.mark().unwrap());
            traces.forgive();
        }
        fs::remove_dir_all(data).unwrap();
        assert!(traces.mark().is_err(), "a restart would be forgotten");
    }

    #[test]
    fn records_are_put_in_order_bounded_and_removed() {
        let temporary = folder();
        let pstore = temporary.path();
        assert_eq!(None, take_records(&pstore.join("nowhere")));
        fs::remove_dir(pstore.join("state")).unwrap();
        assert_eq!(None, take_records(pstore));
        fs::write(pstore.join("dmesg-ramoops-0"), "the end\n").unwrap();
        fs::write(pstore.join("dmesg-ramoops-1"), "before it\n").unwrap();
        fs::write(pstore.join("dmesg-ramoops-2"), vec![b'x'; PANIC_LOG]).unwrap();
        fs::write(pstore.join("console-ramoops-0"), "chatter\n").unwrap();
        assert_eq!(Some("before it\nthe end\n".to_string()), take_records(pstore));
        assert_eq!(0, fs::read_dir(pstore).unwrap().count());
    }
}
