//! Keeps the sessions of everyone who is logged in, and removes those that have expired.
//!
//! Times are on the boot clock: a session ends when it should even if somebody sets the date, and no session outlives
//! the boot it began in. The book can be stored and read back, so that the daemon may restart without anybody noticing;
//! it holds digests, so that the file lets nobody in.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::accounts::{Epoch, Name};
use crate::auth::secret::{Digest, SessionId};

/// A session without a request or a key press ends after this.
pub const IDLE: Duration = Duration::from_secs(30 * 60);

/// A session ends after this in any case.
pub const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// Sessions at once. The one that was idle longest makes room for a new one, and none that is in use before any other.
const SESSIONS: usize = 256;

/// Sessions of one user: more than anybody's browsers, and too few to log everybody else out.
const SESSIONS_OF_ONE: usize = 16;

/// Uses closer together than this are not worth storing again.
const COARSE: Duration = Duration::from_secs(60);

/// Everyone who is logged in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionTable {
    sessions: HashMap<Digest, Session>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    user: Name,
    epoch: Epoch,
    began: Duration,
    used: Duration,
}

impl Session {
    fn end(&self) -> Duration {
        (self.used + IDLE).min(self.began + LONGEST)
    }
}

impl SessionTable {
    /// Begins a session. `in_use` says of another whether somebody watches or works by it now.
    pub fn begin(&mut self, now: Duration, secret: Digest, user: Name, epoch: Epoch, in_use: impl Fn(Digest) -> bool) {
        self.tick(now);
        let own = self.sessions.values().filter(|session| session.user == user).count();
        if own >= SESSIONS_OF_ONE {
            self.make_room(|session| session.user == user, in_use);
        } else if self.sessions.len() >= SESSIONS {
            self.make_room(|_| true, in_use);
        }
        self.sessions.insert(secret, Session { user, epoch, began: now, used: now });
    }

    /// Ends the one of these sessions that was idle longest. Watching is no use that prolongs a session, but whoever
    /// watches would notice.
    fn make_room(&mut self, of: impl Fn(&Session) -> bool, in_use: impl Fn(Digest) -> bool) {
        let some = self.sessions.iter().filter(|(_, session)| of(session));
        let idlest = some.min_by_key(|(secret, session)| (in_use(**secret), session.used)).map(|(secret, _)| *secret);
        if let Some(idlest) = idlest {
            self.sessions.remove(&idlest);
        }
    }

    /// The public names of a person's sessions, oldest first, with when they began and were used last.
    pub fn of(&self, now: Duration, user: &Name) -> Vec<(SessionId, Duration, Duration)> {
        let own = self.sessions.iter().filter(|(_, session)| session.user == *user && now < session.end());
        let mut own: Vec<_> = own.map(|(secret, session)| (secret.id(), session.began, session.used)).collect();
        own.sort_by_key(|(_, began, _)| *began);
        own
    }

    /// Whose session this is, if it has not ended, and of which epoch of their account.
    pub fn user(&self, now: Duration, secret: Digest) -> Option<(&Name, Epoch)> {
        self.sessions.get(&secret).filter(|session| now < session.end()).map(|session| (&session.user, session.epoch))
    }

    /// Notes that a session was used, and says whether the change is worth storing.
    pub fn touch(&mut self, now: Duration, secret: Digest) -> bool {
        let Some(session) = self.sessions.get_mut(&secret).filter(|session| now < session.end()) else { return false };
        let worth_storing = session.used + COARSE <= now;
        // What is stored and what is known stay the same, so that the next use is measured against the file.
        if worth_storing {
            session.used = now;
        }
        worth_storing
    }

    /// Ends a session.
    pub fn end(&mut self, secret: Digest) {
        self.sessions.remove(&secret);
    }

    /// Strikes out what has ended by now, and says whether there was anything.
    pub fn tick(&mut self, now: Duration) -> bool {
        let before = self.sessions.len();
        self.sessions.retain(|_, session| now < session.end());
        self.sessions.len() < before
    }

    /// Ends all sessions but those whose account is still the one that they began with.
    pub fn retain(&mut self, stays: impl Fn(&Name, Epoch) -> bool) {
        self.sessions.retain(|_, session| stays(&session.user, session.epoch));
    }

