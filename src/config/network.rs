//! Who the appliance is on the network, how it gets its address, and whom it asks for the time.
//!
//! Init's scripts read these values, too, as the output of [`assignments`]: they are shell, so each type here admits
//! only characters that mean nothing to a shell.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::base::url::is_label;

use super::choice::Choice;
use super::error::ConfigError;

/// Who asks the resolver in the C library reads no more name servers than these.
const MOST_DNS: usize = 3;
/// Four clocks outvote one that is wrong; more only cost traffic.
const MOST_TIME_SERVERS: usize = 4;

/// The appliance's own network.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Its name; empty for `farhand-XXXX`, with four digits that tell one board from another.
    pub host: Host,
    /// `"dhcp"`, or an address with its prefix length such as `"192.0.2.10/24"`.
    pub address: Address,
    /// The router that goes with a fixed address.
    pub gateway: Option<IpAddr>,
    /// Name servers. They count before those that DHCP names.
    pub dns: Vec<IpAddr>,
    /// Whether to answer to `NAME.local` by multicast DNS.
    pub mdns: bool,
}

/// The appliance's clock.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Time {
    /// NTP servers, by name or address. Those that DHCP names are asked, too.
    pub servers: Vec<TimeServer>,
}

/// A host name of one label, or none.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct Host(String);

impl Host {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Host {
    type Error = String;

    fn try_from(text: String) -> Result<Host, String> {
        if text.is_empty() || is_label(&text) {
            Ok(Host(text))
        } else {
            Err(format!("host {text:?} must be 1 to 63 letters, digits and inner dashes, or \"\" for farhand-XXXX"))
        }
    }
}

/// How the appliance gets its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Address {
    /// From the network.
    #[default]
    Dhcp,
    /// This one.
    Fixed {
        /// The address itself.
        address: IpAddr,
        /// Bits that it has in common with its neighbours.
        prefix: u8,
    },
}

const ADDRESS: Choice<Address> = Choice {
    key: "address",
    words: &[("dhcp", Address::Dhcp)],
    or: &["an address with a prefix length of 1 to 32 (IPv6: 128), such as \"192.0.2.10/24\""],
};

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Address, String> {
        ADDRESS.read(&text, |fixed| {
            let (address, prefix) = fixed.split_once('/')?;
            let (address, prefix): (IpAddr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
            let most = if address.is_ipv4() { 32 } else { 128 };
            let usable = !(address.is_unspecified() || address.is_loopback() || address.is_multicast());
            (usable && (1..=most).contains(&prefix)).then_some(Address::Fixed { address, prefix })
        })
    }
}

/// A name or an address of a server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeServer(String);

impl TimeServer {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TimeServer {
    type Error = String;

    fn try_from(text: String) -> Result<TimeServer, String> {
        let is_name = text.len() <= 253 && text.split('.').all(is_label);
        if text.parse::<IpAddr>().is_ok() || is_name {
            Ok(TimeServer(text))
        } else {
            Err(format!("server {text:?} must be a host name or an address, such as \"ntp.example.org\""))
        }
    }
}

impl Default for Network {
    fn default() -> Network {
        Network { host: Host::default(), address: Address::Dhcp, gateway: None, dns: Vec::new(), mdns: true }
    }
}

impl Network {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let conflict = |key: &str, problem: String| ConfigError::conflict(format!("network.{key}"), problem);
        if MOST_DNS < self.dns.len() {
            return Err(conflict("dns", format!("there are {}, and 0 to {MOST_DNS} are used", self.dns.len())));
        }
        let Some(gateway) = self.gateway else { return Ok(()) };
        match self.address {
            Address::Dhcp => {
                Err(conflict("gateway", "needs a fixed network.address beside it, such as \"192.0.2.10/24\"".into()))
            }
            Address::Fixed { address, prefix } if is_neighbour(address, prefix, gateway) => Ok(()),
            Address::Fixed { address, prefix } => {
                Err(conflict("gateway", format!("{gateway} must be another address of the network {address}/{prefix}")))
            }
        }
    }
}

impl Network {
    /// Refuses addresses that no machine can have there.
    pub(super) fn check_use(&self) -> Result<(), ConfigError> {
        let conflict = |key: &str, problem: String| ConfigError::conflict(format!("network.{key}"), problem);
        if let Some(server) = self.dns.iter().find(|server| !is_a_machines(**server) || server.is_loopback()) {
            return Err(conflict("dns", format!("{server} must be the address of another machine")));
        }
        if let Address::Fixed { address, prefix } = self.address
            && let Some(what) = purpose(address, prefix)
        {
            let problem = format!("{address}/{prefix} is {what}: it must be one that a machine can have");
            return Err(conflict("address", problem));
        }
        if let (Some(gateway), Address::Fixed { prefix, .. }) = (self.gateway, self.address)
            && let Some(what) = purpose(gateway, prefix)
        {
            return Err(conflict("gateway", format!("{gateway} is {what}: it must be the router's own address")));
        }
        Ok(())
    }

