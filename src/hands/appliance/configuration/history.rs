//! Keeps earlier configurations, a file each, with who had them count and when.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use log::warn;
use serde::{Deserialize, Serialize};

use crate::base::files;

/// `serve` reads all of them, and they hold no secret.
pub(super) const MODE: u32 = 0o644;

/// How many are kept. More than anybody goes back by.
const MOST: usize = 20;

/// One configuration of an owner's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Counts up.
    #[serde(skip)]
    pub number: u64,
    /// Who had it count; nobody knows of one that came otherwise, such as from the card.
    pub who: Option<String>,
    /// When, in seconds since 1970 by the wall clock.
    pub when: u64,
    /// The text.
    pub text: String,
}

impl Version {
    pub(super) fn new(who: Option<String>, when: u64, text: &str) -> Version {
        Version { number: 0, who, when, text: text.into() }
    }
}

/// All that are kept, the newest first. One that cannot be read is left out.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Version>> {
    let numbers = numbers(folder)?;
    Ok(numbers.into_iter().rev().filter_map(|number| read(folder, number).ok().flatten()).collect())
}

/// One of them.
pub(super) fn read(folder: &Path, number: u64) -> io::Result<Option<Version>> {
    let Some(text) = files::read(&folder.join(number.to_string()))? else { return Ok(None) };
    let version: Version = serde_json::from_str(&text)?;
    Ok(Some(Version { number, ..version }))
}

/// Makes the folder, or finds that `owner` has it. Nobody else can put another in its place then: only who owns what is
/// in a folder with the sticky bit can.
pub(super) fn open(folder: &Path, owner: u32) -> io::Result<()> {
    let made = std::fs::create_dir(folder);
    let metadata = std::fs::symlink_metadata(folder).map_err(|error| made.err().unwrap_or(error))?;
    if !metadata.is_dir() || metadata.uid() != owner {
        let place = folder.display();
        return Err(io::Error::other(format!(
            "{place} must be a folder of user {owner}, and the next boot makes it so"
        )));
    }
    // `serve` comes in, too, whatever the umask is.
    std::fs::set_permissions(folder, Permissions::from_mode(0o755))
}

/// Adds a version, and gives its number. The oldest are removed.
pub(super) fn add(folder: &Path, version: Version) -> io::Result<u64> {
    let known = numbers(folder)?;
    let number = known.last().map_or(1, |last| last + 1);
    let json = serde_json::to_string(&version).expect("texts and a number are JSON");
    files::write_with_mode(&folder.join(number.to_string()), json.as_bytes(), MODE)?;
    for old in known.iter().rev().skip(MOST - 1) {
        remove(folder, *old);
    }
    Ok(number)
}

/// Adds a text that came by another way than ours, unless it is the newest version.
pub(super) fn add_if_missing(folder: &Path, text: &str, when: u64) -> io::Result<()> {
    let newest = numbers(folder)?.last().copied().map(|number| read(folder, number));
    let is_known = newest.is_some_and(|version| version.is_ok_and(|version| version.is_some_and(|v| v.text == text)));
    if is_known || text.is_empty() {
        return Ok(());
    }
    add(folder, Version::new(None, when, text)).map(drop)
}

pub(super) fn remove(folder: &Path, number: u64) {
    if let Err(error) = files::remove(&folder.join(number.to_string())) {
        warn!("cannot remove version {number} of the configuration: {error}");
    }
}

/// The numbers of all versions, upwards.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut numbers: Vec<u64> = names.filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::geteuid;

    #[test]
    fn the_last_twenty_are_kept_with_who_and_when() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("history");
        assert_eq!(Vec::<Version>::new(), list(&folder).unwrap());
        open(&folder, geteuid().as_raw()).unwrap();
        for number in 1..=30 {
            assert_eq!(number, add(&folder, Version::new(Some("anna".into()), number, &number.to_string())).unwrap());
        }
        let kept: Vec<u64> = list(&folder).unwrap().iter().map(|version| version.number).collect();
        assert_eq!((11..=30).rev().collect::<Vec<_>>(), kept);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((0o755, 0o644), (mode(&folder), mode(&folder.join("12"))), "serve may read them");
        let version = read(&folder, 12).unwrap().unwrap();
        assert_eq!((Some("anna"), 12, "12"), (version.who.as_deref(), version.when, &*version.text));
        assert_eq!(None, read(&folder, 10).unwrap());
        add_if_missing(&folder, "30", 0).unwrap();
        add_if_missing(&folder, "other", 7).unwrap();
        assert_eq!((31, None), (list(&folder).unwrap()[0].number, list(&folder).unwrap()[0].who.clone()));
    }

    #[test]
    fn a_folder_of_somebody_elses_is_not_written_in() {
        let temporary = tempfile::tempdir().unwrap();
        let (elsewhere, me) = (temporary.path().join("elsewhere"), geteuid().as_raw());
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::set_permissions(&elsewhere, Permissions::from_mode(0o700)).unwrap();
        let link = temporary.path().join("link");
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        for (folder, owner) in [(&link, me), (&elsewhere, me + 1)] {
            let error = open(folder, owner).unwrap_err().to_string();
            assert!(error.contains(&format!("must be a folder of user {owner}")), "{error}");
        }
        assert_eq!(0o700, std::fs::metadata(&elsewhere).unwrap().permissions().mode() & 0o777);
        open(&elsewhere, me).unwrap();
    }

    #[test]
    fn what_is_damaged_costs_no_other() {
        let temporary = tempfile::tempdir().unwrap();
        add(temporary.path(), Version::new(None, 1, "one")).unwrap();
        std::fs::write(temporary.path().join("2"), "{").unwrap();
        std::fs::write(temporary.path().join("3.new"), "{}").unwrap();
        assert_eq!(1, list(temporary.path()).unwrap().len());
        assert_eq!(3, add(temporary.path(), Version::new(None, 1, "three")).unwrap());
    }
}
