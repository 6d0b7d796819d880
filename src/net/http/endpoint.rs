//! Says what there is to know of one thing that can be asked for over HTTP.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use hyper::http::request::Parts;

use super::accepts::Accepts;
use super::answers::Answers;
use super::caller::Caller;
use super::codes::Code;
use super::connection::Connection;
use super::problem::Problem;
use crate::auth::principal::Credential;
use crate::auth::role::Privilege;
use crate::net::site::Site;

/// How it is asked for. `HEAD` and `OPTIONS` are answered for every path by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Shows something.
    Get,
    /// Does something.
    Post,
    /// Replaces something.
    Put,
    /// Changes a part of something.
    Patch,
    /// Removes something.
    Delete,
}

impl Method {
    /// As it stands in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, logged in or not.
    Public,
    /// Anyone who is logged in, also who has to set a second factor up before all else.
    Enrolling,
    /// Anyone who is logged in.
    Session,
    /// Those who have this privilege: at the seat, if the path names one.
    Needs(Privilege),
}

/// What using an endpoint means, as data: so that a test can walk it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Semantics {
    /// Whether it changes something. Such a request must come from our own page or from a program, prolongs the
    /// session, is written down, and is carried out to its end though its client hangs up.
    pub acts: bool,
    /// The exception to the last of these.
    pub ends_with_client: bool,
    /// Whether what it does writes down who did it, in words of its own. Then only a refusal is written down here.
    pub logs_itself: bool,
}

impl Semantics {
    /// Changes nothing: it ends with its client, and prolongs no session.
    pub const SHOWS: Semantics = Semantics { acts: false, ends_with_client: false, logs_itself: false };
    /// Changes something.
    pub const ACTS: Semantics = Semantics { acts: true, ends_with_client: false, logs_itself: false };

    /// The same, but written down by what it does.
    pub const fn logging_itself(self) -> Semantics {
        Semantics { logs_itself: true, ..self }
    }

    /// The same, but abandoned when its client hangs up.
    pub const fn ending_with_client(self) -> Semantics {
        Semantics { ends_with_client: true, ..self }
    }
}

/// One of the values that may stand behind the `?` of an address.
#[derive(Debug)]
pub struct Query {
    /// What it is called.
    pub name: &'static str,
    /// What it may be. It must be there, then; without any, it may be left out, and be any text.
    pub values: &'static [&'static str],
}

/// One thing that can be asked for over HTTP.
pub trait Endpoint: 'static {
    /// Method and path, with `{seat}` for the name of a seat, or one [`Parameter`](super::parameter::Parameter).
    const AT: (Method, &'static str);
    /// Who may ask for it.
    const ACCESS: Access;
    /// Whether it changes something, and whether it ends when its client hangs up.
    const SEMANTICS: Semantics;
    /// What it does, in a line for the documentation.
    const SUMMARY: &'static str;
    /// What may stand behind the `?`.
    const QUERY: &'static [Query] = &[];
    /// The codes by which it may fail, in addition to those of access, body and seat.
    const ERRORS: &'static [&'static Code] = &[];
    /// Who asks, as far as it needs to know.
    type Caller: Caller;
    /// The body that it takes.
    type Accepts: Accepts;
    /// What it gives.
    type Answers: Answers;

    /// Carries the request out. [`Endpoint::ACCESS`] has been checked before.
    fn act(
        context: Context<Self::Caller>,
        body: Self::Accepts,
    ) -> impl Future<Output = Result<Self::Answers, Problem>> + Send;
}

/// A request as an endpoint sees it.
#[derive(Debug)]
pub struct Context<C> {
    /// What it is answered from.
    pub site: Arc<Site>,
    /// Who asks.
    pub caller: C,
    /// What was sent to show that.
    pub credential: Credential,
    /// What it came over.
    pub connection: Arc<Connection>,
    /// Its line and header.
    pub head: Parts,
}
