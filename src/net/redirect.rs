//! Shows those who come without TLS where to go, and takes nothing from them.

use hyper::body::Incoming;
use hyper::header::{HeaderValue, LOCATION};
use hyper::{Method, Request, Response};

use crate::net::http::admission::{self, Answer};
use crate::net::http::body::Body;
use crate::net::http::table::RouteError;
use crate::net::http::{answers, door};
use crate::net::site::Site;

/// Answers with the same path over HTTPS on `port`.
pub fn answer(site: &Site, port: u16, request: &Request<Incoming>) -> Response<Body> {
    let mut response = attempt(site, port, request).unwrap_or_else(Response::from);
    admission::dress(response.headers_mut(), None);
    response
}

fn attempt(site: &Site, port: u16, request: &Request<Incoming>) -> Answer {
    let host = door::host("http", request.uri(), request.headers(), &site.names())?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        // Whoever posts a password here has sent it in the clear already; being redirected would let them not notice.
        return Err(RouteError::WrongMethod("GET, HEAD".into()).into());
    }
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let location = format!("https://{}{port}{path}", host.host());
    let location = HeaderValue::try_from(location).map_err(|_| RouteError::NotFound)?;
    let mut response = answers::redirect();
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}
