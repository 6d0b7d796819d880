//! Logs who does what, before and after, whichever way they came.

use std::fmt;

use log::{Level, log};

use crate::auth::principal::Principal;

/// How much an act matters to whoever reads the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It presses a button, or changes the appliance: no line of it is ever left out.
    Lasting,
    /// It types. A script does that by the thousand, so the log takes a number of them a minute and counts the rest.
    Typing,
}

/// Something that somebody does: a line in the log before something is done, and one after, also if nobody waits for
/// the end.
#[derive(Debug)]
pub struct Act {
    who: String,
    what: String,
    level: Level,
    has_ended: bool,
}

impl Act {
    /// Logs that somebody begins to do `what`, which follows "begins to".
    pub fn begin(kind: Kind, principal: &Principal, what: impl Into<String>) -> Act {
        let level = match kind {
            Kind::Lasting => Level::Info,
            Kind::Typing => principal.level(),
        };
        let act = Act { who: principal.to_string(), what: what.into(), level, has_ended: false };
        log!(level, "{} begins to {}", act.who, act.what);
        act
    }

    /// Logs what became of it, and passes that on.
    pub fn end<E: fmt::Display>(mut self, outcome: Result<(), E>) -> Result<(), E> {
        self.has_ended = true;
        match &outcome {
            Ok(()) => log!(self.level, "done: {} asked to {}", self.who, self.what),
            Err(error) => log!(self.failed(), "not done: {} asked to {}: {error}", self.who, self.what),
        }
        outcome
    }

    /// The level of what went wrong.
    fn failed(&self) -> Level {
        if self.level == Level::Info { Level::Warn } else { self.level }
    }
}

impl Drop for Act {
    fn drop(&mut self) {
        if !self.has_ended {
            log!(self.failed(), "left: {} asked to {} and did not wait for the end", self.who, self.what);
        }
    }
}
