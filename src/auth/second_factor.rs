//! Sets second factors up, asks for them at the login, and takes them away.
//!
//! A code counts as used before anybody is let in by it. When the card takes no more writes it is remembered until the
//! next start: an appliance whose card fails must still be reached by its owner.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::audit::budget::Class;
use crate::audit::record::{Entry, What};
use crate::auth::accounts::Name;
use crate::auth::authenticator::{AuthError, Authenticator, no_random};
use crate::auth::people::in_person;
use crate::auth::principal::Principal;
use crate::auth::store::random;
use crate::auth::totp::{Opened, RECOVERY_CODES, RecoveryCode, SecondFactor, TotpSecret};

/// How long a login waits for the card to take it that a code was used; as an act does for its record.
const PATIENCE: Duration = Duration::from_secs(1);

impl Authenticator {
    /// Shows somebody a new secret. It is in force once they have shown a code of it. Who has a second factor shows
    /// that, too: an open session and a password that was seen must not be enough to replace it.
    pub async fn begin_second_factor(
        self: &Arc<Self>,
        peer: IpAddr,
        by: &Principal,
        name: &Name,
        password: &str,
        otp: Option<&str>,
    ) -> Result<TotpSecret, AuthError> {
        self.check_own(peer, name, password, otp).await?;
        let secret = TotpSecret::new(random().map_err(no_random)?);
        self.enrolments.begin(self.clock.since_boot(), name, secret.clone());
        self.done(by, What::Users, "begins to set a second factor up").await;
        Ok(secret)
    }

    /// Puts that secret into force, in place of one before it, and gives the recovery codes. Their other sessions end,
    /// which began without it.
    pub async fn confirm_second_factor(
        self: &Arc<Self>,
        peer: IpAddr,
        by: &Principal,
        name: &Name,
        code: &str,
    ) -> Result<Vec<RecoveryCode>, AuthError> {
        let secret = self.enrolments.waiting(self.clock.since_boot(), name).ok_or(AuthError::NotBegun)?;
        let attempt = self.guessing.attempt(peer, Some(name)).map_err(AuthError::TooManyTries)?;
        let mut codes = Vec::with_capacity(RECOVERY_CODES);
        for _ in 0..RECOVERY_CODES {
            codes.push(RecoveryCode::new(random().map_err(no_random)?));
        }
        let now = self.clock.wall();
        let factor = SecondFactor::new(secret, now, code, &codes).ok_or(AuthError::WrongOtp(now))?;
        self.guessing.right(attempt);
        let who = name.clone();
        self.change_own(by, name, move |accounts| Ok(accounts.set_second_factor(&who, factor)?)).await?;
        self.enrolments.end(name);
        self.done(by, What::Users, "has a second factor from now on").await;
        Ok(codes)
    }

    /// Takes somebody's own second factor away, who shows it and their password.
    pub async fn remove_own_second_factor(
        self: &Arc<Self>,
        peer: IpAddr,
        by: &Principal,
        name: &Name,
        password: &str,
        otp: Option<&str>,
    ) -> Result<(), AuthError> {
        self.check_own(peer, name, password, otp).await?;
        let who = name.clone();
        self.change_own(by, name, move |accounts| Ok(accounts.remove_second_factor(&who)?)).await?;
        self.done(by, What::Users, "has no second factor any more").await;
        Ok(())
    }

    /// Takes somebody else's second factor away. Their sessions end. No token does.
    pub async fn remove_second_factor(self: &Arc<Self>, by: &Principal, name: &Name) -> Result<(), AuthError> {
        in_person(by)?;
        let who = name.clone();
        self.change_person(by, name, move |accounts| Ok(accounts.remove_second_factor(&who)?)).await?;
        self.done(by, What::Users, format!("took the second factor of the user {} away", name.as_str())).await;
        Ok(())
    }

    /// Says whether everybody must have a second factor. Who demands it has shown that it works here.
    pub async fn demand_second_factor(self: &Arc<Self>, by: &Principal, is_demanded: bool) -> Result<(), AuthError> {
        let own = self.users().into_iter().find(|user| by.is(&user.name));
        if is_demanded && own.is_none_or(|own| own.recovery_codes.is_none()) {
            return Err(AuthError::NoSecondFactor);
        }
        // What is demanded of everybody is theirs, too.
        in_person(by)?;
        self.change_by(by, move |accounts| {
            accounts.demand_second_factor(is_demanded);
            Ok(())
        })
        .await?;
        let what =
            if is_demanded { "demands a second factor of everybody" } else { "demands no second factor any more" };
        self.done(by, What::Users, what).await;
        Ok(())
    }

    /// Whether everybody must have a second factor.
    pub fn demands_second_factor(&self) -> bool {
        self.accounts.read().demands_second_factor()
    }

    /// How many recovery codes somebody has left, if they have a second factor.
    pub fn recovery_codes(&self, of: &Principal) -> Option<usize> {
        self.users().into_iter().find(|user| of.is(&user.name)).and_then(|user| user.recovery_codes)
    }

