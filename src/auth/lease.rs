//! Says for how long somebody may stay, and ends that at once when their session, token or account ends.
//!
//! Whoever acts for somebody holds their [`Lease`] and asks it for each thing that is done: a flag and a deadline,
//! which no flood of requests can keep from being seen. [`Leases`] keeps the sessions, hands the leases out and ends
//! them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::auth::accounts::{Epoch, Name};
use crate::auth::privileges::Rights;
use crate::auth::secret::Digest;
use crate::auth::sessions::{Listed, SessionTable};
use crate::auth::store::{SessionFile, StoreError};
use crate::auth::token_clock::TokenClock;
use crate::auth::visitor::Visitor;

/// How soon a token's end is noticed by who only waits for it: somebody may set the wall clock meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Where sessions were seen is stored once in this time: a restart of the daemon loses no more of it.
const STORE_SEEN: Duration = Duration::from_secs(60);

/// With what somebody came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// The cookie of a session.
    Session(Digest),
    /// A token.
    Token(Digest),
}

/// The right to stay. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Lease {
    grant: Arc<Grant>,
    leases: Arc<Leases>,
}

/// What the clones of a lease share.
#[derive(Debug)]
struct Grant {
    key: Key,
    name: Name,
    rights: Rights,
    over: watch::Sender<bool>,
    /// A session's end in milliseconds since boot, a token's in seconds since 1970; the maximum is never.
    end: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Lease {
    /// Whether whoever holds this may not act any more. Cheap enough to be asked for each key press.
    pub fn is_over(&self) -> bool {
        *self.grant.over.borrow() || self.left().is_some_and(|left| left.is_zero())
    }

    /// Waits until it is over.
    pub async fn ended(&self) {
        let mut over = self.grant.over.subscribe();
        while !self.is_over() {
            let Some(left) = self.left() else {
                // We hold the sender ourselves, so this cannot fail.
                let _ = over.wait_for(|over| *over).await;
                return;
            };
            tokio::select! {
                _ = over.wait_for(|over| *over) => (),
                () = self.leases.clock.wait_for(self.leases.clock.since_boot() + left) => (),
            }
        }
    }

    /// Notes that a session is used, which puts its end off. A token's end is fixed.
    pub fn touch(&self) {
        if let Key::Session(secret) = self.grant.key
            && !self.is_over()
        {
            self.leases.touch(secret, &self.grant);
        }
    }

    /// Notes from where a request came with a session. That alone puts no end off.
    pub fn see(&self, from: IpAddr) {
        if let Key::Session(secret) = self.grant.key {
            self.leases.see(secret, from);
        }
    }

    /// How long it is until the end, or until it must be looked for again; `None` is for ever.
    fn left(&self) -> Option<Duration> {
        let end = self.grant.end.load(Ordering::Relaxed);
        if end == NEVER {
            return None;
        }
        let clock = &self.leases.clock;
        Some(match self.grant.key {
            Key::Session(_) => Duration::from_millis(end).saturating_sub(clock.since_boot()),
            Key::Token(_) => Duration::from_secs(end.saturating_sub(clock.time())).min(LOOK_AGAIN),
        })
    }
}

/// Everyone who is in: the sessions, and the leases on them and on tokens.
#[derive(Debug)]
pub struct Leases {
    clock: Arc<TokenClock>,
    file: SessionFile,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    table: SessionTable,
    grants: HashMap<Key, Arc<Grant>>,
    /// When the table was last stored.
    stored: Duration,
}

impl Leases {
    /// Reads the sessions that the run folder keeps.
    pub fn open(run: &Path, clock: Arc<TokenClock>) -> Result<Leases, StoreError> {
        let (file, table) = SessionFile::open(run)?;
        Ok(Leases { clock, file, state: Mutex::new(State { table, grants: HashMap::new(), stored: Duration::ZERO }) })
    }

    /// Begins a session.
    pub fn begin(&self, secret: Digest, user: Name, epoch: Epoch, visitor: Visitor) {
        let mut state = self.lock();
        let State { table, grants, .. } = &mut *state;
        // A grant that is shared with somebody is a request, a stream or a socket that goes on.
        let in_use = |secret| grants.get(&Key::Session(secret)).is_some_and(|grant| 1 < Arc::strong_count(grant));
        table.begin(self.clock.since_boot(), secret, (user, epoch), visitor, in_use);
        self.settle(&mut state);
    }

