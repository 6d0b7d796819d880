//! Records a machine's output on a serial line, and waits for a text in it.
//!
//! All output stays readable, so a test that looks late misses nothing. A position in the text divides old output from
//! new.

use std::fs;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// The output of one line so far.
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
    /// Reads `from` until it ends, and keeps a copy in a log for the report of a failure.
    pub fn listen(from: impl Read + Send + 'static, log: fs::File) -> Arc<Terminal> {
        let terminal = Arc::new(Terminal::default());
        let listener = Arc::clone(&terminal);
        thread::spawn(move || listener.record(from, log));
        terminal
    }

    /// The end of the output so far: a position from which to look for new output.
    pub fn here(&self) -> usize {
        self.said().text.len()
    }

    /// How often `text` occurs after `start`.
    pub fn count(&self, start: usize, text: &str) -> usize {
        self.said().text[start..].matches(text).count()
    }

    /// Waits for `text` after `start`; returns what came before it, and the position behind it.
    #[track_caller]
    pub fn wait(&self, start: usize, text: &str, within: Duration) -> (String, usize) {
        match self.look(start, text, within) {
            Ok(found) => found,
            Err(complaint) => panic!("{complaint}"),
        }
    }

    /// Like [`Terminal::wait`], but returns an error when the time is over.
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

    /// Waits for a complete line that contains `text`, and returns it from there on.
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
