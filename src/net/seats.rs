//! Shows seats, and presses their buttons and keys, for one request at a time.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use log::info;
use serde::{Deserialize, Serialize};

use crate::base::front_panel::Contact;
use crate::base::seat_id::SeatId;
use crate::bus::SeatBus;
use crate::hands::client::{HandsError, Owner};
use crate::hands::protocol::{LARGEST_CHORD, MOST_STROKES};
use crate::hid::{keymap, text};
use crate::net::http::codes::{self, Code};
use crate::net::http::problem::{ApiError, Problem};
use crate::net::ws::messages::Status;

use super::Site;
use super::api::end_of;
use super::body::{self, Body, BodyError};
use super::http::Connection;
use super::stream::{self, Multipart, NoPicture};
use crate::auth::principal::Principal;

/// What a finger does: every board takes it as a press, none as a hold.
const TAP: Duration = Duration::from_millis(500);

/// Boards cut power after four seconds; the margin covers slow ones.
const HOLD_SECONDS: f64 = 5.5;

/// There is no seat of this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no seat of this name; GET /api/v1/seats lists them")]
pub struct SeatError;

/// Why keys were not typed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Something that no key gives.
    #[error("{0}")]
    CannotType(String),
    /// It did not work out.
    #[error(transparent)]
    Hands(#[from] HandsError),
    /// The request makes no sense.
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl ApiError for SeatError {
    fn code(&self) -> &'static Code {
        codes::UNKNOWN_SEAT
    }
}

impl ApiError for KeysError {
    fn code(&self) -> &'static Code {
        match self {
            KeysError::CannotType(_) => codes::CANNOT_TYPE,
            KeysError::Hands(error) => error.code(),
            KeysError::Body(error) => error.code(),
        }
    }
}

impl ApiError for HandsError {
    fn code(&self) -> &'static Code {
        match self {
            HandsError::Away => codes::HANDS_AWAY,
            HandsError::Unplugged | HandsError::Stale => codes::USB_UNPLUGGED,
            HandsError::Flooded | HandsError::TooMany | HandsError::CutShort => codes::FLOODED,
            HandsError::Busy(_) => codes::BUSY,
            HandsError::NoRelay(_) => codes::NO_RELAY,
            HandsError::Length | HandsError::TooLong => codes::MALFORMED,
            HandsError::Relay(_) => codes::RELAY_FAILED,
            HandsError::Appliance(error) => error.code(),
        }
    }
}

/// The seat that a path names.
pub fn find(site: &Site, name: &str) -> Result<SeatBus, SeatError> {
    let id = SeatId::try_from(name.to_string()).map_err(|_| SeatError)?;
    site.seats.get(&id).cloned().ok_or(SeatError)
}

/// One seat's status.
pub fn status(bus: &SeatBus) -> Status {
    Status::new(&bus.seat, bus.status.now())
}

/// Every seat's status.
#[derive(Debug, Serialize)]
pub struct Seats {
    seats: Vec<Status>,
}

/// Every seat's status.
pub fn all(site: &Site) -> Seats {
    Seats { seats: site.seats.values().map(status).collect() }
}

/// The newest picture.
pub async fn snapshot(bus: &SeatBus) -> Result<Response<Body>, NoPicture> {
    let frame = stream::snapshot(&bus.frames).await?;
    let stamp = HeaderValue::try_from(stream::timestamp(&frame)).expect("digits and a dot fit a header");
    let mut response = Response::new(Body::Whole(frame.jpeg));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    response.headers_mut().insert(HeaderName::from_static("x-timestamp"), stamp);
    Ok(response)
}

/// Pictures without end.
pub fn stream(connection: &Connection, principal: Principal, bus: &SeatBus, headers: &HeaderMap) -> Response<Body> {
    let end = end_of(principal, connection.stop());
    let parts = Multipart::new(&bus.frames, stream::is_drawn(headers), end);
    let mut response = Response::new(Body::Multipart(Box::new(parts)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(stream::MULTIPART));
    response
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PowerRequest {
    press: Press,
    seconds: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Press {
    Tap,
    Hold,
    Reset,
}

/// A press that has begun.
#[derive(Debug, Serialize)]
pub struct PowerAnswer {
    press: Press,
    seconds: f64,
}

impl PowerRequest {
    fn time(&self) -> Result<Duration, BodyError> {
        match (self.press, self.seconds) {
            (Press::Hold, seconds) => {
                let seconds = seconds.unwrap_or(HOLD_SECONDS);
                if !(1.0..=12.0).contains(&seconds) {
                    return Err(BodyError::Malformed("seconds must be 1 to 12".into()));
                }
                Ok(Duration::from_secs_f64(seconds))
            }
            (Press::Tap | Press::Reset, None) => Ok(TAP),
            (Press::Tap | Press::Reset, Some(_)) => Err(BodyError::Malformed("seconds goes with hold only".into())),
        }
    }
}

/// Presses a front-panel button.
pub async fn power(
    site: &Site,
    principal: &Principal,
    bus: &SeatBus,
    request: Request<Incoming>,
) -> Result<PowerAnswer, Problem> {
    let request: PowerRequest = body::json(request, body::VISITORS).await?;
    let time = request.time()?;
    let contact = if request.press == Press::Reset { Contact::Reset } else { Contact::Power };
    site.hands.press(&bus.seat, contact, time).await?;
    info!("{} pressed {contact:?} of {} for {:.1} s", principal.name.as_str(), bus.seat, time.as_secs_f64());
    Ok(PowerAnswer { press: request.press, seconds: time.as_secs_f64() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysRequest {
    chord: Option<Vec<String>>,
    text: Option<String>,
}

/// How much was typed: keys of a chord, or characters.
#[derive(Debug, Serialize)]
pub struct KeysAnswer {
    typed: usize,
}

/// Types a chord or a text, and answers when it has been typed.
pub async fn keys(site: &Site, bus: &SeatBus, request: Request<Incoming>) -> Result<KeysAnswer, KeysError> {
    let owner = Owner(site.next_id());
    let typed = match body::json(request, body::VISITORS).await? {
        KeysRequest { chord: Some(codes), text: None } => {
            if !(1..=LARGEST_CHORD).contains(&codes.len()) {
                return Err(BodyError::Malformed(format!("a chord has 1 to {LARGEST_CHORD} keys")).into());
            }
            let usage = |code: &String| {
                keymap::usage(code).ok_or_else(|| KeysError::CannotType(format!("no key has the code {code:?}")))
            };
            let usages: Vec<_> = codes.iter().map(usage).collect::<Result<_, _>>()?;
            site.hands.chord(&bus.seat, owner, usages).await?;
            codes.len()
        }
        KeysRequest { chord: None, text: Some(text) } => {
            let typed = text.chars().count();
            if !(1..=MOST_STROKES).contains(&typed) {
                return Err(BodyError::Malformed(format!("a text has 1 to {MOST_STROKES} characters")).into());
            }
            let strokes = text::strokes(&text).map_err(|error| KeysError::CannotType(error.to_string()))?;
            site.hands.type_strokes(&bus.seat, owner, strokes).await?;
            typed
        }
        _ => return Err(BodyError::Malformed("give either chord or text".into()).into()),
    };
    Ok(KeysAnswer { typed })
}
