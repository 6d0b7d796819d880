//! Checks the running image: its root is never written, stored files cannot be run, and no process opens or listens to
//! more than it needs. What is in the root is checked without a machine (`board/common/check-root.sh`).

use crate::vm::{Machine, Vm};

#[test]
fn services_stay_up_on_a_root_that_cannot_be_written() {
    let mut vm = Machine::named("services").leaping().boot();
    for service in ["network", "mdev", "hands", "serve", "guard", "kernel", "time"] {
        // Ten seconds old: a service that fails at every start never gets there.
        vm.ask(&format!("until sv status /etc/sv/{service} | grep -qE '^run: .*[0-9]{{2,}}s'; do sleep 0.5; done"));
    }
    assert_eq!("7", vm.ask("ls /etc/sv | wc -l").trim());
    // It is not only mounted read-only: it must also refuse to be made writable.
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
fn the_target_belongs_to_the_hands_and_the_network_to_serve() {
    let mut vm = Machine::named("target").with_target().boot();
    // Drivers load while the services start, so these appear in any order.
    for condition in [
        "[ -e /sys/class/udc/dummy_udc.0 ]",
        "[ \"$(cat /sys/kernel/config/gpio-sim/farhand/live)\" = 1 ]",
        "[ \"$(stat -c %U:%G:%a /dev/video0)\" = root:farhand:660 ]",
        "[ \"$(cat /sys/kernel/config/usb_gadget/*/UDC)\" = dummy_udc.0 ]",
    ] {
        vm.ask(&format!("until {condition}; do sleep 0.1; done"));
    }
    let label = vm.ask("cat /sys/kernel/config/gpio-sim/farhand/bank0/label");
    assert_eq!("farhand-sim\n", label);
    // The kernel simulates the target: a button press from outside is seen inside.
    let line = vm.ask("echo /sys/devices/platform/gpio-sim.0/gpiochip*/sim_gpio2").trim().to_owned();
    let seen = vm.ask(&format!(
        "/tmp/peek/peek watch {line}/value --for 5000 >/tmp/seen & until [ -s /tmp/seen ]; do sleep 0.05; done; \
         echo pull-up >{line}/pull; wait; cat /tmp/seen"
    ));
    let values: Vec<_> = seen.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(["0", "1"], values[..], "{seen}");

    // Multicast DNS, which any configuration can switch off; it starts a moment after the page.
    let text =
        vm.ask("until /tmp/peek/peek listeners | grep -q ':: 5353'; do sleep 0.1; done; /tmp/peek/peek listeners");
    let mut ports: Vec<&str> = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, rest)| rest).collect();
    ports.sort_unstable();
    assert_eq!(["0.0.0.0 5353", ":: 443", ":: 5353", ":: 80"].as_slice(), ports.as_slice(), "{text}");

    let status = vm.ask("cat /proc/$(cat /run/sv/serve/pid)/status");
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    assert_ne!("0", field("Uid:").split_whitespace().next().unwrap_or("0"), "{status}");
    assert_eq!("0000000000000000", field("CapEff:"), "{status}");
    let mut open = |service: &str| vm.ask(&format!("ls -l /proc/$(cat /run/sv/{service}/pid)/fd"));
    let (hands, serve) = (open("hands"), open("serve"));
    for device in ["hidg", "gpio"] {
        assert!(hands.contains(device), "hands has {device} open: {hands}");
        assert!(!serve.contains(device), "serve has no {device} open: {serve}");
    }
    assert!(!serve.contains("/sys/kernel/config"), "{serve}");
}

#[test]
fn each_process_has_fenced_itself_in() {
    let mut vm = Machine::named("fences").with_target().boot();
    // With everything that they look for there, what a fence keeps from them shows in the log.
    vm.ask("until [ \"$(cat /sys/kernel/config/usb_gadget/*/UDC)\" = dummy_udc.0 ]; do sleep 0.1; done");
    for service in ["serve", "hands", "guard"] {
        let status = vm.ask(&format!("cat /proc/$(cat /run/sv/{service}/pid)/status"));
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        assert_eq!(("1", "2"), (field("NoNewPrivs:"), field("Seccomp:")), "{service}: {status}");
        let log = vm.ask(&format!("cat /run/log/{service}/current"));
        let fenced = format!("{service} is fenced in by capabilities, Landlock, seccomp");
        assert!(log.contains(&fenced) && !log.contains("without a fence"), "{log}");
        for error in ["Permission denied", "Operation not permitted"] {
            assert!(!log.contains(error), "{service}: {log}");
        }
    }
}
