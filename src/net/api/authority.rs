//! Gives the certificate of the device's own authority, which a browser has to be told to trust.

use hyper::Response;
use hyper::header::HeaderMap;

use crate::net::http::accepts::Nothing;
use crate::net::http::answers::{self, Answered, Answers};
use crate::net::http::body::Body;
use crate::net::http::caller::Anyone;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::{ApiError, Problem};
use crate::net::http::row::Row;
use crate::net::site::Mode;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<ShowAuthority>()];

/// By this label phones know what to do with it.
const CERTIFICATE: &str = "application/x-x509-ca-cert";

struct ShowAuthority;

/// The certificate is somebody else's, so there is no authority of ours to trust.
#[derive(Debug, thiserror::Error)]
#[error("this device's certificate was put there by its owner; ask them which authority it comes from")]
pub struct NoAuthority;

impl ApiError for NoAuthority {
    fn code(&self) -> &'static Code {
        codes::NO_AUTHORITY
    }
}

/// A certificate, as PEM.
pub struct Certificate(String);

impl Answers for Certificate {
    const ANSWERED: Answered = Answered::ok(CERTIFICATE);

    fn give(self, _: &HeaderMap) -> Result<Response<Body>, Problem> {
        Ok(answers::labelled(CERTIFICATE, self.0))
    }
}

impl Endpoint for ShowAuthority {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/authority.crt");
    const ACCESS: Access = Access::Public;
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "gives the certificate of the device's own authority, to be trusted once";
    const ERRORS: &'static [&'static Code] = &[codes::NO_AUTHORITY];
    type Caller = Anyone;
    type Accepts = Nothing;
    type Answers = Certificate;

    async fn act(context: Context<Anyone>, _: Nothing) -> Result<Certificate, Problem> {
        // Where storage cannot be read it is a stand-in's, which nobody should trust for longer than that lasts.
        let is_lasting = context.site.mode() != Mode::RescueWithoutStorage;
        let authority = context.site.certificates().authority().filter(|_| is_lasting);
        Ok(Certificate(authority.ok_or(NoAuthority)?))
    }
}
