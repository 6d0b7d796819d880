//! Lets a machine fail in ways that no restart repairs: it ends in a rescue page that a person can use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::blank::Blank;
use crate::browser::claim_code;
use crate::bundles::appliance::Appliance;
use crate::bundles::forge::Forge;
use crate::owner::{Owner, PASSWORD, USER};
use crate::shell::BOOT;
use crate::supervision::{WATCHDOG, WELL, started, wait_well};
use crate::vm::{Machine, Vm, slot_a};

/// An id of the current boot.
fn boot_id(vm: &mut Vm) -> String {
    vm.ask("cat /proc/sys/kernel/random/boot_id")
}

#[test]
fn a_page_that_hangs_at_each_start_restarts_once_and_then_lets_its_owner_in_to_rescue() {
    let card = Blank::of_image("hung-page");
    let machine = Machine::named("hung-page").leaping().kernel(&slot_a()).more(WATCHDOG).more(card.arguments());
    let mut vm = machine.boot();
    let code = claim_code(&vm);
    vm.held(|vm| Owner::claim(vm.https, &vm.folder, &code));
    wait_well(&mut vm);
    assert_eq!("A\n", vm.ask("fw_printenv -n CONFIRMED"), "a slot that stays");

    vm.ask("kill -STOP $(cat /run/sv/serve/pid)");
    vm.wait_restart(BOOT);
    // Before the service has been well for so long that its first crash is forgotten.
    vm.ask(&format!(
        "[ -e /data/state/crash-loop ] && {WELL}
        cat /proc/sys/kernel/random/boot_id >/run/second
        kill -STOP $(cat /run/sv/serve/pid)
        until [ -e /run/farhand/rescue ]; do sleep 0.2; done"
    ));
    let again = started(&mut vm);
    assert_eq!("watchdog", again["why"], "{again}");
    assert!(again["detail"].as_str().unwrap().contains("the page does not answer"), "{again}");
    vm.ask("grep -q 'a restart did not help: the page does not answer' /run/log/guard/current");

    // A restart would have lost this: a person can log in, and read what happened.
    vm.held(|vm| {
        let owner = Owner::at(vm.https, &vm.folder);
        owner.wait_status("/api/v1/health", 503, BOOT);
        let health = owner.get("/api/v1/health").body.to_string();
        assert!(health.contains("rescue mode"), "{health}");
        let login = owner.post("/api/v1/login", &json!({ "user": USER, "password": PASSWORD }));
        assert_eq!(200, login.status, "{login:?}");
        let log = owner.get("/api/v1/logs?service=guard");
        assert!(log.body.as_str().is_some_and(|text| text.contains("changing to rescue mode")), "{log:?}");
    });
    assert_eq!(vm.ask("cat /run/second"), boot_id(&mut vm), "it must not have restarted again");
}

#[test]
fn a_rescue_page_takes_an_update() {
    let forge = Forge::open("rescue-update");
    forge.good("good", &Forge::development());
    let (mut appliance, owner) = Appliance::claimed("rescue-update", &forge);
    wait_well(&mut appliance.vm);
    let alive = boot_id(&mut appliance.vm);
    // As the guard does when a restart has not helped.
    appliance.vm.sh(": >/run/farhand/rescue; sv -w 2 force-restart /etc/sv/serve /etc/sv/hands");
    owner.wait_status("/api/v1/health", 503, BOOT);
    let login = owner.post("/api/v1/login", &json!({ "user": USER, "password": PASSWORD }));
    assert_eq!(200, login.status, "{login:?}");
    owner.until("the slots are known", BOOT, || owner.system("/slot") == "A");
    owner.uploads(&forge.file("good"));
    let ended = || ["ready", "failed"].iter().any(|phase| owner.system("/update/phase") == *phase);
    owner.until("the installation ends", BOOT, ended);
    assert_eq!("ready", owner.system("/update/phase"), "{}", owner.system("/update/message"));
    appliance.holds("good");
    assert_eq!(alive, boot_id(&mut appliance.vm), "it has restarted");
    appliance.runs_what_it_ran();
}

