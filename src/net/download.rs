//! Fetches an update from the one address that the configuration names, when an administrator says so.
//!
//! The request that asks for it is answered at once; the file comes by a task of its own, through the same spool and under the
//! same limits as an upload, and what came of it is told where an installation's end is. Without an address in the
//! configuration there is no such task. What is believed is the bundle's signature: who stands on the way can hold an update
//! back, and do no worse.

mod client;
pub mod reach;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use log::{info, warn};
use rustls::ClientConfig;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::auth::principal::Principal;
use crate::base::error_chain::chain;
use crate::base::tasks::Stop;
use crate::base::url::{Url, UrlError};
use crate::config::update::Update;
use crate::hands::client::Hands;
use crate::net::Site;
use crate::net::http::codes::{self, Code};
use crate::net::http::problem::ApiError;
use crate::net::upload::{LONGEST, Upload, UploadError};
use crate::update::{ApplianceError, LARGEST, Phase, Progress};

use crate::tls::authorities::{self, TrustError};
use client::Reply;
use reach::Way;

/// From a project's page to its store and to a mirror is three.
const MOST_REDIRECTS: usize = 5;

/// Why nothing was begun, or ended.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The configuration names no address.
    #[error("no address to fetch updates from is configured; name one as url of [update] in farhand.toml")]
    NoUrl,
    /// Nothing is being fetched.
    #[error("no update is being fetched")]
    Idle,
    /// Not now.
    #[error(transparent)]
    Appliance(#[from] ApplianceError),
}

impl ApiError for OrderError {
    fn code(&self) -> &'static Code {
        match self {
            OrderError::NoUrl => codes::NO_UPDATE_URL,
            OrderError::Idle => codes::NOT_FETCHING,
            OrderError::Appliance(error) => error.code(),
        }
    }
}

/// Why an update was not fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    /// Its name has no address.
    #[error("{0} is not found: is the name right, and is there a name server?")]
    Unknown(String),
    /// Nobody is there, or says nothing.
    #[error("{0} does not answer")]
    Silent(String),
    /// There, nothing is fetched from.
    #[error("{host} leads to {address}, an address within this device or its network")]
    Inward { host: String, address: IpAddr },
    /// It may be somebody else.
    #[error("the certificate of {host} is not trusted: {why}")]
    Distrusted { host: String, why: String },
    /// Something other than TLS is spoken there.
    #[error("{host} does not speak TLS as it should")]
    NoTls { host: String, source: io::Error },
    /// Something other than HTTP is spoken there, or the connection broke.
    #[error("{host} does not speak HTTP as it should")]
    Nonsense { host: String, source: hyper::Error },
    /// It has no file for us.
    #[error("{host} answered {status}{}", if *.status == 404 { ": there is no such file" } else { "" })]
    Answered { host: String, status: u16 },
    /// The file is packed, and is not to be.
    #[error("{0} sends the file compressed once more")]
    Packed(String),
    /// No space can be asked for.
    #[error("{0} did not say how long the file is")]
    NoLength(String),
    /// Longer than any update.
    #[error("{host} sends more than an update, which is {} MiB at most", LARGEST >> 20)]
    TooLong { host: String },
    /// It sends us where we do not go.
    #[error("{host} redirects to {to:?}, where nothing is fetched from: {why}")]
    Misled { host: String, to: String, why: UrlError },
    /// It sends us round and round.
    #[error("{0} redirects more than {MOST_REDIRECTS} times")]
    Endless(String),
    /// The file has not come whole.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// It has come, and the hands do not take it.
    #[error("{0}")]
    Install(String),
}

/// Takes orders to fetch.
#[derive(Debug)]
pub struct Fetcher {
    from: String,
    orders: mpsc::Sender<Order>,
    /// Ends the fetch that was begun last, unless it has ended.
    cancel: Mutex<Option<oneshot::Sender<()>>>,
}

/// Carries them out, one at a time.
#[derive(Debug)]
pub struct Downloader {
    url: Url,
    tls: Arc<ClientConfig>,
    orders: mpsc::Receiver<Order>,
}

