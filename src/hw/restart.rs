//! Restarts the machine, and notes for the next start who asked for it.
//!
//! The note is one line below `/data/state`: a word, then perhaps a sentence. `rcS` moves it away at the next start,
//! and [`crate::health::reset_reason`] reads it; `service-crashed`, which must work without us, writes the same with
//! `crashes`.

use std::io;
use std::path::Path;

use super::traces::MODE;
use crate::base::files;
use crate::base::launcher::{Launcher, Program};

/// The note's file in the state folder.
const NOTE: &str = "restart";

/// Who restarts the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A new version waits to be started.
    Update,
    /// Somebody asked for it.
    Person,
    /// The guard, because of this.
    Watchdog(String),
}

/// Notes why the machine will restart.
pub fn note(state: &Path, reason: &Reason) -> io::Result<()> {
    let line = match reason {
        Reason::Update => "update\n".to_string(),
        Reason::Person => "person\n".to_string(),
        Reason::Watchdog(why) => format!("watchdog {}\n", why.replace('\n', " ")),
    };
    files::write_with_mode(&state.join(NOTE), line.as_bytes(), MODE)
}

/// Takes the note back, before anybody has read it.
pub fn take_back(state: &Path) -> io::Result<()> {
    files::remove(&state.join(NOTE))
}

/// What asks init to end everything in order.
pub const REBOOT: &str = "/sbin/reboot";

/// That program, as the guard runs it: it asks init even if the guard has to end.
pub fn program() -> Program {
    Program::new([REBOOT]).outliving()
}

/// Asks init to end everything in order, and waits for as long as that takes. The guard does so on a thread of its own,
/// since the card may hang; the hands, who have to answer somebody, run the program themselves and give it a time.
pub fn restart(launcher: &Launcher) -> io::Result<()> {
    let status = launcher.output(&program(), b"")?.status;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("reboot ended with {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_line_whatever_is_wrong_and_the_last_one_counts() {
        let temporary = tempfile::tempdir().unwrap();
        let state = temporary.path().join("restart");
        std::fs::create_dir_all(&state).unwrap();
        for (reason, line) in [
            (Reason::Person, "person\n"),
            (Reason::Update, "update\n"),
            (Reason::Watchdog("no page\nsince then".into()), "watchdog no page since then\n"),
        ] {
            note(&state, &reason).unwrap();
            assert_eq!(line, std::fs::read_to_string(state.join(NOTE)).unwrap());
        }
        take_back(&state).unwrap();
        take_back(&state).unwrap();
        assert_eq!(0, std::fs::read_dir(&state).unwrap().count());
    }
}
