//! Reads the few web addresses that the appliance may open by itself, and says where a redirect may lead.
//!
//! A parser for all that browsers take would take what no owner means. This one knows scheme, host, port and path,
//! refuses a user name in front of the host, and takes as a number only what everybody reads as the same address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

/// Redirects to a signed address of a store are long, but not longer.
const LONGEST: usize = 4000;

/// A web address, without user and fragment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Url {
    secure: bool,
    host: Host,
    port: Option<u16>,
    /// With its query; begins with a slash.
    path: String,
}

/// The server of a web address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// By name, in lower case.
    Name(String),
    /// By address.
    Address(IpAddr),
}

/// Why something is no web address of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what is wrong")]
pub enum UrlError {
    #[error("it must begin with \"https://\" or \"http://\"")]
    Scheme,
    /// Somebody's name, and perhaps a password, before the host.
    #[error("it must not hold a user name or password")]
    User,
    /// A place within what is fetched whole.
    #[error("it must not end in a fragment, \"#...\"")]
    Fragment,
    #[error("its host must be a name such as \"updates.example.org\", or an address; of IPv6 in brackets")]
    Host,
    #[error("its port must be 1 to 65535")]
    Port,
    #[error("it must be written in printable ASCII characters, without spaces, quotes and backslashes")]
    Characters,
    #[error("it must be {LONGEST} characters at most")]
    Length,
    /// From what nobody can read on the way to what everybody can.
    #[error("it leads from https to http")]
    Downgrade,
}

impl Url {
    /// Reads a web address.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        if LONGEST < text.len() {
            return Err(UrlError::Length);
        }
        if !text.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c)) {
            return Err(UrlError::Characters);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(UrlError::Scheme),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::User);
        }
        let (host, port) = Host::parse(authority)?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Url { secure, host, port, path: format!("{slash}{path}") })
    }

    /// Where an answer from here sends us on to.
    pub fn follow(&self, location: &str) -> Result<Url, UrlError> {
        // RFC 9110 section 10.2.2: a fragment is allowed there, and means nothing to us.
        let location = location.split('#').next().unwrap_or_default();
        let scheme = if self.secure { "https" } else { "http" };
        let to = if location.starts_with("//") {
            Url::parse(&format!("{scheme}:{location}"))?
        } else if location.starts_with('/') {
            Url::parse(&format!("{scheme}://{}{location}", self.authority()))?
        } else {
            // Of the relative ones, no server in use sends others.
            Url::parse(location)?
        };
        if self.secure && !to.secure { Err(UrlError::Downgrade) } else { Ok(to) }
    }

    /// Whether it is for TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The server, by name or address.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port that is written, else the one that the scheme stands for.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.secure { 443 } else { 80 })
    }

    /// Path and query, as the request names them.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Host and port, as they were written: for the `Host` header, and for people.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// Whether both are served by the same.
    pub fn is_at(&self, other: &Url) -> bool {
        self.host == other.host && self.port() == other.port()
    }
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Url, String> {
        let example = "such as \"https://updates.example.org/farhand-rpi4.raucb\"";
        Url::parse(&text).map_err(|error| format!("url {text:?} must be a web address {example}: {error}"))
    }
}

