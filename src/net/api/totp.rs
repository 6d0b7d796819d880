//! Sets second factors up and takes them away.

use qrcode::QrCode;
use qrcode::render::svg::Color;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::appliance::status::hostname;
use crate::auth::rights::{self, Denied};
use crate::auth::role::Privilege;
use crate::auth::totp::RecoveryCode;
use crate::net::api::users::Who;
use crate::net::http::accepts::{BodyError, Json, MEMBERS};
use crate::net::http::answers::{Done, Shown};
use crate::net::http::caller::About;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::Problem;
use crate::net::http::row::Row;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<BeginTotp>(), Row::of::<ConfirmTotp>(), Row::of::<RemoveTotp>()];

struct BeginTotp;
struct ConfirmTotp;
struct RemoveTotp;

/// Somebody's own password as it is now, and a code where they have a second factor already.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotpBegin {
    password: String,
    otp: Option<String>,
}

/// What an authenticator has to know, shown this once.
#[derive(JsonSchema, Serialize)]
pub struct TotpSecret {
    /// For typing, in base 32.
    secret: String,
    /// For an authenticator on the same device.
    uri: String,
    /// The same as a QR code, a picture in SVG.
    svg: String,
}

/// What the authenticator shows.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotpConfirm {
    code: String,
}

/// Codes that open once each, shown this once.
#[derive(JsonSchema, Serialize)]
pub struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

/// Whose second factor goes: one's own with the password and a code, somebody else's without.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotpRemove {
    password: Option<String>,
    otp: Option<String>,
}

/// A QR code of this address. Medium correction: a screen has no scratches.
fn svg(uri: &str) -> String {
    let code = QrCode::new(uri).expect("a name, a host name and a secret are far shorter than what a QR code holds");
    code.render::<Color>().min_dimensions(240, 240).build()
}

impl Endpoint for BeginTotp {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/users/{user}/totp");
    const ACCESS: Access = Access::Enrolling;
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "shows the sender a new secret for their authenticator, this once";
    const ERRORS: &'static [&'static Code] = &[
        codes::NOT_ALLOWED,
        codes::NOT_YOUR_PASSWORD,
        codes::OTP_NEEDED,
        codes::WRONG_OTP,
        codes::TOO_MANY_TRIES,
        codes::NOT_STORED,
    ];
    type Caller = About<Who>;
    type Accepts = Json<TotpBegin, MEMBERS>;
    type Answers = Shown<TotpSecret>;

    async fn act(context: Context<About<Who>>, Json(request): Self::Accepts) -> Result<Shown<TotpSecret>, Problem> {
        let About { principal: by, named } = context.caller;
        if !by.is(&named) {
            return Err(Denied::NotAllowed.into());
        }
        let peer = context.connection.peer();
        let TotpBegin { password, otp } = request;
        let auth = context.site.auth();
        let secret = auth.begin_second_factor(peer, &by, &named, &password, otp.as_deref()).await?;
        let uri = secret.uri(&format!("Farhand {}", hostname()), named.as_str());
        Ok(Shown(TotpSecret { secret: secret.reveal(), svg: svg(&uri), uri }))
    }
}

impl Endpoint for ConfirmTotp {
    const AT: (Method, &'static str) = (Method::Put, "/api/v1/users/{user}/totp");
    const ACCESS: Access = Access::Enrolling;
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "puts the secret into force by a code of it, and shows recovery codes, this once";
    const ERRORS: &'static [&'static Code] =
        &[codes::NOT_ALLOWED, codes::NOT_BEGUN, codes::WRONG_OTP, codes::TOO_MANY_TRIES, codes::NOT_STORED];
    type Caller = About<Who>;
    type Accepts = Json<TotpConfirm, MEMBERS>;
    type Answers = Shown<RecoveryCodes>;

    async fn act(context: Context<About<Who>>, Json(request): Self::Accepts) -> Result<Shown<RecoveryCodes>, Problem> {
        let About { principal: by, named } = context.caller;
        if !by.is(&named) {
            return Err(Denied::NotAllowed.into());
        }
        let peer = context.connection.peer();
        let codes = context.site.auth().confirm_second_factor(peer, &by, &named, &request.code).await?;
        Ok(Shown(RecoveryCodes { recovery_codes: codes.iter().map(RecoveryCode::reveal).collect() }))
    }
}

impl Endpoint for RemoveTotp {
    const AT: (Method, &'static str) = (Method::Delete, "/api/v1/users/{user}/totp");
    const ACCESS: Access = Access::Session;
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "takes a second factor away: one's own, or another's with the privilege users";
    const ERRORS: &'static [&'static Code] = &[
        codes::NOT_ALLOWED,
        codes::NOT_YOUR_PASSWORD,
        codes::OTP_NEEDED,
        codes::WRONG_OTP,
        codes::TOO_MANY_TRIES,
        codes::NOT_STORED,
    ];
    type Caller = About<Who>;
    type Accepts = Json<TotpRemove, MEMBERS>;
    type Answers = Done;

    async fn act(context: Context<About<Who>>, Json(request): Self::Accepts) -> Result<Done, Problem> {
        let About { principal: by, named } = context.caller;
        let auth = context.site.auth();
        if !by.is(&named) {
            rights::check(&by, Privilege::Users, None)?;
            auth.remove_second_factor(&by, &named).await?;
            return Ok(Done);
        }
        let password = request.password.ok_or_else(|| BodyError::Malformed("give password, your own".into()))?;
        let peer = context.connection.peer();
        auth.remove_own_second_factor(peer, &by, &named, &password, request.otp.as_deref()).await?;
        Ok(Done)
    }
}
