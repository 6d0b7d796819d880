//! Answers requests: by which name, for which route, from whom, and then what.
//!
//! HTTP status codes stand here and nowhere else, one `From` for each error. What a client reads says what to do and leaks
//! nothing; what there is beyond that goes to the log where it happened.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;

use crate::auth::accounts::AccountError;
use crate::hands::client::HandsError;
use crate::update::ApplianceError;

use super::assets::AssetError;
use super::body::{Body, BodyError};
use super::door::{self, DoorError};
use super::entry::Unwell;
use super::http::Connection;
use super::logs::LogError;
use super::routes::{self, Access, Deed, RouteError};
use super::seats::{KeysError, SeatError};
use super::stream::NoPicture;
use super::system::WrongName;
use super::upload::UploadError;
use crate::auth::authenticator::AuthError;
use crate::auth::principal::Principal;
use crate::net::download::OrderError;
use crate::net::ws::socket;
use crate::net::ws::socket::HandshakeError;
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
                return Err(Problem::not_allowed());
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
        return Err(RouteError::WrongMethod(vec!["GET", "HEAD"]).into());
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

/// An error as a client sees it.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    /// Stable, for programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
    retry_after: Option<Duration>,
    allow: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Problem {
        Problem { status, code, message: message.to_string(), retry_after: None, allow: None }
    }

    /// Known, and without the privilege.
    pub fn not_allowed() -> Problem {
        let message = "your role does not include this; ask an administrator";
        Problem::new(StatusCode::FORBIDDEN, "not-allowed", message)
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
        }
        let error = Inner { code: problem.code, message: &problem.message };
        let mut response = json(problem.status, &Outer { error });
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

impl From<DoorError> for Problem {
    fn from(error: DoorError) -> Problem {
        match error {
            DoorError::UnknownHost => Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown-host", error),
            DoorError::ForeignOrigin => Problem::new(StatusCode::FORBIDDEN, "foreign-origin", error),
        }
    }
}

impl From<RouteError> for Problem {
    fn from(error: RouteError) -> Problem {
        match &error {
            RouteError::NotFound => Problem::new(StatusCode::NOT_FOUND, "not-found", error),
            RouteError::WrongMethod(methods) => {
                let allow = Some(methods.join(", "));
                Problem { allow, ..Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", error) }
            }
        }
    }
}

impl From<AssetError> for Problem {
    fn from(error: AssetError) -> Problem {
        match error {
            AssetError::NotFound => Problem::new(StatusCode::NOT_FOUND, "not-found", error),
            AssetError::NotBuilt => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-page", error),
        }
    }
}

impl From<Unwell> for Problem {
    fn from(error: Unwell) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unwell", error)
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Problem {
        let (status, code) = match error {
            AuthError::Unclaimed => (StatusCode::FORBIDDEN, "unclaimed"),
            AuthError::Claimed => (StatusCode::CONFLICT, "claimed"),
            AuthError::WrongCode => (StatusCode::FORBIDDEN, "wrong-code"),
            AuthError::WrongPassword => (StatusCode::UNAUTHORIZED, "wrong-password"),
            AuthError::NotLoggedIn => (StatusCode::UNAUTHORIZED, "not-logged-in"),
            AuthError::TooManyTries(_) => (StatusCode::TOO_MANY_REQUESTS, "too-many-tries"),
            AuthError::Account(AccountError::Name) => (StatusCode::BAD_REQUEST, "bad-name"),
            AuthError::Account(AccountError::Password) => (StatusCode::BAD_REQUEST, "weak-password"),
            AuthError::Account(AccountError::Expired) => (StatusCode::BAD_REQUEST, "bad-time"),
            AuthError::Account(AccountError::TooMany) => (StatusCode::CONFLICT, "too-many-tokens"),
            AuthError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not-stored"),
        };
        let retry_after = if let AuthError::TooManyTries(wait) = error { Some(wait) } else { None };
        Problem { retry_after, ..Problem::new(status, code, error) }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Problem {
        let (status, code) = match error {
            BodyError::TooLong(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-long"),
            BodyError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too-slow"),
            BodyError::NotLabelled => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json"),
            BodyError::Broken | BodyError::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
        };
        Problem::new(status, code, error)
    }
}

impl From<SeatError> for Problem {
    fn from(error: SeatError) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "unknown-seat", error)
    }
}

impl From<NoPicture> for Problem {
    fn from(error: NoPicture) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-picture", error)
    }
}

impl From<HandshakeError> for Problem {
    fn from(error: HandshakeError) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "not-a-websocket", error)
    }
}

