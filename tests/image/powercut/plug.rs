//! Cuts the power of a Pi during an update, and checks what U-Boot and the system do when it is back.
//!
//! The host keeps all writes to an emulated card, so less is lost here than on a real one. What this adds is the rest
//! of the machine: U-Boot itself reads what is left, and must start a system from it at once, many times on the same
//! card.

use std::env;
use std::fs;
use std::time::Duration;

use serde_json::json;

use super::disk::Dice;
use crate::owner::{Owner, PASSWORD, USER};
use crate::pi::{A, Card, Part, Pi};
use crate::release::Release;
use crate::shell::BOOT;
use crate::spread;

/// How many power cuts, unless FARHAND_PULLS is set: one of each kind, at other moments for each commit; before a
/// release, enough to find what happens once in a hundred times.
const PULLS: usize = 4;
const MANY_PULLS: usize = 300;
/// Reading the bundle twice and writing it once, on an emulated processor while a build keeps the host busy.
const INSTALLED: Duration = Duration::from_secs(600);
/// A little more than an update writes.
const SECTORS: usize = 29_000;

#[test]
fn a_pi_whose_plug_is_pulled_during_an_update_starts_at_once() {
    let usual = if spread::is_long() { MANY_PULLS } else { PULLS };
    let pulls = env::var("FARHAND_PULLS").map_or(usual, |number| number.parse().expect("FARHAND_PULLS is a number"));
    let card = Card::copy("plug");
    // The same release with other bytes, so that a mixture of the two is detected.
    let releases = [Release::built(), Release::repacked(&card.folder.join("other"), |_| ())];
    for (number, release) in releases.iter().enumerate() {
        card.give(&release.bundle(&card.folder.join(format!("bundle-{number}"))), &format!("{number}.raucb"));
    }
    let images = releases.map(|release| [release.boot(), release.root()]);
    let images = images.map(|parts| parts.map(|file| fs::read(file).expect("it went into a bundle")));
    let mut pi = Pi::start(card);
    pi.meet_shell();
    Owner::claim(pi.https, &pi.folder(), &pi.claim_code());
    let mut dice = Dice::new(spread::seed().max(1));
    for number in 1..=pulls {
        // What the guard writes after 30 s of health; an update is refused before.
        let slot = pi.slot();
        let order = if slot == A { "A B" } else { "B A" };
        pi.ask(&format!(
            "printf 'BOOT_ORDER={order}\\nBOOT_A_LEFT=3\\nBOOT_B_LEFT=3\\nCONFIRMED={}\\n' | fw_setenv -s -",
            slot.name
        ));
        // In every fourth round, the owner changes something meanwhile.
        let owner = (number % 4 == 1).then(|| logged_in(&pi));
        // Every third one after the end, so that the other slot is used too.
        let threshold = if number % 3 == 0 { SECTORS } else { dice.roll(SECTORS) };
        pi.ask(&format!(
            "written() {{ read -r _ _ _ _ _ _ sectors _ </sys/class/block/${{disk##*/}}/stat; }}
            disk=$(readlink /dev/slots/disk); written; end=$((sectors + {threshold}))
            rm -f /run/installed
            {{ /usr/libexec/install-bundle /data/{}.raucb >/run/install.log 2>&1; echo $? >/run/installed; }} &",
            number % 2
        ));
        let token = format!("pull-{number}");
        if let Some(owner) = &owner {
            let answer = owner.post("/api/v1/tokens", &json!({ "name": token, "role": "viewer", "expires": null }));
            assert!((200..300).contains(&answer.status), "pull {number}: {answer:?}");
        }
        pi.ask_within(
            "until written; [ $sectors -ge $end ] || [ -s /run/installed ]; do sleep 0.05; done
            [ ! -s /run/installed ] || grep -qx 0 /run/installed || ! cat /run/install.log",
            INSTALLED,
        );
        let mut card = pi.unplug();
        if number % 4 == 2 {
            // The power fails again while U-Boot counts its try.
            let pi = Pi::start(card);
            pi.wait_said("Saving Environment", BOOT);
            card = pi.unplug();
        }
        pi = Pi::start(card);
        pi.meet_shell();
        assert!(pi.resets().is_empty(), "pull {number}, after {threshold} sectors: {:?}", pi.resets());
        // One complete release, unmixed; the configuration that was acknowledged; a sound /data.
        let slot = pi.slot();
        let holds = |part, image: &[u8]| pi.card().holds(part, image);
        let release =
            images.iter().position(|[boot, root]| holds(Part::Boot(slot), boot) && holds(Part::Root(slot), root));
        assert!(release.is_some(), "pull {number}, after {threshold} sectors: slot {} is not whole", slot.name);
        pi.ask("! grep UNEXPECTED /run/log/fsck");
        if owner.is_some() {
            pi.ask(&format!("grep -q '\"{token}\"' /data/users.json"));
        }
        println!("pull {number} of {pulls}, after {threshold} sectors: up again in slot {}", slot.name);
    }
}

/// The owner at the page of a machine that has just started.
#[track_caller]
fn logged_in(pi: &Pi) -> Owner {
    let owner = Owner::at(pi.https, &pi.folder());
    owner.wait_page(BOOT);
    let login = owner.post("/api/v1/login", &json!({ "user": USER, "password": PASSWORD }));
    assert_eq!(200, login.status, "{login:?}");
    owner
}
