//! Takes the configuration that an owner left on the card, as long as the device has no owner.
//!
//! Whoever can write the card can do anything to it, so this gives nobody more than they have. After the claim it stops
//! all the same: a card that somebody borrows for a minute must not change who owns the device, nor what its relays do.

use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use crate::auth::role::Role;
use crate::auth::store::{self, StoreError};
use crate::base::files;
use crate::config::ConfigError;
use crate::config::boot_card::Card;

/// What became of the card's configuration.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The device has an owner, so the card was not looked at.
    Claimed,
    /// The card has none.
    Nothing,
    /// It is in force, and an earlier boot has taken it already.
    Known,
    /// It is in force from now on.
    Taken,
    /// It is in force, and so is the owner that it names.
    TakenWithOwner,
}

/// Why the card's configuration was not taken. The one before stays in force.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum AdoptError {
    /// The card's file cannot be read.
    #[error("cannot read {}", file.display())]
    Read { file: PathBuf, source: io::Error },
    /// It is not a good configuration.
    #[error("farhand.toml on this card was not taken")]
    Config(#[from] ConfigError),
    /// It cannot be kept.
    #[error("cannot write {}", file.display())]
    Write { file: PathBuf, source: io::Error },
    /// The accounts cannot be read, so nobody knows whether there is an owner.
    #[error(transparent)]
    Authenticator(#[from] StoreError),
}

/// Puts the card's configuration into force, over what is in `board`. `serve` is the user and group that the accounts
/// must belong to.
pub fn adopt(card: &Path, board: &str, data: &Path, serve: Option<(u32, u32)>) -> Result<Outcome, AdoptError> {
    let users_file = data.join("users.json");
    let mut accounts = store::read_accounts(&users_file)?;
    if accounts.claimed() {
        return Ok(Outcome::Claimed);
    }
    let text = files::read(card).map_err(|source| AdoptError::Read { file: card.into(), source })?;
    let Some(text) = text else { return Ok(Outcome::Nothing) };
    let Card { text, claim, .. } = Card::parse(board, &text)?;

    let config_file = data.join("farhand.toml");
    // A damaged one is replaced, not complained of.
    let is_known = files::read(&config_file).ok().flatten().is_some_and(|known| known == text);
    if !is_known {
        // `serve` reads it, too, and it holds no secret.
        files::write_with_mode(&config_file, text.as_bytes(), 0o644)
            .map_err(|source| AdoptError::Write { file: config_file, source })?;
    }
    let Some(claim) = claim else { return Ok(if is_known { Outcome::Known } else { Outcome::Taken }) };

    // Last, because after it the card counts no more: a power cut before this line is a boot that takes it again.
    accounts.put_user(claim.user, Role::Administrator, claim.password_hash.into_phc());
    let ready = data.join("users.ready");
    files::write_with_mode(&ready, store::accounts_text(&accounts).as_bytes(), 0o600)
        .and_then(|()| serve.map_or(Ok(()), |(user, group)| chown(&ready, Some(user), Some(group))))
        .and_then(|()| files::rename(&ready, &users_file))
        .map_err(|source| AdoptError::Write { file: users_file, source })?;
    Ok(Outcome::TakenWithOwner)
}
