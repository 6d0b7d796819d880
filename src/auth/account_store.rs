//! Keeps the accounts, and changes them on the card before anybody sees the change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{error, warn};

use crate::auth::accounts::Accounts;
use crate::auth::store::{self, StoreError};
use crate::base::files;

/// The accounts, in memory and in their file.
#[derive(Debug)]
pub struct AccountStore {
    accounts: Mutex<Accounts>,
    file: PathBuf,
    writing: Mutex<()>,
}

impl AccountStore {
    /// Reads the accounts in the data folder. `wall` is what the wall clock says.
    pub fn open(data: &Path, wall: u64) -> Result<AccountStore, StoreError> {
        let file = data.join("users.json");
        let mut accounts = store::read_accounts(&file)?;
        if accounts.doubt(wall) {
            warn!("the latest time that was noted is more than ten years away, and not believed any more");
        }
        Ok(AccountStore { accounts: Mutex::new(accounts), file, writing: Mutex::default() })
    }

    /// The accounts as they are. Nothing may be awaited meanwhile.
    pub fn read(&self) -> MutexGuard<'_, Accounts> {
        // Whoever panicked has changed nothing by halves: each change is one assignment.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the accounts, and notes what time it is; `then` sees them before anybody else does. This waits for the
    /// card.
    pub fn change<E: From<io::Error>>(
        &self,
        now: u64,
        change: impl FnOnce(&mut Accounts) -> Result<(), E>,
        then: impl FnOnce(&Accounts),
    ) -> Result<(), E> {
        let _writing = self.writing();
        let mut accounts = self.read().clone();
        accounts.see(now);
        change(&mut accounts)?;
        self.write(&accounts)?;
        let mut seen = self.read();
        // Codes may have opened meanwhile, which wait for no card.
        accounts.keep_used_codes(&seen);
        *seen = accounts;
        then(&seen);
        Ok(())
    }

    /// Notes something that it is enough to remember until the next start, if the card takes no writes; `None` changes
    /// nothing. [`AccountStore::write_noted`] puts it on the card.
    pub fn note<T>(&self, change: impl FnOnce(&mut Accounts) -> Option<T>) -> Option<T> {
        let mut seen = self.read();
        let mut accounts = seen.clone();
        let noted = change(&mut accounts)?;
        *seen = accounts;
        Some(noted)
    }

    /// Writes what was noted. This waits for the card.
    pub fn write_noted(&self, now: u64) -> io::Result<()> {
        let _writing = self.writing();
        let mut accounts = self.read().clone();
        accounts.see(now);
        self.write(&accounts)
    }

    /// Held while the file is written, so that an older version never replaces a newer one. A card that hangs holds it.
    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, accounts: &Accounts) -> io::Result<()> {
        files::write_whole(&self.file, store::accounts_text(accounts).as_bytes())
            .inspect_err(|error| error!("cannot write {}: {error}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::accounts::Name;
    use crate::auth::role::Role;
    use crate::auth::totp::{Opened, SecondFactor, TotpSecret};

    #[test]
    fn a_code_that_opens_while_a_change_is_written_stays_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = AccountStore::open(folder.path(), 0).unwrap();
        let (anna, totp) = (Name::try_from("anna".to_string()).unwrap(), TotpSecret::new([7; 20]));
        let factor = SecondFactor::new(totp.clone(), 100, &totp.code(100), &[]).unwrap();
        let make = |accounts: &mut Accounts| {
            accounts.put_user(anna.clone(), Role::Administrator, "hash".into());
            accounts.set_second_factor(&anna, factor).map_err(io::Error::other)
        };
        store.change(0, make, |_| ()).unwrap();
        let open = || store.note(|accounts| accounts.open_second_factor(&anna, 400, &totp.code(400)));
        let meanwhile = |_: &mut Accounts| {
            assert_eq!(Some(Opened::Code), open());
            io::Result::Ok(())
        };
        store.change(0, meanwhile, |_| ()).unwrap();
        assert_eq!(None, open());
    }
}
