//! Lets people try passwords and codes as often as the limiter allows, and remembers where they were right.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::auth::accounts::Name;
use crate::auth::known_places::KnownPlaces;
use crate::auth::limiter::{Limiter, Try};
use crate::auth::store::{self, StoreError};
use crate::auth::token_clock::TokenClock;

/// The limiter, with what it needs to know.
#[derive(Debug)]
pub struct Guessing {
    clock: Arc<TokenClock>,
    limiter: Mutex<Limiter>,
    places: Mutex<KnownPlaces>,
    places_file: PathBuf,
    /// Held while the file is written, so that an older version never replaces a newer one.
    writing: Mutex<()>,
    /// Whether somebody is about to take that turn.
    is_waiting: AtomicBool,
    last: Mutex<Option<JoinHandle<()>>>,
}

impl Guessing {
    /// Reads from where people have logged in.
    pub fn open(data: &Path, clock: Arc<TokenClock>) -> Result<Guessing, StoreError> {
        let places_file = data.join("known-places.json");
        let places = Mutex::new(store::read_places(&places_file)?);
        Ok(Guessing {
            clock,
            limiter: Mutex::default(),
            places,
            places_file,
            writing: Mutex::default(),
            is_waiting: AtomicBool::default(),
            last: Mutex::default(),
        })
    }

    /// Asks whether somebody may try the password of this name, or the code of a device without an owner. The error is
    /// how long they must wait.
    pub fn attempt(&self, peer: IpAddr, name: Option<&Name>) -> Result<Try, Duration> {
        let familiar = name.is_some_and(|name| lock(&self.places).knows(self.clock.kept(), peer, name));
        lock(&self.limiter).attempt(self.clock.since_boot(), peer, name, familiar)
    }

    /// Forgives a try that was right.
    pub fn right(&self, attempt: Try) {
        lock(&self.limiter).right(attempt);
    }

    /// Remembers from where somebody has logged in. Nobody waits for the card: who has shown who they are gets in, also
    /// when it hangs.
    pub fn remember(self: &Arc<Self>, peer: IpAddr, name: &Name) {
        let is_news = lock(&self.places).note(self.clock.kept(), peer, name);
        // One that waits for its turn will write this place, too, so there are two at most.
        if !is_news || self.is_waiting.swap(true, Ordering::SeqCst) {
            return;
        }
        let own = self.clone();
        let writing = spawn_blocking(move || {
            let _writing = lock(&own.writing);
            own.is_waiting.store(false, Ordering::SeqCst);
            let places = lock(&own.places).clone();
            store::write_places(&own.places_file, &places);
        });
        *lock(&self.last) = Some(writing);
    }

    /// Waits until all that is remembered has been written.
    pub async fn written(&self) {
        let last = lock(&self.last).take();
        if let Some(writing) = last {
            // One that panicked has written nothing, which is as good as a card that is full.
            let _ = writing.await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked has changed nothing by halves: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
