//! Takes the body of a request, under the limits that its row names.
//!
//! What is announced as too long, or labelled otherwise, is refused before its first byte, and before hyper asks for it
//! with 100 Continue.

use std::future::Future;
use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::codes::{self, Code};
use super::json;
use super::problem::ApiError;

/// The longest body of somebody who has not logged in.
pub const STRANGERS: u64 = 4 * 1024;

/// The longest body of somebody who has, but for files.
pub const MEMBERS: u64 = 64 * 1024;

/// How long a small body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a row says of the body that it takes.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// Its label, if there is a body.
    pub media: Option<&'static str>,
    /// Whether there must be one.
    pub required: bool,
    /// How many bytes it may have.
    pub most: u64,
    /// Whether the request opens a WebSocket.
    pub handshake: bool,
    /// The codes by which it is refused.
    pub errors: &'static [&'static Code],
    /// What JSON it is.
    pub schema: Option<ToSchema>,
}

/// Describes a type, for the documentation.
pub type ToSchema = fn(&mut SchemaGenerator) -> Schema;

/// A body that an endpoint takes.
pub trait Accepts: Sized + Send + 'static {
    /// What the row says of it.
    const ACCEPTED: Accepted;

    /// Reads the body, or passes it on to be read while it arrives.
    fn take(head: &Parts, body: Incoming) -> impl Future<Output = Result<Self, BodyError>> + Send;

    /// When it was asked for, in milliseconds by our clock, if the body says so. What comes too late is refused for
    /// every endpoint in one place, before it acts.
    fn asked_at(&self) -> Option<u64> {
        None
    }
}

/// What JSON says, with the time at which it was asked for.
pub trait Timed {
    /// That time, if it is given.
    fn at(&self) -> Option<u64>;
}

/// No body. One that is sent all the same is left where it is.
#[derive(Debug)]
pub struct Nothing;

/// JSON of at most so many bytes.
#[derive(Debug)]
pub struct Json<T, const MOST: u64>(pub T);

/// JSON of at most so many bytes that may say when it was asked for. What acts on something that may have changed
/// meanwhile takes this, and is not done late.
#[derive(Debug)]
pub struct TimedJson<T, const MOST: u64>(pub T);

/// Nothing but when it was asked for, or nothing at all.
#[derive(Debug)]
pub struct Moment(Option<u64>);

/// When something was asked for that needs no other words.
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// When it was asked for, in milliseconds by the daemon's `clock`. What comes late is refused.
    at: Option<u64>,
}

/// A file of at most so many bytes, which the endpoint reads while it arrives.
#[derive(Debug)]
pub struct Octets<const MOST: u64> {
    /// How many bytes there are, as was announced: more do not come.
    pub len: u64,
    /// The bytes, as they arrive.
    pub body: Incoming,
}

/// The opening handshake of a WebSocket.
#[derive(Debug)]
pub struct Handshake(pub Request<()>);

/// Why a request's body is of no use.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Longer than allowed.
    #[error("the body may be {0} bytes at most")]
    TooLong(u64),
    /// Took too long.
    #[error("the body did not arrive within {} seconds", PATIENCE.as_secs())]
    TooSlow,
    /// Stopped in the middle.
    #[error("the body broke off")]
    Broken,
    /// Labelled as something else. A form on a foreign page can send anything but this label without asking first.
    #[error("the body must be JSON and say so: Content-Type: application/json")]
    NotJson,
    /// Labelled as something else.
    #[error("the body must be the file itself and say so: Content-Type: application/octet-stream")]
    NotOctets,
    /// Not announced, so that no space can be asked for.
    #[error("say how long the file is: Content-Length")]
    NoLength,
    /// Not what the endpoint takes.
    #[error("the body is not what this path takes: {0}")]
    Malformed(String),
}

impl ApiError for BodyError {
    fn code(&self) -> &'static Code {
        match self {
            BodyError::TooLong(_) => codes::TOO_LONG,
            BodyError::TooSlow => codes::TOO_SLOW,
            BodyError::NotJson => codes::NOT_JSON,
            BodyError::NotOctets => codes::NOT_OCTETS,
            BodyError::NoLength => codes::NO_LENGTH,
            BodyError::Broken | BodyError::Malformed(_) => codes::MALFORMED,
        }
    }
}

