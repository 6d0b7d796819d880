//! Checks what the appliance writes to the partition that a board boots from: its notes, each one sector in place.
//!
//! A write of one sector is atomic, so a cut leaves either the old or the new note. What `farhand note` makes of a
//! damaged volume, and a sector that is torn all the same, are tested in the host tests.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use farhand::hw::note::Note;

use super::log::{Entry, Write};
use super::record::recording;

/// Where it is (`board/common/genimage.cfg`).
const START: u64 = 4 << 20;
const LEN: u64 = 48 << 20;
const SECTOR: usize = 512;

#[test]
fn only_notes_are_written_to_the_partition_that_a_board_boots_from() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut volume = vec![0; usize::try_from(LEN).unwrap()];
    let card = File::open(top.join("out/virt/card.img")).expect("there is an image: run 'make image-quick'");
    card.read_exact_at(&mut volume, START).unwrap();
    let folder = top.join("out/run/powercut-firmware");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("firmware.vfat");
    std::fs::write(&path, &volume).unwrap();
    let file = File::options().write(true).open(&path).unwrap();

    let is_note = |sector: &[u8], note: Note| sector.starts_with(note.opening().as_bytes());
    let mut codes = Vec::new();
    for write in recording().entries.iter().filter_map(touching) {
        let at = usize::try_from(write.at - START).unwrap();
        assert_eq!(SECTOR, write.bytes.len(), "at {at:#x}: a write that can be cut in two");
        let known = &volume[at..at + SECTOR];
        let note = Note::ALL.into_iter().find(|note| is_note(known, *note) && is_note(&write.bytes, *note));
        assert!(note.is_some(), "at {at:#x} is no note, or none any more: {:?}", String::from_utf8_lossy(&write.bytes));
        codes.push(String::from_utf8_lossy(&write.bytes).trim_end().to_owned());
        volume[at..at + SECTOR].copy_from_slice(&write.bytes);

        file.write_all_at(&write.bytes, write.at - START).unwrap();
        let output = Command::new("fsck.fat").arg("-n").arg(&path).output().expect("dosfstools is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    // It has written a claim code, and then that there is an owner.
    assert!(1 < codes.len(), "{codes:?}");
    assert!(codes[0].starts_with("claim code: ") && !codes[0].contains("none"), "{codes:?}");
    assert_eq!("claim code: none is needed, because this device has an owner.", codes[codes.len() - 1]);
}

fn touching(entry: &Entry) -> Option<&Write> {
    match entry {
        Entry::Write(write) if write.touches(&(START..START + LEN)) => Some(write),
        _ => None,
    }
}
