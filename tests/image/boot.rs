//! Measures how long the image takes from the kernel's start to each stage that an owner waits for: `make bench-boot`.
//!
//! Times are the guest's own, so that QEMU's own start does not count; but it emulates as fast as this machine can, so
//! other load here counts. Each boot is the first of a new card: the key and the claim code are made in it.

// For the person who runs this, a panic's message is as good as any other.
#![allow(clippy::unwrap_used)]
// The tests use more of a machine than a measurement does.
#![allow(dead_code)]

mod owner;
mod poll;
mod shell;
mod terminal;
mod vm;

use std::fs;
use std::time::{Duration, Instant};

use owner::Owner;
use vm::{BOOT, Machine, Vm};

/// The stages, in their likely order.
const STAGES: [&str; 6] =
    ["init", "services", "keyboard and pointer at the target", "address by DHCP", "claim code", "page"];

fn main() {
    let runs = std::env::args().nth(1).map_or(5, |runs| runs.parse().expect("usage: boot [RUNS]"));
    let boots: Vec<_> = (1..=runs).map(|run| boot(&format!("boot-{run}"))).collect();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{runs} boots, seconds since the kernel's start; this machine's load was {}", load.trim());
    println!("| | median | least | most |\n|---|---|---|---|");
    for (stage, name) in STAGES.iter().enumerate() {
        let mut times: Vec<_> = boots.iter().map(|boot| boot[stage]).collect();
        times.sort_by(f64::total_cmp);
        println!("| {name} | {:.2} | {:.2} | {:.2} |", times[times.len() / 2], times[0], times[times.len() - 1]);
    }
}

/// Boots once, and returns when each stage was reached.
fn boot(name: &str) -> [f64; STAGES.len()] {
    let mut vm = Machine::named(name).unaltered().switch_on();
    vm.wait_console("claim code: ", BOOT);
    let code = Instant::now();
    Owner::at(vm.https, &vm.folder).wait_status("/api/v1/health", 200, BOOT);
    let page = Instant::now();

    vm.meet_shell();
    let here = Instant::now();
    let uptime: f64 = vm.ask("cut -d ' ' -f 1 /proc/uptime").trim().parse().unwrap();
    // The guest read its clock between question and answer; the middle is the best guess.
    let here = here + here.elapsed() / 2;
    let then = |then: Instant| uptime - (here - then).as_secs_f64();

    // "<6>[    0.753831] Run /sbin/init as init process"
    let init = vm.ask("dmesg | grep 'Run /sbin/init' | cut -d [ -f 2 | cut -d ] -f 1").trim().parse().unwrap();
    // In hundredths of a second (proc_pid_stat(5), starttime).
    let services = vm.ask(
        "for process in /proc/[0-9]*; do
            if read -r name <$process/comm && [ $name = runsvdir ]; then cut -d ' ' -f 22 $process/stat; fi
        done",
    );
    let services = services.trim().parse::<f64>().unwrap() / 100.0;
    let gadget = logged(&mut vm, "hands", "keyboard and pointer are at USB controller");
    let address = logged(&mut vm, "network", "lease of");
    [init, services, gadget, address, then(code), then(page)]
}

/// When a service first logged this text. A line with both times relates the log's clock to the kernel's.
fn logged(vm: &mut Vm, service: &str, text: &str) -> f64 {
    let mark = format!("<farhand boot {service}>");
    let lines = vm.sh_within(
        &format!(
            "until grep '{text}' /run/log/{service}/current; do sleep 0.2; done | head -n 1
            echo '{mark}' >/dev/kmsg; until grep '{mark}' /run/log/kernel/current; do sleep 0.1; done"
        ),
        Duration::from_secs(60),
    );
    let lines: Vec<_> = lines.text.lines().filter(|line| !line.is_empty()).collect();
    // "2026-11-22_18:05:01.12345 12,345,6789012,-;text": the kernel counts microseconds.
    let micros: f64 = lines[1].split(',').nth(2).unwrap().parse().unwrap();
    micros / 1e6 - (clock(lines[1]) - clock(lines[0]))
}

/// The second of the day in which a line was logged.
fn clock(line: &str) -> f64 {
    let time = line.split(['_', ' ']).nth(1).unwrap();
    time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}
