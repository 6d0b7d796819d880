//! Slows down whoever guesses passwords and codes, without locking out whoever knows them.
//!
//! Tokens do not pass here: 256 random bits cannot be guessed, and a script that goes on with an expired one must not
//! keep its owner, at the same address, from logging in. Wrong tries count against the address and the name together,
//! so that being right as one person forgives no guess at another, and against the address alone, so that many names
//! help nobody. Across all strangers there are budgets, for each name and in all: one for addresses that have been
//! wrong lately or did not wait when they were told to, one for those that are fresh. Who comes from a place where they
//! have logged in before is none of these strangers, and has a budget of their own that no flood can touch.

use core::net::IpAddr;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::auth::accounts::Name;

/// Wrong tries of one address at one name that cost nothing: people mistype.
const FREE: u32 = 5;

/// Wrong tries of one address at all names together that cost nothing: more people than one may mistype there.
const FREE_FOR_ALL: u32 = 15;

/// The delay after the first wrong try too many; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// The delay stops growing here: longer would punish the owner more than the guesser.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// How long an address is remembered after its last try.
const MEMORY: Duration = Duration::from_secs(900);

/// How often to look for addresses to forget.
const FORGETTING: Duration = Duration::from_secs(5);

/// How many addresses, and addresses with names, are remembered. Beyond that the one that was quiet longest is
/// forgotten.
const ADDRESSES: usize = 4096;

/// How many names have budgets of their own at a time.
const NAMES: usize = 256;

/// Whose password is guessed; `None` is the code of a device without an owner.
type Subject = Option<Name>;

/// Counts tries.
#[derive(Debug)]
pub struct Limiter {
    /// By address alone.
    addresses: HashMap<IpAddr, Guesser>,
    /// By address and name.
    pairs: HashMap<(IpAddr, Subject), Guesser>,
    /// For strangers at one name.
    names: HashMap<Subject, Budgets>,
    /// For all strangers.
    all: Budgets,
    /// For those who come from a place where they have logged in before.
    familiar: HashMap<(IpAddr, Subject), Budget>,
    makes: Makes,
    /// When those who were quiet were forgotten last.
    forgot: Duration,
}

/// How large new budgets are.
#[derive(Debug, Clone, Copy)]
struct Makes {
    name: fn() -> Budgets,
    familiar: fn() -> Budget,
}

#[derive(Debug, Clone, Copy)]
struct Guesser {
    wrong: u32,
    not_before: Duration,
    last: Duration,
    /// Has neither been wrong nor come back before the time it was told.
    fresh: bool,
}

/// What strangers may try.
#[derive(Debug)]
struct Budgets {
    fresh: Budget,
    known: Budget,
}

impl Budgets {
    fn of(&mut self, fresh: bool) -> &mut Budget {
        if fresh { &mut self.fresh } else { &mut self.known }
    }
}

/// Who tries.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Familiar,
    Fresh,
    Known,
}

/// A try that was let through and has not been found right yet.
#[derive(Debug)]
#[must_use]
pub struct Try {
    address: IpAddr,
    subject: Subject,
    kind: Kind,
}

impl Default for Limiter {
    fn default() -> Limiter {
        // Strangers have at most 30 in any minute: 10 + 5 + 10 + 5 in the first one after a quiet time. Those at one
        // name have less, so that a flood at one leaves something for another.
        let all = Budgets { known: Budget::new(5, 5), fresh: Budget::new(10, 10) };
        let name = || Budgets { known: Budget::new(4, 4), fresh: Budget::new(8, 8) };
        let makes = Makes { name, familiar: || Budget::new(10, 10) };
        Limiter::new(all, makes)
    }
}

impl Limiter {
    fn new(all: Budgets, makes: Makes) -> Limiter {
        let (addresses, pairs) = (HashMap::new(), HashMap::new());
        Limiter {
            addresses,
            pairs,
            names: HashMap::new(),
            all,
            familiar: HashMap::new(),
            makes,
            forgot: Duration::ZERO,
        }
    }

    /// Asks whether an address may try a name now; the error is how long it must wait. A try counts as wrong until it
    /// was right. `familiar`: this person has logged in from there before.
    pub fn attempt(
        &mut self,
        now: Duration,
        address: IpAddr,
        name: Option<&Name>,
        familiar: bool,
    ) -> Result<Try, Duration> {
        let (address, subject) = (neighbourhood(address), name.cloned());
        self.forget(now);
        let pair = (address, subject);
        let not_before = self.pairs.get(&pair).map_or(Duration::ZERO, |guesser| guesser.not_before);
        let kind = if familiar {
            self.familiar_try(now, &pair, not_before)?
        } else {
            self.strange_try(now, &pair, not_before)?
        };
        remember(&mut self.pairs, now, pair.clone()).count(now, FREE);
        remember(&mut self.addresses, now, address).count(now, FREE_FOR_ALL);
        Ok(Try { address, subject: pair.1, kind })
    }

