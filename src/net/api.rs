//! Answers requests: by which name, for which route, from whom, and then what.
//!
//! What a client reads of an error says what to do and leaks nothing; what there is beyond that goes to the log where it
//! happened.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;

use crate::auth::accounts::AccountError;

use super::assets::AssetError;
use super::body::Body;
use super::door::{self, DoorError};
use super::http::Connection;
use super::http::codes::{self, Code};
use super::http::problem::{ApiError, Problem};
use super::routes::{self, Access, Deed, RouteError};
use crate::auth::authenticator::AuthError;
use crate::auth::principal::Principal;
use crate::net::ws::socket;
use crate::net::{Site, assets, download, entry, logs, rescue, seats, system, upload};

/// What an answer is made of.
pub type Answer = Result<Response<Body>, Problem>;

/// Answers one request, whatever it is.
pub async fn answer(site: &Arc<Site>, connection: &Arc<Connection>, request: Request<Incoming>) -> Response<Body> {
    let mut response = attempt(site, connection, request).await.unwrap_or_else(Response::from);
    dress(response.headers_mut(), connection.is_secure());
    response
}

async fn attempt(site: &Arc<Site>, connection: &Arc<Connection>, request: Request<Incoming>) -> Answer {
    let headers = request.headers();
    let host = door::host(request.uri(), headers, &site.names)?;
    let path = request.uri().path();
    if !path.starts_with("/api/") {
        return asset(site, request.method(), path, headers);
    }
    let (route, seat) = routes::find(request.method(), path)?;
    let is_socket = route.deed == Deed::Socket;
    if door::changes(request.method()) || is_socket {
        door::origin(connection.scheme(), &host, headers)?;
    }
    let credential = door::credential(headers);
    let known = match route.access {
        Access::Public => None,
        _ if !site.auth.claimed() => return Err(AuthError::Unclaimed.into()),
        access => {
            let principal = site.auth.recognise(&credential)?;
            connection.mark_authenticated();
            if let Access::Needs(privilege) = access
                && !principal.may(privilege, None)
            {
                return Err(NotAllowed.into());
            }
            // A browser sends our cookie by itself, so there the page must be named; see `door::origin` above.
            if is_socket && principal.by_cookie() && !door::has_origin(headers) {
                return Err(DoorError::ForeignOrigin.into());
            }
            // Who acts is there; a page that only shows something may have been left open.
            if door::changes(request.method()) {
                principal.lease().touch();
            }
            Some(principal)
        }
    };
    let seat = seat.map(|seat| seats::find(site, seat)).transpose()?;
    if matches!(route.deed, Deed::Session | Deed::Claim | Deed::Login) {
        entry::readable(site)?;
    }
    match (route.deed, known, seat) {
        (Deed::Health, ..) => Ok(json(StatusCode::OK, &entry::health(site, Instant::now())?)),
        (Deed::Session, ..) => Ok(json(StatusCode::OK, &entry::session(site, connection, &credential))),
        (Deed::Claim, ..) => logged_in(entry::claim(site, connection, request).await?),
        (Deed::Login, ..) => logged_in(entry::login(site, connection, &credential, request).await?),
        (Deed::Logout, Some(principal), _) => {
            site.auth.logout(&principal);
            let mut response = Response::new(Body::Whole(Bytes::new()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(hyper::header::SET_COOKIE, cookie("", "; Max-Age=0"));
            Ok(response)
        }
        (Deed::Tokens, Some(principal), _) => Ok(json(StatusCode::OK, &entry::token(site, &principal, request).await?)),
        (Deed::Seats, ..) => Ok(json(StatusCode::OK, &seats::all(site))),
        (Deed::Seat, _, Some(bus)) => Ok(json(StatusCode::OK, &seats::status(&bus))),
        (Deed::Snapshot, _, Some(bus)) => Ok(seats::snapshot(&bus).await?),
        (Deed::Stream, Some(principal), Some(bus)) => Ok(seats::stream(connection, principal, &bus, request.headers())),
        (Deed::Socket, Some(principal), Some(bus)) => Ok(socket::accept(connection, principal, bus, &request)?),
        (Deed::Power, Some(principal), Some(bus)) => {
            Ok(json(StatusCode::ACCEPTED, &seats::power(site, &principal, &bus, request).await?))
        }
        (Deed::Keys, _, Some(bus)) => Ok(json(StatusCode::OK, &seats::keys(site, &bus, request).await?)),
        (Deed::System, ..) => Ok(json(StatusCode::OK, &system::status(site).await)),
        (Deed::Update, Some(principal), _) => {
            Ok(json(StatusCode::ACCEPTED, &upload::receive(site, connection, &principal, request).await?))
        }
        (Deed::Fetch, Some(principal), _) => Ok(json(StatusCode::ACCEPTED, &download::begin(site, &principal)?)),
        (Deed::Cancel, Some(principal), _) => accepted(download::cancel(site, &principal).map_err(Problem::from)),
        (Deed::Restart, Some(principal), _) => accepted(system::restart(site, &principal).await),
        (Deed::FactoryReset, Some(principal), _) => accepted(system::factory_reset(site, &principal, request).await),
        (Deed::Logs, ..) => Ok(logs::log(site, request.uri().query()).await?),
        // The table gives these a visitor and a seat; one that does not is a mistake there, and closed.
        (Deed::Logout | Deed::Tokens | Deed::Seat | Deed::Snapshot | Deed::Stream, ..)
        | (Deed::Socket | Deed::Power | Deed::Keys | Deed::Update | Deed::Fetch | Deed::Cancel, ..)
        | (Deed::Restart | Deed::FactoryReset, ..) => Err(RouteError::NotFound.into()),
    }
}

fn asset(site: &Site, method: &Method, path: &str, headers: &HeaderMap) -> Answer {
    let asset = if site.is_rescue() { rescue::find(path)? } else { assets::find(path, headers)? };
    if *method != Method::GET && *method != Method::HEAD {
        return Err(RouteError::WrongMethod("GET, HEAD".into()).into());
    }
    let mut response = Response::new(Body::Whole(asset.bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(asset.cache));
    if let Some(coding) = asset.coding.name() {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    if asset.varies {
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    Ok(response)
}

fn logged_in((secret, answer): (String, entry::SessionAnswer)) -> Answer {
    let mut response = json(StatusCode::OK, &answer);
    response.headers_mut().insert(hyper::header::SET_COOKIE, cookie(&secret, ""));
    Ok(response)
}

/// The answer to what has begun and ends without us.
fn accepted(begun: Result<(), Problem>) -> Answer {
    begun.map(|()| json(StatusCode::ACCEPTED, &serde_json::json!({})))
}

fn cookie(secret: &str, more: &str) -> HeaderValue {
    let text = format!("{}={secret}; Secure; HttpOnly; SameSite=Strict; Path=/{more}", door::SESSION_COOKIE);
    HeaderValue::try_from(text).expect("hexadecimal digits and constants fit a header")
}

/// A response that carries JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let bytes = serde_json::to_vec(value).expect("what is answered is plain data with string keys");
    let mut response = Response::new(Body::Whole(bytes.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Adds what browsers must be told with every response.
pub fn dress(headers: &mut HeaderMap, secure: bool) {
    const ALWAYS: [(&str, &str); 7] = [
        // Our own files, pictures from memory, and nothing else: no inline script, no foreign host.
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
             font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ];
    for (name, value) in ALWAYS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if secure {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(hyper::header::STRICT_TRANSPORT_SECURITY, year);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

impl ApiError for AssetError {
    fn code(&self) -> &'static Code {
        match self {
            AssetError::NotFound => codes::NOT_FOUND,
            AssetError::NotBuilt => codes::NO_PAGE,
        }
    }
}

/// Known, and without the privilege.
#[derive(Debug, thiserror::Error)]
#[error("your role does not include this; ask an administrator")]
struct NotAllowed;

impl ApiError for NotAllowed {
    fn code(&self) -> &'static Code {
        codes::NOT_ALLOWED
    }
}

impl ApiError for AuthError {
    fn code(&self) -> &'static Code {
        match self {
            AuthError::Unclaimed => codes::UNCLAIMED,
            AuthError::Claimed => codes::CLAIMED,
            AuthError::WrongCode => codes::WRONG_CODE,
            AuthError::WrongPassword => codes::WRONG_PASSWORD,
            AuthError::NotLoggedIn => codes::NOT_LOGGED_IN,
            AuthError::TooManyTries(_) => codes::TOO_MANY_TRIES,
            AuthError::Account(AccountError::Name) => codes::BAD_NAME,
            AuthError::Account(AccountError::Password) => codes::WEAK_PASSWORD,
            AuthError::Account(AccountError::Expired) => codes::BAD_TIME,
            AuthError::Account(AccountError::TooMany) => codes::TOO_MANY_TOKENS,
            AuthError::Store(_) => codes::NOT_STORED,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        if let AuthError::TooManyTries(wait) = self { Some(*wait) } else { None }
    }
}

/// What a visitor may wait for: their own end, or everybody's.
pub async fn end_of(principal: Principal, mut stop: crate::base::tasks::Stop) {
    tokio::select! {
        () = principal.lease().ended() => (),
        () = stop.requested() => (),
    }
}
