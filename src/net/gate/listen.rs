//! Opens the sockets on which the appliance is reached.
//!
//! An address that the configuration names may come later than we do, by DHCP or with the cable, and go again. To wait
//! for it or to fail would cost the owner the page, so we listen on it before it is there.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use log::warn;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};

pub use crate::config::loopback_twin;

/// What may wait to be accepted, as tokio's own listeners have it.
const BACKLOG: u32 = 1024;

/// Listens at an address, whether or not this machine has it yet.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match open(address, false) {
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
            warn!("{} is no address of this machine yet: whoever calls there is answered once it is", address.ip());
            open(address, true)
        }
        opened => opened,
    }
}

fn open(address: SocketAddr, early: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of an earlier run may not have closed yet.
    socket.set_reuseaddr(true)?;
    // Only on the second attempt, so that a mistyped address still gets a warning.
    match address {
        SocketAddr::V4(_) => SockRef::from(&socket).set_freebind_v4(early)?,
        SocketAddr::V6(_) => SockRef::from(&socket).set_freebind_v6(early)?,
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use crate::net::gate::listen::*;

    #[test]
    fn every_page_is_found_within_the_machine() {
        let at = |text: &str| loopback_twin(text.parse().unwrap()).to_string();
        assert_eq!("127.0.0.1:443", at("[::]:443"));
        assert_eq!("127.0.0.1:8443", at("0.0.0.0:8443"));
        assert_eq!("127.0.0.1:443", at("192.168.0.9:443"));
        assert_eq!("127.0.0.1:443", at("[2001:db8::1]:443"));
        assert_eq!("127.0.0.2:443", at("127.0.0.2:443"));
        assert_eq!("[::1]:443", at("[::1]:443"));
    }

    #[tokio::test]
    async fn an_address_that_is_not_there_yet_is_listened_on() {
        // For documentation, RFC 5737 and RFC 3849: no machine has them.
        for text in ["192.0.2.1:0", "[2001:db8::1]:0"] {
            let address: SocketAddr = text.parse().unwrap();
            let plain = TcpListener::bind(address).await.map_err(|error| error.kind());
            if address.is_ipv6() && plain.as_ref().is_err_and(|kind| *kind != ErrorKind::AddrNotAvailable) {
                // A kernel without IPv6 can listen on none of its addresses.
                continue;
            }
            assert_eq!(Some(ErrorKind::AddrNotAvailable), plain.err(), "{text}");
            let early = bind(address).unwrap().local_addr().unwrap();
            assert_eq!(address.ip(), early.ip());
            assert_ne!(0, early.port());
        }
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_said_to_be() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = bind(first.local_addr().unwrap()).unwrap_err();
        assert_eq!(ErrorKind::AddrInUse, error.kind());
    }
}
