//! Lets a confirmed release hang at every start of a Pi whose firmware reports the reset's cause: U-Boot must change to
//! the other slot.
//!
//! A Pi's watchdog driver never reports that it has reset the machine. Its firmware does, but QEMU has none; so the
//! card's device tree contains, at every start, what a Pi's would contain after any reset.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use crate::pi::{A, B, Card, Cause, Pi, run};
use crate::release::Release;

/// Feeds the watchdog once, like a guard that then hangs with all the rest.
const HANGS: &str = "#!/bin/sh\nexec 3>/dev/watchdog0\nexec sleep 1000000\n";

/// Three starts of an emulated Pi while a build keeps the host busy.
const THREE_STARTS: Duration = Duration::from_secs(600);

/// What a Pi's power manager reports after a reset.
const RESET: &str = "0x20";
/// Where the card's first partition begins.
const FIRMWARE: u64 = 4 << 20;

/// Changes the card's device tree so that it says that the board was reset.
#[track_caller]
fn tell_reset(card: &Card) {
    let name = "farhand-rpi4.dtb";
    let tree = card.take(name);
    run(Command::new("fdtput").args(["-p", "-t", "x"]).arg(&tree).args(["/chosen/bootloader", "rsts", RESET]));
    let place = format!("{}@@{FIRMWARE}", card.path().display());
    run(Command::new("mcopy").args(["-n", "-o", "-i", &place]).arg(&tree).arg(format!("::/{name}")));
}

#[test]
fn a_confirmed_release_that_hangs_at_every_start_is_left_and_an_orderly_restart_is_no_hang() {
    let card = Card::copy("confirmed-hang");
    tell_reset(&card);
    let hangs = Release::repacked(&card.folder.join("hangs"), |root| {
        let guard = root.join("etc/sv/guard/run");
        assert!(guard.exists());
        fs::write(&guard, HANGS).unwrap();
        fs::set_permissions(&guard, fs::Permissions::from_mode(0o755)).unwrap();
    });
    card.fill(A, &hangs);
    let mut pi = Pi::start(card);
    pi.probe.wait("three hangs", THREE_STARTS, |seen| (2 < seen.resets.len()).then_some(()));
    assert_eq!(Some(Cause::Hang), pi.ended(THREE_STARTS));
    pi.meet_shell();
    assert_eq!([Some(Cause::Hang); 3], pi.resets()[..]);
    assert_eq!(B, pi.slot(), "the other release is tried, once this one has none of its tries left");
    let started = |pi: &mut Pi| {
        pi.ask("until [ -s /run/farhand/started.json ]; do sleep 0.2; done; cat /run/farhand/started.json")
    };
    let told = started(&mut pi);
    assert!(told.contains("\"watchdog\"") && told.contains("the whole system hung"), "{told}");

    pi.wait_confirmed(B);
    assert_eq!("0", pi.ask("cat /sys/module/watchdog/parameters/stop_on_reboot").trim(), "it counts to the very end");
    pi.reboot();
    assert_eq!("3", pi.ask("fw_printenv -n BOOT_B_LEFT").trim(), "nobody has to be healthy first for that");
    let told = started(&mut pi);
    assert!(told.contains("\"restart\"") && told.contains("it was shut down in order"), "{told}");
    // A guard that is restarted reports the same as before.
    pi.ask("sv -w 15 restart guard; until grep -c 'feeding' /run/log/guard/current | grep -q 2; do sleep 0.2; done");
    // Console messages may be mixed into the answer.
    let again = started(&mut pi);
    assert!(again.contains("\"restart\"") && again.contains("it was shut down in order"), "{again}");
}
