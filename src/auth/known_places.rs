//! Remembers from where people have logged in, so that a flood of strangers does not keep them out.
//!
//! What is kept is a digest of address and name under a secret of this device: enough to recognise a place that is
//! shown again. A place is forgotten after thirty days.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::auth::accounts::Name;
use crate::auth::limiter::neighbourhood;

/// Places that are remembered; the one that was seen longest ago makes room.
const PLACES: usize = 64;

/// How long one is remembered, in seconds.
const MEMORY: u64 = 30 * 24 * 3600;

/// Logins closer together than this are not worth a write, in seconds: cards wear out.
const COARSE: u64 = 24 * 3600;

/// The form of the file that this version writes.
const SCHEMA: u32 = 1;

/// Where people have logged in from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownPlaces {
    schema: u32,
    salt: [u8; 16],
    places: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Place {
    digest: [u8; 16],
    /// When somebody logged in there last, in seconds since 1970.
    seen: u64,
}

impl KnownPlaces {
    /// None yet. The salt is random.
    pub fn new(salt: [u8; 16]) -> KnownPlaces {
        KnownPlaces { schema: SCHEMA, salt, places: Vec::new() }
    }

    /// Reads the file's text. What another version wrote, or damage, costs nothing but being taken for a stranger.
    pub fn parse(text: &str) -> Option<KnownPlaces> {
        serde_json::from_str(text).ok().filter(|places: &KnownPlaces| places.schema == SCHEMA)
    }

    /// Whether this person has logged in from this address, or from its IPv6 network, within thirty days.
    pub fn knows(&self, now: u64, address: IpAddr, name: &Name) -> bool {
        let digest = self.digest(address, name);
        self.places.iter().any(|place| place.digest == digest && now < place.seen.saturating_add(MEMORY))
    }

    /// Notes that somebody has logged in, and says whether the change is worth storing.
    pub fn note(&mut self, now: u64, address: IpAddr, name: &Name) -> bool {
        let digest = self.digest(address, name);
        if self.places.iter().any(|place| place.digest == digest && now < place.seen.saturating_add(COARSE)) {
            return false;
        }
        self.places.retain(|place| place.digest != digest && now < place.seen.saturating_add(MEMORY));
        if self.places.len() >= PLACES
            && let Some(oldest) = (0..self.places.len()).min_by_key(|index| self.places[*index].seen)
        {
            self.places.swap_remove(oldest);
        }
        self.places.push(Place { digest, seen: now });
        true
    }

    fn digest(&self, address: IpAddr, name: &Name) -> [u8; 16] {
        let text = format!("{} {}", neighbourhood(address), name.as_str());
        let whole: [u8; 32] = Sha256::new().chain_update(self.salt).chain_update(text).finalize().into();
        std::array::from_fn(|index| whole[index])
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::known_places::*;

    const DAY: u64 = 24 * 3600;

    fn name(text: &str) -> Name {
        Name::try_from(text.to_string()).unwrap()
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_place_is_known_to_who_logged_in_there_for_thirty_days() {
        let mut places = KnownPlaces::new([1; 16]);
        assert!(!places.knows(0, address(1), &name("anna")));
        assert!(places.note(0, address(1), &name("anna")));
        assert!(places.knows(30 * DAY - 1, address(1), &name("anna")));
        assert!(!places.knows(30 * DAY, address(1), &name("anna")));
        assert!(!places.knows(0, address(1), &name("bert")), "a colleague at the same address");
        assert!(!places.knows(0, address(2), &name("anna")));
    }

    #[test]
    fn a_whole_ipv6_network_is_one_place() {
        let mut places = KnownPlaces::new([1; 16]);
        places.note(0, "2001:db8:0:1::1".parse().unwrap(), &name("anna"));
        assert!(places.knows(0, "2001:db8:0:1:9::2".parse().unwrap(), &name("anna")));
        assert!(!places.knows(0, "2001:db8:0:2::1".parse().unwrap(), &name("anna")));
    }

    #[test]
    fn a_place_is_written_once_a_day() {
        let mut places = KnownPlaces::new([1; 16]);
        assert!(places.note(0, address(1), &name("anna")));
        assert!(!places.note(DAY - 1, address(1), &name("anna")));
        assert!(places.note(DAY, address(1), &name("anna")));
        assert!(places.knows(31 * DAY - 1, address(1), &name("anna")));
    }

    #[test]
    fn the_place_seen_longest_ago_makes_room() {
        let mut places = KnownPlaces::new([1; 16]);
        for last in 0..=64 {
            places.note(u64::from(last), address(last), &name("anna"));
        }
        assert!(!places.knows(64, address(0), &name("anna")) && places.knows(64, address(1), &name("anna")));
        assert_eq!(PLACES, places.places.len());
    }

    #[test]
    fn what_is_stored_reads_back_and_names_nobody() {
        let mut places = KnownPlaces::new([1; 16]);
        places.note(0, address(1), &name("anna"));
        let text = serde_json::to_string(&places).unwrap();
        assert_eq!(Some(&places), KnownPlaces::parse(&text).as_ref());
        assert!(!text.contains("anna") && !text.contains("192.0.2"));
        for damaged in ["", "{}", &text[..text.len() / 2], &text.replace("\"schema\":1", "\"schema\":2")] {
            assert_eq!(None, KnownPlaces::parse(damaged), "{damaged}");
        }
    }
}
