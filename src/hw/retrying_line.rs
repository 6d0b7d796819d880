//! Opens a line that may appear late, and logs once why it cannot be opened.
//!
//! A GPIO chip may appear long after we start, or never because its name is mistyped. Neither may take the keyboard
//! away, so a caller asks for the line at each use, and gets the line or the reason.

use std::time::{Duration, Instant};

use crate::base::error_chain::chain;
use crate::hw::gpio::RelayError;

/// How often opening is tried again for a line that is only read. Opening one is a handful of system calls.
const RETRY_INTERVAL: Duration = Duration::from_secs(3);

/// A line, once it could be opened.
pub(super) struct RetryingLine<T> {
    what: String,
    open: Box<dyn Fn() -> Result<T, RelayError> + Send>,
    line: Result<T, String>,
    tried: Instant,
}

impl<T> RetryingLine<T> {
    /// Tries to open it; a failure is kept for later.
    pub(super) fn new(what: String, open: impl Fn() -> Result<T, RelayError> + Send + 'static) -> RetryingLine<T> {
        let mut late = RetryingLine { what, open: Box::new(open), line: Err(String::new()), tried: Instant::now() };
        late.attempt(Instant::now());
        late
    }

    /// The line, or why it cannot be opened now.
    pub(super) fn now(&mut self) -> Result<&mut T, &str> {
        if self.line.is_err() {
            self.attempt(Instant::now());
        }
        self.line.as_mut().map_err(|complaint| complaint.as_str())
    }

    /// The line. Opening is tried again if the last attempt is long enough ago, so callers may ask as often as they
    /// like.
    pub(super) fn by(&mut self, now: Instant) -> Option<&mut T> {
        if self.line.is_err() && self.tried + RETRY_INTERVAL <= now {
            self.attempt(now);
        }
        self.opened()
    }

    /// The line if it has been opened.
    pub(super) fn opened(&mut self) -> Option<&mut T> {
        self.line.as_mut().ok()
    }

    fn attempt(&mut self, now: Instant) {
        self.tried = now;
        let outcome = (self.open)().map_err(|error| chain(&error));
        match (&self.line, &outcome) {
            (Err(before), Ok(_)) if !before.is_empty() => log::info!("{} is there now", self.what),
            // Logged once: the same reason would fill the log every few seconds.
            (Err(before), Err(complaint)) if before != complaint => {
                log::error!("{} is not there: {complaint}", self.what)
            }
            _ => (),
        }
        self.line = outcome;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use crate::hw::retrying_line::*;

    /// A line that can be opened at the third attempt.
    fn third() -> (RetryingLine<u32>, Arc<AtomicU32>) {
        let attempts = Arc::new(AtomicU32::new(0));
        let count = attempts.clone();
        let late = RetryingLine::new("a line".into(), move || match count.fetch_add(1, Ordering::Relaxed) + 1 {
            3 => Ok(7),
            _ => Err(RelayError::NoPi),
        });
        (late, attempts)
    }

    #[test]
    fn a_line_that_is_needed_is_tried_each_time_until_it_is_there() {
        let (mut late, attempts) = third();
        assert_eq!(Err(RelayError::NoPi.to_string().as_str()), late.now());
        assert_eq!(Ok(&mut 7), late.now());
        assert_eq!(Ok(&mut 7), late.now());
        assert_eq!(3, attempts.load(Ordering::Relaxed), "it is kept");
    }

    #[test]
    fn a_line_that_is_looked_at_is_tried_now_and_then() {
        let (mut late, attempts) = third();
        let tried = late.tried;
        assert_eq!(None, late.by(tried + RETRY_INTERVAL - Duration::from_millis(1)));
        assert_eq!(1, attempts.load(Ordering::Relaxed));
        assert_eq!(None, late.by(tried + RETRY_INTERVAL));
        assert_eq!(None, late.by(tried + RETRY_INTERVAL));
        assert_eq!(Some(&mut 7), late.by(tried + 2 * RETRY_INTERVAL));
        assert_eq!(3, attempts.load(Ordering::Relaxed));
    }
}