impl Host {
    fn parse(authority: &str) -> Result<(Host, Option<u16>), UrlError> {
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or(UrlError::Host)?;
                let address: Ipv6Addr = address.parse().map_err(|_| UrlError::Host)?;
                (Host::Address(address.into()), port)
            }
            None => {
                let (name, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
                (Host::named(name)?, port)
            }
        };
        let digits = |port: &str| port.chars().all(|c| c.is_ascii_digit());
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some(port) if digits(port) => Some(port.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?),
            _ => return Err(UrlError::Port),
        };
        Ok((host, port))
    }

    fn named(name: &str) -> Result<Host, UrlError> {
        let last = name.rsplit('.').next().unwrap_or_default();
        // What ends in a number is an address, and there are resolvers to which 127.1 and 0x7f000001 are one as well.
        if last.chars().all(|c| c.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X") {
            let address: Ipv4Addr = name.parse().map_err(|_| UrlError::Host)?;
            return Ok(Host::Address(address.into()));
        }
        let is_name = name.len() <= 253 && name.split('.').all(is_label);
        if is_name { Ok(Host::Name(name.to_ascii_lowercase())) } else { Err(UrlError::Host) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Host::Name(name) => formatter.write_str(name),
            Host::Address(IpAddr::V4(address)) => address.fmt(formatter),
            Host::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

/// RFC 1123 section 2.1: what stands between two dots of a host name.
pub fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use crate::base::url::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_address_is_taken_apart() {
        let plain = url("https://Updates.Example.org/farhand-rpi4.raucb");
        assert_eq!((true, 443, "/farhand-rpi4.raucb"), (plain.is_secure(), plain.port(), plain.path()));
        assert_eq!("updates.example.org", plain.authority());
        let odd = url("HTTP://[fd00::1]:8080?x=1/2&y=%20");
        assert_eq!((false, 8080, "/?x=1/2&y=%20"), (odd.is_secure(), odd.port(), odd.path()));
        assert_eq!("[fd00::1]:8080", odd.authority());
        assert_eq!(Host::Address([10, 0, 0, 9].into()), *url("http://10.0.0.9").host());
        assert_eq!("/", url("http://a").path());
    }

    #[test]
    fn what_is_no_web_address_is_refused_with_the_reason() {
        for (text, error) in [
            ("", UrlError::Scheme),
            ("updates.example.org/x", UrlError::Scheme),
            ("ftp://a/x", UrlError::Scheme),
            ("file:///etc/shadow", UrlError::Scheme),
            ("https:/a/x", UrlError::Scheme),
            ("https://", UrlError::Host),
            ("https:///x", UrlError::Host),
            ("https://a:b@c/x", UrlError::User),
            ("https://a@c", UrlError::User),
            ("https://a/x#y", UrlError::Fragment),
            ("https://a b/", UrlError::Characters),
            ("https://a/ü", UrlError::Characters),
            ("https://a\\b/", UrlError::Characters),
            ("https://a/\r\nX: y", UrlError::Characters),
            ("https://a..b/", UrlError::Host),
            ("https://-a/", UrlError::Host),
            ("https://a_b/", UrlError::Host),
            ("https://a%41/", UrlError::Host),
            ("https://[::1/", UrlError::Host),
            ("https://[127.0.0.1]/", UrlError::Host),
            ("https://[fe80::1%25eth0]/", UrlError::Host),
            ("https://::1/", UrlError::Host),
            ("https://127.1/", UrlError::Host),
            ("https://2130706433/", UrlError::Host),
            ("https://0x7f000001/", UrlError::Host),
            ("https://0177.0.0.1/", UrlError::Host),
            ("https://127.0.0.1./", UrlError::Host),
            ("https://a:/", UrlError::Port),
            ("https://a:0/", UrlError::Port),
            ("https://a:65536/", UrlError::Port),
            ("https://a:+80/", UrlError::Port),
            ("https://[::1]80/", UrlError::Port),
        ] {
            assert_eq!(Err(error), Url::parse(text), "{text}");
        }
        assert_eq!(Err(UrlError::Length), Url::parse(&format!("https://a/{}", "x".repeat(LONGEST))));
    }

    #[test]
    fn a_redirect_is_read_as_servers_write_it() {
        let from = url("https://a.example:8443/x/y?z");
        for (location, to) in [
            ("https://b.example/1", "https://b.example/1"),
            ("//b.example/1", "https://b.example/1"),
            ("/1?2#3", "https://a.example:8443/1?2"),
            ("https://b.example/1#top", "https://b.example/1"),
        ] {
            assert_eq!(Ok(url(to)), from.follow(location), "{location}");
        }
        assert_eq!(Ok(url("https://b/")), url("http://a/").follow("https://b/"), "up is allowed");
        for (location, error) in [
            ("http://a.example:8443/x", UrlError::Downgrade),
            ("file:///etc/shadow", UrlError::Scheme),
            ("gopher://a/", UrlError::Scheme),
            ("y.raucb", UrlError::Scheme),
            ("", UrlError::Scheme),
            ("https://u:p@b/", UrlError::User),
            ("//u@b/", UrlError::User),
        ] {
            assert_eq!(Err(error), from.follow(location), "{location}");
        }
    }

    #[test]
    fn the_same_server_has_the_same_host_and_port() {
        assert!(url("http://A/x").is_at(&url("http://a:80/y")));
        assert!(!url("http://a/x").is_at(&url("https://a/x")), "another port");
        assert!(!url("http://a/x").is_at(&url("http://b/x")));
    }
}
