//! Runs the root file system's own scripts on a root of a test's own, with programs that note what they are asked for.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use farhand::hw::bootenv::BootEnv;
use farhand::hw::restart::{self, Reason};
use farhand::hw::traces::{self, Traces};
use farhand::update::slots::{Slot, SlotState};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

/// What a script names by its whole path, and a test has a copy of.
const PLACES: [&str; 6] = ["/proc/", "/sys/", "/run/", "/data/", "/dev/", "/etc/"];

/// A root with programs.
struct Root(PathBuf, #[expect(dead_code, reason = "removed with this")] TempDir);

impl Root {
    fn new() -> Root {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().to_path_buf();
        for folder in ["bin", "run", "proc", "sys/fs/pstore", "etc", "dev", "data/state"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        Root(root, temporary)
    }

    fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap_or_default()
    }

    /// Puts a program where the scripts find it; `$ROOT` is this root.
    fn program(&self, name: &str, body: &str) {
        let path = format!("bin/{name}");
        self.put(&path, format!("#!/bin/sh\nROOT='{}'\n{body}\n", self.0.display()));
        fs::set_permissions(self.0.join(path), Permissions::from_mode(0o755)).unwrap();
    }

    /// A boot loader's memory: one variable a line, changed as a program would that reads all, thinks, and writes all.
    fn memory(&self, variables: &str) {
        self.put("memory", variables);
        self.program(
            "fw_printenv",
            "case ${1:-} in -n) sed -n \"s/^$2=//p\" \"$ROOT/memory\" ;; *) cat \"$ROOT/memory\" ;; esac",
        );
        self.program(
            "fw_setenv",
            "if [ \"$1\" = -s ]; then new=$(cat); else new=\"$1=$2\"; fi
            all=$(printf '%s\\n' \"$new\" | cat \"$ROOT/memory\" - | tac | awk -F= '!seen[$1]++')
            printf '%s\\n' \"$all\" >\"$ROOT/memory.$$\" && mv \"$ROOT/memory.$$\" \"$ROOT/memory\"",
        );
    }

    fn variable(&self, name: &str) -> String {
        let text = self.text("memory");
        text.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap_or_default().to_string()
    }

    /// A script of the root file system, with its places in this root.
    fn script(&self, script: &str, arguments: &[&str]) -> Command {
        let mut text = fs::read_to_string(format!("{}/overlay/{script}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let own = self.0.display().to_string();
        for place in PLACES {
            // Not within a longer path, such as the same name in this root's own.
            for before in [" ", "\"", "'", "=", ">", "<"] {
                text = text.replace(&format!("{before}{place}"), &format!("{before}{own}{place}"));
            }
        }
        text = text.replace("/usr/libexec/", &format!("{own}/bin/"));
        let copy = format!("copy-of-{}", script.replace('/', "-"));
        self.put(&copy, text);
        let mut command = Command::new("sh");
        let path = format!("{}:{}", self.0.join("bin").display(), std::env::var("PATH").unwrap());
        command.arg(self.0.join(copy)).args(arguments).env("PATH", path);
        command
    }

    fn run(&self, script: &str, arguments: &[&str]) {
        let output = self.script(script, arguments).output().unwrap();
        assert_eq!("", String::from_utf8_lossy(&output.stderr), "{script}");
    }
}

const COUNTED: &str = "BOOT_ORDER=A B\nBOOT_A_LEFT=2\nBOOT_B_LEFT=3\nCONFIRMED=A\n";
const RSTS: &str = "proc/device-tree/chosen/bootloader/rsts";

/// How many tries slot A has after a start in which U-Boot left it two.
fn left(root: &Root, arguments: &[&str]) -> String {
    root.memory(COUNTED);
    root.run("usr/libexec/slot-counter", arguments);
    root.variable("BOOT_A_LEFT")
}

#[test]
fn a_confirmed_slot_gets_its_tries_back_but_not_after_a_hang_or_a_panic() {
    let root = Root::new();
    root.put("proc/cmdline", "console=ttyAMA0 rauc.slot=A ro\n");
    assert_eq!("3", left(&root, &[]), "a board that does not tell how it came up");
    // Power-on; a card's voltage switched off and on; half a word.
    for status in [&[0, 0, 0x10, 0][..], &[0, 0, 0x10, 0x20], &[0, 0, 0, 0], &[0, 0x20]] {
        root.put(RSTS, status);
        assert_eq!("3", left(&root, &[]), "{status:?}");
    }
    for status in [[0, 0, 0, 0x20], [0, 0, 4, 0x20], [0, 0, 0x05, 0x75]] {
        root.put(RSTS, status);
        assert_eq!("2", left(&root, &[]), "{status:?}");
        assert_eq!("3", left(&root, &["orderly"]), "{status:?}, with a note");
    }
    root.put("sys/fs/pstore/dmesg-ramoops-0", "Kernel panic");
    for arguments in [&[][..], &["orderly"]] {
        assert_eq!("2", left(&root, arguments), "it may have panicked on the way down");
    }
}

#[test]
fn a_slot_on_trial_and_a_machine_without_slots_get_nothing_back() {
    let root = Root::new();
    for line in ["rauc.slot=B ro\n", "root=/dev/vda ro\n"] {
        root.put("proc/cmdline", line);
        assert_eq!("2", left(&root, &["orderly"]), "{line}");
        assert_eq!(COUNTED, root.text("memory"), "{line}");
    }
}

#[test]
fn on_the_way_down_the_guard_goes_first_and_whatever_hangs_is_fed_for_a_minute_only() {
    let root = Root::new();
    for name in ["sv", "umount", "sync"] {
        root.program(name, &format!("echo {name} \"$@\" >>\"$ROOT/done\""));
    }
    // The feeder's own line comes at any time: it runs at the same time as the rest.
    root.program("feed-watchdog", "echo \"$@\" >\"$ROOT/fed\"; echo feeder >>\"$ROOT/feeders\"");
    root.program("umount", "n=0; until [ -s \"$ROOT/feeders\" ] || [ $n = 500 ]; do sleep 0.01; n=$((n + 1)); done; echo umount >>\"$ROOT/done\"; exit 1");
    root.run("etc/init.d/rcK", &[]);
    let done = root.text("done");
    let done: Vec<_> = done.lines().collect();
    assert_eq!(["sv -w 2 force-stop guard", "sv -w 5 stop serve", "sv -w 5 stop hands", "umount", "sync"], done[..]);
    assert_eq!("0 60\n", root.text("fed"));
    assert_eq!("restart it was shut down in order\n", root.text("data/state/restart"));
    assert!(root.0.join("data/state/clock").exists());

    root.put("data/state/restart", "person\n");
    root.run("etc/init.d/rcK", &[]);
    assert_eq!("person\n", root.text("data/state/restart"), "who has a reason says it");
    fs::remove_dir_all(root.0.join("data/state")).unwrap();
    root.run("etc/init.d/rcK", &[]);
    assert!(!root.0.join("data/state").exists(), "without storage there is nowhere to note it");
}

#[test]
fn a_note_for_the_next_start_has_one_mode_whoever_leaves_it() {
    let root = Root::new();
    for name in ["sv", "umount", "sync", "sleep", "reboot", "feed-watchdog", "fw_printenv"] {
        root.program(name, "");
    }
    root.put("proc/uptime", "20.00 9.00\n");
    root.put("proc/cmdline", "rauc.slot=A ro\n");
    fs::create_dir(root.0.join("run/farhand")).unwrap();
    let (data, state) = (root.0.join("data"), root.0.join("data/state"));
    let mode = |path: &str| fs::metadata(root.0.join(path)).unwrap().permissions().mode() & 0o777;
    let crash = || {
        root.put("run/crashes/serve", "19\n18\n17\n16\n");
        root.script("usr/libexec/service-crashed", &["serve", "1", "0"]).output().unwrap();
    };
    let by_rust = || {
        restart::note(&state, &Reason::Person).unwrap();
        assert!(Traces::new(&data).mark().unwrap());
    };
    root.program("farhand", "echo held");
    let notes: [(&dyn Fn(), &[&str]); 4] = [
        (&|| root.run("usr/libexec/reset-pin", &[]), &["data/state/factory-reset"]),
        (&|| root.run("etc/init.d/rcK", &[]), &["data/state/restart", "data/state/clock"]),
        (&crash, &["data/state/restart", "data/state/crash-loop"]),
        (&by_rust, &["data/state/restart", "data/state/crash-loop"]),
    ];
    for (leave, paths) in notes {
        leave();
        for path in paths {
            assert_eq!(traces::MODE, mode(path), "{path}");
            fs::remove_file(root.0.join(path)).unwrap();
        }
    }
    by_rust();
    crash();
    assert_eq!(traces::MODE, mode("run/farhand/rescue"), "as the guard makes it");
}

#[test]
fn the_page_learns_the_networks_domain_and_is_not_started_again_for_it() {
    let root = Root::new();
    root.put("run/settings", "name_servers=''\n");
    root.put("proc/uptime", "7.00 5.00\n");
    root.program("ip", "");
    root.program("sv", "echo sv \"$@\" >>\"$ROOT/done\"");
    let lease = |domain: &str| {
        root.put("done", "");
        let mut command = root.script("etc/network/udhcpc", &["bound"]);
        command.envs([("interface", "eth0"), ("ip", "192.0.2.7"), ("mask", "24"), ("router", "192.0.2.1")]);
        let output = command.envs([("dns", "192.0.2.1"), ("ntpsrv", ""), ("domain", domain)]).output().unwrap();
        assert_eq!("", String::from_utf8_lossy(&output.stderr), "{domain}");
        (root.text("run/dhcp-domain"), root.text("done"))
    };
    for domain in ["", "lan", "lan", "fritz.box", ""] {
        assert_eq!((format!("{domain}\n"), String::new()), lease(domain), "{domain:?}");
    }
}

#[test]
fn a_watchdog_that_nobody_has_started_is_not_opened() {
    let root = Root::new();
    root.program("sleep", "echo sleep \"$@\" >>\"$ROOT/done\"");
    let fed = |line: &str, state: Option<&str>| {
        root.put("proc/cmdline", line);
        let _ = fs::remove_dir_all(root.0.join("sys/class"));
        if let Some(state) = state {
            root.put("sys/class/watchdog/watchdog0/state", state);
        }
        root.put("done", "");
        root.run("usr/libexec/feed-watchdog", &["60"]);
        assert!(!root.0.join("run/feeder").exists(), "it would be taken for one that runs");
        root.text("done") == "sleep 60\n"
    };
    assert!(fed("rauc.slot=A\n", None), "U-Boot has started it");
    assert!(fed("root=/dev/vda\n", Some("active\n")), "the guard has started it");
    assert!(!fed("root=/dev/vda\n", Some("inactive\n")) && !fed("root=/dev/vda\n", None));
}

#[test]
fn a_watchdog_that_takes_no_food_is_offered_it_to_the_end_and_no_feeder_leaves_its_number() {
    let root = Root::new();
    root.program("sleep", "echo sleep \"$@\" >>\"$ROOT/done\"");
    root.put("proc/cmdline", "rauc.slot=A\n");
    // One that can be opened and takes nothing, and one that cannot be opened where no terminal belongs to the process.
    for (device, slept) in [("/dev/full", "sleep 60\nsleep 5\nsleep 5\n"), ("/dev/tty", "sleep 60\n")] {
        let watchdog = root.0.join("dev/watchdog0");
        let _ = fs::remove_file(&watchdog);
        symlink(device, &watchdog).unwrap();
        root.put("done", "");
        let feeder = root.script("usr/libexec/feed-watchdog", &["60", "70"]);
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(feeder.get_program()).args(feeder.get_args());
        command.envs(feeder.get_envs().filter_map(|(name, value)| Some((name, value?))));
        assert!(command.stderr(Stdio::null()).status().is_ok());
        assert_eq!(slept, root.text("done"), "{device}");
        assert!(!root.0.join("run/feeder").exists(), "{device}: the guard would end another process");
    }
}

#[test]
fn a_bundle_is_refused_where_the_boot_loaders_memory_or_raucs_word_is_missing() {
    let root = Root::new();
    let content = root.0.join("content");
    for name in ["boot.img", "root.img", "manifest.raucm"] {
        root.put(&format!("content/{name}"), name);
    }
    root.put("image", "");
    root.put("proc/mounts", format!("{} {} squashfs\n", root.0.join("image").display(), content.display()));
    let checked = |memory: &str, variables: &[(&str, &str)]| {
        root.program("fw_printenv", memory);
        let mut command = root.script("usr/libexec/check-bundle", &[]);
        command.env("RAUC_IMAGE_NAME_1", "boot.img").env("RAUC_IMAGE_NAME_2", "root.img");
        command.env("RAUC_BUNDLE_MOUNT_POINT", &content).envs(variables.iter().copied());
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let slot = ("RAUC_CURRENT_BOOTNAME", "A");
    assert_eq!((true, String::new()), checked("echo A", &[slot]));
    assert_eq!((false, "<< error the running release is still on trial\n".into()), checked("echo B", &[slot]));
    let unread = "<< error the boot loader's memory cannot be read\n";
    assert_eq!((false, unread.into()), checked("exit 1", &[slot]));
    assert_eq!((false, unread.into()), checked("echo A; exit 1", &[slot]));
    // What is equal to nothing is not confirmed.
    for variables in [&[][..], &[("RAUC_CURRENT_BOOTNAME", "")]] {
        assert!(!checked("echo", variables).0, "{variables:?}");
    }
}

/// Whether an address and a default route are taken away when udhcpc says this, `uptime` seconds after the machine's
/// start.
fn lost(root: &Root, uptime: &str, said: &str, variables: &[(&str, &str)]) -> (bool, bool) {
    root.put("proc/uptime", format!("{uptime}.50 1.00\n"));
    root.put("done", "");
    let mut command = root.script("etc/network/udhcpc", &[said]);
    command.env("interface", "eth0").envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert_eq!("", String::from_utf8_lossy(&output.stderr), "{said}");
    let done = root.text("done");
    (done.contains("addr flush dev eth0"), done.contains("route del default dev eth0"))
}

#[test]
fn an_address_is_kept_until_its_lease_is_over_or_it_is_refused() {
    let root = Root::new();
    root.put("run/settings", "");
    root.program("ip", "echo \"$@\" >>\"$ROOT/done\"");
    root.program("sv", "");
    let given = [("ip", "192.0.2.9"), ("mask", "24"), ("router", "192.0.2.1"), ("lease", "60")];
    assert_eq!((true, false), lost(&root, "90", "deconfig", &[]), "what an earlier start of the service may have left");
    assert_eq!((false, false), lost(&root, "100", "bound", &given));
    assert!(root.text("done").contains("addr replace 192.0.2.9/24 dev eth0"));
    // The cable is plugged in again, and no server answers.
    for (uptime, said) in [("101", "deconfig"), ("115", "leasefail"), ("159", "leasefail")] {
        assert_eq!((false, false), lost(&root, uptime, said, &[]), "{said} after {uptime} s");
    }
    assert_eq!((true, false), lost(&root, "160", "leasefail", &[]));
    assert_eq!((true, false), lost(&root, "161", "deconfig", &[]));

    lost(&root, "200", "bound", &given);
    assert_eq!((false, false), lost(&root, "230", "renew", &given));
    assert_eq!((false, false), lost(&root, "289", "deconfig", &[]), "a renewal counts");
    assert_eq!((false, false), lost(&root, "230", "nak", &[]));
    assert_eq!((true, false), lost(&root, "230", "deconfig", &[]), "a server refuses it");

    lost(&root, "300", "bound", &given[..3]);
    assert_eq!((false, false), lost(&root, "3899", "deconfig", &[]), "a server that names no time means an hour");
    assert_eq!((true, false), lost(&root, "3900", "deconfig", &[]));
    assert_eq!(
        (false, true),
        lost(&root, "3901", "bound", &given[..2]),
        "the router of the network before leads nowhere"
    );
}

/// The clock after clock-floor, when it said `now` before: a build at second 1000, last on at `seen`.
fn floor(root: &Root, now: u64, seen: Option<u64>, arguments: &[&str]) -> String {
    root.put("now", now.to_string());
    let touch = |path: &str, secs| {
        root.put(path, "");
        let file = fs::File::options().write(true).open(root.0.join(path)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(secs)).unwrap();
    };
    touch("etc/os-release", 1000);
    let _ = fs::remove_file(root.0.join("data/state/clock"));
    if let Some(seen) = seen {
        touch("data/state/clock", seen);
    }
    root.run("usr/libexec/clock-floor", arguments);
    root.text("now").trim().to_string()
}

#[test]
fn the_clock_starts_no_earlier_than_the_build_and_when_it_was_last_on() {
    let root = Root::new();
    root.program("date", "case $1 in +%s) cat \"$ROOT/now\" ;; -s) printf %s \"${2#@}\" >\"$ROOT/now\" ;; esac");
    let clock = root.0.join("data/state/clock").display().to_string();
    let at_start = [clock.as_str()];
    assert_eq!("1000", floor(&root, 0, Some(5000), &[]), "before storage is there");
    assert_eq!("5000", floor(&root, 0, Some(5000), &at_start));
    assert_eq!("1000", floor(&root, 0, Some(900), &at_start));
    assert_eq!("1000", floor(&root, 0, None, &at_start));
    assert_eq!("7000", floor(&root, 7000, Some(5000), &at_start), "a clock that goes on is left alone");
    let far = 1000 + 20 * 365 * 86400;
    assert_eq!("1000", floor(&root, 0, Some(far), &at_start), "somebody's lie");
    for word in ["step", "periodic", "stratum", "unsync"] {
        assert_eq!("2000", floor(&root, 2000, Some(5000), &[word]), "a server may put it back");
        assert_eq!("1000", floor(&root, 20, Some(5000), &[word]), "but not to before the build");
    }
}

#[test]
fn what_is_vital_is_spared_when_memory_runs_out_and_the_page_goes_first() {
    let root = Root::new();
    root.program("farhand", "cat \"$ROOT/proc/self/oom_score_adj\" >\"$ROOT/$1\"");
    root.program("chpst", "shift 2; exec \"$@\"");
    root.program("show-claim", "cat >>\"$ROOT/claim\"");
    for (service, score) in [("guard", "-900"), ("hands", "-900"), ("serve", "900")] {
        root.put("proc/self/oom_score_adj", "0");
        root.run(&format!("etc/sv/{service}/run"), &[]);
        assert_eq!(score, root.text(service).trim(), "{service}");
    }
    root.program("rauc", "cp \"$ROOT/proc/self/oom_score_adj\" \"$ROOT/rauc\"");
    root.put("proc/mounts", "");
    root.run("usr/libexec/install-bundle", &["/update.raucb"]);
    assert_eq!("0", root.text("rauc").trim(), "what hands begin is not vital");
}

/// An installer that does to the memory what RAUC does, and says before each step that there is one.
const INSTALLER: &str = r#"exec 5>"$ROOT/steps"
    step() { echo >&5; }
    is() { [ "$(fw_printenv -n BOOT_ORDER) $(fw_printenv -n BOOT_B_LEFT)" = "$1" ] || echo "$1" >>"$ROOT/undone"; }
    step; fw_setenv BOOT_B_LEFT 0; step; fw_setenv BOOT_ORDER A
    for block in 1 2 3 4 5 6; do step; is 'A 0'; done
    echo "Installing '$2' succeeded""#;

#[test]
fn a_confirmation_never_undoes_what_an_installation_has_done() {
    let root = Root::new();
    root.put("proc/mounts", "");
    root.put("proc/cmdline", "rauc.slot=A\n");
    root.put("proc/self/oom_score_adj", "");
    root.program("rauc", INSTALLER);
    let bin = root.0.join("bin");
    let memory = BootEnv {
        printenv: bin.join("fw_printenv"),
        setenv: bin.join("fw_setenv"),
        lock: root.0.join("run/install-bundle.lock"),
        ..BootEnv::default()
    };
    let steps = root.0.join("steps");
    mkfifo(&steps, Mode::S_IRWXU).unwrap();
    let mut kept_away = 0;
    for round in 0..10 {
        // As after a panic: the guard has tries to give back, whenever it gets to it.
        root.memory(COUNTED);
        let mut command = root.script("usr/libexec/install-bundle", &["/update.raucb"]);
        let mut installer = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let steps = BufReader::new(fs::File::open(&steps).unwrap()).lines();
        let found: Vec<_> = steps.map(|_| memory.confirm(Slot::A).unwrap()).collect();
        assert_eq!(Some(0), installer.wait().unwrap().code(), "round {round}");
        assert_eq!("", root.text("undone"), "round {round}");
        kept_away += found.iter().filter(|found| found.is_none()).count();
        let after = memory.confirm(Slot::A).unwrap().map(|found| found.state(Slot::A));
        assert_eq!(Some(SlotState::Superseded), after, "round {round}");
        assert_eq!(("B A", "2"), (root.variable("BOOT_ORDER").as_str(), root.variable("BOOT_A_LEFT").as_str()));
    }
    // Not each time: whoever looks late, on a busy machine, finds it done.
    assert!(9 < kept_away, "they met {kept_away} times");
}

#[test]
fn the_lock_is_held_for_as_long_as_anything_may_still_write() {
    let root = Root::new();
    root.memory(COUNTED);
    mkfifo(&root.0.join("hangs"), Mode::S_IRWXU).unwrap();
    // Leaves a process behind that is not done, as one does that hangs when the guard ends.
    root.program("fw_setenv", "cat >/dev/null; (read -r _ <\"$ROOT/hangs\") 2>/dev/null &");
    let (bin, lock) = (root.0.join("bin"), root.0.join("run/install-bundle.lock"));
    let (printenv, setenv) = (bin.join("fw_printenv"), bin.join("fw_setenv"));
    let memory = BootEnv { printenv, setenv, lock: lock.clone(), ..BootEnv::default() };
    assert!(memory.confirm(Slot::A).unwrap().is_some());
    assert_eq!(None, memory.confirm(Slot::A).unwrap(), "it may still write");
    drop(fs::OpenOptions::new().write(true).open(root.0.join("hangs")).unwrap());
    // Waits until it is gone.
    fs::File::open(&lock).unwrap().lock().unwrap();
}

#[test]
fn what_serve_left_by_the_name_of_a_folder_of_roots_is_replaced() {
    let root = Root::new();
    root.program("chown", "echo \"$*\" | sed \"s|$ROOT||\" >>\"$ROOT/chowned\"");
    let data = root.0.join("data");
    root.put("elsewhere/1", "kept");
    symlink(root.0.join("elsewhere"), data.join("config")).unwrap();
    root.put("data/rauc", "no folder");
    root.put("data/state/clock", "kept");
    let is_root = nix::unistd::geteuid().is_root();
    if is_root {
        root.put("data/install/planted", "");
        std::os::unix::fs::chown(data.join("install"), Some(1234), None).unwrap();
    }
    root.run("usr/libexec/own-folders", &[]);
    for (name, mode) in [("config", 0o755), ("install", 0o700), ("rauc", 0o700), ("state", 0o750)] {
        let metadata = fs::symlink_metadata(data.join(name)).unwrap();
        assert!(metadata.is_dir(), "{name}");
        assert_eq!(mode, metadata.permissions().mode() & 0o777, "{name}");
        assert_eq!(nix::unistd::geteuid().as_raw(), metadata.uid(), "{name}");
    }
    assert_eq!("root:farhand /data/state\nroot:root /data/config\n", root.text("chowned"));
    assert!(!data.join("install/planted").exists());
    assert_eq!(("kept", "kept"), (&*root.text("elsewhere/1"), &*root.text("data/state/clock")));
    root.put("data/config/7", "kept");
    root.run("usr/libexec/own-folders", &[]);
    assert_eq!("kept", root.text("data/config/7"));
}

#[test]
fn what_is_tried_counts_in_the_place_of_the_owners_until_it_is_gone() {
    let root = Root::new();
    root.program("farhand", &format!("exec '{}' \"$@\"", env!("CARGO_BIN_EXE_farhand")));
    root.put("etc/farhand.toml", "[network]\nmdns = false\n");
    let counts = || {
        root.run("usr/libexec/join-config", &[]);
        assert!(!root.0.join("run/joined.toml").exists());
        root.text("run/farhand.toml")
    };
    assert_eq!("[network]\nmdns = false\n", counts());
    root.put("data/farhand.toml", "network.host = \"mine\"\n");
    let joined = counts();
    assert!(joined.contains("\"mine\"") && joined.contains("mdns = false"), "{joined}");
    root.put("run/trial/farhand.toml", "network.host = \"tried\"\n");
    let tried = counts();
    assert!(tried.contains("\"tried\"") && tried.contains("mdns = false") && !tried.contains("mine"), "{tried}");
    fs::remove_file(root.0.join("run/trial/farhand.toml")).unwrap();
    assert_eq!(joined, counts());
    // What is no TOML is for its readers to complain of.
    root.put("data/farhand.toml", "x");
    assert_eq!("x", counts());
    // Somebody else's, as a link to it would be, is nobody's.
    fs::remove_file(root.0.join("data/farhand.toml")).unwrap();
    root.put("elsewhere", "network.host = \"planted\"\n");
    symlink(root.0.join("elsewhere"), root.0.join("data/farhand.toml")).unwrap();
    assert_eq!("[network]\nmdns = false\n", counts());
}

#[test]
fn a_change_counts_before_any_service_starts_again_and_they_do_so_in_order() {
    let root = Root::new();
    for program in ["join-config", "own-name", "sv"] {
        root.program(program, &format!("echo {program} \"$*\" | sed \"s|$ROOT||\" >>\"$ROOT/asked\""));
    }
    root.run("usr/libexec/apply-config", &["network", "serve", "hands"]);
    let asked = "join-config \nown-name \nsv term /etc/sv/network\nsv term /etc/sv/serve\nsv term /etc/sv/hands\n";
    assert_eq!(asked, root.text("asked"));
}

#[test]
fn the_network_card_keeps_nothing_of_the_configuration_before() {
    let root = Root::new();
    for program in ["ip", "sv", "udhcpc"] {
        root.program(program, &format!("echo {program} \"$*\" >>\"$ROOT/asked\""));
    }
    for program in ["farhand", "sleep"] {
        root.program(program, "exit 0");
    }
    let asks = |address: &str, gateway: &str| {
        root.put("run/settings", format!("address='{address}'\ngateway='{gateway}'\nname_servers=''\n"));
        root.put("asked", "");
        root.run("etc/sv/network/run", &[]);
        root.text("asked").lines().filter(|line| !line.ends_with("up")).map(String::from).collect::<Vec<_>>()
    };
    let first = ["ip -4 addr replace 192.0.2.10/24 dev eth0", "ip -4 route replace default via 192.0.2.1 dev eth0"];
    assert_eq!(first, asks("192.0.2.10/24", "192.0.2.1")[..]);
    assert_eq!(first, asks("192.0.2.10/24", "192.0.2.1")[..], "a service that starts again takes nothing away");
    let next = asks("2001:db8::10/64", "2001:db8::1");
    let old = ["ip -4 route del default via 192.0.2.1 dev eth0", "ip -4 addr del 192.0.2.10/24 dev eth0"];
    assert_eq!(old, next[..2]);
    let new = ["ip -6 addr replace 2001:db8::10/64 dev eth0", "ip -6 route replace default via 2001:db8::1 dev eth0"];
    assert_eq!(new, next[2..]);
    let dhcp = asks("dhcp", "");
    let old = ["ip -6 route del default via 2001:db8::1 dev eth0", "ip -6 addr del 2001:db8::10/64 dev eth0"];
    assert!(dhcp[..2] == old && dhcp[2].starts_with("udhcpc "), "{dhcp:?}");
    assert!(!root.0.join("run/fixed-address").exists());
    for left in ["dhcp-lease", "dhcp-domain", "dhcp-time-servers"] {
        root.put(&format!("run/{left}"), "x\n");
    }
    let fixed = asks("192.0.2.10/24", "");
    assert_eq!(["ip -4 addr flush dev eth0", "sv term time", first[0]], fixed[..]);
    assert!(!root.0.join("run/dhcp-domain").exists() && !root.0.join("run/dhcp-time-servers").exists());
}
