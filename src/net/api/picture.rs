//! Gives pictures: the newest, and one after another without end. While the signal is lost, a card says so instead.
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
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::auth::role::Privilege;
use crate::bus::{Frame, FrameBus, Frames, Lost};
use crate::net::api::card::card;
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

/// What a viewer is given in one piece: a picture of the target's screen, or a card.
struct Shot {
    jpeg: Bytes,
    /// When it was captured; of a card, since when there is nothing else to show.
    captured: Instant,
}

/// The newest picture.
pub struct Jpeg(Shot);

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
async fn newest(bus: &FrameBus) -> Result<Shot, NoPicture> {
    let mut shots = Shots::new(bus);
    // Where nobody watched, what there is may be from before the key that the caller has just pressed. Now that
    // somebody does, the next one is on its way; if it is not, an old one is better than none.
    let patience = if bus.newest().is_some() { FRESH } else { FIRST_PICTURE };
    match timeout(patience, shots.next()).await {
        Ok(Some(shot)) => Ok(shot),
        _ => bus.newest().map(Shot::from).ok_or(NoPicture),
    }
}

/// When a picture was captured, by the wall clock, as `seconds.microseconds` since 1970.
fn timestamp(shot: &Shot) -> String {
    let captured = SystemTime::now() - shot.captured.elapsed();
    let since = captured.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:06}", since.as_secs(), since.subsec_micros())
}

/// Whether a request comes from an `<img>`. That needs the whole header of the next part to come early, which leaves no
/// way to say how long the next picture will be. Programs do not say this, and get lengths.
fn is_drawn(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-dest").is_some_and(|dest| dest == "image")
}

impl From<Frame> for Shot {
    fn from(Frame { jpeg, captured, .. }: Frame) -> Shot {
        Shot { jpeg, captured }
    }
}

/// What a viewer is to see, one after another: pictures while they are live, and otherwise a card.
struct Shots {
    frames: Frames,
    lost: watch::Receiver<Option<Lost>>,
    /// Since when there was no live picture, until one has come after that.
    since: Option<Instant>,
}

impl Shots {
    /// Whoever comes sees what there is at once, not the next one.
    fn new(bus: &FrameBus) -> Shots {
        let (mut frames, mut lost) = (bus.watch(), bus.watch_lost());
        frames.mark_changed();
        lost.mark_changed();
        Shots { frames, lost, since: None }
    }

    /// Waits for what was not given yet. None once there is nobody who would bring it.
    async fn next(&mut self) -> Option<Shot> {
        loop {
            if self.lost.has_changed().ok()? {
                let lost = self.lost.borrow_and_update().clone();
                if let Some(Lost { since, signal, reason }) = lost {
                    self.since = Some(since);
                    if let Some(jpeg) = card(signal, reason).await {
                        return Some(Shot { jpeg, captured: since });
                    }
                }
            }
            let is_live = self.lost.borrow().is_none();
            tokio::select! {
                biased;
                change = self.lost.changed() => {
                    change.ok()?;
                    self.lost.mark_changed();
                }
                change = self.frames.changed(), if is_live => {
                    change.ok()?;
                    let frame = self.frames.borrow_and_update().clone();
                    let Some(frame) = frame else { continue };
                    // A picture that was captured before the loss and coded after it is no news. There is one at most,
                    // so a device whose clock is wrong costs no more than that.
                    if self.since.take().is_none_or(|since| since <= frame.captured) {
                        return Some(frame.into());
                    }
                }
            }
        }
    }
}

type Next = Pin<Box<dyn Future<Output = Option<(Shots, Shot)>> + Send>>;

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
        Multipart { next: next(Shots::new(frames)), end: Box::pin(end), drawn, begun: false }
    }

    fn part(&self, shot: Shot) -> Pieces {
        let (head, tail) = if self.drawn {
            (Bytes::new(), [NEXT, b"\r\n"].concat().into())
        } else {
            let mut head = Vec::with_capacity(80);
            let length = shot.jpeg.len();
            write!(head, "Content-Length: {length}\r\nX-Timestamp: {}\r\n\r\n", timestamp(&shot))
                .expect("writing to a vector does not fail");
            (head.into(), Bytes::from_static(NEXT))
        };
        Pieces { head, picture: shot.jpeg, tail }
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
            Poll::Ready(Some((shots, shot))) => {
                self.next = next(shots);
                Poll::Ready(Some(self.part(shot)))
            }
        }
    }
}

fn next(mut shots: Shots) -> Next {
    Box::pin(async move { shots.next().await.map(|shot| (shots, shot)) })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::base::heartbeat::Heartbeat;
    use crate::base::signal::{Signal, Size};
    use crate::bus::{SeatBus, StatusBus};

    #[tokio::test]
    async fn after_a_loss_one_picture_from_before_it_is_skipped_and_no_more() {
        let start = Instant::now();
        let (seat, frames) = ("main".to_string().try_into().unwrap(), FrameBus::default());
        let bus = SeatBus { seat, frames, status: StatusBus::default(), heartbeat: Heartbeat::new(start) };
        let publish = |text: &'static str| {
            bus.frames.publish(start, Size { width: 8, height: 8 }, Bytes::from_static(text.as_bytes()));
        };
        let mut shots = Shots::new(&bus.frames);
        bus.report(start + Duration::from_secs(1), |screen| screen.signal = Signal::NoSignal);
        assert_eq!(Some(start + Duration::from_secs(1)), shots.next().await.map(|card| card.captured));
        publish("coded late");
        bus.report(start + Duration::from_secs(2), |screen| screen.signal = Signal::Ok);
        assert!(shots.next().now_or_never().is_none());
        // By its wrong clock this one is no newer.
        publish("live");
        assert_eq!(Some(&b"live"[..]), shots.next().await.as_ref().map(|shot| &shot.jpeg[..]));
    }
}
