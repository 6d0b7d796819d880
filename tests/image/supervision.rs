//! Causes hangs, crashes and panics: after each the machine works again, and reports the cause.

use crate::blank::Blank;
use crate::browser;
use crate::owner::Owner;
use crate::vm::{self, BOOT, Machine, Vm};

/// What makes QEMU's card reset the machine as a board's own watchdog would.
pub const WATCHDOG: [&str; 4] = ["-device", "i6300esb", "-action", "watchdog=reset"];

/// The everyday image, started as slot B of a card.
const SLOT_B: &str = "root=/dev/vda ro rootfstype=squashfs console=ttyAMA0 loglevel=4 rauc.slot=B";

/// The guard has found everything well.
pub const WELL: &str = "until grep -q 'all is well' /run/log/guard/current; do sleep 0.2; done";

/// Waits until the guard has found everything well.
pub fn wait_well(vm: &mut Vm) {
    vm.ask(WELL);
}

/// A command that waits until a guard has begun to feed the watchdog for the `times`th time.
fn taken(times: u32) -> String {
    let feeding = "grep -c 'feeding /dev/watchdog0 (i6300ESB' /run/log/guard/current";
    format!("until [ \"$({feeding})\" = {times} ]; do sleep 0.2; done")
}

/// A command that waits for so many seconds of the guest's time.
fn pass(seconds: u32) -> String {
    format!(
        "read begin _ </proc/uptime
        until read now _ </proc/uptime; [ $((${{now%.*}} - ${{begin%.*}})) -ge {seconds} ]; do sleep 1; done"
    )
}

