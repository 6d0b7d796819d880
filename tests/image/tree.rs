//! Checks the device tree on a card, and that a slot brings its own part of it.
//!
//! QEMU's model lacks what only a Pi has. So the tree is compared with the kernel instead, and what no test boots is
//! kept in a list, unproven.txt, which cannot grow unnoticed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pi::{A, B, Card, Part, Pi, run};
use crate::release::Release;

/// A node that no release has.
const ADDITION: &str = "\n&{/} {\n\tfarhand-next { answer = \"yes\"; };\n};\n";

/// Where Linux shows it.
const NODE: &str = "/proc/device-tree/farhand-next/answer";

/// Kernel options, each with the names that its driver matches: what a Pi's card, network or picture depends on.
const DRIVERS: [(&str, &str, &str); 7] = [
    ("GPIO_RASPBERRYPI_EXP", "raspberrypi,firmware-gpio", "the card needs a driver"),
    ("REGULATOR_GPIO", "regulator-gpio", "the card needs a driver"),
    ("CLK_RASPBERRYPI", "raspberrypi,firmware-clocks", "a driver for raspberrypi,firmware-clocks: "),
    ("RESET_RASPBERRYPI", "raspberrypi,firmware-reset", "the USB sockets' controller needs a driver"),
    ("BCM2835_MBOX", "brcm,bcm2835-mbox", "the card needs a driver"),
    ("BCMGENET", "brcm,bcm2711-genet-v5", "the network needs a driver"),
    ("VIDEO_BCM2835_UNICAM", "brcm,bcm2835-unicam", "a picture from the camera connector needs a driver"),
];

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = top().join("out/run").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("out/ can be written");
    folder
}

/// The tree on the card, and a slot's overlay for it, as they were built last.
fn built() -> (PathBuf, PathBuf) {
    (top().join("out/rpi4/farhand-rpi4.dtb"), top().join("out/rpi4/slot.dtbo"))
}

#[track_caller]
fn lay(over: &Path, tree: &Path, whole: &Path) {
    run(Command::new("fdtoverlay").arg("-i").arg(tree).arg("-o").arg(whole).arg(over));
}

