//! Changes who may come in, and as what: people by administrators, and everybody's own password by themselves.
//!
//! Each change is made on the card before anybody sees it, and what it takes away ends before it is answered. Nobody
//! gives, takes or changes more than they may do themselves: what a token does here outlives the token.

use core::net::IpAddr;
use std::sync::Arc;

use log::info;

use crate::audit::record::What;
use crate::auth::accounts::{AccountError, Accounts, Name};
use crate::auth::authenticator::{AuthError, Authenticator, no_random};
use crate::auth::lease::Key;
use crate::auth::limiter::Try;
use crate::auth::passwords;
use crate::auth::principal::Principal;
use crate::auth::secret::{self, Digest};
use crate::auth::store::random;
use crate::auth::user::Assignment;
use crate::auth::users::Listed;

impl Authenticator {
    /// Everybody, by name.
    pub fn users(&self) -> Vec<Listed> {
        self.accounts.read().list_users()
    }

    /// Somebody of this name.
    pub fn user(&self, name: &Name) -> Result<Listed, AuthError> {
        let found = self.users().into_iter().find(|user| user.name == *name);
        Ok(found.ok_or(AccountError::UnknownUser)?)
    }

    /// Adds a person.
    pub async fn add_user(
        self: &Arc<Self>,
        by: &Principal,
        name: Name,
        assignment: Assignment,
        password: &str,
    ) -> Result<Listed, AuthError> {
        passwords::check(password, Some(&name))?;
        let name = name.in_paths()?;
        if self.user(&name).is_ok() {
            return Err(AccountError::UserExists.into());
        }
        let hash = self.hash(password).await?;
        let (added, rights) = (name.clone(), by.rights.clone());
        self.change_by(by, move |accounts| {
            if !rights.include(&assignment.rights()) {
                return Err(AuthError::BeyondOwn);
            }
            Ok(accounts.add_user(added, assignment, hash)?)
        })
        .await?;
        self.done(by, What::Users, format!("added the user {}", name.as_str())).await;
        self.user(&name)
    }

    /// Changes what a person may do, or whether they are let in. What they had by their account ends.
    pub async fn change_user(
        self: &Arc<Self>,
        by: &Principal,
        name: &Name,
        assignment: Option<Assignment>,
        disabled: Option<bool>,
    ) -> Result<Listed, AuthError> {
        let (changed, rights) = (name.clone(), by.rights.clone());
        self.change_person(by, name, move |accounts| {
            if assignment.as_ref().is_some_and(|assignment| !rights.include(&assignment.rights())) {
                return Err(AuthError::BeyondOwn);
            }
            Ok(accounts.change_user(&changed, assignment, disabled)?)
        })
        .await?;
        self.done(by, What::Users, format!("changed what the user {} may do", name.as_str())).await;
        self.user(name)
    }

    /// Deletes a person, with all that they had by their account.
    pub async fn delete_user(self: &Arc<Self>, by: &Principal, name: &Name) -> Result<(), AuthError> {
        let deleted = name.clone();
        self.change_person(by, name, move |accounts| Ok(accounts.delete_user(&deleted)?)).await?;
        self.done(by, What::Users, format!("deleted the user {}", name.as_str())).await;
        Ok(())
    }

    /// Gives somebody else another password. No token does: whoever stole it could log in for ever.
    pub async fn set_password(self: &Arc<Self>, by: &Principal, name: &Name, new: &str) -> Result<(), AuthError> {
        in_person(by)?;
        passwords::check(new, Some(name))?;
        self.user(name)?;
        let hash = self.hash(new).await?;
        let changed = name.clone();
        self.change_person(by, name, move |accounts| Ok(accounts.set_password(&changed, hash)?)).await?;
        self.done(by, What::Users, format!("gave the user {} another password", name.as_str())).await;
        Ok(())
    }

