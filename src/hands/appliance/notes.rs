//! Leaves notes for the next start, and takes them back if there is none.
//!
//! A card that fails may keep a write for minutes and carry it out in the end. So every write has a thread and a time
//! limit, and a note that has been taken back is not written by a thread that wakes up later: an owner would be
//! surprised by a factory reset days after it was refused.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use log::error;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::base::files;
use crate::hw::restart::{self, Reason};
use crate::hw::traces::MODE;

/// The card writes a few sectors sooner than this.
pub const CARD_TIMEOUT: Duration = Duration::from_secs(10);

/// The note by which `rcS` knows that the appliance is to forget its owner.
const FACTORY_RESET: &str = "factory-reset";

/// The notes in one state folder.
#[derive(Debug)]
pub struct Notes {
    state: PathBuf,
    /// Held by whoever writes or removes them.
    card: Arc<Mutex<()>>,
    /// Tells the last write that its notes are not wanted any more.
    withdrawn: Arc<AtomicBool>,
    /// The last write or removal, if it has not ended in time.
    hanging: Option<JoinHandle<io::Result<()>>>,
}

impl Notes {
    /// Those of this folder.
    pub fn new(state: PathBuf) -> Notes {
        Notes { state, card: Arc::default(), withdrawn: Arc::default(), hanging: None }
    }

    /// Notes that the machine restarts, and whether it forgets its owner then. `TimedOut`: the card does not answer.
    pub async fn leave(&mut self, reason: Reason, forget: bool) -> io::Result<()> {
        // A removal that hangs would take the new notes for those that it is to remove.
        self.wait().await?;
        let write = self.begin();
        self.hanging = Some(spawn_blocking(move || write.run(&reason, forget)));
        self.wait().await
    }

    fn begin(&mut self) -> Write {
        self.withdrawn = Arc::default();
        Write { state: self.state.clone(), card: self.card.clone(), withdrawn: self.withdrawn.clone() }
    }

    /// Takes them back, now or as soon as the card answers.
    pub async fn withdraw(&mut self) {
        self.withdrawn.store(true, Ordering::SeqCst);
        let (state, card) = (self.state.clone(), self.card.clone());
        self.hanging = Some(spawn_blocking(move || {
            // A write that is under way ends first, and one that has not begun sees that it must not.
            let _card = card.lock().unwrap_or_else(PoisonError::into_inner);
            remove(&state)
        }));
        if let Err(error) = self.wait().await {
            error!("cannot take back the notes for the next start: {error}");
        }
    }

    async fn wait(&mut self) -> io::Result<()> {
        let Some(hanging) = &mut self.hanging else { return Ok(()) };
        let silent = || io::Error::new(io::ErrorKind::TimedOut, "the card does not answer");
        let ended = timeout(CARD_TIMEOUT, hanging).await.map_err(|_| silent())?;
        self.hanging = None;
        ended.map_err(io::Error::from).flatten()
    }
}

/// One write, which may have to wait for the card.
struct Write {
    state: PathBuf,
    card: Arc<Mutex<()>>,
    withdrawn: Arc<AtomicBool>,
}

impl Write {
    fn run(self, reason: &Reason, forget: bool) -> io::Result<()> {
        self.write(|state| restart::note(state, reason), forget)
    }

    fn write(self, note: impl FnOnce(&Path) -> io::Result<()>, forget: bool) -> io::Result<()> {
        let _card = self.card.lock().unwrap_or_else(PoisonError::into_inner);
        if self.withdrawn.load(Ordering::SeqCst) {
            return Ok(());
        }
        files::create_folder(&self.state)?;
        note(&self.state)?;
        // The first note may have taken minutes.
        if !forget || self.withdrawn.load(Ordering::SeqCst) {
            return Ok(());
        }
        files::write_with_mode(&self.state.join(FACTORY_RESET), b"", MODE)
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
    use tokio::time::{advance, pause};

    /// Lets the time pass in which a card must answer.
    async fn give_up<T>(work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = advance(CARD_TIMEOUT) => (),
            }
        }
    }

    fn names(state: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(state).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    #[expect(clippy::await_holding_lock, reason = "it is the card that hangs")]
    async fn a_reset_that_was_refused_does_not_come_when_the_card_wakes_up() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("notes");
        let mut notes = Notes::new(folder.join("state"));
        pause();
        let card = notes.card.clone();
        let hangs = card.lock().unwrap();
        let refused = give_up(notes.leave(Reason::Person, true)).await.unwrap_err();
        assert_eq!(io::ErrorKind::TimedOut, refused.kind());
        give_up(notes.withdraw()).await;
        let busy = give_up(notes.leave(Reason::Person, true)).await.unwrap_err();
        assert_eq!(io::ErrorKind::TimedOut, busy.kind(), "the removal would take these notes, too");
        drop(hangs);
        tokio::time::resume();
        notes.wait().await.unwrap();
        assert_eq!(Vec::<String>::new(), names(&notes.state));

        let late = notes.begin();
        notes.withdraw().await;
        late.run(&Reason::Person, true).unwrap();
        assert_eq!(Vec::<String>::new(), names(&notes.state), "written by a thread that began late");

        let slow = notes.begin();
        let withdrawn = notes.withdrawn.clone();
        let hangs = |state: &Path| {
            withdrawn.store(true, Ordering::SeqCst);
            restart::note(state, &Reason::Person)
        };
        slow.write(hangs, true).unwrap();
        assert_eq!(["restart"], names(&notes.state)[..], "withdrawn between the two notes");
        notes.withdraw().await;

        notes.leave(Reason::Update, true).await.unwrap();
        assert_eq!(["factory-reset", "restart"], names(&notes.state)[..]);
        notes.withdraw().await;
        assert_eq!(Vec::<String>::new(), names(&notes.state));
        notes.leave(Reason::Update, false).await.unwrap();
        assert_eq!(["restart"], names(&notes.state)[..]);
    }
}
