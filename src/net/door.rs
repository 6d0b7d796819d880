//! Reads from a request's headers by which name we were called, from which page, and who says they are there.
//!
//! Nothing here is believed beyond that: no other header has any effect, on purpose.

use std::net::IpAddr;

use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{Method, Uri};

use crate::auth::principal::Credential;
use crate::net::http::codes::{self, Code};
use crate::net::http::problem::ApiError;

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

/// Checks the name by which we were called, and gives it with its port.
pub fn host(uri: &Uri, headers: &HeaderMap, names: &[String]) -> Result<Authority, DoorError> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(DoorError::UnknownHost) };
    let host: Authority = host.to_str().ok().and_then(|host| host.parse().ok()).ok_or(DoorError::UnknownHost)?;
    // RFC 9112 section 3.2.2: an absolute form's authority counts. Two different names are nobody's honest mistake.
    let same = uri.authority().is_none_or(|authority| *authority == host);
    let name = host.host();
    let known = address(name).is_some()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|own| own.eq_ignore_ascii_case(name));
    if same && known && !host.as_str().contains('@') { Ok(host) } else { Err(DoorError::UnknownHost) }
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
        origin.split_once("://").is_some_and(|(s, h)| s == scheme && h.eq_ignore_ascii_case(host.as_str()))
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

/// Whether a method may change something.
pub fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// Finds out with what the sender identifies itself. Two answers are none: which one counts would be anyone's guess.
pub fn credential(headers: &HeaderMap) -> Credential {
    let mut authorizations = headers.get_all(AUTHORIZATION).iter();
    if let Some(authorization) = authorizations.next() {
        let token = authorization.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        return match (token, authorizations.next()) {
            (Some(token), None) => Credential::Bearer(token.to_string()),
            _ => Credential::Unusable,
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn host_of(lines: &[(&'static str, &str)]) -> Result<Authority, DoorError> {
        host(&"/".parse().unwrap(), &headers(lines), &["kvm.example.org".to_string()])
    }

    #[test]
    fn we_answer_to_addresses_and_our_own_names() {
        for good in
            ["127.0.0.1", "127.0.0.1:8443", "[::1]", "[fe80::1]:443", "localhost:1", "LOCALHOST", "kvm.example.org"]
        {
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
            "localhost.",
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
        let check = |uri: &str| host(&uri.parse().unwrap(), &headers(&[("host", "127.0.0.1")]), &[]);
        assert!(check("http://127.0.0.1/").is_ok());
        assert!(check("http://evil/").is_err());
    }

    #[test]
    fn only_our_own_page_may_ask() {
        let own: Authority = "kvm.example.org".parse().unwrap();
        let check = |lines: &[(&'static str, &str)]| origin("https", &own, &headers(lines));
        assert_eq!(Ok(()), check(&[]));
        assert_eq!(Ok(()), check(&[("origin", "https://kvm.example.org"), ("sec-fetch-site", "same-origin")]));
        for bad in [
            "null",
            "",
            "http://kvm.example.org",
            "https://evil",
            "https://kvm.example.org:8443",
            "https://kvm.example.org@evil",
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
        for bad in ["Basic Og==", "Basic ", "bearer", "Bearer", ""] {
            assert_eq!(Credential::Unusable, credential(&headers(&[("authorization", bad)])), "{bad}");
        }
    }
}
