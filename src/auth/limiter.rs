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
mod tests {
    use std::collections::BTreeSet;

    use crate::auth::limiter::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn name(text: &str) -> Name {
        Name::try_from(text.to_string()).unwrap()
    }

    /// A limiter whose budgets last, so that only each address's own delay is seen.
    fn lavish() -> Limiter {
        fn budget() -> Budget {
            Budget::new(100_000, 60_000)
        }
        fn budgets() -> Budgets {
            Budgets { fresh: budget(), known: budget() }
        }
        Limiter::new(budgets(), Makes { name: budgets, familiar: budget })
    }

    /// Tries a wrong secret of anna's as a stranger.
    fn wrong(limiter: &mut Limiter, now: Duration, address: IpAddr) -> Result<(), Duration> {
        limiter.attempt(now, address, Some(&name("anna")), false).map(|_| ())
    }

    /// Tries every `step` for a minute from each address in turn, wrong each time, and counts what was let through.
    fn flood(limiter: &mut Limiter, addresses: u8, tries: u32) -> u32 {
        let step = MINUTE / tries;
        (0..tries).filter(|n| wrong(limiter, step * *n, address((n % u32::from(addresses)) as u8)).is_ok()).count()
            as u32
    }

    #[test]
    fn five_wrong_tries_are_free_and_then_the_delay_doubles() {
        let mut limiter = lavish();
        let mut now = Duration::from_secs(1000);
        for _ in 0..5 {
            wrong(&mut limiter, now, address(1)).unwrap();
        }
        for seconds in [1, 2, 4, 8] {
            assert_eq!(Duration::from_secs(seconds), wrong(&mut limiter, now, address(1)).unwrap_err());
            now += Duration::from_secs(seconds);
            wrong(&mut limiter, now, address(1)).unwrap();
        }
        assert!(wrong(&mut limiter, now, address(2)).is_ok(), "another address is not slowed down");
        assert!(limiter.attempt(now, address(1), Some(&name("bert")), false).is_ok(), "nor another person there");
    }

    #[test]
    fn the_delay_stops_growing_at_five_minutes() {
        let mut limiter = lavish();
        let (mut now, mut longest) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..200 {
            if let Err(wait) = wrong(&mut limiter, now, address(1)) {
                longest = longest.max(wait);
                now += wait;
            }
        }
        assert_eq!(LONGEST_DELAY, longest);
    }

    #[test]
    fn a_thousand_wrong_tries_in_a_minute_get_thirty_through() {
        for addresses in [1, 50] {
            let through = flood(&mut Limiter::default(), addresses, 1000);
            assert!((5..=30).contains(&through), "{through} from {addresses}");
        }
    }

    #[test]
    fn a_name_for_each_try_gets_no_more_through() {
        let mut limiter = Limiter::default();
        let through = (0..1000).filter(|n| {
            let name = name(&format!("user{n}"));
            limiter.attempt(MINUTE / 1000 * *n, address(1), Some(&name), false).is_ok()
        });
        let through = through.count();
        assert!((5..=16).contains(&through), "{through}");
        let mut limiter = lavish();
        let mut delays =
            (0..100).map(|n| limiter.attempt(Duration::ZERO, address(1), Some(&name(&format!("user{n}"))), false));
        assert!(delays.any(|outcome| outcome.is_err()), "an address has a delay of its own");
    }

    #[test]
    fn somebody_from_elsewhere_gets_in_during_a_flood() {
        let mut limiter = Limiter::default();
        flood(&mut limiter, 50, 1000);
        let attempt = limiter.attempt(MINUTE, address(200), Some(&name("anna")), false).unwrap();
        limiter.right(attempt);
    }

    #[test]
    fn a_flood_at_one_name_leaves_something_for_strangers_with_another() {
        let mut limiter = Limiter::default();
        for n in 0..600u16 {
            let _ =
                wrong(&mut limiter, Duration::from_millis(n.into()), IpAddr::from([10, 0, (n >> 8) as u8, n as u8]));
        }
        let bert = limiter.attempt(Duration::from_millis(600), address(200), Some(&name("bert")), false);
        assert!(bert.is_ok(), "{bert:?}");
    }