/// Why the machine has started, by its own report, once its guard has reported it.
pub fn started(vm: &mut Vm) -> serde_json::Value {
    let text = vm.ask("until [ -s /run/farhand/started.json ]; do sleep 0.2; done; cat /run/farhand/started.json");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Freezes a process for good, and waits for the machine to come back.
#[track_caller]
fn freeze(name: &str, service: &str, why: &str) {
    let mut vm = Machine::named(name).leaping().more(WATCHDOG).boot();
    wait_well(&mut vm);
    vm.ask(&taken(1));
    assert_eq!("power", started(&mut vm)["why"]);
    vm.ask(&format!("kill -STOP $(cat /run/sv/{service}/pid)"));
    vm.wait_restart(BOOT);
    wait_well(&mut vm);
    let started = started(&mut vm);
    assert_eq!("watchdog", started["why"], "{started}");
    assert!(started["detail"].as_str().unwrap_or_default().contains(why), "{started}");
    // The note is reported once: the next start has another reason.
    vm.reboot();
    wait_well(&mut vm);
    assert_eq!("restart", self::started(&mut vm)["why"]);
}

#[test]
fn a_frozen_page_resets_the_machine() {
    freeze("frozen-page", "serve", "the page does not answer");
}

#[test]
fn frozen_hands_reset_the_machine() {
    freeze("frozen-hands", "hands", "the process that holds keyboard and relays");
}

#[test]
fn a_frozen_guard_cannot_keep_the_watchdog_quiet() {
    freeze("frozen-guard", "guard", "the whole system hung");
}

/// Kills a service as soon as it is up. The process id that runsv reports may be that of its finish script.
fn kill(service: &str) -> String {
    let state = format!("/run/sv/{service}");
    format!("until [ \"$(cat {state}/stat)\" = run ] && kill -KILL $(cat {state}/pid); do sleep 0.1; done")
}

/// Kills a service until it has crashed this often. After the last crash, there may be no shell to report the count.
fn crash(service: &str, times: u32) -> String {
    let counted =
        |crash: u32| format!("until grep -q 'crash {crash} within' /run/log/{service}/current; do sleep 0.1; done");
    let first: String = (1..times).map(|crash| format!("{}\n{}\n", kill(service), counted(crash))).collect();
    first + &kill(service)
}

#[test]
fn five_crashes_restart_once_and_then_leave_a_rescue_page() {
    let mut vm = Machine::named("crashes").leaping().boot();
    wait_well(&mut vm);
    vm.ask(&crash("serve", 5));
    vm.wait_restart(BOOT);
    // Before the service has been well for so long that its first crash is forgotten. Root then writes to a folder
    // where serve could have planted links.
    let (four, fifth) = (crash("serve", 4), kill("serve"));
    vm.ask(&format!(
        "{four}
        until grep -q 'crash 4 within' /run/log/serve/current; do sleep 0.1; done
        chpst -u farhand:farhand ln -s /run/astray /run/farhand/rescue
        {fifth}
        until [ -e /run/farhand/rescue ]; do sleep 0.1; done; [ ! -L /run/farhand/rescue ] && [ ! -e /run/astray ]"
    ));
    let again = started(&mut vm);
    assert_eq!(("restart", "serve crashed five times in a minute"), {
        (again["why"].as_str().unwrap(), again["detail"].as_str().unwrap())
    });
    for service in ["serve", "hands"] {
        let process = format!("tr '\\0' ' ' </proc/$(cat /run/sv/{service}/pid)/cmdline | grep -q -- --rescue");
        vm.ask(&format!("until {process}; do sleep 0.2; done"));
    }
    // No gadget exists, so nothing is pressed on the target.
    assert_eq!("", vm.ask("ls /sys/kernel/config/usb_gadget").trim());

    vm.held(|vm| {
        let owner = Owner::at(vm.https, &vm.folder);
        owner.wait_status("/api/v1/health", 503, BOOT);
        let health = owner.get("/api/v1/health").body.to_string();
        assert!(health.contains("rescue mode"), "{health}");
        // Each run of serve draws another code: the last one on the console counts.
        vm.forget_console();
        vm.ask("sv -w 20 restart /etc/sv/serve");
        let code = browser::claim_code(vm);
        browser::visit(vm, &code, "rescued.spec.ts");
        vm.wait_restart(BOOT);
    });
    // The fault is gone: everything starts again, and the crashes are forgotten.
    vm.ask(&format!(
        "[ -e /data/state/crash-loop ]; {WELL}; until [ ! -e /data/state/crash-loop ]; do sleep 0.5; done"
    ));
    assert_eq!("somebody asked for it", started(&mut vm)["detail"]);
}

#[test]
fn a_crashed_service_waits_longer_each_time() {
    let mut vm = Machine::named("back-off").leaping().boot();
    // The guard is killed, because its crashes stop nothing that a person uses.
    let (up, down) = ("[ \"$(cat /run/sv/guard/stat)\" = run ]", "[ \"$(cat /run/sv/guard/stat)\" = finish ]");
    let kill = kill("guard");
    let waited = vm.ask(&format!(
        "for crash in 1 2 3; do
            {kill}
            until {down}; do sleep 0.05; done; read begin _ </proc/uptime
            until {up}; do sleep 0.05; done; read end _ </proc/uptime
            echo $begin $end
        done"
    ));
    let times: Vec<f64> = waited.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert_eq!(6, times.len(), "{waited}");
    for (crashed, times) in (1..).zip(times.chunks(2)) {
        assert!(f64::from(crashed) - 0.3 <= times[1] - times[0], "after crash {crashed}: {times:?}");
    }
}

#[test]
fn a_start_that_takes_long_is_fed_until_it_hangs() {
    let mut vm = Machine::named("slow-start").leaping().kernel(SLOT_B).more(WATCHDOG).boot();
    let (once, twice, long) = (taken(1), taken(2), pass(20));
    vm.ask(&format!(
        "{once}
        # With only the feeder it runs longer than the watchdog's timeout, and then the guard takes over.
        sv -w 15 stop guard; /usr/libexec/feed-watchdog 0 600 &
        {long}
        # Even a guard that is configured not to: on a card nothing can stop the watchdog that U-Boot has started.
        printf '\n[guard]\nwatchdog = \"none\"\n' >>/run/farhand.toml
        sv up guard
        {twice}
        # But not for ever.
        sv -w 15 stop guard; /usr/libexec/feed-watchdog 0 10 &"
    ));
    vm.wait_restart(BOOT);
    vm.ask(&once);
}

/// Gives a machine without a card a U-Boot environment, in which slot B is tried for the first time. It is a real one,
/// in a file at the place where the commands look for it.
const LEND_MEMORY: &str = "mkdir -p /dev/slots
    dd if=/dev/zero of=/tmp/memory bs=1024 count=2048
    ln -s /tmp/memory /dev/slots/disk
    printf 'BOOT_ORDER=B A\nBOOT_A_LEFT=3\nBOOT_B_LEFT=2\nCONFIRMED=A\n' >/tmp/first
    fw_setenv -f /tmp/first -s /tmp/first";

#[test]
fn a_slot_on_trial_is_confirmed_when_all_has_been_well_and_not_before() {
    let mut vm = Machine::named("trial").leaping().kernel(SLOT_B).boot();
    let long = pass(40);
    let said = vm.ask(&format!(
        "( {LEND_MEMORY} ) >/dev/null 2>&1
        {WELL}
        fw_printenv -n CONFIRMED
        ip link set eth0 down
        until grep -q 'no interface has an address' /run/log/guard/current; do sleep 0.2; done
        # Longer than a good start takes.
        {long}
        fw_printenv -n CONFIRMED
        ip link set eth0 up
        until [ $(fw_printenv -n CONFIRMED) = B ]; do sleep 0.5; done
        until grep -q 'slot B is confirmed' /run/log/guard/current; do sleep 0.2; done
        echo $(fw_printenv -n BOOT_ORDER) $(fw_printenv -n BOOT_A_LEFT) $(fw_printenv -n BOOT_B_LEFT)"
    ));
    assert_eq!("A\nA\nB A 3 3", said.trim());

    // The next starts give back the try that the boot loader takes, except for one after a panic.
    vm.ask("fw_setenv BOOT_B_LEFT 2; mkdir /tmp/pstore; echo panic >/tmp/pstore/dmesg-ramoops-0");
    vm.ask("mount -o bind /tmp/pstore /sys/fs/pstore; /usr/libexec/slot-counter");
    assert_eq!("2\n", vm.ask("fw_printenv -n BOOT_B_LEFT"));
    vm.ask("umount /sys/fs/pstore; /usr/libexec/slot-counter");
    assert_eq!("3\n", vm.ask("fw_printenv -n BOOT_B_LEFT"));
}

#[test]
fn a_slot_on_trial_that_crashes_restarts_until_its_attempts_are_spent() {
    let mut vm = Machine::named("trial-crashes").leaping().kernel(SLOT_B).boot();
    let crash = crash("serve", 5);
    for _ in 0..2 {
        vm.ask(&format!("( {LEND_MEMORY} ) >/dev/null 2>&1\n{crash}"));
        vm.wait_restart(BOOT);
        assert_eq!("serve crashed five times in a minute", started(&mut vm)["detail"]);
    }
    assert_ne!(0, vm.sh("ls /data/state/crash-loop").status, "the mark is for a slot that stays");
}

#[test]
fn a_kernel_that_panics_leaves_its_last_words() {
    let card = Blank::of_image("panic");
    // The card's root is present in addition to the running one, so that the next start does not need what is broken.
    // The last megabytes of memory are reserved, as in a board's device tree.
    let kernel = format!(
        "{} root=/dev/vda mem=504M ramoops.mem_address=0x5f800000 ramoops.mem_size=0x100000 ramoops.record_size=0x20000",
        vm::card_root()
    );
    let mut vm = Machine::named("panic").kernel(&kernel).more(card.arguments()).boot();
    wait_well(&mut vm);
    assert_eq!("power", started(&mut vm)["why"]);
    // A card that wears out: one block of a root has changed, and is read.
    vm.ask(
        "read start </sys/class/block/vdd6/start
        dd if=/dev/urandom of=/dev/vdd bs=4096 seek=$((start / 8 + 1000)) count=1 && sync",
    );
    vm.ask("(sleep 1; dd if=/dev/dm-0 of=/dev/null bs=4096 skip=1000 count=1) >/dev/null 2>&1 &");
    vm.wait_restart(BOOT);
    let panic = started(&mut vm);
    assert_eq!("panic", panic["why"], "{panic}");
    let words = "Kernel panic - not syncing: dm-verity device corrupted";
    assert!(panic["detail"].as_str().unwrap().starts_with(words), "{panic}");
    assert!(vm.ask("cat /data/state/panic.txt").contains("data block 1000 is corrupted"));
    assert_eq!("", vm.ask("ls /sys/fs/pstore").trim(), "the next panic must find room");
}
