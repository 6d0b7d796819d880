//! Answers one request: by which name, for what, from which page, from whom, and then lets the endpoint do it.
//!
//! This is the only way to an endpoint. What acts is carried out by a task of the site's own, so that a client that
//! hangs up leaves nothing half done and nothing unrecorded; what shows ends with its client.

use std::fmt;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use log::{Level, debug, log};

use super::answers;
use super::body::Body;
use super::caller::Known;
use super::codes::{self, Code};
use super::connection::{Connection, Running};
use super::door::{self, DoorError};
use super::endpoint::Access;
use super::problem::{ApiError, Problem};
use super::row::{Admitted, Row};
use super::table::{Found, Table};
use super::trace;
use crate::audit::budget::Class;
use crate::audit::trail::OpenRecord;
use crate::auth::authenticator::AuthError;
use crate::auth::principal::Principal;
use crate::auth::rights::Denied;
use crate::base::seat_id::SeatId;
use crate::net::site::{Mode, Site, end_of};

/// What an answer is made of.
pub type Answer = Result<Response<Body>, Problem>;

/// Whoever did it broke off: a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("this went wrong on the appliance; see the log of serve")]
struct Lost;

impl ApiError for Lost {
    fn code(&self) -> &'static Code {
        codes::INTERNAL
    }
}

/// Answers one request from the rows of a table, or with what `other` gives where the table has nothing to say.
pub async fn answer(
    site: &Arc<Site>,
    table: Table,
    connection: &Arc<Connection>,
    request: Request<Incoming>,
    other: impl FnOnce(&Parts) -> Option<Answer>,
) -> Response<Body> {
    let answer = admit(site, table, connection, request, other).await;
    let mut response = answer.unwrap_or_else(Response::from);
    dress(response.headers_mut(), connection.is_secure().then(|| hsts(site)));
    response
}

async fn admit(
    site: &Arc<Site>,
    table: Table,
    connection: &Arc<Connection>,
    request: Request<Incoming>,
    other: impl FnOnce(&Parts) -> Option<Answer>,
) -> Answer {
    let (head, body) = request.into_parts();
    let host = door::host(connection.scheme(), &head.uri, &head.headers, &site.names())?;
    if let Some(answer) = other(&head) {
        return answer;
    }
    let (row, named) = match table.find(&head.method, head.uri.path())? {
        Found::Row(row, named) => (row, named.map(str::to_string)),
        Found::Methods(methods) => return Ok(options(&methods)),
    };
    let seat = named.clone().filter(|_| row.is_seated()).and_then(|seat| SeatId::try_from(seat).ok());
    if row.semantics.acts || row.accepts.handshake {
        door::origin(connection.scheme(), &host, &head.headers)?;
    }
    let credential = door::credential(&head.headers);
    let principal = match row.access {
        Access::Public => None,
        _ if !site.auth().claimed() => return Err(AuthError::Unclaimed.into()),
        access => {
            let principal = site.auth().recognise(&credential)?.coming_from(connection.peer());
            connection.mark_authenticated();
            principal.lease().see(connection.peer());
            if principal.needs_second_factor && access != Access::Enrolling {
                return Err(AuthError::NoSecondFactor.into());
            }
            if let Access::Needs(privilege) = access
                && !principal.may(privilege, seat.as_ref())
            {
                if row.semantics.acts {
                    denied(row, &principal, &head, seat.as_ref());
                }
                return Err(Denied::NotAllowed.into());
            }
            // A browser sends our cookie by itself, so there the page must be named; see `door::origin` above. It names
            // none where a page of ours only asks, but then nothing is opened either.
            let is_handshake = row.accepts.handshake && head.headers.contains_key(UPGRADE);
            if is_handshake && principal.by_cookie() && !door::has_origin(&head.headers) {
                return Err(DoorError::ForeignOrigin.into());
            }
            Some(principal)
        }
    };
    let known = Known { seat: seat.and_then(|seat| site.seats().get(&seat).cloned()), principal, named };
    let admitted = Admitted { site: site.clone(), connection: connection.clone(), credential, known, head, body };
    run(row, admitted).await
}

/// Has the endpoint do it, to its end or to its client's.
async fn run(row: &'static Row, admitted: Admitted) -> Answer {
    let (site, principal) = (admitted.site.clone(), admitted.known.principal.clone());
    if !row.semantics.acts {
        let (connection, is_head) = (admitted.connection.clone(), admitted.head.method == Method::HEAD);
        let answer = row.run(admitted).await;
        if let Some(principal) = principal.filter(|_| row.answers.streams && !is_head && answer.is_ok()) {
            connection.end_with(end_of(principal, connection.stop()));
        }
        return answer;
    }
    if let Some(principal) = &principal {
        principal.lease().touch();
    }
    let record = Record::begin(row, principal.as_ref(), &admitted.head, &admitted.connection);
    let acting = act(row, admitted, record);
    if row.semantics.ends_with_client { acting.await } else { site.carry_out(acting).await.unwrap_or(Err(Lost.into())) }
}

