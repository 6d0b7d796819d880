//! Pulls the plug of a Pi that is being updated, puts it back in, and sees what U-Boot and the system make of that.
//!
//! The host remembers what an emulated card was told, so less is lost here than a real card may lose. What this adds is the
//! rest of the machine: U-Boot itself reads what was left, and must start a system from it at once, time after time on the
//! same card.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::disc::Dice;
use super::record;
use crate::owner::{Owner, PASSWORD, USER};
use crate::pi::{A, Card, Pi, run};
use crate::shell::BOOT;

/// As many as three minutes have room for; `make test-powercut` asks for more.
const PULLS: usize = 3;
/// Reading the bundle twice and writing it once, on an emulated processor beside a busy build.
const INSTALLED: Duration = Duration::from_secs(240);
/// A little more than an update writes.
const SECTORS: usize = 29_000;

#[test]
fn a_pi_whose_plug_is_pulled_during_an_update_starts_at_once() {
    let pulls = env::var("FARHAND_PULLS").map_or(PULLS, |pulls| pulls.parse().expect("FARHAND_PULLS is a number"));
    let card = Card::copy("plug");
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/rpi4");
    let other = repacked(&built, &card.folder);
    for (number, images) in [&built, &other].into_iter().enumerate() {
        let bundle = record::bundle(
            "rpi4",
            &card.folder.join(format!("bundle-{number}")),
            &images.join("boot.img"),
            &images.join("root.img"),
        );
        card.give(&bundle, &format!("{number}.raucb"));
    }
    let mut pi = Pi::start(card);
    pi.meet_shell();
    Owner::claim(pi.https, &pi.folder(), &pi.claim_code());
    let mut dice = Dice::new(0x9e37_79b9_7f4a_7c15);
    let mut slots = String::new();
    for number in 1..=pulls {
        let slot = pi.slot();
        let owner = Owner::at(pi.https, &pi.folder());
        owner.wait_page(BOOT);
        let login = owner.post("/api/v1/login", &json!({ "user": USER, "password": PASSWORD }));
        assert_eq!(200, login.status, "pull {number}: {login:?}");
        // What the guard writes after 30 s of health; an update is refused before.
        let order = if slot == A { "A B" } else { "B A" };
        pi.ask(&format!(
            "printf 'BOOT_ORDER={order}\\nBOOT_A_LEFT=3\\nBOOT_B_LEFT=3\\nCONFIRMED={}\\n' | fw_setenv -s -",
            slot.name
        ));
        // Each third after the end, so that the other slot has its turn, too.
        let threshold = if number % 3 == 0 { SECTORS } else { dice.roll(SECTORS) };
        pi.ask(&format!(
            "written() {{ read -r _ _ _ _ _ _ sectors _ </sys/class/block/${{disk##*/}}/stat; }}
            disk=$(readlink /dev/slots/disk); written; end=$((sectors + {threshold}))
            rm -f /run/installed
            {{ /usr/libexec/install-bundle /data/{}.raucb >/run/install.log 2>&1; echo $? >/run/installed; }} &",
            number % 2
        ));
        let token = format!("pull-{number}");
        let answer = owner.post("/api/v1/tokens", &json!({ "name": token, "role": "viewer", "expires": null }));
        assert!((200..300).contains(&answer.status), "pull {number}: {answer:?}");
        pi.ask_within(
            "until written; [ $sectors -ge $end ] || [ -s /run/installed ]; do sleep 0.05; done
            [ ! -s /run/installed ] || grep -qx 0 /run/installed || ! cat /run/install.log",
            INSTALLED,
        );
        pi = Pi::start(pi.unplug());
        pi.meet_shell();
        assert!(pi.resets().is_empty(), "pull {number}, after {threshold} sectors: {:?}", pi.resets());
        slots.push_str(pi.slot().name);
        // The whole root, each block of which is checked; the configuration that was answered for; and a sound /data.
        pi.ask_within("cat /dev/dm-0 >/dev/null", INSTALLED);
        pi.ask(&format!("grep -q '\"{token}\"' /data/users.json && ! grep UNEXPECTED /run/log/fsck"));
    }
    println!("{pulls} pulls, and up again in slot {slots}");
}

/// The same release in other bytes, so that half of each is seen not to be either.
fn repacked(built: &Path, folder: &Path) -> PathBuf {
    let (other, root) = (folder.join("other"), folder.join("root"));
    let _ = (fs::remove_dir_all(&other), fs::remove_dir_all(&root));
    fs::create_dir_all(&other).expect("out/ can be written");
    for file in ["Image", "kernel.config", "farhand-rpi4.dtb"] {
        fs::copy(built.join(file), other.join(file))
            .expect("there is an image: run 'image/assemble.sh rpi4 --development'");
    }
    run(Command::new("unsquashfs").args(["-q", "-n", "-d"]).arg(&root).arg(built.join("root.squashfs")));
    let squashfs = other.join("root.squashfs");
    run(Command::new("mksquashfs").args([&root, &squashfs]).args([
        "-comp",
        "zstd",
        "-b",
        "64K",
        "-all-root",
        "-no-xattrs",
        "-quiet",
        "-no-progress",
    ]));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/board/common/slot.sh");
    run(Command::new(script).arg(&other).arg("rpi4"));
    other
}
