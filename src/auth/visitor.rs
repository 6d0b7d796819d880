//! Describes from where somebody came, and with which program, for people who look through a list.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What is kept of a program's name: browsers need about 120 characters.
const LONGEST: usize = 200;

/// From where and with what somebody came. The address is the connection's own; the program is what a stranger wrote,
/// and nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitor {
    /// The address at the other end.
    pub address: IpAddr,
    /// How the program calls itself.
    pub browser: Option<Browser>,
}

/// What a program calls itself, as one line that can be shown anywhere: visible ASCII, which is all that RFC 9110
/// section 10.1.5 gives it, so that no control character and no change of direction is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Browser(String);

impl Browser {
    /// Takes what can be shown of a header's value, and nothing if that is nothing.
    pub fn new(value: &[u8]) -> Option<Browser> {
        let shown = value.iter().filter(|byte| (b' '..=b'~').contains(*byte)).take(LONGEST);
        let text: String = shown.map(|byte| char::from(*byte)).collect();
        (!text.trim().is_empty()).then(|| Browser(text.trim().to_string()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_is_one_short_visible_line() {
        let shown = |value: &[u8]| Browser::new(value).map(|browser| browser.0);
        assert_eq!(Some("curl/8.5.0".into()), shown(b"curl/8.5.0"));
        assert_eq!(Some("ab\u{5b}31mc".into()), shown(b"a\r\nb\x1b[31mc\x00\x7f"));
        assert_eq!(Some("x".into()), shown("\u{202e}x\u{85}\u{200b}".as_bytes()));
        assert_eq!(Some("x".repeat(200)), shown("x".repeat(10_000).as_bytes()));
        for nothing in [&b""[..], b"   ", b"\x00\x01", "\u{202e}".as_bytes()] {
            assert_eq!(None, shown(nothing));
        }
    }
}