/// A check's output; empty if it found nothing.
fn said(command: &mut Command) -> String {
    let output = command.output().expect("the check can be run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

#[test]
fn what_the_firmware_reads_keeps_the_contract_and_a_wrong_line_is_named() {
    let folder = folder("firmware");
    let (config, tree, slot) = (folder.join("config.txt"), folder.join("tree.dtb"), folder.join("slot.dtbo"));
    let check = |change: &dyn Fn()| {
        fs::copy(top().join("board/rpi4/config.txt"), &config).unwrap();
        fs::copy(built().0, &tree).unwrap();
        fs::copy(built().1, &slot).unwrap();
        change();
        said(Command::new(top().join("board/rpi4/check-firmware.sh")).args([&config, &tree, &slot]))
    };
    let set = |kind: &str, node: &str, property: &str, value: &str| {
        run(Command::new("fdtput").args(["-t", kind]).arg(&tree).args([node, property, value]));
    };
    let edit = |from: &str, to: &str| {
        let source = fs::read_to_string(top().join("board/rpi4/slot.dtso")).unwrap();
        assert!(source.contains(from), "slot.dtso has no {from}");
        let changed = folder.join("slot.dtso");
        fs::write(&changed, source.replace(from, to)).unwrap();
        run(Command::new("dtc").args(["-q", "-I", "dts", "-O", "dtb", "-o"]).arg(&slot).arg(&changed));
    };
    assert_eq!("", check(&|| ()));
    let (panel, uart) = ("/soc/gpio@7e200000/farhand-front-panel", "/soc/serial@7e201000");
    for (said, complaint) in [
        (check(&|| fs::write(&config, "gpio=17,22,23,27=op,dh\n").unwrap()), "config.txt does not open the relays"),
        (check(&|| set("u", panel, "brcm,function", "1")), "the device tree does not open the relays"),
        (check(&|| set("s", "/soc/usb@7e980000", "dr_mode", "host")), "does not make the USB-C socket a keyboard's"),
        (check(&|| set("s", "/aliases", "serial0", "/soc/serial@7e215040")), "serial0 is not the PL011"),
        (check(&|| set("s", "/chosen", "stdout-path", "serial1:115200n8")), "the console is not serial0 but serial1"),
        (check(&|| set("s", uart, "status", "disabled")), "the console's UART is switched off"),
        (check(&|| set("s", "/soc/serial@7e215040", "status", "okay")), "the small UART is on"),
        (
            check(&|| edit("&hdmi1 {\n\tstatus = \"disabled\"", "&hdmi1 {\n\tstatus = \"okay\"")),
            "display: hdmi@7ef05700",
        ),
        (check(&|| edit("critical-action = \"reboot\"", "critical-action = \"shutdown\"")), "switches a hot Pi off"),
        (check(&|| edit("type = \"passive\"", "type = \"active\"")), "does not slow a hot Pi down"),
        (check(&|| edit("&hdmi1 {", "&no_such_label {")), "does not go over the card's device tree"),
    ] {
        assert!(said.contains(complaint), "{complaint}: it said: {said}");
    }
}

#[test]
fn a_kernel_without_a_driver_that_a_pi_hangs_on_breaks_the_contract() {
    let folder = folder("drivers");
    let (whole, image, modules) = (folder.join("whole.dtb"), folder.join("Image"), folder.join("modules"));
    lay(&built().1, &built().0, &whole);
    let kernel = fs::read(top().join("out/rpi4/Image")).unwrap();
    let root = top().join("out/rpi4/root.squashfs");
    let list =
        Command::new("unsquashfs").arg("-cat").arg(root).arg("usr/lib/modules/*/modules.alias").output().unwrap();
    let aliases = String::from_utf8(list.stdout).unwrap();
    assert!(aliases.contains("unicam"), "the root has no list of modules: {aliases}");
    fs::create_dir_all(&modules).unwrap();
    let check = |without: Option<&str>| {
        let name = without.unwrap_or("no such driver");
        fs::write(&image, without_name(&kernel, name)).unwrap();
        let kept: Vec<_> = aliases.lines().filter(|line| !line.contains(name)).collect();
        fs::write(modules.join("modules.alias"), kept.join("\n") + "\n").unwrap();
        said(Command::new(top().join("board/rpi4/check-drivers.py")).args([&whole, &image, &modules]))
    };
    assert_eq!("", check(None));
    for (option, name, complaint) in DRIVERS {
        let said = check(Some(name));
        assert!(said.contains(complaint) && said.contains(name), "without {option}: {said}");
    }
    // A node that was renamed or disabled is not the one that was tested.
    for (change, complaint) in [
        (["-r", "/emmc2bus/mmc@7e340000", ""], "the card: the device tree has no /emmc2bus/mmc@7e340000"),
        (["", "/scb/ethernet@7d580000", "disabled"], "the network: /scb/ethernet@7d580000 is switched off"),
    ] {
        lay(&built().1, &built().0, &whole);
        let mut put = Command::new("fdtput");
        match change {
            [remove, node, ""] => run(put.arg(remove).arg(&whole).arg(node)),
            [_, node, status] => run(put.args(["-t", "s"]).arg(&whole).args([node, "status", status])),
        }
        let said = check(None);
        assert!(said.contains(complaint), "{complaint}: {said}");
    }
}

/// The kernel as if it had no driver that matches this name.
fn without_name(kernel: &[u8], name: &str) -> Vec<u8> {
    let mut kernel = kernel.to_vec();
    let name = [b"\0", name.as_bytes(), b"\0"].concat();
    while let Some(at) = position_of(&kernel, &name) {
        kernel[at + 1] = b'-';
    }
    kernel
}

fn position_of(bytes: &[u8], part: &[u8]) -> Option<usize> {
    // Much faster than windows(): the name's own first byte is rarer than zero.
    let mut from = 0;
    while let Some(found) = bytes[from..].iter().position(|&byte| byte == part[1]) {
        let at = from + found;
        if 0 < at && bytes[at - 1..].starts_with(part) {
            return Some(at - 1);
        }
        from = at + 1;
    }
    None
}

#[test]
fn what_of_the_device_tree_no_test_boots_is_listed() {
    let folder = folder("unproven");
    let (whole, qemu, dumped) = (folder.join("whole.dtb"), folder.join("qemu.dtb"), folder.join("dumped.dtb"));
    lay(&built().1, &built().0, &whole);
    run(Command::new(top().join("tests/image/qemu-dtb.sh")).args([&built().0, &qemu]));
    // QEMU itself disables what it knows that it lacks; U-Boot then applies the slot's overlay.
    let dump = format!("raspi4b,dumpdtb={}", dumped.display());
    let kernel = top().join("out/rpi4/u-boot.bin");
    let mut command = Command::new("qemu-system-aarch64");
    run(command.args(["-display", "none", "-M", &dump]).arg("-kernel").arg(kernel).arg("-dtb").arg(&qemu));
    lay(&built().1, &dumped, &qemu);
    let (product, model) = (properties(&whole), properties(&qemu));
    let mut found = BTreeSet::new();
    for (node, values) in &product {
        // Nodes that a Pi's firmware, or QEMU instead, fills in.
        if node == "/chosen" || node.starts_with("/memory@") {
            continue;
        }
        let Some(others) = model.get(node) else {
            // With all its children.
            if node.rsplit_once('/').is_some_and(|(above, _)| above.is_empty() || model.contains_key(above)) {
                found.insert(format!("{node} is taken away"));
            }
            continue;
        };
        let names: BTreeSet<_> = values.keys().chain(others.keys()).collect();
        found.extend(names.into_iter().filter_map(|name| match (values.get(name), others.get(name)) {
            (one, other) if one == other => None,
            (_, other) => Some(format!("{node} {name} = {}", other.map_or("nothing", String::as_str))),
        }));
    }
    let list = fs::read_to_string(top().join("tests/image/unproven.txt")).unwrap();
    let known: BTreeSet<_> = list.lines().filter(|line| line.starts_with('/')).map(str::to_owned).collect();
    assert_eq!(known, found, "tests/image/unproven.txt and what QEMU lacks differ");
}

/// The properties of each node, as dtc writes them.
fn properties(tree: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let output = Command::new("dtc").args(["-q", "-s", "-I", "dtb", "-O", "dts"]).arg(tree).output().unwrap();
    let (mut path, mut nodes) = (Vec::new(), BTreeMap::new());
    for line in String::from_utf8(output.stdout).unwrap().lines().map(str::trim) {
        let here = |path: &[String]| if path.len() < 2 { "/".to_owned() } else { path.join("/") };
        if let Some(name) = line.strip_suffix(" {") {
            path.push(name.trim_matches('/').to_owned());
            nodes.insert(here(&path), BTreeMap::new());
        } else if line == "};" {
            path.pop();
        } else if let Some(property) = line.strip_suffix(';') {
            let (name, value) = property.split_once(" = ").unwrap_or((property, "true"));
            nodes.entry(here(&path)).or_default().insert(name.to_owned(), value.to_owned());
        }
    }
    nodes.remove("/__symbols__");
    nodes
}

#[test]
fn an_update_brings_what_it_needs_of_the_device_tree_and_leaves_it_to_nobody() {
    let card = Card::copy("tree");
    card.fill(B, &Release::with_tree(&card.folder.join("next"), ADDITION));
    card.set_environment(&[("BOOT_ORDER", "B A"), ("BOOT_B_LEFT", "1")]);
    let mut pi = Pi::start(card);
    pi.meet_shell();
    assert_eq!(B, pi.slot());
    pi.ask(&format!("grep -q yes {NODE}"));
    // From every slot's overlay of this release, and from the card's tree.
    pi.ask("grep -q passive /proc/device-tree/thermal-zones/cpu-thermal/trips/cpu-hot/type");
    pi.ask("ls -d /proc/device-tree/soc/gpio@7e200000/farhand-front-panel");

    // An overlay that does not fit is skipped: a Pi without it still works for its owner.
    let card = pi.unplug();
    card.fill(B, &Release::with_tree(&card.folder.join("misfit"), "\n&no_such_label { status = \"okay\"; };\n"));
    card.set_environment(&[("BOOT_B_LEFT", "1")]);
    let mut pi = Pi::start(card);
    pi.meet_shell();
    assert_eq!(B, pi.slot());
    pi.ask(&format!("[ ! -e {NODE} ] && [ ! -e /proc/device-tree/thermal-zones/cpu-thermal/trips/cpu-hot ]"));
    pi.ask("ls -d /proc/device-tree/soc/gpio@7e200000/farhand-front-panel");

    // It is not confirmed, and its only try is used, so this boot falls back.
    let card = pi.unplug();
    card.flip(Part::Root(B), 0);
    let mut pi = Pi::start(card);
    pi.meet_shell();
    assert_eq!(A, pi.slot());
    pi.ask(&format!("[ ! -e {NODE} ]"));
    pi.ask("grep -q passive /proc/device-tree/thermal-zones/cpu-thermal/trips/cpu-hot/type");
}