    /// Has somebody who is logged in show all that the login asks for.
    async fn check_own(
        self: &Arc<Self>,
        peer: IpAddr,
        name: &Name,
        password: &str,
        otp: Option<&str>,
    ) -> Result<(), AuthError> {
        let (_, attempt) = self.check_own_password(peer, name, password).await?;
        self.check_second_factor(What::Users, peer, name, otp).await?;
        self.guessing.right(attempt);
        Ok(())
    }

    /// Asks who has just shown their password for their second factor, if they have one.
    pub(super) async fn check_second_factor(
        self: &Arc<Self>,
        what: What,
        peer: IpAddr,
        name: &Name,
        code: Option<&str>,
    ) -> Result<(), AuthError> {
        if !self.accounts.read().has_second_factor(name) {
            return Ok(());
        }
        // This forgives no try: whoever knows the password alone must not begin to count again by it.
        let Some(code) = code.filter(|code| !code.trim().is_empty()) else {
            info!("somebody at {peer} knows the password of {} and gave no code", name.as_str());
            self.refused(what, peer, &format!("as {}", name.as_str()), "otp-needed");
            return Err(AuthError::OtpNeeded);
        };
        let (who, now) = (name.clone(), self.clock.wall());
        let opened = self
            .accounts
            .note(|accounts| accounts.open_second_factor(&who, now, code).filter(|opened| *opened == Opened::Code));
        if opened.is_some() {
            self.store_used_code().await;
            return Ok(());
        }
        let code = code.to_string();
        // A recovery code opens once and for all, so this waits for the card.
        let used = self.change(move |accounts| match accounts.open_second_factor(&who, now, &code) {
            Some(Opened::Recovery(_)) => Ok(()),
            Some(Opened::Code) | None => Err(AuthError::WrongOtp(now)),
        });
        match used.await {
            Ok(()) => {
                let left = self.user(name)?.recovery_codes.unwrap_or_default();
                warn!("{} used a recovery code from {peer}; {left} are left", name.as_str());
                let entry = Entry::new(what, "used a recovery code").by(Some(name.as_str()), Some(peer));
                self.trail().write_now(Class::Lasting, entry.ended(Ok(()))).await;
                Ok(())
            }
            Err(error) => {
                if let AuthError::WrongOtp(_) = error {
                    info!("somebody at {peer} knows the password of {} and gave a wrong code", name.as_str());
                    self.refused(what, peer, &format!("as {}", name.as_str()), "wrong-otp");
                }
                Err(error)
            }
        }
    }

    /// Puts it on the card that a code was used, and waits a second for it: a card that hangs keeps nobody out.
    async fn store_used_code(self: &Arc<Self>) {
        let own = self.clone();
        let written = spawn_blocking(move || own.accounts.write_noted(own.clock.kept()));
        if !matches!(timeout(PATIENCE, written).await, Ok(Ok(Ok(())))) {
            warn!("that a code was used is remembered until the next start only, unless the card takes it later");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::clock::{Clock as _, SystemClock};
    use crate::auth::role::Role;
    use crate::auth::secret;
    use crate::auth::visitor::Visitor;

    #[tokio::test]
    async fn a_card_that_hangs_keeps_nobody_out_who_has_an_authenticator_and_no_code_opens_twice() {
        let folder = tempfile::tempdir().unwrap();
        let (data, run) = (folder.path().join("data"), folder.path().join("run"));
        let (own, _) = Authenticator::open(&data, &run, Arc::new(SystemClock)).unwrap();
        let (anna, totp) = (Name::try_from("anna".to_string()).unwrap(), TotpSecret::new([7; 20]));
        let (who, hash) = (anna.clone(), secret::hash_password("correct horse", [7; 16]));
        let before = SystemClock.wall() - 300;
        let factor = SecondFactor::new(totp.clone(), before, &totp.code(before), &[]).unwrap();
        let made = own.change(move |accounts| {
            accounts.put_user(who.clone(), Role::Administrator, hash);
            Ok(accounts.set_second_factor(&who, factor)?)
        });
        made.await.unwrap();
        let code = totp.code(SystemClock.wall());
        // Held by another thread, as by one that waits for the card.
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let (holds, is_held) = tokio::sync::oneshot::channel();
        let hanging = own.clone();
        let thread = std::thread::spawn(move || {
            let _writing = hanging.accounts.writing();
            let _ = (holds.send(()), held.recv());
        });
        is_held.await.unwrap();
        let login = async || {
            let visitor = Visitor { address: IpAddr::from([127, 0, 0, 1]), browser: None };
            own.login(visitor, "anna", "correct horse", Some(&code)).await
        };
        assert!(login().await.is_ok());
        // It is used, also once the card answers again.
        drop(hold);
        thread.join().unwrap();
        own.change(|_| Ok(())).await.unwrap();
        assert!(matches!(login().await, Err(AuthError::WrongOtp(_))));
    }
}
