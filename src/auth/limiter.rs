//! Slows down whoever guesses passwords and codes, without locking out whoever knows them.
//!
//! Tokens do not pass here: 256 random bits cannot be guessed, and a script that goes on with an expired one must not keep its
//! owner, at the same address, from logging in. Each address has its own growing delay. Across all addresses there are two budgets:
//! one for addresses that have been wrong lately or did not wait when they were told to, one for those that are fresh. A flood
//! from many addresses soon has no part in the second, so that somebody who comes from elsewhere gets in.

use core::net::IpAddr;
use std::collections::HashMap;
use std::time::Duration;

/// Wrong tries that cost nothing: people mistype.
const FREE: u32 = 5;

/// The delay after the first wrong try too many; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// The delay stops growing here: longer would punish the owner more than the guesser.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// How long an address is remembered after its last try.
const MEMORY: Duration = Duration::from_secs(900);

/// How many addresses are remembered. Beyond that the one that was quiet longest is forgotten.
const ADDRESSES: usize = 4096;

/// Counts tries by address.
#[derive(Debug)]
pub struct Limiter {
    guessers: HashMap<IpAddr, Guesser>,
    known: Budget,
    fresh: Budget,
}

#[derive(Debug, Clone, Copy)]
struct Guesser {
    wrong: u32,
    not_before: Duration,
    last: Duration,
    /// Has neither been wrong nor come back before the time it was told.
    fresh: bool,
}

/// A try that was let through and has not been found right yet.
#[derive(Debug)]
#[must_use]
pub struct Try {
    address: IpAddr,
    fresh: bool,
}

impl Default for Limiter {
    fn default() -> Limiter {
        // Together at most 30 in any minute: 10 + 5 + 10 + 5 in the first one after a quiet time.
        Limiter { guessers: HashMap::new(), known: Budget::new(5, 5), fresh: Budget::new(10, 10) }
    }
}

impl Limiter {
    /// Asks whether an address may try now; the error is how long it must wait. A try counts as wrong until it was right.
    pub fn attempt(&mut self, now: Duration, address: IpAddr) -> Result<Try, Duration> {
        let address = neighbourhood(address);
        self.guessers.retain(|_, guesser| now < guesser.last + MEMORY);
        let guesser = self.remember(now, address);
        if now < guesser.not_before {
            guesser.fresh = false;
            return Err(guesser.not_before - now);
        }
        let fresh = guesser.fresh;
        let budget = if fresh { &mut self.fresh } else { &mut self.known };
        if let Err(wait) = budget.take(now) {
            self.remember(now, address).not_before = now + wait;
            return Err(wait);
        }
        self.count(now, address);
        Ok(Try { address, fresh })
    }

    /// Forgives a try that was right, and all before it from the same address.
    pub fn right(&mut self, attempt: Try) {
        self.guessers.remove(&attempt.address);
        let budget = if attempt.fresh { &mut self.fresh } else { &mut self.known };
        budget.give_back();
    }

    fn count(&mut self, now: Duration, address: IpAddr) {
        let guesser = self.remember(now, address);
        guesser.wrong += 1;
        guesser.fresh = false;
        if let Some(extra) = guesser.wrong.checked_sub(FREE) {
            let delay = FIRST_DELAY * 2u32.saturating_pow(extra.min(16));
            guesser.not_before = now + delay.min(LONGEST_DELAY);
        }
    }

    fn remember(&mut self, now: Duration, address: IpAddr) -> &mut Guesser {
        if self.guessers.len() >= ADDRESSES && !self.guessers.contains_key(&address) {
            let oldest = self.guessers.iter().min_by_key(|(_, guesser)| guesser.last).map(|(address, _)| *address);
            if let Some(oldest) = oldest {
                self.guessers.remove(&oldest);
            }
        }
        let fresh = Guesser { wrong: 0, not_before: Duration::ZERO, last: now, fresh: true };
        let guesser = self.guessers.entry(address).or_insert(fresh);
        guesser.last = now;
        guesser
    }
}

/// What is counted as one guesser: with IPv6, everyone in a /64 can use every address of it.
fn neighbourhood(address: IpAddr) -> IpAddr {
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

    fn take(&mut self, now: Duration) -> Result<(), Duration> {
        while self.left < self.most && self.refilled + self.interval <= now {
            self.refilled += self.interval;
            self.left += 1;
        }
        if self.left == self.most {
            // A full budget does not save up time.
            self.refilled = now;
        }
        if self.left == 0 {
            return Err(self.refilled + self.interval - now);
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
    use crate::auth::limiter::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// A limiter whose budgets last, so that only each address's own delay is seen.
    fn lavish() -> Limiter {
        let budget = || Budget::new(100_000, 60_000);
        Limiter { guessers: HashMap::new(), known: budget(), fresh: budget() }
    }

    /// Tries a wrong secret.
    fn wrong(limiter: &mut Limiter, now: Duration, address: IpAddr) -> Result<(), Duration> {
        limiter.attempt(now, address).map(|_| ())
    }

    /// Tries every `step` for a minute from each address in turn, wrong each time, and counts what was let through.
    fn flood(limiter: &mut Limiter, addresses: u8, tries: u32) -> u32 {
        let step = Duration::from_secs(60) / tries;
        (0..tries).filter(|n| limiter.attempt(step * *n, address((n % u32::from(addresses)) as u8)).is_ok()).count()
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
    fn somebody_from_elsewhere_gets_in_during_a_flood() {
        let mut limiter = Limiter::default();
        flood(&mut limiter, 50, 1000);
        let attempt = limiter.attempt(Duration::from_secs(60), address(200)).unwrap();
        limiter.right(attempt);
    }

    #[test]
    fn being_right_forgives() {
        let mut limiter = Limiter::default();
        for second in 0..1000 {
            let attempt = limiter.attempt(Duration::from_millis(second), address(1)).unwrap();
            limiter.right(attempt);
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
        let mut limiter = Limiter::default();
        for n in 0..10_000u32 {
            let _ = wrong(&mut limiter, Duration::from_millis(n.into()), IpAddr::V4(n.into()));
        }
        assert_eq!(ADDRESSES, limiter.guessers.len());
    }
}
