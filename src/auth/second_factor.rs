//! Sets second factors up, asks for them at the login, and takes them away.
//!
//! A code counts as used before anybody is let in by it. When the card takes no more writes it is remembered until the
//! next start: an appliance whose card fails must still be reached by its owner.

use std::net::IpAddr;
use std::sync::Arc;

use log::{info, warn};
use tokio::task::spawn_blocking;

use crate::audit::budget::Class;
use crate::audit::record::{Entry, What};
use crate::auth::accounts::Name;
use crate::auth::authenticator::{AuthError, Authenticator, no_random};
use crate::auth::people::in_person;
use crate::auth::principal::Principal;
use crate::auth::store::random;
use crate::auth::totp::{Opened, RECOVERY_CODES, RecoveryCode, SecondFactor, TotpSecret};

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
        let (own, who, code, now) = (self.clone(), name.clone(), code.to_string(), self.clock.wall());
        let work = spawn_blocking(move || {
            own.accounts.use_up(own.clock.kept(), |accounts| match accounts.open_second_factor(&who, now, &code) {
                Some(opened) => Ok((opened, opened == Opened::Code)),
                None => Err(AuthError::WrongOtp(now)),
            })
        });
        let opened = work.await.expect("writing does not panic, and the runtime outlives its requests");
        match opened {
            Ok(Opened::Code) => Ok(()),
            Ok(Opened::Recovery(left)) => {
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
}