    /// Gives somebody who knows their password another one.
    pub async fn change_own_password(
        self: &Arc<Self>,
        peer: IpAddr,
        by: &Principal,
        name: &Name,
        old: &str,
        new: &str,
    ) -> Result<(), AuthError> {
        // What could not be used whatever the old one is costs no try.
        passwords::check(new, Some(name))?;
        let (before, attempt) = self.check_own_password(peer, name, old).await?;
        self.guessing.right(attempt);
        let hash = self.hash(new).await?;
        let changed = name.clone();
        self.change_by(by, move |accounts| {
            // Another request may have been faster.
            if accounts.password_hash(&changed) != Some(&before) {
                return Err(AuthError::NotYourPassword);
            }
            Ok(accounts.set_password(&changed, hash)?)
        })
        .await?;
        self.done(by, What::Users, format!("changed their password from {peer}")).await;
        Ok(())
    }

    /// Has somebody who is logged in show that they know their password, as often as the limiter allows; gives its
    /// hash, and the try, which is forgiven once all that they have to show is right.
    pub(super) async fn check_own_password(
        &self,
        peer: IpAddr,
        name: &Name,
        password: &str,
    ) -> Result<(String, Try), AuthError> {
        let place = self.place()?;
        let attempt = self.guessing.attempt(peer, Some(name)).map_err(AuthError::TooManyTries)?;
        let hash = self.accounts.read().password_hash(name).map(String::from).ok_or(AuthError::NotLoggedIn)?;
        let (password, known) = (password.to_string(), hash.clone());
        let verify = move || secret::verify_password(&password, Some(&known), None);
        if !self.hashing.run(place, verify).await {
            info!("somebody at {peer} who is logged in as {} gave a wrong password", name.as_str());
            self.refused(What::Users, peer, &format!("as {}", name.as_str()), "not-your-password");
            return Err(AuthError::NotYourPassword);
        }
        Ok((hash, attempt))
    }

    async fn hash(&self, password: &str) -> Result<String, AuthError> {
        let (password, salt) = (password.to_string(), random().map_err(no_random)?);
        let place = self.place()?;
        Ok(self.hashing.run(place, move || secret::hash_password(&password, salt)).await)
    }

    /// Changes somebody on behalf of another, who may do all that they may.
    pub(super) async fn change_person(
        self: &Arc<Self>,
        by: &Principal,
        name: &Name,
        change: impl FnOnce(&mut Accounts) -> Result<(), AuthError> + Send + 'static,
    ) -> Result<(), AuthError> {
        let (rights, name) = (by.rights.clone(), name.clone());
        self.change_by(by, move |accounts| {
            if !rights.include(&accounts.granted(&name)?) {
                return Err(AuthError::BeyondOwn);
            }
            change(accounts)
        })
        .await
    }

    /// Changes the accounts on behalf of somebody, unless they have lost that right while their request waited.
    pub(super) async fn change_by(
        self: &Arc<Self>,
        by: &Principal,
        change: impl FnOnce(&mut Accounts) -> Result<(), AuthError> + Send + 'static,
    ) -> Result<(), AuthError> {
        self.change_for(by, None, change).await
    }

    /// Changes what somebody shows to be let in, by their own session: that goes on, and their others end.
    pub(super) async fn change_own(
        self: &Arc<Self>,
        by: &Principal,
        name: &Name,
        change: impl FnOnce(&mut Accounts) -> Result<(), AuthError> + Send + 'static,
    ) -> Result<(), AuthError> {
        let Key::Session(session) = by.key() else { return Err(AuthError::NotByToken) };
        self.change_for(by, Some((name.clone(), session)), change).await
    }

    async fn change_for(
        self: &Arc<Self>,
        by: &Principal,
        kept: Option<(Name, Digest)>,
        change: impl FnOnce(&mut Accounts) -> Result<(), AuthError> + Send + 'static,
    ) -> Result<(), AuthError> {
        let lease = by.lease().clone();
        let change = move |accounts: &mut Accounts| {
            if lease.is_over() { Err(AuthError::NotLoggedIn) } else { change(accounts) }
        };
        self.change_keeping(kept, change).await
    }
}

/// Lets nobody but a person do what gives a lasting way in.
pub(super) fn in_person(by: &Principal) -> Result<(), AuthError> {
    if by.by_cookie() { Ok(()) } else { Err(AuthError::NotByToken) }
}
