//! Keeps seats from taking each other's capture devices.
//!
//! A seat that looks for a device by itself takes none that another seat has, or names in the configuration. Devices
//! are known by node and by USB port: a dongle that resets itself may come back under another number, but at the same
//! port. A port that a seat found by itself stays that seat's while the process lives: two dongles that reset
//! themselves must not come back as each other's machines.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::seat_id::SeatId;
use crate::config::Device;

/// Where the kernel says which device is behind a node.
const SYSFS: &str = "/sys/class/video4linux";

/// Which seat has which device, or will have.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    named: Arc<Vec<(SeatId, Device)>>,
    /// By node. A seat can hold one twice: when its capture was restarted, what hung may still have it.
    held: Arc<Mutex<BTreeMap<PathBuf, Vec<SeatId>>>>,
    /// Which seat had pictures from a USB port last.
    found: Arc<Mutex<BTreeMap<String, SeatId>>>,
}

impl Claims {
    /// Nothing is held yet; these are named in the configuration.
    pub fn new<'a>(devices: impl Iterator<Item = (&'a SeatId, &'a Device)>) -> Claims {
        let named = devices.map(|(seat, device)| (seat.clone(), device.clone())).collect();
        Claims { named: Arc::new(named), ..Claims::default() }
    }

    /// Takes a node for a seat until the claim is dropped. `None`: it is another seat's.
    pub fn take(&self, seat: &SeatId, node: &Path) -> Option<Claim> {
        self.take_at(seat, node, usb_port(node))
    }

    fn take_at(&self, seat: &SeatId, node: &Path, port: Option<String>) -> Option<Claim> {
        let by_port = |device: &Device| matches!(device, Device::Usb(name) if port.as_ref() == Some(name));
        let by_path = |device: &Device| matches!(device, Device::Path(path) if path == node);
        // Of two seats that name one device, the one that names the port has it: a node's number may change.
        let mine = self.named.iter().any(|(owner, device)| owner == seat && by_port(device));
        let is_others = |device: &Device| by_port(device) || (by_path(device) && !mine);
        if self.named.iter().any(|(other, device)| other != seat && is_others(device)) {
            return None;
        }
        // A name in the configuration counts more than what was found.
        let looks = !self.named.iter().any(|(owner, device)| owner == seat && (by_port(device) || by_path(device)));
        if looks && port.as_ref().and_then(|port| self.finder(port)).is_some_and(|finder| finder != *seat) {
            return None;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let holders = held.entry(node.into()).or_default();
        if holders.iter().any(|holder| holder != seat) {
            return None;
        }
        holders.push(seat.clone());
        Some(Claim { claims: self.clone(), node: node.into(), seat: seat.clone(), port })
    }

    /// Whether a seat had pictures from the device at this node before, or at its port.
    pub fn has_found(&self, seat: &SeatId, node: &Path) -> bool {
        usb_port(node).and_then(|port| self.finder(&port)).is_some_and(|finder| finder == *seat)
    }

    fn finder(&self, port: &str) -> Option<SeatId> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).get(port).cloned()
    }
}

/// A seat's hold on a node.
#[derive(Debug)]
pub struct Claim {
    claims: Claims,
    node: PathBuf,
    seat: SeatId,
    port: Option<String>,
}

impl Claim {
    /// Keeps the port for the seat, in place of the one it had before: here its pictures come from.
    pub fn keep_port(&self) {
        let Some(port) = &self.port else { return };
        let mut found = self.claims.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.retain(|_, seat| *seat != self.seat);
        found.insert(port.clone(), self.seat.clone());
    }

    /// Whether the seat holds the node more than once: an earlier thread of its capture hangs with it.
    pub fn is_shared(&self) -> bool {
        let held = self.claims.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&self.node).is_some_and(|holders| 1 < holders.len())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut held = self.claims.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holders) = held.get_mut(&self.node) {
            holders.pop();
            if holders.is_empty() {
                held.remove(&self.node);
            }
        }
    }
}

/// All video nodes, in the order of their numbers.
pub fn nodes() -> Vec<PathBuf> {
    let number = |name: &str| name.strip_prefix("video")?.parse::<u32>().ok();
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = entries.filter_map(|entry| number(entry.file_name().to_str()?)).collect();
    numbers.sort_unstable();
    numbers.into_iter().map(|number| format!("/dev/video{number}").into()).collect()
}

