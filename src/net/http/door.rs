//! Reads from a request's headers by which name we were called, from which page, and who says they are there.
//!
//! Nothing here is believed beyond that: no other header has any effect, on purpose.

use std::net::IpAddr;

use hyper::Uri;
use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::http::uri::Authority;

use super::codes::{self, Code};
use super::problem::ApiError;
use crate::auth::principal::Credential;

/// The session cookie. The prefix makes browsers insist that it is secure, ours alone and for every path.
pub const SESSION_COOKIE: &str = "__Host-farhand";

/// Why a request is turned away before anyone looks at who sent it.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum DoorError {
    /// A page elsewhere may have its name point at us, to have its visitors' browsers talk to us.
    #[error("this device does not go by the name in your request; use its address, or add the name to server.names")]
    UnknownHost,
    /// Sent by a browser for somebody else's page.
    #[error("this request comes from another page than ours")]
    ForeignOrigin,
}

impl ApiError for DoorError {
    fn code(&self) -> &'static Code {
        match self {
            DoorError::UnknownHost => codes::UNKNOWN_HOST,
            DoorError::ForeignOrigin => codes::FOREIGN_ORIGIN,
        }
    }
}

/// Checks the name by which we were called over `scheme`, and gives it with its port.
pub fn host(scheme: &str, uri: &Uri, headers: &HeaderMap, names: &[String]) -> Result<Authority, DoorError> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(DoorError::UnknownHost) };
    let host: Authority = host.to_str().ok().and_then(|host| host.parse().ok()).ok_or(DoorError::UnknownHost)?;
    // RFC 9112 section 3.2.2: an absolute form's authority counts. Two different names are nobody's honest mistake.
    let same = uri.authority().is_none_or(|authority| is_same(uri.scheme_str().unwrap_or(scheme), authority, &host));
    // RFC 1034 section 3.1: the dot at the end is the root, which every name ends in.
    let name = host.host().strip_suffix('.').unwrap_or(host.host());
    let known = address(name).is_some()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|own| own.eq_ignore_ascii_case(name));
    if same && known && is_bare(&host) { Ok(host) } else { Err(DoorError::UnknownHost) }
}

/// Whether nothing stands before the name: nobody logs in by that.
fn is_bare(authority: &Authority) -> bool {
    !authority.as_str().contains('@')
}

/// Whether two authorities mean the same: RFC 9110 section 4.2.3.
fn is_same(scheme: &str, one: &Authority, other: &Authority) -> bool {
    let usual = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
    one.host().eq_ignore_ascii_case(other.host()) && port(one) == port(other) && is_bare(one) && is_bare(other)
}

fn address(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[') {
        Some(name) => name.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => name.parse().ok().map(IpAddr::V4),
    }
}

/// Checks that a request which a browser labels as a page's comes from our page.
pub fn origin(scheme: &str, host: &Authority, headers: &HeaderMap) -> Result<(), DoorError> {
    let own = |origin: &str| {
        let parts = origin.split_once("://");
        parts.is_some_and(|(s, h)| s == scheme && h.parse().is_ok_and(|h| is_same(scheme, &h, host)))
    };
    let origin_fits = headers.get_all(ORIGIN).iter().all(|origin| origin.to_str().is_ok_and(own));
    let site = HeaderName::from_static("sec-fetch-site");
    let site_fits = headers.get_all(site).iter().all(|site| site == "same-origin" || site == "none");
    if origin_fits && site_fits { Ok(()) } else { Err(DoorError::ForeignOrigin) }
}

/// Whether the request says at all which page it comes from.
pub fn has_origin(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN)
}

/// Finds out with what the sender identifies itself. Two answers are none: which one counts would be anyone's guess.
/// A credential of another scheme is meant for somebody else, such as a proxy that stands before us.
pub fn credential(headers: &HeaderMap) -> Credential {
    let authorizations: Vec<_> = headers.get_all(AUTHORIZATION).iter().map(bearer).collect();
    match authorizations[..] {
        [Some(token)] if !token.is_empty() => return Credential::Bearer(token.to_string()),
        _ if authorizations.iter().any(Option::is_some) => return Credential::Unusable,
        _ => (),
    }
    let texts = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut ours = texts
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(|(name, _)| *name == SESSION_COOKIE);
    match (ours.next(), ours.next()) {
        (None, _) => Credential::None,
        (Some((_, secret)), None) => Credential::Cookie(secret.to_string()),
        _ => Credential::Unusable,
    }
}

