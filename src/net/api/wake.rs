//! Wakes a target that sleeps.

use crate::auth::role::Privilege;
use crate::net::http::accepts::Moment;
use crate::net::http::answers::{Begun, Empty};
use crate::net::http::caller::Seated;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::Problem;
use crate::net::http::row::Row;
use crate::seat::control::Control;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<Wake>()];

struct Wake;

impl Endpoint for Wake {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/seats/{seat}/wake");
    const ACCESS: Access = Access::Needs(Privilege::Input);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "signals a target that sleeps to wake up, and answers once that is done";
    const ERRORS: &'static [&'static Code] =
        &[codes::NOT_ASLEEP, codes::CANNOT_WAKE, codes::USB_UNPLUGGED, codes::HANDS_AWAY, codes::FLOODED];
    type Caller = Seated;
    type Accepts = Moment;
    type Answers = Begun<Empty>;

    async fn act(context: Context<Seated>, _: Moment) -> Result<Begun<Empty>, Problem> {
        let Seated { principal, seat } = context.caller;
        Control::of(&seat, context.site.hands()).wake(&principal).await?;
        Ok(Begun(Empty {}))
    }
}
