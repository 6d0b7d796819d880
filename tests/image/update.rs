//! Updates the card from one slot to the other and back, through U-Boot, as an owner's card is updated.
//!
//! Other tests check what the appliance refuses to install. Here each bundle can be installed, and the tests check
//! which system comes up after that, how often the other was tried, and that the owner's settings are kept.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::owner::{Owner, PASSWORD, USER};
use crate::pi::{A, B, Card, Cause, Pi, Slot};
use crate::release::{Release, bundle};
use crate::shell::BOOT;

/// Reading the bundle twice and writing it once, on an emulated processor while a build keeps the host busy.
const INSTALLED: Duration = Duration::from_secs(180);

/// The owner's configuration, with what a newer release may have left in it: a schema and a key that this one does not
/// know.
const CONFIGURATION: &str =
    "schema = 3\n[network]\nhost = \"rack-7\"\nvlan = 5\n[server]\nnames = [\"kvm.example.org\"]\n";

#[test]
fn an_update_that_does_not_start_is_undone_and_the_next_one_stays() {
    let card = Card::copy("update");
    card.give(&broken(&card), "broken.raucb");
    let good = Release::built().bundle(&card.folder.join("good"));
    let mut pi = Pi::start(card);
    pi.meet_shell();
    assert_eq!(A, pi.slot());
    let owner = Owner::claim(pi.https, &pi.folder(), &pi.claim_code());
    let program = Owner::program(pi.https, &owner.make_token("backup"));
    assert_ne!("rack-7", program.system("/host"));
    assert!(!owner.answers_to("kvm.example.org"));
    pi.ask(&format!("printf '{}' >/data/farhand.toml && sync", CONFIGURATION.replace('\n', "\\n")));

    pi.ask_within("/usr/libexec/install-bundle /data/broken.raucb", INSTALLED);
    pi.reboot();
    assert_eq!(A, pi.slot());
    assert_eq!(3, pi.count("slot B: "), "it was tried as often as any other");
    assert_eq!(3, pi.count("dm-verity device corrupted"));
    assert_eq!([Some(Cause::Restart); 4], pi.resets()[..], "ours, and one for each try");
    nothing_is_lost(&owner, &program, A, "fallback");

    pi.wait_confirmed(A);
    program.uploads(&good);
    program.until("the update is ready", INSTALLED, || program.system("/update/phase") == "ready");
    let answer = program.post("/api/v1/restart", &json!({}));
    assert_eq!(202, answer.status, "{answer:?}");
    pi.meet_shell();
    assert_eq!(B, pi.slot());
    nothing_is_lost(&owner, &program, B, "update");
    pi.wait_confirmed(B);
    program.until("the page says so, too", BOOT, || program.system("/confirmed") == true);
    pi.reboot();
    assert_eq!(B, pi.slot());
    assert_eq!(0, pi.probe.pulses().len(), "no relay has closed: {:?}", pi.probe.pulses());
    assert_eq!(Some("B"), pi.unplug().environment().unwrap().get("CONFIRMED").map(String::as_str));
}

/// An update that is signed by us and complete, but without the root that its own kernel expects.
#[track_caller]
fn broken(card: &Card) -> PathBuf {
    let root = card.folder.join("broken.img");
    let mut bytes = fs::read(Release::built().root()).unwrap();
    // Read first of all.
    bytes[0] ^= 1;
    fs::write(&root, bytes).unwrap();
    bundle("rpi4", &card.folder.join("broken"), &Release::built().boot(), &root)
}

/// Waits until the page says that this slot runs, and why; then checks that owner and configuration are unchanged.
#[track_caller]
fn nothing_is_lost(owner: &Owner, program: &Owner, slot: Slot, why: &str) {
    owner.wait_page(BOOT);
    let login = owner.post("/api/v1/login", &json!({ "user": USER, "password": PASSWORD }));
    assert_eq!(200, login.status, "{login:?}");
    program.until("it is known why it has started", BOOT, || !program.system("/started").is_null());
    let system = program.get("/api/v1/system").body;
    assert_eq!((&json!(slot.name), &json!(why)), (&system["slot"], &system["started"]["why"]), "{system}");
    assert_eq!("rack-7", system["host"], "{system}");
    assert!(owner.answers_to("kvm.example.org"));
}