    /// Ends a session, and says whether there was one.
    pub fn end(&self, secret: Digest) -> bool {
        let mut state = self.lock();
        let was_there = state.table.end(self.clock.since_boot(), secret);
        self.settle(&mut state);
        was_there
    }

    /// Ends all sessions of somebody but this one, and says how many.
    pub fn end_others(&self, user: &Name, secret: Digest) -> usize {
        let mut state = self.lock();
        let ended = state.table.end_others(user, secret);
        self.settle(&mut state);
        ended
    }

    /// Lets a session go on that was of an epoch of its account before this one.
    pub fn renew(&self, secret: Digest, epoch: Epoch) {
        self.lock().table.renew(secret, epoch);
    }

    /// Every session, oldest first.
    pub fn list(&self) -> Vec<Listed> {
        self.lock().table.list(self.clock.since_boot())
    }

    /// Strikes out sessions whose time is over.
    pub fn tick(&self) {
        let mut state = self.lock();
        if state.table.tick(self.clock.since_boot()) {
            self.settle(&mut state);
        }
    }

    /// Whose session this is, if it has not ended.
    pub fn session(&self, secret: Digest) -> Option<(Name, Epoch)> {
        let state = self.lock();
        state.table.user(self.clock.since_boot(), secret).map(|(name, epoch)| (name.clone(), epoch))
    }

    /// The lease of a session or token that has just been recognised as this person's or program's. `expires` is a
    /// token's own end.
    pub fn lease(self: &Arc<Self>, key: Key, name: &Name, rights: &Rights, expires: Option<u64>) -> Lease {
        let mut state = self.lock();
        let end = match key {
            Key::Session(secret) => state.table.deadline(secret).map_or(0, millis),
            Key::Token(_) => expires.unwrap_or(NEVER),
        };
        let known = state.grants.get(&key).filter(|grant| grant.name == *name && grant.rights == *rights).cloned();
        let grant = known.unwrap_or_else(|| {
            let (over, end) = (watch::Sender::new(false), AtomicU64::new(end));
            let grant = Arc::new(Grant { key, name: name.clone(), rights: rights.clone(), over, end });
            if let Some(before) = state.grants.insert(key, grant.clone()) {
                before.over.send_replace(true);
            }
            grant
        });
        Lease { grant, leases: self.clone() }
    }

    /// Ends what the accounts do not bear out any more: sessions of another epoch, and leases with other rights or of a
    /// token that is gone.
    pub fn retain(&self, session: impl Fn(&Name, Epoch) -> bool, holder: impl Fn(Key, &Name, &Rights) -> bool) {
        let mut state = self.lock();
        state.table.retain(session);
        state.grants.retain(|key, grant| {
            let stays = holder(*key, &grant.name, &grant.rights);
            if !stays {
                grant.over.send_replace(true);
            }
            stays
        });
        self.settle(&mut state);
    }

    fn touch(&self, secret: Digest, grant: &Grant) {
        let mut state = self.lock();
        if state.table.touch(self.clock.since_boot(), secret) {
            grant.end.store(state.table.deadline(secret).map_or(0, millis), Ordering::Relaxed);
            self.file.write(&state.table);
        }
    }

    fn see(&self, secret: Digest, from: IpAddr) {
        let (mut state, now) = (self.lock(), self.clock.since_boot());
        state.table.see(now, secret, from);
        if state.stored + STORE_SEEN <= now {
            state.stored = now;
            self.file.write(&state.table);
        }
    }

