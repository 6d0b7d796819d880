//! Knows everyone who may come in and everyone who is in, and remembers both across a restart.
//!
//! The rules are in [`crate::session`]; here they meet clock, randomness, files and the tasks that wait for an end. Accounts
//! are written to the data folder before a change counts. Sessions go to the run folder, which a reboot empties; they also
//! name the boot they belong to, for machines on which it does not.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use log::{info, warn};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::auth::accounts::{AccountError, Accounts, Name, check_password};
use crate::auth::limiter::{Limiter, Try};
use crate::auth::monotonic_clock::MonotonicClock;
use crate::auth::role::Role;
use crate::auth::secret;
use crate::auth::secret::{Bearer, ClaimCode, Digest};
use crate::auth::sessions::SessionTable;

use crate::auth::store::{accounts_text, claim_code, forget_code, read_accounts};
use crate::base::files;

/// Password hashes worked on at once: each takes 19 MiB, and pictures need the other cores.
const HASHING: usize = 2;

/// Those, and the ones that may wait; the next is told to come back.
const HASHING_OR_WAITING: usize = HASHING + 4;

/// The longest sleep before looking again: a wall clock may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(600);

/// Everyone.
#[derive(Debug)]
pub struct Authenticator {
    state: Mutex<State>,
    /// Wakes those who wait for somebody's end; they look for themselves whether it has come.
    changes: watch::Sender<()>,
    queue: Arc<Semaphore>,
    hashing: Arc<Semaphore>,
    /// Held while a file is being written, which takes an await, so that an older version never replaces a newer one.
    writing: Arc<tokio::sync::Mutex<()>>,
    users_file: PathBuf,
    code_file: PathBuf,
    sessions_file: PathBuf,
    boot: String,
}

#[derive(Debug)]
struct State {
    accounts: Accounts,
    calendar: MonotonicClock,
    book: SessionTable,
    limiter: Limiter,
    code: Option<ClaimCode>,
}

/// Sessions as they are stored. Nothing in them outlives a boot, and so none is ever another version's that matters.
#[derive(Serialize, Deserialize)]
struct Sessions {
    schema: u32,
    boot: String,
    book: SessionTable,
}

/// Somebody who has shown who they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// A person's or a program's name.
    pub name: Name,
    /// What they may do.
    pub role: Role,
    key: Key,
}

