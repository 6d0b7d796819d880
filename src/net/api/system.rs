//! Tells of the appliance itself, and restarts or resets it, for one request at a time.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::auth::role::Privilege;
use crate::base::files;
use crate::health::board::Report;
use crate::health::report_file;
use crate::net::http::accepts::{Json, MEMBERS, Nothing};
use crate::net::http::answers::{Begun, Empty, Shown};
use crate::net::http::caller::Person;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Semantics};
use crate::net::http::problem::{ApiError, Problem};
use crate::net::http::row::Row;
use crate::net::site::Site;
use crate::update::Progress;
use crate::update::slots::{Content, Slot, Slots};

/// What there is.
pub const ROWS: &[Row] = &[Row::of::<ShowSystem>(), Row::of::<Restart>(), Row::of::<FactoryReset>()];

/// Why an appliance may not restart now.
const NOT_NOW: &[&Code] = &[
    codes::BUSY,
    codes::RESTARTING,
    codes::SIMULATED,
    codes::HANDS_AWAY,
    codes::NOT_RESTARTED,
    codes::NOT_STORED,
    codes::FLOODED,
];

struct ShowSystem;
struct Restart;
struct FactoryReset;

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
}

/// Why the machine last started, as the guard found out. It may be another version's guard that says it, so words that
/// we do not know are passed on.
#[derive(Debug, JsonSchema, Serialize, Deserialize)]
struct Started {
    why: String,
    #[serde(default)]
    detail: String,
}

/// The name of the device that is to forget.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetRequest {
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

async fn status(site: &Site) -> System {
    let system = site.system().now();
    let is_real = system.machine.as_ref().is_none_or(|machine| machine.real);
    let run = site.folders().run.clone();
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
        update_from: site.fetcher().map(|fetcher| fetcher.from().to_string()),
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

impl Endpoint for ShowSystem {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/system");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "tells of the appliance itself";
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Shown<System>;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Shown<System>, Problem> {
        Ok(Shown(status(&context.site).await))
    }
}

impl Endpoint for Restart {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/restart");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::ACTS;
    const SUMMARY: &'static str = "lets go of all keys, opens all relays and restarts the appliance";
    const ERRORS: &'static [&'static Code] = NOT_NOW;
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Begun<Empty>;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Begun<Empty>, Problem> {
        context.site.system().now().check_restart()?;
        context.site.hands().restart().await?;
        Ok(Begun(Empty {}))
    }
}

impl Endpoint for FactoryReset {
    const AT: (Method, &'static str) = (Method::Post, "/api/v1/factory-reset");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::ACTS;
    const SUMMARY: &'static str = "restarts the appliance, and forgets everything but what is installed";
    const ERRORS: &'static [&'static Code] = &[
        codes::NOT_CONFIRMED,
        codes::BUSY,
        codes::RESTARTING,
        codes::SIMULATED,
        codes::HANDS_AWAY,
        codes::NOT_RESTARTED,
        codes::NOT_STORED,
        codes::FLOODED,
    ];
    type Caller = Person;
    type Accepts = Json<ResetRequest, MEMBERS>;
    type Answers = Begun<Empty>;

    async fn act(context: Context<Person>, Json(request): Self::Accepts) -> Result<Begun<Empty>, Problem> {
        let name = hostname();
        if request.confirm != name {
            return Err(WrongName(name).into());
        }
        context.site.system().now().check_restart()?;
        context.site.hands().factory_reset().await?;
        Ok(Begun(Empty {}))
    }
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