#[test]
fn a_card_that_fails_is_told_and_takes_neither_page_nor_owner_with_it() {
    let forge = Forge::open("failing-card");
    let (Appliance { mut vm, .. }, owner) = Appliance::claimed("failing-card", &forge);
    wait_well(&mut vm);
    // A session would end with the machine.
    let program = Owner::program(vm.https, &owner.make_token("card"));
    let card = || owner.system("/health/card");
    owner.until("the card is known", BOOT, || card() == "good");

    // The certificate changes once more when the network has told its domain. The guard reads it every five seconds.
    vm.ask("until [ $(($(date +%s) - $(stat -c %Y /data/tls/certificate.pem))) -ge 12 ]; do sleep 1; done");
    // Before there was a certificate, the page was silent.
    let silent = "grep -c 'the page does not answer' /run/log/guard/current; true";
    let before = vm.ask(silent);
    vm.ask("echo 1 >/sys/fs/ext4/vdb/trigger_fs_error; sync; ! touch /data/state/x 2>/dev/null");
    owner.until("the card is known to fail", BOOT, || card() == "failing");
    vm.ask("grep -q 'the card is failing' /run/log/guard/current");
    // The guard checks twice meanwhile, and accepts the page although the certificate cannot be read.
    vm.ask("! cat /data/tls/* >/dev/null 2>&1");
    vm.ask("read begin _ </proc/uptime; until read now _ </proc/uptime; [ $((${now%.*} - ${begin%.*})) -ge 12 ]; do sleep 1; done");
    assert_eq!(before, vm.ask(silent));
    assert_eq!(200, owner.get("/api/v1/health").status);
    let login = owner.post("/api/v1/login", &json!({ "user": USER, "password": PASSWORD }));
    assert_eq!(200, login.status, "{login:?}");

    assert_eq!(202, owner.post("/api/v1/restart", &json!({})).status);
    vm.wait_restart(BOOT);
    owner.wait_page(BOOT);
    program.until("the card is repaired", BOOT, || program.system("/health/card") == "good");
    vm.ask("touch /data/state/x");
}

/// The folder for this test's files.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/run").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A machine whose /data is not as it was built.
fn on(name: &str, data: &Path) -> Machine {
    Machine::named(name).more(["-set".into(), format!("drive.data.file={}", data.display())])
}

#[test]
fn storage_that_has_lost_its_beginning_is_repaired() {
    let name = "lost-superblock";
    // The image ends before the first copy of the superblock; a card does not.
    let status = Command::new("sh")
        .current_dir(folder(name))
        .arg("-euc")
        .arg(
            "cp ../../virt/data.ext4 card.img; truncate -s 600M card.img; resize2fs card.img; echo kept >file
            debugfs -w -R 'write file file' card.img; dd if=/dev/zero of=card.img bs=4096 count=1 conv=notrunc",
        )
        .output();
    assert!(status.is_ok_and(|output| output.status.success()), "e2fsprogs is installed");
    let mut vm = on(name, &folder(name).join("card.img")).boot();
    wait_well(&mut vm);
    assert_eq!("kept\n", vm.ask("cat /data/file"));
    vm.ask("grep -q 'FILE SYSTEM WAS MODIFIED' /run/log/fsck");
}

#[test]
fn without_storage_there_is_a_page_that_says_so_and_lets_nobody_in() {
    let name = "no-storage";
    let folder = folder(name);
    // Neither the first superblock nor a copy of it, so a repair is impossible.
    let empty = folder.join("empty.img");
    fs::File::create(&empty).unwrap().set_len(64 << 20).unwrap();
    let mut vm = on(name, &empty).leaping().boot();
    let alive = boot_id(&mut vm);
    vm.wait_console("cannot mount /data, so nothing can be stored", BOOT);
    vm.wait_console("storage cannot be read, so nobody can log in", BOOT);
    vm.ask("[ -s /run/log/fsck ] && [ -e /run/farhand/rescue ] && ! grep -q ' /data ' /proc/mounts");

    vm.held(|vm| {
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
    });
    // It stays up for a person at its console, and its watchdog is fed.
    vm.ask("until grep -q 'the daemon runs in rescue mode' /run/log/guard/current; do sleep 0.2; done");
    vm.ask("until read now _ </proc/uptime; [ ${now%.*} -ge 45 ]; do sleep 0.5; done");
    assert_eq!(alive, boot_id(&mut vm), "it has restarted");
}