impl Principal {
    /// Whether they came with a cookie, which a browser sends by itself, rather than with a token.
    pub fn by_cookie(&self) -> bool {
        matches!(self.key, Key::Session(_))
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Key {
    Session(Digest),
    Token(Digest),
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

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// There is no owner yet.
    #[error("this device has no owner yet; claim it with the code on its console")]
    Unclaimed,
    /// There is one already.
    #[error("this device has an owner already; ask them to let you in")]
    Claimed,
    /// Not the code on the console.
    #[error("that is not the code on the console, which is in claim-code.txt on its card, too")]
    WrongCode,
    /// No such user, or another password: which of the two is not said.
    #[error("wrong user name or password")]
    WrongPassword,
    /// No credential, or one that is not valid any more.
    #[error("log in first, or send a valid token as 'Authorization: Bearer TOKEN'")]
    NotLoggedIn,
    /// Too many guesses, or too many at once.
    #[error("too many tries; wait {} seconds", .0.as_secs() + 1)]
    TooManyTries(Duration),
    /// The new account cannot be made.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The accounts could not be written.
    #[error("the account could not be stored; see the log")]
    Store(#[source] io::Error),
}

/// Why accounts or sessions cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("cannot read or write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is there and not ours. To start as if there were no owner would offer the device to whoever comes next.
    #[error("{} is damaged; restore it, or delete it to claim the device afresh", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// No randomness.
    #[error("the kernel gives no random numbers")]
    Random(#[from] getrandom::Error),
}

impl Authenticator {
    /// Reads who there is. When that is nobody, there is a code with which the first may claim the device.
    pub fn open(data: &Path, run: &Path) -> Result<(Arc<Authenticator>, Option<ClaimCode>), StoreError> {
        let (users_file, sessions_file) = (data.join("users.json"), run.join("sessions.json"));
        let failed = |path: &Path, source| StoreError::File { path: path.to_path_buf(), source };
        for folder in [data, run] {
            files::create_folder(folder).map_err(|source| failed(folder, source))?;
        }
        let accounts = read_accounts(&users_file)?;
        let boot = files::read(Path::new("/proc/sys/kernel/random/boot_id")).ok().flatten().unwrap_or_default();
        let stored = files::read(&sessions_file).map_err(|source| failed(&sessions_file, source))?;
        // Sessions of another boot, or a damaged file: people log in again, nothing worse.
        let book = stored
            .and_then(|text| serde_json::from_str(&text).ok())
            .filter(|sessions: &Sessions| sessions.boot == boot)
            .map_or_else(SessionTable::default, |sessions| sessions.book);
        let code_file = data.join("claim-code");
        let code = if accounts.claimed() {
            forget_code(&code_file);
            None
        } else {
            Some(claim_code(&code_file)?)
        };
        let calendar = MonotonicClock::new(now(), accounts.seen());
        let people = Authenticator {
            state: Mutex::new(State { accounts, calendar, book, limiter: Limiter::default(), code: code.clone() }),
            changes: watch::Sender::default(),
            queue: Arc::new(Semaphore::new(HASHING_OR_WAITING)),
            hashing: Arc::new(Semaphore::new(HASHING)),
            writing: Arc::default(),
            users_file,
            code_file,
            sessions_file,
            boot,
        };
        Ok((Arc::new(people), code))
    }

    /// Whether the device has an owner.
    pub fn claimed(&self) -> bool {
        self.state().accounts.claimed()
    }

    /// Finds out who sent a request, and notes that they are still there.
    pub fn recognise(&self, credential: &Credential) -> Result<Principal, AuthError> {
        let mut state = self.state();
        let known = match credential {
            Credential::Cookie(text) => Bearer::parse(text).and_then(|bearer| state.session(bearer.digest())),
            Credential::Bearer(text) => Bearer::parse(text).and_then(|bearer| state.token(bearer.digest())),
            Credential::None | Credential::Unusable => None,
        };
        drop(state);
        let principal = known.ok_or(AuthError::NotLoggedIn)?;
        self.touch(&principal);
        Ok(principal)
    }

    /// Makes the first administrator and logs them in.
    pub async fn claim(
        self: &Arc<Self>,
        peer: IpAddr,
        code: &str,
        user: &str,
        password: &str,
    ) -> Result<Bearer, AuthError> {
        {
            let mut state = self.state();
            if state.accounts.claimed() {
                return Err(AuthError::Claimed);
            }
            let attempt = state.attempt(peer)?;
            if !state.code.as_ref().is_some_and(|right| right.matches(code)) {
                info!("somebody at {peer} tried a wrong claim code");
                return Err(AuthError::WrongCode);
            }
            state.limiter.right(attempt);
        }
        let name = Name::try_from(user.to_string())?;
        check_password(password)?;
        let (password, salt) = (password.to_string(), random().map_err(no_random)?);
        let place = self.queue()?;
        let hash = self.hash(place, move || secret::hash_password(&password, salt)).await?;
        let owner = name.clone();
        self.change(move |accounts| {
            if accounts.claimed() {
                return Err(AuthError::Claimed);
            }
            accounts.put_user(owner, Role::Administrator, hash);
            Ok(())
        })
        .await?;
        self.state().code = None;
        forget_code(&self.code_file);
        info!("{} claimed this device from {peer}", name.as_str());
        self.begin(name)
    }

    /// Logs somebody in.
    pub async fn login(&self, peer: IpAddr, user: &str, password: &str) -> Result<Bearer, AuthError> {
        // Whoever does not even get a place in the queue has not tried yet.
        let place = self.queue()?;
        let (attempt, hash) = {
            let mut state = self.state();
            if !state.accounts.claimed() {
                return Err(AuthError::Unclaimed);
            }
            (state.attempt(peer)?, state.accounts.password_hash(user).map(String::from))
        };
        let password = password.to_string();
        let right = self.hash(place, move || secret::verify_password(&password, hash.as_deref())).await?;
        match Name::try_from(user.to_string()) {
            Ok(name) if right => {
                self.state().limiter.right(attempt);
                info!("{} logged in from {peer}", name.as_str());
                self.begin(name)
            }
            _ => {
                info!("somebody at {peer} tried a wrong user name or password");
                Err(AuthError::WrongPassword)
            }
        }
    }

    /// Ends a session; a token has none.
    pub fn logout(&self, principal: &Principal) {
        if let Key::Session(secret) = principal.key {
            let mut state = self.state();
            state.book.end(secret);
            self.store_sessions(&state);
            drop(state);
            self.changes.send_replace(());
            info!("{} logged out", principal.name.as_str());
        }
    }

    /// Makes a token. One of the same name stops working.
    pub async fn make_token(
        self: &Arc<Self>,
        by: &Principal,
        name: Name,
        role: Role,
        expires: Option<SystemTime>,
    ) -> Result<Bearer, AuthError> {
        let bearer = Bearer::new(random().map_err(no_random)?);
        let (digest, label) = (bearer.digest(), name.as_str().to_string());
        let expires = expires.map(seconds);
        let now = self.state().time();
        self.change(move |accounts| Ok(accounts.put_token(now, name, role, digest, expires)?)).await?;
        info!("{} made the token {label}", by.name.as_str());
        Ok(bearer)
    }

    /// Notes that somebody is still there.
    pub fn touch(&self, principal: &Principal) {
        if let Key::Session(secret) = principal.key {
            let mut state = self.state();
            if state.book.touch(now(), secret) {
                self.store_sessions(&state);
            }
        }
    }

    /// Waits until somebody may not be here any more.
    pub async fn ended(&self, principal: &Principal) {
        let mut changes = self.changes.subscribe();
        while let Some(left) = self.left(principal) {
            tokio::select! {
                _ = changes.changed() => (),
                () = sleep(left.min(LOOK_AGAIN)) => (),
            }
        }
    }

    /// Waits until the device has an owner.
    pub async fn owned(&self) {
        let mut changes = self.changes.subscribe();
        while !self.claimed() {
            // We hold the sender ourselves, so this cannot fail.
            let _ = changes.changed().await;
        }
    }

    /// Notes the time now and then, as long as there is a token that it may end. Any number of tasks may do this: which one
    /// writes is settled under the lock.
    pub async fn keep_time(self: &Arc<Self>) {
        loop {
            let due = {
                let mut state = self.state();
                let time = state.time();
                let due = state.accounts.time_is_worth_noting(time);
                if due {
                    state.accounts.see(time);
                }
                due
            };
            if due && self.change(|_| Ok(())).await.is_err() {
                warn!("a token that expires may be good again after a reboot: the time could not be noted");
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// How long somebody may still stay.
    fn left(&self, principal: &Principal) -> Option<Duration> {
        let mut state = self.state();
        match principal.key {
            Key::Session(secret) => {
                state.session(secret).filter(|now| now == principal)?;
                Some(state.book.deadline(secret)?.saturating_sub(now()))
            }
            Key::Token(secret) => state.token(secret).filter(|now| now == principal).map(|_| Duration::from_secs(1)),
        }
    }

    fn begin(&self, name: Name) -> Result<Bearer, AuthError> {
        let bearer = Bearer::new(random().map_err(no_random)?);
        let mut state = self.state();
        state.book.begin(now(), bearer.digest(), name);
        self.store_sessions(&state);
        drop(state);
        // Somebody else's session may have made room for this one.
        self.changes.send_replace(());
        Ok(bearer)
    }

    /// Takes a place among those whose password will be worked on, if there is one.
    fn queue(&self) -> Result<OwnedSemaphorePermit, AuthError> {
        self.queue.clone().try_acquire_owned().map_err(|_| AuthError::TooManyTries(Duration::ZERO))
    }

    /// Works on a password, in its turn.
    async fn hash<T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AuthError> {
        let turn = self.hashing.clone().acquire_owned().await.expect("the semaphore is never closed");
        // The places go with the work, which goes on when the client does not wait for it.
        let work = spawn_blocking(move || {
            let result = work();
            drop((place, turn));
            result
        });
        Ok(work.await.expect("hashing does not panic, and the runtime outlives its requests"))
    }

    /// Changes the accounts: on disc first, then for everyone.
    async fn change(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Accounts) -> Result<(), AuthError> + Send + 'static,
    ) -> Result<(), AuthError> {
        let writing = self.writing.clone().lock_owned().await;
        let people = self.clone();
        let work = spawn_blocking(move || {
            let mut accounts = {
                let mut state = people.state();
                let time = state.time();
                state.accounts.see(time);
                state.accounts.clone()
            };
            change(&mut accounts)?;
            files::write_whole(&people.users_file, accounts_text(&accounts).as_bytes()).map_err(|error| {
                log::error!("cannot write {}: {error}", people.users_file.display());
                AuthError::Store(error)
            })?;
            people.state().accounts = accounts;
            people.changes.send_replace(());
            drop(writing);
            Ok(())
        });
        work.await.expect("writing does not panic, and the runtime outlives its requests")
    }

    /// The run folder is in memory, so this neither waits nor wears anything out.
    fn store_sessions(&self, state: &State) {
        let sessions = Sessions { schema: 1, boot: self.boot.clone(), book: state.book.clone() };
        let text = serde_json::to_string(&sessions).expect("sessions are plain data with string keys");
        if let Err(error) = files::write_whole(&self.sessions_file, text.as_bytes()) {
            warn!("cannot write {}: {error}; a restart will log everyone out", self.sessions_file.display());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked has changed nothing by halves: each change is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn session(&self, secret: Digest) -> Option<Principal> {
        let name = self.book.user(now(), secret)?;
        let role = self.accounts.role(name)?;
        Some(Principal { name: name.clone(), role, key: Key::Session(secret) })
    }

    fn token(&mut self, secret: Digest) -> Option<Principal> {
        let time = self.time();
        let (name, role) = self.accounts.token(time, secret)?;
        Some(Principal { name: name.clone(), role, key: Key::Token(secret) })
    }

    fn time(&mut self) -> u64 {
        self.calendar.time(now(), seconds(SystemTime::now()))
    }

    fn attempt(&mut self, peer: IpAddr) -> Result<Try, AuthError> {
        self.limiter.attempt(now(), peer).map_err(AuthError::TooManyTries)
    }
}

/// The time since boot. It goes on during suspend, and nobody can set it.
fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has had this clock since 2.6.39").into()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn no_random(error: getrandom::Error) -> AuthError {
    AuthError::Store(io::Error::other(error))
}
