//! Logs who does what, before and after, whichever way they came: for a while in the service's log, and for long in the
//! audit log.

use std::fmt;

use log::{Level, log};

use crate::audit::budget::Class;
use crate::audit::record::What;
use crate::audit::trail::{OpenRecord, Typing};
use crate::auth::principal::Principal;
use crate::base::coded::Coded;
use crate::base::seat_id::SeatId;

/// How much an act matters to whoever reads the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It presses a button, or changes the appliance: no line of it is ever left out, and before it is done a record of
    /// it is on the card.
    Lasting,
    /// It types. A script does that by the thousand, so the log takes a number of them a minute and counts the rest,
    /// and the audit log says when it began and ended.
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
    record: Option<OpenRecord>,
    _typing: Option<Typing>,
}

impl Act {
    /// Logs that somebody begins to do something: the word for it, and the words that follow "begins to". What lasts is
    /// on the card when this returns, or cannot be written there. That may take a second, so ask afterwards whether
    /// they may still do it.
    pub async fn begin(
        kind: Kind,
        principal: &Principal,
        what: What,
        seat: Option<&SeatId>,
        words: impl Into<String>,
    ) -> Act {
        let level = match kind {
            Kind::Lasting => Level::Info,
            Kind::Typing => principal.level(),
        };
        let mut act = Act {
            who: principal.to_string(),
            what: words.into(),
            level,
            has_ended: false,
            record: None,
            _typing: None,
        };
        log!(level, "{} begins to {}", act.who, act.what);
        match kind {
            Kind::Lasting => {
                let entry = principal.entry(what, &act.what).at(seat.map(SeatId::as_str));
                act.record = Some(principal.trail().begin(Class::Lasting, entry).await);
            }
            Kind::Typing => act._typing = principal.trail().type_on(principal.subject(what, seat)),
        }
        act
    }

    /// Logs what became of it, and passes that on.
    pub fn end<E: fmt::Display + Coded>(mut self, outcome: Result<(), E>) -> Result<(), E> {
        self.has_ended = true;
        match &outcome {
            Ok(()) => log!(self.level, "done: {} asked to {}", self.who, self.what),
            Err(error) => log!(self.failed(), "not done: {} asked to {}: {error}", self.who, self.what),
        }
        if let Some(record) = self.record.take() {
            record.end(outcome.as_ref().copied().map_err(Coded::code_name));
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
