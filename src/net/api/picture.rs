//! Gives pictures: the newest, and one after another without end.
//!
//! The next picture is taken when hyper asks for it, which it does when the one before has all but left, since its
//! buffer is smaller than any: so a slow reader skips pictures and never sees an old one. What comes after a picture is
//! sent with it, since Chromium draws a picture only when the next one's header has come, and would otherwise be one
//! behind.

use std::fmt;
use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

use crate::auth::role::Privilege;
use crate::bus::{Frame, FrameBus, Frames};
use crate::net::http::accepts::Nothing;
use crate::net::http::answers::{Answered, Answers, labelled};
use crate::net::http::body::{Body, Parts, Pieces};
use crate::net::http::caller::Seated;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::{ApiError, Problem};
use crate::net::http::row::Row;
use crate::net::site::end_of;
use crate::seat::places::TooManyViewers;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<Snapshot>(), Row::of::<Stream>()];

/// The stream's content type, with the boundary used below.
const MULTIPART: &str = "multipart/x-mixed-replace;boundary=farhand";

/// What comes before the first part.
const FIRST: &[u8] = b"--farhand\r\nContent-Type: image/jpeg\r\n";

/// What comes after each part: the beginning of the next, up to what depends on the next picture.
const NEXT: &[u8] = b"\r\n--farhand\r\nContent-Type: image/jpeg\r\n";

/// How long a picture is waited for before the answer is that there is none.
const FIRST_PICTURE: Duration = Duration::from_secs(2);

/// How long a fresh picture is waited for where the newest is a moment old: the slowest device seen gives five a
/// second.
const FRESH: Duration = Duration::from_millis(500);

/// There is no picture to give.
#[derive(Debug, thiserror::Error)]
#[error("no picture has come yet; see 'signal' in the seat's status")]
pub struct NoPicture;

struct Snapshot;
struct Stream;

/// The newest picture.
pub struct Jpeg(Frame);

/// Pictures without end.
pub struct Pictures(Multipart);

impl Answers for Jpeg {
    const ANSWERED: Answered = Answered::ok("image/jpeg");

    fn give(self, _: &HeaderMap) -> Result<Response<Body>, Problem> {
        let stamp = HeaderValue::try_from(timestamp(&self.0)).expect("digits and a dot fit a header");
        let mut response = labelled("image/jpeg", self.0.jpeg);
        response.headers_mut().insert(HeaderName::from_static("x-timestamp"), stamp);
        Ok(response)
    }
}

impl Answers for Pictures {
    const ANSWERED: Answered = Answered::stream(MULTIPART);

    fn give(self, _: &HeaderMap) -> Result<Response<Body>, Problem> {
        let mut response = Response::new(Body::Parts(Box::new(self.0)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MULTIPART));
        Ok(response)
    }
}

impl Endpoint for Snapshot {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/seats/{seat}/snapshot.jpg");
    const ACCESS: Access = Access::Needs(Privilege::View);
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "gives the newest picture";
    const ERRORS: &'static [&'static Code] = &[codes::NO_PICTURE];
    type Caller = Seated;
    type Accepts = Nothing;
    type Answers = Jpeg;

    async fn act(context: Context<Seated>, _: Nothing) -> Result<Jpeg, Problem> {
        Ok(Jpeg(newest(&context.caller.seat.frames).await?))
    }
}

impl Endpoint for Stream {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/seats/{seat}/stream.mjpeg");
    const ACCESS: Access = Access::Needs(Privilege::View);
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "gives pictures until the session ends; the latest wins";
    const ERRORS: &'static [&'static Code] = &[codes::TOO_MANY_VIEWERS];
    type Caller = Seated;
    type Accepts = Nothing;
    type Answers = Pictures;

    async fn act(context: Context<Seated>, _: Nothing) -> Result<Pictures, Problem> {
        let Context { site, caller: Seated { principal, seat }, connection, head, .. } = context;
        let place = site.places().take(site.next_id(), &principal, &seat.seat)?;
        let end = end_of(principal, connection.stop());
        // The place goes with the stream, however that ends.
        let end = async move { (end.await, drop(place)).0 };
        Ok(Pictures(Multipart::new(&seat.frames, is_drawn(&head.headers), end)))
    }
}

