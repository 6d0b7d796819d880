//! Says where a page is found on the machine itself, whatever addresses the machine has.

use std::net::{Ipv4Addr, SocketAddr};

/// Where on this machine a page is to be found that listens at `address`, whatever addresses the machine has just now.
/// If it does not listen there by itself, it must do so besides: the guard asks it there.
pub fn loopback_twin(address: SocketAddr) -> SocketAddr {
    // What takes every IPv6 address takes IPv4 as well, and a kernel without IPv6 has no ::1.
    let ip = if address.ip().is_loopback() { address.ip() } else { Ipv4Addr::LOCALHOST.into() };
    SocketAddr::new(ip, address.port())
}