    /// When this session will end if it is not used again.
    pub fn deadline(&self, secret: Digest) -> Option<Duration> {
        self.sessions.get(&secret).map(Session::end)
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::accounts::Accounts;
    use crate::auth::role::Role;
    use crate::auth::secret::Bearer;
    use crate::auth::sessions::*;

    const START: Duration = Duration::from_secs(100);

    fn secret(byte: u8) -> Digest {
        Bearer::new([byte; 32]).digest()
    }

    fn numbered(n: u64) -> Digest {
        Bearer::new(std::array::from_fn(|i| (n >> (8 * (i & 1))) as u8)).digest()
    }

    fn anna() -> Name {
        Name::try_from("anna".to_string()).unwrap()
    }

    fn epoch() -> Epoch {
        let mut accounts = Accounts::default();
        accounts.put_user(anna(), Role::Viewer, "hash".into());
        accounts.epoch(&anna()).unwrap()
    }

    fn book() -> SessionTable {
        let mut book = SessionTable::default();
        book.begin(START, secret(1), anna(), epoch(), |_| false);
        book
    }

    #[test]
    fn a_session_ends_when_idle() {
        let book = book();
        assert_eq!(Some((&anna(), epoch())), book.user(START + IDLE - Duration::from_millis(1), secret(1)));
        assert_eq!(None, book.user(START + IDLE, secret(1)));
        assert_eq!(None, book.user(START, secret(2)));
        assert_eq!(Some(START + IDLE), book.deadline(secret(1)));
    }

    #[test]
    fn use_keeps_a_session_but_not_for_ever() {
        let mut book = book();
        let mut now = START;
        while now < START + LONGEST - Duration::from_secs(60) {
            now += Duration::from_secs(60);
            assert!(book.touch(now, secret(1)), "at {now:?}");
        }
        assert_eq!(None, book.user(START + LONGEST, secret(1)));
        assert!(!book.touch(START + LONGEST, secret(1)));
    }

    #[test]
    fn frequent_use_is_not_stored_each_time() {
        let mut book = book();
        assert!(!book.touch(START + Duration::from_secs(59), secret(1)));
        assert!(book.touch(START + Duration::from_secs(60), secret(1)));
    }

    #[test]
    fn an_ended_session_is_gone() {
        let mut book = book();
        book.end(secret(1));
        assert_eq!(None, book.user(START, secret(1)));
        assert_eq!(None, book.deadline(secret(1)));
    }

    #[test]
    fn the_idlest_session_makes_room() {
        let mut book = SessionTable::default();
        for n in 0..=SESSIONS as u64 {
            let user = Name::try_from(format!("user{n}")).unwrap();
            book.begin(START + Duration::from_millis(n), numbered(n), user, epoch(), |_| false);
        }
        assert_eq!(SESSIONS, book.sessions.len());
        assert_eq!(None, book.user(START, numbered(0)));
    }

    #[test]
    fn whoever_logs_in_again_and_again_ends_their_own_sessions_only() {
        let mut book = SessionTable::default();
        let bert = Name::try_from("bert".to_string()).unwrap();
        book.begin(START, numbered(1000), bert.clone(), epoch(), |_| false);
        for n in 0..300 {
            book.begin(START + Duration::from_millis(n), numbered(n), anna(), epoch(), |_| false);
        }
        assert_eq!(Some((&bert, epoch())), book.user(START, numbered(1000)));
        let left: Vec<SessionId> = (284..300).map(|n| numbered(n).id()).collect();
        assert_eq!(left, book.of(START, &anna()).into_iter().map(|(id, ..)| id).collect::<Vec<_>>());
    }

    #[test]
    fn a_session_in_use_makes_room_only_when_all_are() {
        let mut book = SessionTable::default();
        let mut begin = |n: u64, in_use: &dyn Fn(Digest) -> bool| {
            book.begin(START + Duration::from_millis(n), numbered(n), anna(), epoch(), in_use);
            let left = (0..=n).filter(|n| book.user(START, numbered(*n)).is_some());
            left.collect::<Vec<_>>()
        };
        let watches = |secret| secret == numbered(0);
        for n in 0..16 {
            begin(n, &watches);
        }
        assert_eq!([0].into_iter().chain(2..=16).collect::<Vec<_>>(), begin(16, &watches), "the oldest is watched by");
        assert_eq!((2..=17).collect::<Vec<_>>(), begin(17, &|_| true), "all are");
    }

    #[test]
    fn what_is_stored_reads_back() {
        let book = book();
        assert_eq!(book, serde_json::from_str(&serde_json::to_string(&book).unwrap()).unwrap());
    }
}
