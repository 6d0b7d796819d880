//! Tells an error to a client: a stable code for programs, a sentence for people.
//!
//! [`ApiError`] is the only way to a [`Problem`], and it is implemented next to the face that shows the error first. So
//! this module knows the errors of no other, and no error knows HTTP.

use std::fmt::Display;
use std::time::Duration;

use hyper::Response;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde::Serialize;

use super::body::Body;
use super::codes::Code;

/// An error that may be told to a client. Its `Display` is what the client reads: what to do, and nothing that leaks.
pub trait ApiError: Display {
    /// The code by which it is reported.
    fn code(&self) -> &'static Code;

    /// After how long another try makes sense.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// The methods that would have been right.
    fn allow(&self) -> Option<&str> {
        None
    }

    /// What a program needs to show where the fault is.
    fn detail(&self) -> Option<serde_json::Value> {
        None
    }
}

/// An error as a client sees it.
#[derive(Debug)]
pub struct Problem {
    kind: &'static Code,
    /// Stable, for programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
    retry_after: Option<Duration>,
    allow: Option<String>,
    detail: Option<serde_json::Value>,
}

impl<E: ApiError> From<E> for Problem {
    fn from(error: E) -> Problem {
        Problem {
            kind: error.code(),
            code: error.code().name,
            message: error.to_string(),
            retry_after: error.retry_after(),
            allow: error.allow().map(str::to_string),
            detail: error.detail(),
        }
    }
}

impl From<Problem> for Response<Body> {
    fn from(problem: Problem) -> Response<Body> {
        #[derive(Serialize)]
        struct Outer<'a> {
            error: Inner<'a>,
        }
        #[derive(Serialize)]
        struct Inner<'a> {
            code: &'a str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<&'a serde_json::Value>,
        }
        let Problem { code, message, detail, .. } = &problem;
        let error = Outer { error: Inner { code, message, detail: detail.as_ref() } };
        let bytes = serde_json::to_vec(&error).expect("strings and JSON are plain data");
        let mut response = Response::new(Body::Whole(bytes.into()));
        *response.status_mut() = problem.kind.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(wait) = problem.retry_after {
            // Rounded up: whoever comes back on the second must not be early.
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        }
        if let Some(allow) = problem.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            response.headers_mut().insert(ALLOW, allow);
        }
        response
    }
}
