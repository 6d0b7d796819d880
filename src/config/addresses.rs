//! Says where the page is when a configuration counts, so that whoever changes it finds it again.

use std::net::IpAddr;

use super::Config;
use super::network::Address;

impl Config {
    /// Where the page is, as far as this says: by its address, by its name nearby, and by the names that are given to
    /// it. What a DHCP server decides is not among them.
    pub fn addresses(&self) -> Vec<String> {
        let https = self.server.https;
        let port = if https.port() == 443 { String::new() } else { format!(":{}", https.port()) };
        let address = match (https.ip(), self.network.address) {
            (ip, _) if !ip.is_unspecified() => Some(ip),
            (_, Address::Fixed { address, .. }) => Some(address),
            (_, Address::Dhcp) => None,
        };
        let address = address.map(|address| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        });
        let host = self.network.host.as_str();
        let nearby = (self.network.mdns && !host.is_empty()).then(|| format!("{host}.local"));
        let names = address.into_iter().chain(nearby).chain(self.server.names.iter().cloned());
        names.map(|name| format!("https://{name}{port}/")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_page_will_be_is_said_as_far_as_the_configuration_knows() {
        for (text, addresses) in [
            ("", vec![]),
            ("network.host = \"rack-7\"", vec!["https://rack-7.local/"]),
            (
                "network = {host = \"rack-7\", mdns = false}\nserver.names = [\"kvm.example.org\"]",
                vec!["https://kvm.example.org/"],
            ),
            ("network.address = \"192.0.2.10/24\"\nserver.https = \"[::]:8443\"", vec!["https://192.0.2.10:8443/"]),
            ("network.address = \"2001:db8::1/64\"", vec!["https://[2001:db8::1]/"]),
        ] {
            assert_eq!(addresses, Config::parse(text).unwrap().addresses(), "{text}");
        }
    }
}
