//! Shows the configuration, checks another, and has it count, for one request at a time.

use std::collections::BTreeMap;

use hyper::header::{HeaderMap, IF_MATCH};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::appliance::configuration::{self, Review, Shown as Configuration};
use crate::auth::role::Privilege;
use crate::config::check::{Finding, LONGEST};
use crate::config::edit::{EditError, edit, with_schema};
use crate::hands::appliance::configuration::{Current, Places};
use crate::net::http::accepts::{BodyError, Json, Nothing};
use crate::net::http::answers::{Changed, Done, Revised, Shown, Text};
use crate::net::http::caller::{About, Person};
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::parameter::{Parameter, Unknown};
use crate::net::http::problem::{ApiError, Problem};
use crate::net::http::row::Row;
use crate::net::site::Site;
use crate::update::Trial;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[
    Row::of::<ShowConfig>(),
    Row::of::<ReplaceConfig>(),
    Row::of::<ChangeKeys>(),
    Row::of::<CheckConfig>(),
    Row::of::<ConfirmConfig>(),
    Row::of::<RevertConfig>(),
    Row::of::<ShowVersion>(),
];

/// The longest body: a text, of which JSON may take two characters for one.
const BODY: u64 = 2 * LONGEST as u64 + 1024;

/// Why another configuration may not count.
const NOT_CHANGED: &[&Code] = &[
    codes::NO_REVISION,
    codes::CHANGED,
    codes::BAD_CONFIGURATION,
    codes::ON_TRIAL,
    codes::NOT_STORED,
    codes::BUSY,
    codes::SIMULATED,
    codes::HANDS_AWAY,
];

/// Why a trial cannot be ended.
const NOT_SETTLED: &[&Code] =
    &[codes::NOT_ON_TRIAL, codes::TOO_EARLY, codes::NOT_STORED, codes::BUSY, codes::SIMULATED, codes::HANDS_AWAY];

struct ShowConfig;
struct CheckConfig;
struct ReplaceConfig;
struct ChangeKeys;
struct ConfirmConfig;
struct RevertConfig;
struct ShowVersion;

/// A version of the configuration, by its number.
#[derive(Debug)]
pub struct VersionNumber;

/// The number itself.
#[derive(Debug)]
pub struct Number(u64);

impl TryFrom<String> for Number {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Number, Self::Error> {
        text.parse().map(Number)
    }
}

impl Parameter for VersionNumber {
    const NAME: &'static str = "version";
    const UNKNOWN: Unknown = Unknown {
        code: codes::UNKNOWN_VERSION,
        message: "there is no such version any more; GET /api/v1/config lists them",
    };
    type Value = Number;
}

/// The configuration, and what of it is tried.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Told {
    #[serde(flatten)]
    configuration: Configuration,
    trial: Option<Trial>,
}

/// An owner's text.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigText {
    text: String,
}

/// Keys to set and to take away, each in full, such as `network.host`.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    #[serde(default)]
    set: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    unset: Vec<String>,
}

impl ApiError for EditError {
    fn code(&self) -> &'static Code {
        codes::MALFORMED
    }
}

/// What becomes of a change.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Applied {
    /// Names the new text.
    revision: String,
    /// What the change is, as it was checked.
    #[serde(flatten)]
    review: Review,
    /// Until when it is tried, if it is.
    trial: Option<Trial>,
}

/// The text has mistakes.
#[derive(Debug, thiserror::Error)]
#[error("{}", said(.0))]
struct Mistakes(Vec<Finding>);

/// The first mistake, with its place, for whoever reads no details.
fn said(found: &[Finding]) -> String {
    let Some(first) = found.first() else { return "the configuration has mistakes".into() };
    let place = first.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let key = first.key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default();
    format!("the configuration has mistakes ({}): {place}{key}{}", found.len(), first.message)
}

impl ApiError for Mistakes {
    fn code(&self) -> &'static Code {
        codes::BAD_CONFIGURATION
    }

    fn detail(&self) -> Option<serde_json::Value> {
        serde_json::to_value(&self.0).ok()
    }
}

/// A change does not say what it changes.
#[derive(Debug, thiserror::Error)]
#[error("say which configuration this changes: If-Match with the ETag of GET /api/v1/config")]
struct NoRevision;

impl ApiError for NoRevision {
    fn code(&self) -> &'static Code {
        codes::NO_REVISION
    }
}

/// The card cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be read: {0}")]
struct Unread(std::io::Error);

impl ApiError for Unread {
    fn code(&self) -> &'static Code {
        codes::NOT_STORED
    }
}

/// Reads from the card on a thread of its own.
async fn read<T: Send + 'static>(
    site: &Site,
    work: impl FnOnce(&Places) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let places = site.folders().configuration.clone();
    let done = spawn_blocking(move || work(&places)).await.map_err(std::io::Error::from).flatten();
    Ok(done.map_err(Unread)?)
}

/// The revision that a request names, as a tag.
fn expected(headers: &HeaderMap) -> Result<String, Problem> {
    let tag = headers.get(IF_MATCH).ok_or(NoRevision)?;
    Ok(tag.to_str().unwrap_or_default().trim().trim_matches('"').to_string())
}

fn checked(text: String) -> Result<String, Problem> {
    if LONGEST < text.len() { Err(BodyError::TooLong(LONGEST as u64).into()) } else { Ok(text) }
}