/// The USB port that the device behind a node is plugged into, as `1-1.3`.
pub fn usb_port(node: &Path) -> Option<String> {
    let link = fs::read_link(Path::new(SYSFS).join(node.file_name()?)).ok()?;
    port_of(&link)
}

/// The port in a device's path below `/sys/devices`: what has an interface such as `1-1.3:1.0` below it.
fn port_of(link: &Path) -> Option<String> {
    let mut parts = link.iter().filter_map(|part| part.to_str()).rev();
    let interface = parts.find(|part| part.contains(':') && part.contains('-'))?;
    interface.split_once(':').map(|(port, _)| port.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(name: &str) -> SeatId {
        SeatId::try_from(name.to_string()).unwrap()
    }

    #[test]
    fn the_port_is_read_from_where_the_device_is() {
        let usb =
            "../../devices/platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0/usb1/1-1/1-1.3/1-1.3:1.0";
        assert_eq!(Some("1-1.3".into()), port_of(Path::new(&format!("{usb}/video4linux/video0"))));
        let virtual_ = "../../devices/platform/vivid.0/video4linux/video0";
        assert_eq!(None, port_of(Path::new(virtual_)));
        assert_eq!(None, port_of(Path::new("")));
    }

    #[test]
    fn a_node_is_one_seats_until_all_its_claims_are_dropped() {
        let (claims, node) = (Claims::default(), Path::new("/dev/farhand-test-0"));
        let first = claims.take(&seat("one"), node).unwrap();
        let again = claims.take(&seat("one"), node).unwrap();
        for held in [first, again] {
            assert!(claims.take(&seat("two"), node).is_none());
            drop(held);
        }
        assert!(claims.take(&seat("two"), node).is_some());
    }

    #[test]
    fn who_names_the_port_has_it_before_who_names_the_node() {
        let (one, two, node) = (seat("one"), seat("two"), Path::new("/dev/farhand-test-0"));
        let (path, port) = (Device::Path(node.into()), Device::Usb("1-1.3".into()));
        let claims = Claims::new([(&one, &path), (&two, &port)].into_iter());
        let take = |seat, port: &str| claims.take_at(seat, node, Some(port.into()));
        assert!(take(&one, "1-1.3").is_none());
        assert!(take(&two, "1-1.3").is_some());
        // With another device behind the node it is the other way round.
        assert!(take(&two, "1-1.4").is_none());
        assert!(take(&one, "1-1.4").is_some());
    }

    #[test]
    fn a_port_stays_the_seats_that_had_pictures_from_it() {
        let (one, two) = (seat("one"), seat("two"));
        let (claims, node) = (Claims::default(), Path::new("/dev/farhand-test-0"));
        let take = |seat, port: &str| claims.take_at(seat, node, Some(port.into()));
        take(&one, "1-1.3").unwrap().keep_port();
        assert!(take(&two, "1-1.3").is_none());
        assert!(take(&two, "1-1.4").is_some(), "having looked at it is not enough");
        // Its dongle was plugged in elsewhere.
        take(&one, "1-1.4").unwrap().keep_port();
        assert!(take(&two, "1-1.4").is_none());
        take(&two, "1-1.3").unwrap().keep_port();
        assert!(take(&one, "1-1.3").is_none());
    }

    #[test]
    fn a_name_counts_more_than_what_was_found() {
        let (one, two) = (seat("one"), seat("two"));
        let (auto, node) = (Device::Auto, Path::new("/dev/farhand-test-0"));
        let named = Device::Path(node.into());
        let claims = Claims::new([(&one, &auto), (&two, &named)].into_iter());
        claims.take_at(&one, Path::new("/dev/farhand-test-1"), Some("1-1.3".into())).unwrap().keep_port();
        assert!(claims.take_at(&two, node, Some("1-1.3".into())).is_some());
    }

    #[test]
    fn what_a_seat_names_is_no_other_seats() {
        let (one, two) = (seat("one"), seat("two"));
        let (named, auto) = (Device::Path("/dev/farhand-test-0".into()), Device::Auto);
        let claims = Claims::new([(&one, &named), (&two, &auto)].into_iter());
        assert!(claims.take(&two, Path::new("/dev/farhand-test-0")).is_none());
        assert!(claims.take(&one, Path::new("/dev/farhand-test-0")).is_some());
        assert!(claims.take(&two, Path::new("/dev/farhand-test-1")).is_some());
    }
}