#[derive(Debug)]
struct Order {
    upload: Upload,
    cancelled: oneshot::Receiver<()>,
}

/// Both ends, if the configuration names an address.
pub fn source(update: &Update) -> Result<Option<(Fetcher, Downloader)>, TrustError> {
    let Some(url) = update.url.clone() else { return Ok(None) };
    let tls = authorities::client(update.ca.as_deref())?;
    // Who wants to order has made the upload the only one before, so that nobody waits.
    let (sender, orders) = mpsc::channel(1);
    let fetcher = Fetcher { from: url.authority(), orders: sender, cancel: Mutex::default() };
    Ok(Some((fetcher, Downloader { url, tls, orders })))
}

impl Fetcher {
    /// Where updates come from, for people.
    pub fn from(&self) -> &str {
        &self.from
    }
}

/// Begins to fetch.
pub fn begin(site: &Site, principal: &Principal) -> Result<Progress, OrderError> {
    let fetcher = site.fetcher.as_ref().ok_or(OrderError::NoUrl)?;
    let upload = Upload::begin(site, Phase::Fetching)?;
    let (cancel, cancelled) = oneshot::channel();
    fetcher.orders.try_send(Order { upload, cancelled }).map_err(|_| ApplianceError::Restarting)?;
    *fetcher.cancel.lock().unwrap_or_else(PoisonError::into_inner) = Some(cancel);
    info!("{} has an update fetched from {}", principal.name.as_str(), fetcher.from);
    Ok(site.system.now().update())
}

/// Ends what is being fetched.
pub fn cancel(site: &Site, principal: &Principal) -> Result<(), OrderError> {
    let fetcher = site.fetcher.as_ref().ok_or(OrderError::NoUrl)?;
    let cancel = fetcher.cancel.lock().unwrap_or_else(PoisonError::into_inner).take();
    cancel.and_then(|cancel| cancel.send(()).ok()).ok_or(OrderError::Idle)?;
    info!("{} had the fetching stopped", principal.name.as_str());
    Ok(())
}

impl Downloader {
    /// Fetches whenever that is ordered, until told to stop. What is half fetched then is gone with this.
    pub async fn run(mut self, hands: Hands, mut stop: Stop) {
        loop {
            let order = tokio::select! {
                () = stop.requested() => return,
                Some(order) = self.orders.recv() => order,
            };
            tokio::select! {
                () = stop.requested() => return,
                () = self.carry_out(order, &hands) => (),
            }
        }
    }

    async fn carry_out(&self, Order { upload, mut cancelled }: Order, hands: &Hands) {
        let fetched = tokio::select! {
            // Without a word when nobody can cancel it any more, which is when everything ends.
            _ = &mut cancelled => return,
            fetched = timeout(LONGEST, self.fetch(&upload)) => fetched.unwrap_or(Err(UploadError::Endless.into())),
        };
        drop(cancelled);
        let taken = match fetched {
            // From here on it is the hands' file, and theirs to remove.
            Ok(len) => hands.install(len).await.map_err(|error| FetchError::Install(error.to_string())),
            Err(error) => Err(error),
        };
        match taken {
            Ok(()) => drop(upload.end()),
            Err(error) => {
                warn!("an update was not fetched: {}", chain(&error));
                upload.fail(format!("The update was not fetched: {error}."));
            }
        }
    }

    /// Has the file in the spool when this returns.
    async fn fetch(&self, upload: &Upload) -> Result<u64, FetchError> {
        let mut way = Way::new(&self.url);
        let mut url = self.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            match client::ask(&url, &mut way, &self.tls).await? {
                Reply::Elsewhere(to) => url = to,
                Reply::File(mut file) => {
                    info!("fetching {} bytes from {}", file.len, url.authority());
                    upload.store(file.len, &mut file.body).await?;
                    return Ok(file.len);
                }
            }
        }
        Err(FetchError::Endless(self.url.authority()))
    }
}
