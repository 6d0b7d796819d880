//! Shows those who come without TLS where to go, and takes nothing from them.

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue, LOCATION};
use hyper::{Method, Request, Response, StatusCode};

use super::api::Problem;
use super::body::Body;
use super::{Site, door};

/// Answers with the same path over HTTPS on `port`.
pub fn answer(site: &Site, port: u16, request: &Request<Incoming>) -> Response<Body> {
    let host = match door::host(request.uri(), request.headers(), &site.names) {
        Ok(host) => host,
        Err(error) => return Problem::from(error).into(),
    };
    let mut response = Response::new(Body::Whole(Bytes::new()));
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        // Whoever posts a password here has sent it in the clear already; being redirected would let them not notice.
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    match HeaderValue::try_from(format!("https://{}{port}{path}", host.host())) {
        Ok(location) => _ = response.headers_mut().insert(LOCATION, location),
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}
