//! Reads what stands behind the `?` of an address.

use super::codes::{self, Code};
use super::problem::ApiError;

/// What stands there cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Not by this path.
    #[error("this path takes no {0:?} behind the '?'")]
    Unknown(String),
    /// Which of the two counts would be anyone's guess.
    #[error("{0:?} stands twice behind the '?'")]
    Twice(String),
    /// Not percent-encoded UTF-8.
    #[error("what stands behind the '?' must be UTF-8, percent-encoded")]
    Encoding,
    /// Not what it should be.
    #[error("{name} must be {accepted}")]
    #[expect(missing_docs, reason = "the fields are named in the message")]
    Value { name: &'static str, accepted: String },
}

impl ApiError for QueryError {
    fn code(&self) -> &'static Code {
        codes::BAD_QUERY
    }
}

/// The values, each with its name.
#[derive(Debug, Default)]
pub struct Values(Vec<(String, String)>);

impl Values {
    /// Reads them, if they have these names and no others.
    pub fn parse(query: Option<&str>, names: &[&str]) -> Result<Values, QueryError> {
        let mut values = Values::default();
        for part in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !names.contains(&name.as_str()) {
                return Err(QueryError::Unknown(name.chars().take(32).collect()));
            }
            if values.get(&name).is_some() {
                return Err(QueryError::Twice(name));
            }
            values.0.push((name, value));
        }
        Ok(values)
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// A text as it was before it was percent-encoded: WHATWG URL section 5.1.
fn decode(text: &str) -> Result<String, QueryError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit(), digit());
                let value = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                value.ok_or(QueryError::Encoding)?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| QueryError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_by_their_names() {
        let values = Values::parse(Some("before=7&search=a%20b+%C3%A4%26&download"), &["before", "search", "download"]);
        let values = values.unwrap();
        assert_eq!((Some("7"), Some("a b ä&"), Some("")), {
            (values.get("before"), values.get("search"), values.get("download"))
        });
        assert_eq!(None, Values::parse(None, &[]).unwrap().get("before"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for bad in ["x=1", "a=%", "a=%4", "a=%zz", "a=%ff", "a=1&a=2", "%61=1&a=2", "=", "A=1"] {
            assert!(Values::parse(Some(bad), &["a"]).is_err(), "{bad}");
        }
    }
}
