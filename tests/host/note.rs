//! Writes notes on the card's first partition as the image build makes it, and judges that as a laptop and a board
//! would.
//!
//! The partition is what a board boots from, and an owner who wants to read a note switches off. So whatever moment the
//! power fails, and whatever is damaged already, only the note may have changed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use farhand::hw::note::Note;
use farhand::hw::note::fat::{self, SECTOR};

const CODE: &str = "claim-code.txt";
const ERROR: &str = "farhand-error.txt";
/// What is torn on flash may be neither old nor new.
const ERASED: u8 = 0xff;

/// A partition in a file, gone with the test.
struct Partition {
    folder: PathBuf,
}

impl Partition {
    /// As firmware.sh makes it, with what a board and an owner have there in addition to the notes.
    fn new(name: &str) -> Partition {
        // In the build's own folder: one in memory would not take direct I/O everywhere.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("note-{}-{name}", std::process::id()));
        fs::create_dir_all(folder.join("files")).unwrap();
        let partition = Partition { folder };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/board/common/firmware.sh");
        let mut make = Command::new(script);
        run(make.arg(&partition.folder).arg("virt").env("SOURCE_DATE_EPOCH", "1700000000"));
        for (name, len) in [("config.txt", 900), ("start4.elf", 300_000), ("u-boot.bin", 5 * SECTOR), ("tree.dtb", 7)] {
            let bytes: Vec<u8> = (0..len).map(|at: usize| (at / 7 + name.len()) as u8).collect();
            partition.put(name, &bytes);
        }
        partition.put("farhand.toml", b"[network]\nhost = \"rack-7\"\n");
        partition
    }

    fn path(&self) -> PathBuf {
        self.folder.join("firmware.vfat")
    }

    /// Puts a file there, as a laptop would.
    fn put(&self, name: &str, bytes: &[u8]) {
        let file = self.folder.join("files").join(name);
        fs::write(&file, bytes).unwrap();
        run(Command::new("mcopy").args(["-o", "-i"]).arg(self.path()).arg(&file).arg("::"));
    }

    /// One of mtools' programs, with more arguments.
    fn mtool(&self, tool: &str, arguments: &[&str]) {
        run(Command::new(tool).arg("-i").arg(self.path()).args(arguments));
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// Every file that a laptop finds.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let folder = self.folder.join("found");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        run(Command::new("mcopy").args(["-s", "-n", "-i"]).arg(self.path()).arg("::*").arg(&folder));
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
    }

    /// Whether fsck.fat has nothing to complain of.
    fn is_clean(&self) -> bool {
        let output = Command::new("fsck.fat").arg("-n").arg(self.path()).output();
        let output = output.expect("make check installs dosfstools");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // It ends well, too, when it has found that a volume was not unmounted.
        output.status.success() && said.lines().count() == 2
    }

