//! Lets people in and out: claim, login, logout, tokens.
//!
//! The rules are in the modules next to this one; this one applies them together.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::{info, warn};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::audit::budget::Class;
use crate::audit::record::{Entry, Stamp, What};
use crate::audit::trail::Trail;
use crate::auth::account_store::AccountStore;
use crate::auth::accounts::{AccountError, Accounts, Epoch, Name};
use crate::auth::clock::{Clock, rfc3339};
use crate::auth::enrolments::Enrolments;
use crate::auth::guessing::Guessing;
use crate::auth::hashing::{HashingQueue, Place};
use crate::auth::journal::Journal;
use crate::auth::lease::{Key, Leases};
use crate::auth::passwords;
use crate::auth::principal::{Credential, Principal};
use crate::auth::privileges::Rights;
use crate::auth::role::{Privilege, Role};
use crate::auth::secret;
use crate::auth::secret::{Bearer, ClaimCode, Digest, SessionId};
use crate::auth::sessions::Listed;
use crate::auth::store::{self, StoreError, random};
use crate::auth::token_clock::TokenClock;
use crate::auth::tokens::TokenUses;
use crate::auth::visitor::Visitor;
use crate::base::tasks::Stop;

/// How often sessions that have ended are struck out, and the time is noted if it is worth it.
const ROUND: Duration = Duration::from_secs(600);

/// Everyone who may come in.
#[derive(Debug)]
pub struct Authenticator {
    pub(super) accounts: AccountStore,
    pub(super) clock: Arc<TokenClock>,
    pub(super) leases: Arc<Leases>,
    pub(super) uses: Mutex<TokenUses>,
    pub(super) guessing: Arc<Guessing>,
    journal: Arc<Journal>,
    pub(super) hashing: HashingQueue,
    pub(super) enrolments: Enrolments,
    claimed: watch::Sender<bool>,
    /// With which the first may claim the device.
    code: Mutex<Option<ClaimCode>>,
    code_file: PathBuf,
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
    /// The password is right, and not enough.
    #[error("this account needs a code, too: send what the authenticator shows, or a recovery code, as otp")]
    OtpNeeded,
    /// Not a code of this moment, or one that was used.
    #[error(
        "wrong code, or one that was used before. By this device's clock it is {}; if that is wrong, use a recovery code",
        rfc3339(*.0)
    )]
    WrongOtp(u64),
    /// Nothing was shown of which a code could be.
    #[error("ask for a new secret first; one that was shown waits for its first code for 15 minutes")]
    NotBegun,
    /// The password alone is not enough here.
    #[error("set a second factor up first")]
    NoSecondFactor,
    /// More than they may do themselves.
    #[error("somebody may change or add only people who may do no more than they themselves")]
    BeyondOwn,
    /// What gives a lasting way in.
    #[error("no token does this; log in")]
    NotByToken,
    /// Not the password of who is logged in.
    #[error("that is not your password as it is now")]
    NotYourPassword,
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
    Store(#[from] io::Error),
}

impl Authenticator {
    /// Reads who there is. When that is nobody, there is a code with which the first may claim the device.
    pub fn open(
        data: &Path,
        run: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Authenticator>, Option<ClaimCode>), StoreError> {
        for folder in [data, run] {
            store::create_folder(folder)?;
        }
        let accounts = AccountStore::open(data, clock.wall())?;
        let seen = accounts.read().seen();
        let is_claimed = accounts.read().claimed();
        let times = clock.clone();
        let now = move || Stamp { wall: times.wall(), up: times.since_boot() };
        let trail = Trail::new(data.join("audit"), store::boot(), now);
        let clock = Arc::new(TokenClock::new(clock, seen));
        let code_file = data.join("claim-code");
        let code = if is_claimed {
            store::forget_code(&code_file);
            None
        } else {
            Some(store::claim_code(&code_file)?)
        };
        let authenticator = Authenticator {
            accounts,
            leases: Arc::new(Leases::open(run, clock.clone())?),
            guessing: Arc::new(Guessing::open(data, clock.clone())?),
            uses: Mutex::default(),
            journal: Arc::new(Journal::new(clock.clone(), trail)),
            clock,
            hashing: HashingQueue::default(),
            enrolments: Enrolments::default(),
            claimed: watch::Sender::new(is_claimed),
            code: Mutex::new(code.clone()),
            code_file,
        };
        Ok((Arc::new(authenticator), code))
    }

