//! Tells of the appliance itself, and restarts or resets it, for one request at a time.

use std::path::Path;

use hyper::Request;
use hyper::body::Incoming;
use log::info;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::base::files;
use crate::health::board::Report;
use crate::health::report_file;
use crate::net::http::codes::{self, Code};
use crate::net::http::problem::{ApiError, Problem};
use crate::update::slots::{Slot, Slots};
use crate::update::{ApplianceError, Progress};

use super::Site;
use super::body;
use crate::auth::principal::Principal;

/// What the appliance is, runs and does to itself.
#[derive(Debug, Serialize)]
pub struct SystemAnswer {
    host: String,
    version: &'static str,
    build: Option<String>,
    variant: Option<String>,
    board: String,
    slot: Option<Slot>,
    confirmed: Option<bool>,
    slots: Option<std::collections::BTreeMap<Slot, crate::update::slots::Content>>,
    started: Option<Started>,
    health: Option<Report>,
    update: Progress,
    update_from: Option<String>,
}

/// Why the machine last started, as the guard found out. It may be another version's guard that says it, so words that we do
/// not know are passed on.
#[derive(Debug, Serialize, Deserialize)]
struct Started {
    why: String,
    #[serde(default)]
    detail: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResetRequest {
    confirm: String,
}

/// Something confirmed with another name than ours.
#[derive(Debug, thiserror::Error)]
#[error("to confirm, give the host name of this device, {0:?}")]
pub struct WrongName(String);

impl ApiError for WrongName {
    fn code(&self) -> &'static Code {
        codes::NOT_CONFIRMED
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
        }
    }
}

/// Tells everything.
pub async fn status(site: &Site) -> SystemAnswer {
    let system = site.system.now();
    let is_real = system.machine.as_ref().is_none_or(|machine| machine.real);
    let run = site.folders.run.clone();
    let read = spawn_blocking(move || {
        let text = |path: &Path| files::read(path).ok().flatten();
        let release = text(Path::new("/etc/os-release")).unwrap_or_default();
        let board = text(Path::new("/proc/device-tree/model"));
        let started = text(&run.join("started.json")).and_then(|text| serde_json::from_str(&text).ok());
        (release, board, started, report_file::read(&run))
    });
    let (release, board, started, health) = read.await.unwrap_or_default();
    // On a laptop this file is somebody else's.
    let word = |key| release_word(&release, key).filter(|_| release_word(&release, "ID").as_deref() == Some("farhand"));
    let board = match board {
        _ if !is_real => "simulated".into(),
        Some(model) => model.trim_end_matches('\0').to_string(),
        None => "unknown".into(),
    };
    let update = system.update();
    let slots = system.machine.and_then(|machine| machine.slots);
    let (slot, confirmed) = slots.as_ref().map_or((None, None), |slots| (Some(slots.running), slots.confirmed));
    SystemAnswer {
        host: hostname(),
        version: env!("CARGO_PKG_VERSION"),
        build: word("VARIANT_ID"),
        variant: word("VARIANT"),
        board,
        slot,
        confirmed,
        slots: slots.map(|Slots { slots, .. }| slots),
        started,
        health,
        update,
        update_from: site.fetcher.as_ref().map(|fetcher| fetcher.from().to_string()),
    }
}

/// The value of a key in an os-release file.
fn release_word(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_string())
}

fn hostname() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Restarts the appliance.
pub async fn restart(site: &Site, principal: &Principal) -> Result<(), Problem> {
    info!("{} asked for a restart", principal.name.as_str());
    Ok(site.hands.restart().await?)
}

/// Makes the appliance forget its owner.
pub async fn factory_reset(site: &Site, principal: &Principal, request: Request<Incoming>) -> Result<(), Problem> {
    let ResetRequest { confirm } = body::json(request, body::VISITORS).await?;
    let name = hostname();
    if confirm != name {
        return Err(WrongName(name).into());
    }
    info!("{} asked for a factory reset", principal.name.as_str());
    Ok(site.hands.factory_reset().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_file_gives_its_words() {
        let text = "NAME=Farhand\nID=farhand\nVARIANT=\"development\"\nVARIANT_ID=quick\n";
        let word = |key| release_word(text, key);
        assert_eq!((Some("development"), Some("quick")), (word("VARIANT").as_deref(), word("VARIANT_ID").as_deref()));
        assert_eq!((Some("farhand"), None), (word("ID").as_deref(), word("VERSION")));
    }
}
