//! Checks what the image shows to the network: as little as can be, and only what is documented.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::vm::{BOOT, Vm};

#[test]
fn only_the_daemon_listens() {
    let mut vm = Vm::boot("listeners");
    vm.wait_console("claim code: ", BOOT);
    // The DHCP client listens too, but to raw packets, and only until it has an address.
    vm.ask("until ip -4 addr show dev eth0 | grep -q inet; do sleep 0.1; done");
    vm.ask("until /tmp/peek/peek listeners | grep -q ' 80$'; do sleep 0.1; done");
    let listeners = vm.ask("/tmp/peek/peek listeners");
    let mut listeners: Vec<_> = listeners.lines().filter(|line| !line.is_empty()).collect();
    listeners.sort_unstable();
    assert_eq!(["tcp6 :: 443", "tcp6 :: 80"], listeners[..]);
}

#[test]
fn ports_are_reached_from_outside() {
    let mut vm = Vm::boot("ports");
    vm.wait_console("claim code: ", BOOT);
    vm.ask("until ip -4 addr show dev eth0 | grep -q inet; do sleep 0.1; done");
    for port in [vm.https, vm.http] {
        // QEMU itself accepts, and hangs up at once when the guest does not: so ask for silence,
        // which a server that waits for our request gives.
        let deadline = Instant::now() + BOOT;
        while !waits_for_a_request(port) {
            assert!(Instant::now() < deadline, "nobody answers on the guest's side of port {port}");
        }
    }
}

fn waits_for_a_request(port: u16) -> bool {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    matches!(stream.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}