    /// Whether the device has an owner.
    pub fn claimed(&self) -> bool {
        *self.claimed.borrow()
    }

    /// Where it is written down who does what.
    pub fn trail(&self) -> &Trail {
        self.journal.trail()
    }

    /// Waits until the device has an owner.
    pub async fn owned(&self) {
        // We hold the sender ourselves, so this cannot fail.
        let _ = self.claimed.subscribe().wait_for(|claimed| *claimed).await;
    }

    /// Finds out who sent a request. It prolongs no session: see [`crate::auth::lease::Lease::touch`].
    pub fn recognise(&self, credential: &Credential) -> Result<Principal, AuthError> {
        let known = match credential {
            Credential::Cookie(text) => Bearer::parse(text).and_then(|bearer| self.session(bearer.digest())),
            Credential::Bearer(text) => Bearer::parse(text).and_then(|bearer| self.token(bearer.digest())),
            Credential::None | Credential::Unusable => None,
        };
        known.ok_or(AuthError::NotLoggedIn)
    }

    /// Makes the first administrator and logs them in.
    pub async fn claim(
        self: &Arc<Self>,
        visitor: Visitor,
        code: &str,
        user: &str,
        password: &str,
    ) -> Result<Bearer, AuthError> {
        let peer = visitor.address;
        // What could not be used whatever the code is costs no try.
        let name = Name::try_from(user.to_string())?.in_paths()?;
        passwords::check(password, Some(&name))?;
        if self.claimed() {
            return Err(AuthError::Claimed);
        }
        let attempt = self.guessing.attempt(peer, None).map_err(|wait| {
            self.refused(What::Claim, peer, "", "too-many-tries");
            AuthError::TooManyTries(wait)
        })?;
        if !self.code().as_ref().is_some_and(|right| right.matches(code)) {
            info!("somebody at {peer} tried a wrong claim code");
            self.refused(What::Claim, peer, "", "wrong-code");
            return Err(AuthError::WrongCode);
        }
        self.guessing.right(attempt);
        let (password, salt) = (password.to_string(), random().map_err(no_random)?);
        let place = self.place()?;
        let hash = self.hashing.run(place, move || secret::hash_password(&password, salt)).await;
        let owner = name.clone();
        let entry = Entry::new(What::Claim, "").by(Some(name.as_str()), Some(peer));
        let record = self.trail().begin(Class::Lasting, entry).await;
        let changed = self.change(move |accounts| {
            if accounts.claimed() {
                return Err(AuthError::Claimed);
            }
            accounts.put_user(owner, Role::Administrator, hash);
            Ok(())
        });
        let changed = changed.await;
        record.end(changed.as_ref().copied().map_err(|error| match error {
            AuthError::Claimed => "claimed",
            _ => "not-stored",
        }));
        changed?;
        *self.code() = None;
        let code_file = self.code_file.clone();
        // If this is broken off, the next start forgets it.
        let _ = spawn_blocking(move || store::forget_code(&code_file)).await;
        info!("{} claimed this device from {peer}", name.as_str());
        self.guessing.remember(peer, &name);
        let epoch = self.accounts.read().epoch(&name);
        self.begin(name, epoch, visitor)
    }

