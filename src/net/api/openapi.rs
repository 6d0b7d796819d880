//! Gives the description of all that can be asked for, as a machine reads it.

use hyper::Response;
use hyper::header::HeaderMap;

use crate::net::http::accepts::Nothing;
use crate::net::http::answers::{Answered, Answers, JSON, tagged};
use crate::net::http::body::Body;
use crate::net::http::caller::Anyone;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::Problem;
use crate::net::http::row::Row;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<ShowDescription>()];

/// What `farhand openapi` prints. It is checked in, so that a change of the interface shows as one.
pub const DESCRIPTION: &str = include_str!("../../../docs/openapi.json");

struct ShowDescription;

/// The description, as it is checked in.
pub struct Description;

impl Answers for Description {
    const ANSWERED: Answered = Answered::ok(JSON);

    fn give(self, asked: &HeaderMap) -> Result<Response<Body>, Problem> {
        tagged(asked, JSON, DESCRIPTION.into())
    }
}

impl Endpoint for ShowDescription {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/openapi.json");
    const ACCESS: Access = Access::Public;
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "gives this description";
    const ERRORS: &'static [&'static Code] = &[codes::CHANGED];
    type Caller = Anyone;
    type Accepts = Nothing;
    type Answers = Description;

    async fn act(_: Context<Anyone>, _: Nothing) -> Result<Description, Problem> {
        Ok(Description)
    }
}
