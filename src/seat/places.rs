//! Counts those who watch, so that nobody takes every place.
//!
//! Each socket and each stream costs the processor something for every picture, and every viewer is listed to all
//! others. So there is a bound for one session or token, for all that come under one name, and for a seat.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::auth::lease::Key;
use crate::auth::principal::Principal;
use crate::base::seat_id::SeatId;

/// Sockets and streams of one session or token: some tabs, and a browser that reconnects before its old socket has
/// ended.
const PER_KEY: usize = 8;

/// Of one name, with however many sessions.
const PER_NAME: usize = 32;

/// Sockets and streams at one seat.
const PER_SEAT: usize = 64;

/// There is no place for another viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooManyViewers {
    /// Too many with the same cookie or token.
    #[error("{PER_KEY} sockets or streams are open with this session or token already; close one of them")]
    OfKey,
    /// Too many of the same person.
    #[error("{PER_NAME} sockets or streams are open under this name already; close one of them")]
    OfName,
    /// Too many at the same seat.
    #[error("{PER_SEAT} viewers are at this seat already; try again when one has left")]
    AtSeat,
}

/// Who watches which seat now, and with which session or token. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<HashMap<u64, Taken>>>);

#[derive(Debug)]
struct Taken {
    key: Key,
    name: String,
    seat: SeatId,
}

/// One viewer's place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    id: u64,
    places: Places,
}

impl Places {
    /// Takes a place for somebody at a seat. `id` is theirs alone.
    pub fn take(&self, id: u64, principal: &Principal, seat: &SeatId) -> Result<Place, TooManyViewers> {
        self.take_for(id, principal.key(), principal.name.as_str(), seat)
    }

    /// Whether somebody watches with this session or token.
    pub fn has(&self, key: Key) -> bool {
        self.lock().values().any(|taken| taken.key == key)
    }

    fn take_for(&self, id: u64, key: Key, name: &str, seat: &SeatId) -> Result<Place, TooManyViewers> {
        let mut taken = self.lock();
        let count = |is: &dyn Fn(&Taken) -> bool| taken.values().filter(|other| is(other)).count();
        if PER_KEY <= count(&|other| other.key == key) {
            return Err(TooManyViewers::OfKey);
        }
        if PER_NAME <= count(&|other| other.name == name) {
            return Err(TooManyViewers::OfName);
        }
        if PER_SEAT <= count(&|other| other.seat == *seat) {
            return Err(TooManyViewers::AtSeat);
        }
        taken.insert(id, Taken { key, name: name.to_string(), seat: seat.clone() });
        Ok(Place { id, places: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Taken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::secret::Bearer;

    /// Takes places with this many sessions at once, each under its own name or all under one.
    fn take(places: &Places, ids: std::ops::Range<u64>, session: u8, name: &str) -> Result<Vec<Place>, TooManyViewers> {
        let seat = SeatId::try_from("main".to_string()).unwrap();
        let key = Key::Session(Bearer::new([session; 32]).digest());
        ids.map(|id| places.take_for(id, key, name, &seat)).collect()
    }

    #[test]
    fn one_session_has_eight_places_and_gets_them_back() {
        let places = Places::default();
        let mut held = take(&places, 0..8, 1, "anna").unwrap();
        assert_eq!(Some(TooManyViewers::OfKey), take(&places, 8..9, 1, "anna").err());
        assert!(take(&places, 9..10, 2, "bert").is_ok(), "nobody else minds");
        held.pop();
        assert!(take(&places, 10..11, 1, "anna").is_ok());
    }

    #[test]
    fn one_name_has_thirty_two_with_however_many_sessions() {
        let places = Places::default();
        let held: Vec<_> =
            (0..4).map(|n: u8| take(&places, u64::from(n) * 8..u64::from(n) * 8 + 8, n, "anna")).collect();
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(Some(TooManyViewers::OfName), take(&places, 100..101, 9, "anna").err());
    }

    #[test]
    fn one_seat_has_sixty_four() {
        let places = Places::default();
        let ids = |n: u8| u64::from(n) * 8..u64::from(n) * 8 + 8;
        let held: Vec<_> = (0..8).map(|n: u8| take(&places, ids(n), n, &format!("user {n}"))).collect();
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(Some(TooManyViewers::AtSeat), take(&places, 100..101, 9, "somebody").err());
    }
}
