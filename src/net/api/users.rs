//! Shows and changes who may come in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::accounts::Name;
use crate::auth::authenticator::AuthError;
use crate::auth::rights;
use crate::auth::role::{Privilege, Role};
use crate::auth::user::{Assignment, SeatRole};
use crate::auth::users::Listed;
use crate::base::seat_id::SeatId;
use crate::net::http::accepts::{BodyError, Json, MEMBERS, Nothing};
use crate::net::http::answers::{Done, Shown};
use crate::net::http::caller::{About, Person};
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::parameter::{Parameter, SEAT, Unknown};
use crate::net::http::problem::Problem;
use crate::net::http::row::Row;
use crate::net::site::Site;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[
    Row::of::<ListUsers>(),
    Row::of::<AddUser>(),
    Row::of::<DemandSecondFactor>(),
    Row::of::<ChangeUser>(),
    Row::of::<DeleteUser>(),
    Row::of::<SetPassword>(),
];

struct ListUsers;
struct AddUser;
struct DemandSecondFactor;
struct ChangeUser;
struct DeleteUser;
struct SetPassword;

/// A user, where the path names one.
#[derive(Debug)]
pub struct Who;

impl Parameter for Who {
    const NAME: &'static str = "user";
    const UNKNOWN: Unknown =
        Unknown { code: codes::UNKNOWN_USER, message: "there is no user of this name; GET /api/v1/users lists them" };
    type Value = Name;
}

/// Everybody, by name.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Users {
    /// Whether who has no second factor may do nothing but set one up.
    demand_second_factor: bool,
    users: Vec<User>,
}

impl Users {
    fn now(site: &Site) -> Users {
        let users = site.auth().users().into_iter().map(User::from).collect();
        Users { demand_second_factor: site.auth().demands_second_factor(), users }
    }
}

/// Somebody who may come in.
#[derive(Debug, JsonSchema, Serialize)]
pub struct User {
    name: String,
    /// What they are everywhere; null for somebody with rights at some seats alone.
    role: Option<Role>,
    /// What they are at each of these seats, and nothing elsewhere; null for somebody with a role.
    seats: Option<BTreeMap<SeatId, SeatRole>>,
    /// Whether they are not let in.
    disabled: bool,
    /// Whether they have a second factor.
    second_factor: bool,
}

impl From<Listed> for User {
    fn from(listed: Listed) -> User {
        let (role, seats) = match listed.assignment {
            Some(Assignment::Role(role)) => (Some(role), None),
            Some(Assignment::Seats(seats)) => (None, Some(seats)),
            None => (None, None),
        };
        let (name, second_factor) = (listed.name.as_str().to_string(), listed.recovery_codes.is_some());
        User { name, role, seats, disabled: listed.disabled, second_factor }
    }
}

/// Somebody to be let in, with a role or with rights at some seats.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRequest {
    name: String,
    role: Option<Role>,
    seats: Option<BTreeMap<SeatId, SeatRole>>,
    password: String,
}

/// What is to hold for everybody.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsersChange {
    demand_second_factor: bool,
}

/// What is to be another for somebody.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    role: Option<Role>,
    seats: Option<BTreeMap<SeatId, SeatRole>>,
    disabled: Option<bool>,
}

/// Another password, and who changes their own says the one before.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordRequest {
    password: String,
    old: Option<String>,
}

/// What somebody is to be given, if a request says so.
fn assignment(
    site: &Site,
    role: Option<Role>,
    seats: Option<BTreeMap<SeatId, SeatRole>>,
) -> Result<Option<Assignment>, Problem> {
    match (role, seats) {
        (None, None) => Ok(None),
        (Some(role), None) => Ok(Some(Assignment::Role(role))),
        (None, Some(seats)) if !seats.is_empty() => {
            // In rescue mode there are none, and nobody can say what they are called.
            let known = site.seats();
            if !known.is_empty() && seats.keys().any(|seat| !known.contains_key(seat)) {
                return Err(SEAT.unknown.into());
            }
            Ok(Some(Assignment::Seats(seats)))
        }
        _ => Err(BodyError::Malformed("give role, or seats with one seat at least, and not both".into()).into()),
    }
}

impl Endpoint for ListUsers {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/users");
    const ACCESS: Access = Access::Needs(Privilege::Users);
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "lists everybody who may come in";
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Shown<Users>;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Shown<Users>, Problem> {
        Ok(Shown(Users::now(&context.site)))
    }
}

