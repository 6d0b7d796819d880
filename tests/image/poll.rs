//! Waits for conditions that send no event: checks from time to time, with a deadline.
//!
//! There is a pause between two checks, because each check takes processor time from the guests.

use std::thread;
use std::time::{Duration, Instant};

/// Short enough not to slow a test, and long enough for a guest to answer many times.
const INTERVAL: Duration = Duration::from_millis(100);

/// Checks until there is a result.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        thread::sleep(INTERVAL);
    }
}
