//! Makes tokens, by which programs are known.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::accounts::Name;
use crate::auth::authenticator::AuthError;
use crate::auth::role::{Privilege, Role};
use crate::net::http::accepts::{BodyError, Json, MEMBERS};
use crate::net::http::answers::Shown;
use crate::net::http::caller::Person;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::Problem;
use crate::net::http::row::Row;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<MakeToken>()];

struct MakeToken;

/// Whom a token is for, and until when.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    name: String,
    role: Role,
    expires: Option<String>,
}

/// A fresh token, shown this once.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Token {
    token: String,
}

impl Endpoint for MakeToken {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/tokens");
    const ACCESS: Access = Access::Needs(Privilege::Users);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "makes a token, which is shown this once; one of the same name stops working";
    const ERRORS: &'static [&'static Code] =
        &[codes::BAD_NAME, codes::BAD_TIME, codes::TOO_MANY_TOKENS, codes::NOT_STORED];
    type Caller = Person;
    type Accepts = Json<TokenRequest, MEMBERS>;
    type Answers = Shown<Token>;

    async fn act(context: Context<Person>, Json(request): Self::Accepts) -> Result<Shown<Token>, Problem> {
        let (TokenRequest { name, role, expires }, Person(by)) = (request, context.caller);
        let name = Name::try_from(name).map_err(AuthError::from)?;
        let expires = expires.map(|text| humantime::parse_rfc3339(&text)).transpose();
        let expires = expires
            .map_err(|_| BodyError::Malformed("expires must be a time such as 2030-01-31T12:00:00Z, or null".into()))?;
        let bearer = context.site.auth().make_token(&by, name, role, expires).await?;
        Ok(Shown(Token { token: bearer.reveal() }))
    }
}
