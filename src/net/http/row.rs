//! Makes a row of the table out of an endpoint: the same, without its types.
//!
//! Router, tests and documentation see rows alone. What an endpoint must not be is an error of compilation here. This
//! one is as it should be:
//!
//! ```
//! use farhand::net::http::accepts::Nothing;
//! use farhand::net::http::answers::Done;
//! use farhand::net::http::caller::{Anyone, Person, Seated};
//! use farhand::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
//! use farhand::net::http::problem::Problem;
//! use farhand::net::http::row::Row;
//!
//! struct Example;
//!
//! impl Endpoint for Example {
//!     const AT: (Method, &'static str) = (Method::Post, "/seats/{seat}/example");
//!     const ACCESS: Access = Access::Session;
//!     const SEMANTICS: Semantics = Semantics::ACTS;
//!     const SUMMARY: &'static str = "is an example";
//!     type Caller = Seated;
//!     type Accepts = Nothing;
//!     type Answers = Done;
//!
//!     async fn act(_: Context<Seated>, _: Nothing) -> Result<Done, Problem> {
//!         Ok(Done)
//!     }
//! }
//!
//! const ROW: Row = Row::of::<Example>();
//! assert_eq!("/seats/{seat}/example", ROW.path);
//! ```
//!
//! A public endpoint knows nobody:
//!
//! ```compile_fail,E0080
//! # use farhand::net::http::accepts::Nothing;
//! # use farhand::net::http::answers::Done;
//! # use farhand::net::http::caller::{Anyone, Person, Seated};
//! # use farhand::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
//! # use farhand::net::http::problem::Problem;
//! # use farhand::net::http::row::Row;
//! # struct Example;
//! # impl Endpoint for Example {
//! const AT: (Method, &'static str) = (Method::Post, "/example");
//! const ACCESS: Access = Access::Public;
//! type Caller = Person;
//! #     const SEMANTICS: Semantics = Semantics::ACTS;
//! #     const SUMMARY: &'static str = "is an example";
//! #     type Accepts = Nothing;
//! #     type Answers = Done;
//! #     async fn act(_: Context<Person>, _: Nothing) -> Result<Done, Problem> {
//! #         Ok(Done)
//! #     }
//! # }
//! # const ROW: Row = Row::of::<Example>();
//! # assert_eq!("/example", ROW.path);
//! ```
//!
//! One that acts at a seat has it in its path:
//!
//! ```compile_fail,E0080
//! # use farhand::net::http::accepts::Nothing;
//! # use farhand::net::http::answers::Done;
//! # use farhand::net::http::caller::{Anyone, Person, Seated};
//! # use farhand::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
//! # use farhand::net::http::problem::Problem;
//! # use farhand::net::http::row::Row;
//! # struct Example;
//! # impl Endpoint for Example {
//! const AT: (Method, &'static str) = (Method::Post, "/example");
//! const ACCESS: Access = Access::Session;
//! type Caller = Seated;
//! #     const SEMANTICS: Semantics = Semantics::ACTS;
//! #     const SUMMARY: &'static str = "is an example";
//! #     type Accepts = Nothing;
//! #     type Answers = Done;
//! #     async fn act(_: Context<Seated>, _: Nothing) -> Result<Done, Problem> {
//! #         Ok(Done)
//! #     }
//! # }
//! # const ROW: Row = Row::of::<Example>();
//! # assert_eq!("/example", ROW.path);
//! ```
//!
//! And one with a seat in its path asks for it, or its privilege would be one for every seat:
//!
//! ```compile_fail,E0080
//! # use farhand::net::http::accepts::Nothing;
//! # use farhand::net::http::answers::Done;
//! # use farhand::net::http::caller::{Anyone, Person, Seated};
//! # use farhand::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
//! # use farhand::net::http::problem::Problem;
//! # use farhand::net::http::row::Row;
//! # struct Example;
//! # impl Endpoint for Example {
//! const AT: (Method, &'static str) = (Method::Post, "/seats/{seat}/example");
//! const ACCESS: Access = Access::Session;
//! type Caller = Person;
//! #     const SEMANTICS: Semantics = Semantics::ACTS;
//! #     const SUMMARY: &'static str = "is an example";
//! #     type Accepts = Nothing;
//! #     type Answers = Done;
//! #     async fn act(_: Context<Person>, _: Nothing) -> Result<Done, Problem> {
//! #         Ok(Done)
//! #     }
//! # }
//! # const ROW: Row = Row::of::<Example>();
//! # assert_eq!("/example", ROW.path);
//! ```
//!
//! No `GET` changes anything:
//!
//! ```compile_fail,E0080
//! # use farhand::net::http::accepts::Nothing;
//! # use farhand::net::http::answers::Done;
//! # use farhand::net::http::caller::{Anyone, Person, Seated};
//! # use farhand::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
//! # use farhand::net::http::problem::Problem;
//! # use farhand::net::http::row::Row;
//! # struct Example;
//! # impl Endpoint for Example {
//! const AT: (Method, &'static str) = (Method::Get, "/example");
//! const SEMANTICS: Semantics = Semantics::ACTS;
//! #     const ACCESS: Access = Access::Session;
//! #     type Caller = Person;
//! #     const SUMMARY: &'static str = "is an example";
//! #     type Accepts = Nothing;
//! #     type Answers = Done;
//! #     async fn act(_: Context<Person>, _: Nothing) -> Result<Done, Problem> {
//! #         Ok(Done)
//! #     }
//! # }
//! # const ROW: Row = Row::of::<Example>();
//! # assert_eq!("/example", ROW.path);
//! ```
//!
//! And whatever is no `GET` does:
//!
//! ```compile_fail,E0080
//! # use farhand::net::http::accepts::Nothing;
//! # use farhand::net::http::answers::Done;
//! # use farhand::net::http::caller::{Anyone, Person, Seated};
//! # use farhand::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
//! # use farhand::net::http::problem::Problem;
//! # use farhand::net::http::row::Row;
//! # struct Example;
//! # impl Endpoint for Example {
//! const AT: (Method, &'static str) = (Method::Delete, "/example");
//! const SEMANTICS: Semantics = Semantics::SHOWS;
//! #     const ACCESS: Access = Access::Session;
//! #     type Caller = Person;
//! #     const SUMMARY: &'static str = "is an example";
//! #     type Accepts = Nothing;
//! #     type Answers = Done;
//! #     async fn act(_: Context<Person>, _: Nothing) -> Result<Done, Problem> {
//! #         Ok(Done)
//! #     }
//! # }
//! # const ROW: Row = Row::of::<Example>();
//! # assert_eq!("/example", ROW.path);
//! ```

