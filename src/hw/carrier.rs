//! Waits for a network cable to be plugged in again.
//!
//! By itself, a DHCP client asks again when half of its lease is over, which may be tomorrow. Until then an appliance
//! that was moved to another network would keep the address, the router and the name servers of the old one.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc::RTMGRP_LINK;
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket};

/// An interface's carrier: the sign that something is at the other end of the cable.
#[derive(Debug)]
pub struct Carrier {
    news: OwnedFd,
    count: PathBuf,
    seen: u64,
}

impl Carrier {
    /// Begins to watch an interface.
    pub fn watch(interface: &str) -> io::Result<Carrier> {
        let news = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
        bind(news.as_raw_fd(), &NetlinkAddr::new(0, RTMGRP_LINK as u32))?;
        let count = Path::new("/sys/class/net").join(interface).join("carrier_up_count");
        // Read after the subscription, so that no change is missed in between.
        let seen = number(&count)?;
        Ok(Carrier { news, count, seen })
    }

    /// Waits until the carrier has come back, however briefly, since the last call.
    pub fn wait_back(&mut self) -> io::Result<()> {
        let mut news = [0; 4096];
        loop {
            // The kernel counts, so the messages' contents do not matter, nor whether some were lost.
            let count = number(&self.count)?;
            if count != self.seen {
                self.seen = count;
                return Ok(());
            }
            match recv(self.news.as_raw_fd(), &mut news, MsgFlags::empty()) {
                Ok(_) | Err(Errno::ENOBUFS | Errno::EINTR) => (),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn number(path: &Path) -> io::Result<u64> {
    fs::read_to_string(path)?.trim().parse().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        assert!(Carrier::watch("none such").is_err());
        assert_eq!(Some(0), Carrier::watch("lo").ok().map(|carrier| carrier.seen), "loopback has no cable to pull");
    }
}