impl ApiError for TooManyViewers {
    fn code(&self) -> &'static Code {
        codes::TOO_MANY_VIEWERS
    }
}

impl ApiError for NoPicture {
    fn code(&self) -> &'static Code {
        codes::NO_PICTURE
    }
}

/// The newest picture, or the first one if none has come yet.
async fn newest(bus: &FrameBus) -> Result<Frame, NoPicture> {
    let mut frames = bus.watch();
    if bus.is_behind() {
        // Nobody watched, so what there is may be from before the key that the caller has just pressed. Now that
        // somebody does, the next one is on its way; if it is not, an old one is better than none.
        let _ = timeout(FRESH, frames.changed()).await;
    }
    match timeout(FIRST_PICTURE, frames.wait_for(Option::is_some)).await {
        Ok(Ok(frame)) => frame.clone().ok_or(NoPicture),
        _ => Err(NoPicture),
    }
}

/// When a picture was captured, by the wall clock, as `seconds.microseconds` since 1970.
fn timestamp(frame: &Frame) -> String {
    let captured = SystemTime::now() - frame.captured.elapsed();
    let since = captured.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:06}", since.as_secs(), since.subsec_micros())
}

/// Whether a request comes from an `<img>`. That needs the whole header of the next part to come early, which leaves no
/// way to say how long the next picture will be. Programs do not say this, and get lengths.
fn is_drawn(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-dest").is_some_and(|dest| dest == "image")
}

type Next = Pin<Box<dyn Future<Output = Option<(Frames, Frame)>> + Send>>;

/// The parts of one viewer's stream.
pub struct Multipart {
    next: Next,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    drawn: bool,
    begun: bool,
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Multipart").field("drawn", &self.drawn).finish_non_exhaustive()
    }
}

impl Multipart {
    /// A stream of pictures until `end` comes. `drawn`: see [`is_drawn`].
    fn new(frames: &FrameBus, drawn: bool, end: impl Future<Output = ()> + Send + 'static) -> Multipart {
        let mut frames = frames.watch();
        // Whoever comes sees the newest picture at once, not the next one.
        frames.mark_changed();
        Multipart { next: next(frames), end: Box::pin(end), drawn, begun: false }
    }

    fn part(&self, frame: Frame) -> Pieces {
        let (head, tail) = if self.drawn {
            (Bytes::new(), [NEXT, b"\r\n"].concat().into())
        } else {
            let mut head = Vec::with_capacity(80);
            let length = frame.jpeg.len();
            write!(head, "Content-Length: {length}\r\nX-Timestamp: {}\r\n\r\n", timestamp(&frame))
                .expect("writing to a vector does not fail");
            (head.into(), Bytes::from_static(NEXT))
        };
        Pieces { head, picture: frame.jpeg, tail }
    }
}

impl Parts for Multipart {
    fn poll_part(&mut self, context: &mut task::Context) -> Poll<Option<Pieces>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        if !self.begun {
            self.begun = true;
            let head = if self.drawn { [FIRST, b"\r\n"].concat().into() } else { Bytes::from_static(FIRST) };
            return Poll::Ready(Some(Pieces { head, ..Pieces::default() }));
        }
        match self.next.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some((frames, frame))) => {
                self.next = next(frames);
                Poll::Ready(Some(self.part(frame)))
            }
        }
    }
}

fn next(mut frames: Frames) -> Next {
    Box::pin(async move {
        loop {
            frames.changed().await.ok()?;
            let frame = frames.borrow_and_update().clone();
            if let Some(frame) = frame {
                return Some((frames, frame));
            }
        }
    })
}
