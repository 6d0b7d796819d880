//! Works at the card on a thread, one thing at a time, and waits for a card that hangs no longer than a time.
//!
//! A card that fails may keep a thread for minutes and do what it was asked in the end. Whoever asked has gone on by
//! then, so what comes late is undone, and nothing else begins before that: it could take the late one's file for its
//! own.

use std::io;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// The card writes a few sectors sooner than this.
const CARD_TIMEOUT: Duration = Duration::from_secs(10);

/// Whoever works at the card.
#[derive(Debug, Default)]
pub struct Card {
    /// The last work, if it has not ended in time.
    hanging: Option<JoinHandle<()>>,
}

impl Card {
    /// Does some work; `undo` gets what came of it too late. `TimedOut`: the card does not answer.
    pub async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
        undo: impl FnOnce(T) + Send + 'static,
    ) -> io::Result<T> {
        self.wait().await?;
        let (answer, mut answered) = oneshot::channel();
        self.hanging = Some(spawn_blocking(move || {
            if let Err(Ok(late)) = answer.send(work()) {
                undo(late);
            }
        }));
        self.wait().await?;
        answered.try_recv().map_err(|_| io::Error::other("the thread at the card has failed"))?
    }

    async fn wait(&mut self) -> io::Result<()> {
        let Some(hanging) = &mut self.hanging else { return Ok(()) };
        let silent = || io::Error::new(io::ErrorKind::TimedOut, "the card does not answer");
        let ended = timeout(CARD_TIMEOUT, hanging).await.map_err(|_| silent())?;
        self.hanging = None;
        ended.map_err(io::Error::from)
    }
}

#[cfg(test)]
/// Lets the time pass in which a card must answer.
pub async fn give_up<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::advance(CARD_TIMEOUT) => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex, mpsc};

    use tokio::time::{pause, resume};

    #[tokio::test]
    async fn what_a_hanging_card_does_in_the_end_is_undone_before_anything_else_begins() {
        let (mut card, seen) = (Card::default(), Arc::new(Mutex::new(Vec::new())));
        let note = |what: &'static str| {
            let seen = seen.clone();
            move || {
                seen.lock().unwrap().push(what);
                Ok(())
            }
        };
        let (wake, woken) = mpsc::channel::<()>();
        let undo = note("undone");
        pause();
        let hangs = card.run(move || Ok(woken.recv()), move |_| undo().unwrap());
        assert_eq!(io::ErrorKind::TimedOut, give_up(hangs).await.unwrap_err().kind());
        let (refused, next) = (note("refused"), note("next"));
        let busy = give_up(card.run(refused, drop)).await.unwrap_err();
        assert_eq!(io::ErrorKind::TimedOut, busy.kind());
        drop(wake);
        resume();
        card.run(next, drop).await.unwrap();
        assert_eq!(["undone", "next"], seen.lock().unwrap()[..]);
        let error = card.run(|| io::Result::<()>::Err(io::ErrorKind::StorageFull.into()), drop).await.unwrap_err();
        assert_eq!(io::ErrorKind::StorageFull, error.kind());
    }
}
