//! Says to which addresses the appliance may be led.
//!
//! A name server or a redirect could point the appliance at itself, at what listens on its loopback alone, or into its
//! owner's own network, where a stranger on the web could not go. What the configuration writes as an address is meant;
//! a name may be the owner's own server; and from the open web no redirect leads inward.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::url::{Host, Url};

/// How near an address is, the nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// This machine, its own wire, or no single machine at all.
    Here,
    /// Somebody's own network.
    Site,
    /// Everybody's.
    World,
}

impl Reach {
    /// Judges an address.
    pub fn of(address: IpAddr) -> Reach {
        // The kernel connects to an IPv4 address that is mapped into IPv6 as what it is.
        match address.to_canonical() {
            IpAddr::V4(address) => Reach::of_v4(address),
            IpAddr::V6(address) => Reach::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Reach {
        let [first, second, ..] = address.octets();
        match first {
            // "This network", which Linux takes for itself; loopback; and everything from the multicast groups on.
            0 | 127 | 224.. => Reach::Here,
            _ if address.is_link_local() => Reach::Here,
            _ if address.is_private() => Reach::Site,
            // RFC 6598: between a provider and its customers.
            100 if (64..128).contains(&second) => Reach::Site,
            _ => Reach::World,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Reach {
        let [first, second, third, fourth, fifth, sixth, ..] = address.segments();
        match first {
            // Loopback, the unspecified one, and RFC 4291's first way to write an IPv4 address.
            0 => Reach::Here,
            // RFC 6052: a translator makes the last four bytes an IPv4 address. RFC 8215: one of one's own may take
            // others. RFC 3056: 6to4 has them in the middle.
            0x64 if second == 0xff9b && [third, fourth, fifth, sixth] == [0; 4] => Reach::of_v4(embedded(address, 12)),
            0x64 if second == 0xff9b => Reach::Site,
            0x2002 => Reach::of_v4(embedded(address, 2)),
            // RFC 4380: Teredo's are somebody's behind a router.
            0x2001 if second == 0 && third != 0 => Reach::Site,
            _ if address.is_multicast() || address.is_unicast_link_local() => Reach::Here,
            _ if address.is_unique_local() || first & 0xffc0 == 0xfec0 => Reach::Site,
            _ => Reach::World,
        }
    }
}

fn embedded(address: Ipv6Addr, at: usize) -> Ipv4Addr {
    let bytes = address.octets();
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
}

/// Follows how far out the way of a fetch has led.
#[derive(Debug)]
pub struct Way<'a> {
    start: &'a Url,
    first: Option<Reach>,
}

impl<'a> Way<'a> {
    /// Begins at what the configuration names.
    pub fn new(start: &'a Url) -> Way<'a> {
        Way { start, first: None }
    }

    /// Whether a request for `url` may go to this address.
    pub fn leads_to(&self, url: &Url, address: IpAddr) -> bool {
        let nearest = match self.first {
            _ if self.is_meant(url) => Reach::Here,
            _ if url.is_at(self.start) => Reach::Site,
            first => first.unwrap_or(Reach::World).max(Reach::Site),
        };
        nearest <= Reach::of(address)
    }

    /// Whether the configuration itself names this very address.
    pub fn is_meant(&self, url: &Url) -> bool {
        url.is_at(self.start) && matches!(url.host(), Host::Address(_))
    }

    /// Notes where the first request went: who is out there already is not let in again.
    pub fn went_to(&mut self, address: IpAddr) {
        self.first.get_or_insert(Reach::of(address));
    }
}

#[cfg(test)]
mod tests {
    use crate::net::download::reach::*;

    #[test]
    fn every_address_has_its_reach() {
        for (reach, addresses) in [
            (
                Reach::Here,
                "127.0.0.1 127.9.9.9 0.0.0.0 0.1.2.3 169.254.0.1 169.254.169.254 224.0.0.1 239.1.1.1 240.0.0.1 \
                 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.1.1 ::ffff:0.0.0.0 fe80::1 ff02::1 \
                 64:ff9b::7f00:1 2002:7f00:1::1",
            ),
            (
                Reach::Site,
                "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.5 100.64.0.1 100.127.0.1 fd00::1 fc00::1 fec0::1 \
                 ::ffff:10.0.0.1 64:ff9b::a00:1 64:ff9b:1:a00:0:100:808:808 2002:a00:1::1",
            ),
            (
                Reach::World,
                "1.1.1.1 172.32.0.1 192.169.0.1 100.63.0.1 100.128.0.1 128.0.0.1 2606:4700::1111 2001:db8::1 \
                 ::ffff:1.1.1.1 64:ff9b::101:101",
            ),
        ] {
            for address in addresses.split_whitespace() {
                assert_eq!(reach, Reach::of(address.parse().unwrap()), "{address}");
            }
        }
    }

    /// Goes from `start` to `first`, and says whether it may go on to `next` at `then`.
    fn may(start: &str, first: &str, next: &str, then: &str) -> bool {
        let start = Url::parse(start).unwrap();
        let mut way = Way::new(&start);
        let first = first.parse().unwrap();
        assert!(way.leads_to(&start, first), "{start:?} {first}");
        way.went_to(first);
        way.leads_to(&Url::parse(next).unwrap(), then.parse().unwrap())
    }

    #[test]
    fn what_is_written_as_an_address_is_meant_and_a_name_does_not_lead_to_ourselves() {
        let leads = |url: &str, to: &str| {
            let url = Url::parse(url).unwrap();
            Way::new(&url).leads_to(&url, to.parse().unwrap())
        };
        for address in ["127.0.0.1", "169.254.1.1", "10.0.0.1", "1.1.1.1"] {
            assert!(leads(&format!("http://{address}/"), address), "{address}");
        }
        assert!(leads("http://nas/", "192.168.1.5") && leads("http://nas/", "1.1.1.1"));
        for address in ["127.0.0.1", "::1", "169.254.1.1", "fe80::1", "0.0.0.0", "::ffff:127.0.0.1"] {
            assert!(!leads("http://nas/", address), "{address}");
        }
    }

    #[test]
    fn a_redirect_never_leads_to_ourselves() {
        for start in [("http://1.1.1.1/", "1.1.1.1"), ("http://nas/", "10.0.0.1"), ("http://127.0.0.2/", "127.0.0.2")] {
            for to in ["127.0.0.1", "169.254.169.254", "0.0.0.0"] {
                assert!(!may(start.0, start.1, &format!("http://{to}/"), to), "{start:?} {to}");
                assert!(!may(start.0, start.1, "http://name.example/", to), "{start:?} {to}");
            }
            assert!(!may(start.0, start.1, "http://[::1]/", "::1"), "{start:?}");
            assert!(!may(start.0, start.1, "http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1"), "{start:?}");
        }
        assert!(may("http://127.0.0.2/", "127.0.0.2", "http://127.0.0.2/y", "127.0.0.2"), "the one that is named");
        assert!(!may("http://127.0.0.2/", "127.0.0.2", "http://127.0.0.2:81/", "127.0.0.2"), "but not its neighbours");
    }

    #[test]
    fn from_the_open_web_no_redirect_leads_inward() {
        assert!(may("http://a/", "1.1.1.1", "http://b/", "8.8.8.8"));
        assert!(!may("http://a/", "1.1.1.1", "http://b/", "10.0.0.1"));
        assert!(may("http://a/", "10.0.0.1", "http://b/", "10.0.0.2"));
        assert!(may("http://a/", "10.0.0.1", "http://b/", "8.8.8.8"));
        // By its own name, the server may turn out to be inside as well.
        assert!(may("http://a/", "1.1.1.1", "http://a/x", "10.0.0.1"));
    }
}
