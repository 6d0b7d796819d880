//! Types a chord or a text on a target's keyboard.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::auth::role::Privilege;
use crate::hands::client::{HandsError, Owner};
use crate::net::http::accepts::{BodyError, Timed, TimedJson};
use crate::net::http::answers::Shown;
use crate::net::http::caller::Seated;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::{ApiError, Problem};
use crate::net::http::row::Row;
use crate::seat::control::{Control, ControlError};

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<Type>()];

struct Type;

/// The longest body: a text to check, with as much again for what JSON escapes.
const TEXTS: u64 = 1024 * 1024;

/// Either chord or text.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysRequest {
    chord: Option<Vec<String>>,
    text: Option<String>,
    /// Whether to say only if it can be typed, and type nothing. A text may be longer then.
    #[serde(default)]
    check: bool,
    /// When it was asked for, in milliseconds by the daemon's `clock`. What comes late is refused.
    at: Option<u64>,
}

/// How much was typed: keys of a chord, or characters; nothing if it was only checked.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Typed {
    typed: usize,
    /// By our clock now: what waited for this may say that it was asked for then.
    clock: u64,
}

impl Timed for KeysRequest {
    fn at(&self) -> Option<u64> {
        self.at
    }
}

impl ApiError for HandsError {
    fn code(&self) -> &'static Code {
        match self {
            HandsError::Away => codes::HANDS_AWAY,
            HandsError::Unplugged | HandsError::Stale => codes::USB_UNPLUGGED,
            HandsError::Flooded | HandsError::TooMany | HandsError::CutShort => codes::FLOODED,
            HandsError::Busy(_) => codes::BUSY,
            HandsError::NoRelay(_) => codes::NO_RELAY,
            HandsError::Length | HandsError::TooLong => codes::MALFORMED,
            HandsError::Relay(_) => codes::RELAY_FAILED,
            HandsError::Awake => codes::NOT_ASLEEP,
            HandsError::NotArmed | HandsError::CannotWake(_) => codes::CANNOT_WAKE,
            HandsError::Appliance(error) => error.code(),
        }
    }
}

impl ApiError for ControlError {
    fn code(&self) -> &'static Code {
        match self {
            ControlError::Denied(denied) => denied.code(),
            ControlError::HoldLength
            | ControlError::ChordLength
            | ControlError::TextLength
            | ControlError::CheckLength => codes::MALFORMED,
            ControlError::UnknownKey(_) | ControlError::Untypable(_) => codes::CANNOT_TYPE,
            ControlError::Late => codes::LATE,
            ControlError::Hands(error) => error.code(),
        }
    }

    fn detail(&self) -> Option<serde_json::Value> {
        let ControlError::Untypable(untypable) = self else { return None };
        let characters = untypable.characters();
        Some(characters.map(|(character, name)| json!({ "character": character, "name": name })).collect())
    }
}

impl Endpoint for Type {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/seats/{seat}/keys");
    const ACCESS: Access = Access::Needs(Privilege::Input);
    // Nobody types on behind the back of somebody who has gone.
    const SEMANTICS: Semantics = Semantics::ACTS.ending_with_client().logging_itself();
    const SUMMARY: &'static str = "types a chord or a text, and answers when the target has taken the last of it";
    const ERRORS: &'static [&'static Code] =
        &[codes::CANNOT_TYPE, codes::HANDS_AWAY, codes::USB_UNPLUGGED, codes::FLOODED];
    type Caller = Seated;
    type Accepts = TimedJson<KeysRequest, TEXTS>;
    type Answers = Shown<Typed>;

    async fn act(context: Context<Seated>, TimedJson(request): Self::Accepts) -> Result<Shown<Typed>, Problem> {
        let Context { site, caller: Seated { principal, seat }, .. } = context;
        let (control, owner) = (Control::of(&seat, site.hands()), Owner(site.next_id()));
        let typed = match request {
            KeysRequest { chord: Some(codes), text: None, check: true, .. } => {
                control.check_chord(&principal, &codes)?;
                0
            }
            KeysRequest { chord: None, text: Some(text), check: true, .. } => {
                control.check_text(&principal, &text)?;
                0
            }
            KeysRequest { chord: Some(codes), text: None, .. } => control.chord(&principal, owner, &codes).await?,
            KeysRequest { chord: None, text: Some(text), .. } => control.type_text(&principal, owner, &text).await?,
            _ => return Err(BodyError::Malformed("give either chord or text".into()).into()),
        };
        Ok(Shown(Typed { typed, clock: site.clock() }))
    }
}
