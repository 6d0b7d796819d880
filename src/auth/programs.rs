//! Shows, makes and deletes tokens.
//!
//! Each change is made on the card before anybody sees it, and what a token held ends before its end is answered.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::audit::record::What;
use crate::auth::accounts::{AccountError, Name, Token};
use crate::auth::authenticator::{AuthError, Authenticator, no_random};
use crate::auth::clock::seconds;
use crate::auth::extent::Extent;
use crate::auth::lease::Key;
use crate::auth::principal::Principal;
use crate::auth::secret::Bearer;
use crate::auth::store::random;
use crate::auth::tokens::{Listed, TokenUses};

impl Authenticator {
    /// Every token, by name.
    pub fn tokens(&self) -> Vec<Listed> {
        let (mut listed, uses) = (self.accounts.read().list_tokens(self.clock.time()), self.uses());
        for token in &mut listed {
            token.used = token.secret.and_then(|secret| uses.of(secret)).or(token.used);
        }
        listed
    }

    /// Makes a token, which may do no more than whoever makes it. One of the same name stops working.
    pub async fn make_token(
        self: &Arc<Self>,
        by: &Principal,
        name: Name,
        extent: Extent,
        expires: Option<SystemTime>,
    ) -> Result<Bearer, AuthError> {
        let name = name.in_paths()?;
        let bearer = Bearer::new(random().map_err(no_random)?);
        let (label, rights, key) = (name.as_str().to_string(), by.rights.clone(), by.key());
        let token = Token::new(extent.clone(), bearer.digest(), expires.map(seconds));
        let (now, kept, made) = (self.clock.time(), self.clock.kept(), self.wall());
        let person = match key {
            Key::Session(secret) => Some(self.leases.session(secret).ok_or(AuthError::NotLoggedIn)?.0),
            Key::Token(_) => None,
        };
        self.change_by(by, move |accounts| {
            if !rights.include(&extent.rights()) {
                return Err(AccountError::BeyondMaker.into());
            }
            let maker = match key {
                Key::Session(_) => person,
                // What a token makes is its maker's, too, and ends with that account.
                Key::Token(secret) => accounts.maker(secret).cloned(),
            };
            Ok(accounts.put_token(now, kept, name, token.made_by(maker, made))?)
        })
        .await?;
        self.done(by, What::Tokens, format!("made the token {label}")).await;
        Ok(bearer)
    }

    /// Deletes a token.
    pub async fn delete_token(self: &Arc<Self>, by: &Principal, name: &Name) -> Result<(), AuthError> {
        let deleted = name.clone();
        self.change_by(by, move |accounts| Ok(accounts.delete_token(&deleted)?)).await?;
        self.done(by, What::Tokens, format!("deleted the token {}", name.as_str())).await;
        Ok(())
    }

    /// When tokens were used, as far as that is not stored. Nothing may be awaited meanwhile.
    pub(super) fn uses(&self) -> MutexGuard<'_, TokenUses> {
        // Whoever panicked has changed nothing by halves: each change is one assignment.
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the wall clock says, in seconds since 1970.
    pub(super) fn wall(&self) -> u64 {
        self.clock.date(self.clock.since_boot())
    }
}
