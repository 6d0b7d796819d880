//! Opens a viewer's WebSocket.

use std::fmt;

use hyper::Response;
use hyper::header::HeaderMap;
use tokio_tungstenite::tungstenite::handshake::server::create_response;

use crate::auth::role::Privilege;
use crate::net::http::accepts::Handshake;
use crate::net::http::answers::{self, Answered, Answers};
use crate::net::http::body::Body;
use crate::net::http::caller::Seated;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::{ApiError, Problem};
use crate::net::http::row::Row;
use crate::net::ws::socket::{self, Upgrade};

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<OpenSocket>()];

struct OpenSocket;

/// The request is not a WebSocket's opening handshake.
#[derive(Debug, thiserror::Error)]
#[error("this path speaks WebSocket: {0}")]
pub struct HandshakeError(String);

impl ApiError for HandshakeError {
    fn code(&self) -> &'static Code {
        codes::NOT_A_WEBSOCKET
    }
}

/// The answer to a handshake.
pub struct Opened(Response<()>);

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Opened")
    }
}

impl Answers for Opened {
    const ANSWERED: Answered = Answered::upgrade();

    fn give(self, _: &HeaderMap) -> Result<Response<Body>, Problem> {
        let mut response = answers::upgrade();
        *response.headers_mut() = self.0.into_parts().0.headers;
        Ok(response)
    }
}

impl Endpoint for OpenSocket {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/seats/{seat}/socket");
    const ACCESS: Access = Access::Needs(Privilege::View);
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "opens a WebSocket: pictures and status out, keys in";
    const ERRORS: &'static [&'static Code] = &[codes::NOT_A_WEBSOCKET, codes::TOO_MANY_VIEWERS];
    type Caller = Seated;
    type Accepts = Handshake;
    type Answers = Opened;

    async fn act(context: Context<Seated>, Handshake(request): Handshake) -> Result<Opened, Problem> {
        let Context { site, caller: Seated { principal, seat: bus }, connection, .. } = context;
        let stop = connection.stop();
        // First, so that a page can ask without a handshake why one is refused, which no browser tells it.
        let upgrade = Upgrade::new(&site, principal, bus)?;
        let response = create_response(&request).map_err(|error| HandshakeError(error.to_string()))?;
        connection.upgrade_with(Box::new(move |transport, early| {
            Box::pin(async move { socket::run(transport, early, upgrade, &site, stop).await })
        }));
        Ok(Opened(response))
    }
}
