//! Reads JSON that a stranger may have sent.

use serde::de::DeserializeOwned;

/// How deep objects and arrays may nest. The deepest that any endpoint takes is three.
const DEEPEST: usize = 10;

/// A byte order mark, which some programs of Windows write before anything else.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Understands a body, or says what is wrong with it.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let body = body.strip_prefix(MARK).unwrap_or(body);
    if DEEPEST < depth(body) {
        return Err(format!("objects and arrays may nest {DEEPEST} deep"));
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// How deep it nests, before anything is made of it.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => (),
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_nests_too_deep_is_refused() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse::<Value>(nested(10).as_bytes()).is_ok());
        for deep in [nested(11), "[".repeat(1000), "{\"a\":".repeat(11)] {
            assert_eq!(Err("objects and arrays may nest 10 deep".into()), parse::<Value>(deep.as_bytes()), "{deep}");
        }
    }

    #[test]
    fn brackets_in_a_text_are_text() {
        for text in [r#"{"text":"[[[[[[[[[[[[\"[[[[[[[[[[[["}"#, r#"{"text":"\\","more":"[[[[[[[[[[[["}"#] {
            assert_eq!(1, depth(text.as_bytes()), "{text}");
            assert!(parse::<Value>(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(Ok(vec![1]), parse("\u{feff}[1]".as_bytes()));
        assert!(parse::<Value>("\u{feff}\u{feff}1".as_bytes()).is_err());
    }
}
