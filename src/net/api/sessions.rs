//! Shows who is logged in from where, and ends sessions.

use schemars::JsonSchema;
use serde::Serialize;

use crate::auth::clock::rfc3339;
use crate::auth::lease::Key;
use crate::auth::principal::Principal;
use crate::auth::secret::SessionId;
use crate::auth::sessions::Listed;
use crate::net::http::accepts::Nothing;
use crate::net::http::answers::{Done, Shown};
use crate::net::http::caller::{About, Person};
use crate::net::http::codes;
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::parameter::{Parameter, Unknown};
use crate::net::http::problem::Problem;
use crate::net::http::row::Row;
use crate::net::site::Site;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<ListSessions>(), Row::of::<EndOthers>(), Row::of::<EndSession>()];

struct ListSessions;
struct EndOthers;
struct EndSession;

/// The sessions that the sender may see, oldest first.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Sessions {
    sessions: Vec<Session>,
}

/// Somebody who is logged in.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ListedSession")]
pub struct Session {
    /// What it is called here; it opens nothing.
    id: String,
    user: String,
    /// When it began: a time as RFC 3339 has it, as are all.
    began: String,
    /// From which address it began.
    began_from: String,
    /// When a request or an input last came with it, to the minute.
    used: String,
    /// From which address a request last came with it.
    used_from: String,
    /// How the program that logged in calls itself: a stranger's text, of visible ASCII.
    browser: Option<String>,
    /// Whether it is the one that the sender came with.
    own: bool,
    /// Whether somebody watches with it now.
    watching: bool,
}

impl Session {
    fn new(site: &Site, sender: &Principal, listed: &Listed) -> Session {
        let (time, key) = (|since_boot| rfc3339(site.auth().date(since_boot)), Key::Session(listed.secret));
        Session {
            id: listed.secret.id().as_str().to_string(),
            user: listed.user.as_str().to_string(),
            began: time(listed.began),
            began_from: listed.visitor.address.to_string(),
            used: time(listed.used),
            used_from: listed.used_from.to_string(),
            browser: listed.visitor.browser.as_ref().map(|browser| browser.as_str().to_string()),
            own: key == sender.key(),
            watching: site.places().has(key),
        }
    }
}

/// A session, where the path names one.
#[derive(Debug)]
struct Which;

impl Parameter for Which {
    const NAME: &'static str = "session";
    const UNKNOWN: Unknown = Unknown {
        code: codes::UNKNOWN_SESSION,
        message: "you have no session of this name; GET /api/v1/sessions lists them",
    };
    type Value = SessionId;
}

impl Endpoint for ListSessions {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/sessions");
    const ACCESS: Access = Access::Session;
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "lists the sender's sessions, and everybody's for those who may let others in";
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Shown<Sessions>;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Shown<Sessions>, Problem> {
        let (Person(sender), site) = (&context.caller, &context.site);
        let listed = site.auth().sessions(sender);
        Ok(Shown(Sessions { sessions: listed.iter().map(|listed| Session::new(site, sender, listed)).collect() }))
    }
}

impl Endpoint for EndOthers {
    const AT: (Method, &'static str) = (Method::Delete, "/api/v1/sessions");
    const ACCESS: Access = Access::Session;
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "ends all sessions of the sender's but the one that they came with";
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Done;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Done, Problem> {
        let Person(sender) = context.caller;
        context.site.auth().end_other_sessions(&sender).await;
        Ok(Done)
    }
}

impl Endpoint for EndSession {
    const AT: (Method, &'static str) = (Method::Delete, "/api/v1/sessions/{session}");
    const ACCESS: Access = Access::Session;
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "ends a session, its sockets and its streams";
    type Caller = About<Which>;
    type Accepts = Nothing;
    type Answers = Done;

    async fn act(context: Context<About<Which>>, _: Nothing) -> Result<Done, Problem> {
        let About { principal, named } = context.caller;
        if !context.site.auth().end_session(&principal, &named).await {
            return Err(Which::UNKNOWN.into());
        }
        Ok(Done)
    }
}
