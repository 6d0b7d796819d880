//! Gives what an endpoint answers, with the status, label and tag that its row names.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use hyper::{Response, StatusCode};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::accepts::ToSchema;
use super::body::Body;
use super::codes::{self, Code};
use super::problem::{ApiError, Problem};

/// What a row says of its answer.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// The status, if all goes well.
    pub status: StatusCode,
    /// The label of the body, if there is one.
    pub media: Option<&'static str>,
    /// Whether the answer goes on without end. Its connection ends with the session, then.
    pub streams: bool,
    /// What JSON the body is.
    pub schema: Option<ToSchema>,
}

impl Answered {
    /// An answer without a body.
    pub const fn empty(status: StatusCode) -> Answered {
        Answered { status, media: None, streams: false, schema: None }
    }

    /// What was asked for, under this label.
    pub const fn ok(media: &'static str) -> Answered {
        Answered::labelled(StatusCode::OK, media)
    }

    /// What was asked for, without end.
    pub const fn stream(media: &'static str) -> Answered {
        Answered { streams: true, ..Answered::ok(media) }
    }

    /// The connection is spoken otherwise from here on.
    pub const fn upgrade() -> Answered {
        Answered::empty(StatusCode::SWITCHING_PROTOCOLS)
    }

    /// An answer with a body.
    pub const fn labelled(status: StatusCode, media: &'static str) -> Answered {
        Answered { status, media: Some(media), streams: false, schema: None }
    }

    /// An answer that is this type as JSON.
    pub const fn json<T: JsonSchema>(status: StatusCode) -> Answered {
        Answered { schema: Some(SchemaGenerator::subschema_for::<T>), ..Answered::labelled(status, JSON) }
    }
}

/// An answer that an endpoint gives.
pub trait Answers: Send + 'static {
    /// What the row says of it.
    const ANSWERED: Answered;

    /// Makes a response of it, for a request with this header.
    fn give(self, asked: &HeaderMap) -> Result<Response<Body>, Problem>;
}

/// It is done, and there is nothing to say.
#[derive(Debug)]
pub struct Done;

/// What was asked for.
#[derive(Debug)]
pub struct Shown<T>(pub T);

/// It has begun, and goes on.
#[derive(Debug)]
pub struct Begun<T>(pub T);

/// What was asked for, with a tag by which a client knows whether it is still the same.
#[derive(Debug)]
pub struct Tagged<T>(pub T);

/// What was asked for, with the tag by which a client names it when it changes it.
#[derive(Debug)]
pub struct Revised<T>(pub String, pub T);

/// A text file, as it is.
#[derive(Debug)]
pub struct Text(pub String);

/// Nothing but that it is so: an empty object.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Empty {}

impl Answers for Done {
    const ANSWERED: Answered = Answered::empty(StatusCode::NO_CONTENT);