impl From<KeysError> for Problem {
    fn from(error: KeysError) -> Problem {
        match error {
            KeysError::CannotType(_) => Problem::new(StatusCode::BAD_REQUEST, "cannot-type", error),
            KeysError::Hands(error) => error.into(),
            KeysError::Body(error) => error.into(),
        }
    }
}

impl From<HandsError> for Problem {
    fn from(error: HandsError) -> Problem {
        let (status, code) = match error {
            HandsError::Away => (StatusCode::SERVICE_UNAVAILABLE, "hands-away"),
            HandsError::Unplugged | HandsError::Stale => (StatusCode::SERVICE_UNAVAILABLE, "usb-unplugged"),
            HandsError::Flooded | HandsError::TooMany | HandsError::CutShort => {
                (StatusCode::SERVICE_UNAVAILABLE, "flooded")
            }
            HandsError::Busy(_) => (StatusCode::CONFLICT, "busy"),
            HandsError::NoRelay(_) => (StatusCode::SERVICE_UNAVAILABLE, "no-relay"),
            HandsError::Length | HandsError::TooLong => (StatusCode::BAD_REQUEST, "malformed"),
            HandsError::Relay(_) => (StatusCode::INTERNAL_SERVER_ERROR, "relay-failed"),
            HandsError::Appliance(error) => return error.into(),
        };
        Problem::new(status, code, error)
    }
}

impl From<ApplianceError> for Problem {
    fn from(error: ApplianceError) -> Problem {
        let (status, code) = match error {
            ApplianceError::Simulated => (StatusCode::NOT_IMPLEMENTED, "simulated"),
            ApplianceError::NoSlots => (StatusCode::NOT_IMPLEMENTED, "no-slots"),
            ApplianceError::Away => (StatusCode::SERVICE_UNAVAILABLE, "hands-away"),
            ApplianceError::Busy => (StatusCode::CONFLICT, "busy"),
            ApplianceError::Restarting => (StatusCode::CONFLICT, "restarting"),
            ApplianceError::Spool(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not-taken-over"),
            ApplianceError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not-stored"),
            ApplianceError::Restart(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not-restarted"),
        };
        Problem::new(status, code, error)
    }
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Problem {
        let (status, code) = match error {
            UploadError::NotLabelled => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-octets"),
            UploadError::NoLength => (StatusCode::LENGTH_REQUIRED, "no-length"),
            UploadError::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "too-long"),
            UploadError::NoSpace { .. } => (StatusCode::INSUFFICIENT_STORAGE, "no-space"),
            UploadError::TooSlow | UploadError::Endless => (StatusCode::REQUEST_TIMEOUT, "too-slow"),
            UploadError::Broken => (StatusCode::BAD_REQUEST, "malformed"),
            UploadError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not-stored"),
        };
        Problem::new(status, code, error)
    }
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Problem {
        match error {
            OrderError::NoUrl => Problem::new(StatusCode::NOT_FOUND, "no-update-url", error),
            OrderError::Idle => Problem::new(StatusCode::CONFLICT, "not-fetching", error),
            OrderError::Appliance(error) => error.into(),
        }
    }
}

impl From<WrongName> for Problem {
    fn from(error: WrongName) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "not-confirmed", error)
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Problem {
        let (status, code) = match error {
            LogError::Unknown => (StatusCode::BAD_REQUEST, "unknown-service"),
            LogError::None(_) => (StatusCode::NOT_FOUND, "no-log"),
        };
        Problem::new(status, code, error)
    }
}

/// What a visitor may wait for: their own end, or everybody's.
pub async fn end_of(principal: Principal, mut stop: crate::base::tasks::Stop) {
    tokio::select! {
        () = principal.lease().ended() => (),
        () = stop.requested() => (),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_code_is_documented() {
        let (source, documented) = (include_str!("api.rs"), include_str!("../../docs/api.md"));
        let shipped = source.split("#[cfg(test)]").next().unwrap();
        // Each stands behind its status: `StatusCode::NOT_FOUND, "not-found"`.
        let statuses = shipped.split("StatusCode::").skip(1).filter_map(|rest| rest.split_once(", \""));
        let upper = |status: &str| status.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let codes = statuses.filter(|(status, _)| upper(status)).filter_map(|(_, rest)| rest.split('"').next());
        let codes: Vec<&str> = codes.collect();
        assert!(codes.len() > 25, "{codes:?}");
        for code in codes {
            assert!(documented.contains(&format!("`{code}`")), "{code} is not in docs/api.md");
        }
    }
}