fn act(row: &'static Row, admitted: Admitted, mut record: Record) -> Running<Answer> {
    Box::pin(async move {
        record.open(row, &admitted).await;
        let answer = row.run(admitted).await;
        record.end(match &answer {
            Ok(response) => Outcome::Done(response.status()),
            Err(problem) => Outcome::Refused(problem.code),
        });
        answer
    })
}

/// Writes down that somebody wanted what they may not do.
fn denied(row: &Row, principal: &Principal, head: &Parts, seat: Option<&SeatId>) {
    let words = format!("{} {}", head.method, head.uri.path());
    let entry = principal.entry(trace::word(row.path), words).at(seat.map(SeatId::as_str));
    principal.trail().write(Class::Frequent, entry.ended(Err(codes::NOT_ALLOWED.name)));
}

/// Writes down who does what, when it begins and when it has ended, however it ends. What was not done may be left out
/// where somebody is refused again and again; what was done never is.
struct Record {
    level: Level,
    principal: Option<Principal>,
    what: String,
    outcome: Outcome,
    /// The same in the audit log.
    open: Option<OpenRecord>,
}

enum Outcome {
    Lost,
    Done(StatusCode),
    Refused(&'static str),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Outcome::Lost => f.write_str("broken off"),
            Outcome::Done(status) => write!(f, "done ({})", status.as_u16()),
            Outcome::Refused(code) => write!(f, "refused ({code})"),
        }
    }
}

impl Record {
    fn begin(row: &Row, principal: Option<&Principal>, head: &Parts, connection: &Connection) -> Record {
        let who = principal.map_or("somebody", |principal| principal.name.as_str());
        let what = format!("{who} at {}: {} {}", connection.peer(), head.method, head.uri.path());
        debug!("{what} begins");
        let level = if row.semantics.logs_itself || principal.is_none() { Level::Debug } else { Level::Info };
        Record { level, principal: principal.cloned(), what, outcome: Outcome::Lost, open: None }
    }

    /// Writes it down where it lasts, unless what does it does so.
    async fn open(&mut self, row: &Row, admitted: &Admitted) {
        let what = trace::word(row.path);
        let Some(principal) = self.principal.as_ref().filter(|_| !trace::is_written_where_it_is_done(what)) else {
            return;
        };
        let words = format!("{} {}", admitted.head.method, admitted.head.uri.path());
        let seat = admitted.known.seat.as_ref().map(|bus| bus.seat.as_str());
        let entry = principal.entry(what, words).at(seat);
        self.open = Some(principal.trail().begin(Class::Lasting, entry).await);
    }

    fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        match (&self.outcome, self.open.take()) {
            (Outcome::Done(_), Some(open)) => open.end(Ok(())),
            (Outcome::Refused(code), Some(open)) => open.end(Err(code)),
            (Outcome::Lost, _) | (_, None) => (),
        }
        let level = match (&self.outcome, &self.principal) {
            (Outcome::Done(_), _) => self.level,
            (_, Some(principal)) => principal.level(),
            // Of those who are not known yet, the log says what came of it where their credential is looked at, so that
            // nobody fills it from outside.
            (_, None) => Level::Debug,
        };
        log!(level, "{}: {}", self.what, self.outcome);
    }
}

/// Says which methods a path has.
fn options(methods: &str) -> Response<Body> {
    let mut response = answers::empty(StatusCode::NO_CONTENT);
    let methods = HeaderValue::from_str(methods).expect("names of methods and commas fit a header");
    response.headers_mut().insert(ALLOW, methods);
    response
}

/// Adds what browsers must be told with every response.
pub fn dress(headers: &mut HeaderMap, hsts: Option<&'static str>) {
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
    if let Some(hsts) = hsts {
        headers.insert(hyper::header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(hsts));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// For how long a browser may insist on a certificate that it believes. One of our own making may be another after a
/// factory reset, and the rescue page's is: whoever insisted could not get in any more. What an earlier release
/// promised for a year is taken back.
fn hsts(site: &Site) -> &'static str {
    let is_lasting = site.mode() == Mode::Usual && site.certificates().authority().is_none();
    if is_lasting { "max-age=86400" } else { "max-age=0" }
}
