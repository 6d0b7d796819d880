//! Fetches an update from the one address that the configuration names, when an administrator says so.
//!
//! The request that asks for it is answered at once; the file comes by a task of its own, through the same spool and
//! under the same limits as an upload, and its outcome is reported where an installation's end is. Without an address
//! in the configuration there is no such task. What is believed is the bundle's signature: who stands on the way can
//! hold an update back, and do no worse.

mod client;
mod error;
pub mod reach;

use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt as _;
use log::{info, warn};
use rustls::ClientConfig;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::appliance::upload::{LONGEST, Upload, UploadError};
use crate::base::error_chain::chain;
use crate::base::tasks::Stop;
use crate::base::url::Url;
use crate::config::update::Update;
use crate::hands::client::Hands;
use crate::update::ApplianceError;

use crate::tls::authorities::{self, TrustError};
use client::Reply;
use error::{FetchError, MOST_REDIRECTS};
use reach::Way;

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

    /// Begins to fetch.
    pub fn begin(&self, upload: Upload) -> Result<(), ApplianceError> {
        let (cancel, cancelled) = oneshot::channel();
        self.orders.try_send(Order { upload, cancelled }).map_err(|_| ApplianceError::Restarting)?;
        *self.cancel.lock().unwrap_or_else(PoisonError::into_inner) = Some(cancel);
        Ok(())
    }

    /// Ends what is being fetched; `false` if nothing is.
    pub fn cancel(&self) -> bool {
        let cancel = self.cancel.lock().unwrap_or_else(PoisonError::into_inner).take();
        cancel.is_some_and(|cancel| cancel.send(()).is_ok())
    }
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
                Reply::File(file) => {
                    info!("fetching {} bytes from {}", file.len, url.authority());
                    upload.store(file.len, file.body.into_data_stream(), || ()).await?;
                    return Ok(file.len);
                }
            }
        }
        Err(FetchError::Endless(self.url.authority()))
    }
}
