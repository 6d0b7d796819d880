//! Serves page, API and pictures over HTTPS. The only place that names hyper.
//!
//! [`http`] accepts and bounds connections, [`door`] and [`people`] decide who gets in, [`routes`] lists what there is,
//! [`api`] answers. Pictures leave by [`stream`] and [`socket`], neither of which ever waits for a slow viewer.

pub mod api;
pub mod assets;
pub mod body;
mod coding;
pub mod door;
pub mod download;
pub mod entry;
pub mod gate;
pub mod http;
pub mod logs;
pub mod mdns;
pub mod probe;
mod redirect;
mod rescue;
pub mod routes;
pub mod seats;
pub mod stream;
pub mod system;
pub mod upload;
pub mod ws;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::auth::secret::ClaimCode;
use crate::base::seat_id::SeatId;
use crate::bus::{SeatBus, SystemBus};
use crate::hands::client::Hands;

use crate::auth::authenticator::Authenticator;
use crate::auth::clock::Clock;
use crate::auth::store::StoreError;
use crate::base::tasks::Stop;
use download::Fetcher;
use gate::unauthenticated::ConnectionLimiter;

/// Where things are kept and found.
#[derive(Debug)]
pub struct Folders {
    /// What survives a reboot.
    pub data: PathBuf,
    /// What survives a restart only.
    pub run: PathBuf,
    /// The services' logs, each in a folder of its name.
    pub logs: PathBuf,
}

/// Everything that requests are answered from, on whichever listener they come.
#[derive(Debug)]
pub struct Site {
    seats: BTreeMap<SeatId, SeatBus>,
    hands: Hands,
    system: SystemBus,
    /// By which we answer, beside addresses and `localhost`.
    names: Vec<String>,
    folders: Folders,
    auth: Arc<Authenticator>,
    /// Why nobody can be let in: what is kept cannot be read. In rescue mode only.
    fault: Option<String>,
    limiter: Arc<ConnectionLimiter>,
    /// Fetches updates, if the configuration says from where.
    fetcher: Option<Fetcher>,
    /// Numbers viewers and everyone else who may hold keys.
    ids: AtomicU64,
}

impl Site {
    /// Gathers the parts and reads who there is. `names` are those of [`names`]. The code, if the device has no owner yet,
    /// is for its console and nowhere else.
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own, made in daemon.rs")]
    pub fn open(
        seats: BTreeMap<SeatId, SeatBus>,
        hands: Hands,
        system: SystemBus,
        names: Vec<String>,
        folders: Folders,
        fault: Option<String>,
        fetcher: Option<Fetcher>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Site>, Option<ClaimCode>), StoreError> {
        let (auth, code) = Authenticator::open(&folders.data, &folders.run, clock)?;
        let (limiter, ids) = (Arc::default(), AtomicU64::new(1));
        let site = Site { seats, hands, system, names, folders, auth, fault, limiter, fetcher, ids };
        Ok((Arc::new(site), code))
    }

    /// Whether the daemon runs in its rescue mode: only then are there no seats.
    fn is_rescue(&self) -> bool {
        self.seats.is_empty()
    }

    /// Waits until the device has an owner.
    pub async fn owned(&self) {
        self.auth.owned().await;
    }

    /// Ends sessions in time, and notes what time it is. Runs until the stop.
    pub async fn keep_time(self: Arc<Self>, stop: Stop) {
        self.auth.clone().keep_time(stop).await;
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }
}

/// The names by which this machine may be called: its own, the same in multicast DNS, and those configured.
pub fn names(hostname: &str, configured: &[String]) -> Vec<String> {
    let own = [hostname.to_string(), format!("{hostname}.local")];
    let own = if hostname.is_empty() { &own[..0] } else { &own };
    own.iter().chain(configured).map(|name| name.to_ascii_lowercase()).collect()
}
