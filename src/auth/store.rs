//! Reads and writes what decides who owns the device: the accounts, and until there are any the code to claim it with.
//!
//! Apart from [`super::people`] because the boot asks, too, before there is a page: see [`crate::adopt`].

use std::io;
use std::path::Path;

use log::warn;

use crate::auth::accounts::Accounts;
use crate::auth::secret::ClaimCode;

use crate::auth::authenticator::{StoreError, random};
use crate::base::files;

/// The code of a device without an owner. It stays the same until there is one: an owner without a screen reads it from the
/// card, for which the device has to be off.
pub fn claim_code(file: &Path) -> Result<ClaimCode, StoreError> {
    if let Some(code) = files::read(file).ok().flatten().and_then(|text| ClaimCode::parse(&text)) {
        return Ok(code);
    }
    let code = ClaimCode::new(random()?);
    if let Err(error) = files::write_whole(file, code.to_string().as_bytes()) {
        warn!("the claim code will be another one at the next start: cannot write {}: {error}", file.display());
    }
    Ok(code)
}

/// Removes the code of a device that has an owner.
pub fn forget_code(file: &Path) {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => warn!("cannot remove {}: {error}", file.display()),
        _ => (),
    }
}

/// Reads who may come in; nobody, when there is no such file.
pub fn read_accounts(file: &Path) -> Result<Accounts, StoreError> {
    let text = files::read(file).map_err(|source| StoreError::File { path: file.to_path_buf(), source })?;
    let Some(text) = text else { return Ok(Accounts::default()) };
    Accounts::parse(&text).map_err(|source| StoreError::Damaged { path: file.to_path_buf(), source })
}

/// What [`read_accounts`] reads.
pub fn accounts_text(accounts: &Accounts) -> String {
    serde_json::to_string_pretty(accounts).expect("accounts are plain data with string keys")
}