    /// Lets this many attackers guess, each from an address of its own and each exactly when it may again, and an owner
    /// try to log in from the first minute on, who comes back when `Retry-After` says. Gives how long that takes, if it
    /// takes less than an hour.
    fn siege(attackers: u32, familiar: bool) -> Option<Duration> {
        let (begin, hour) = (MINUTE, 60 * MINUTE);
        let mut limiter = Limiter::default();
        let mut turns: BTreeSet<(Duration, u32)> = (0..attackers).map(|n| (Duration::ZERO, n)).collect();
        let mut owner = begin;
        while let Some((now, attacker)) = turns.pop_first()
            && now < begin + hour
        {
            if owner < now {
                let attempt = limiter.attempt(owner, address(200), Some(&name("anna")), familiar);
                let Err(wait) = attempt.map(|attempt| limiter.right(attempt)) else { return Some(owner - begin) };
                owner += Duration::from_secs(wait.as_secs() + 1);
            }
            let outcome = wrong(&mut limiter, now, IpAddr::from([10, 0, (attacker >> 8) as u8, attacker as u8]));
            // Told to wait: to the millisecond. Let through: again at once, to learn how long.
            let wait = outcome.err().unwrap_or_default().max(Duration::from_millis(1));
            turns.insert((now + wait, attacker));
        }
        None
    }

    #[test]
    fn no_number_of_patient_strangers_keeps_an_owner_out_of_where_they_have_been() {
        for attackers in [50, 100, 200] {
            assert_eq!(Some(Duration::ZERO), siege(attackers, true), "{attackers} attackers");
        }
    }

    /// What docs/threats.md says that is left for an owner who comes from elsewhere.
    #[test]
    fn patient_strangers_keep_an_owner_out_of_a_new_place_the_longer_the_more_they_are() {
        for (attackers, minutes) in [(50, 8), (100, 15), (200, 30), (400, 60)] {
            let took = siege(attackers, false).expect("it ends");
            assert!(took < minutes * MINUTE, "{attackers} attackers: {took:?}");
        }
    }

    #[test]
    fn who_guesses_where_they_are_known_is_slowed_down_all_the_same() {
        let mut limiter = Limiter::default();
        let through = (0..1000).filter(|n| {
            let attempt = limiter.attempt(MINUTE / 1000 * *n, address(1), Some(&name("anna")), true);
            attempt.is_ok()
        });
        assert_eq!(10, through.count(), "five at once, and then after 1, 2, 4, 8 and 16 seconds");
        assert!(limiter.attempt(MINUTE, address(2), Some(&name("anna")), true).is_ok(), "at no other known place");
    }

    #[test]
    fn being_right_forgives() {
        let mut limiter = Limiter::default();
        for second in 0..1000 {
            let now = Duration::from_millis(second);
            let attempt = limiter.attempt(now, address(1), Some(&name("anna")), false).unwrap();
            limiter.right(attempt);
        }
    }

    #[test]
    fn being_right_as_one_person_forgives_no_guess_at_another() {
        for familiar in [false, true] {
            let mut limiter = Limiter::default();
            let mut guesses = 0;
            for n in 0..60 {
                let now = Duration::from_secs(n);
                guesses += u32::from(wrong(&mut limiter, now, address(1)).is_ok());
                if let Ok(own) = limiter.attempt(now, address(1), Some(&name("viewer")), familiar) {
                    limiter.right(own);
                }
            }
            assert!(guesses <= 11, "{guesses} in a minute");
        }
    }

    #[test]
    fn a_whole_ipv6_network_is_one_guesser() {
        let mut limiter = lavish();
        for host in 1..=5u16 {
            wrong(&mut limiter, Duration::ZERO, IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, host])).unwrap();
        }
        assert!(wrong(&mut limiter, Duration::ZERO, IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9])).is_err());
        assert!(wrong(&mut limiter, Duration::ZERO, IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1])).is_ok());
        assert_eq!(address(1), neighbourhood("::ffff:192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut strict, mut lavish) = (Limiter::default(), lavish());
        for n in 0..6000u32 {
            let now = Duration::from_millis(n.into());
            let name = name(&format!("user{n}"));
            for limiter in [&mut strict, &mut lavish] {
                let _ = limiter.attempt(now, IpAddr::V4(n.into()), Some(&name), false);
                let _ = limiter.attempt(now, IpAddr::V4(n.into()), Some(&name), true);
            }
        }
        for limiter in [strict, lavish] {
            assert_eq!(ADDRESSES, limiter.addresses.len());
            assert!(limiter.pairs.len() <= ADDRESSES && limiter.names.len() <= NAMES + 1);
        }
    }
}