    /// Forgets those who have been quiet for long, at times: a flood need not have us look through them for each try.
    fn forget(&mut self, now: Duration) {
        if now < self.forgot + FORGETTING {
            return;
        }
        self.forgot = now;
        self.addresses.retain(|_, guesser| now < guesser.last + MEMORY);
        self.pairs.retain(|_, guesser| now < guesser.last + MEMORY);
        self.familiar.retain(|_, budget| !budget.is_full(now));
    }

    fn familiar_try(
        &mut self,
        now: Duration,
        pair: &(IpAddr, Subject),
        not_before: Duration,
    ) -> Result<Kind, Duration> {
        if now < not_before {
            return Err(not_before - now);
        }
        self.familiar.entry(pair.clone()).or_insert_with(self.makes.familiar).take(now)?;
        Ok(Kind::Familiar)
    }

    fn strange_try(
        &mut self,
        now: Duration,
        (address, subject): &(IpAddr, Subject),
        not_before: Duration,
    ) -> Result<Kind, Duration> {
        let guesser = remember(&mut self.addresses, now, *address);
        let not_before = guesser.not_before.max(not_before);
        if now < not_before {
            guesser.fresh = false;
            return Err(not_before - now);
        }
        let fresh = guesser.fresh;
        if self.names.len() >= NAMES && !self.names.contains_key(subject) {
            // A full budget is as good as none.
            self.names.retain(|_, budgets| !budgets.fresh.is_full(now) || !budgets.known.is_full(now));
        }
        let own = self.names.entry(subject.clone()).or_insert_with(self.makes.name).of(fresh);
        let all = self.all.of(fresh);
        let waits = [own.wait(now), all.wait(now)];
        if let Some(wait) = waits.into_iter().flatten().max() {
            guesser.not_before = now + wait;
            return Err(wait);
        }
        own.take(now)?;
        all.take(now)?;
        Ok(if fresh { Kind::Fresh } else { Kind::Known })
    }

    /// Forgives a try that was right, and all before it from the same address at the same name, but at no other.
    pub fn right(&mut self, attempt: Try) {
        let Try { address, subject, kind } = attempt;
        let pair = (address, subject);
        let wrong = self.pairs.remove(&pair).map_or(0, |guesser| guesser.wrong);
        if let Some(guesser) = self.addresses.get_mut(&address) {
            guesser.wrong = guesser.wrong.saturating_sub(wrong);
            if guesser.wrong == 0 {
                self.addresses.remove(&address);
            }
        }
        if kind == Kind::Familiar {
            if let Some(budget) = self.familiar.get_mut(&pair) {
                budget.give_back();
            }
            return;
        }
        self.all.of(kind == Kind::Fresh).give_back();
        if let Some(budgets) = self.names.get_mut(&pair.1) {
            budgets.of(kind == Kind::Fresh).give_back();
        }
    }
}

impl Guesser {
    fn count(&mut self, now: Duration, free: u32) {
        self.wrong += 1;
        self.fresh = false;
        if let Some(extra) = self.wrong.checked_sub(free) {
            let delay = FIRST_DELAY * 2u32.saturating_pow(extra.min(16));
            self.not_before = now + delay.min(LONGEST_DELAY);
        }
    }
}

/// Finds who guesses, or makes room for them.
fn remember<K: Clone + Eq + Hash>(guessers: &mut HashMap<K, Guesser>, now: Duration, key: K) -> &mut Guesser {
    if guessers.len() >= ADDRESSES && !guessers.contains_key(&key) {
        let oldest = guessers.iter().min_by_key(|(_, guesser)| guesser.last).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            guessers.remove(&oldest);
        }
    }
    let fresh = Guesser { wrong: 0, not_before: Duration::ZERO, last: now, fresh: true };
    let guesser = guessers.entry(key).or_insert(fresh);
    guesser.last = now;
    guesser
}

/// What is counted as one guesser: with IPv6, everyone in a /64 can use every address of it.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (u128::MAX << 64)).into()),
        address => address,
    }
}

/// A number of tries that refills with time.
#[derive(Debug)]
struct Budget {
    most: u32,
    interval: Duration,
    left: u32,
    refilled: Duration,
}

impl Budget {
    fn new(most: u32, per_minute: u32) -> Budget {
        Budget { most, interval: Duration::from_secs(60) / per_minute, left: most, refilled: Duration::ZERO }
    }

    fn refill(&mut self, now: Duration) {
        while self.left < self.most && self.refilled + self.interval <= now {
            self.refilled += self.interval;
            self.left += 1;
        }
        if self.left == self.most {
            // A full budget does not save up time.
            self.refilled = now;
        }
    }

    /// How long it is until there is something to take, if there is nothing now.
    fn wait(&mut self, now: Duration) -> Option<Duration> {
        self.refill(now);
        (self.left == 0).then(|| self.refilled + self.interval - now)
    }

    fn is_full(&mut self, now: Duration) -> bool {
        self.refill(now);
        self.left == self.most
    }

    fn take(&mut self, now: Duration) -> Result<(), Duration> {
        if let Some(wait) = self.wait(now) {
            return Err(wait);
        }
        self.left -= 1;
        Ok(())
    }

    fn give_back(&mut self) {
        self.left = self.most.min(self.left + 1);
    }
}

#[cfg(test)]
mod tests;