    /// Runs init's command.
    fn note(&self, name: &str, text: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_farhand"));
        command.args(["note", name, "--device"]).arg(self.path());
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that does not know the note does not listen, either.
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn notes(&self, name: &str, text: &str) {
        let output = self.note(name, text);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }

    /// Expects that a note is refused for this reason, and that nothing is written.
    #[track_caller]
    fn refuses(&self, why: &str) {
        let before = self.bytes();
        let output = self.note(CODE, "K7QM-2XTN");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{why:?} is not in: {said}");
        assert!(!said.contains("K7QM"), "it goes to a log: {said}");
        assert!(before == self.bytes(), "{why}: something was written");
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: make check installs it"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The sectors in which two volumes differ.
fn changed(before: &[u8], after: &[u8]) -> Vec<usize> {
    assert_eq!(before.len(), after.len());
    let pairs = before.chunks(SECTOR).zip(after.chunks(SECTOR)).enumerate();
    pairs.filter(|(_, (before, after))| before != after).map(|(number, _)| number).collect()
}

fn sector(bytes: &[u8], number: usize) -> &[u8] {
    &bytes[number * SECTOR..][..SECTOR]
}

fn text(files: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
    String::from_utf8_lossy(&files[name]).trim_end().to_owned()
}

#[test]
fn an_owner_reads_on_a_laptop_what_there_is_to_say_and_that_there_is_nothing() {
    let partition = Partition::new("read");
    let fresh = partition.files();
    assert!(text(&fresh, CODE).starts_with("claim code: none yet."), "{fresh:?}");
    partition.notes(ERROR, "");
    assert_eq!(fresh, partition.files(), "the image says already that nothing is wrong");

    partition.notes(CODE, "K7QM-2XTN");
    partition.notes(ERROR, "farhand: farhand.toml on this card was not taken: no\nsuch thing\n");
    let told = partition.files();
    assert_eq!("claim code: K7QM-2XTN", text(&told, CODE));
    let error = "What Farhand says of the farhand.toml on this card:\n\
        farhand: farhand.toml on this card was not taken: no\nsuch thing";
    assert_eq!(error, text(&told, ERROR));

    partition.notes(CODE, "");
    partition.notes(ERROR, "");
    let settled = partition.files();
    assert_eq!("claim code: none is needed, because this device has an owner.", text(&settled, CODE));
    assert_eq!(fresh[ERROR], settled[ERROR]);
}

#[test]
fn a_note_cut_at_any_moment_leaves_every_other_file_and_a_volume_without_a_fault() {
    let partition = Partition::new("cut");
    for (name, said) in [(CODE, "K7QM-2XTN"), (CODE, "ABCD-0123"), (ERROR, "farhand: no"), (CODE, ""), (ERROR, "")] {
        let (before, files) = (partition.bytes(), partition.files());
        partition.notes(name, said);
        let after = partition.bytes();
        let &[place] = changed(&before, &after).as_slice() else { panic!("{name}: more than one sector") };
        let (old, new) = (sector(&before, place), sector(&after, place));
        let device = File::options().write(true).open(partition.path()).unwrap();
        let torn = |end: usize, rest: &[u8]| [&new[..end], &rest[end..]].concat();
        let erased = [ERASED; SECTOR];
        // A card writes a sector whole or not at all. The others are of one that breaks its word.
        for cut in [old.to_vec(), new.to_vec(), torn(1, old), torn(200, old), torn(30, &erased), erased.to_vec()] {
            device.write_all_at(&cut, (place * SECTOR) as u64).unwrap();
            assert!(partition.is_clean(), "{name}: {:?}", String::from_utf8_lossy(&cut));
            let mut found = partition.files();
            assert_eq!(Some(cut), found.insert(name.into(), files[name].clone()), "{name}");
            assert_eq!(files, found, "{name}");
        }
        // The next start says it again.
        device.write_all_at(old, (place * SECTOR) as u64).unwrap();
        partition.notes(name, said);
        assert!(after == partition.bytes());
    }
}

#[test]
fn a_note_that_is_made_anew_is_noticed() {
    let partition = Partition::new("mutant");
    let before = partition.bytes();
    partition.put(CODE, &[b'x'; 3 * SECTOR]);
    let after = partition.bytes();
    let device = File::options().write(true).open(partition.path()).unwrap();
    device.write_all_at(&before, 0).unwrap();
    assert!(partition.is_clean());
    let places = changed(&before, &after);
    let broken = places.iter().filter(|place| {
        device.write_all_at(sector(&after, **place), (**place * SECTOR) as u64).unwrap();
        !partition.is_clean()
    });
    assert_ne!(0, broken.count(), "not noticed in {places:?}");
}

#[test]
fn a_note_that_says_it_already_is_not_written() {
    let partition = Partition::new("known");
    partition.notes(CODE, "K7QM-2XTN");
    fs::set_permissions(partition.path(), std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
    let time = || fs::metadata(partition.path()).unwrap().modified().unwrap();
    let before = time();
    partition.notes(CODE, "K7QM-2XTN\n");
    assert_eq!(before, time());
}

#[test]
fn a_file_that_an_owner_has_removed_or_changed_is_left_alone() {
    let change = |name: &str, change: &dyn Fn(&Partition), why: &str| {
        let partition = Partition::new(name);
        change(&partition);
        partition.refuses(&format!("claim-code.txt on this card is left as it is: {why}"));
    };
    change("deleted", &|partition| partition.mtool("mdel", &["::claim-code.txt"]), "there is no such file");
    change(
        "renamed",
        &|partition| partition.mtool("mren", &["::claim-code.txt", "::old.txt"]),
        "there is no such file",
    );
    change("longer", &|partition| partition.put(CODE, &[b'x'; 513]), "it has 513 bytes");
    change("shorter", &|partition| partition.put(CODE, b"claim code: mine\n"), "it has 17 bytes");
    change("empty", &|partition| partition.put(CODE, b""), "it has 0 bytes");
    change("other", &|partition| partition.put(CODE, &[b'x'; SECTOR]), "something else is in it");
    let folder = |partition: &Partition| {
        partition.mtool("mdel", &["::claim-code.txt"]);
        partition.mtool("mmd", &["::claim-code.txt"]);
    };
    change("folder", &folder, "there is no such file");
    let other = |partition: &Partition| {
        run(Command::new("mkfs.fat").args(["-F", "16"]).arg(partition.path()));
    };
    change("formatted", &other, "its partition is not the FAT32 volume that the image has");
    let short = |partition: &Partition| File::options().write(true).open(partition.path()).unwrap().set_len(40 << 20);
    change("short", &|partition| short(partition).unwrap(), "its partition is not the FAT32 volume");

    // One that came back by a laptop's copy is as good as ours.
    let partition = Partition::new("back");
    let note = partition.files()[CODE].clone();
    partition.mtool("mdel", &["::claim-code.txt"]);
    partition.put("other.txt", b"in its place");
    partition.put(CODE, &note);
    partition.notes(CODE, "K7QM-2XTN");
    assert_eq!("claim code: K7QM-2XTN", text(&partition.files(), CODE));
    assert!(partition.is_clean());
}

#[test]
fn a_machine_without_a_card_says_nothing_and_a_name_that_is_no_note_is_refused() {
    let partition = Partition::new("nowhere");
    fs::remove_file(partition.path()).unwrap();
    partition.notes(CODE, "K7QM-2XTN");
    assert!(!partition.path().exists(), "nothing is made");
    let output = partition.note("config.txt", "x");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("the notes are claim-code.txt and farhand-error.txt"), "{said}");
}

/// All that says where a file is: the boot sector, the first sector of both tables, and the folder.
#[test]
fn no_flipped_bit_and_no_lost_sector_moves_a_note_to_another_place() {
    let partition = Partition::new("flipped");
    let mut bytes = partition.bytes();
    let find = |bytes: &[u8], note: Note| {
        let read = |number: u64| {
            let at = usize::try_from(number).unwrap() * SECTOR;
            assert!(at < bytes.len(), "sector {number} is asked for");
            let sector = &bytes[at..at + SECTOR];
            Ok(sector.try_into().unwrap())
        };
        fat::find(note.file(), note.opening().as_bytes(), (bytes.len() / SECTOR) as u64, read).map(|(place, _)| place)
    };
    let places = Note::ALL.map(|note| find(&bytes, note).unwrap());
    let half = |bytes: &[u8], at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let (table, length) = (usize::from(half(&bytes, 14)), usize::from(half(&bytes, 36)));
    let root = table + 2 * length;
    let parts = [0..1, table..table + 1, table + length..table + length + 1, root..root + 2];
    let (mut missed, mut found) = (0, 0);
    for at in parts.into_iter().flatten().flat_map(|number| number * SECTOR..(number + 1) * SECTOR) {
        let was = bytes[at];
        for value in (0..8).map(|bit| was ^ 1 << bit).chain([0, ERASED]) {
            bytes[at] = value;
            for (note, place) in Note::ALL.into_iter().zip(places) {
                match find(&bytes, note) {
                    Ok(found_at) => {
                        assert_eq!(place, found_at, "{} with {value:#x} at {at:#x}", note.file());
                        found += 1;
                    }
                    Err(_) => missed += 1,
                }
            }
        }
        bytes[at] = was;
    }
    assert!(500 < missed && 10_000 < found, "{missed} missed, {found} found");

    for number in [0, table, root] {
        for value in [0, ERASED, 0x55] {
            let was = sector(&bytes, number).to_vec();
            bytes[number * SECTOR..][..SECTOR].fill(value);
            for (note, place) in Note::ALL.into_iter().zip(places) {
                assert!(find(&bytes, note).is_ok_and(|found| found == place) || find(&bytes, note).is_err());
            }
            bytes[number * SECTOR..][..SECTOR].copy_from_slice(&was);
        }
    }
    let is_damaged = |bytes: &[u8]| matches!(find(bytes, Note::ClaimCode), Err(fat::FatError::Damaged));
    // The folder says that the note is where no cluster is; the table says that it goes on, or is free.
    let cluster = u16::try_from(places[0] - root as u64 + 2).unwrap();
    let is_its = |at: &usize| half(&bytes, at + 26) == cluster && bytes[at + 28..at + 32] == [0, 2, 0, 0];
    let entry = (root * SECTOR..(root + 2) * SECTOR).step_by(32).find(is_its).unwrap();
    for (at, values) in [
        (entry + 26, [0, 1, u16::MAX]),
        (entry + 20, [2, 0x0fff, 0x8000]),
        (table * SECTOR + 4 * usize::from(cluster), [0, 5, 0xfff7]),
    ] {
        let was = half(&bytes, at);
        for value in values {
            bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
            assert!(is_damaged(&bytes), "{value:#x} at {at:#x}");
        }
        bytes[at..at + 2].copy_from_slice(&was.to_le_bytes());
    }
    // A folder whose clusters go round in a ring, with nothing unused to end it.
    let first = u32::from_le_bytes(bytes[44..48].try_into().unwrap()) as usize;
    bytes[root * SECTOR..][..SECTOR].fill(0xe5);
    bytes[table * SECTOR + 4 * first..][..4].copy_from_slice(&u32::try_from(first).unwrap().to_le_bytes());
    assert!(is_damaged(&bytes));
}
