//! Leaves notes for the next start, and takes them back if there is none.
//!
//! A card that fails may keep a write for minutes and carry it out in the end. A note that has been taken back is not
//! written by a thread that wakes up later: an owner would be surprised by a factory reset days after it was refused.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use log::error;

use super::card::Card;
use crate::base::files;
use crate::hw::restart::{self, Reason};
use crate::hw::traces::MODE;

/// The note by which `rcS` knows that the appliance is to forget its owner.
const FACTORY_RESET: &str = "factory-reset";

/// The notes in one state folder.
#[derive(Debug)]
pub struct Notes {
    state: PathBuf,
    /// Of their own: whatever else hangs at the card, the notes are tried.
    card: Card,
    /// Tells the last write that its notes are not wanted any more.
    withdrawn: Arc<AtomicBool>,
}

impl Notes {
    /// Those of this folder.
    pub fn new(state: PathBuf) -> Notes {
        Notes { state, card: Card::default(), withdrawn: Arc::default() }
    }

    /// Notes that the machine restarts, and whether it forgets its owner then. `TimedOut`: the card does not answer.
    pub async fn leave(&mut self, reason: Reason, forget: bool) -> io::Result<()> {
        self.leave_by(move |state| restart::note(state, &reason), forget).await
    }

    async fn leave_by(
        &mut self,
        note: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
        forget: bool,
    ) -> io::Result<()> {
        self.withdrawn = Arc::default();
        let write = Write { state: self.state.clone(), withdrawn: self.withdrawn.clone() };
        let late = write.clone();
        // One that has failed half-way has something to take back, too, so to the card both are done.
        self.card.run(move || Ok(write.run(note, forget)), move |_| late.undo()).await.flatten()
    }

    /// Takes them back, now or as soon as the card answers.
    pub async fn withdraw(&mut self) {
        // For a write that is under way: nothing else is done before it ends.
        self.withdrawn.store(true, Ordering::SeqCst);
        let state = self.state.clone();
        if let Err(error) = self.card.run(move || remove(&state), drop).await {
            error!("cannot take back the notes for the next start: {error}");
        }
    }
}

/// One write, which may have to wait for the card.
#[derive(Clone)]
struct Write {
    state: PathBuf,
    withdrawn: Arc<AtomicBool>,
}

impl Write {
    fn run(&self, note: impl FnOnce(&Path) -> io::Result<()>, forget: bool) -> io::Result<()> {
        if self.is_withdrawn() {
            return Ok(());
        }
        files::create_folder(&self.state)?;
        note(&self.state)?;
        // The first note may have taken minutes.
        if !forget || self.is_withdrawn() {
            return Ok(());
        }
        files::write_with_mode(&self.state.join(FACTORY_RESET), b"", MODE)
    }

    /// Takes back what a write has left that ended late. Unless somebody has asked for that, it counts: the machine
    /// restarts all the same.
    fn undo(&self) {
        if !self.is_withdrawn() {
            return;
        }
        if let Err(error) = remove(&self.state) {
            error!("cannot take back the notes for the next start: {error}");
        }
    }

    fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::SeqCst)
    }
}

fn remove(state: &Path) -> io::Result<()> {
    // What would be worse to find comes first.
    files::remove(&state.join(FACTORY_RESET))?;
    restart::take_back(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    use tokio::time::{pause, resume};

    use super::super::card::give_up;

    fn names(state: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(state).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Notes on a card that hangs in the first one until the sender is dropped.
    async fn hang(notes: &mut Notes, forget: bool) -> mpsc::Sender<()> {
        let (wake, woken) = mpsc::channel();
        pause();
        let note = move |state: &Path| {
            let _ = woken.recv();
            restart::note(state, &Reason::Person)
        };
        let refused = give_up(notes.leave_by(note, forget)).await.unwrap_err();
        assert_eq!(io::ErrorKind::TimedOut, refused.kind());
        wake
    }

    /// Lets the card answer, and waits until it has done all it was asked.
    async fn wake(notes: &mut Notes, wake: mpsc::Sender<()>) {
        drop(wake);
        resume();
        notes.card.run(|| Ok(()), drop).await.unwrap();
    }

    #[tokio::test]
    async fn a_reset_that_was_refused_does_not_come_when_the_card_wakes_up() {
        let temporary = tempfile::tempdir().unwrap();
        let mut notes = Notes::new(temporary.path().join("notes/state"));
        let hangs = hang(&mut notes, true).await;
        give_up(notes.withdraw()).await;
        let withdrawn = notes.withdrawn.clone();
        let busy = give_up(notes.leave(Reason::Person, true)).await.unwrap_err();
        assert_eq!(io::ErrorKind::TimedOut, busy.kind(), "the removal would take these notes, too");
        assert!(withdrawn.load(Ordering::SeqCst));
        wake(&mut notes, hangs).await;
        assert_eq!(Vec::<String>::new(), names(&notes.state));

        notes.leave(Reason::Update, true).await.unwrap();
        assert_eq!(["factory-reset", "restart"], names(&notes.state)[..]);
        notes.withdraw().await;
        assert_eq!(Vec::<String>::new(), names(&notes.state));
        notes.leave(Reason::Update, false).await.unwrap();
        assert_eq!(["restart"], names(&notes.state)[..]);
    }

    #[tokio::test]
    async fn a_note_that_comes_late_counts_unless_it_was_taken_back() {
        let temporary = tempfile::tempdir().unwrap();
        let mut notes = Notes::new(temporary.path().join("state"));
        let hangs = hang(&mut notes, false).await;
        wake(&mut notes, hangs).await;
        assert_eq!(["restart"], names(&notes.state)[..], "the restart has gone on without waiting for it");

        let hangs = hang(&mut notes, false).await;
        give_up(notes.withdraw()).await;
        wake(&mut notes, hangs).await;
        assert_eq!(Vec::<String>::new(), names(&notes.state), "init did not restart the machine");
    }

    #[test]
    fn a_write_that_was_taken_back_goes_no_further() {
        let temporary = tempfile::tempdir().unwrap();
        let write = Write { state: temporary.path().to_path_buf(), withdrawn: Arc::default() };
        let slow = |state: &Path| {
            write.withdrawn.store(true, Ordering::SeqCst);
            restart::note(state, &Reason::Person)
        };
        write.run(slow, true).unwrap();
        assert_eq!(["restart"], names(&write.state)[..], "between the two notes");
        write.undo();
        write.run(|state| restart::note(state, &Reason::Person), true).unwrap();
        assert_eq!(Vec::<String>::new(), names(&write.state), "by a thread that began late");
    }
}
