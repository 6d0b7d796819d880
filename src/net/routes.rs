//! Lists every route once, each with its privilege.
//!
//! The tests walk this table, so that a route added to it is covered by the tests for strangers, wrong methods and foreign
//! origins on the day it is added. A route without a handler, or without an answer to who may use it, does not compile.

use hyper::Method;

use crate::auth::role::Privilege;
use crate::net::http::codes::{self, Code};
use crate::net::http::problem::ApiError;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, logged in or not.
    Public,
    /// Anyone who is logged in.
    Session,
    /// Those whose role includes this.
    Needs(Privilege),
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Says that we are alive.
    Health,
    /// Tells a page what to show first.
    Session,
    /// Makes the first administrator.
    Claim,
    /// Begins a session.
    Login,
    /// Ends it.
    Logout,
    /// Makes a token.
    Tokens,
    /// Lists the seats.
    Seats,
    /// Shows one seat.
    Seat,
    /// Gives one picture.
    Snapshot,
    /// Gives pictures without end.
    Stream,
    /// Opens the WebSocket.
    Socket,
    /// Presses a front-panel button.
    Power,
    /// Types.
    Keys,
    /// Tells of the appliance itself.
    System,
    /// Receives an update.
    Update,
    /// Fetches one.
    Fetch,
    /// Stops that.
    Cancel,
    /// Restarts the appliance.
    Restart,
    /// Makes it forget its owner.
    FactoryReset,
    /// Shows a log.
    Logs,
}

/// One row of the table.
#[derive(Debug)]
pub struct Route {
    /// How.
    pub method: Method,
    /// Where; `{seat}` stands for one segment.
    pub path: &'static str,
    /// Who.
    pub access: Access,
    /// What.
    pub deed: Deed,
}

/// Where the seat's name stands.
const SEAT: &str = "{seat}";

const fn route(method: Method, path: &'static str, access: Access, deed: Deed) -> Route {
    Route { method, path, access, deed }
}

/// Every route below `/api`.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    route(Method::GET,  "/api/v1/health", Access::Public, Deed::Health),
    route(Method::GET,  "/api/v1/session", Access::Public, Deed::Session),
    route(Method::POST, "/api/v1/claim", Access::Public, Deed::Claim),
    route(Method::POST, "/api/v1/login", Access::Public, Deed::Login),
    route(Method::POST, "/api/v1/logout", Access::Session, Deed::Logout),
    route(Method::POST, "/api/v1/tokens", Access::Needs(Privilege::Users), Deed::Tokens),
    route(Method::GET,  "/api/v1/seats", Access::Needs(Privilege::View), Deed::Seats),
    route(Method::GET,  "/api/v1/seats/{seat}", Access::Needs(Privilege::View), Deed::Seat),
    route(Method::GET,  "/api/v1/seats/{seat}/snapshot.jpg", Access::Needs(Privilege::View), Deed::Snapshot),
    route(Method::GET,  "/api/v1/seats/{seat}/stream.mjpeg", Access::Needs(Privilege::View), Deed::Stream),
    route(Method::GET,  "/api/v1/seats/{seat}/socket", Access::Needs(Privilege::View), Deed::Socket),
    route(Method::POST, "/api/v1/seats/{seat}/power", Access::Needs(Privilege::Power), Deed::Power),
    route(Method::POST, "/api/v1/seats/{seat}/keys", Access::Needs(Privilege::Input), Deed::Keys),
    route(Method::GET,  "/api/v1/system", Access::Needs(Privilege::Configure), Deed::System),
    route(Method::POST, "/api/v1/update", Access::Needs(Privilege::Configure), Deed::Update),
    route(Method::POST, "/api/v1/update/fetch", Access::Needs(Privilege::Configure), Deed::Fetch),
    route(Method::POST, "/api/v1/update/cancel", Access::Needs(Privilege::Configure), Deed::Cancel),
    route(Method::POST, "/api/v1/restart", Access::Needs(Privilege::Configure), Deed::Restart),
    route(Method::POST, "/api/v1/factory-reset", Access::Needs(Privilege::Configure), Deed::FactoryReset),
    route(Method::GET,  "/api/v1/logs", Access::Needs(Privilege::Configure), Deed::Logs),
];