/// Has another text count where `current` does.
async fn change(context: Context<Person>, current: Current, text: String) -> Result<Shown<Applied>, Problem> {
    let site = &context.site;
    let revision = current.revision();
    let review = move |_: &Places| {
        let stored = with_schema(&text);
        // Mistakes are named with their lines in the text that was sent.
        Ok((configuration::review(&current, &text), stored))
    };
    let (review, text) = read(site, review).await?;
    if !review.errors.is_empty() {
        return Err(Mistakes(review.errors).into());
    }
    let next = crate::hands::appliance::configuration::revision(&text);
    let keys: Vec<&str> = review.changes.iter().map(|change| &*change.key).collect();
    site.appliance().configure(&context.caller.0, text, revision, &keys, &review.rewired).await?;
    Ok(Shown(Applied { revision: next, review, trial: site.system().now().trial }))
}

impl Endpoint for ShowConfig {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/config");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "gives the configuration: the owner's text, all that counts, and what counted before";
    const ERRORS: &'static [&'static Code] = &[codes::NOT_STORED];
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Revised<Told>;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Revised<Told>, Problem> {
        let configuration = read(&context.site, configuration::show).await?;
        let revision = configuration.revision.clone();
        Ok(Revised(revision, Told { configuration, trial: context.site.system().now().trial }))
    }
}

impl Endpoint for CheckConfig {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/config/check");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::ACTS.ending_with_client();
    const SUMMARY: &'static str = "says what is wrong with a text, and what would change; changes nothing";
    const ERRORS: &'static [&'static Code] = &[codes::NOT_STORED];
    type Caller = Person;
    type Accepts = Json<ConfigText, BODY>;
    type Answers = Shown<Review>;

    async fn act(context: Context<Person>, Json(request): Self::Accepts) -> Result<Shown<Review>, Problem> {
        let text = checked(request.text)?;
        let review = move |places: &Places| Ok(configuration::review(&places.current()?, &text));
        Ok(Shown(read(&context.site, review).await?))
    }
}

impl Endpoint for ReplaceConfig {
    const AT: (Method, &'static str) = (Method::Put, "/api/v1/config");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "has another text count, and what reads it start again";
    const ERRORS: &'static [&'static Code] = NOT_CHANGED;
    type Caller = Person;
    type Accepts = Json<ConfigText, BODY>;
    type Answers = Shown<Applied>;

    async fn act(context: Context<Person>, Json(request): Self::Accepts) -> Result<Shown<Applied>, Problem> {
        let expected = expected(&context.head.headers)?;
        let text = checked(request.text)?;
        let current = read(&context.site, Places::current).await?;
        if current.revision() != expected {
            return Err(Changed.into());
        }
        change(context, current, text).await
    }
}

impl Endpoint for ChangeKeys {
    const AT: (Method, &'static str) = (Method::Patch, "/api/v1/config");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "sets and takes away keys; comments and order of the text stay";
    const ERRORS: &'static [&'static Code] = NOT_CHANGED;
    type Caller = Person;
    type Accepts = Json<Keys, BODY>;
    type Answers = Shown<Applied>;

    async fn act(
        context: Context<Person>,
        Json(Keys { set, unset }): Self::Accepts,
    ) -> Result<Shown<Applied>, Problem> {
        let expected = expected(&context.head.headers)?;
        let current = read(&context.site, Places::current).await?;
        if current.revision() != expected {
            return Err(Changed.into());
        }
        let before = current.text.clone();
        let edited = read(&context.site, move |_| Ok(edit(&before, &set, &unset))).await?;
        change(context, current, checked(edited?)?).await
    }
}

impl Endpoint for ConfirmConfig {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/config/confirm");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "keeps the configuration that is tried";
    const ERRORS: &'static [&'static Code] = NOT_SETTLED;
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Done;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Done, Problem> {
        context.site.appliance().settle(&context.caller.0, true).await?;
        Ok(Done)
    }
}

impl Endpoint for RevertConfig {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/config/revert");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::ACTS.logging_itself();
    const SUMMARY: &'static str = "takes back the configuration that is tried";
    const ERRORS: &'static [&'static Code] = NOT_SETTLED;
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Done;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Done, Problem> {
        context.site.appliance().settle(&context.caller.0, false).await?;
        Ok(Done)
    }
}

impl Endpoint for ShowVersion {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/config/history/{version}");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "gives the owner's text as it was";
    const ERRORS: &'static [&'static Code] = &[codes::NOT_STORED];
    type Caller = About<VersionNumber>;
    type Accepts = Nothing;
    type Answers = Text;

    async fn act(context: Context<Self::Caller>, _: Nothing) -> Result<Text, Problem> {
        let Number(number) = context.caller.named;
        let version = read(&context.site, move |places| configuration::version(places, number)).await?;
        Ok(Text(version.ok_or(VersionNumber::UNKNOWN)?.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_no_details_is_told_of_the_first_mistake_with_its_line() {
        let current = Current { text: String::new(), board: String::new(), on_trial: false };
        let review = configuration::review(&current, "\n[network]\nhost = \"a b\"");
        let problem = Problem::from(Mistakes(review.errors));
        assert!(problem.message.contains("(1): line 3: network.host: host \"a b\" must be"), "{}", problem.message);
    }
}
