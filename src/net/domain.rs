//! Finds the name by which the network knows this machine: its own in the domain that DHCP gives out.
//!
//! A router's list links to NAME.lan or NAME.fritz.box, and a page that did not answer to that would refuse whoever
//! clicks there. The lease's script leaves the domain in a file. That is read again and again: the domain becomes known
//! only after `serve` has started, and a restart would end every socket.

use std::path::Path;

use crate::base::files;
use crate::base::url::is_label;

/// Where `/etc/network/udhcpc` leaves the domain.
pub const DOMAIN: &str = "/run/dhcp-domain";

/// The host's name in the domain that this file names; `None` without one, as with a fixed address.
pub fn full_name(host: &str, domain: &Path) -> Option<String> {
    named(host, &files::read(domain).ok()??)
}

/// What another machine says is believed only if it is a domain.
fn named(host: &str, domain: &str) -> Option<String> {
    let domain = domain.trim();
    let name = format!("{host}.{}", domain.strip_suffix('.').unwrap_or(domain)).to_ascii_lowercase();
    (name.len() <= 253 && name.split('.').all(is_label)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_in_the_domain_of_its_network() {
        for (domain, name) in [
            ("lan\n", Some("farhand-1a2b.lan")),
            ("Fritz.Box\n", Some("farhand-1a2b.fritz.box")),
            ("home.arpa.", Some("farhand-1a2b.home.arpa")),
        ] {
            assert_eq!(name, named("farhand-1a2b", domain).as_deref(), "{domain:?}");
        }
        for bad in ["", "\n", ".", "a..b", "a b", "-", "a_b", "ä", "a\nb", "*.lan", &"a.".repeat(200)] {
            assert_eq!(None, named("farhand-1a2b", bad), "{bad:?}");
        }
        assert_eq!(None, named("", "lan"));
    }
}
