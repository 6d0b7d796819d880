//! Lets people in and out: claim, login, tokens.

use std::time::Instant;

use hyper::Request;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use crate::auth::accounts::Name;
use crate::auth::role::{Privilege, Role};
use crate::base::heartbeat::STALLED_AFTER;
use crate::base::seat_id::SeatId;
use crate::net::http::codes::{self, Code};
use crate::net::http::problem::{ApiError, Problem};

use super::Site;
use super::body::{self, BodyError};
use super::http::Connection;
use crate::auth::authenticator::AuthError;
use crate::auth::principal::{Credential, Principal};

/// That every part moves: nothing that a stranger could use.
#[derive(Debug, Serialize)]
pub struct Health {
    ok: bool,
}

/// Why we are not well.
#[derive(Debug, thiserror::Error)]
pub enum Unwell {
    /// A capture thread hangs.
    #[error("the capture thread of seat {0} has not moved for {still} s", still = STALLED_AFTER.as_secs())]
    Screen(SeatId),
    /// The other process is away, or hangs.
    #[error("nothing has been heard of the process that holds keyboard and relays for {still} s", still = STALLED_AFTER.as_secs())]
    Hands,
    /// A service kept on crashing, or hung.
    #[error("rescue mode: a service kept on crashing, or hung, so there is neither picture nor keyboard")]
    Rescue,
    /// The same, and there is nothing to know an owner by.
    #[error("rescue mode: storage cannot be read, so nobody can log in: {0}; restart, or write the card again")]
    Storage(String),
}

impl ApiError for Unwell {
    fn code(&self) -> &'static Code {
        codes::UNWELL
    }
}

/// What a page must show first.
#[derive(Debug, Serialize)]
pub struct SessionAnswer {
    claimed: bool,
    user: Option<String>,
    role: Option<Role>,
    /// What the sender may do; nothing for a stranger.
    privileges: Vec<Privilege>,
}

impl SessionAnswer {
    fn new(claimed: bool, sender: Option<(String, Role)>) -> SessionAnswer {
        let privileges = sender.as_ref().map(|(_, role)| role.privileges()).unwrap_or_default();
        let (user, role) = sender.unzip();
        SessionAnswer { claimed, user, role, privileges }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimRequest {
    code: String,
    user: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginRequest {
    user: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    name: String,
    role: Role,
    expires: Option<String>,
}

/// A fresh token, shown this once.
#[derive(Debug, Serialize)]
pub struct TokenAnswer {
    token: String,
}

/// Whether every part has moved lately.
pub fn health(site: &Site, now: Instant) -> Result<Health, Unwell> {
    readable(site)?;
    if site.is_rescue() {
        return Err(Unwell::Rescue);
    }
    if let Some(bus) = site.seats.values().find(|bus| STALLED_AFTER <= bus.heartbeat.age(now)) {
        return Err(Unwell::Screen(bus.seat.clone()));
    }
    if STALLED_AFTER <= site.hands.silence(now) { Err(Unwell::Hands) } else { Ok(Health { ok: true }) }
}

/// Whether there is anything to know people by.
pub fn readable(site: &Site) -> Result<(), Unwell> {
    site.fault.clone().map_or(Ok(()), |why| Err(Unwell::Storage(why)))
}

/// Who the sender is, if anybody.
pub fn session(site: &Site, connection: &Connection, credential: &Credential) -> SessionAnswer {
    let principal = site.auth.recognise(credential).ok();
    if principal.is_some() {
        connection.mark_authenticated();
    }
    let sender = principal.map(|principal| (principal.name.as_str().to_string(), principal.role));
    SessionAnswer::new(site.auth.claimed(), sender)
}

/// Makes the first administrator; gives the session's secret.
pub async fn claim(
    site: &Site,
    connection: &Connection,
    request: Request<Incoming>,
) -> Result<(String, SessionAnswer), Problem> {
    if site.auth.claimed() {
        return Err(AuthError::Claimed.into());
    }
    let ClaimRequest { code, user, password } = body::json(request, body::STRANGERS).await?;
    let bearer = site.auth.claim(connection.peer(), &code, &user, &password).await?;
    connection.mark_authenticated();
    Ok((bearer.reveal(), SessionAnswer::new(true, Some((user, Role::Administrator)))))
}

/// Logs somebody in; gives the session's secret. A session that the same browser had before ends.
pub async fn login(
    site: &Site,
    connection: &Connection,
    credential: &Credential,
    request: Request<Incoming>,
) -> Result<(String, SessionAnswer), Problem> {
    let LoginRequest { user, password } = body::json(request, body::STRANGERS).await?;
    let bearer = site.auth.login(connection.peer(), &user, &password).await?;
    if let Credential::Cookie(_) = credential
        && let Ok(before) = site.auth.recognise(credential)
    {
        site.auth.logout(&before);
    }
    let secret = bearer.reveal();
    let answer = session(site, connection, &Credential::Cookie(secret.clone()));
    Ok((secret, answer))
}

/// Makes a token.
pub async fn token(site: &Site, by: &Principal, request: Request<Incoming>) -> Result<TokenAnswer, Problem> {
    let TokenRequest { name, role, expires } = body::json(request, body::VISITORS).await?;
    let name = Name::try_from(name).map_err(AuthError::from)?;
    let expires = expires.map(|text| humantime::parse_rfc3339(&text)).transpose();
    let expires = expires
        .map_err(|_| BodyError::Malformed("expires must be a time such as 2030-01-31T12:00:00Z, or null".into()))?;
    let bearer = site.auth.make_token(by, name, role, expires).await?;
    Ok(TokenAnswer { token: bearer.reveal() })
}
