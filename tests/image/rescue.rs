//! Lets a machine fail in ways that no restart mends: it ends in a page that a person can work with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::bundles::appliance::Appliance;
use crate::bundles::forge::Forge;
use crate::owner::{Owner, PASSWORD, USER};
use crate::shell::BOOT;
use crate::supervision::{RESET, started, wait_well};
use crate::vm::{Machine, Vm};

const IN_RESCUE: &str = "until [ -e /run/farhand/rescue ]; do sleep 0.2; done";
const FREEZE: &str = "kill -STOP $(cat /run/sv/serve/pid)";

/// Tells one life of the machine from the next.
fn life(vm: &mut Vm) -> String {
    vm.ask("cat /proc/sys/kernel/random/boot_id")
}

#[test]
fn a_page_that_hangs_at_each_start_restarts_once_and_then_takes_an_update() {
    let forge = Forge::open("hung-page");
    forge.good("good", &Forge::development());
    let (mut appliance, owner) = Appliance::claimed("hung-page", &forge);
    wait_well(&mut appliance.vm);
    assert_eq!("A\n", appliance.vm.ask("fw_printenv -n CONFIRMED"), "a slot that stays");

    appliance.vm.ask(FREEZE);
    appliance.vm.wait_restart(RESET);
    appliance.mount_disc();
    wait_well(&mut appliance.vm);
    let again = started(&mut appliance.vm);
    assert_eq!("watchdog", again["why"], "{again}");
    assert!(again["detail"].as_str().unwrap().contains("the page does not answer"), "{again}");
    appliance.vm.ask("[ -e /data/state/crash-loop ]");

    let second = life(&mut appliance.vm);
    appliance.vm.ask(FREEZE);
    appliance.vm.sh_within(IN_RESCUE, RESET);
    appliance.vm.ask("grep -q 'a restart did not help: the page does not answer' /run/log/guard/current");
    owner.wait_status("/api/v1/session", 200, BOOT);
    let health = owner.get("/api/v1/health");
    assert!(health.status == 503 && health.body.to_string().contains("rescue mode"), "{health:?}");
    // What a restart would have lost: somebody can log in, read what happened, and bring a version that does not hang.
    let login = owner.post("/api/v1/login", &json!({ "user": USER, "password": PASSWORD }));
    assert_eq!(200, login.status, "{login:?}");
    let log = owner.get("/api/v1/logs?service=guard");
    assert!(log.body.as_str().is_some_and(|text| text.contains("changing to rescue mode")), "{log:?}");
    owner.until("the slots are known", BOOT, || owner.system("/slot") == "A");
    owner.uploads(&forge.file("good"));
    let ended = || ["ready", "failed"].iter().any(|phase| owner.system("/update/phase") == *phase);
    owner.until("the installation ends", BOOT, ended);
    assert_eq!("ready", owner.system("/update/phase"), "{}", owner.system("/update/message"));
    appliance.holds("good");
    assert_eq!(second, life(&mut appliance.vm), "it has restarted again");
    appliance.runs_what_it_ran();
}

/// What this test keeps is in here.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/run").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Boots with a memory that is not as it was built.
#[track_caller]
fn boot_on(name: &str, data: &Path) -> Vm {
    Machine::named(name).more(["-set".into(), format!("drive.data.file={}", data.display())]).boot()
}

#[test]
fn storage_that_has_lost_its_beginning_is_repaired() {
    let name = "lost-superblock";
    // Copies of the first superblock are further on than the image reaches, but not further than a card.
    let status = Command::new("sh")
        .current_dir(folder(name))
        .arg("-euc")
        .arg(
            "cp ../../virt/data.ext4 card.img; truncate -s 600M card.img; resize2fs card.img; echo kept >file
            debugfs -w -R 'write file file' card.img; dd if=/dev/zero of=card.img bs=4096 count=1 conv=notrunc",
        )
        .output();
    assert!(status.is_ok_and(|output| output.status.success()), "e2fsprogs is installed");
    let mut vm = boot_on(name, &folder(name).join("card.img"));
    wait_well(&mut vm);
    assert_eq!("kept\n", vm.ask("cat /data/file"));
    vm.ask("grep -q 'FILE SYSTEM WAS MODIFIED' /run/log/fsck");
}

#[test]
fn without_storage_there_is_a_page_that_says_so_and_lets_nobody_in() {
    let name = "no-storage";
    let folder = folder(name);
    // Neither the first superblock nor a copy of it: nothing that a repair could begin with.
    let empty = folder.join("empty.img");
    fs::File::create(&empty).unwrap().set_len(64 << 20).unwrap();
    let mut vm = boot_on(name, &empty);
    let alive = life(&mut vm);
    vm.wait_console("cannot mount /data, so nothing can be stored", BOOT);
    vm.wait_console("storage cannot be read, so nobody can log in", BOOT);
    vm.ask("[ -s /run/log/fsck ] && [ -e /run/farhand/rescue ] && ! grep -q ' /data ' /proc/mounts");

    let owner = Owner::at(vm.https, &folder);
    owner.wait_status("/api/v1/health", 503, BOOT);
    let health = owner.get("/api/v1/health").body.to_string();
    assert!(health.contains("storage cannot be read") && health.contains("write the card again"), "{health}");
    for (path, body) in [
        ("/api/v1/login", json!({ "user": USER, "password": PASSWORD })),
        ("/api/v1/claim", json!({ "code": "AAAA-AAAA", "user": USER, "password": PASSWORD })),
    ] {
        let answer = owner.post(path, &body);
        assert_eq!((503, &json!("unwell")), (answer.status, &answer.body["error"]["code"]), "{path}");
    }
    // It stays up, for who comes to its console, and its watchdog is fed.
    vm.ask("until grep -q 'the daemon runs in rescue mode' /run/log/guard/current; do sleep 0.2; done");
    vm.ask("until read now _ </proc/uptime; [ ${now%.*} -ge 45 ]; do sleep 0.5; done");
    assert_eq!(alive, life(&mut vm), "it has restarted");
}
