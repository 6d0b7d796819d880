//! Tells of the appliance itself, and restarts or resets it, for one request at a time.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::appliance::control::ControlError;
use crate::appliance::status::{System, status};
use crate::auth::role::Privilege;
use crate::net::http::accepts::{MEMBERS, Moment, Nothing, Timed, TimedJson};
use crate::net::http::answers::{Begun, Empty, Shown};
use crate::net::http::caller::Person;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::{ApiError, Problem};
use crate::net::http::row::Row;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<ShowSystem>(), Row::of::<Restart>(), Row::of::<FactoryReset>()];

/// Why an appliance may not restart now.
const NOT_NOW: &[&Code] = &[
    codes::BUSY,
    codes::RESTARTING,
    codes::SIMULATED,
    codes::HANDS_AWAY,
    codes::NOT_RESTARTED,
    codes::NOT_STORED,
    codes::FLOODED,
];

struct ShowSystem;
struct Restart;
struct FactoryReset;

/// The name of the device that is to forget.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetRequest {
    confirm: String,
    /// When it was asked for, in milliseconds by the daemon's `clock`. What comes late is refused.
    at: Option<u64>,
}

impl Timed for ResetRequest {
    fn at(&self) -> Option<u64> {
        self.at
    }
}

impl ApiError for ControlError {
    fn code(&self) -> &'static Code {
        match self {
            ControlError::Denied(denied) => denied.code(),
            ControlError::WrongName(_) => codes::NOT_CONFIRMED,
            ControlError::Appliance(error) => error.code(),
            ControlError::Hands(error) => error.code(),
        }
    }
}

impl Endpoint for ShowSystem {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/system");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "tells of the appliance itself";
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Shown<System>;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Shown<System>, Problem> {
        let site = context.site;
        let update_from = site.fetcher().map(|fetcher| fetcher.from().to_string());
        let audit = site.auth().trail().status();
        Ok(Shown(status(site.system(), &site.folders().run, update_from, audit).await))
    }
}

impl Endpoint for Restart {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/restart");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "releases all keys, opens all relays and restarts the appliance";
    const ERRORS: &'static [&'static Code] = NOT_NOW;
    type Caller = Person;
    type Accepts = Moment;
    type Answers = Begun<Empty>;

    async fn act(context: Context<Person>, _: Moment) -> Result<Begun<Empty>, Problem> {
        context.site.appliance().restart(&context.caller.0).await?;
        Ok(Begun(Empty {}))
    }
}

impl Endpoint for FactoryReset {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/factory-reset");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "restarts the appliance, and forgets everything but what is installed";
    const ERRORS: &'static [&'static Code] = &[
        codes::NOT_CONFIRMED,
        codes::BUSY,
        codes::RESTARTING,
        codes::SIMULATED,
        codes::HANDS_AWAY,
        codes::NOT_RESTARTED,
        codes::NOT_STORED,
        codes::FLOODED,
    ];
    type Caller = Person;
    type Accepts = TimedJson<ResetRequest, MEMBERS>;
    type Answers = Begun<Empty>;

    async fn act(context: Context<Person>, TimedJson(request): Self::Accepts) -> Result<Begun<Empty>, Problem> {
        context.site.appliance().factory_reset(&context.caller.0, &request.confirm).await?;
        Ok(Begun(Empty {}))
    }
}
