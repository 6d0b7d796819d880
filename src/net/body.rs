//! Reads request bodies under limits, and gives hyper response bodies that it can send without copying.

use std::convert::Infallible;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::stream::Multipart;
use crate::net::http::codes::{self, Code};
use crate::net::http::problem::ApiError;

/// The longest body of somebody who has not logged in.
pub const STRANGERS: usize = 4 * 1024;

/// The longest body of somebody who has.
pub const VISITORS: usize = 64 * 1024;

/// How long a body may take to arrive: these are small.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a request's body is of no use.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Longer than allowed.
    #[error("the body may be {0} bytes at most")]
    TooLong(usize),
    /// Took too long.
    #[error("the body did not arrive within {} seconds", PATIENCE.as_secs())]
    TooSlow,
    /// Stopped in the middle.
    #[error("the body broke off")]
    Broken,
    /// Labelled as something else. A form on a foreign page can send anything but this label without asking first.
    #[error("the body must be JSON and say so: Content-Type: application/json")]
    NotLabelled,
    /// Not the JSON that the route takes.
    #[error("the body is not what this route takes: {0}")]
    Malformed(String),
}

impl ApiError for BodyError {
    fn code(&self) -> &'static Code {
        match self {
            BodyError::TooLong(_) => codes::TOO_LONG,
            BodyError::TooSlow => codes::TOO_SLOW,
            BodyError::NotLabelled => codes::NOT_JSON,
            BodyError::Broken | BodyError::Malformed(_) => codes::MALFORMED,
        }
    }
}

/// Reads a JSON body of at most `limit` bytes.
pub async fn json<T: DeserializeOwned>(request: Request<Incoming>, limit: usize) -> Result<T, BodyError> {
    let label = request.headers().get(CONTENT_TYPE).and_then(|label| label.to_str().ok()).unwrap_or_default();
    if !label.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(BodyError::NotLabelled);
    }
    let body = request.into_body();
    // A length that is announced is refused before the first byte, and before hyper asks for more with 100 Continue.
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLong(limit));
    }
    let body = match timeout(PATIENCE, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(BodyError::TooLong(limit)),
        Ok(Err(_)) => return Err(BodyError::Broken),
        Err(_) => return Err(BodyError::TooSlow),
    };
    serde_json::from_slice(&body).map_err(|error| BodyError::Malformed(error.to_string()))
}

/// What a response carries.
#[derive(Debug)]
pub enum Body {
    /// Everything at once.
    Whole(Bytes),
    /// Pictures until somebody has enough.
    Multipart(Box<Multipart>),
}

/// Up to three pieces that belong together, sent with one system call.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Before the picture.
    pub head: Bytes,
    /// The picture, often still in the driver's buffer.
    pub picture: Bytes,
    /// After it.
    pub tail: Bytes,
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.head.len() + self.picture.len() + self.tail.len()
    }

    fn chunk(&self) -> &[u8] {
        [&self.head, &self.picture, &self.tail].into_iter().find(|piece| !piece.is_empty()).map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = [&self.head, &self.picture, &self.tail].into_iter().filter(|piece| !piece.is_empty());
        let filled = slices.iter_mut().zip(pieces).map(|(slice, piece)| *slice = IoSlice::new(piece));
        filled.count()
    }

    fn advance(&mut self, mut count: usize) {
        for piece in [&mut self.head, &mut self.picture, &mut self.tail] {
            let step = count.min(piece.len());
            piece.advance(step);
            count -= step;
            if piece.is_empty() {
                // Dropped at once: the picture's buffer goes back to the driver while its tail may still be waiting.
                *piece = Bytes::new();
            }
        }
        assert_eq!(0, count, "hyper advances by what it has written");
    }
}

impl http_body::Body for Body {
    type Data = Pieces;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<Result<Frame<Pieces>, Infallible>>> {
        let pieces = match self.get_mut() {
            Body::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Body::Whole(bytes) => Poll::Ready(Some(Pieces { head: std::mem::take(bytes), ..Pieces::default() })),
            Body::Multipart(multipart) => multipart.poll_part(context),
        };
        pieces.map(|pieces| pieces.map(|pieces| Ok(Frame::data(pieces))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Multipart(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_every_byte_in_order_however_they_are_taken() {
        for step in 1..=9 {
            let mut pieces = Pieces { head: "head".into(), picture: "pic".into(), tail: "ta".into() };
            let mut taken = Vec::new();
            while pieces.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 4];
                let filled = pieces.chunks_vectored(&mut slices);
                let whole: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
                assert_eq!(pieces.remaining(), whole.len());
                let step = step.min(whole.len());
                taken.extend_from_slice(&whole[..step]);
                pieces.advance(step);
            }
            assert_eq!(b"headpicta".to_vec(), taken);
        }
    }
}
