//! Finds the row for a request.
//!
//! The tests walk the table, so that an endpoint added to it is covered by the tests for strangers, wrong methods,
//! foreign origins and long bodies on the day it is added.

use hyper::Method;

use super::codes::{self, Code};
use super::endpoint;
use super::problem::ApiError;
use super::row::Row;

/// Everything that can be asked for, a resource at a time.
#[derive(Debug, Clone, Copy)]
pub struct Table(pub &'static [&'static [Row]]);

/// What a request asks for.
#[derive(Debug)]
pub enum Found<'a> {
    /// This, with what stands in the path where the row's has braces.
    Row(&'static Row, Option<&'a str>),
    /// Which methods there are, as `Allow` has them.
    Methods(String),
}

/// Why there is nothing.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum RouteError {
    /// No row has this path.
    #[error("there is nothing at this path; docs/api.md lists what there is")]
    NotFound,
    /// Rows with this path have other methods.
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

impl Table {
    /// Every row.
    pub fn rows(self) -> impl Iterator<Item = &'static Row> {
        self.0.iter().flat_map(|rows| rows.iter())
    }

    /// Finds the row for a request. Paths are compared as they are: what needs decoding, or has a slash too many, is
    /// another path. `HEAD` is found wherever `GET` is.
    pub fn find<'a>(self, method: &Method, path: &'a str) -> Result<Found<'a>, RouteError> {
        let wanted = if *method == Method::HEAD { "GET" } else { method.as_str() };
        let fitting: Vec<_> = self.rows().filter_map(|row| Some((row, fit(row.path, path)?))).collect();
        if let Some((row, named)) = fitting.iter().find(|(row, _)| row.method.as_str() == wanted) {
            return Ok(Found::Row(row, *named));
        }
        if fitting.is_empty() {
            return Err(RouteError::NotFound);
        }
        let methods = allow(fitting.iter().map(|(row, _)| row.method));
        if *method == Method::OPTIONS { Ok(Found::Methods(methods)) } else { Err(RouteError::WrongMethod(methods)) }
    }
}

/// The methods of a path, as `Allow` has them.
pub fn allow(methods: impl Iterator<Item = endpoint::Method>) -> String {
    let mut methods: Vec<_> = methods.collect();
    methods.sort_unstable();
    methods.dedup();
    let names = methods.into_iter().flat_map(|method| match method {
        endpoint::Method::Get => vec!["GET", "HEAD"],
        other => vec![other.as_str()],
    });
    names.chain(["OPTIONS"]).collect::<Vec<_>>().join(", ")
}

/// Compares a path with a template; `Some` if it fits, with what stands where the template has braces.
fn fit<'a>(template: &str, path: &'a str) -> Option<Option<&'a str>> {
    let Some((before, rest)) = template.split_once('{') else { return (template == path).then_some(None) };
    let (_, after) = rest.split_once('}')?;
    let named = path.strip_prefix(before)?.strip_suffix(after)?;
    (!named.is_empty() && !named.contains('/')).then_some(Some(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_fits_its_template_and_names_what_it_leaves_open() {
        assert_eq!(Some(Some("main")), fit("/seats/{seat}/snapshot.jpg", "/seats/main/snapshot.jpg"));
        assert_eq!(Some(Some("main")), fit("/seats/{seat}", "/seats/main"));
        assert_eq!(Some(Some("anna")), fit("/users/{user}/password", "/users/anna/password"));
        assert_eq!(Some(None), fit("/seats", "/seats"));
        for (template, path) in [
            ("/seats", "//seats"),
            ("/seats", "/seats/"),
            ("/seats", "/SEATS"),
            ("/seats", "/./seats"),
            ("/seats", "/seats;x"),
            ("/seats", "/%73eats"),
            ("/seats/{seat}", "/seats/a/b"),
            ("/seats/{seat}", "/seats/"),
            ("/seats/{seat}/socket", "/seats//socket"),
            ("/seats/{seat}/socket", "/seats/a/b/socket"),
            ("/seats", ""),
        ] {
            assert_eq!(None, fit(template, path), "{path}");
        }
    }

    #[test]
    fn head_goes_with_get_and_options_with_everything() {
        use endpoint::Method::*;
        assert_eq!("GET, HEAD, PATCH, OPTIONS", allow([Patch, Get].into_iter()));
        assert_eq!("POST, OPTIONS", allow([Post, Post].into_iter()));
    }
}
