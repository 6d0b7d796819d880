//! Guesses as attackers and owners do, and checks who has to wait, and for how long.

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
    (0..tries).filter(|n| wrong(limiter, step * *n, address((n % u32::from(addresses)) as u8)).is_ok()).count() as u32
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
        let _ = wrong(&mut limiter, Duration::from_millis(n.into()), IpAddr::from([10, 0, (n >> 8) as u8, n as u8]));
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