    /// Logs somebody in, who also has to send a code if they have a second factor.
    pub async fn login(
        self: &Arc<Self>,
        visitor: Visitor,
        user: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<Bearer, AuthError> {
        let peer = visitor.address;
        // Nobody has such a name, so this tells nothing: phones put a space behind what they complete.
        let name = Name::try_from(user.to_string())?;
        // Whoever does not even get a place in the queue has not tried yet.
        let place = self.place()?;
        if !self.claimed() {
            return Err(AuthError::Unclaimed);
        }
        // A name that nobody has may be a password in the wrong field.
        let is_known = self.accounts.read().epoch(&name).is_some();
        let tried = if is_known { format!("as {}", name.as_str()) } else { String::from("as nobody that there is") };
        let attempt = self.guessing.attempt(peer, Some(&name)).map_err(|wait| {
            self.refused(What::Login, peer, &tried, "too-many-tries");
            AuthError::TooManyTries(wait)
        })?;
        let (hash, dearest, epoch) = {
            let accounts = self.accounts.read();
            let hashes = [accounts.password_hash(&name), accounts.dearest_hash()];
            let [hash, dearest] = hashes.map(|hash| hash.map(String::from));
            (hash, dearest, accounts.epoch(&name))
        };
        let password = password.to_string();
        let verify = move || secret::verify_password(&password, hash.as_deref(), dearest.as_deref());
        let right = self.hashing.run(place, verify).await;
        if !right {
            info!("somebody at {peer} tried a wrong user name or password");
            self.refused(What::Login, peer, &tried, "wrong-password");
            return Err(AuthError::WrongPassword);
        }
        self.check_second_factor(What::Login, peer, &name, code).await?;
        self.guessing.right(attempt);
        info!("{} logged in from {peer}", name.as_str());
        let entry = Entry::new(What::Login, "").by(Some(name.as_str()), Some(peer)).ended(Ok(()));
        self.trail().write_now(Class::Lasting, entry).await;
        self.guessing.remember(peer, &name);
        self.begin(name, epoch, visitor)
    }

    /// Ends a session; a token has none.
    pub fn logout(&self, principal: &Principal) {
        if let Key::Session(secret) = principal.key() {
            self.leases.end(secret);
            info!("{principal} logged out");
            self.trail().write(Class::Lasting, principal.entry(What::Logout, "").ended(Ok(())));
        }
    }

    /// The sessions that somebody may see, oldest first: their own, and everybody's for those who may let others in.
    pub fn sessions(&self, seen_by: &Principal) -> Vec<Listed> {
        let mut listed = self.leases.list();
        let sees_all = seen_by.may(Privilege::Users, None);
        // A token's name has a space, so it is nobody's.
        listed.retain(|session| sees_all || session.user.as_str() == seen_by.name.as_str());
        listed
    }

    /// When that was by the wall clock, in seconds since 1970.
    pub fn date(&self, since_boot: Duration) -> u64 {
        self.clock.date(since_boot)
    }

    /// Ends a session that somebody may see, and says whether there was one.
    pub async fn end_session(&self, by: &Principal, id: &SessionId) -> bool {
        let found = self.sessions(by).into_iter().find(|session| session.secret.id() == *id);
        let Some(session) = found.filter(|session| self.leases.end(session.secret)) else { return false };
        let (user, address) = (session.user.as_str(), session.visitor.address);
        self.done(by, What::Sessions, format!("ended a session of {user} that had begun at {address}")).await;
        true
    }

    /// Ends all sessions of somebody but the one that they came with. A token has none.
    pub async fn end_other_sessions(&self, by: &Principal) {
        let Key::Session(secret) = by.key() else { return };
        let Some((user, _)) = self.leases.session(secret) else { return };
        let ended = self.leases.end_others(&user, secret);
        self.done(by, What::Sessions, format!("ended all their other sessions, {ended} of them")).await;
    }

    /// Strikes out sessions that have ended, notes the time now and then, as long as there is a token that it may end,
    /// and when tokens were used, and says how much the log leaves out.
    pub async fn keep_time(self: Arc<Self>, mut stop: Stop) {
        loop {
            self.leases.tick();
            let is_due = self.accounts.read().time_is_worth_noting(self.clock.kept());
            // A change of nothing notes the time as every other does.
            if is_due && self.change(|_| Ok(())).await.is_err() {
                warn!("a token that expires may be good again after a reboot: the time could not be noted");
            }
            let is_due = self.uses().is_due(self.wall());
            if is_due && self.change(|_| Ok(())).await.is_err() {
                warn!("when tokens were last used could not be noted");
            }
            tokio::select! {
                () = stop.requested() => {
                    self.journal.end();
                    return self.guessing.written().await;
                }
                () = self.journal.keep() => (),
                () = self.clock.wait_for(self.clock.since_boot() + ROUND) => (),
            }
        }
    }

    fn session(&self, secret: Digest) -> Option<Principal> {
        let (name, rights, needs_second_factor) = {
            // A change renews the session that it comes by under this lock, so we see both before it or both after it.
            let accounts = self.accounts.read();
            let (name, epoch) = self.leases.session(secret)?;
            let (rights, needs) = (accounts.user(&name, epoch)?, accounts.needs_second_factor(&name));
            (name, rights, needs)
        };
        let key = Key::Session(secret);
        let lease = self.leases.lease(key, &name, &rights, None);
        let mut principal = Principal::new(&name, rights, key, lease, self.journal.clone());
        principal.needs_second_factor = needs_second_factor;
        Some(principal)
    }

    fn token(&self, secret: Digest) -> Option<Principal> {
        let accounts = self.accounts.read();
        let (name, rights, expires) = accounts.token(self.clock.time(), secret)?;
        let key = Key::Token(secret);
        let lease = self.leases.lease(key, name, &rights, expires);
        self.uses().note(self.wall(), secret);
        Some(Principal::new(name, rights, key, lease, self.journal.clone()))
    }

    fn begin(&self, name: Name, epoch: Option<Epoch>, visitor: Visitor) -> Result<Bearer, AuthError> {
        let bearer = Bearer::new(random().map_err(no_random)?);
        // Whose account has changed while their password was worked on is not let in by what it was: another password,
        // or a second factor. Under this lock nothing changes before the session is there.
        let accounts = self.accounts.read();
        let is_same = epoch.is_some() && epoch == accounts.epoch(&name);
        let epoch = epoch.filter(|_| is_same).ok_or(AuthError::WrongPassword)?;
        self.leases.begin(bearer.digest(), name, epoch, visitor);
        Ok(bearer)
    }

    /// Writes down what somebody has done.
    pub(super) async fn done(&self, by: &Principal, what: What, words: impl Into<String>) {
        let words = words.into();
        info!("{by} {words}");
        self.trail().write_now(Class::Lasting, by.entry(what, words).ended(Ok(()))).await;
    }

    /// Writes down that somebody was not let in. What they typed is not: it may be a password.
    pub(super) fn refused(&self, what: What, peer: IpAddr, tried: &str, code: &'static str) {
        self.trail().write(Class::Stranger, Entry::new(what, tried).by(None, Some(peer)).ended(Err(code)));
    }

    pub(super) fn place(&self) -> Result<Place, AuthError> {
        self.hashing.enter().ok_or(AuthError::TooManyTries(Duration::ZERO))
    }

    /// Changes the accounts, and ends what they do not bear out any more.
    pub(super) async fn change(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Accounts) -> Result<(), AuthError> + Send + 'static,
    ) -> Result<(), AuthError> {
        self.change_keeping(None, change).await
    }

