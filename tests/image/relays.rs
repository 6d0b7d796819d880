//! Checks on a Pi that no relay closes unless somebody presses it, whatever else happens.
//!
//! A relay that closes for a moment while the appliance starts or dies switches its owner's machine off. So the pins
//! are watched from outside, from before the first instruction, and nothing that the guest reports about them counts.

use std::time::Duration;

use serde_json::json;

use crate::owner::Owner;
use crate::pi::{Clock, POWER, Pi, Pulse, RESET};
use crate::shell::BOOT;

/// The length of a `tap`.
const TAP: Duration = Duration::from_millis(500);
/// How soon a relay is open after the process that closed it has died.
const RELEASE_TIMEOUT: Duration = Duration::from_millis(100);

#[test]
fn no_relay_closes_but_when_it_is_pressed_nor_stays_closed_when_who_closed_it_dies() {
    let mut pi = Pi::boot_by(Clock::Waiting, "relays");
    let owner = Owner::claim(pi.https, &pi.folder(), &pi.claim_code());
    // A token survives a restart.
    let owner = Owner::program(pi.https, &owner.make_token("relays"));
    assert_eq!(NEVER, pi.probe.pulses(), "from power-on to the page");
    pi.probe.wait("both relays' pins are outputs", BOOT, |seen| seen.pins.are_outputs().then_some(()));
    presses_are_as_long_as_they_should_be(&pi, &owner);
    let presses = pi.probe.pulses();

    for service in ["hands", "serve"] {
        pi.ask(&format!("sv restart /etc/sv/{service}"));
        crash(&mut pi, service);
    }
    owner.wait_page(BOOT);
    pi.reboot();
    owner.wait_page(BOOT);
    assert_eq!(presses, pi.probe.pulses(), "through restarts, crashes and a reboot");

    // This means nothing if the watch misses pulses: it must see one of a few microseconds.
    pi.probe.wait("the pins are outputs again", BOOT, |seen| seen.pins.are_outputs().then_some(()));
    pi.probe.touch(POWER);
    pi.probe.wait("the touch is seen", BOOT, |seen| (seen.pins.pulses().len() == presses.len() + 1).then_some(()));
    a_death_in_mid_press_opens_the_relay_at_once(&mut pi, &owner);
}

fn presses_are_as_long_as_they_should_be(pi: &Pi, owner: &Owner) {
    let buttons = [("tap", POWER), ("tap", POWER), ("tap", POWER), ("reset", RESET)];
    for (button, pin) in buttons {
        let proven = (0..PRESSES).map(|_| tapped(pi, owner, button, pin)).any(|(least, most)| {
            let exact = TAP - MARGIN..=TAP + MARGIN;
            exact.contains(&least) && exact.contains(&most)
        });
        assert!(proven, "no press was measured well enough: {:?}", pi.probe.pulses());
    }
}

fn a_death_in_mid_press_opens_the_relay_at_once(pi: &mut Pi, owner: &Owner) {
    let mut expected = pins(&pi.probe.pulses());
    for driver in ["driver = \"rppal\"", "driver = \"gpiocdev\"\nchip = \"pinctrl-bcm2711\""] {
        configure(pi, driver);
        for service in ["hands", "serve"] {
            let before = pi.probe.pulses().len();
            // A service was restarted just now, in either case.
            owner.wait_page(BOOT);
            press(owner, "hold");
            let closed = |pulses: &[Pulse]| pulses.get(before).filter(|pulse| pulse.end.is_none()).map(drop);
            pi.probe.wait("the relay is closed", BOOT, |seen| closed(seen.pins.pulses()));
            // Read before the command goes to the guest, so the measured time is longer than the real one.
            let alive = pi.probe.now();
            crash(pi, service);
            pi.probe.wait("the relay is open", BOOT, |seen| ended(seen.pins.pulses()));
            let pulses = pi.probe.pulses();
            let time = pulses[before].end.unwrap().by - alive;
            println!("{driver:?}: {service} was killed in mid-press, and the relay was open after {time:?}");
            assert!(time <= RELEASE_TIMEOUT, "{driver}, {service}: {pulses:?}, killed after {alive:?}");
            expected.push(POWER);
            assert_eq!(expected, pins(&pulses), "{pulses:?}");
        }
    }
}

/// Gives the appliance another driver for its relays.
#[track_caller]
fn configure(pi: &mut Pi, driver: &str) {
    pi.ask(&format!(
        "cat >/data/farhand.toml <<'END'\n[seats.main.power]\n{driver}\npower = 17\nreset = 27\nEND\n\
         ln -sf /data/farhand.toml /run/farhand.toml && sv restart /etc/sv/hands && sv restart /etc/sv/serve"
    ));
}

/// Kills a service with SIGKILL, and waits until it is back.
#[track_caller]
fn crash(pi: &mut Pi, service: &str) {
    let pid = format!("/run/sv/{service}/pid");
    pi.ask(&format!(
        "old=$(cat {pid}); kill -KILL $old; until [ -s {pid} ] && [ $(cat {pid}) != $old ]; do sleep 0.1; done"
    ));
}

/// Presses the button once more, and checks that only its relay closes, and that the interval of its possible lengths
/// contains the right one. Returns that interval.
#[track_caller]
fn tapped(pi: &Pi, owner: &Owner, button: &str, pin: u8) -> (Duration, Duration) {
    let before = pi.probe.pulses().len();
    press(owner, button);
    let all = pi.probe.wait("a press and its end", BOOT, |seen| {
        let pulses = seen.pins.pulses();
        ended(pulses).filter(|()| before < pulses.len()).map(|()| pulses.to_vec())
    });
    let [pulse] = all[before..] else { panic!("one press made more than one pulse: {all:?}") };
    let (least, most) = pulse.length();
    println!("{button}: between {least:?} and {most:?}");
    assert_eq!(pin, pulse.pin, "{button}: {all:?}");
    assert!(least <= TAP + MARGIN && TAP - MARGIN <= most, "{button}: {pulse:?}");
    (least, most)
}

/// How much a press may differ from the right length.
const MARGIN: Duration = Duration::from_millis(50);
/// How many presses may be needed until one is measured well enough. A watch that had to wait for a processor has seen
/// the ends of a press less precisely.
const PRESSES: usize = 20;
const NEVER: Vec<Pulse> = Vec::new();

#[track_caller]
fn press(owner: &Owner, button: &str) {
    let answer = owner.insist("/api/v1/seats/main/power", &json!({ "press": button }), BOOT);
    assert_eq!(202, answer.status, "{answer:?}");
}

fn ended(pulses: &[Pulse]) -> Option<()> {
    pulses.iter().all(|pulse| pulse.end.is_some()).then_some(())
}

fn pins(pulses: &[Pulse]) -> Vec<u8> {
    pulses.iter().map(|pulse| pulse.pin).collect()
}
