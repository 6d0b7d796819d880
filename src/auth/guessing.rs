//! Lets people try passwords and codes as often as the limiter allows, and remembers where they were right.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;

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
}

impl Guessing {
    /// Reads from where people have logged in.
    pub fn open(data: &Path, clock: Arc<TokenClock>) -> Result<Guessing, StoreError> {
        let places_file = data.join("known-places.json");
        let places = Mutex::new(store::read_places(&places_file)?);
        Ok(Guessing { clock, limiter: Mutex::default(), places, places_file, writing: Mutex::default() })
    }

    /// Asks whether somebody may try the password of this name, or the code of a device without an owner. The error is
    /// how long they must wait.
    pub fn attempt(&self, peer: IpAddr, name: Option<&Name>) -> Result<Try, Duration> {
        let familiar = name.is_some_and(|name| lock(&self.places).knows(self.clock.time(), peer, name));
        lock(&self.limiter).attempt(self.clock.since_boot(), peer, name, familiar)
    }

    /// Forgives a try that was right.
    pub fn right(&self, attempt: Try) {
        lock(&self.limiter).right(attempt);
    }

    /// Remembers from where somebody has logged in.
    pub async fn remember(self: &Arc<Self>, peer: IpAddr, name: &Name) {
        if !lock(&self.places).note(self.clock.time(), peer, name) {
            return;
        }
        let own = self.clone();
        let work = spawn_blocking(move || {
            let _writing = lock(&own.writing);
            let places = lock(&own.places).clone();
            store::write_places(&own.places_file, &places);
        });
        work.await.expect("writing does not panic, and the runtime outlives its requests");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked has changed nothing by halves: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