    /// The same, but for one session of somebody, which goes on.
    pub(super) async fn change_keeping(
        self: &Arc<Self>,
        kept: Option<(Name, Digest)>,
        change: impl FnOnce(&mut Accounts) -> Result<(), AuthError> + Send + 'static,
    ) -> Result<(), AuthError> {
        let own = self.clone();
        let work = spawn_blocking(move || {
            let change = |accounts: &mut Accounts| {
                own.uses().store(accounts);
                change(accounts)
            };
            own.accounts.change(own.clock.kept(), change, |accounts| {
                own.uses().stored(own.wall(), accounts);
                let has = |key, name: &Name, rights: &Rights| match key {
                    Key::Session(_) => accounts.rights(name).as_ref() == Some(rights),
                    Key::Token(secret) => {
                        accounts.token(0, secret).is_some_and(|token| (token.0, &token.1) == (name, rights))
                    }
                };
                if let Some((name, session)) = kept
                    && let Some(epoch) = accounts.epoch(&name)
                {
                    own.leases.renew(session, epoch);
                }
                own.leases.retain(|name, epoch| accounts.epoch(name) == Some(epoch), has);
                own.claimed.send_if_modified(|claimed| !std::mem::replace(claimed, accounts.claimed()) && *claimed);
            })
        });
        work.await.expect("writing does not panic, and the runtime outlives its requests")
    }

    fn code(&self) -> MutexGuard<'_, Option<ClaimCode>> {
        // Whoever panicked has changed nothing by halves: each change is one assignment.
        self.code.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn no_random(error: getrandom::Error) -> AuthError {
    AuthError::Store(io::Error::other(error))
}
