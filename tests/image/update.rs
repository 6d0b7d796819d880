//! Updates the card from one slot to the other and back, through U-Boot, as an owner's card is updated.
//!
//! What the appliance refuses to install is tested elsewhere. Here a bundle is good enough to be installed, and what counts
//! is which system comes up after that, how often the other was tried, and what is left of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::owner::{Owner, PASSWORD, USER};
use crate::pi::{A, B, Card, Pi, Slot, Why, run};
use crate::shell::BOOT;

/// Reading the bundle twice and writing it once, on an emulated processor beside a busy build.
const INSTALLED: Duration = Duration::from_secs(180);
/// The guard takes 30 s of the guest's to believe in a new system; and each of them may last longer here.
const CONFIRMED: Duration = Duration::from_secs(240);

#[test]
fn an_update_that_does_not_start_is_undone_and_the_next_one_stays() {
    let card = Card::copy("update");
    card.give(&bundle(&card, "good", |_| ()), "good.raucb");
    // Signed by us and whole, but not the root that its own kernel was told to expect.
    card.give(&bundle(&card, "broken", |content| flip(&content.join("root.img"))), "broken.raucb");
    let mut pi = Pi::start(card);
    pi.meet_shell();
    assert_eq!(A, pi.slot());
    let owner = Owner::claim(pi.https, &pi.folder(), &pi.claim_code());

    install(&mut pi, "broken");
    pi.reboot();
    assert_eq!(A, pi.slot());
    assert_eq!(3, pi.count("slot B: "), "it was tried as often as any other");
    assert_eq!(3, pi.count("dm-verity device corrupted"));
    assert_eq!([Some(Why::Restart); 4], pi.resets()[..], "ours, and one for each try");
    let started = pi.ask("until [ -s /run/farhand/started.json ]; do sleep 0.2; done; cat /run/farhand/started.json");
    assert!(started.contains("\"fallback\""), "{started}");

    confirmed(&mut pi, A);
    install(&mut pi, "good");
    pi.reboot();
    assert_eq!(B, pi.slot());
    owner.wait_page(BOOT);
    let login = owner.post("/api/v1/login", &json!({ "user": USER, "password": PASSWORD }));
    assert_eq!(200, login.status, "the owner is still the owner: {login:?}");
    confirmed(&mut pi, B);
    pi.reboot();
    assert_eq!(B, pi.slot());
    assert_eq!(0, pi.probe.pulses().len(), "no relay has closed: {:?}", pi.probe.pulses());
    assert_eq!(Some("B"), pi.unplug().environment().unwrap().get("CONFIRMED").map(String::as_str));
}

/// Makes a bundle of what was built last, after `change` has changed what goes in.
#[track_caller]
fn bundle(card: &Card, name: &str, change: impl Fn(&Path)) -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (content, bundle) = (card.folder.join(name), card.folder.join(format!("{name}.raucb")));
    let _ = (fs::remove_dir_all(&content), fs::remove_file(&bundle));
    fs::create_dir(&content).unwrap();
    for image in ["root.img", "boot.img"] {
        fs::copy(top.join("out/rpi4").join(image), content.join(image)).unwrap();
    }
    let version = env!("CARGO_PKG_VERSION");
    let images = "[image.root]\nfilename=root.img\n[image.boot]\nfilename=boot.img\n";
    let update = format!("[update]\ncompatible=farhand-rpi4-quick-development\nversion={version}\n");
    fs::write(content.join("manifest.raucm"), format!("{update}[bundle]\nformat=verity\n{images}")).unwrap();
    change(&content);
    let keys = top.join("board/common/keys/development");
    let mut rauc = Command::new("rauc");
    rauc.arg("bundle").arg("--mksquashfs-args=-comp zstd");
    rauc.arg(format!("--cert={}", keys.join("signer.pem").display()));
    run(rauc.arg(format!("--key={}", keys.join("signer.key").display())).arg(content).arg(&bundle));
    bundle
}

/// Flips a bit of what is read first of all.
fn flip(root: &Path) {
    let mut bytes = fs::read(root).unwrap();
    bytes[0] ^= 1;
    fs::write(root, bytes).unwrap();
}

#[track_caller]
fn install(pi: &mut Pi, name: &str) {
    pi.ask_within(&format!("rauc install /data/{name}.raucb"), INSTALLED);
}

/// Waits until the running system is the one to come back to.
#[track_caller]
fn confirmed(pi: &mut Pi, slot: Slot) {
    let Slot { name, .. } = slot;
    let is = format!("[ \"$(fw_printenv -n CONFIRMED)$(fw_printenv -n BOOT_{name}_LEFT)\" = {name}3 ]");
    let first = format!("[ \"$(fw_printenv -n BOOT_ORDER | cut -c 1)\" = {name} ]");
    pi.ask_within(&format!("until {is} && {first}; do sleep 1; done"), CONFIRMED);
}