    /// Whether a page at this address can be reached some time; if not, what would do.
    pub(super) fn listens(&self, at: IpAddr) -> Result<(), String> {
        let others = |own: &str| Err(format!("{own}, or \"[::]\" for every one"));
        match (at, self.address) {
            _ if at.is_unspecified() || at.is_loopback() => Ok(()),
            _ if !is_a_machines(at) => others("one that a machine can have"),
            // Of IPv6, routers give others in addition.
            (IpAddr::V4(_), Address::Fixed { address, .. }) if at != address => others(&address.to_string()),
            _ => Ok(()),
        }
    }
}

impl Time {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let number = self.servers.len();
        if number <= MOST_TIME_SERVERS {
            return Ok(());
        }
        let problem = format!("there are {number}, and 0 to {MOST_TIME_SERVERS} are asked");
        Err(ConfigError::conflict("time.servers", problem))
    }
}

/// Whether a machine can have this address at all.
fn is_a_machines(address: IpAddr) -> bool {
    let is_kept_back = matches!(address, IpAddr::V4(address) if purpose(address.into(), 32).is_some());
    !(address.is_unspecified() || address.is_multicast() || is_kept_back)
}

/// What an address is for, if no machine can have it there: RFC 1122 section 3.2.1.3, RFC 1112 section 4.
fn purpose(address: IpAddr, prefix: u8) -> Option<&'static str> {
    let IpAddr::V4(address) = address else { return None };
    let others = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    match address.octets()[0] {
        0 => Some("of 0.0.0.0/8, which stands for no network"),
        240.. => Some("of 240.0.0.0/4, which is reserved"),
        // A link between two machines needs neither of the next two (RFC 3021).
        _ if 30 < prefix => None,
        _ if address.to_bits() & others == 0 => Some("the network's own address"),
        _ if address.to_bits() & others == others => Some("the network's broadcast address"),
        _ => None,
    }
}

/// Whether `other` can be reached from `address` without a router.
fn is_neighbour(address: IpAddr, prefix: u8, other: IpAddr) -> bool {
    let differing = match (address, other) {
        (IpAddr::V4(one), IpAddr::V4(two)) => (one.to_bits() ^ two.to_bits()).leading_zeros(),
        // An IPv6 router gives its link-local address, which is in no other network.
        (IpAddr::V6(_), IpAddr::V6(two)) if two.is_unicast_link_local() => return address != other,
        (IpAddr::V6(one), IpAddr::V6(two)) => (one.to_bits() ^ two.to_bits()).leading_zeros(),
        _ => return false,
    };
    address != other && u32::from(prefix) <= differing
}

