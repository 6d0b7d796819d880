//! Shows who did what: a page of the audit log, or the whole of it as it is stored.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{self, Poll};

use hyper::Response;
use hyper::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_LENGTH, HeaderMap, HeaderValue};
use tokio::task::spawn_blocking;

use crate::audit::reading::{self, LONGEST_PAGE, Page, Wanted, Whole};
use crate::auth::role::Privilege;
use crate::net::http::accepts::Nothing;
use crate::net::http::answers::{Answered, Answers, Shown, labelled};
use crate::net::http::body::{Body, Parts, Pieces};
use crate::net::http::caller::Person;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Query, Semantics};
use crate::net::http::problem::{ApiError, Problem};
use crate::net::http::query::{QueryError, Values};
use crate::net::http::row::Row;
use crate::net::site::end_of;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<ShowAudit>()];

/// The records of a page for who does not say how many.
const USUAL: usize = 100;

/// The longest text that is searched for, in characters.
const LONGEST_SEARCH: usize = 100;

/// The label of the whole log.
const LINES: &str = "application/jsonl";

/// The files cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the audit log cannot be read; see the log of serve")]
struct Unreadable;

impl ApiError for Unreadable {
    fn code(&self) -> &'static Code {
        codes::UNWELL
    }
}

struct ShowAudit;

/// What is shown of the audit log.
pub enum Log {
    /// Some records.
    Page(Page),
    /// All of it.
    Whole(Whole),
}

impl Answers for Log {
    const ANSWERED: Answered = Shown::<Page>::ANSWERED;

    fn give(self, asked: &HeaderMap) -> Result<Response<Body>, Problem> {
        let whole = match self {
            Log::Page(page) => return Shown(page).give(asked),
            Log::Whole(whole) => whole,
        };
        let mut response = labelled(LINES, "");
        // With its length, a client notices when it does not get all of it.
        let length = HeaderValue::from(whole.len());
        if !whole.is_empty() {
            *response.body_mut() = Body::Parts(Box::new(Download(next(whole))));
        }
        let name = HeaderValue::from_static("attachment; filename=\"audit.jsonl\"");
        response.headers_mut().extend([(CONTENT_LENGTH, length), (CONTENT_DISPOSITION, name)]);
        Ok(response)
    }
}

impl Endpoint for ShowAudit {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/audit");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "shows who did what, the newest first, or gives the whole log as application/jsonl";
    const QUERY: &'static [Query] = &[
        Query { name: "before", values: &[] },
        Query { name: "limit", values: &[] },
        Query { name: "search", values: &[] },
        Query { name: "download", values: &[] },
    ];
    const ERRORS: &'static [&'static Code] = &[codes::BAD_QUERY, codes::UNWELL];
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Log;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Log, Problem> {
        let Context { site, caller: Person(principal), connection, head, .. } = context;
        let names: Vec<&str> = Self::QUERY.iter().map(|query| query.name).collect();
        let values = Values::parse(head.uri.query(), &names)?;
        let is_whole = values.get("download").is_some() || head.headers.get(ACCEPT).is_some_and(|media| media == LINES);
        let wanted = wanted(&values)?;
        // What has been done by now is in it.
        let trail = site.auth().trail();
        trail.flush().await;
        let folder = trail.folder().to_path_buf();
        let read = spawn_blocking(move || {
            if is_whole { Whole::open(&folder).map(Log::Whole) } else { reading::page(&folder, &wanted).map(Log::Page) }
        });
        let log = match read.await.map_err(io::Error::from).flatten() {
            // Nothing could be written yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Log::Page(Page::default()),
            Err(error) => {
                log::warn!("the audit log cannot be read: {error}");
                return Err(Unreadable.into());
            }
            Ok(log) => log,
        };
        if is_whole {
            // Who reads slowly does not read on when their session has ended.
            connection.end_with(end_of(principal, connection.stop()));
        }
        Ok(log)
    }
}

/// Which records somebody asks for.
fn wanted(values: &Values) -> Result<Wanted, QueryError> {
    let wrong = |name, accepted: String| QueryError::Value { name, accepted };
    let before = values.get("before").map(str::parse).transpose();
    let limit = values.get("limit").map_or(Ok(USUAL), str::parse);
    let search = values.get("search").filter(|search| !search.is_empty()).map(String::from);
    Ok(Wanted {
        before: before.map_err(|_| wrong("before", "the number of a record".into()))?,
        limit: limit
            .ok()
            .filter(|limit| (1..=LONGEST_PAGE).contains(limit))
            .ok_or_else(|| wrong("limit", format!("1 to {LONGEST_PAGE}")))?,
        search: match search {
            Some(search) if LONGEST_SEARCH < search.chars().count() => {
                return Err(wrong("search", format!("at most {LONGEST_SEARCH} characters")));
            }
            search => search,
        },
    })
}

type Next = Pin<Box<dyn Future<Output = Option<(Whole, Vec<u8>)>> + Send>>;

/// The log part after part: the next one is read when the one before has left.
struct Download(Next);

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Download")
    }
}

impl Parts for Download {
    fn poll_part(&mut self, context: &mut task::Context) -> Poll<Option<Pieces>> {
        match self.0.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            // The end, or a card that fails: the length tells a client which.
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some((whole, part))) => {
                self.0 = next(whole);
                Poll::Ready(Some(Pieces { head: part.into(), ..Pieces::default() }))
            }
        }
    }
}

fn next(mut whole: Whole) -> Next {
    Box::pin(async move {
        let read = spawn_blocking(move || {
            let part = whole.part();
            (whole, part)
        });
        let (whole, part) = read.await.ok()?;
        Some((whole, part.ok()??))
    })
}
