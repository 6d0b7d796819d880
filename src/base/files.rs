//! Writes files so that a power cut leaves the old one or the new one, never half of either.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

/// Far more than any of our files has; a file that is longer is not ours.
const LONGEST: u64 = 1 << 20;

/// Creates a folder that only we may enter, and those above it.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Replaces a file as one step, readable to us alone.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with_mode(path, bytes, 0o600)
}

/// Replaces a file as one step; `mode` says who may read it.
pub fn write_with_mode(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = path.with_extension("new");
    // One that an earlier run left half-written is in the way of O_EXCL, which we want against planted links.
    remove(&temporary)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(bytes)?;
    // The mode that was asked for, whatever the umask is.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    rename(&temporary, path)
}

/// Puts a finished file in another's place, for good once this returns.
pub fn rename(from: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(from, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Reads a file of ours; `None` if there is none.
///
/// Root reads in folders where others may write, so neither a link is followed nor a pipe waited for.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an ordinary file"));
    }
    let mut bytes = Vec::new();
    // One more, so that what is too long is refused and not cut: half of a file may say something else.
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if LONGEST < bytes.len() as u64 {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB"));
    }
    text(bytes).map(Some)
}

/// What is in a text file, or why it is none and what would do.
pub fn text(bytes: Vec<u8>) -> io::Result<String> {
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let encoding = if is_utf16 { "it is written as UTF-16" } else { "it is not written as UTF-8" };
    let wrong = |_| io::Error::new(io::ErrorKind::InvalidData, format!("{encoding}: save it as UTF-8"));
    String::from_utf8(bytes).map_err(wrong)
}

/// Removes a file of ours, if there is one.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a file of ours, if there is one, where nothing follows from its being left but a line in the log.
pub fn forget(path: &Path) {
    if let Err(error) = remove(path) {
        log::warn!("cannot remove {}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use crate::base::files::*;

    #[test]
    fn neither_a_link_nor_a_pipe_nor_a_folder_is_read() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("store");
        create_folder(&folder).unwrap();
        write_whole(&folder.join("file"), b"text").unwrap();
        std::os::unix::fs::symlink("file", folder.join("link")).unwrap();
        nix::unistd::mkfifo(&folder.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(Some("text".to_string()), read(&folder.join("file")).unwrap());
        assert_eq!(None, read(&folder.join("none")).unwrap());
        for other in ["link", "pipe", "."] {
            assert!(read(&folder.join(other)).is_err(), "{other}");
        }
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_and_not_cut() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("long");
        for (length, whole) in [(LONGEST, true), (LONGEST + 1, false)] {
            std::fs::write(&path, vec![b'#'; length as usize]).unwrap();
            let length = read(&path).map(|text| text.unwrap().len() as u64);
            assert_eq!(whole.then_some(LONGEST), length.as_ref().ok().copied(), "{length:?}");
        }
    }

    #[test]
    fn what_is_no_utf_8_is_said_with_what_to_do() {
        for (bytes, part) in [(&b"\xff\xfe[\0"[..], "UTF-16"), (b"\xfe\xff\0[", "UTF-16"), (b"a\xe4b", "not written")] {
            let error = text(bytes.to_vec()).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("save it as UTF-8"), "{error}");
        }
        assert_eq!("\u{feff}ä", text("\u{feff}ä".into()).unwrap());
    }

    #[test]
    fn a_link_in_the_way_of_a_new_file_is_not_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("link");
        create_folder(&folder).unwrap();
        let (victim, path) = (folder.join("victim"), folder.join("started.json"));
        std::fs::write(&victim, "whole").unwrap();
        for link in [folder.join("started.new"), path.clone()] {
            std::os::unix::fs::symlink(&victim, link).unwrap();
        }
        write_with_mode(&path, b"{}", 0o640).unwrap();
        assert_eq!(("whole".to_string(), "{}".to_string()), {
            (std::fs::read_to_string(&victim).unwrap(), std::fs::read_to_string(&path).unwrap())
        });
    }
}
