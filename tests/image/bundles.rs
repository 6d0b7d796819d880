//! Offers the appliance every bundle that must be refused, and looks whether anything moved.
//!
//! Each is refused for its own reason, the slots and U-Boot's environment stay as they are, and after
//! all that a good update is taken. The keys are the public ones of development images, so whatever can be
//! forged with the right key, too, is.

pub mod appliance;
pub mod forge;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::json;

use self::appliance::{Appliance, Damage};
use self::forge::{COMPATIBLE, Forge, VERSION, join, manifest, split};
use crate::owner::Owner;
use crate::shell::BOOT;

/// What a hook of a bundle would leave behind if it were run.
const MARK: &str = "#!/bin/sh\necho hooked >/run/hooked\n";

const CODE_SIGNING: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,codeSigning\n";
const MAIL: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,emailProtection\n";

#[test]
fn good_bundle_is_written_to_the_slot_that_is_not_running() {
    let forge = Forge::open("bundle-good");
    forge.good("good", &Forge::development());
    forge.good("other", &Forge::development());
    let mut appliance = Appliance::boot("bundle-good", &forge);
    appliance.takes("good");
    appliance.takes("other");
    // A clock without a battery: what counts is when the bundle was signed.
    for date in ["1970-01-02", "2106-01-01"] {
        appliance.vm.ask(&format!("date -s {date}"));
        appliance.takes("good");
    }
    appliance.runs_what_it_ran();
}

#[test]
fn an_update_that_is_in_its_slot_counts_although_rauc_crashes_behind_it() {
    let forge = Forge::open("bundle-crash");
    let good = forge.good("good", &Forge::development());
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    forge.offer("damaged", &damaged);
    let mut appliance = Appliance::boot("bundle-crash", &forge);
    // Where programs may be run from.
    appliance.vm.ask(
        "mkdir /tmp/bin && mount -t tmpfs bin /tmp/bin && rauc=$(command -v rauc) && cp $rauc /tmp/bin/rauc
        printf '#!/bin/sh\n/tmp/bin/rauc \"$@\"\nkill -SEGV $$\n' >/tmp/bin/crash && chmod 755 /tmp/bin/crash
        mount -o bind /tmp/bin/crash $rauc",
    );
    appliance.refuses("damaged", "");
    appliance.takes("good");
    appliance.runs_what_it_ran();
}