impl Endpoint for AddUser {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/users");
    const ACCESS: Access = Access::Needs(Privilege::Users);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "adds somebody";
    const ERRORS: &'static [&'static Code] = &[
        codes::BAD_NAME,
        codes::WEAK_PASSWORD,
        codes::USER_EXISTS,
        codes::TOO_MANY_USERS,
        codes::UNKNOWN_SEAT,
        codes::TOO_MANY_TRIES,
        codes::NOT_STORED,
    ];
    type Caller = Person;
    type Accepts = Json<UserRequest, MEMBERS>;
    type Answers = Shown<User>;

    async fn act(context: Context<Person>, Json(request): Self::Accepts) -> Result<Shown<User>, Problem> {
        let (UserRequest { name, role, seats, password }, Person(by)) = (request, context.caller);
        let name = Name::try_from(name).map_err(AuthError::from)?;
        let assignment = assignment(&context.site, role, seats)?
            .ok_or_else(|| BodyError::Malformed("give role, or seats, for what they may do".into()))?;
        Ok(Shown(context.site.auth().add_user(&by, name, assignment, &password).await?.into()))
    }
}

impl Endpoint for DemandSecondFactor {
    const AT: (Method, &'static str) = (Method::Patch, "/api/v1/users");
    const ACCESS: Access = Access::Needs(Privilege::Users);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "says whether everybody must have a second factor";
    const ERRORS: &'static [&'static Code] = &[codes::NOT_STORED];
    type Caller = Person;
    type Accepts = Json<UsersChange, MEMBERS>;
    type Answers = Shown<Users>;

    async fn act(context: Context<Person>, Json(change): Self::Accepts) -> Result<Shown<Users>, Problem> {
        let Person(by) = context.caller;
        context.site.auth().demand_second_factor(&by, change.demand_second_factor).await?;
        Ok(Shown(Users::now(&context.site)))
    }
}

impl Endpoint for ChangeUser {
    const AT: (Method, &'static str) = (Method::Patch, "/api/v1/users/{user}");
    const ACCESS: Access = Access::Needs(Privilege::Users);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "changes what somebody may do; what they had by their account ends";
    const ERRORS: &'static [&'static Code] = &[codes::LAST_ADMINISTRATOR, codes::UNKNOWN_SEAT, codes::NOT_STORED];
    type Caller = About<Who>;
    type Accepts = Json<UserChange, MEMBERS>;
    type Answers = Shown<User>;

    async fn act(context: Context<About<Who>>, Json(change): Self::Accepts) -> Result<Shown<User>, Problem> {
        let (UserChange { role, seats, disabled }, About { principal: by, named }) = (change, context.caller);
        let assignment = assignment(&context.site, role, seats)?;
        if assignment.is_none() && disabled.is_none() {
            return Err(BodyError::Malformed("give role, seats or disabled".into()).into());
        }
        Ok(Shown(context.site.auth().change_user(&by, &named, assignment, disabled).await?.into()))
    }
}

impl Endpoint for DeleteUser {
    const AT: (Method, &'static str) = (Method::Delete, "/api/v1/users/{user}");
    const ACCESS: Access = Access::Needs(Privilege::Users);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "deletes somebody; what they had by their account ends";
    const ERRORS: &'static [&'static Code] = &[codes::LAST_ADMINISTRATOR, codes::NOT_STORED];
    type Caller = About<Who>;
    type Accepts = Nothing;
    type Answers = Done;

    async fn act(context: Context<About<Who>>, _: Nothing) -> Result<Done, Problem> {
        let About { principal: by, named } = context.caller;
        context.site.auth().delete_user(&by, &named).await?;
        Ok(Done)
    }
}

impl Endpoint for SetPassword {
    const AT: (Method, &'static str) = (Method::Put, "/api/v1/users/{user}/password");
    const ACCESS: Access = Access::Session;
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "gives somebody another password: oneself, or another with the privilege users";
    const ERRORS: &'static [&'static Code] =
        &[codes::NOT_ALLOWED, codes::NOT_YOUR_PASSWORD, codes::WEAK_PASSWORD, codes::TOO_MANY_TRIES, codes::NOT_STORED];
    type Caller = About<Who>;
    type Accepts = Json<PasswordRequest, MEMBERS>;
    type Answers = Done;

    async fn act(context: Context<About<Who>>, Json(request): Self::Accepts) -> Result<Done, Problem> {
        let About { principal: by, named } = context.caller;
        let (auth, PasswordRequest { password, old }) = (context.site.auth(), request);
        if !by.is(&named) {
            rights::check(&by, Privilege::Users, None)?;
            auth.set_password(&by, &named, &password).await?;
            return Ok(Done);
        }
        let old = old.ok_or_else(|| BodyError::Malformed("give old, the password as it is now".into()))?;
        auth.change_own_password(context.connection.peer(), &by, &named, &old, &password).await?;
        Ok(Done)
    }
}
