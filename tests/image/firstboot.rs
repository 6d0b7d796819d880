//! Starts the appliance as its first owner does: from a card just written, on a network that is not prepared for it.
//!
//! The everyday image boots without a card, so most tests plug one in and then have rcS's own last lines run again.

use std::process::Command;
use std::time::Duration;

use crate::blank::Blank;
use crate::lan::{self, GUEST, Lan, TODAY, US, labels};
use crate::poll::until;
use crate::vm::{self, BOOT, Machine, Vm};

/// Long enough for a service to start while a build keeps the host busy.
const SERVICE_START: Duration = Duration::from_secs(60);

/// Names the card's partitions as on a board, and uses its /data instead of the one that the machine started with.
const PLUG_IN: &str = "sv stop serve hands >/dev/null
    mkdir -p /dev/slots
    ln -s /dev/vdd /dev/slots/disk
    ln -s /dev/vdd1 /dev/slots/firmware
    ln -s /dev/vdd3 /dev/slots/data
    umount /data
    e2fsck -p /dev/slots/data >/dev/null
    mount -t ext4 -o nosuid,nodev,noexec,noatime /dev/vdd3 /data && chown root:farhand /data && chmod 1770 /data";

/// What rcS does once /data is there, before any service.
const GO_ON: &str = "sv stop serve hands >/dev/null
    sed -n '/^.usr.libexec.first-boot/,$p' /etc/init.d/rcS >/tmp/rest
    [ -s /tmp/rest ] && sh /tmp/rest && sv restart network >/dev/null && sv start hands serve >/dev/null";

fn boot(name: &str, card: &Blank) -> Vm {
    let mut vm = Machine::named(name).more(card.arguments()).boot();
    vm.wait_console("claim code: ", BOOT);
    vm.ask(PLUG_IN);
    vm.ask(GO_ON);
    vm
}

/// Waits until the code is on the card. From then on the guest does not touch the partition, so that a laptop may.
#[track_caller]
fn note(card: &Blank) -> String {
    until("the code is on the card", SERVICE_START, || {
        Some(card.read("claim-code.txt")).filter(|note| !note.contains("none"))
    })
}

/// Waits until the card says that nobody needs a code any more.
#[track_caller]
fn owned(card: &Blank) {
    until("the code is taken away", SERVICE_START, || {
        card.read("claim-code.txt").contains("has an owner").then_some(())
    });
}

/// How many sectors of the FAT partition have changed.
fn changed(before: &[u8], card: &Blank) -> usize {
    let after = card.fat();
    before.chunks(512).zip(after.chunks(512)).filter(|(before, after)| before != after).count()
}

