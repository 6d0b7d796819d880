//! Takes an uploaded file out of the network process's reach.
//!
//! The network process is the one that an attacker would take over, and the folder in which it leaves the file is its
//! own. So nothing about that file is believed: it is moved to where only we can touch it, and looked at there. A
//! writer that still has it open is found by the installer, which takes a lease on it before it reads.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, renameat};
use nix::unistd::{fchown, getegid, geteuid};

use crate::base::files;

/// What the file is called in both folders.
pub const NAME: &str = "update.raucb";

/// Where the file is in one of them.
pub fn file(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Moves the file from one folder to the other and makes it ours. Whatever is wrong with it, it is gone from both.
pub fn upgrade_with(spool: &Path, taken: &Path, len: u64) -> io::Result<PathBuf> {
    let from = open_folder(spool)?;
    let to = own_folder(taken)?;
    let file = file(taken);
    files::remove(&file)?;
    renameat(&from, NAME, &to, NAME)?;
    match make_ours(&file, len) {
        Ok(()) => Ok(file),
        Err(error) => {
            files::remove(&file)?;
            Err(error)
        }
    }
}

fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

/// Opens a folder that is ours alone, which it is from its making on.
fn own_folder(path: &Path) -> io::Result<File> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => (),
    }
    let folder = open_folder(path)?;
    let metadata = folder.metadata()?;
    if metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
        return Err(io::Error::other(format!("{} is open to others", path.display())));
    }
    Ok(folder)
}

fn make_ours(path: &Path, len: u64) -> io::Result<()> {
    // Without waiting, should it be a pipe; and not through a link, which would make something else ours.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if metadata.nlink() != 1 {
        return Err(io::Error::other("it has another name beside this one"));
    }
    if metadata.len() != len {
        return Err(io::Error::other(format!("it has {} bytes and should have {len}", metadata.len())));
    }
    fchown(file.as_fd(), Some(geteuid()), Some(getegid()))?;
    file.set_permissions(Permissions::from_mode(0o400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use tempfile::TempDir;

    struct Folders(TempDir);

    impl Folders {
        fn new() -> Folders {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("spool")).unwrap();
            Folders(folder)
        }

        fn spool(&self) -> PathBuf {
            self.0.path().join("spool")
        }

        fn taken(&self) -> PathBuf {
            self.0.path().join("taken")
        }

        #[track_caller]
        fn refuses(&self, len: u64, part: &str) {
            let error = upgrade_with(&self.spool(), &self.taken(), len).unwrap_err().to_string();
            assert!(error.contains(part), "{part:?} is not in: {error}");
            assert!(fs::symlink_metadata(file(&self.taken())).is_err(), "it was left there");
        }
    }

    #[test]
    fn a_file_is_moved_to_where_only_we_can_touch_it() {
        let folders = Folders::new();
        fs::write(file(&folders.spool()), "bundle").unwrap();
        let taken = upgrade_with(&folders.spool(), &folders.taken(), 6).unwrap();
        assert_eq!("bundle", fs::read_to_string(&taken).unwrap());
        assert_eq!(0o400, fs::metadata(&taken).unwrap().mode() & 0o777);
        assert_eq!(0o700, fs::metadata(folders.taken()).unwrap().mode() & 0o777);
        assert!(!file(&folders.spool()).exists());
        fs::write(file(&folders.spool()), "next").unwrap();
        upgrade_with(&folders.spool(), &folders.taken(), 4).unwrap();
        assert_eq!("next", fs::read_to_string(&taken).unwrap(), "one that was left is replaced");
    }

    #[test]
    fn what_is_not_a_plain_file_of_its_length_is_refused() {
        let folders = Folders::new();
        let spooled = file(&folders.spool());
        folders.refuses(1, "No such file");
        fs::write(&spooled, "bundle").unwrap();
        folders.refuses(5, "6 bytes and should have 5");
        fs::write(&spooled, "bundle").unwrap();
        fs::hard_link(&spooled, folders.spool().join("other")).unwrap();
        folders.refuses(6, "another name");
        let elsewhere = folders.0.path().join("elsewhere");
        fs::write(&elsewhere, "secret").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &spooled).unwrap();
        folders.refuses(6, "symbolic links");
        assert_eq!("secret", fs::read_to_string(&elsewhere).unwrap());
        nix::unistd::mkfifo(&spooled, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        folders.refuses(0, "no file");
    }

    #[test]
    fn a_folder_that_is_open_to_others_or_elsewhere_is_not_used() {
        let folders = Folders::new();
        fs::write(file(&folders.spool()), "bundle").unwrap();
        fs::create_dir(folders.taken()).unwrap();
        fs::set_permissions(folders.taken(), Permissions::from_mode(0o770)).unwrap();
        folders.refuses(6, "open to others");
        fs::remove_dir(folders.taken()).unwrap();
        std::os::unix::fs::symlink(folders.spool(), folders.taken()).unwrap();
        assert!(upgrade_with(&folders.spool(), &folders.taken(), 6).is_err());
        fs::remove_file(folders.taken()).unwrap();
        fs::rename(folders.spool(), folders.0.path().join("away")).unwrap();
        std::os::unix::fs::symlink(folders.0.path().join("away"), folders.spool()).unwrap();
        assert!(upgrade_with(&folders.spool(), &folders.taken(), 6).is_err());
        assert!(folders.0.path().join("away").join(NAME).exists(), "it is still where it was");
    }
}
