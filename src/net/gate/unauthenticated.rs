//! Bounds how many connections may be open on which nobody has said who they are.
//!
//! When there are too many, an old one goes, not the newest: an honest client needs a moment to become known, while
//! whoever opens connections to hold them is the one who has the old ones. It is taken from the neighbourhood that has
//! most, so that a crowd makes room for others at its own cost. Nobody outside takes the place of somebody on this very
//! machine: the guard asks from here how the page is, and a flood must not have it restart the machine for want of an
//! answer.
//!
//! Those who are known cannot take everything, either: some places are only for connections on which nobody is, so that
//! an owner gets as far as showing who they are, whatever somebody does with their token.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Unknown connections from one neighbourhood: a browser opens six at once, an office behind one address somewhat more.
const FROM_ONE: usize = 64;

/// Unknown connections in all.
const IN_ALL: usize = 512;

/// Connections on which somebody is known. There are places for some more than these and [`RESERVED`] together, for
/// those that make room and have not ended yet.
const KNOWN: usize = 720;

/// Places that only unknown connections may take.
const RESERVED: usize = 16;

/// All connections, and on which of them nobody has identified themselves.
#[derive(Debug, Default)]
pub struct ConnectionLimiter(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    arrived: u64,
    /// By arrival, so that the first is the oldest.
    unknown: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
    known: HashSet<u64>,
}

/// One connection, until it is dropped.
#[derive(Debug)]
pub struct UnauthenticatedConnection {
    number: u64,
    limiter: Arc<ConnectionLimiter>,
    evicted: Arc<Notify>,
}

impl ConnectionLimiter {
    /// Takes in a new connection, at the cost of an old one if there are too many.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> UnauthenticatedConnection {
        let neighbourhood = neighbourhood(address);
        let mut state = self.lock();
        let is_full = IN_ALL <= state.unknown.len() || KNOWN + RESERVED <= state.unknown.len() + state.known.len();
        let evicted = if FROM_ONE <= state.unknown.values().filter(|(other, _)| *other == neighbourhood).count() {
            state.oldest_of(neighbourhood)
        } else if is_full {
            state.most_crowded().and_then(|crowded| state.oldest_of(crowded))
        } else {
            None
        };
        if let Some((_, evicted)) = evicted.and_then(|oldest| state.unknown.remove(&oldest)) {
            evicted.notify_one();
        }
        state.arrived += 1;
        let (number, evicted) = (state.arrived, Arc::new(Notify::new()));
        state.unknown.insert(number, (neighbourhood, evicted.clone()));
        UnauthenticatedConnection { number, limiter: self.clone(), evicted }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The neighbourhood outside this machine that most unknown connections come from; of several the one with the
    /// oldest.
    fn most_crowded(&self) -> Option<IpAddr> {
        let mut counts: HashMap<IpAddr, (usize, u64)> = HashMap::new();
        for (number, (address, _)) in self.unknown.iter().filter(|(_, (address, _))| !address.is_loopback()) {
            counts.entry(*address).or_insert((0, u64::MAX - number)).0 += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(address, _)| address)
    }

    fn oldest_of(&self, neighbourhood: IpAddr) -> Option<u64> {
        self.unknown.iter().find(|(_, (address, _))| *address == neighbourhood).map(|(number, _)| *number)
    }
}

/// The smallest part of the network that somebody is usually given whole: an IPv4 address, or the /64 of an IPv6
/// address.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

impl UnauthenticatedConnection {
    /// Notes that somebody has identified themselves here: this connection will not be cut to make room. When too many
    /// are known already it stays one of the others.
    pub fn mark_authenticated(&self) {
        let mut state = self.limiter.lock();
        // One that has been evicted is about to end, and takes no place any more.
        if state.known.len() < KNOWN && state.unknown.remove(&self.number).is_some() {
            state.known.insert(self.number);
        }
    }

