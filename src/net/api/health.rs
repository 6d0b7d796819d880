//! Says whether every part moves: nothing that a stranger could use.

use std::time::Instant;

use schemars::JsonSchema;
use serde::Serialize;

use crate::base::heartbeat::STALLED_AFTER;
use crate::net::http::accepts::Nothing;
use crate::net::http::answers::Shown;
use crate::net::http::caller::Anyone;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::{ApiError, Problem};
use crate::net::http::row::Row;
use crate::net::site::{Mode, Site};

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<ShowHealth>()];

struct ShowHealth;

/// That every part moves.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Health {
    ok: bool,
}

/// Why we are not well. Paths and what the kernel says of them are for the log.
#[derive(Debug, thiserror::Error)]
pub enum Unwell {
    /// The other process is away, or hangs.
    #[error("nothing has been heard of the process that holds keyboard and relays for {still} s", still = STALLED_AFTER.as_secs())]
    Hands,
    /// A service kept on crashing, or hung.
    #[error("rescue mode: a service kept on crashing, or hung, so there is neither picture nor keyboard")]
    Rescue,
    /// The same, and there is nothing to know an owner by.
    #[error(
        "rescue mode: storage cannot be read, so nobody can log in; see the log of serve on the console; restart, or write \
         the card again"
    )]
    Storage,
}

impl ApiError for Unwell {
    fn code(&self) -> &'static Code {
        codes::UNWELL
    }
}

impl Endpoint for ShowHealth {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/health");
    const ACCESS: Access = Access::Public;
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "says whether every part moves";
    const ERRORS: &'static [&'static Code] = &[codes::UNWELL];
    type Caller = Anyone;
    type Accepts = Nothing;
    type Answers = Shown<Health>;

    async fn act(context: Context<Anyone>, _: Nothing) -> Result<Shown<Health>, Problem> {
        Ok(Shown(health(&context.site, Instant::now())?))
    }
}

/// Whether every part has moved lately.
pub fn health(site: &Site, now: Instant) -> Result<Health, Unwell> {
    readable(site)?;
    if site.mode() == Mode::Rescue {
        return Err(Unwell::Rescue);
    }
    // A capture driver that hangs is none of this: the seat's status says so, and keyboard and relays go on.
    if STALLED_AFTER <= site.hands().silence(now) { Err(Unwell::Hands) } else { Ok(Health { ok: true }) }
}

/// Whether there is anything to know people by.
pub fn readable(site: &Site) -> Result<(), Unwell> {
    if site.mode() == Mode::RescueWithoutStorage { Err(Unwell::Storage) } else { Ok(()) }
}
