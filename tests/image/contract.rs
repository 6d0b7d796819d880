//! Checks that the image contract (`board/common/check-*.sh`) is kept, and that a breach is noticed.
//!
//! Each test copies what was built, breaks one thing in the copy, and expects the check to name it. A check that has
//! never failed may check nothing.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bundles::forge::{COMPATIBLE, Forge, VERSION, manifest};
use crate::production;

/// A copy of the built root that a test may break.
struct Root(PathBuf);

impl Root {
    fn unpack(name: &str) -> Root {
        Root::unpack_of("virt", name)
    }

    fn unpack_of(board: &str, name: &str) -> Root {
        let root = folder(name).join("root");
        let packed = built_of(board, "root.squashfs");
        let status =
            Command::new("unsquashfs").args(["-quiet", "-no-progress", "-dest"]).arg(&root).arg(packed).status();
        assert!(status.expect("squashfs-tools is installed").success());
        Root(root)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.0.join(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from:?}");
        self.write(name, &text.replacen(from, to, 1));
    }
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/run/contract").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("out/ can be written");
    folder
}

/// A file that `make image-quick` made.
fn built(name: &str) -> PathBuf {
    built_of("virt", name)
}

fn built_of(board: &str, name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("out").join(board).join(name);
    assert!(path.exists(), "there is no {}: run 'make image-quick BOARD={board} VARIANT=development'", path.display());
    path
}