    /// Waits until this connection has to make room.
    pub async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for UnauthenticatedConnection {
    fn drop(&mut self) {
        let mut state = self.limiter.lock();
        state.unknown.remove(&self.number);
        state.known.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use crate::net::gate::unauthenticated::*;

    fn address(last: usize) -> IpAddr {
        IpAddr::from([192, 0, 2, last as u8])
    }

    fn is_evicted(unauthenticated: &UnauthenticatedConnection) -> bool {
        let state = unauthenticated.limiter.lock();
        !state.unknown.contains_key(&unauthenticated.number) && !state.known.contains(&unauthenticated.number)
    }

    #[test]
    fn the_oldest_from_the_same_address_makes_room() {
        let limiter = Arc::new(ConnectionLimiter::default());
        let other = limiter.enter(address(1));
        let held: Vec<UnauthenticatedConnection> = (0..FROM_ONE + 2).map(|_| limiter.enter(address(2))).collect();
        assert!(is_evicted(&held[0]) && is_evicted(&held[1]) && !is_evicted(&held[2]));
        assert!(!is_evicted(&other));
    }

    #[test]
    fn the_oldest_of_the_largest_crowd_makes_room() {
        let limiter = Arc::new(ConnectionLimiter::default());
        let honest = limiter.enter(address(0));
        let held: Vec<UnauthenticatedConnection> = (0..IN_ALL).map(|n| limiter.enter(address(1 + n / 60))).collect();
        assert!(is_evicted(&held[0]) && !is_evicted(&held[1]), "the first of several that are as large");
        assert!(!is_evicted(&honest), "the oldest of all, but alone");
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_neighbourhood() {
        let limiter = Arc::new(ConnectionLimiter::default());
        let at = |host: usize| IpAddr::from([0x2001, 0xdb8, 1, 2, 0, 0, 0, host as u16]);
        let other = limiter.enter([0x2001, 0xdb8, 1, 3, 0, 0, 0, 1].into());
        let held: Vec<UnauthenticatedConnection> = (0..=FROM_ONE).map(|host| limiter.enter(at(host))).collect();
        assert!(is_evicted(&held[0]) && !is_evicted(&held[1]) && !is_evicted(&other));
    }

    #[test]
    fn those_who_are_known_leave_places_for_others() {
        let limiter = Arc::new(ConnectionLimiter::default());
        let known: Vec<UnauthenticatedConnection> = (0..2 * KNOWN)
            .map(|_| limiter.enter(address(1)))
            .inspect(UnauthenticatedConnection::mark_authenticated)
            .collect();
        let open = known.iter().filter(|connection| !is_evicted(connection)).count();
        assert!(open <= KNOWN + RESERVED, "{open}");
        let owner = limiter.enter(address(2));
        owner.mark_authenticated();
        for _ in 0..100 {
            limiter.enter(address(1)).mark_authenticated();
        }
        assert!(!is_evicted(&owner), "a crowd makes room at its own cost");
    }

    #[test]
    fn a_flood_from_outside_takes_no_place_of_the_guards() {
        let limiter = Arc::new(ConnectionLimiter::default());
        let guard = limiter.enter([127, 0, 0, 1].into());
        let flood: Vec<UnauthenticatedConnection> = (0..2 * IN_ALL).map(|n| limiter.enter(address(n / 10))).collect();
        assert!(!is_evicted(&guard) && is_evicted(&flood[0]));
        assert!(limiter.lock().unknown.len() <= IN_ALL);
    }

    #[test]
    fn who_is_known_or_gone_takes_no_room() {
        let limiter = Arc::new(ConnectionLimiter::default());
        let first = limiter.enter(address(1));
        for _ in 0..1000 {
            limiter.enter(address(1));
        }
        let known: Vec<UnauthenticatedConnection> = (0..KNOWN)
            .map(|_| limiter.enter(address(1)))
            .inspect(UnauthenticatedConnection::mark_authenticated)
            .collect();
        assert!(!is_evicted(&first));
        assert!(!known.iter().any(is_evicted));
    }

    #[tokio::test]
    async fn who_is_evicted_learns_it() {
        let limiter = Arc::new(ConnectionLimiter::default());
        let held: Vec<UnauthenticatedConnection> = (0..=FROM_ONE).map(|_| limiter.enter(address(1))).collect();
        held[0].evicted().await;
    }
}
