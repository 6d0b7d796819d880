//! Shows the configuration to whoever may change it, and makes a text of the changes of a form.

use std::collections::BTreeSet;
use std::io;

use schemars::JsonSchema;
use serde::Serialize;

use crate::base::seat_id::SeatId;
use crate::config::change::{self, Part};
use crate::config::check::{self, Finding};
use crate::hands::appliance::configuration::{Current, Places, Version};

/// The configuration, as its owner sees it.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Shown {
    /// The owner's text, which is laid over the board's.
    pub text: String,
    /// All that counts, as TOML; null if the text has mistakes, so that rescue mode goes on with the defaults.
    pub effective: Option<String>,
    /// Names this text; a change has it in `If-Match`.
    pub revision: String,
    /// What counted from when on, the newest first.
    pub history: Vec<Listed>,
}

/// A version of the configuration, without its text.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Listed {
    /// Its number; they count up.
    n: u64,
    /// Who had it count; null of one that came otherwise, such as from the card.
    who: Option<String>,
    /// Since when it counted, by the appliance's wall clock at that time.
    when: String,
    /// The length of its text, in bytes.
    size: usize,
}

/// What is to be said about a text before it counts.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Review {
    /// Its mistakes; none if it is good.
    pub errors: Vec<Finding>,
    /// What is allowed, and will surprise.
    pub warnings: Vec<String>,
    /// What would start again.
    pub restarts: BTreeSet<Part>,
    /// Whether it would be tried first, and taken back unless it is confirmed.
    pub on_trial: bool,
    /// The keys that would change.
    pub changes: Vec<Changed>,
    /// The seats whose relays would be driven otherwise.
    #[serde(skip)]
    pub rewired: BTreeSet<SeatId>,
}

/// A key that changes. What is in only one of two configurations is null in the other.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Changed {
    /// The key, in full.
    pub key: String,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
}

/// Reads what counts and what did. Waits for the card.
pub fn show(places: &Places) -> io::Result<Shown> {
    let current = places.current()?;
    let history = places.history()?.into_iter().map(|version| Listed {
        n: version.number,
        who: version.who,
        when: humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + std::time::Duration::from_secs(version.when))
            .to_string(),
        size: version.text.len(),
    });
    Ok(Shown {
        effective: current.config().map(|config| config.text()),
        revision: current.revision(),
        history: history.collect(),
        text: current.text,
    })
}

/// Reads an earlier text. Waits for the card.
pub fn version(places: &Places, number: u64) -> io::Result<Option<Version>> {
    places.version(number)
}

/// Says what is to be said about a text where `current` counts.
pub fn review(current: &Current, text: &str) -> Review {
    let check::Checked { outcome, warnings } = check::check(&current.board, text);
    let (before, known) = match current.config() {
        Some(config) => (config, true),
        None => (Default::default(), false),
    };
    match outcome {
        Err(errors) => Review {
            errors,
            warnings,
            restarts: BTreeSet::new(),
            on_trial: false,
            changes: Vec::new(),
            rewired: BTreeSet::new(),
        },
        Ok(after) => Review {
            errors: Vec::new(),
            warnings,
            restarts: if known { change::restarts(&before, &after) } else { Part::ALL.into() },
            on_trial: change::needs_trial(&before, &after),
            rewired: change::rewired(&before, &after),
            changes: change::changes(&before, &after).into_iter().map(Changed::from).collect(),
        },
    }
}

impl From<change::Change> for Changed {
    fn from(change: change::Change) -> Changed {
        let json = |value: Option<toml::Value>| value.and_then(|value| serde_json::to_value(value).ok());
        Changed { key: change.key, before: json(change.before), after: json(change.after) }
    }
}
