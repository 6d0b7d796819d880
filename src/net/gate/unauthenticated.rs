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
pub struct Strangers(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    arrived: u64,
    /// By arrival, so that the first is the oldest.
    connections: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
}

/// One such connection, until it is dropped or becomes known.
#[derive(Debug)]
pub struct Stranger {
    number: u64,
    strangers: Arc<Strangers>,
    evicted: Arc<Notify>,
}

impl Strangers {
    /// Takes in a new connection, at the cost of an old one if there are too many.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Stranger {
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
        Stranger { number, strangers: self.clone(), evicted }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stranger {
    /// Notes that somebody has identified themselves here: this connection will not be cut to make room.
    pub fn is_known(&self) {
        self.strangers.lock().connections.remove(&self.number);
    }

    /// Waits until this connection has to make room.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.is_known();
    }
}

#[cfg(test)]
mod tests {
    use crate::net::gate::unauthenticated::*;

    fn address(last: usize) -> IpAddr {
        IpAddr::from([192, 0, 2, last as u8])
    }

    fn is_evicted(stranger: &Stranger) -> bool {
        !stranger.strangers.lock().connections.contains_key(&stranger.number)
    }

    #[test]
    fn the_oldest_from_the_same_address_makes_room() {
        let strangers = Arc::new(Strangers::default());
        let other = strangers.enter(address(1));
        let held: Vec<Stranger> = (0..FROM_ONE + 2).map(|_| strangers.enter(address(2))).collect();
        assert!(is_evicted(&held[0]) && is_evicted(&held[1]) && !is_evicted(&held[2]));
        assert!(!is_evicted(&other));
    }

    #[test]
    fn the_oldest_of_all_makes_room() {
        let strangers = Arc::new(Strangers::default());
        let held: Vec<Stranger> = (0..=IN_ALL).map(|n| strangers.enter(address(n / 10))).collect();
        assert!(is_evicted(&held[0]) && !is_evicted(&held[1]));
    }

    #[test]
    fn a_flood_from_outside_takes_no_place_of_the_guards() {
        let strangers = Arc::new(Strangers::default());
        let guard = strangers.enter([127, 0, 0, 1].into());
        let flood: Vec<Stranger> = (0..2 * IN_ALL).map(|n| strangers.enter(address(n / 10))).collect();
        assert!(!is_evicted(&guard) && is_evicted(&flood[0]));
        assert!(strangers.lock().connections.len() <= IN_ALL);
    }

    #[test]
    fn who_is_known_or_gone_takes_no_room() {
        let strangers = Arc::new(Strangers::default());
        let first = strangers.enter(address(1));
        for _ in 0..1000 {
            strangers.enter(address(1));
        }
        let known: Vec<Stranger> = (0..1000).map(|_| strangers.enter(address(1))).inspect(Stranger::is_known).collect();
        assert!(!is_evicted(&first));
        assert_eq!(1000, known.len());
    }

    #[tokio::test]
    async fn who_is_evicted_learns_it() {
        let strangers = Arc::new(Strangers::default());
        let held: Vec<Stranger> = (0..=FROM_ONE).map(|_| strangers.enter(address(1))).collect();
        held[0].evicted().await;
    }
}
