//! Logs who does what, before and after, whichever way they came.

use std::fmt;

use log::{info, warn};

use crate::auth::principal::Principal;

/// Something that somebody does: a line in the log before something is done, and one after, also if nobody waits for
/// the end.
#[derive(Debug)]
pub struct Act {
    who: String,
    what: String,
    has_ended: bool,
}

impl Act {
    /// Logs that somebody begins to do `what`, which follows "begins to".
    pub fn begin(principal: &Principal, what: impl Into<String>) -> Act {
        let act = Act { who: principal.to_string(), what: what.into(), has_ended: false };
        info!("{} begins to {}", act.who, act.what);
        act
    }

    /// Logs what became of it, and passes that on.
    pub fn end<E: fmt::Display>(mut self, outcome: Result<(), E>) -> Result<(), E> {
        self.has_ended = true;
        match &outcome {
            Ok(()) => info!("done: {} asked to {}", self.who, self.what),
            Err(error) => warn!("not done: {} asked to {}: {error}", self.who, self.what),
        }
        outcome
    }
}

impl Drop for Act {
    fn drop(&mut self) {
        if !self.has_ended {
            warn!("left: {} asked to {} and did not wait for the end", self.who, self.what);
        }
    }
}
