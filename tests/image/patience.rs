//! Waits for what nobody tells us: looks now and then until it is so, or for too long.
//!
//! A pause between two looks, because each look takes from the guest that is looked at, and from others beside it.

use std::thread;
use std::time::{Duration, Instant};

/// What nobody notices, and a guest answers a hundred times over.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks until there is something to be found.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        thread::sleep(PAUSE);
    }
}
