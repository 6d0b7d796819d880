//! Leaves notes for the owner on the card's FAT partition, where any laptop reads them.
//!
//! There is no other way to say something to an owner who sees neither console nor page, but it is the partition that
//! the board boots from, and whoever reads a note switches off for it. So the image carries a file for each note, one
//! sector long, and a note is that sector, written past the cache, which a card writes whole or not at all. Neither the
//! volume's tables nor its folder ever change, and a file that somebody has removed or rewritten is left alone.

pub mod fat;

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc;

use fat::{FatError, SECTOR, Sector};

/// What a line is shortened to at least, when there is too much to say.
const SHORTEST: usize = 16;
/// What stands for the rest of such a line.
const REST: &str = "...";

/// A note, by its file. `board/common/firmware.sh` puts the files into the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// How to become the owner.
    ClaimCode,
    /// Why the `farhand.toml` next to it was not taken.
    Error,
}

/// Why a note was not left.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum NoteError {
    /// The file is not as the image has it.
    #[error("{} on this card is left as it is", .note.file())]
    Left { note: Note, source: FatError },
    /// A step failed.
    #[error("{}: {op} failed", device.display())]
    Io { device: PathBuf, op: &'static str, source: io::Error },
}

impl Note {
    /// Every note that the image carries a file for.
    pub const ALL: [Note; 2] = [Note::ClaimCode, Note::Error];

    /// The file that holds it.
    pub fn file(self) -> &'static str {
        match self {
            Note::ClaimCode => "claim-code.txt",
            Note::Error => "farhand-error.txt",
        }
    }

    /// How it begins, whatever it says: by this its sector is known before it is written.
    pub fn opening(self) -> &'static str {
        match self {
            Note::ClaimCode => "claim code: ",
            Note::Error => "What Farhand says of the farhand.toml on this card:\n",
        }
    }

    /// What it says when there is nothing to say: an owner who opens it shall not wonder.
    fn nothing(self) -> &'static str {
        match self {
            Note::ClaimCode => "none is needed, because this device has an owner.",
            Note::Error => "Nothing is wrong with it, or there is none.",
        }
    }

    /// The sector that says this; nothing, if it is empty.
    fn sector(self, text: &str) -> Sector {
        let text = if text.trim().is_empty() { self.nothing() } else { text.trim() };
        // Both line ends are in the sector, and blanks between them: so a terminal shows no screen of empty lines.
        let room = SECTOR - self.opening().len() - 2;
        let note = format!("{}{}\n", self.opening(), shortened(text, room));
        let mut sector = [b' '; SECTOR];
        sector[..note.len()].copy_from_slice(note.as_bytes());
        sector[SECTOR - 1] = b'\n';
        sector
    }
}

/// Has a note say this, or that there is nothing to say, if it does not already.
pub fn write(device: &Path, note: Note, text: &str) -> Result<(), NoteError> {
    let op = |op| move |source| NoteError::Io { device: device.into(), op, source };
    let mut file = File::open(device).map_err(op("open"))?;
    let room = file.seek(SeekFrom::End(0)).map_err(op("asking for its size"))? / SECTOR as u64;
    let read = |sector: u64| {
        let mut bytes = [0; SECTOR];
        file.read_exact_at(&mut bytes, sector * SECTOR as u64)?;
        Ok(bytes)
    };
    let found = fat::find(note.file(), note.opening().as_bytes(), room, read);
    let (place, known) = found.map_err(|source| NoteError::Left { note, source })?;
    let sector = note.sector(text);
    if known == sector {
        return Ok(());
    }
    // Our kernel refuses this while the partition is mounted, so nobody reads half of it.
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_DIRECT | libc::O_SYNC)
        .open(device)
        .map_err(op("open for writing"))?;
    file.write_all_at(&Aligned(sector).0, place * SECTOR as u64).map_err(op("writing the note"))
}

/// Direct I/O wants its memory on such a border.
#[repr(C, align(4096))]
struct Aligned(Sector);

/// Printable text of at most so many bytes. The longest lines lose their ends first: they are an owner's own, shown
/// again, while a short one says what is wrong with them.
fn shortened(text: &str, room: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    let lines: Vec<&str> = text.lines().collect();
    let len_with = |width: usize| lines.iter().map(|line| line.len().min(width) + 1).sum::<usize>();
    let width = (SHORTEST..=room).rev().find(|width| len_with(*width) <= room + 1).unwrap_or(SHORTEST);
    let lines: Vec<String> = lines.into_iter().map(|line| cut(line, width)).collect();
    cut(&lines.join("\n"), room)
}

/// A text's beginning, if it has more than so many bytes.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub(REST.len()));
    format!("{}{REST}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(note: Note, text: &str) -> String {
        let sector = String::from_utf8(note.sector(text).to_vec()).unwrap();
        assert!(sector.starts_with(note.opening()) && sector.ends_with('\n'), "{sector:?}");
        sector.trim_end().to_owned()
    }

    #[test]
    fn a_note_fills_its_sector_whatever_it_says() {
        assert_eq!("claim code: K7QM-2XTN", read(Note::ClaimCode, "K7QM-2XTN\n"));
        assert_eq!("claim code: none is needed, because this device has an owner.", read(Note::ClaimCode, "\n"));
        assert!(read(Note::Error, "").ends_with("\nNothing is wrong with it, or there is none."));
        for len in (0..600).step_by(7) {
            for text in ["x".repeat(len), "ö".repeat(len), "\n".repeat(len), "x\n".repeat(len)] {
                read(Note::Error, &text);
            }
        }
        assert_eq!("claim code: a  [31mb c", read(Note::ClaimCode, "a\t\x1b[31mb\rc"), "a terminal may show it");
    }

    #[test]
    fn the_longest_line_is_shortened_and_what_is_wrong_is_said_whole() {
        let problem = "network.host: \"rack 7\" must be a host name, such as \"rack-7\"";
        let line = "x".repeat(400);
        let said = read(Note::Error, &format!("error at line 2, column 8\n  |\n2 | {line}\n  | {line}\n{problem}"));
        assert!(said.contains("\nerror at line 2, column 8\n"), "{said}");
        assert!(said.ends_with(&format!("xxx...\n{problem}")), "{said}");
        assert!(500 < said.len(), "no more is lost than must be: {said}");
    }
}
