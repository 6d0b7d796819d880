//! Presses the buttons of a target's front panel.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::role::Privilege;
use crate::net::http::accepts::{BodyError, MEMBERS, Timed, TimedJson};
use crate::net::http::answers::Begun;
use crate::net::http::caller::Seated;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::Problem;
use crate::net::http::row::Row;
use crate::seat::control::{self, Control, ControlError};

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<PressButton>()];

struct PressButton;

/// Which button, and how long.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerRequest {
    press: Press,
    seconds: Option<f64>,
    /// When it was asked for, in milliseconds by the daemon's `clock`. What comes late is refused.
    at: Option<u64>,
}

/// What is done to a button.
#[derive(Debug, JsonSchema, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Press {
    /// The power button, for a moment.
    Tap,
    /// The power button, until the power goes off.
    Hold,
    /// The reset button, for a moment.
    Reset,
}

/// A press that has begun.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Pressed {
    press: Press,
    seconds: f64,
}

impl Timed for PowerRequest {
    fn at(&self) -> Option<u64> {
        self.at
    }
}

impl PowerRequest {
    fn press(&self) -> Result<control::Press, Problem> {
        match (self.press, self.seconds) {
            (Press::Hold, None) => Ok(control::Press::Hold(None)),
            (Press::Hold, Some(seconds)) => {
                let time = Duration::try_from_secs_f64(seconds).map_err(|_| ControlError::HoldLength)?;
                Ok(control::Press::Hold(Some(time)))
            }
            (Press::Tap, None) => Ok(control::Press::Tap),
            (Press::Reset, None) => Ok(control::Press::Reset),
            (Press::Tap | Press::Reset, Some(_)) => {
                Err(BodyError::Malformed("seconds goes with hold only".into()).into())
            }
        }
    }
}

impl Endpoint for PressButton {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/seats/{seat}/power");
    const ACCESS: Access = Access::Needs(Privilege::Power);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "presses a front-panel button, and answers once the relay is closed";
    const ERRORS: &'static [&'static Code] =
        &[codes::BUSY, codes::NO_RELAY, codes::RELAY_FAILED, codes::HANDS_AWAY, codes::FLOODED];
    type Caller = Seated;
    type Accepts = TimedJson<PowerRequest, MEMBERS>;
    type Answers = Begun<Pressed>;

    async fn act(context: Context<Seated>, TimedJson(request): Self::Accepts) -> Result<Begun<Pressed>, Problem> {
        let Seated { principal, seat } = context.caller;
        let time = Control::of(&seat, context.site.hands()).press(&principal, request.press()?).await?;
        Ok(Begun(Pressed { press: request.press, seconds: time.as_secs_f64() }))
    }
}