/// The token in an `Authorization` of our scheme, which has no case: RFC 9110 section 11.1. One that cannot be read is
/// empty.
fn bearer(authorization: &HeaderValue) -> Option<&str> {
    let Ok(text) = authorization.to_str() else { return Some("") };
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn host_of(lines: &[(&'static str, &str)]) -> Result<Authority, DoorError> {
        host("https", &"/".parse().unwrap(), &headers(lines), &["kvm.example.org".to_string()])
    }

    #[test]
    fn we_answer_to_addresses_and_our_own_names() {
        for good in [
            "127.0.0.1",
            "127.0.0.1:8443",
            "[::1]",
            "[fe80::1]:443",
            "localhost:1",
            "LOCALHOST",
            "localhost.",
            "kvm.example.org",
            "kvm.example.org.",
            "KVM.example.org.:8443",
        ] {
            assert!(host_of(&[("host", good)]).is_ok(), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:443",
            "kvm.example.org.evil",
            "kvm.example.org@evil",
            "a@127.0.0.1",
            "::1",
            "[::1",
            "localhost..",
            ".",
            ".localhost",
            "127.0.0.1.nip.io",
            "0x7f.1",
            "2130706433",
        ] {
            assert_eq!(Err(DoorError::UnknownHost), host_of(&[("host", bad)]), "{bad}");
        }
        assert!(host_of(&[]).is_err());
        assert!(host_of(&[("host", "127.0.0.1"), ("host", "127.0.0.1")]).is_err());
    }

    #[test]
    fn an_absolute_form_must_agree_with_host() {
        let check = |uri: &str, name| host("https", &uri.parse().unwrap(), &headers(&[("host", name)]), &[]).is_ok();
        for (uri, name) in [
            ("http://127.0.0.1/", "127.0.0.1"),
            ("http://127.0.0.1:80/", "127.0.0.1"),
            ("http://127.0.0.1/", "127.0.0.1:80"),
            ("https://127.0.0.1:443/", "127.0.0.1"),
            ("HTTPS://LOCALHOST/", "localhost:443"),
        ] {
            assert!(check(uri, name), "{uri} {name}");
        }
        for (uri, name) in [
            ("http://evil/", "127.0.0.1"),
            ("http://127.0.0.1:443/", "127.0.0.1"),
            ("https://127.0.0.1:80/", "127.0.0.1"),
            ("https://a@127.0.0.1/", "127.0.0.1"),
        ] {
            assert!(!check(uri, name), "{uri} {name}");
        }
    }

    #[test]
    fn only_our_own_page_may_ask() {
        let own: Authority = "kvm.example.org".parse().unwrap();
        let check = |lines: &[(&'static str, &str)]| origin("https", &own, &headers(lines));
        assert_eq!(Ok(()), check(&[]));
        assert_eq!(Ok(()), check(&[("origin", "https://kvm.example.org"), ("sec-fetch-site", "same-origin")]));
        for same in ["https://kvm.example.org:443", "https://KVM.example.org"] {
            assert_eq!(Ok(()), check(&[("origin", same)]), "{same}");
        }
        for bad in [
            "null",
            "",
            "http://kvm.example.org",
            "https://evil",
            "https://kvm.example.org:8443",
            "https://kvm.example.org@evil",
            "https://evil@kvm.example.org",
            "https://kvm.example.org.evil",
            "https://kvm.example.org/",
        ] {
            assert_eq!(Err(DoorError::ForeignOrigin), check(&[("origin", bad)]), "{bad}");
        }
        for bad in ["cross-site", "same-site"] {
            assert_eq!(Err(DoorError::ForeignOrigin), check(&[("sec-fetch-site", bad)]), "{bad}");
        }
    }

    #[test]
    fn one_credential_counts_and_two_do_not() {
        let cookie = |text: &str| Credential::Cookie(text.into());
        assert_eq!(Credential::None, credential(&headers(&[("cookie", "a=b; farhand=x")])));
        assert_eq!(cookie("x"), credential(&headers(&[("cookie", "a=b; __Host-farhand=x")])));
        assert_eq!(Credential::Unusable, credential(&headers(&[("cookie", "__Host-farhand=x; __Host-farhand=y")])));
        assert_eq!(
            Credential::Unusable,
            credential(&headers(&[("cookie", "__Host-farhand=x"), ("cookie", "__Host-farhand=x")]))
        );
        assert_eq!(
            Credential::Bearer("t".into()),
            credential(&headers(&[("authorization", "Bearer t"), ("cookie", "__Host-farhand=x")]))
        );
        for same in ["Bearer t", "bearer t", "BEARER  t"] {
            assert_eq!(Credential::Bearer("t".into()), credential(&headers(&[("authorization", same)])), "{same}");
        }
        for bad in ["bearer", "Bearer", "Bearer "] {
            assert_eq!(Credential::Unusable, credential(&headers(&[("authorization", bad)])), "{bad}");
        }
        let twice = [("authorization", "Bearer t"), ("authorization", "Basic Og==")];
        assert_eq!(Credential::Unusable, credential(&headers(&twice)));
    }

    #[test]
    fn what_is_said_to_a_proxy_is_not_said_to_us() {
        for other in ["Basic Og==", "Basic ", "Digest username=\"Bearer x\"", "Bearers x", ""] {
            let lines = [("authorization", other), ("cookie", "__Host-farhand=x")];
            assert_eq!(Credential::Cookie("x".into()), credential(&headers(&lines)), "{other}");
            assert_eq!(Credential::None, credential(&headers(&lines[..1])), "{other}");
        }
    }
}
