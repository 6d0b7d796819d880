//! Lets people in and out.

use std::collections::BTreeMap;

use hyper::Response;
use hyper::header::{HeaderMap, HeaderValue, SET_COOKIE, USER_AGENT};
use hyper::http::request::Parts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::authenticator::AuthError;
use crate::auth::principal::{Credential, Principal};
use crate::auth::role::{Privilege, Role};
use crate::auth::secret::Bearer;
use crate::auth::visitor::{Browser, Visitor};
use crate::base::seat_id::SeatId;
use crate::net::api::health::readable;
use crate::net::http::accepts::{Json, Nothing, STRANGERS};
use crate::net::http::answers::{Answered, Answers, Done, Shown};
use crate::net::http::body::Body;
use crate::net::http::caller::{Anyone, Person};
use crate::net::http::codes::{self, Code};
use crate::net::http::connection::Connection;
use crate::net::http::door::SESSION_COOKIE;
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::Problem;
use crate::net::http::row::Row;
use crate::net::site::Site;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<ShowSession>(), Row::of::<Claim>(), Row::of::<Login>(), Row::of::<Logout>()];

struct ShowSession;
struct Claim;
struct Login;
struct Logout;

/// What a page must show first.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub struct Session {
    claimed: bool,
    user: Option<String>,
    /// What the sender is everywhere; null for somebody with rights at some seats alone.
    role: Option<Role>,
    /// What the sender may do everywhere; nothing for a stranger.
    privileges: Vec<Privilege>,
    /// What the sender may do at each seat that they may see.
    seats: BTreeMap<SeatId, Vec<Privilege>>,
    /// Whether the sender must set a second factor up before they may do anything.
    needs_second_factor: bool,
    /// How many recovery codes the sender has left; null without a second factor.
    recovery_codes: Option<usize>,
}

impl Session {
    fn new(site: &Site, sender: Option<Principal>) -> Session {
        let claimed = site.auth().claimed();
        let Some(sender) = sender else { return Session { claimed, ..Session::default() } };
        let recovery_codes = site.auth().recovery_codes(&sender);
        let Principal { name, rights, needs_second_factor, .. } = sender;
        let everywhere = rights.privileges(None);
        let seen = site.seats().keys().filter(|seat| rights.may(Privilege::View, Some(seat)));
        let seats = seen.map(|seat| (seat.clone(), rights.privileges(Some(seat)).list())).collect();
        let (user, role, privileges) = (name.as_str().to_string(), everywhere.role(), everywhere.list());
        Session { claimed, user: Some(user), role, privileges, seats, needs_second_factor, recovery_codes }
    }

    /// Of somebody who has just come in, with this secret.
    fn begun(site: &Site, bearer: &Bearer) -> Begun {
        let secret = bearer.reveal();
        let principal = site.auth().recognise(&Credential::Cookie(secret.clone())).ok();
        Begun { secret, session: Session::new(site, principal) }
    }
}

/// Who claims the device, with what stands on its console.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    code: String,
    user: String,
    password: String,
}

/// Who logs in.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    user: String,
    password: String,
    /// A code of the second factor, of who has one.
    otp: Option<String>,
}

/// A session that has begun: its cookie, and what the page shows.
pub struct Begun {
    secret: String,
    session: Session,
}

/// A session that has ended: nothing, and no cookie any more.
pub struct Ended;

impl Answers for Begun {
    const ANSWERED: Answered = Shown::<Session>::ANSWERED;

    fn give(self, asked: &HeaderMap) -> Result<Response<Body>, Problem> {
        let mut response = Shown(self.session).give(asked)?;
        response.headers_mut().insert(SET_COOKIE, cookie(&self.secret, ""));
        Ok(response)
    }
}

impl Answers for Ended {
    const ANSWERED: Answered = Done::ANSWERED;

    fn give(self, asked: &HeaderMap) -> Result<Response<Body>, Problem> {
        let mut response = Done.give(asked)?;
        response.headers_mut().insert(SET_COOKIE, cookie("", "; Max-Age=0"));
        Ok(response)
    }
}

