//! Knows the addresses at which this machine can be reached from elsewhere.

use std::collections::BTreeSet;
use std::net::IpAddr;

use log::warn;
use nix::ifaddrs::getifaddrs;

/// Every address of this machine's own but those that only it, or only one cable, can use.
pub fn own() -> Vec<IpAddr> {
    let interfaces = match getifaddrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            warn!("cannot list our own addresses: {error}");
            return Vec::new();
        }
    };
    let address =
        |storage: nix::sys::socket::SockaddrStorage| match (storage.as_sockaddr_in(), storage.as_sockaddr_in6()) {
            (Some(four), _) => Some(IpAddr::V4(four.ip())),
            (_, Some(six)) => Some(IpAddr::V6(six.ip())),
            _ => None,
        };
    let addresses: BTreeSet<IpAddr> =
        interfaces.filter_map(|interface| address(interface.address?)).filter(is_reachable).collect();
    addresses.into_iter().collect()
}

fn is_reachable(address: &IpAddr) -> bool {
    // One of IPv6 that counts on one link needs that link's name, which no certificate can hold.
    let is_local = matches!(address, IpAddr::V6(six) if six.is_unicast_link_local());
    !address.is_loopback() && !address.is_unspecified() && !is_local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_others_can_name_count() {
        for (address, expected) in [
            ("192.0.2.1", true),
            ("169.254.1.1", true),
            ("2001:db8::1", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(expected, is_reachable(&address.parse().unwrap()), "{address}");
        }
        assert!(own().iter().all(is_reachable));
    }
}