/// Runs a check, and returns its output if it complains.
fn run(script: &str, subjects: &[&Path]) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("board/common").join(script);
    let output = Command::new(script).args(subjects).output().expect("the check can be run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// Breaks a root, and expects the check to say `complaint`.
#[track_caller]
fn refused(name: &str, spoil: impl FnOnce(&Root), complaint: &str) {
    refused_of("virt", name, spoil, complaint);
}

#[track_caller]
fn refused_of(board: &str, name: &str, spoil: impl FnOnce(&Root), complaint: &str) {
    let root = Root::unpack_of(board, name);
    spoil(&root);
    let said = run("check-root.sh", &[&root.0]).expect_err("the check noticed nothing");
    assert!(said.contains(complaint), "it said: {said}");
}

#[test]
fn the_root_that_was_built_keeps_the_contract() {
    let root = Root::unpack("as-built");
    assert_eq!(Ok(()), run("check-root.sh", &[&root.0]));
}

#[test]
fn a_setuid_file_breaks_the_contract() {
    let spoil = |root: &Root| {
        fs::set_permissions(root.0.join("usr/bin/busybox"), PermissionsExt::from_mode(0o4755)).unwrap();
    };
    refused("setuid", spoil, "setuid or setgid");
}

#[test]
fn a_missing_library_breaks_the_contract() {
    let spoil = |root: &Root| fs::remove_file(root.0.join("usr/lib/libgcc_s.so.1")).unwrap();
    refused("library", spoil, "a library is missing: libgcc_s.so.1");
}

#[test]
fn a_password_breaks_the_contract() {
    refused(
        "password",
        |root| root.edit("etc/passwd", "root:!:", "root:$6$salt$hash:"),
        "an account that could log in",
    );
    refused("no-password", |root| root.edit("etc/passwd", "root:!:", "root::"), "an account that could log in");
    refused("shadow", |root| root.write("etc/shadow", "root:!::0:::::\n"), "there is an etc/shadow");
}

#[test]
fn a_program_that_is_in_no_list_breaks_the_contract() {
    let no_list = "a program that is not in board/common/programs or board/virt/programs";
    refused("telnetd", |root| root.write("usr/sbin/telnetd", ""), &format!("{no_list}: telnetd"));
    let service = |root: &Root| root.write("etc/sv/backdoor/run", "#!/bin/sh\nexec sleep 1\n");
    refused("service", service, "a service that is not in the list: backdoor");
}

#[test]
fn a_driver_that_a_pi_must_not_have_breaks_the_contract() {
    let modules = |root: &Root| fs::read_dir(root.0.join("usr/lib/modules")).unwrap().next().unwrap().unwrap().path();
    // A Pi's image could have been built with the drivers of the machine that tests run on.
    let stick = modules(&Root::unpack("drivers")).join("kernel/drivers/usb/storage/usb-storage.ko");
    let plugged = |root: &Root| {
        fs::copy(&stick, modules(root).join("kernel/usb-storage.ko")).unwrap();
    };
    let no_list = "a module that is not in board/common/modules or board/rpi4/modules: usb_storage";
    refused_of("rpi4", "stick", plugged, no_list);
    let asked = |root: &Root| {
        let alias = modules(root).join("modules.alias");
        let text = fs::read_to_string(&alias).unwrap() + "alias usb:v*p*d*dc*dsc*dp*ic02isc06ip00in* cdc_ether\n";
        fs::write(alias, text).unwrap();
    };
    refused_of("rpi4", "asked", asked, "a device can ask for a module that is to be loaded by name alone");
}

#[test]
fn a_shell_in_a_production_image_breaks_the_contract() {
    let spoil = |root: &Root| root.edit("etc/os-release", "VARIANT=\"development\"", "VARIANT=\"production\"");
    refused("shell", spoil, "inittab starts a shell");
}

#[test]
fn a_private_key_breaks_the_contract() {
    // In two parts, so that a search for keys does not find this file.
    let key = ["-----BEGIN ", "PRIVATE KEY-----\nMC4CAQ\n"].concat();
    refused("key", |root| root.write("etc/farhand.key", &key), "a key that every image would share");
}

#[test]
fn a_command_that_is_not_built_breaks_the_contract() {
    let spoil = |root: &Root| root.edit("etc/init.d/rcS", "sysctl -q -p", "cat /etc/sysctl.conf | iptables -F");
    refused("command", spoil, "etc/init.d/rcS uses iptables");
}

/// A copy of the built card that a test may break.
struct Card(PathBuf);

/// Where on the card its parts begin, in bytes (`board/common/genimage.cfg`).
const ENVIRONMENT: u64 = 1 << 20;
const FIRMWARE: u64 = 8192 * 512;
const BOOT_A: u64 = 108_544 * 512;
const ROOT_B: u64 = 409_600 * 512;
const DATA: u64 = 608_256 * 512;

impl Card {
    fn copy(name: &str) -> Card {
        let card = folder(name).join("card.img");
        let status = Command::new("cp").arg("--sparse=always").arg(built("card.img")).arg(&card).status();
        assert!(status.expect("cp is installed").success());
        Card(card)
    }

    fn open(&self, at: u64) -> fs::File {
        let mut file = fs::File::options().read(true).write(true).open(&self.0).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file
    }

    fn flip(&self, at: u64) {
        let mut byte = [0];
        self.open(at).read_exact(&mut byte).unwrap();
        self.open(at).write_all(&[byte[0] ^ 1]).unwrap();
    }

    /// Runs a shell command line in the card's folder; `$1` is the card.
    fn sh(&self, command: &str) {
        let folder = self.0.parent().unwrap();
        let status = Command::new("sh").args(["-euc", command, "sh"]).arg(&self.0).current_dir(folder).status();
        assert!(status.unwrap().success(), "{command}");
    }
}

/// Breaks a card, and expects the check to say `complaint`.
#[track_caller]
fn card_refused(name: &str, spoil: impl FnOnce(&Card), complaint: &str) {
    let card = Card::copy(name);
    spoil(&card);
    let said = run("check-card.sh", &[&card.0]).expect_err("the check noticed nothing");
    assert!(said.contains(complaint), "it said: {said}");
}

#[test]
fn the_card_that_was_built_keeps_the_contract() {
    assert_eq!(Ok(()), run("check-card.sh", &[&built("card.img")]));
}

#[test]
fn a_card_of_another_layout_breaks_the_contract() {
    card_refused("signature", |card| card.flip(440), "the disk signature is not fa7a4d01");
    card_refused("table", |card| card.open(510).write_all(&[0, 0]).unwrap(), "there is no partition table");
}

#[test]
fn a_damaged_environment_breaks_the_contract() {
    card_refused("environment", |card| card.flip(ENVIRONMENT + 8), "the environment at 1024 KiB is damaged");
    card_refused("copy", |card| card.flip(ENVIRONMENT + (512 << 10)), "the environment at 1536 KiB is damaged");
}

#[test]
fn a_flipped_bit_in_a_root_breaks_the_contract() {
    card_refused("root", |card| card.flip(ROOT_B + 70_000), "partition 8 is not what the hash in partition 7 says");
}

#[test]
fn a_dropped_kernel_option_breaks_the_contract() {
    let spoil = |card: &Card| {
        card.sh(&format!(
            "dd if=$1 bs=512 skip={} count=49152 of=boot status=none; unsquashfs -q -n -d boot.d boot >/dev/null
            gzip -d boot.d/config.gz; sed -i '/^CONFIG_DM_VERITY=/d' boot.d/config; gzip boot.d/config
            rm boot; mksquashfs boot.d boot -quiet -no-progress >/dev/null
            dd if=boot of=$1 bs=512 seek={} conv=notrunc status=none",
            BOOT_A / 512,
            BOOT_A / 512,
        ));
    };
    card_refused("option", spoil, "CONFIG_DM_VERITY=y");
}

#[test]
fn what_every_card_would_share_breaks_the_contract() {
    let owner = |card: &Card| card.sh(&format!("echo x >farhand.toml; mcopy -i $1@@{FIRMWARE} farhand.toml ::"));
    card_refused("owner", owner, "every card would share this farhand.toml");
    let note = |text: &str| {
        let text = format!("{text:511}\n");
        move |card: &Card| {
            fs::write(card.0.with_file_name("claim-code.txt"), text).unwrap();
            card.sh(&format!("mcopy -o -i $1@@{FIRMWARE} claim-code.txt ::"));
        }
    };
    card_refused("code", note("claim code: K7QM-2XTN\n"), "every card would share this claim-code.txt");
    card_refused("long", note(&"claim code: none yet".repeat(30)), "claim-code.txt is not one sector long");
    let gone = |card: &Card| card.sh(&format!("mdel -i $1@@{FIRMWARE} ::farhand-error.txt"));
    card_refused("no-note", gone, "the firmware's partition lacks farhand-error.txt");
    let user = |card: &Card| {
        card.sh(&format!(
            "dd if=$1 bs=1M iflag=skip_bytes skip={DATA} of=data status=none; echo x >users.json
            debugfs -w -R 'write users.json users.json' data 2>/dev/null >/dev/null
            dd if=data of=$1 bs=1M oflag=seek_bytes seek={DATA} conv=notrunc status=none"
        ));
    };
    card_refused("user", user, "every card would share these: users.json");
}

#[test]
fn an_update_that_is_not_the_cards_own_breaks_the_contract() {
    let (forge, signer) = (Forge::open("contract-update"), Forge::development());
    let check = |name: &str| run("check-bundle.sh", &[&forge.file(name), &built("card.img")]);
    forge.built("own", &signer);
    assert_eq!(Ok(()), check("own"));

    forge.built("stranger", &forge.owner("owner"));
    let plain = manifest(COMPATIBLE, VERSION).replace("format=verity", "format=plain");
    forge.bundle("plain", &signer, &plain, &[]);
    forge.bundle("board", &signer, &manifest("farhand-rpi4-quick", VERSION), &[]);
    forge.bundle("older", &signer, &manifest(COMPATIBLE, "0.0.9"), &[]);
    forge.bundle("more", &signer, &manifest(COMPATIBLE, VERSION), &[("hook", "#!/bin/sh\n")]);
    forge.bundle("content", &signer, &manifest(COMPATIBLE, VERSION), &[]);
    for (name, complaint) in [
        ("stranger", "the card would refuse this bundle: signature verification failed"),
        ("plain", "the card would refuse this bundle: Bundle format 'plain' not allowed"),
        ("board", "the bundle is for farhand-rpi4-quick, and the card a farhand-virt"),
        ("older", "the bundle is version 0.0.9, and the card "),
        ("more", "the bundle holds not a slot's two images but ./boot.img ./hook "),
        ("content", "the bundle's boot.img is not what is in partition 5 of the card"),
    ] {
        let said = check(name).expect_err("the check noticed nothing");
        assert!(said.contains(complaint), "{name}: it said: {said}");
    }
}

#[test]
fn a_root_that_is_too_large_is_not_built() {
    let folder = folder("large");
    // The hash tree takes it over the limit.
    fs::File::create(folder.join("root.squashfs")).unwrap().set_len(48_000_000).unwrap();
    let said = run("slot.sh", &[&folder, Path::new("virt")]).expect_err("it was built");
    assert!(said.contains("root.img has 48381952 bytes: more than 48 MB"), "it said: {said}");
}

#[test]
fn a_production_image_trusts_its_owner_and_nobody_else() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = folder("production");
    let keys = folder.join("keys");
    assert!(Command::new(top.join("image/keys.sh")).arg(&keys).status().unwrap().success());
    let development = top.join("board/common/keys/development/ca.pem");
    let both = folder.join("both.pem");
    let read = |file: &Path| fs::read_to_string(file).unwrap();
    fs::write(&both, read(&keys.join("keyring.pem")) + &read(&development)).unwrap();

    let configure = |keyring: Option<&Path>| {
        let mut configure = Command::new(top.join("board/common/rauc/configure.sh"));
        configure.arg(&folder).args(["rpi4", VERSION]);
        configure.env("FARHAND_BUILD", "quick").env("FARHAND_VARIANT", "production").env_remove("KEYRING");
        let output = configure.envs(keyring.map(|file| ("KEYRING", file))).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (keyring, complaint) in [
        (None, "needs KEYRING="),
        (Some(keys.join("nowhere.pem")), "nowhere.pem: KEYRING= names it"),
        (Some(keys.join("signer.key")), "holds a private key"),
        (Some(top.join("Makefile")), "holds no certificate"),
        (Some(development), "holds the development key"),
        (Some(both), "holds the development key"),
    ] {
        let (taken, said) = configure(keyring.as_deref());
        assert!(!taken && said.contains(complaint), "{keyring:?}: {said}");
    }

    let release = production::built();
    assert_eq!(Ok(()), run("check-card.sh", &[&release.card]));
    assert_eq!(Ok(()), run("check-bundle.sh", &[&release.bundle, &release.card]));
    let but_for = ["etc/inittab", "etc/os-release", "etc/rauc/keyring.pem", "etc/rauc/system.conf"];
    is_what_is_tested(release.card.parent().unwrap(), &folder, &but_for);
}

/// Checks that a Pi's image that is made a second time is, to the byte, the one that all other tests use, except for
/// these files of its root, and what is made from the root.
#[track_caller]
fn is_what_is_tested(other: &Path, work: &Path, but_for: &[&str]) {
    let tested = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/rpi4");
    let names = |folder: &Path| {
        let files = fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file());
        let mut names: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
        // Other tests make updates from it.
        names.retain(|name| name != "update.raucb");
        names.sort();
        names
    };
    assert_eq!(names(&tested), names(other), "make both with `make test-image`");
    let of_the_root = ["boot.img", "card.img", "root.img", "root.squashfs", "slot.env"];
    for name in names(&tested).iter().filter(|name| !of_the_root.contains(&name.as_str())) {
        assert!(fs::read(tested.join(name)).unwrap() == fs::read(other.join(name)).unwrap(), "{name} differs");
    }
    let cards = [tested.as_path(), other].map(|folder| fs::read(folder.join("card.img")).unwrap());
    let [ours, theirs] = cards.each_ref().map(|card| {
        let at = |place: u64| usize::try_from(place).unwrap();
        (&card[..at(BOOT_A)], &card[at(DATA)..])
    });
    assert!(ours == theirs, "the cards differ outside of their slots");

    let roots = ["tested", "other"].map(|name| work.join(name));
    for (root, folder) in roots.iter().zip([tested.as_path(), other]) {
        let mut unpack = Command::new("unsquashfs");
        let unpack = unpack.args(["-quiet", "-no-progress", "-dest"]).arg(root).arg(folder.join("root.squashfs"));
        assert!(unpack.status().expect("squashfs-tools is installed").success());
    }
    // Type, mode, owner and time of each file, and a link's target. Sizes are compared with the contents.
    let list = "find . ! -type d -printf '%y %m %U %G %T@ %P %l\\n' -o -printf '%y %m %U %G %T@ %P\\n' | sort";
    let [ours, theirs] = roots.each_ref().map(|root| sh(root, list));
    assert_eq!(ours, theirs, "the roots contain different files");
    let differ =
        Command::new("diff").args(["-rq", "--no-dereference"]).args(&roots).output().expect("diff is installed");
    let differ = String::from_utf8(differ.stdout).unwrap();
    let differ: Vec<_> = differ.lines().map(|line| line.split_whitespace().nth(1).unwrap_or(line)).collect();
    let expected: Vec<_> = but_for.iter().map(|name| roots[0].join(name).display().to_string()).collect();
    assert_eq!(expected, differ);
}

