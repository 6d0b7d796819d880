//! What supervises the machine, as far as an owner may choose.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::choice::Choice;

/// How the machine is supervised.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// What resets it when it hangs.
    pub watchdog: Watchdog,
}

/// `"auto"`, `"none"` or a path below `/dev`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Watchdog {
    /// The first there is, hardware before the kernel's own timer.
    #[default]
    Auto,
    /// None, unless U-Boot has started one.
    None,
    /// This one only.
    Path(PathBuf),
}

const WATCHDOG: Choice<Watchdog> = Choice {
    key: "watchdog",
    words: &[("auto", Watchdog::Auto), ("none", Watchdog::None)],
    or: &["a path such as \"/dev/watchdog0\""],
};

impl TryFrom<String> for Watchdog {
    type Error = String;

    fn try_from(text: String) -> Result<Watchdog, String> {
        WATCHDOG.read(&text, |path| {
            (path.starts_with("/dev/watchdog") && !path.contains("..")).then(|| Watchdog::Path(path.into()))
        })
    }
}