    fn give(self, _: &HeaderMap) -> Result<Response<Body>, Problem> {
        Ok(empty(StatusCode::NO_CONTENT))
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Answers for Shown<T> {
    const ANSWERED: Answered = Answered::json::<T>(StatusCode::OK);

    fn give(self, _: &HeaderMap) -> Result<Response<Body>, Problem> {
        Ok(json(StatusCode::OK, &self.0))
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Answers for Begun<T> {
    const ANSWERED: Answered = Answered::json::<T>(StatusCode::ACCEPTED);

    fn give(self, _: &HeaderMap) -> Result<Response<Body>, Problem> {
        Ok(json(StatusCode::ACCEPTED, &self.0))
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Answers for Tagged<T> {
    const ANSWERED: Answered = Answered::json::<T>(StatusCode::OK);

    fn give(self, asked: &HeaderMap) -> Result<Response<Body>, Problem> {
        tagged(asked, JSON, text(&self.0))
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Answers for Revised<T> {
    const ANSWERED: Answered = Answered::json::<T>(StatusCode::OK);

    fn give(self, _: &HeaderMap) -> Result<Response<Body>, Problem> {
        let mut response = json(StatusCode::OK, &self.1);
        if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", self.0)) {
            response.headers_mut().insert(ETAG, tag);
        }
        Ok(response)
    }
}

impl Answers for Text {
    const ANSWERED: Answered = Answered::ok(TEXT);

    fn give(self, _: &HeaderMap) -> Result<Response<Body>, Problem> {
        Ok(labelled(TEXT, self.0))
    }
}

/// A response with a tag, or less if the client knows the tag already.
pub fn tagged(asked: &HeaderMap, media: &'static str, bytes: Bytes) -> Result<Response<Body>, Problem> {
    let tag = tag(&bytes);
    if is_changed(asked, &tag) {
        return Err(Changed.into());
    }
    let is_known = names(asked, IF_NONE_MATCH, &tag, Comparison::Weak) == Some(true);
    let mut response = if is_known { empty(StatusCode::NOT_MODIFIED) } else { labelled(media, bytes) };
    let tag = HeaderValue::try_from(tag).expect("hexadecimal digits and quotation marks fit a header");
    response.headers_mut().insert(ETAG, tag);
    Ok(response)
}

/// What the request was made for has changed meanwhile.
#[derive(Debug, thiserror::Error)]
#[error("this has been changed by somebody else meanwhile; get it again")]
pub struct Changed;

impl ApiError for Changed {
    fn code(&self) -> &'static Code {
        codes::CHANGED
    }
}

/// The label of a text that no browser takes for a page.
const TEXT: &str = "text/plain; charset=utf-8";

/// The label of JSON.
pub const JSON: &str = "application/json";

/// A response without a body.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// The response to a handshake.
pub fn upgrade() -> Response<Body> {
    empty(StatusCode::SWITCHING_PROTOCOLS)
}

/// A response that leads elsewhere for now. Browsers keep a permanent one for ever.
pub fn redirect() -> Response<Body> {
    empty(StatusCode::TEMPORARY_REDIRECT)
}

/// A response with a body of this label.
pub fn labelled(media: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::Whole(bytes.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// A response that carries JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let mut response = labelled(JSON, text(value));
    *response.status_mut() = status;
    response
}

fn text(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("what is answered is plain data with string keys").into()
}

/// The tag of an answer: the same for the same bytes, whichever run of the daemon gives them.
fn tag(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// How two tags are compared: RFC 9110 section 8.8.3.2.
#[derive(Clone, Copy, PartialEq)]
enum Comparison {
    Strong,
    Weak,
}

fn is_changed(asked: &HeaderMap, tag: &str) -> bool {
    names(asked, IF_MATCH, tag, Comparison::Strong) == Some(false)
}

/// Whether a condition names a tag; `None` without one.
fn names(asked: &HeaderMap, condition: HeaderName, tag: &str, comparison: Comparison) -> Option<bool> {
    let mut lines = asked.get_all(condition).iter().peekable();
    lines.peek()?;
    let mut named = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim);
    Some(named.any(|named| match named.strip_prefix("W/") {
        Some(named) => comparison == Comparison::Weak && named == tag,
        None => named == "*" || named == tag,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(lines: &[(HeaderName, &str)]) -> Result<(u16, String), &'static str> {
        let asked = lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let response = Tagged([1, 2]).give(&asked).map_err(|problem| problem.code)?;
        Ok((response.status().as_u16(), response.headers()[ETAG].to_str().unwrap().to_string()))
    }

    #[test]
    fn what_is_known_already_is_not_sent_again() {
        let (status, tag) = get(&[]).unwrap();
        assert_eq!((200, 34), (status, tag.len()));
        let weak = format!("\"x\", W/{tag}");
        for same in [&tag, "*", &weak] {
            assert_eq!(Ok((304, tag.clone())), get(&[(IF_NONE_MATCH, same)]), "{same}");
        }
        for other in ["\"x\"", "", tag.trim_matches('"')] {
            assert_eq!(Ok((200, tag.clone())), get(&[(IF_NONE_MATCH, other)]), "{other}");
        }
    }

    #[test]
    fn what_has_changed_is_not_taken_for_what_it_was() {
        let (_, tag) = get(&[]).unwrap();
        for same in [&tag, "*", &format!("\"x\",{tag}")] {
            assert_eq!(Ok((200, tag.clone())), get(&[(IF_MATCH, same)]), "{same}");
        }
        for other in ["\"x\"", &format!("W/{tag}"), ""] {
            assert_eq!(Err("changed"), get(&[(IF_MATCH, other)]), "{other}");
        }
    }
}
