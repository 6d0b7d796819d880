//! Checks that RAUC's exit status agrees with what it reports, whichever of its threads the scheduler delays.
//!
//! It installs in a thread of its own. That thread may end before the main thread waits for it, and may still be ending
//! when the main thread has left. Neither happens more than once in hundreds of installations, so here it happens each
//! time.

use std::env;
use std::process::Command;
use std::time::Duration;

use crate::bundles::appliance::Appliance;
use crate::bundles::forge::{COMPATIBLE, Forge, VERSION, manifest};

/// Installations before a release: on a busy machine, without delays that are forced.
const MANY: u32 = 2000;
/// Installations at a time, and how long they may take.
const SOME: u32 = 50;
const WITHIN: Duration = Duration::from_secs(300);

#[test]
fn rauc_ends_as_it_says_although_its_threads_are_held_up() {
    let forge = Forge::open("rauc-ends");
    forge.good("good", &Forge::development());
    let owner = forge.owner("owner");
    let refused = forge.bundle("refused", &owner, &manifest(COMPATIBLE, VERSION), &[]);
    forge.offer("refused", &refused);
    let made = Command::new("aarch64-linux-gnu-gcc")
        .args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(forge.disk.join("late.so"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/image/rauc/late.c"))
        .output()
        .expect("there is a compiler: run 'make image-quick'");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut appliance = Appliance::boot("rauc-ends", &forge);
    // A mount from which programs may be run.
    appliance.vm.ask("mkdir /tmp/bin && mount -t tmpfs bin /tmp/bin && cp /tmp/forge/late.so /tmp/bin");
    let mut ends = Vec::new();
    for bundle in ["refused", "good"] {
        appliance.spool(bundle);
        let ended = appliance.vm.sh("LD_PRELOAD=/tmp/bin/late.so rauc install /data/install/update 2>&1");
        for said in ["finished", "held up: the main thread", "held up: the leave of OpenSSL", "held up: the end"] {
            assert!(ended.text.contains(said), "{bundle}: {said} is not in: {}", ended.text);
        }
        ends.push((bundle, ended.status));
    }
    assert_eq!(vec![("refused", 1), ("good", 0)], ends);
    if env::var_os("FARHAND_LONG").is_none_or(|long| long.is_empty()) {
        return;
    }
    appliance.vm.ask("for busy in 1 2 3 4; do while :; do :; done & done");
    for _ in 0..MANY / SOME {
        let ends = format!(
            "for n in $(seq {SOME}); do
                rauc install /data/install/update >/run/rauc.log 2>&1; status=$?
                echo ended $status $(grep -c '^Installing .* succeeded' /run/rauc.log)
            done | sort | uniq -c"
        );
        let ends = appliance.vm.sh_within(&ends, WITHIN).text;
        let ends: Vec<_> = ends.lines().map(str::trim).filter(|line| line.contains("ended")).collect();
        println!("{ends:?}");
        assert_eq!(vec![format!("{SOME} ended 0 1")], ends);
    }
}