fn cookie(secret: &str, more: &str) -> HeaderValue {
    let text = format!("{SESSION_COOKIE}={secret}; Secure; HttpOnly; SameSite=Strict; Path=/{more}");
    HeaderValue::try_from(text).expect("hexadecimal digits and constants fit a header")
}

impl Endpoint for ShowSession {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/session");
    const ACCESS: Access = Access::Public;
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "says whether the device has an owner, and who the sender is";
    const ERRORS: &'static [&'static Code] = &[codes::UNWELL];
    type Caller = Anyone;
    type Accepts = Nothing;
    type Answers = Shown<Session>;

    async fn act(context: Context<Anyone>, _: Nothing) -> Result<Shown<Session>, Problem> {
        readable(&context.site)?;
        let principal = context.site.auth().recognise(&context.credential).ok();
        if let Some(principal) = &principal {
            context.connection.mark_authenticated();
            principal.lease().see(context.connection.peer());
        }
        Ok(Shown(Session::new(&context.site, principal)))
    }
}

impl Endpoint for Claim {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/claim");
    const ACCESS: Access = Access::Public;
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "makes the first administrator, and logs them in";
    const ERRORS: &'static [&'static Code] = &[
        codes::UNWELL,
        codes::CLAIMED,
        codes::WRONG_CODE,
        codes::TOO_MANY_TRIES,
        codes::BAD_NAME,
        codes::WEAK_PASSWORD,
        codes::NOT_STORED,
    ];
    type Caller = Anyone;
    type Accepts = Json<ClaimRequest, STRANGERS>;
    type Answers = Begun;

    async fn act(context: Context<Anyone>, Json(request): Self::Accepts) -> Result<Begun, Problem> {
        let Context { site, connection, head, .. } = context;
        readable(&site)?;
        if site.auth().claimed() {
            return Err(AuthError::Claimed.into());
        }
        let ClaimRequest { code, user, password } = request;
        let bearer = site.auth().claim(visitor(&connection, &head), &code, &user, &password).await?;
        connection.mark_authenticated();
        Ok(Session::begun(&site, &bearer))
    }
}

impl Endpoint for Login {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/login");
    const ACCESS: Access = Access::Public;
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "logs somebody in; a session that the same browser had before ends";
    const ERRORS: &'static [&'static Code] = &[
        codes::UNWELL,
        codes::UNCLAIMED,
        codes::WRONG_PASSWORD,
        codes::OTP_NEEDED,
        codes::WRONG_OTP,
        codes::TOO_MANY_TRIES,
        codes::BAD_NAME,
        codes::NOT_STORED,
    ];
    type Caller = Anyone;
    type Accepts = Json<LoginRequest, STRANGERS>;
    type Answers = Begun;

    async fn act(context: Context<Anyone>, Json(request): Self::Accepts) -> Result<Begun, Problem> {
        let Context { site, connection, credential, head, .. } = context;
        readable(&site)?;
        let LoginRequest { user, password, otp } = request;
        let bearer = site.auth().login(visitor(&connection, &head), &user, &password, otp.as_deref()).await?;
        connection.mark_authenticated();
        if let Credential::Cookie(_) = credential
            && let Ok(before) = site.auth().recognise(&credential)
        {
            site.auth().logout(&before.coming_from(connection.peer()));
        }
        Ok(Session::begun(&site, &bearer))
    }
}

impl Endpoint for Logout {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/logout");
    const ACCESS: Access = Access::Enrolling;
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "ends the session, its sockets and its streams";
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Ended;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Ended, Problem> {
        let Person(principal) = context.caller;
        context.site.auth().logout(&principal);
        Ok(Ended)
    }
}

fn visitor(connection: &Connection, head: &Parts) -> Visitor {
    let browser = head.headers.get(USER_AGENT).and_then(|name| Browser::new(name.as_bytes()));
    Visitor { address: connection.peer(), browser }
}
