//! Works on passwords in turn, on threads of their own, so that a crowd at the login costs nobody a picture.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

/// Password hashes worked on at once: each takes 19 MiB, and pictures need the other cores.
const HASHING: usize = 2;

/// Those, and the ones that may wait; the next must come back later.
const HASHING_OR_WAITING: usize = HASHING + 4;

/// The passwords that are worked on, and those that wait for it.
#[derive(Debug)]
pub struct HashingQueue {
    queue: Arc<Semaphore>,
    hashing: Arc<Semaphore>,
}

/// A place in the queue, until it is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Default for HashingQueue {
    fn default() -> HashingQueue {
        HashingQueue { queue: Arc::new(Semaphore::new(HASHING_OR_WAITING)), hashing: Arc::new(Semaphore::new(HASHING)) }
    }
}

impl HashingQueue {
    /// Takes a place, if there is one.
    pub fn enter(&self) -> Option<Place> {
        self.queue.clone().try_acquire_owned().ok().map(|permit| Place { _permit: permit })
    }

    /// Works on a password, in its turn.
    pub async fn run<T: Send + 'static>(&self, place: Place, work: impl FnOnce() -> T + Send + 'static) -> T {
        let turn = self.hashing.clone().acquire_owned().await.expect("the semaphore is never closed");
        // The places go with the work, which goes on when the client does not wait for it.
        let work = spawn_blocking(move || {
            let result = work();
            drop((place, turn));
            result
        });
        work.await.expect("hashing does not panic, and the runtime outlives its requests")
    }
}
