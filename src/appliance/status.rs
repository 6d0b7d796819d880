//! Gathers what the appliance is, runs and does to itself.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::audit::trail;
use crate::base::files;
use crate::bus::SystemBus;
use crate::health::board::Report;
use crate::health::report_file;
use crate::update::slots::{Content, Slot, Slots};
use crate::update::{Progress, Trial};

/// What the appliance is, runs and does to itself.
#[derive(Debug, JsonSchema, Serialize)]
pub struct System {
    host: String,
    version: &'static str,
    build: Option<String>,
    variant: Option<String>,
    board: String,
    slot: Option<Slot>,
    confirmed: Option<bool>,
    slots: Option<BTreeMap<Slot, Content>>,
    started: Option<Started>,
    health: Option<Report>,
    update: Progress,
    update_from: Option<String>,
    trial: Option<Trial>,
    audit: trail::Status,
}

/// Why the machine last started, as the guard found out. It may be another version's guard that says it, so words that
/// we do not know are passed on.
#[derive(Debug, JsonSchema, Serialize, Deserialize)]
struct Started {
    why: String,
    #[serde(default)]
    detail: String,
}

/// Tells everything, `update_from` being where updates are fetched from.
pub async fn status(bus: &SystemBus, run: &Path, update_from: Option<String>, audit: trail::Status) -> System {
    let system = bus.now();
    let is_real = system.machine.as_ref().is_none_or(|machine| machine.real);
    let run = run.to_path_buf();
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
    let trial = system.trial.clone();
    let slots = system.machine.and_then(|machine| machine.slots);
    let (slot, confirmed) = slots.as_ref().map_or((None, None), |slots| (Some(slots.running), slots.confirmed));
    System {
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
        update_from,
        trial,
        audit,
    }
}

/// The value of a key in an os-release file.
fn release_word(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_string())
}

/// The name that this machine has.
pub fn hostname() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
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