/// What init's scripts must know, as shell assignments.
///
/// The scripts cannot read TOML, and a second file of settings would be a second truth. That a value ends its quotes is
/// ruled out by its type: none admits a quotation mark.
pub fn assignments(network: &Network, time: &Time) -> String {
    let address = match network.address {
        Address::Dhcp => "dhcp".to_string(),
        Address::Fixed { address, prefix } => format!("{address}/{prefix}"),
    };
    let gateway = network.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
    let dns: Vec<String> = network.dns.iter().map(IpAddr::to_string).collect();
    let servers: Vec<&str> = time.servers.iter().map(|server| server.0.as_str()).collect();
    let values = [
        ("host", network.host.0.as_str()),
        ("address", &address),
        ("gateway", &gateway),
        ("name_servers", &dns.join(" ")),
        ("time_servers", &servers.join(" ")),
    ];
    values.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::tests::refusal;
    use super::*;

    #[track_caller]
    fn refuses(text: &str, parts: &[&str]) {
        let message = refusal(text).unwrap().to_string();
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }

    fn said(text: &str) -> String {
        let config = Config::parse(text).unwrap();
        assert!(config.unusable().is_empty(), "{text}");
        assignments(&config.network, &config.time)
    }

    #[test]
    fn every_setting_reaches_the_scripts() {
        assert_eq!("host=''\naddress='dhcp'\ngateway=''\nname_servers=''\ntime_servers=''\n", said(""));
        let text = "[network]\nhost = \"rack-7\"\naddress = \"192.0.2.10/24\"\ngateway = \"192.0.2.1\"\n\
                    dns = [\"192.0.2.2\", \"2001:db8::53\"]\n[time]\nservers = [\"ntp.example.org\", \"192.0.2.3\"]";
        assert_eq!(
            "host='rack-7'\naddress='192.0.2.10/24'\ngateway='192.0.2.1'\nname_servers='192.0.2.2 2001:db8::53'\n\
             time_servers='ntp.example.org 192.0.2.3'\n",
            said(text)
        );
    }

    #[test]
    fn nothing_that_a_shell_would_carry_out_is_a_setting() {
        for bad in ["a'; reboot #", "$(reboot)", "`reboot`", "a b", "-a", "a-", "a_b", "ä", "a\\nb", "a.b"] {
            refuses(&format!("[network]\nhost = \"{bad}\""), &["host", "1 to 63", "farhand-XXXX"]);
        }
        for bad in ["", "a'b", "a b", "-p", "a..b", "$HOME", "a;b", "a\\nb"] {
            refuses(&format!("[time]\nservers = [\"{bad}\"]"), &["server", "ntp.example.org"]);
        }
        refuses(&format!("[network]\nhost = \"{}\"", "a".repeat(64)), &["1 to 63"]);
    }

    #[test]
    fn an_address_has_a_prefix_and_is_one_that_a_machine_can_have() {
        for bad in [
            "",
            "192.0.2.10",
            "192.0.2.10/33",
            "192.0.2.10/0",
            "0.0.0.0/8",
            "127.0.0.1/8",
            "224.0.0.1/4",
            "::/64",
            "x/24",
        ] {
            refuses(&format!("[network]\naddress = \"{bad}\""), &["address", "dhcp", "192.0.2.10/24"]);
        }
        assert!(said("[network]\naddress = \"2001:db8::10/64\"").contains("address='2001:db8::10/64'\n"));
    }

    #[test]
    fn an_address_that_means_something_else_is_refused_with_what_it_means() {
        for (text, part) in [
            ("address = \"192.0.2.0/24\"", "the network's own"),
            ("address = \"192.0.2.255/24\"", "broadcast"),
            ("address = \"192.0.2.128/25\"", "the network's own"),
            ("address = \"192.0.2.7/30\"", "broadcast"),
            ("address = \"0.1.2.3/8\"", "0.0.0.0/8"),
            ("address = \"240.0.0.1/24\"", "reserved"),
            ("address = \"255.255.255.255/32\"", "reserved"),
            ("address = \"192.0.2.10/24\"\ngateway = \"192.0.2.0\"", "network.gateway: 192.0.2.0 is the network's own"),
            ("address = \"192.0.2.10/24\"\ngateway = \"192.0.2.255\"", "network.gateway: 192.0.2.255 is the network's"),
            ("dns = [\"192.0.2.2\", \"0.0.0.0\"]", "network.dns: 0.0.0.0"),
            ("dns = [\"127.0.0.1\"]", "another machine"),
            ("dns = [\"ff02::1\"]", "another machine"),
            ("dns = [\"255.255.255.255\"]", "another machine"),
        ] {
            refuses(&format!("[network]\n{text}"), &[part, "must be"]);
        }
        for address in
            ["192.0.2.0/31", "192.0.2.1/31", "192.0.2.255/32", "192.0.2.255/16", "169.254.7.7/16", "fe80::1/64"]
        {
            said(&format!("[network]\naddress = \"{address}\""));
        }
    }

    #[test]
    fn the_gateway_is_a_neighbour() {
        let fixed =
            |address: &str, gateway: &str| format!("[network]\naddress = \"{address}\"\ngateway = \"{gateway}\"");
        for (address, gateway) in
            [("192.0.2.10/24", "192.0.2.254"), ("2001:db8::10/64", "2001:db8::1"), ("2001:db8::10/64", "fe80::1")]
        {
            said(&fixed(address, gateway));
        }
        for (address, gateway) in [
            ("192.0.2.10/24", "192.0.3.1"),
            ("192.0.2.10/24", "192.0.2.10"),
            ("192.0.2.10/24", "fe80::1"),
            ("2001:db8::10/64", "2001:db8:0:1::1"),
        ] {
            refuses(&fixed(address, gateway), &["network.gateway", gateway, address]);
        }
        refuses("[network]\ngateway = \"192.0.2.1\"", &["network.gateway", "network.address"]);
    }

    #[test]
    fn lists_have_an_end() {
        refuses("[network]\ndns = [\"::1\", \"::2\", \"::3\", \"::4\"]", &["network.dns", "0 to 3"]);
        refuses("[time]\nservers = [\"a\", \"b\", \"c\", \"d\", \"e\"]", &["time.servers", "0 to 4"]);
    }
}