/// Why no route was found.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum RouteError {
    /// No route has this path.
    #[error("there is nothing at this path; docs/api.md lists what there is")]
    NotFound,
    /// Routes with this path have other methods.
    #[error("this path takes {0} only")]
    WrongMethod(String),
}

impl ApiError for RouteError {
    fn code(&self) -> &'static Code {
        match self {
            RouteError::NotFound => codes::NOT_FOUND,
            RouteError::WrongMethod(_) => codes::WRONG_METHOD,
        }
    }

    fn allow(&self) -> Option<&str> {
        if let RouteError::WrongMethod(methods) = self { Some(methods) } else { None }
    }
}

/// Finds the route for a request, and the seat it names. Paths are compared as they are: what needs decoding, or has a slash
/// too many, is another path.
pub fn find<'a>(method: &Method, path: &'a str) -> Result<(&'static Route, Option<&'a str>), RouteError> {
    let mut methods = Vec::new();
    for route in ROUTES {
        if let Some(seat) = fit(route.path, path) {
            if route.method == *method {
                return Ok((route, seat));
            }
            methods.push(if route.method == Method::GET { "GET" } else { "POST" });
        }
    }
    Err(if methods.is_empty() { RouteError::NotFound } else { RouteError::WrongMethod(methods.join(", ")) })
}

/// Compares a path with a template; `Some` if it fits, with the seat if the template has one.
fn fit<'a>(template: &str, path: &'a str) -> Option<Option<&'a str>> {
    let Some((before, after)) = template.split_once(SEAT) else { return (template == path).then_some(None) };
    let seat = path.strip_prefix(before)?;
    let seat = seat.strip_suffix(after)?;
    (!seat.is_empty() && !seat.contains('/')).then_some(Some(seat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_its_route_and_its_seat() {
        let (route, seat) = find(&Method::GET, "/api/v1/seats/main/snapshot.jpg").unwrap();
        assert_eq!((Deed::Snapshot, Some("main")), (route.deed, seat));
        let (route, seat) = find(&Method::GET, "/api/v1/seats").unwrap();
        assert_eq!((Deed::Seats, None), (route.deed, seat));
    }

    #[test]
    fn odd_spellings_are_other_paths() {
        for path in [
            "//api/v1/seats",
            "/api/v1/seats/",
            "/API/v1/seats",
            "/api/v1/./seats",
            "/api/..;/v1/seats",
            "/api/v1/seats;x",
            "/api/v1/%73eats",
            "/api/v1/seats/a/b",
            "/api/v1/seats//socket",
            "/api/v1/seats/a%2fb/c",
            "",
            "/",
            "api/v1/seats",
        ] {
            assert_eq!(Err(RouteError::NotFound), find(&Method::GET, path).map(|_| ()), "{path}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        let error = find(&Method::DELETE, "/api/v1/seats/main/power").unwrap_err();
        assert_eq!(RouteError::WrongMethod("POST".into()), error);
    }

    #[test]
    fn every_route_is_documented() {
        let documented = include_str!("../../docs/api.md");
        for route in ROUTES {
            assert!(
                documented.contains(&format!("`{} {}`", route.method, route.path)),
                "{} {}",
                route.method,
                route.path
            );
        }
        let rows =
            documented.lines().filter(|line| line.starts_with("| `GET /") || line.starts_with("| `POST /")).count();
        assert_eq!(ROUTES.len(), rows, "docs/api.md has other routes too");
    }

    #[test]
    fn what_changes_something_is_not_a_get() {
        for route in ROUTES {
            let changes = matches!(
                route.deed,
                Deed::Claim
                    | Deed::Login
                    | Deed::Logout
                    | Deed::Tokens
                    | Deed::Power
                    | Deed::Keys
                    | Deed::Update
                    | Deed::Fetch
                    | Deed::Cancel
                    | Deed::Restart
                    | Deed::FactoryReset
            );
            assert_eq!(changes, route.method == Method::POST, "{}", route.path);
        }
    }
}
