//! Keeps the secrets of second factors that were shown, until somebody has shown a code of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::auth::accounts::Name;
use crate::auth::totp::TotpSecret;

/// How long a secret waits for its first code: long enough to install an authenticator.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Secrets of which no code has come yet: the last that was shown to each person.
#[derive(Debug, Default)]
pub struct Enrolments(Mutex<BTreeMap<Name, (Duration, TotpSecret)>>);

impl Enrolments {
    /// Keeps a secret.
    pub fn begin(&self, now: Duration, name: &Name, secret: TotpSecret) {
        let mut waiting = self.lock();
        waiting.retain(|_, (begun, _)| now < *begun + PATIENCE);
        waiting.insert(name.clone(), (now, secret));
    }

    /// The secret of which a code is waited for.
    pub fn waiting(&self, now: Duration, name: &Name) -> Option<TotpSecret> {
        let waiting = self.lock();
        waiting.get(name).filter(|(begun, _)| now < *begun + PATIENCE).map(|(_, secret)| secret.clone())
    }

    /// Waits no longer.
    pub fn end(&self, name: &Name) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, (Duration, TotpSecret)>> {
        // Whoever panicked has changed nothing by halves: each change is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_secret_that_was_shown_waits_for_a_quarter_of_an_hour() {
        let (enrolments, anna) = (Enrolments::default(), Name::try_from("anna".to_string()).unwrap());
        let now = Duration::from_secs(10);
        for byte in [1, 2] {
            enrolments.begin(now, &anna, TotpSecret::new([byte; 20]));
            assert_eq!(Some(TotpSecret::new([byte; 20])), enrolments.waiting(now, &anna));
        }
        assert!(enrolments.waiting(now + PATIENCE - Duration::from_secs(1), &anna).is_some());
        assert_eq!(None, enrolments.waiting(now + PATIENCE, &anna));
        enrolments.end(&anna);
        assert_eq!(None, enrolments.waiting(now, &anna));
    }
}
