//! Bounds how many connections may be open on which nobody has said who they are.
//!
//! When there are too many, the oldest goes, not the newest: an honest client needs a moment to become known, while whoever
//! opens connections to hold them is the one who has the old ones. Nobody outside takes the place of somebody on this very
//! machine: the guard asks from here how the page is, and a flood must not have it restart the machine for want of an answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Unknown connections from one address: a browser opens six at once, an office behind one address somewhat more.
const FROM_ONE: usize = 64;

/// Unknown connections in all.
const IN_ALL: usize = 512;

/// All connections that nobody has identified themselves on.
#[derive(Debug, Default)]
pub struct ConnectionLimiter(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    arrived: u64,
    /// By arrival, so that the first is the oldest.
    connections: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
}

/// One such connection, until it is dropped or becomes known.
#[derive(Debug)]
pub struct UnauthenticatedConnection {
    number: u64,
    limiter: Arc<ConnectionLimiter>,
    evicted: Arc<Notify>,
}

impl ConnectionLimiter {
    /// Takes in a new connection, at the cost of an old one if there are too many.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> UnauthenticatedConnection {
        let mut waiting = self.lock();
        let neighbours = waiting.connections.iter().filter(|(_, (other, _))| *other == address);
        let oldest = if neighbours.clone().count() >= FROM_ONE {
            neighbours.map(|(number, _)| *number).next()
        } else if waiting.connections.len() >= IN_ALL {
            let outside = waiting.connections.iter().filter(|(_, (other, _))| !other.is_loopback());
            outside.map(|(number, _)| *number).next()
        } else {
            None
        };
        if let Some((_, evicted)) = oldest.and_then(|oldest| waiting.connections.remove(&oldest)) {
            evicted.notify_one();
        }
        waiting.arrived += 1;
        let (number, evicted) = (waiting.arrived, Arc::new(Notify::new()));
        waiting.connections.insert(number, (address, evicted.clone()));
        UnauthenticatedConnection { number, limiter: self.clone(), evicted }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnauthenticatedConnection {
    /// Notes that somebody has identified themselves here: this connection will not be cut to make room.
    pub fn mark_authenticated(&self) {
        self.limiter.lock().connections.remove(&self.number);
    }

    /// Waits until this connection has to make room.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for UnauthenticatedConnection {
    fn drop(&mut self) {
        self.mark_authenticated();
    }
}

#[cfg(test)]
mod tests {
    use crate::net::gate::unauthenticated::*;

    fn address(last: usize) -> IpAddr {
        IpAddr::from([192, 0, 2, last as u8])
    }

    fn is_evicted(unauthenticated: &UnauthenticatedConnection) -> bool {
        !unauthenticated.limiter.lock().connections.contains_key(&unauthenticated.number)
    }

    #[test]
    fn the_oldest_from_the_same_address_makes_room() {
        let strangers = Arc::new(ConnectionLimiter::default());
        let other = strangers.enter(address(1));
        let held: Vec<UnauthenticatedConnection> = (0..FROM_ONE + 2).map(|_| strangers.enter(address(2))).collect();
        assert!(is_evicted(&held[0]) && is_evicted(&held[1]) && !is_evicted(&held[2]));
        assert!(!is_evicted(&other));
    }

    #[test]
    fn the_oldest_of_all_makes_room() {
        let strangers = Arc::new(ConnectionLimiter::default());
        let held: Vec<UnauthenticatedConnection> = (0..=IN_ALL).map(|n| strangers.enter(address(n / 10))).collect();
        assert!(is_evicted(&held[0]) && !is_evicted(&held[1]));
    }

    #[test]
    fn a_flood_from_outside_takes_no_place_of_the_guards() {
        let strangers = Arc::new(ConnectionLimiter::default());
        let guard = strangers.enter([127, 0, 0, 1].into());
        let flood: Vec<UnauthenticatedConnection> = (0..2 * IN_ALL).map(|n| strangers.enter(address(n / 10))).collect();
        assert!(!is_evicted(&guard) && is_evicted(&flood[0]));
        assert!(strangers.lock().connections.len() <= IN_ALL);
    }

    #[test]
    fn who_is_known_or_gone_takes_no_room() {
        let strangers = Arc::new(ConnectionLimiter::default());
        let first = strangers.enter(address(1));
        for _ in 0..1000 {
            strangers.enter(address(1));
        }
        let known: Vec<UnauthenticatedConnection> = (0..1000)
            .map(|_| strangers.enter(address(1)))
            .inspect(UnauthenticatedConnection::mark_authenticated)
            .collect();
        assert!(!is_evicted(&first));
        assert_eq!(1000, known.len());
    }

    #[tokio::test]
    async fn who_is_evicted_learns_it() {
        let strangers = Arc::new(ConnectionLimiter::default());
        let held: Vec<UnauthenticatedConnection> = (0..=FROM_ONE).map(|_| strangers.enter(address(1))).collect();
        held[0].evicted().await;
    }
}
