//! Acts on the appliance itself: the only way to restart, reset or update it, whatever a person came by.
//!
//! Each front says what is wanted; here it is decided whether this person may do it now. What is done is logged before
//! and after, with who did it.

use std::collections::BTreeSet;
use std::path::Path;

use super::status::hostname;
use super::upload::Upload;
use crate::audit::record::What;
use crate::auth::act::{Act, Kind};
use crate::auth::principal::Principal;
use crate::auth::rights::{self, Denied};
use crate::auth::role::Privilege;
use crate::base::coded::Coded;
use crate::base::seat_id::SeatId;
use crate::bus::SystemBus;
use crate::hands::client::Hands;
use crate::hands::protocol::HandsError;
use crate::update::{ApplianceError, Phase};

/// Why the appliance does not do as somebody wishes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// They may not do it, or no longer.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Confirmed with another name than ours.
    #[error("to confirm, give the host name of this device, {0:?}")]
    WrongName(String),
    /// Not now, or not here.
    #[error(transparent)]
    Appliance(#[from] ApplianceError),
    /// The hands did not do it.
    #[error(transparent)]
    Hands(#[from] HandsError),
}

/// How many keys of a change are named in a line of the log.
const MOST_KEYS: usize = 10;

/// The appliance, as it is worked.
#[derive(Debug)]
pub struct Control<'a> {
    hands: &'a Hands,
    system: &'a SystemBus,
    data: &'a Path,
}

impl Control<'_> {
    /// Works the appliance whose updates arrive below `data`.
    pub fn of<'a>(hands: &'a Hands, system: &'a SystemBus, data: &'a Path) -> Control<'a> {
        Control { hands, system, data }
    }

    /// Restarts it; answers once that has begun.
    pub async fn restart(&self, principal: &Principal) -> Result<(), ControlError> {
        check(principal)?;
        self.system.now().check_restart()?;
        act(principal, What::Restart, "restart the appliance", self.hands.restart()).await
    }

    /// Makes it forget everything but what is installed, if its own name is given; answers once that has begun.
    pub async fn factory_reset(&self, principal: &Principal, name: &str) -> Result<(), ControlError> {
        check(principal)?;
        let own = hostname();
        if name != own {
            return Err(ControlError::WrongName(own));
        }
        self.system.now().check_restart()?;
        let words = "make the appliance forget its owner";
        act(principal, What::FactoryReset, words, self.hands.factory_reset()).await
    }

    /// Makes room for an update that somebody sends, or has fetched. There is one at a time.
    pub fn begin_update(&self, principal: &Principal, phase: Phase) -> Result<Upload, ControlError> {
        check(principal)?;
        Ok(Upload::begin(self.system, self.data, phase)?)
    }

    /// Has another configuration count where the one of the revision `expected` does; answers once it is stored. Which
    /// `keys` differ is logged, and no value. Whoever changes how the relays of the `rewired` seats are driven could
    /// close one by that, so they must be allowed to do so.
    pub async fn configure(
        &self,
        principal: &Principal,
        text: String,
        expected: String,
        keys: &[&str],
        rewired: &BTreeSet<SeatId>,
    ) -> Result<(), ControlError> {
        check(principal)?;
        for seat in rewired {
            rights::check(principal, Privilege::Power, Some(seat))?;
        }
        let more = keys.len().saturating_sub(MOST_KEYS);
        let named = keys[..keys.len() - more].join(", ");
        let what = match (keys.len(), more) {
            (0, _) => "change the configuration's text, and no key".into(),
            (_, 0) => format!("change the configuration: {named}"),
            _ => format!("change the configuration: {named} and {more} more keys"),
        };
        let work = self.hands.configure(text, expected, principal.to_string());
        act(principal, What::Configuration, &what, work).await
    }

    /// Keeps the configuration that is tried, or takes it back.
    pub async fn settle(&self, principal: &Principal, keep: bool) -> Result<(), ControlError> {
        check(principal)?;
        let what = if keep { "confirm the configuration" } else { "take the configuration back" };
        act(principal, What::Configuration, what, self.hands.settle(keep)).await
    }

    /// Has an update of this length installed, which has arrived; answers once the installer runs.
    pub async fn install(&self, principal: &Principal, len: u64) -> Result<(), ControlError> {
        check(principal)?;
        let words = format!("install an update of {len} bytes");
        act(principal, What::Install, &words, self.hands.install(len)).await
    }
}

/// Has the hands do something, which is written down before and after.
async fn act(
    principal: &Principal,
    what: What,
    words: &str,
    work: impl Future<Output = Result<(), HandsError>>,
) -> Result<(), ControlError> {
    let act = Act::begin(Kind::Lasting, principal, what, None, words).await;
    // Their session may have ended while that was written down.
    let done = match check(principal) {
        Ok(()) => work.await.map_err(ControlError::from),
        Err(denied) => Err(denied.into()),
    };
    act.end(done)
}

fn check(principal: &Principal) -> Result<(), Denied> {
    rights::check(principal, Privilege::Configure, None)
}

impl Coded for ControlError {
    fn code_name(&self) -> &'static str {
        match self {
            ControlError::Denied(denied) => denied.code_name(),
            ControlError::WrongName(_) => "not-confirmed",
            ControlError::Appliance(error) => error.code_name(),
            ControlError::Hands(error) => error.code_name(),
        }
    }
}
