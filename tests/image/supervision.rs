//! Hangs, crashes and panics: each ends in a machine that is there again, and says what it was.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use farhand::guard::Page;
use farhand::net::probe;

use crate::browser;
use crate::vm::{BOOT, Vm};

/// What makes QEMU's card reset the machine as a board's own watchdog would.
const WATCHDOG: [&str; 4] = ["-device", "i6300esb", "-action", "watchdog=reset"];

/// From a hang to the reset: ten seconds until it counts, thirty of patience, fifteen of the watchdog's; and the boot.
pub const RESET: Duration = Duration::from_secs(10 + 30 + 15 + 90);

fn boot(name: &str) -> Vm {
    let mut vm = Vm::boot_with(name, &WATCHDOG.map(String::from));
    wait_well(&mut vm);
    vm.ask("until grep -q 'feeding /dev/watchdog0 (i6300ESB' /run/log/guard/current; do sleep 0.2; done");
    vm
}

/// Waits until the guard has found everything well.
pub fn wait_well(vm: &mut Vm) {
    vm.ask("until grep -q 'all is well' /run/log/guard/current; do sleep 0.2; done");
}

/// Why the machine says that it has started, once its guard has said so.
pub fn started(vm: &mut Vm) -> serde_json::Value {
    let text = vm.ask("until [ -s /run/farhand/started.json ]; do sleep 0.2; done; cat /run/farhand/started.json");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Freezes a process for good, and waits for the machine to come back.
#[track_caller]
fn freeze(name: &str, service: &str, why: &str) {
    let mut vm = boot(name);
    assert_eq!("power", started(&mut vm)["why"]);
    vm.ask(&format!("kill -STOP $(cat /run/sv/{service}/pid)"));
    let frozen = Instant::now();
    vm.wait_restart(RESET);
    println!("{service}: restarted {} s after it froze", frozen.elapsed().as_secs());
    wait_well(&mut vm);
    let started = started(&mut vm);
    assert_eq!("watchdog", started["why"], "{started}");
    assert!(started["detail"].as_str().unwrap_or_default().contains(why), "{started}");
    // What was noted is told once: the next start has another reason.
    vm.reboot();
    wait_well(&mut vm);
    assert_eq!("power", self::started(&mut vm)["why"]);
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

/// Asks the page from outside, trusting its certificate alone.
fn ask(vm: &mut Vm, name: &str) -> Page {
    let data: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/run").join(name);
    fs::create_dir_all(data.join("tls")).unwrap();
    fs::write(data.join("tls/certificate.pem"), vm.ask("cat /data/tls/certificate.pem")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(probe::ask(SocketAddr::from(([127, 0, 0, 1], vm.https)), &data))
}

/// Kills a service as soon as it is up. The process id that runsv tells may be that of its finish script.
fn kill(service: &str) -> String {
    let state = format!("/run/sv/{service}");
    format!("until [ \"$(cat {state}/stat)\" = run ] && kill -KILL $(cat {state}/pid); do sleep 0.1; done")
}

/// Kills a service until it has crashed this often. What follows the last may leave nobody to say that it was counted.
fn crash(vm: &mut Vm, service: &str, times: u32) {
    for crashed in 1..times {
        vm.ask(&kill(service));
        vm.ask(&format!("until grep -q 'crash {crashed} within' /run/log/{service}/current; do sleep 0.1; done"));
    }
    vm.ask(&kill(service));
}

#[test]
fn five_crashes_restart_once_and_then_leave_a_rescue_page() {
    let name = "crashes";
    let mut vm = Vm::boot(name);
    vm.wait_console("claim code: ", BOOT);
    assert_eq!(Page::Well, ask(&mut vm, name));
    crash(&mut vm, "serve", 5);
    vm.wait_restart(BOOT);
    let again = started(&mut vm);
    assert_eq!(("restart", "serve crashed five times in a minute"), {
        (again["why"].as_str().unwrap(), again["detail"].as_str().unwrap())
    });

    vm.wait_console("claim code: ", BOOT);
    crash(&mut vm, "serve", 4);
    // Each life of serve draws another code; the next one that the console tells is the rescue page's.
    let deadline = Instant::now() + BOOT;
    while ask(&mut vm, name) != Page::Well {
        assert!(Instant::now() < deadline, "serve does not come back");
    }
    vm.forget_console();
    // What follows is root's to do, in a folder where serve could lead it astray.
    vm.ask("chpst -u farhand:farhand ln -s /run/astray /run/farhand/rescue");
    vm.ask(&kill("serve"));
    vm.ask(
        "until [ -e /run/farhand/rescue ]; do sleep 0.1; done; [ ! -L /run/farhand/rescue ] && [ ! -e /run/astray ]",
    );
    let deadline = Instant::now() + BOOT;
    let page = loop {
        match ask(&mut vm, name) {
            page @ Page::Unwell(_) => break page,
            page => assert!(Instant::now() < deadline, "{page:?}"),
        }
    };
    assert!(matches!(&page, Page::Unwell(why) if why.contains("rescue mode")), "{page:?}");
    for service in ["serve", "hands"] {
        let process = format!("tr '\\0' ' ' </proc/$(cat /run/sv/{service}/pid)/cmdline | grep -q -- --rescue");
        vm.ask(&format!("until {process}; do sleep 0.2; done"));
    }
    // Nothing of the target's is held by anybody.
    assert_eq!("", vm.ask("ls /sys/kernel/config/usb_gadget").trim());

    let code = browser::claim_code(&vm);
    browser::visit(&vm, &code, "rescued.spec.ts");
    vm.wait_restart(BOOT);
    assert_eq!("somebody asked for it", started(&mut vm)["detail"]);
    // The fault is gone: it comes back whole, and forgets.
    wait_well(&mut vm);
    assert_eq!(Page::Well, ask(&mut vm, name));
    vm.ask("[ -e /data/state/crash-loop ]; until [ ! -e /data/state/crash-loop ]; do sleep 0.5; done");
}

#[test]
fn a_crashed_service_waits_longer_each_time() {
    let mut vm = Vm::boot("back-off");
    vm.wait_console("claim code: ", BOOT);
    // The guard, because its crashes stop nothing that a person uses.
    for crashed in 1..=3u64 {
        vm.ask(&kill("guard"));
        let (up, down) = ("[ \"$(cat /run/sv/guard/stat)\" = run ]", "[ \"$(cat /run/sv/guard/stat)\" = finish ]");
        vm.ask(&format!("until {down}; do :; done"));
        let waited = vm.ask(&format!(
            "read begin _ </proc/uptime; until {up}; do sleep 0.05; done; read end _ </proc/uptime; echo $begin $end"
        ));
        let times: Vec<f64> = waited.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert!(crashed as f64 - 0.3 <= times[1] - times[0], "after crash {crashed}: {times:?}");
    }
}

#[test]
fn a_start_that_takes_long_is_fed_until_it_hangs() {
    let command_line = "root=/dev/vda ro rootfstype=squashfs console=ttyAMA0 loglevel=4 rauc.slot=B";
    let more = [&WATCHDOG[..], &["-append", command_line]].concat();
    let mut vm = Vm::boot_with("slow-start", &more.iter().copied().map(String::from).collect::<Vec<_>>());
    let taken = |times: u32| {
        format!(
            "until [ $(grep -c 'feeding /dev/watchdog0 (i6300ESB' /run/log/guard/current) = {times} ]; do sleep 0.2; done"
        )
    };
    vm.ask(&taken(1));
    // With nobody but the feeder it lives for longer than the watchdog waits, and the guard takes over from there.
    vm.ask("sv -w 15 stop guard; /usr/libexec/feed-watchdog 0 600 & echo $! >/run/feeder");
    vm.ask("read begin _ </proc/uptime; until read now _ </proc/uptime; [ $((${now%.*} - ${begin%.*})) -ge 20 ]; do sleep 1; done");
    // Even one who is told not to: on a card nobody can stop what U-Boot has started.
    vm.ask("printf '\\n[guard]\\nwatchdog = \"none\"\\n' >>/run/farhand.toml");
    vm.ask("kill $(cat /run/feeder); sv up guard");
    vm.ask(&taken(2));
    // But not for ever.
    vm.ask("sv -w 15 stop guard; /usr/libexec/feed-watchdog 0 10 &");
    vm.wait_restart(RESET);
    vm.ask(&taken(1));
}

/// Boots as slot B of a card whose boot loader tries it for the first time: the memory is real, and a file.
fn boot_trial(name: &str) -> Vm {
    let command_line = "root=/dev/vda ro rootfstype=squashfs console=ttyAMA0 loglevel=4 rauc.slot=B";
    let mut vm = Vm::boot_with(name, &["-append", command_line].map(String::from));
    lend_memory(&mut vm);
    vm
}

/// Puts a boot loader's memory where the commands look for it, for a machine without a card.
fn lend_memory(vm: &mut Vm) {
    vm.ask(
        "mkdir -p /dev/slots; dd if=/dev/zero of=/tmp/memory bs=1024 count=2048 2>&1; ln -s /tmp/memory /dev/slots/disk
        printf 'BOOT_ORDER=B A\nBOOT_A_LEFT=3\nBOOT_B_LEFT=2\nCONFIRMED=A\n' >/tmp/first
        fw_setenv -f /tmp/first -s /tmp/first",
    );
}

#[test]
fn a_slot_on_trial_is_confirmed_when_all_has_been_well_and_not_before() {
    let mut vm = boot_trial("trial");
    wait_well(&mut vm);
    assert_eq!("A\n", vm.ask("fw_printenv -n CONFIRMED"));
    let cut =
        "ip link set eth0 down; until grep -q 'no interface has an address' /run/log/guard/current; do sleep 0.2; done";
    vm.ask(cut);
    // Longer than it takes when nothing is wrong.
    vm.ask("read begin _ </proc/uptime; until read now _ </proc/uptime; [ $((${now%.*} - ${begin%.*})) -ge 40 ]; do sleep 1; done");
    assert_eq!("A\n", vm.ask("fw_printenv -n CONFIRMED"));
    vm.ask("ip link set eth0 up");
    vm.sh_within("until [ $(fw_printenv -n CONFIRMED) = B ]; do sleep 0.5; done", BOOT);
    assert_eq!(
        "B A 3 3\n",
        vm.ask("echo $(fw_printenv -n BOOT_ORDER) $(fw_printenv -n BOOT_A_LEFT) $(fw_printenv -n BOOT_B_LEFT)")
    );
    vm.ask("until grep -q 'slot B is confirmed' /run/log/guard/current; do sleep 0.2; done");

    // The next starts get back the attempt that the boot loader takes, but for one after a panic.
    vm.ask("fw_setenv BOOT_B_LEFT 2; mkdir /tmp/pstore; echo panic >/tmp/pstore/dmesg-ramoops-0");
    vm.ask("mount -o bind /tmp/pstore /sys/fs/pstore; /usr/libexec/slot-counter");
    assert_eq!("2\n", vm.ask("fw_printenv -n BOOT_B_LEFT"));
    vm.ask("umount /sys/fs/pstore; /usr/libexec/slot-counter");
    assert_eq!("3\n", vm.ask("fw_printenv -n BOOT_B_LEFT"));
}

#[test]
fn a_slot_on_trial_that_crashes_restarts_until_its_attempts_are_spent() {
    let mut vm = boot_trial("trial-crashes");
    for _ in 0..2 {
        vm.wait_console("claim code: ", BOOT);
        crash(&mut vm, "serve", 5);
        vm.wait_restart(BOOT);
        assert_eq!("serve crashed five times in a minute", started(&mut vm)["detail"]);
        lend_memory(&mut vm);
    }
    assert_ne!(0, vm.sh("ls /data/state/crash-loop").status, "the mark is for a slot that stays");
}

#[test]
fn a_kernel_that_panics_leaves_its_last_words() {
    // The last megabytes of memory are kept out of the kernel's hands, as a board's device tree does it.
    let command_line = "root=/dev/vda ro rootfstype=squashfs console=ttyAMA0 loglevel=4 mem=504M \
                        ramoops.mem_address=0x5f800000 ramoops.mem_size=0x100000 ramoops.record_size=0x20000";
    let mut vm = Vm::boot_with("panic", &["-append", command_line].map(String::from));
    wait_well(&mut vm);
    assert_eq!("power", started(&mut vm)["why"]);
    // It runs out of memory on purpose.
    vm.ask("mkdir /tmp/fill && mount -t tmpfs -o size=1g fill /tmp/fill && echo 2 >/proc/sys/vm/panic_on_oom");
    vm.ask("(sleep 1; dd if=/dev/zero of=/tmp/fill/all bs=1048576) >/dev/null 2>&1 &");
    vm.wait_restart(BOOT);
    let panic = started(&mut vm);
    assert_eq!("panic", panic["why"], "{panic}");
    assert!(panic["detail"].as_str().unwrap().starts_with("Kernel panic - not syncing: Out of memory"), "{panic}");
    assert!(vm.ask("cat /data/state/panic.txt").contains("panic_on_oom"));
    assert_eq!("", vm.ask("ls /sys/fs/pstore").trim(), "the next panic must find room");
}
