//! Names who has shown who they are, and what they may do.

use core::net::IpAddr;
use std::fmt;
use std::sync::Arc;

use log::Level;

use crate::audit::batches::Subject;
use crate::audit::record::{Entry, What};
use crate::audit::trail::Trail;
use crate::auth::accounts::Name;
use crate::auth::journal::Journal;
use crate::auth::lease::{Key, Lease};
use crate::auth::privileges::Rights;
use crate::auth::role::Privilege;
use crate::base::seat_id::SeatId;

/// Somebody who has shown who they are.
#[derive(Debug, Clone)]
pub struct Principal {
    /// What they are called wherever they are shown.
    pub name: DisplayName,
    /// What they may do, and where.
    pub rights: Rights,
    /// Whether they must set a second factor up before they may do anything.
    pub needs_second_factor: bool,
    key: Key,
    lease: Lease,
    journal: Arc<Journal>,
    peer: Option<IpAddr>,
}

impl Principal {
    pub(super) fn new(name: &Name, rights: Rights, key: Key, lease: Lease, journal: Arc<Journal>) -> Principal {
        let name = DisplayName::new(name, key);
        Principal { name, rights, needs_second_factor: false, key, lease, journal, peer: None }
    }

    /// The same, coming from this address.
    pub fn coming_from(self, peer: IpAddr) -> Principal {
        Principal { peer: Some(peer), ..self }
    }

    /// The address that they come from, once that is known.
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// Where what they do is written down.
    pub fn trail(&self) -> &Trail {
        self.journal.trail()
    }

    /// A record of something that they begin.
    pub fn entry(&self, what: What, words: impl Into<String>) -> Entry {
        Entry::new(what, words).by(Some(self.name.as_str()), self.peer)
    }

    /// Something that they do again and again.
    pub fn subject(&self, what: What, seat: Option<&SeatId>) -> Subject {
        let seat = seat.map(|seat| seat.as_str().to_string());
        Subject { who: self.name.as_str().to_string(), from: self.peer, what, seat }
    }

    /// With what they came, to tell one session or token from another.
    pub fn key(&self) -> Key {
        self.key
    }

    /// For how long they may act.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// At which level another line of theirs is logged that may be left out. Ask once for each.
    pub fn level(&self) -> Level {
        self.journal.level(self.name.as_str())
    }

    /// Whether they may do something at a seat, or, without one, to the appliance.
    pub fn may(&self, privilege: Privilege, seat: Option<&SeatId>) -> bool {
        self.rights.may(privilege, seat)
    }

    /// Whether this is somebody's own session, and no token.
    pub fn is(&self, user: &Name) -> bool {
        self.by_cookie() && self.name.as_str() == user.as_str()
    }

    /// Whether they came with a cookie, which a browser sends by itself, rather than with a token.
    pub fn by_cookie(&self) -> bool {
        matches!(self.key, Key::Session(_))
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name.as_str())
    }
}

/// What somebody is called in the log and to others. Tokens have names of their own choosing, and one must not pass for
/// the person of the same name; a person's name has no space, so that no person passes for a token either.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DisplayName(String);

impl DisplayName {
    fn new(name: &Name, key: Key) -> DisplayName {
        DisplayName(match key {
            Key::Session(_) => name.as_str().to_string(),
            Key::Token(_) => format!("token {}", name.as_str()),
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a request says of who sent it.
#[derive(Debug, PartialEq)]
pub enum Credential {
    /// Nothing.
    None,
    /// The session cookie.
    Cookie(String),
    /// A bearer token.
    Bearer(String),
    /// Something that is neither, or several at once.
    Unusable,
}
