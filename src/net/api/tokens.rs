//! Shows, makes and deletes tokens, by which programs are known.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::accounts::{AccountError, Name};
use crate::auth::authenticator::AuthError;
use crate::auth::clock::rfc3339;
use crate::auth::extent::Extent;
use crate::auth::role::{Privilege, Role};
use crate::auth::tokens::Listed;
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
pub const ROWS: &[Row] = &[Row::of::<ListTokens>(), Row::of::<MakeToken>(), Row::of::<DeleteToken>()];

struct ListTokens;
struct MakeToken;
struct DeleteToken;

/// A token, where the path names one.
#[derive(Debug)]
struct Which;

impl Parameter for Which {
    const NAME: &'static str = "token";
    const UNKNOWN: Unknown = Unknown {
        code: codes::UNKNOWN_TOKEN,
        message: "there is no token of this name; GET /api/v1/tokens lists them",
    };
    type Value = Name;
}

/// Every token, by name.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Tokens {
    tokens: Vec<ListedToken>,
}

/// A token without its secret, which nobody has any more but the program.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ListedToken {
    name: String,
    /// Who made it, or made the token that made it; null if that is not known.
    by: Option<String>,
    /// The role that it was made with; null if privileges were named.
    role: Option<Role>,
    /// What it may do. Nothing, if a newer version made it for what is not known here: it lets nobody in.
    privileges: Vec<Privilege>,
    /// At which seats; null for all.
    seats: Option<Vec<String>>,
    /// A time as RFC 3339 has it, as are all.
    made: Option<String>,
    /// The hour in which it was last used; null if it has not been.
    used: Option<String>,
    expires: Option<String>,
    /// Whether its time is over. It is listed until another token needs the room.
    expired: bool,
}

impl From<Listed> for ListedToken {
    fn from(listed: Listed) -> ListedToken {
        let extent = listed.extent.as_ref();
        let seats = extent.and_then(Extent::seats);
        ListedToken {
            name: listed.name.as_str().to_string(),
            by: listed.by.map(|by| by.as_str().to_string()),
            role: extent.and_then(Extent::role),
            privileges: extent.map(Extent::privileges).unwrap_or_default(),
            seats: seats.map(|seats| seats.iter().map(|seat| seat.as_str().to_string()).collect()),
            made: listed.made.map(rfc3339),
            used: listed.used.map(rfc3339),
            expires: listed.expires.map(rfc3339),
            expired: listed.expired,
        }
    }
}

/// Whom a token is for, what it may do, and until when.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    name: String,
    /// All that a role includes, everywhere; or else `privileges`.
    role: Option<Role>,
    privileges: Option<Vec<Privilege>>,
    /// At which seats the privileges hold; at all, if none is named.
    seats: Option<BTreeSet<SeatId>>,
    expires: Option<String>,
}

/// A fresh token, shown this once.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Token {
    token: String,
}

/// What a token is to be for.
fn extent(
    site: &Site,
    role: Option<Role>,
    privileges: Option<Vec<Privilege>>,
    seats: Option<BTreeSet<SeatId>>,
) -> Result<Extent, Problem> {
    match (role, privileges, seats) {
        (Some(role), None, None) => Ok(role.into()),
        (None, Some(privileges), seats) => {
            // In rescue mode there are none, and nobody can say what they are called.
            let known = site.seats();
            if !known.is_empty() && seats.iter().flatten().any(|seat| !known.contains_key(seat)) {
                return Err(SEAT.unknown.into());
            }
            Ok(Extent::scope(&privileges, seats).ok_or(AuthError::Account(AccountError::Scope))?)
        }
        _ => Err(BodyError::Malformed("give role alone, or privileges and, for some seats, seats".into()).into()),
    }
}

impl Endpoint for ListTokens {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/tokens");
    const ACCESS: Access = Access::Needs(Privilege::Users);
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "lists the tokens, without what opens anything";
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Shown<Tokens>;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Shown<Tokens>, Problem> {
        let listed = context.site.auth().tokens();
        Ok(Shown(Tokens { tokens: listed.into_iter().map(ListedToken::from).collect() }))
    }
}

impl Endpoint for MakeToken {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/tokens");
    const ACCESS: Access = Access::Needs(Privilege::Users);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "makes a token, which is shown this once; one of the same name stops working";
    const ERRORS: &'static [&'static Code] = &[
        codes::BAD_NAME,
        codes::BAD_SCOPE,
        codes::UNKNOWN_SEAT,
        codes::BAD_TIME,
        codes::TOO_MANY_TOKENS,
        codes::NOT_STORED,
    ];
    type Caller = Person;
    type Accepts = Json<TokenRequest, MEMBERS>;
    type Answers = Shown<Token>;

    async fn act(context: Context<Person>, Json(request): Self::Accepts) -> Result<Shown<Token>, Problem> {
        let (TokenRequest { name, role, privileges, seats, expires }, Person(by)) = (request, context.caller);
        let name = Name::try_from(name).map_err(AuthError::from)?;
        let extent = extent(&context.site, role, privileges, seats)?;
        let expires = expires.map(|text| humantime::parse_rfc3339(&text)).transpose();
        let expires = expires
            .map_err(|_| BodyError::Malformed("expires must be a time such as 2030-01-31T12:00:00Z, or null".into()))?;
        let bearer = context.site.auth().make_token(&by, name, extent, expires).await?;
        Ok(Shown(Token { token: bearer.reveal() }))
    }
}

impl Endpoint for DeleteToken {
    const AT: (Method, &'static str) = (Method::Delete, "/api/v1/tokens/{token}");
    const ACCESS: Access = Access::Needs(Privilege::Users);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "deletes a token; its sockets and its streams end";
    const ERRORS: &'static [&'static Code] = &[codes::NOT_STORED];
    type Caller = About<Which>;
    type Accepts = Nothing;
    type Answers = Done;

    async fn act(context: Context<About<Which>>, _: Nothing) -> Result<Done, Problem> {
        let About { principal: by, named } = context.caller;
        context.site.auth().delete_token(&by, &named).await?;
        Ok(Done)
    }
}
