//! Keeps the sessions of everyone who is logged in, and removes those that have expired.
//!
//! Times are on the boot clock: a session ends when it should even if somebody sets the date, and no session outlives
//! the boot it began in. The book can be stored and read back, so that the daemon may restart without anybody noticing;
//! it holds digests, so that the file lets nobody in.

use core::net::IpAddr;
use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::accounts::{Epoch, Name};
use crate::auth::secret::Digest;
use crate::auth::visitor::Visitor;

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
    /// Who began it.
    visitor: Visitor,
    /// When a request last came with it, whether or not that puts its end off, and from where.
    seen: Duration,
    seen_from: IpAddr,
}

/// A session as people may see it. Times are on the boot clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// What it is known by here.
    pub secret: Digest,
    /// Whose it is.
    pub user: Name,
    /// When it began.
    pub began: Duration,
    /// When it was last used in any way, to the minute.
    pub used: Duration,
    /// From where and with what it began.
    pub visitor: Visitor,
    /// From where a request last came with it.
    pub used_from: IpAddr,
}

impl Session {
    fn end(&self) -> Duration {
        (self.used + IDLE).min(self.began + LONGEST)
    }
}

impl SessionTable {
    /// Begins a session. `in_use` says of another whether somebody watches or works by it now.
    pub fn begin(
        &mut self,
        now: Duration,
        secret: Digest,
        (user, epoch): (Name, Epoch),
        visitor: Visitor,
        in_use: impl Fn(Digest) -> bool,
    ) {
        self.tick(now);
        let own = self.sessions.values().filter(|session| session.user == user).count();
        if own >= SESSIONS_OF_ONE {
            self.make_room(|session| session.user == user, in_use);
        } else if self.sessions.len() >= SESSIONS {
            self.make_room(|_| true, in_use);
        }
        let (began, used, seen, seen_from) = (now, now, now, visitor.address);
        self.sessions.insert(secret, Session { user, epoch, began, used, visitor, seen, seen_from });
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

    /// Every session that has not ended, oldest first.
    pub fn list(&self, now: Duration) -> Vec<Listed> {
        let lasting = self.sessions.iter().filter(|(_, session)| now < session.end());
        let listed = lasting.map(|(secret, session)| Listed {
            secret: *secret,
            user: session.user.clone(),
            began: session.began,
            used: session.used.max(session.seen),
            visitor: session.visitor.clone(),
            used_from: session.seen_from,
        });
        let mut listed: Vec<_> = listed.collect();
        listed.sort_by_key(|session| (session.began, session.secret));
        listed
    }

    /// Notes that a request came with a session, and from where. That alone does not put its end off.
    pub fn see(&mut self, now: Duration, secret: Digest, from: IpAddr) {
        if let Some(session) = self.sessions.get_mut(&secret) {
            (session.seen, session.seen_from) = (now, from);
        }
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

    /// Ends a session, and says whether there was one.
    pub fn end(&mut self, now: Duration, secret: Digest) -> bool {
        self.sessions.remove(&secret).is_some_and(|session| now < session.end())
    }

    /// Ends all sessions of somebody but this one, and says how many.
    pub fn end_others(&mut self, user: &Name, secret: Digest) -> usize {
        let before = self.sessions.len();
        self.sessions.retain(|other, session| session.user != *user || *other == secret);
        before - self.sessions.len()
    }

    /// Lets a session go on that was of an epoch of its account before this one.
    pub fn renew(&mut self, secret: Digest, epoch: Epoch) {
        if let Some(session) = self.sessions.get_mut(&secret) {
            session.epoch = epoch;
        }
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
    use std::net::Ipv4Addr;

    use crate::auth::secret::{Bearer, SessionId};
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

    fn visitor() -> Visitor {
        Visitor { address: Ipv4Addr::LOCALHOST.into(), browser: None }
    }

    fn book() -> SessionTable {
        let mut book = SessionTable::default();
        book.begin(START, secret(1), (anna(), epoch()), visitor(), |_| false);
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
        assert!(book.end(START, secret(1)) && !book.end(START, secret(1)));
        assert_eq!(None, book.user(START, secret(1)));
        assert_eq!(None, book.deadline(secret(1)));
    }

    #[test]
    fn the_idlest_session_makes_room() {
        let mut book = SessionTable::default();
        for n in 0..=SESSIONS as u64 {
            let user = Name::try_from(format!("user{n}")).unwrap();
            book.begin(START + Duration::from_millis(n), numbered(n), (user, epoch()), visitor(), |_| false);
        }
        assert_eq!(SESSIONS, book.sessions.len());
        assert_eq!(None, book.user(START, numbered(0)));
    }

    #[test]
    fn whoever_logs_in_again_and_again_ends_their_own_sessions_only() {
        let mut book = SessionTable::default();
        let bert = Name::try_from("bert".to_string()).unwrap();
        book.begin(START, numbered(1000), (bert.clone(), epoch()), visitor(), |_| false);
        for n in 0..300 {
            book.begin(START + Duration::from_millis(n), numbered(n), (anna(), epoch()), visitor(), |_| false);
        }
        assert_eq!(Some((&bert, epoch())), book.user(START, numbered(1000)));
        let left: Vec<SessionId> = (284..300).map(|n| numbered(n).id()).collect();
        let listed = book.list(START).into_iter().filter(|session| session.user == anna());
        assert_eq!(left, listed.map(|session| session.secret.id()).collect::<Vec<_>>());
    }

    #[test]
    fn a_session_in_use_makes_room_only_when_all_are() {
        let mut book = SessionTable::default();
        let mut begin = |n: u64, in_use: &dyn Fn(Digest) -> bool| {
            book.begin(START + Duration::from_millis(n), numbered(n), (anna(), epoch()), visitor(), in_use);
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
    fn who_ends_all_others_keeps_their_own_and_everybody_elses() {
        let mut book = book();
        let bert = Name::try_from("bert".to_string()).unwrap();
        book.begin(START, secret(2), (anna(), epoch()), visitor(), |_| false);
        book.begin(START, secret(3), (bert, epoch()), visitor(), |_| false);
        assert_eq!((1, 0), (book.end_others(&anna(), secret(2)), book.end_others(&anna(), secret(2))));
        let left: Vec<bool> = [1, 2, 3].map(|n| book.user(START, secret(n)).is_some()).to_vec();
        assert_eq!(vec![false, true, true], left);
    }

    #[test]
    fn a_session_that_is_only_looked_at_with_is_seen_and_ends_all_the_same() {
        let mut book = book();
        let (later, elsewhere) = (START + IDLE - Duration::from_secs(1), IpAddr::from([192, 0, 2, 7]));
        book.see(later, secret(1), elsewhere);
        book.see(later, secret(2), elsewhere);
        let listed = book.list(later);
        assert_eq!(
            vec![(START, later, elsewhere)],
            listed.iter().map(|s| (s.began, s.used, s.used_from)).collect::<Vec<_>>()
        );
        assert_eq!(visitor(), listed[0].visitor);
        assert_eq!(Vec::<Listed>::new(), book.list(START + IDLE));
    }

    #[test]
    fn what_is_stored_reads_back() {
        let book = book();
        assert_eq!(book, serde_json::from_str(&serde_json::to_string(&book).unwrap()).unwrap());
    }
}