#[test]
fn forged_bundles_are_refused() {
    let forge = Forge::open("bundle-forged");
    let development = Forge::development();
    let good = forge.good("good", &development);
    forge.good("other", &development);
    let (payload, cms) = split(&good);
    let mut cases = Vec::new();
    let mut case = |name: &'static str, bundle: &[u8], reason: &'static str| {
        forge.offer(name, bundle);
        cases.push((name, reason));
    };

    case("unsigned", payload, "Signature size is 0");
    case("empty-signature", &join(payload, &[]), "Signature size is 0");
    case("garbage-signature", &join(payload, &[0x5a; 1500]), "no valid CMS");
    case("trailing-bytes", &[&good[..], b"12345678"].concat(), "exceeds bundle size");
    // rauc itself stops at this one, by an assertion.
    case("doubled-signature", &join(&good, cms), "assertion");
    case("shifted", &join(&[payload, &[0; 4096]].concat(), cms), "Failed mounting bundle");

    let plain = manifest(COMPATIBLE, VERSION);
    let other = forge.owner("owner");
    case("other-key", &forge.bundle("other-key", &other, &plain, &[]), "unable to get local issuer certificate");
    let namesake = forge.issue("namesake", CODE_SIGNING, 100, true);
    case("same-name", &forge.bundle("same-name", &namesake, &plain, &[]), "self-signed certificate");
    let mail = forge.issue("mail", MAIL, 100, false);
    case("mail-key", &forge.bundle("mail-key", &mail, &plain, &[]), "unsuitable certificate purpose");
    let expired = forge.issue("expired", CODE_SIGNING, -1, false);
    case("expired-key", &forge.bundle("expired-key", &expired, &plain, &[]), "certificate has expired");

    let old = plain.replace("format=verity", "format=plain");
    case("plain", &forge.bundle("plain", &development, &old, &[]), "Bundle format 'plain' not allowed");
    let crypt = plain.replace("format=verity", "format=crypt");
    case("crypt", &forge.bundle("crypt", &development, &crypt, &[]), "Bundle format 'crypt' not allowed");

    for (name, compatible, version, reason) in [
        ("other-board", "farhand-rpi4-quick-development", VERSION, "Compatible mismatch"),
        ("production", "farhand-virt-quick", VERSION, "Compatible mismatch"),
        ("older", COMPATIBLE, "0.0.9", "Version mismatch"),
        ("candidate", COMPATIBLE, &format!("{VERSION}-rc.1"), "Version mismatch"),
    ] {
        case(name, &forge.bundle(name, &development, &manifest(compatible, version), &[]), reason);
    }
    let unnumbered = plain.replace(&format!("version={VERSION}\n"), "");
    case("unnumbered", &forge.bundle("unnumbered", &development, &unnumbered, &[]), "has no version");

    let more = "the bundle holds more than an update";
    let hook = format!("{plain}[hooks]\nfilename=hook\nhooks=install-check\n");
    case("check-hook", &forge.bundle("check-hook", &development, &hook, &[("hook", MARK)]), more);
    let hook = plain.replace("filename=root.img", "filename=root.img\nhooks=pre-install;post-install");
    let hook = format!("{hook}[hooks]\nfilename=hook\n");
    case("slot-hook", &forge.bundle("slot-hook", &development, &hook, &[("hook", MARK)]), more);
    let handler = format!("{plain}[handler]\nfilename=handler\n");
    case("handler", &forge.bundle("handler", &development, &handler, &[("handler", MARK)]), more);
    let hidden = forge.bundle("hidden", &development, &plain, &[(".hidden", MARK)]);
    case("hidden", &hidden, more);
    let disguised = format!("{plain}[hooks]\nfilename=boot.img\nhooks=install-check\n");
    let disguised = forge.bundle("disguised", &development, &disguised, &[("boot.img", MARK)]);
    case("disguised", &disguised, "boot.img is not an image");
    let parts = "the bundle is not for both parts of a slot";
    let casync = plain.replace("filename=root.img", "filename=root.img.caibx");
    case("casync", &forge.bundle("casync", &development, &casync, &[("root.img.caibx", MARK)]), parts);
    let further = format!("{plain}[image.data]\nfilename=data.img\n");
    case("further", &forge.bundle("further", &development, &further, &[("data.img", "")]), more);

    let edited = |from: &'static str, to: &'static str| {
        forge.resign(&good, &development, |manifest| {
            assert!(manifest.contains(from), "no {from} in {manifest}");
            manifest.replacen(from, to, 1)
        })
    };
    case("outside", &edited("filename=root.img", "filename=../bundle/root.img"), parts);
    case("half", &edited("[image.boot]", "[meta.boot]"), parts);
    case("other-tree", &edited("verity-hash=", "verity-hash=00"), "Invalid hash for verity bundle");
    case("wrong-size", &edited("verity-size=", "verity-size=1"), "Unaligned size for verity bundle");

    // The genuine certificate lies beside the signature, which is somebody else's.
    let attached = forge.attach(&good, &other, &development);
    case("attached", &attached, "unable to get local issuer certificate");

    let mut appliance = Appliance::boot("bundle-forged", &forge);
    for (name, reason) in cases {
        appliance.refuses(name, reason);
    }
    // Nor does a clock help that knows nothing yet.
    appliance.vm.ask("date -s 1970-01-02");
    appliance.refuses("expired-key", "certificate has expired");
    assert_ne!(0, appliance.vm.sh("ls /run/hooked").status, "a hook of a bundle was run");
    appliance.takes("good");
    appliance.runs_what_it_ran();
}

#[test]
fn cut_bundles_are_refused() {
    let forge = Forge::open("bundle-cut");
    let good = forge.good("good", &Forge::development());
    forge.good("other", &Forge::development());
    let (payload, cms) = split(&good);
    // The edges of its parts, and all along it.
    let edges =
        [0, 1, 7, 8, 9, payload.len() - 1, payload.len(), payload.len() + 1, payload.len() + cms.len(), good.len() - 1];
    let rest = 200 - edges.len();
    let points: Vec<_> =
        edges.into_iter().chain((1..=rest).map(|n| good.len() * n / (rest + 1))).map(Damage::Cut).collect();
    let mut appliance = Appliance::boot("bundle-cut", &forge);
    appliance.takes("other");
    for points in points.chunks(5) {
        let taken = appliance.offer_damaged(&good, points);
        assert!(taken.is_empty(), "half a bundle was taken: {taken:?}");
    }
    appliance.takes("good");
    appliance.runs_what_it_ran();
}

#[test]
fn bundles_with_a_flipped_bit_are_refused() {
    let forge = Forge::open("bundle-flipped");
    let good = forge.good("good", &Forge::development());
    forge.good("other", &Forge::development());
    let (payload, cms) = split(&good);
    let tree = payload.len() - forge::tree_len(&good);
    let mut points = Vec::new();
    // Payload, hash tree, signature with the manifest in it, and the size of that.
    for (part, count) in [
        (0..tree, 80),
        (tree..payload.len(), 32),
        (payload.len()..payload.len() + cms.len(), 80),
        (good.len() - 8..good.len(), 8),
    ] {
        let len = part.len();
        points.extend((0..count).map(|n| Damage::Flip(part.start + len * n / count, 1 << (n % 8))));
    }
    let mut appliance = Appliance::boot("bundle-flipped", &forge);
    appliance.takes("other");
    for points in points.chunks(5) {
        for taken in appliance.offer_damaged(&good, points) {
            // A signature is wrapped in numbers that say nothing. What counts is signed: it is the very same update.
            assert!(
                matches!(taken, Damage::Flip(at, _) if (payload.len()..good.len() - 8).contains(&at)),
                "{taken:?} was taken"
            );
            appliance.holds("good");
            appliance.takes("other");
        }
    }
    appliance.takes("good");
    appliance.runs_what_it_ran();
}