    /// Ends the leases of sessions that are not in the table any more, and stores the rest.
    fn settle(&self, state: &mut State) {
        let State { table, grants, .. } = state;
        grants.retain(|key, grant| {
            let is_gone = matches!(key, Key::Session(secret) if table.deadline(*secret).is_none());
            if is_gone {
                grant.over.send_replace(true);
            }
            !is_gone
        });
        self.file.write(table);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked has changed nothing by halves: each change is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;

    use crate::auth::accounts::Accounts;
    use crate::auth::clock::Clock;
    use crate::auth::lease::*;
    use crate::auth::role::Role;
    use crate::auth::secret::Bearer;
    use crate::auth::sessions::{IDLE, LONGEST};

    /// Stands still until it is put forward.
    #[derive(Debug, Default)]
    struct StillClock(watch::Sender<Duration>);

    impl Clock for StillClock {
        fn since_boot(&self) -> Duration {
            *self.0.borrow()
        }

        fn wall(&self) -> u64 {
            self.0.borrow().as_secs()
        }

        fn wait_for(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            let mut now = self.0.subscribe();
            Box::pin(async move { _ = now.wait_for(|now| time <= *now).await })
        }
    }

    struct Fixture {
        folder: std::path::PathBuf,
        clock: Arc<StillClock>,
        leases: Arc<Leases>,
    }

    impl Fixture {
        fn new(name: &str) -> Fixture {
            let folder = std::env::temp_dir().join(format!("farhand-lease-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            let clock = Arc::new(StillClock::default());
            let leases = Leases::open(&folder, Arc::new(TokenClock::new(clock.clone(), 0))).unwrap();
            Fixture { folder, clock, leases: Arc::new(leases) }
        }

        fn session(&self, byte: u8) -> Lease {
            let visitor = Visitor { address: std::net::Ipv4Addr::LOCALHOST.into(), browser: None };
            self.leases.begin(secret(byte), anna(), epoch(), visitor);
            self.leases.lease(Key::Session(secret(byte)), &anna(), &operator(), None)
        }
    }

    impl Drop for Fixture {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    fn secret(byte: u8) -> Digest {
        Bearer::new([byte; 32]).digest()
    }

    fn anna() -> Name {
        Name::try_from("anna".to_string()).unwrap()
    }

    fn operator() -> Rights {
        Rights::everywhere(Role::Operator)
    }

    fn viewer() -> Rights {
        Rights::everywhere(Role::Viewer)
    }

    fn epoch() -> Epoch {
        let mut accounts = Accounts::default();
        accounts.put_user(anna(), Role::Operator, "hash".into());
        accounts.epoch(&anna()).unwrap()
    }

    #[test]
    fn a_lease_is_over_the_moment_its_session_ends() {
        let fixture = Fixture::new("ends");
        let (lease, other) = (fixture.session(1), fixture.session(2));
        let same = fixture.leases.lease(Key::Session(secret(1)), &anna(), &operator(), None);
        fixture.leases.end(secret(1));
        assert!(lease.is_over() && same.is_over() && !other.is_over());
        lease.touch();
        assert!(lease.is_over());
    }

    #[test]
    fn a_lease_is_over_when_its_time_is_and_use_puts_that_off() {
        let fixture = Fixture::new("time");
        let (used, idle) = (fixture.session(1), fixture.session(2));
        fixture.clock.0.send_replace(IDLE - Duration::from_secs(1));
        used.touch();
        assert!(!used.is_over() && !idle.is_over());
        fixture.clock.0.send_replace(IDLE);
        assert!(!used.is_over() && idle.is_over());
        idle.touch();
        assert!(idle.is_over(), "what is over does not come back");
        fixture.clock.0.send_replace(LONGEST);
        assert!(used.is_over());
    }

    #[test]
    fn other_rights_or_another_account_end_leases() {
        let fixture = Fixture::new("role");
        let lease = fixture.session(1);
        fixture.leases.retain(|_, _| true, |_, _, rights| *rights == operator());
        assert!(!lease.is_over());
        fixture.leases.retain(|_, _| true, |_, _, rights| *rights == viewer());
        assert!(lease.is_over());
        let again = fixture.leases.lease(Key::Session(secret(1)), &anna(), &viewer(), None);
        assert!(!again.is_over(), "the session goes on, as what its account is now");
        fixture.leases.retain(|_, _| false, |_, _, _| true);
        assert!(again.is_over());
    }

    #[test]
    fn logging_in_again_and_again_ends_the_session_that_a_socket_holds_last() {
        let fixture = Fixture::new("room");
        let (watched, left) = (fixture.session(1), fixture.session(2));
        // What held it has ended, such as a socket that was closed.
        let left = Arc::downgrade(&{ left }.grant);
        for byte in 3..=17 {
            fixture.clock.0.send_modify(|now| *now += Duration::from_secs(1));
            fixture.session(byte);
        }
        assert!(!watched.is_over() && left.upgrade().is_none());
    }

    #[tokio::test]
    async fn who_waits_for_the_end_learns_it_however_it_comes() {
        let fixture = Fixture::new("waits");
        let (first, second) = (fixture.session(1), fixture.session(2));
        let token = fixture.leases.lease(Key::Token(secret(3)), &anna(), &viewer(), Some(60));
        let end = async { fixture.leases.end(secret(1)) };
        tokio::join!(first.ended(), end);
        let pass = async { fixture.clock.0.send_replace(Duration::from_secs(60)) };
        tokio::join!(token.ended(), pass);
        let pass = async { fixture.clock.0.send_replace(IDLE) };
        tokio::join!(second.ended(), pass);
    }
}