/// What a shell command line in this folder prints.
#[track_caller]
fn sh(folder: &Path, command: &str) -> String {
    let output = Command::new("sh").args(["-euc", command]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_an_owner_downloads_keeps_its_size() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Each refuses to leave what is too large.
    for script in ["image/bundle.sh", "image/pack.sh"] {
        let output = Command::new(top.join(script)).arg("rpi4").output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let packed = top.join(format!("out/farhand-rpi4-{VERSION}.img"));
    for (ending, most) in [("img.xz", 40_000_000), ("img.bmap", 100_000), ("raucb", 32_000_000)] {
        let size = fs::metadata(packed.with_extension(ending)).unwrap().len();
        assert!((1..=most).contains(&size), "{ending}: {size} bytes");
    }
}

#[test]
#[ignore = "makes the card twice: make test-long"]
fn two_builds_of_one_commit_are_the_same_to_the_bit() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let build = |name: &str| {
        let folder = top.join("out/run").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let mut assemble = Command::new(top.join("image/assemble.sh"));
        let output = assemble.args(["rpi4", "--development"]).env("BINARIES_DIR", &folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut parts: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        parts.retain(|name| folder.join(name).is_file());
        parts.sort();
        let output =
            Command::new("sha256sum").args(parts).current_dir(&folder).output().expect("coreutils are installed");
        fs::remove_dir_all(&folder).unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let first = build("build-1");
    assert!(first.contains("  card.img\n"), "{first}");
    assert_eq!(first, build("build-2"));
}
