//! Remembers what a machine says on a line, and waits for it to say something.
//!
//! Whatever a machine has said stays readable, so a test that looks late misses nothing. A position in the text divides
//! what was looked at from what is new.

use std::fs;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// What one line has said so far.
#[derive(Debug, Default)]
pub struct Terminal {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    text: String,
    ended: bool,
}

impl Terminal {
    /// Listens to `from` until it ends, and keeps a copy for whoever reads about a failure.
    pub fn listen(from: impl Read + Send + 'static, log: fs::File) -> Arc<Terminal> {
        let terminal = Arc::new(Terminal::default());
        let listener = Arc::clone(&terminal);
        thread::spawn(move || listener.record(from, log));
        terminal
    }

    /// How much has been said: a position from which to look for what comes next.
    pub fn here(&self) -> usize {
        self.said().text.len()
    }

    /// How often `text` was said from `start` on.
    pub fn count(&self, start: usize, text: &str) -> usize {
        self.said().text[start..].matches(text).count()
    }

    /// Waits until `text` has been said after `start`; returns what came before it, and the position behind it.
    #[track_caller]
    pub fn wait(&self, start: usize, text: &str, within: Duration) -> (String, usize) {
        match self.look(start, text, within) {
            Ok(found) => found,
            Err(complaint) => panic!("{complaint}"),
        }
    }

    /// As [`Terminal::wait`], for whom silence is an answer, too.
    pub fn look(&self, start: usize, text: &str, within: Duration) -> Result<(String, usize), String> {
        let deadline = Instant::now() + within;
        let mut said = self.said();
        loop {
            if let Some(at) = said.text[start..].find(text) {
                return Ok((said.text[start..start + at].to_owned(), start + at + text.len()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || said.ended {
                let tail: Vec<_> = said.text[start..].lines().rev().take(20).collect();
                let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                let ended = said.ended;
                return Err(format!("nobody said {text:?} (machine ended: {ended}); the last lines:\n{tail}"));
            }
            said = self.more.wait_timeout(said, left).expect("no listener panics while it holds this").0;
        }
    }

    /// Waits until a whole line that holds `text` has been said, and returns it from there on.
    #[track_caller]
    pub fn wait_line(&self, start: usize, text: &str, within: Duration) -> String {
        let (_, end) = self.wait(start, text, within);
        let (rest, _) = self.wait(end, "\n", within);
        format!("{text}{rest}")
    }

    fn record(&self, mut from: impl Read, mut log: fs::File) {
        let mut bytes = [0; 4096];
        loop {
            let len = from.read(&mut bytes).unwrap_or(0);
            let mut said = self.said();
            let text = String::from_utf8_lossy(&bytes[..len]);
            said.text.extend(text.chars().filter(|&char| char != '\r'));
            said.ended = len == 0;
            self.more.notify_all();
            drop(said);
            // A log that cannot be kept must not hide what the test itself finds.
            let _ = std::io::Write::write_all(&mut log, &bytes[..len]);
            if len == 0 {
                return;
            }
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().expect("no listener panics while it holds this")
    }
}
