//! Examines what a machine needs in addition to a page that answers: storage, clock, network, and the cable to its
//! target.
//!
//! A new version that lacks one of these must not be confirmed, even if everything of ours runs.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use super::configfs::{CONTROLLERS, GADGETS};
use crate::base::files;
use crate::health::needs::{Fault, Needs};

/// What a clock must not be before: when the image was built.
const STAMP: &str = "/etc/os-release";

/// Everything that is wrong but for storage, which cannot be tried without writing. `wants_gadget`: whether some seat
/// has a keyboard.
pub fn faults(wants_gadget: bool) -> Vec<Fault> {
    let fault = |lacks, text: String| Fault { lacks, text };
    let gadget = (wants_gadget && !is_plugged(Path::new(CONTROLLERS), Path::new(GADGETS)))
        .then(|| fault(Needs::KEYBOARD, "the keyboard is not bound to its controller".into()));
    let clock =
        is_early(SystemTime::now()).then(|| fault(Needs::CLOCK, "the clock is before this version was built".into()));
    let network = has_address().err().map(|error| fault(Needs::NETWORK, format!("the network is not up: {error}")));
    [gadget, clock, network].into_iter().flatten().collect()
}

/// What is wrong with storage.
pub fn storage_fault(data: &Path) -> Option<Fault> {
    let text = |error| format!("{} cannot be written: {error}", data.display());
    store(data).err().map(|error| Fault { lacks: Needs::STORAGE, text: text(error) })
}

/// Writes to the card itself, not only to the memory in front of it.
fn store(data: &Path) -> io::Result<()> {
    let path = data.join("state/.examined");
    // One of a run that was cut short is in the way of O_EXCL, which we want against planted links.
    files::remove(&path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    file.write_all(b"written")?;
    file.sync_all()?;
    fs::remove_file(&path)
}

/// Whether a gadget is bound, or there is nothing to bind it to.
fn is_plugged(controllers: &Path, gadgets: &Path) -> bool {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    if entries(controllers).next().is_none() {
        return true;
    }
    let bound = |gadget: fs::DirEntry| fs::read_to_string(gadget.path().join("UDC")).unwrap_or_default();
    entries(gadgets).any(|gadget| !bound(gadget).trim().is_empty())
}

fn is_early(now: SystemTime) -> bool {
    fs::metadata(STAMP).and_then(|metadata| metadata.modified()).is_ok_and(|built| now < built)
}

/// Whether some interface can be reached from outside.
fn has_address() -> io::Result<()> {
    let reachable = getifaddrs()?.any(|interface| {
        let up = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
        let given = interface.address.is_some_and(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
            v4.or(address.as_sockaddr_in6().map(|v6| v6.ip().into())).is_some_and(is_given)
        });
        interface.flags.contains(up) && given
    });
    if reachable { Ok(()) } else { Err(io::Error::other("no interface has an address")) }
}

/// Whether a network, or an owner, has given this address. What a machine gives itself, it has without either: the
/// kernel makes a link-local one wherever there is a cable, even if nobody answers DHCP.
fn is_given(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !(v4.is_loopback() || v4.is_unspecified() || v4.is_link_local()),
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn storage_is_proven_by_writing_and_leaves_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let data = temporary.path();
        assert!(store(data).is_err(), "there is no folder for it");
        fs::create_dir(data.join("state")).unwrap();
        fs::write(data.join("state/.examined"), "left").unwrap();
        store(data).unwrap();
        assert_eq!(0, fs::read_dir(data.join("state")).unwrap().count());
    }

    #[test]
    fn a_gadget_is_bound_or_has_nothing_to_be_bound_to() {
        let temporary = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [controllers, gadgets] = temporary.each_ref().map(tempfile::TempDir::path);
        assert!(is_plugged(controllers, gadgets) && is_plugged(Path::new("/nowhere"), gadgets));
        fs::write(controllers.join("dummy_udc.0"), "").unwrap();
        assert!(!is_plugged(controllers, gadgets));
        fs::create_dir_all(gadgets.join("farhand-main")).unwrap();
        for (udc, plugged) in [("\n", false), ("dummy_udc.0\n", true)] {
            fs::write(gadgets.join("farhand-main/UDC"), udc).unwrap();
            assert_eq!(plugged, is_plugged(controllers, gadgets), "{udc:?}");
        }
    }

    #[test]
    fn an_address_that_a_machine_gives_itself_is_none() {
        let own = ["169.254.7.9", "fe80::1", "febf::1", "127.0.0.1", "::1", "0.0.0.0", "::"];
        for (addresses, reachable) in [(&own[..], false), (&["192.168.1.5", "169.255.0.1", "fd00::1", "fec0::1"], true)]
        {
            for address in addresses {
                assert_eq!(reachable, is_given(address.parse().unwrap()), "{address}");
            }
        }
    }

    #[test]
    fn a_clock_may_not_be_before_the_build() {
        assert!(!is_early(SystemTime::now()));
        assert!(is_early(SystemTime::UNIX_EPOCH + Duration::from_secs(60)));
    }
}
