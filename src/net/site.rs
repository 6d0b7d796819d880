//! Holds everything that requests are answered from, on whichever listener they come.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::appliance::control::Control;
use crate::appliance::upload;
use crate::auth::authenticator::Authenticator;
use crate::auth::clock::Clock;
use crate::auth::principal::Principal;
use crate::auth::secret::ClaimCode;
use crate::auth::store::StoreError;
use crate::base::seat_id::SeatId;
use crate::base::tasks::Stop;
use crate::bus::{SeatBus, SystemBus};
use crate::hands::appliance::configuration;
use crate::hands::client::Hands;
use crate::net::download::Fetcher;
use crate::net::gate::unauthenticated::ConnectionLimiter;
use crate::seat::places::Places;
use crate::tls::certificates::Certificates;

/// Where things are kept and found.
#[derive(Debug)]
pub struct Folders {
    /// What survives a reboot.
    pub data: PathBuf,
    /// What survives a restart only.
    pub run: PathBuf,
    /// The services' logs, each in a folder of its name.
    pub logs: PathBuf,
    /// The configuration.
    pub configuration: configuration::Places,
}

/// Whether this is the daemon proper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It serves the configured seats.
    Usual,
    /// A part kept on crashing, or hung: there are no seats.
    Rescue,
    /// The same, and what is kept cannot be read, so that nobody can be let in.
    RescueWithoutStorage,
}

/// Everything that requests are answered from.
#[derive(Debug)]
pub struct Site {
    seats: BTreeMap<SeatId, SeatBus>,
    hands: Hands,
    system: SystemBus,
    certificates: Arc<Certificates>,
    folders: Folders,
    auth: Arc<Authenticator>,
    mode: Mode,
    limiter: Arc<ConnectionLimiter>,
    /// Counts those who watch.
    places: Places,
    /// Fetches updates, if the configuration says from where.
    fetcher: Option<Fetcher>,
    /// Numbers viewers and everyone else who may hold keys.
    ids: AtomicU64,
    clock: Arc<dyn Clock>,
    /// What is carried out to its end, whoever waits for it.
    acts: Mutex<JoinSet<()>>,
}

impl Site {
    /// Gathers the parts and reads who there is. The certificates' names are those of [`names`](crate::net::names). The
    /// code, if the device has no owner yet, is for its console and nowhere else.
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own, made in daemon.rs")]
    pub fn open(
        seats: BTreeMap<SeatId, SeatBus>,
        hands: Hands,
        system: SystemBus,
        certificates: Arc<Certificates>,
        folders: Folders,
        mode: Mode,
        fetcher: Option<Fetcher>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Site>, Option<ClaimCode>), StoreError> {
        let (auth, code) = Authenticator::open(&folders.data, &folders.run, clock.clone())?;
        upload::clear(&folders.data);
        let (limiter, places, ids, acts) = (Arc::default(), Places::default(), AtomicU64::new(1), Mutex::default());
        let site = Site {
            seats,
            hands,
            system,
            certificates,
            folders,
            auth,
            mode,
            limiter,
            places,
            fetcher,
            ids,
            clock,
            acts,
        };
        Ok((Arc::new(site), code))
    }

    /// The seats by their names.
    pub fn seats(&self) -> &BTreeMap<SeatId, SeatBus> {
        &self.seats
    }

    /// The process with the hardware.
    pub fn hands(&self) -> &Hands {
        &self.hands
    }

    /// What is known of the appliance itself.
    pub fn system(&self) -> &SystemBus {
        &self.system
    }

    /// The appliance, as people work it.
    pub fn appliance(&self) -> Control<'_> {
        Control::of(&self.hands, &self.system, &self.folders.data)
    }

    /// By which we answer at the moment, in addition to addresses and `localhost`.
    pub fn names(&self) -> Arc<[String]> {
        self.certificates.names()
    }

    /// The certificate that clients see, and the authority behind it.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Where things are kept.
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// Everyone who may come in, and who is in.
    pub fn auth(&self) -> &Arc<Authenticator> {
        &self.auth
    }

    /// Whether this is the daemon proper.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Connections of whom nobody is known yet.
    pub fn limiter(&self) -> &Arc<ConnectionLimiter> {
        &self.limiter
    }

    /// The places of those who watch.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// What fetches updates, if anything does.
    pub fn fetcher(&self) -> Option<&Fetcher> {
        self.fetcher.as_ref()
    }

    /// Waits until the device has an owner.
    pub async fn owned(&self) {
        self.auth.owned().await;
    }

    /// A number that nobody has had.
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Our clock, which whoever asks for something may say it by: milliseconds since boot.
    pub fn clock(&self) -> u64 {
        u64::try_from(self.clock.since_boot().as_millis()).unwrap_or(u64::MAX)
    }

    /// Carries something out to its end, even if nobody waits for it any more; `None` if it broke off.
    pub async fn carry_out<T: Send + 'static>(&self, act: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (done, outcome) = oneshot::channel();
        {
            let mut acts = self.acts.lock().unwrap_or_else(PoisonError::into_inner);
            while acts.try_join_next().is_some() {}
            acts.spawn(async move {
                // Whoever asked for it may have gone.
                let _ = done.send(act.await);
            });
        }
        outcome.await.ok()
    }

    /// Waits until all that was begun has been carried out.
    pub async fn all_done(&self) {
        let mut acts = std::mem::take(&mut *self.acts.lock().unwrap_or_else(PoisonError::into_inner));
        while acts.join_next().await.is_some() {}
    }
}

/// Waits for what ends a visit: the visitor's own end, or everybody's.
pub async fn end_of(principal: Principal, mut stop: Stop) {
    tokio::select! {
        () = principal.lease().ended() => (),
        () = stop.requested() => (),
    }
}
