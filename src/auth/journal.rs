//! Keeps one principal from filling the log.
//!
//! What may be left out is written at the level that [`Journal::level`] gives. [`Journal::keep`] writes how much was
//! left out, also if nobody does anything any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::{Level, info};
use tokio::sync::Notify;

use crate::audit::trail::Trail;
use crate::auth::line_limiter::{LineLimiter, WINDOW};
use crate::auth::token_clock::TokenClock;

/// Counts what is written of each principal.
#[derive(Debug)]
pub struct Journal {
    clock: Arc<TokenClock>,
    trail: Trail,
    limiter: Mutex<LineLimiter>,
    /// Told when there is a number to write sooner or later.
    has_deadline: Notify,
}

impl Journal {
    /// One in which nothing is written yet.
    pub fn new(clock: Arc<TokenClock>, trail: Trail) -> Journal {
        Journal { clock, trail, limiter: Mutex::default(), has_deadline: Notify::new() }
    }

    /// What outlives the log.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// At which level another line of this principal is written: the usual one, or below what the log takes.
    pub fn level(&self, name: &str) -> Level {
        let mut limiter = self.lock();
        let is_admitted = limiter.admit(self.clock.since_boot(), name);
        tell(&mut limiter);
        if is_admitted {
            return Level::Info;
        }
        self.has_deadline.notify_one();
        Level::Debug
    }

    /// Writes what was left out whenever it is time to. It does not end.
    pub async fn keep(&self) {
        loop {
            let deadline = self.lock().deadline();
            let Some(deadline) = deadline else {
                self.has_deadline.notified().await;
                continue;
            };
            self.clock.wait_for(deadline).await;
            let mut limiter = self.lock();
            limiter.tick(self.clock.since_boot());
            tell(&mut limiter);
        }
    }

    /// Writes what was left out so far.
    pub fn end(&self) {
        let mut limiter = self.lock();
        limiter.end();
        tell(&mut limiter);
    }

    fn lock(&self) -> MutexGuard<'_, LineLimiter> {
        // Whoever panicked has changed nothing by halves: each change is one call.
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(limiter: &mut LineLimiter) {
    while let Some(left_out) = limiter.poll() {
        let who = left_out.name.as_deref().unwrap_or("others");
        info!("left out: {} more lines of {who} within {} s", left_out.count, WINDOW.as_secs());
    }
}