#[test]
fn production_keyring_refuses_what_everybody_can_sign() {
    let forge = Forge::open("bundle-production");
    let owner = forge.owner("owner");
    forge.good("good", &Forge::development());
    forge.good("owned", &owner);
    let mut appliance = Appliance::boot("bundle-production", &forge);
    appliance.refuses("owned", "unable to get local issuer certificate");
    appliance.vm.ask("mount -o bind /tmp/forge/owner/keyring.pem /etc/rauc/keyring.pem");
    appliance.refuses("good", "unable to get local issuer certificate");
    appliance.takes("owned");
    appliance.runs_what_it_ran();
}

#[test]
fn one_update_at_a_time_and_only_from_a_confirmed_slot() {
    let forge = Forge::open("bundle-busy");
    forge.good("good", &Forge::development());
    forge.good("other", &Forge::development());
    let mut appliance = Appliance::boot("bundle-busy", &forge);
    appliance.vm.ask("fw_setenv CONFIRMED B");
    appliance.refuses("good", "the running release is still on trial");
    appliance.vm.ask("fw_setenv CONFIRMED A");

    appliance.begin("good");
    let second = appliance.vm.sh("/usr/libexec/install-bundle /tmp/forge/other.raucb");
    assert_eq!(75, second.status, "{}", second.text);
    assert!(second.text.contains("another update is being installed"), "{}", second.text);
    assert_eq!(0, appliance.finish());
    appliance.holds("good");
    appliance.takes("other");
    appliance.runs_what_it_ran();
}

#[test]
fn a_bundle_uploaded_by_its_owner_is_installed_and_a_damaged_one_says_why() {
    let forge = Forge::open("bundle-uploaded");
    let mut damaged = forge.built("good", &Forge::development());
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(forge.file("damaged"), &damaged).unwrap();
    let (mut appliance, owner) = Appliance::claimed("bundle-uploaded", &forge);
    owner.until("the running system has proven itself", BOOT, || owner.system("/confirmed") == true);
    for (key, value) in
        [("/slot", "A"), ("/version", VERSION), ("/slots/A/version", VERSION), ("/variant", "development")]
    {
        assert_eq!(value, owner.system(key), "{key}");
    }
    assert_eq!("linux,dummy-virt", owner.system("/board"), "what QEMU's device tree says");

    let before = appliance.slots();
    owner.uploads(&forge.file("damaged"));
    owner.until("the damaged bundle is refused", BOOT, || owner.system("/update/phase") == "failed");
    assert_eq!("This file is damaged. Download it again.", owner.system("/update/message"));
    assert_eq!(before, appliance.slots(), "a refused bundle left something behind");

    owner.uploads(&forge.file("good"));
    appliance.halt();
    let second = owner.upload(&forge.file("good"));
    assert_eq!((409, &json!("busy")), (second.status, &second.body["error"]["code"]), "{second:?}");
    appliance.go_on();
    installed(&owner);
    appliance.holds("good");
    assert_eq!(VERSION, owner.system("/slots/B/version"));
    assert!(owner.system("/slots/B/installed").is_string());
    let left = appliance.vm.ask("ls /data/spool /data/install | grep raucb || :");
    assert_eq!("", left.trim(), "what was installed is removed");

    for service in ["serve", "hands", "guard", "kernel"] {
        let log = owner.get(&format!("/api/v1/logs?service={service}"));
        let lines = log.body.as_str().unwrap_or_default().lines().count();
        assert!(log.status == 200 && 1 < lines, "{service}: {log:?}");
    }
    appliance.runs_what_it_ran();
}

