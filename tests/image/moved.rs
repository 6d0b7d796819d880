//! Pulls the network cable and plugs it in again, as when the appliance is moved to another network.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use crate::vm::Vm;

/// Gives QEMU a command, and waits until it is done.
#[track_caller]
fn order(monitor: &mut BufReader<UnixStream>, command: &str) {
    monitor.get_mut().write_all(format!("{command}\n").as_bytes()).unwrap();
    loop {
        let mut line = String::new();
        assert_ne!(0, monitor.read_line(&mut line).unwrap(), "QEMU has gone");
        assert!(!line.contains("\"error\""), "{command}: {line}");
        if line.contains("\"return\"") {
            return;
        }
    }
}

#[test]
fn a_cable_that_is_plugged_in_again_has_the_address_asked_for_anew() {
    let name = "moved";
    let socket = std::env::temp_dir().join(format!("farhand-{}-{name}", std::process::id()));
    let monitor = format!("unix:{},server=on,wait=off", socket.display());
    let mut vm = Vm::boot_with(name, &["-qmp".into(), monitor]);
    let mut monitor = BufReader::new(UnixStream::connect(&socket).expect("QEMU listens before the guest runs"));
    let _ = std::fs::remove_file(&socket);
    order(&mut monitor, r#"{"execute":"qmp_capabilities"}"#);
    let mut plug = |up: bool| {
        order(&mut monitor, &format!(r#"{{"execute":"set_link","arguments":{{"name":"net","up":{up}}}}}"#));
    };

    let given = |times: u32| {
        format!("until [ $(grep -c 'eth0 10.0.2.15/24' /run/log/network/current) = {times} ]; do sleep 0.1; done")
    };
    vm.ask(&given(1));
    for times in 2..=3 {
        plug(false);
        vm.ask("until [ \"$(cat /sys/class/net/eth0/carrier)\" = 0 ]; do sleep 0.1; done");
        plug(true);
        vm.ask(&given(times));
    }
    vm.ask("ip route | grep -q '^default via 10.0.2.2' && grep -q nameserver /run/resolv.conf");

    // The service's helpers end with it, however it ends: here by force.
    let helpers = "ps w | grep -c '[f]arhand carrier'";
    assert_eq!("1", vm.ask(helpers).trim());
    vm.ask("old=$(cat /run/sv/network/pid); kill -KILL $old; until [ \"$(cat /run/sv/network/pid)\" != $old ]; do sleep 0.1; done");
    vm.ask(&given(4));
    assert_eq!("1", vm.ask(helpers).trim());
}
