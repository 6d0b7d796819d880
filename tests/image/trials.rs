//! Boots releases that start but are broken, each in slot B of a card whose slot A is confirmed.
//!
//! That an update is installed, and tried three times, is tested elsewhere. Here each is put into its slot from outside
//! with one try left, as U-Boot finds it when two have failed. Checked is what ends the bad release, and that the
//! previous one says so. All of this happens on one card, whose owner must not notice more. One of them is drawn for
//! each commit, and all are tried before a release.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::owner::Owner;
use crate::pi::{A, B, Card, Cause, Pi};
use crate::release::Release;
use crate::shell::BOOT;
use crate::spread;

/// A program that hangs instead of doing its work.
const STOPPED: &str = "#!/bin/sh\nexec sleep 1000000\n";

/// The longest trial takes three minutes of the guest's time, which take longer on a busy host.
const TRIAL: Duration = Duration::from_secs(600);

/// Reading the bundle twice and writing it once, on an emulated processor while a build keeps the host busy.
const INSTALLED: Duration = Duration::from_secs(180);

/// A release with one thing wrong.
struct Bad {
    name: &'static str,
    /// The program in its root that hangs.
    stopped: &'static str,
    ended_by: Cause,
    /// What slot A says about it, besides that it has failed.
    cause: &'static str,
}

const BAD: [Bad; 3] = [
    // The kernel feeds U-Boot's watchdog for a while, and no process takes that over.
    Bad { name: "hangs", stopped: "etc/init.d/rcS", ended_by: Cause::Hang, cause: "" },
    Bad {
        name: "no-page",
        stopped: "etc/sv/serve/run",
        ended_by: Cause::Restart,
        cause: ": the page does not answer: ",
    },
    Bad {
        name: "no-network",
        stopped: "etc/sv/network/run",
        ended_by: Cause::Restart,
        cause: ": the new slot did not prove itself in 180 s: the network is not up: ",
    },
];

#[test]
fn a_release_that_fails_its_trial_is_left_and_a_good_one_stays() {
    let card = Card::copy("trials");
    // update.rs tests one that is confirmed, each time.
    let good = spread::is_long().then(|| Release::repacked(&card.folder.join("good"), |_| ()));
    if let Some(good) = &good {
        card.give(&good.bundle(&card.folder.join("bundle")), "good.raucb");
    }
    let mut pi = Pi::start(card);
    pi.meet_shell();
    assert_eq!(A, pi.slot());
    let token = Owner::claim(pi.https, &pi.folder(), &pi.claim_code()).make_token("trials");
    pi.wait_confirmed(A);

    for bad in spread::some(BAD.into(), 1) {
        pi = left(pi.unplug(), &bad, &token);
    }
    if good.is_some() {
        pi.wait_confirmed(A);
        pi.ask_within("/usr/libexec/install-bundle /data/good.raucb", INSTALLED);
        pi.reboot();
        pi.wait_confirmed(B);
        pi.reboot();
        assert_eq!(B, pi.slot());
    }
    assert_eq!(0, pi.probe.pulses().len(), "no relay has closed: {:?}", pi.probe.pulses());
}

/// Gives a bad release its last try, and waits until slot A has said how it ended.
#[track_caller]
fn left(card: Card, bad: &Bad, token: &str) -> Pi {
    let Bad { name, stopped, ended_by, cause } = bad;
    card.fill(B, &Release::repacked(&card.folder.join(name), |root| stop(&root.join(stopped))));
    card.set_environment(&[("BOOT_ORDER", "B A"), ("BOOT_B_LEFT", "1")]);
    let mut pi = Pi::start(card);
    assert_eq!(Some(*ended_by), pi.ended(TRIAL), "{name}");
    assert_eq!(1, pi.count("slot B: "), "{name}: slot B was tried");
    pi.meet_shell();
    assert_eq!((A, 1), (pi.slot(), pi.resets().len()), "{name}");

    let owner = Owner::program(pi.https, token);
    owner.wait_page(BOOT);
    owner.until("it is known why this system started", BOOT, || !owner.system("/started").is_null());
    let started = owner.system("/started");
    println!("{name}: {started}");
    let expected = format!("slot B did not prove itself in three attempts{cause}");
    assert_eq!("fallback", started["why"], "{name}: {started}");
    assert!(started["detail"].as_str().is_some_and(|detail| detail.starts_with(&expected)), "{name}: {started}");
    let variables = pi.ask("fw_printenv");
    for variable in ["BOOT_A_LEFT=3", "BOOT_B_LEFT=0", "CONFIRMED=A"] {
        assert!(variables.lines().any(|line| line == variable), "{name}: {variables}");
    }
    assert_eq!(0, pi.probe.pulses().len(), "{name}: no relay has closed: {:?}", pi.probe.pulses());
    pi
}

/// Replaces a program in a root by one that hangs.
#[track_caller]
fn stop(program: &Path) {
    assert!(program.exists(), "the root has no {}", program.display());
    fs::write(program, STOPPED).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}