/// Sends JSON to the page's interface, and returns the status and the answer.
fn post(vm: &Vm, path: &str, json: &str) -> (String, String) {
    let url = format!("https://127.0.0.1:{}{path}", vm.https);
    let output = Command::new("curl")
        .args(["-sk", "--retry", "20", "--retry-connrefused", "--retry-all-errors", "-w", "\n%{http_code}"])
        .args(["-H", "Content-Type: application/json", "-d", json, &url])
        .output()
        .expect("make test-image installs curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or_default();
    (status.to_string(), body.to_string())
}

#[test]
fn an_owner_without_a_screen_finds_the_code_on_the_card() {
    let card = Blank::new("code", 128);
    let fresh = card.fat();
    let mut vm = boot("code", &card);
    let note = note(&card);
    let code = note.trim().trim_start_matches("claim code: ");
    assert_eq!(9, code.len(), "{note:?}");
    assert_eq!(1, changed(&fresh, &card), "the board boots from it, so the power may fail at any moment");
    assert_ne!(0, vm.sh(&format!("grep -r -e {code} /run/log")).status, "the code is in a log");
    assert_ne!(0, vm.sh("grep firmware /proc/mounts").status, "the partition that the board boots from stays mounted");

    let claim = format!(r#"{{"code":"{code}","user":"anna","password":"correct horse"}}"#);
    let (status, said) = post(&vm, "/api/v1/claim", &claim);
    assert_eq!("200", status, "{said}");
    owned(&card);
    assert_eq!(1, changed(&fresh, &card));

    // The next start finds an owner; a note that a power cut left behind is removed too.
    card.put("claim-code.txt", &note);
    vm.ask("sv restart serve");
    owned(&card);

    // A file that is not ours is not written, and the log says why the code is not in it.
    card.put("claim-code.txt", "mine\n");
    vm.ask("sv restart serve");
    vm.ask("until grep -r 'claim-code.txt on this card is left as it is: it has 5 bytes' /run/log; do sleep 0.1; done");
    assert_eq!("mine\n", card.read("claim-code.txt"));
}

#[test]
fn the_card_counts_until_it_names_an_owner() {
    let card = Blank::new("card", 128);
    card.put("farhand.toml", "[network]\nhost = \"rack 7\"\n");
    let mut vm = boot("card", &card);
    note(&card);
    let error = card.read("farhand-error.txt");
    assert!(error.contains("rack 7") && error.contains("line 2"), "{error}");
    vm.wait_console("rack 7", SERVICE_START);
    assert_ne!(0, vm.sh("ls /data/farhand.toml").status);
    assert_eq!("farhand-3456\n", vm.ask("hostname"), "named by its network card, because it has no serial number");

    let hash = vm.ask("echo 'correct horse' | farhand hash-password");
    let good = format!(
        "[network]\nhost = \"rack-7\"\naddress = \"10.0.2.15/24\"\ngateway = \"10.0.2.2\"\ndns = [\"10.0.2.3\"]\nmdns = false\n\
         [claim]\nuser = \"anna\"\npassword_hash = \"{}\"\n",
        hash.trim()
    );
    card.put("farhand.toml", &good);
    vm.ask(GO_ON);
    vm.wait_console("took farhand.toml, and the owner", SERVICE_START);
    let error = card.read("farhand-error.txt");
    assert!(error.contains("Nothing is wrong"), "what was wrong is right now: {error}");
    assert_eq!("rack-7\n", vm.ask("hostname"));
    let kept = vm.ask("cat /data/farhand.toml");
    assert!(kept.contains("rack-7") && !kept.contains("argon2"), "{kept}");
    assert_eq!("root:root:644\nfarhand:farhand:600\n", vm.ask("stat -c %U:%G:%a /data/farhand.toml /data/users.json"));
    // A fixed address, and no DHCP client.
    vm.ask("until ip -4 addr show dev eth0 | grep -q 'inet 10.0.2.15/24'; do sleep 0.1; done");
    vm.ask("until [ \"$(cat /run/resolv.conf)\" = 'nameserver 10.0.2.3' ]; do sleep 0.1; done");
    vm.ask("until ip route | grep -q 'default via 10.0.2.2'; do sleep 0.1; done");
    assert_ne!(0, vm.sh("ps | grep '[u]dhcpc'").status);

    let (status, said) = post(&vm, "/api/v1/login", r#"{"user":"anna","password":"correct horse"}"#);
    assert_eq!("200", status, "{said}");

    let listeners = vm.ask("/tmp/peek/peek listeners");
    assert!(listeners.contains(":: 443") && !listeners.contains("5353"), "{listeners}");

    // By its name, which its certificate carries.
    let certificate = card.path.with_extension("pem");
    std::fs::write(&certificate, vm.ask("cat /data/tls/certificate.pem")).unwrap();
    for (name, expected) in [("rack-7.local", "401"), ("rack-7", "401"), ("farhand-3456.local", "")] {
        let output = Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"])
            .arg(&certificate)
            .args(["--resolve", &format!("{name}:{}:127.0.0.1", vm.https)])
            .arg(format!("https://{name}:{}/api/v1/seats", vm.https))
            .output()
            .expect("make test-image installs curl");
        // curl's 60: the certificate is another's.
        assert_eq!(expected.is_empty(), output.status.code() == Some(60), "{name}: {output:?}");
        assert!(expected.is_empty() || output.stdout == expected.as_bytes(), "{name}: {output:?}");
    }

    // Somebody borrows the card.
    card.put("farhand.toml", "[network]\nhost = \"mine-now\"\n");
    vm.ask(GO_ON);
    assert_eq!(kept, vm.ask("cat /data/farhand.toml"));
    assert_eq!("rack-7\n", vm.ask("hostname"));
}

#[test]
fn the_very_card_image_is_configured_by_its_first_boot() {
    let card = Blank::of_image("very-card");
    card.put("farhand.toml", "[network]\nhost = \"rack-9\"\n");
    let mut vm = Machine::named("very-card").kernel(&vm::slot_a()).unaltered().more(card.arguments()).boot();
    vm.wait_console("took farhand.toml from the card", BOOT);
    let code = vm.wait_console("claim code: ", BOOT);
    // Nothing was named by hand: the parts of the card are found by the disk that holds the root.
    assert!(vm.ask("ls -l /dev/slots/firmware").contains("-> /dev/vdd1"));
    assert_eq!("rack-9\n", vm.ask("hostname"));
    assert_eq!(code.trim(), note(&card).trim());
    // The everyday machine's /data is another disk, which must not be taken for the card's.
    vm.wait_console("/data is not mounted from /dev/slots/data", SERVICE_START);

    vm.reboot();
    assert_eq!(
        code,
        vm.wait_console("claim code: ", BOOT),
        "the appliance must be switched off before the card is read"
    );
}

#[test]
fn data_grows_to_its_card_once_and_after_a_cut() {
    let card = Blank::new("grow", 8192);
    let before = card.table();
    let mut vm = Machine::named("grow").more(card.arguments()).boot();
    vm.ask(PLUG_IN);
    vm.ask("echo kept >/data/note; sync");
    vm.ask("farhand grow >/tmp/grown 2>&1 &");
    // The power is cut right after the first step.
    until("the table is written", SERVICE_START, || (card.table() != before).then_some(()));
    drop(vm);

    let grown = card.table();
    let mut vm = Machine::named("grow").more(card.arguments()).boot();
    vm.ask(PLUG_IN);
    assert_eq!("kept\n", vm.ask("cat /data/note"));
    vm.ask("farhand grow");
    let kib: u32 = vm.ask("df -k /data | sed -n 's/^.dev[^ ]* *\\([0-9]*\\).*/\\1/p'").trim().parse().unwrap();
    assert!((7500..8136).contains(&(kib / 1024)), "{kib} KiB");
    assert_eq!("kept\n", vm.ask("cat /data/note"));

    assert_eq!("", vm.ask("umount /data; e2fsck -fn /dev/vdd3 >/tmp/fsck 2>&1 || cat /tmp/fsck"));
    let writes = "sync; read -r _ _ _ _ writes _ </sys/block/vdd/stat; echo $writes";
    let quiet = vm.ask(writes);
    vm.ask("mkdir -p /tmp/card && mount -t ext4 -o ro,noload /dev/vdd3 /tmp/card");
    assert_eq!("", vm.ask("farhand grow --mounted /tmp/card"), "nothing is left to do or to log");
    assert_eq!(quiet, vm.ask(writes), "a later boot writes nothing");
    assert_eq!(grown, card.table());

    // A card that somebody has partitioned for themselves.
    vm.ask("printf 'x' | dd of=/dev/vdd bs=1 seek=440");
    let refused = vm.sh("farhand grow");
    assert!(refused.status != 0 && refused.text.contains("not one of ours"), "{refused:?}");
}

#[test]
fn the_network_learns_the_name_and_gives_address_and_time() {
    let (socket, arguments) = lan::plan("first");
    let mut vm = Machine::named("lan").more(arguments).boot();
    let lan = Lan::plug(&socket);
    // QEMU's own network announces an IPv6 prefix, as most routers do.
    vm.ask("until ip -6 addr show dev eth0 | grep -q 'inet6 fec0:.*5054:ff:fe12:3456'; do sleep 0.2; done");
    assert_ne!(0, vm.sh("ps | grep '[n]tpd'").status, "an NTP server is asked that nothing has named");

    vm.ask(
        "sv stop network >/dev/null
        ip link set eth0 down && ip link set eth0 name spare
        ip link set eth1 down && ip link set eth1 name eth0
        /usr/libexec/own-name && sv start network >/dev/null",
    );
    // Option 12, the host name, with its length.
    lan.wait_dhcp(b"\x0c\x0cfarhand-beef");
    vm.ask(&format!("until ip -4 addr show dev eth0 | grep -q 'inet {GUEST}/24'; do sleep 0.2; done"));
    // It is written once the address is there.
    vm.ask(&format!("until [ \"$(cat /run/resolv.conf)\" = 'nameserver {US}' ]; do sleep 0.2; done"));

    // Option 42 named an NTP server. Its time is far ahead of this build, and accepted.
    let today = vm.ask(&format!("until date +%F | grep {}; do sleep 0.2; done", TODAY.0));
    assert_eq!(TODAY.0, today.trim());

    // The name was taken by serve when it started; an owner's next boot would have the new one from the beginning.
    vm.ask("sv restart serve");
    let host = labels("farhand-beef.local");
    let address = [&host[..], &[0, 1, 0x80, 1]].concat();
    lan.ask("farhand-beef.local", 1, &address);
    lan.ask("farhand-beef.local", 1, &GUEST.octets());
    let instance = labels("farhand-beef");
    lan.ask("_https._tcp.local", 12, &instance[..instance.len() - 1]);
    // After any change of address, such as by a new lease or another router, the answer follows.
    vm.ask("ip addr add 10.9.0.88/24 dev eth0");
    lan.ask("farhand-beef.local", 1, &[10, 9, 0, 88]);
}

#[test]
fn a_wire_at_power_on_asks_for_a_factory_reset() {
    let mut vm = Vm::boot("reset-pin");
    // A chip with the name of a Pi's.
    vm.ask(
        "modprobe gpio-sim
        pi=/sys/kernel/config/gpio-sim/pi
        mkdir -p $pi/bank0 && echo 28 >$pi/bank0/num_lines && echo pinctrl-bcm2711 >$pi/bank0/label && echo 1 >$pi/live",
    );
    vm.ask("/usr/libexec/reset-pin; [ ! -e /data/state/factory-reset ]");
    // Asking for a pull-up moves a simulated line up once; a wire is stronger. When the wire comes late, the script
    // ends early and is run again.
    vm.ask(
        "pull=$(echo /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio26/pull)
        while echo pull-down >$pull; do sleep 0.01; done &
        wire=$!
        until [ -e /data/state/factory-reset ]; do /usr/libexec/reset-pin; done
        kill $wire",
    );
    vm.wait_console("the reset pin is held", SERVICE_START);
}
