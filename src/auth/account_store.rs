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
    /// Held while the file is written, so that an older version never replaces a newer one.
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
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut accounts = self.read().clone();
        accounts.see(now);
        change(&mut accounts)?;
        self.write(&accounts)?;
        let mut seen = self.read();
        *seen = accounts;
        then(&seen);
        Ok(())
    }

    /// Uses something up that is good once. `change` says whether it is enough to remember that until the next start,
    /// if the card takes no writes. This waits for the card.
    pub fn use_up<T, E: From<io::Error>>(
        &self,
        now: u64,
        change: impl FnOnce(&mut Accounts) -> Result<(T, bool), E>,
    ) -> Result<T, E> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut accounts = self.read().clone();
        accounts.see(now);
        let (used, is_enough_here) = change(&mut accounts)?;
        match self.write(&accounts) {
            Err(_) if is_enough_here => warn!("what was used up is remembered until the next start only"),
            written => written?,
        }
        *self.read() = accounts;
        Ok(used)
    }

    fn write(&self, accounts: &Accounts) -> io::Result<()> {
        files::write_whole(&self.file, store::accounts_text(accounts).as_bytes())
            .inspect_err(|error| error!("cannot write {}: {error}", self.file.display()))
    }
}
