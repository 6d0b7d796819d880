//! Works the image from a browser, as an owner would.

use std::time::Duration;

use crate::browser;
use crate::vm::{Machine, Vm};

#[test]
fn a_first_hour_in_the_browser() {
    browser::run("first-hour", "story.spec.ts");
}

#[test]
fn what_an_owner_must_trust_when_something_fails() {
    browser::run("faults", "image.spec.ts");
}

#[test]
fn nothing_listens_but_the_page_and_the_name() {
    let mut vm = Vm::boot("listeners");
    vm.wait_console("claim code: ", Duration::from_secs(60));
    // Multicast DNS, which any configuration can switch off; it starts a moment after the page.
    let text =
        vm.ask("until /tmp/peek/peek listeners | grep -q ':: 5353'; do sleep 0.1; done; /tmp/peek/peek listeners");
    let mut ports: Vec<&str> = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, rest)| rest).collect();
    ports.sort_unstable();
    assert_eq!(["0.0.0.0 5353", ":: 443", ":: 5353", ":: 80"].as_slice(), ports.as_slice(), "{text}");
}

#[test]
fn serve_holds_no_privilege_and_no_device_but_the_camera() {
    let mut vm = Machine::named("privileges").with_target().boot();
    vm.wait_console("claim code: ", Duration::from_secs(60));
    let status = vm.ask("cat /proc/$(cat /run/sv/serve/pid)/status");
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    assert_ne!("0", field("Uid:").split_whitespace().next().unwrap_or("0"), "{status}");
    assert_eq!("0000000000000000", field("CapEff:"), "{status}");
    let open = vm.ask("ls -l /proc/$(cat /run/sv/serve/pid)/fd");
    for device in ["hidg", "gpiochip", "/sys/kernel/config"] {
        assert!(!open.contains(device), "{open}");
    }
}
