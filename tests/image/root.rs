//! Checks what the root file system promises: it is never written, and lets nobody in.

use crate::vm::{Machine, Vm};

#[test]
fn boots_to_its_services() {
    let mut vm = Vm::boot("boots");
    for service in ["network", "mdev", "hands", "serve", "guard", "kernel", "time"] {
        // Ten seconds old: one that fails at every start never gets there.
        vm.ask(&format!("until sv status /etc/sv/{service} | grep -qE '^run: .*[0-9]{{2,}}s'; do sleep 0.5; done"));
    }
    assert_eq!("7", vm.ask("ls /etc/sv | wc -l").trim());
}

#[test]
fn root_is_read_only() {
    let mut vm = Vm::boot("read-only");
    // Not only mounted so: it must refuse to be made writable.
    for command in ["echo x >/etc/x", "rm /bin/sh", "mount -o remount,rw / && echo x >/etc/x"] {
        let output = vm.sh(command);
        assert_ne!(0, output.status, "{command} worked: {}", output.text);
    }
    let options = vm.ask("grep ' / ' /proc/mounts");
    assert!(options.contains(" squashfs ro,"), "{options}");
}

#[test]
fn data_survives_a_reboot_and_runs_nothing() {
    let mut vm = Vm::boot("data");
    let first = vm.ask("cat /proc/sys/kernel/random/boot_id; echo kept >/data/note; sync");
    let options = vm.ask("grep ' /data ' /proc/mounts");
    for option in ["nosuid", "nodev", "noexec"] {
        assert!(options.contains(option), "{options}");
    }
    vm.reboot();
    let second = vm.ask("cat /proc/sys/kernel/random/boot_id");
    assert_ne!(first.trim(), second.trim(), "the machine did not restart");
    assert_eq!("kept\n", vm.ask("cat /data/note"));
}

#[test]
fn holds_no_password_and_no_setuid_file() {
    let mut vm = Vm::boot("accounts");
    let found = vm.ask("find / -xdev -type f '(' -perm -4000 -o -perm -2000 ')'");
    assert_eq!("", found.trim());
    let accounts = vm.ask("cut -d : -f 1,2 /etc/passwd");
    assert!(accounts.lines().any(|account| account == "root:!"), "{accounts}");
    for account in accounts.lines().filter(|account| !account.is_empty()) {
        assert!(account.ends_with(":!"), "{account} has a password");
    }
    assert_ne!(0, vm.sh("ls /etc/shadow").status);
}

#[test]
fn simulated_target_comes_and_belongs_to_the_right_process() {
    let mut vm = Machine::named("target").with_target().boot();
    // Drivers load beside the services, so each of these comes when it comes.
    for condition in [
        "[ -e /sys/class/udc/dummy_udc.0 ]",
        "[ \"$(cat /sys/kernel/config/gpio-sim/farhand/live)\" = 1 ]",
        "[ \"$(stat -c %U:%G:%a /dev/video0)\" = root:farhand:660 ]",
    ] {
        vm.ask(&format!("until {condition}; do sleep 0.1; done"));
    }
    let label = vm.ask("cat /sys/kernel/config/gpio-sim/farhand/bank0/label");
    assert_eq!("farhand-sim\n", label);
    // The kernel is its own target: what looks like a button press from outside is seen inside.
    let line = vm.ask("echo /sys/devices/platform/gpio-sim.0/gpiochip*/sim_gpio2").trim().to_owned();
    let seen = vm.ask(&format!(
        "/tmp/peek/peek watch {line}/value --for 5000 >/tmp/seen & until [ -s /tmp/seen ]; do sleep 0.05; done; \
         echo pull-up >{line}/pull; wait; cat /tmp/seen"
    ));
    let values: Vec<_> = seen.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(["0", "1"], values[..], "{seen}");
}
