//! Takes an update of the appliance, or has it fetched.

use http_body_util::BodyExt as _;
use log::{info, warn};
use tokio::time::timeout;

use crate::appliance::upload::{LONGEST, UploadError};
use crate::auth::authenticator::AuthError;
use crate::auth::role::Privilege;
use crate::base::error_chain::chain;
use crate::net::download::Fetcher;
use crate::net::http::accepts::{Moment, Nothing, Octets};
use crate::net::http::answers::{Begun, Empty};
use crate::net::http::caller::Person;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::{ApiError, Problem};
use crate::net::http::row::Row;
use crate::net::site::{Site, end_of};
use crate::update::{ApplianceError, LARGEST, Phase, Progress};

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<Receive>(), Row::of::<Fetch>(), Row::of::<Cancel>()];

struct Receive;
struct Fetch;
struct Cancel;

/// Why nothing is fetched, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The configuration names no address.
    #[error("no address to fetch updates from is configured; name one as url of [update] in farhand.toml")]
    NoUrl,
    /// Nothing is being fetched.
    #[error("no update is being fetched")]
    Idle,
}

/// The daemon stops while a file arrives.
#[derive(Debug, thiserror::Error)]
#[error("the daemon stops; send it again in a moment")]
struct Stopping;

impl ApiError for OrderError {
    fn code(&self) -> &'static Code {
        match self {
            OrderError::NoUrl => codes::NO_UPDATE_URL,
            OrderError::Idle => codes::NOT_FETCHING,
        }
    }
}

impl ApiError for Stopping {
    fn code(&self) -> &'static Code {
        codes::STOPPING
    }
}

impl ApiError for UploadError {
    fn code(&self) -> &'static Code {
        match self {
            UploadError::NoSpace { .. } => codes::NO_SPACE,
            UploadError::TooSlow | UploadError::Endless => codes::TOO_SLOW,
            UploadError::Broken => codes::MALFORMED,
            UploadError::Store(_) => codes::NOT_STORED,
        }
    }
}

impl ApiError for ApplianceError {
    fn code(&self) -> &'static Code {
        match self {
            ApplianceError::Simulated => codes::SIMULATED,
            ApplianceError::NoSlots => codes::NO_SLOTS,
            ApplianceError::Away => codes::HANDS_AWAY,
            ApplianceError::Busy => codes::BUSY,
            ApplianceError::Restarting => codes::RESTARTING,
            ApplianceError::Spool(_) => codes::NOT_TAKEN_OVER,
            ApplianceError::Store(_) => codes::NOT_STORED,
            ApplianceError::Restart(_) => codes::NOT_RESTARTED,
            // Nothing that is asked over the network has it for an answer.
            ApplianceError::Port(_) => codes::INTERNAL,
            ApplianceError::Changed => codes::CHANGED,
            ApplianceError::BadConfiguration(_) => codes::BAD_CONFIGURATION,
            ApplianceError::OnTrial => codes::ON_TRIAL,
            ApplianceError::NotOnTrial => codes::NOT_ON_TRIAL,
            ApplianceError::TooEarly => codes::TOO_EARLY,
            ApplianceError::Configuration(_) => codes::NOT_STORED,
        }
    }
}

// A file says nothing of when it was asked for: it arrives for minutes, through stalls, and what it brings waits for a
// restart, which does say so.
impl Endpoint for Receive {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/update");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::ACTS;
    const SUMMARY: &'static str = "takes an update bundle as it is, and answers once the installer runs";
    const ERRORS: &'static [&'static Code] = &[
        codes::BUSY,
        codes::NO_SPACE,
        codes::NOT_STORED,
        codes::NOT_TAKEN_OVER,
        codes::NO_SLOTS,
        codes::SIMULATED,
        codes::RESTARTING,
        codes::HANDS_AWAY,
        codes::STOPPING,
        codes::FLOODED,
    ];
    type Caller = Person;
    type Accepts = Octets<LARGEST>;
    type Answers = Begun<Progress>;

    async fn act(context: Context<Person>, octets: Self::Accepts) -> Result<Begun<Progress>, Problem> {
        let Context { site, caller: Person(principal), connection, .. } = context;
        let Octets { len, body } = octets;
        let upload = site.appliance().begin_update(&principal, Phase::Receiving)?;
        info!("{} uploads an update of {len} bytes", principal.name.as_str());
        // Who is sending is there, however long it takes.
        let touch = || principal.lease().touch();
        let stop = connection.stop();
        let stored = tokio::select! {
            stored = timeout(LONGEST, upload.store(len, body.into_data_stream(), touch)) => stored.unwrap_or(Err(UploadError::Endless)),
            () = end_of(principal.clone(), stop.clone()) => {
                return Err(if stop.is_requested() { Stopping.into() } else { AuthError::NotLoggedIn.into() });
            }
        };
        if let Err(error) = &stored {
            warn!("an upload came to nothing: {}", chain(error));
        }
        stored?;
        // From here on it is the hands' file, and theirs to remove.
        site.appliance().install(&principal, len).await?;
        Ok(Begun(upload.end()))
    }
}

impl Endpoint for Fetch {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/update/fetch");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::ACTS;
    const SUMMARY: &'static str = "has the update fetched from where the configuration says, and installed";
    const ERRORS: &'static [&'static Code] =
        &[codes::NO_UPDATE_URL, codes::BUSY, codes::NO_SLOTS, codes::SIMULATED, codes::RESTARTING, codes::HANDS_AWAY];
    type Caller = Person;
    type Accepts = Moment;
    type Answers = Begun<Progress>;

    async fn act(context: Context<Person>, _: Moment) -> Result<Begun<Progress>, Problem> {
        let fetcher = fetcher(&context.site)?;
        let Person(principal) = &context.caller;
        let upload = context.site.appliance().begin_update(principal, Phase::Fetching)?;
        info!("{principal} has an update fetched from {}", fetcher.from());
        fetcher.begin(upload)?;
        Ok(Begun(context.site.system().now().update()))
    }
}

// Nor does this: to stop is safe whenever it comes, and was wanted.
impl Endpoint for Cancel {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/update/cancel");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::ACTS;
    const SUMMARY: &'static str = "stops what is being fetched";
    const ERRORS: &'static [&'static Code] = &[codes::NO_UPDATE_URL, codes::NOT_FETCHING];
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Begun<Empty>;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Begun<Empty>, Problem> {
        if fetcher(&context.site)?.cancel() { Ok(Begun(Empty {})) } else { Err(OrderError::Idle.into()) }
    }
}

fn fetcher(site: &Site) -> Result<&Fetcher, OrderError> {
    site.fetcher().ok_or(OrderError::NoUrl)
}