#[test]
fn an_update_is_fetched_from_the_address_that_its_owner_has_named_and_from_no_other() {
    let forge = Forge::open("bundle-fetched");
    let good = forge.good("good", &Forge::development());
    let (mut appliance, owner) = Appliance::claimed("bundle-fetched", &forge);
    owner.until("the running system has proven itself", BOOT, || owner.system("/confirmed") == true);
    let refused = owner.post("/api/v1/update/fetch", &json!({}));
    assert_eq!((404, &json!("no-update-url")), (refused.status, &refused.body["error"]["code"]), "{refused:?}");

    // As the guest sees this machine.
    let url = format!("http://10.0.2.2:{}/good.raucb", offer(good));
    appliance.vm.ask(&format!(
        "printf '[update]\\nurl = \"{url}\"\\n' >/data/farhand.toml
        farhand join /etc/farhand.toml /data/farhand.toml >/run/joined.toml && mv /run/joined.toml /run/farhand.toml
        sv restart serve"
    ));
    owner.wait_page(BOOT);
    assert!(owner.system("/update_from").is_string(), "serve knows the address");
    let begun = owner.post("/api/v1/update/fetch", &json!({}));
    assert_eq!(202, begun.status, "{begun:?}");
    installed(&owner);
    appliance.holds("good");
    appliance.runs_what_it_ran();
}

/// Offers a file to the first who asks for one, and returns the port at which it does.
fn offer(file: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut asker, _) = listener.accept()?;
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            asker.read_exact(&mut byte)?;
            asked.push(byte[0]);
        }
        write!(asker, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len())?;
        asker.write_all(&file)
    });
    port
}

#[test]
fn an_installation_that_ended_with_the_hands_is_not_in_the_way_of_the_next() {
    let forge = Forge::open("bundle-ended");
    forge.good("other", &Forge::development());
    let (mut appliance, owner) = Appliance::claimed("bundle-ended", &forge);
    owner.until("the slots are known", BOOT, || owner.system("/slot") == "A");
    owner.uploads(&forge.file("other"));
    // As one that hangs.
    appliance.halt();
    appliance.vm.ask("sv restart hands; until flock -n /run/install-bundle.lock true; do sleep 0.1; done");
    owner.until("the hands are back", BOOT, || owner.system("/update/phase") == "idle" && owner.system("/slot") == "A");
    owner.uploads(&forge.file("other"));
    installed(&owner);
    appliance.holds("other");
    appliance.runs_what_it_ran();
}

/// Waits until what was uploaded is installed.
#[track_caller]
fn installed(owner: &Owner) {
    let ended = || ["ready", "failed"].iter().any(|phase| owner.system("/update/phase") == *phase);
    owner.until("the installation ends", BOOT, ended);
    assert_eq!("ready", owner.system("/update/phase"), "{}", owner.system("/update/message"));
}

#[test]
fn bundle_that_changes_after_it_was_judged_is_not_installed() {
    let forge = Forge::open("bundle-swapped");
    forge.good("good", &Forge::development());
    forge.good("other", &Forge::development());
    let mut appliance = Appliance::boot("bundle-swapped", &forge);
    // Another file under the same name is another file.
    appliance.begin("good");
    appliance.vm.ask("cp /tmp/forge/other.raucb /data/install/new && mv /data/install/new /data/install/update");
    assert_eq!(0, appliance.finish());
    appliance.holds("good");
    // The same file with other bytes is not what was signed, as far as they are read again.
    appliance.takes("other");
    appliance.begin("good");
    appliance.vm.ask("cat /dev/urandom | head -c 700000 >/data/install/update; sync; echo 3 >/proc/sys/vm/drop_caches");
    match appliance.finish() {
        0 => appliance.holds("good"),
        // Half written it is not tried, and where nothing was written it is what it was.
        _ if appliance.vm.ask("fw_printenv -n BOOT_ORDER").trim() == "A" => (),
        _ => appliance.holds("other"),
    }
    appliance.takes("other");
    appliance.runs_what_it_ran();
}

#[test]
fn full_data_partition_leaves_a_system_that_starts() {
    let forge = Forge::open("bundle-full");
    forge.good("good", &Forge::development());
    forge.good("other", &Forge::development());
    let mut appliance = Appliance::boot("bundle-full", &forge);
    let fill = "dd if=/dev/zero of=/data/full bs=64k; dd if=/dev/zero of=/data/fuller bs=512; sync";
    let install = "/usr/libexec/install-bundle /data/install/update";
    // rauc's notes have no place yet, and none is to be had.
    appliance.spool("good");
    appliance.vm.sh(fill);
    let output = appliance.vm.sh(install);
    assert_eq!(1, output.status, "{}", output.text);
    assert!(output.text.contains("No space left on device"), "{}", output.text);
    appliance.vm.ask("rm /data/full /data/fuller");
    appliance.takes("good");
    // There is a place, but nothing fits: then the update is whole, or it is not tried.
    appliance.spool("other");
    appliance.vm.sh(fill);
    let output = appliance.vm.sh(install);
    match output.status {
        0 => appliance.holds("other"),
        _ => assert_eq!("A", appliance.vm.ask("fw_printenv -n BOOT_ORDER").trim(), "{}", output.text),
    }
    appliance.vm.ask("rm /data/full /data/fuller");
    appliance.takes("good");
    appliance.runs_what_it_ran();
}