impl Accepts for Nothing {
    const ACCEPTED: Accepted =
        Accepted { media: None, required: false, most: 0, handshake: false, errors: &[], schema: None };

    async fn take(_: &Parts, _: Incoming) -> Result<Nothing, BodyError> {
        Ok(Nothing)
    }
}

impl Accepts for Handshake {
    const ACCEPTED: Accepted =
        Accepted { media: None, required: false, most: 0, handshake: true, errors: &[], schema: None };

    async fn take(head: &Parts, _: Incoming) -> Result<Handshake, BodyError> {
        let mut request = Request::new(());
        *request.method_mut() = head.method.clone();
        *request.version_mut() = head.version;
        *request.headers_mut() = head.headers.clone();
        Ok(Handshake(request))
    }
}

impl<T: DeserializeOwned + JsonSchema + Send + 'static, const MOST: u64> Accepts for Json<T, MOST> {
    const ACCEPTED: Accepted = Accepted {
        media: Some("application/json"),
        required: true,
        most: MOST,
        handshake: false,
        errors: &[codes::NOT_JSON, codes::TOO_LONG, codes::TOO_SLOW, codes::MALFORMED],
        schema: Some(SchemaGenerator::subschema_for::<T>),
    };

    async fn take(head: &Parts, body: Incoming) -> Result<Self, BodyError> {
        if !is_labelled(head, "application/json") {
            return Err(BodyError::NotJson);
        }
        if MOST < body.size_hint().lower() {
            return Err(BodyError::TooLong(MOST));
        }
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        let body = match timeout(PATIENCE, Limited::new(body, most).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(BodyError::TooLong(MOST)),
            Ok(Err(_)) => return Err(BodyError::Broken),
            Err(_) => return Err(BodyError::TooSlow),
        };
        json::parse(&body).map(Json).map_err(BodyError::Malformed)
    }
}

impl<T: Timed + DeserializeOwned + JsonSchema + Send + 'static, const MOST: u64> Accepts for TimedJson<T, MOST> {
    const ACCEPTED: Accepted = Accepted {
        errors: &[codes::NOT_JSON, codes::TOO_LONG, codes::TOO_SLOW, codes::MALFORMED, codes::LATE],
        ..Json::<T, MOST>::ACCEPTED
    };

    async fn take(head: &Parts, body: Incoming) -> Result<Self, BodyError> {
        Json::<T, MOST>::take(head, body).await.map(|Json(body)| TimedJson(body))
    }

    fn asked_at(&self) -> Option<u64> {
        self.0.at()
    }
}

impl Accepts for Moment {
    const ACCEPTED: Accepted = Accepted {
        required: false,
        errors: &[codes::NOT_JSON, codes::TOO_LONG, codes::TOO_SLOW, codes::MALFORMED, codes::LATE],
        ..Json::<Asked, STRANGERS>::ACCEPTED
    };

    async fn take(head: &Parts, body: Incoming) -> Result<Moment, BodyError> {
        if body.is_end_stream() {
            return Ok(Moment(None));
        }
        let Json(Asked { at }) = Json::<Asked, STRANGERS>::take(head, body).await?;
        Ok(Moment(at))
    }

    fn asked_at(&self) -> Option<u64> {
        self.0
    }
}

impl<const MOST: u64> Accepts for Octets<MOST> {
    const ACCEPTED: Accepted = Accepted {
        media: Some("application/octet-stream"),
        required: true,
        most: MOST,
        handshake: false,
        errors: &[codes::NOT_OCTETS, codes::NO_LENGTH, codes::TOO_LONG, codes::TOO_SLOW, codes::MALFORMED],
        schema: None,
    };

    async fn take(head: &Parts, body: Incoming) -> Result<Self, BodyError> {
        if !is_labelled(head, "application/octet-stream") {
            return Err(BodyError::NotOctets);
        }
        let len = body.size_hint().exact().filter(|len| *len > 0).ok_or(BodyError::NoLength)?;
        if MOST < len { Err(BodyError::TooLong(MOST)) } else { Ok(Octets { len, body }) }
    }
}

/// Whether a body is labelled as this, with or without parameters.
fn is_labelled(head: &Parts, media: &str) -> bool {
    let label = head.headers.get(CONTENT_TYPE).and_then(|label| label.to_str().ok()).unwrap_or_default();
    label.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media)
}
