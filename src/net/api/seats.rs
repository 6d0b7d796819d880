//! Shows the seats with their status.

use std::time::Instant;

use schemars::JsonSchema;
use serde::Serialize;

use crate::auth::role::Privilege;
use crate::bus::SeatBus;
use crate::net::http::accepts::Nothing;
use crate::net::http::answers::Shown;
use crate::net::http::caller::{Person, Seated};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::Problem;
use crate::net::http::row::Row;
use crate::net::ws::messages::Status;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<ListSeats>(), Row::of::<ShowSeat>()];

struct ListSeats;
struct ShowSeat;

/// Every seat's status.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Seats {
    seats: Vec<Status>,
}

impl Endpoint for ListSeats {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/seats");
    const ACCESS: Access = Access::Session;
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "lists the seats that the sender may see";
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Shown<Seats>;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Shown<Seats>, Problem> {
        let (Person(principal), clock) = (&context.caller, context.site.clock());
        let seats = context.site.seats().values();
        let seen = seats.filter(|bus| principal.may(Privilege::View, Some(&bus.seat)));
        Ok(Shown(Seats { seats: seen.map(|bus| status(bus, clock)).collect() }))
    }
}

impl Endpoint for ShowSeat {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/seats/{seat}");
    const ACCESS: Access = Access::Needs(Privilege::View);
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "shows a seat's status";
    type Caller = Seated;
    type Accepts = Nothing;
    type Answers = Shown<Status>;

    async fn act(context: Context<Seated>, _: Nothing) -> Result<Shown<Status>, Problem> {
        Ok(Shown(status(&context.caller.seat, context.site.clock())))
    }
}

fn status(bus: &SeatBus, clock: u64) -> Status {
    Status::new(&bus.seat, bus.status.now(), Instant::now(), clock)
}