use std::fmt;
use std::sync::Arc;

use hyper::Response;
use hyper::body::Incoming;
use hyper::http::request::Parts;

use super::accepts::{Accepted, Accepts};
use super::answers::{Answered, Answers};
use super::body::Body;
use super::caller::{Caller, Known};
use super::codes::{self, Code};
use super::connection::{Connection, Running};
use super::endpoint::{Access, Context, Endpoint, Method, Query, Semantics};
use super::parameter::{Named, SEAT, has};
use super::problem::Problem;
use crate::auth::principal::Credential;
use crate::net::site::Site;
use crate::seat::delay::check_time;

/// What an endpoint is given: a request that has been let in, and its body.
#[derive(Debug)]
pub struct Admitted {
    /// What it is answered from.
    pub site: Arc<Site>,
    /// What it came over.
    pub connection: Arc<Connection>,
    /// What was sent to show who asks.
    pub credential: Credential,
    /// Who that is, and what the path names.
    pub known: Known,
    /// Its line and header.
    pub head: Parts,
    /// Its body, of which nothing has been read.
    pub body: Incoming,
}

/// One line of the table: an [`Endpoint`] without its types.
#[expect(missing_docs, reason = "the fields are the constants of `Endpoint`, where they are described")]
pub struct Row {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    pub semantics: Semantics,
    pub accepts: Accepted,
    pub answers: Answered,
    pub query: &'static [Query],
    pub parameter: Option<Named>,
    pub errors: &'static [&'static Code],
    pub summary: &'static str,
    run: fn(Admitted) -> Running<Result<Response<Body>, Problem>>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Row {
    /// The row of an endpoint.
    pub const fn of<E: Endpoint>() -> Row {
        let (method, path) = E::AT;
        let is_public = matches!(E::ACCESS, Access::Public);
        assert!(!(is_public && E::Caller::NEEDS_LOGIN), "a public endpoint knows nobody");
        match E::Caller::PARAMETER {
            Some(named) => assert!(named.is_all_of(path), "what an endpoint asks for is what its path has in braces"),
            None => assert!(!has(path.as_bytes(), b'{'), "what a path has in braces is asked for"),
        }
        let is_get = matches!(method, Method::Get);
        assert!(!(is_get && E::SEMANTICS.acts), "no GET changes anything");
        assert!(is_get || E::SEMANTICS.acts, "whatever is no GET changes something");
        Row {
            method,
            path,
            access: E::ACCESS,
            semantics: E::SEMANTICS,
            accepts: E::Accepts::ACCEPTED,
            answers: E::Answers::ANSWERED,
            query: E::QUERY,
            parameter: E::Caller::PARAMETER,
            errors: E::ERRORS,
            summary: E::SUMMARY,
            run: run::<E>,
        }
    }

    /// Every code by which a request for it may fail.
    pub fn codes(&self) -> Vec<&'static Code> {
        let mut codes = vec![codes::UNKNOWN_HOST];
        if self.semantics.acts {
            codes.extend([codes::FOREIGN_ORIGIN, codes::INTERNAL]);
        }
        if self.accepts.handshake {
            codes.push(codes::FOREIGN_ORIGIN);
        }
        match self.access {
            Access::Public => (),
            Access::Enrolling | Access::Session | Access::Needs(_) => {
                codes.extend([codes::UNCLAIMED, codes::NOT_LOGGED_IN]);
            }
        }
        if matches!(self.access, Access::Session | Access::Needs(_)) {
            codes.push(codes::NO_SECOND_FACTOR);
        }
        if matches!(self.access, Access::Needs(_)) {
            codes.push(codes::NOT_ALLOWED);
        }
        codes.extend(self.parameter.map(|named| named.unknown.code));
        codes.extend(self.accepts.errors.iter().chain(self.errors));
        codes
    }

    /// Whether it is one of a seat, so that its privilege is that at the seat.
    pub fn is_seated(&self) -> bool {
        self.parameter.is_some_and(|named| named.name == SEAT.name)
    }

    /// Has the endpoint do what was asked.
    pub fn run(&self, admitted: Admitted) -> Running<Result<Response<Body>, Problem>> {
        (self.run)(admitted)
    }
}

fn run<E: Endpoint>(admitted: Admitted) -> Running<Result<Response<Body>, Problem>> {
    Box::pin(async move {
        let Admitted { site, connection, credential, known, head, body } = admitted;
        let caller = E::Caller::admit(known)?;
        let body = E::Accepts::take(&head, body).await?;
        check_time(site.clock(), body.asked_at())?;
        let asked = head.headers.clone();
        let answer = E::act(Context { site, caller, credential, connection, head }, body).await?;
        answer.give(&asked)
    })
}
