//! Offers the appliance every kind of bundle that must be refused, and checks that nothing has changed.
//!
//! Each is refused for its own reason, the slots and U-Boot's environment stay as they are, and the next good update is
//! accepted. The keys are the public ones of development images, so forgeries with the right key are tried too. What
//! rauc alone can detect is tried on rauc alone; an appliance is used for the rest, and to check that it obeys rauc.

mod alone;
pub mod appliance;
pub mod forge;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::num::NonZero;
use std::ops::Range;
use std::sync::Mutex;
use std::thread;

use serde_json::json;

use self::alone::Root;
use self::appliance::{Appliance, Damage};
use self::forge::{COMPATIBLE, Forge, VERSION, join, manifest, split};
use crate::owner::Owner;
use crate::shell::BOOT;
use crate::spread;

/// A name, a forged bundle, and why it is refused.
type Case = (&'static str, Vec<u8>, &'static str);

/// Why check-bundle refuses what has the right signature.
const MORE: &str = "the bundle holds more than an update";
const PARTS: &str = "the bundle is not for both parts of a slot";

/// A hook that leaves a file if it is run.
const MARK: &str = "#!/bin/sh\necho hooked >/run/hooked\n";

const CODE_SIGNING: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,codeSigning\n";
const MAIL: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,emailProtection\n";

#[test]
fn forged_bundles_are_refused_by_the_images_own_judges() {
    let forge = Forge::open("bundle-forged");
    let good = forge.bundle("good", &Forge::development(), &manifest(COMPATIBLE, VERSION), &[]);
    let root = Root::unpack(&forge.folder());
    let file = |(name, bundle, _): &Case| {
        let file = forge.file(name);
        fs::write(&file, bundle).unwrap();
        file
    };
    let whole = ("good", good.clone(), "");
    assert!(root.check(&file(&whole)).contains("the bundle is not mounted"), "nothing else is wrong with it");
    for case in forged(&forge, &good) {
        let (name, _, reason) = case;
        let said = root.info(&file(&case)).expect_err(name);
        assert!(said.contains(reason), "{name} was refused, but not for {reason:?}: {said}");
    }
    for case in ours_but_no_updates(&forge, &good) {
        let (name, _, reason) = case;
        let said = root.check(&file(&case));
        assert!(said.contains(reason), "{name} was refused, but not for {reason:?}: {said}");
    }
}

#[test]
fn cut_bundles_and_flipped_signatures_are_refused_by_the_images_own_rauc() {
    let forge = Forge::open("bundle-cut");
    let good = forge.bundle("good", &Forge::development(), &manifest(COMPATIBLE, VERSION), &[]);
    let root = Root::unpack(&forge.folder());
    let genuine = root.info(&forge.file("good")).expect("it is good");
    let (payload, cms) = split(&good);
    // The edges of the bundle's parts, and places all along it.
    let edges =
        [0, 1, 7, 8, 9, payload.len() - 1, payload.len(), payload.len() + 1, payload.len() + cms.len(), good.len() - 1];
    let rest = 200 - edges.len();
    let along = (1..=rest).map(|n| good.len() * n / (rest + 1)).collect();
    let mut damages: Vec<_> = edges.into_iter().chain(spread::some(along, 10)).map(Damage::Cut).collect();
    // The signature with the manifest in it, and the size of that.
    damages.extend(flips(payload.len()..payload.len() + cms.len(), 80, 8));
    damages.extend(flips(good.len() - 8..good.len(), 8, 1));

    let damages = Mutex::new(damages.into_iter().enumerate());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                let next = || damages.lock().expect("a thread that panics ends the test").next();
                while let Some((number, damage)) = next() {
                    let file = forge.file(&format!("damaged-{number}"));
                    fs::write(&file, damage.done_to(&good)).unwrap();
                    let verdict = root.info(&file);
                    fs::remove_file(&file).unwrap();
                    // Some bytes around a signature mean nothing. All that counts is signed, so this is the same
                    // update.
                    let same = matches!(damage, Damage::Flip(at, _) if at < good.len() - 8)
                        && verdict.as_ref().is_ok_and(|said| *said == genuine);
                    assert!(verdict.is_err() || same, "{damage:?} was taken: {verdict:?}");
                }
            });
        }
    });
}

#[test]
fn what_was_forged_or_damaged_changes_nothing_on_an_appliance() {
    let forge = Forge::open("bundle-refused");
    let development = Forge::development();
    let good = forge.good("good", &development);
    forge.good("owned", &forge.owner("owner"));
    // Those that would be accepted where nothing is mounted, or whose hooks would run unnoticed; and one of each other
    // kind.
    let mut cases = not_to_be_installed(&forge, &good);
    let known = |(name, ..): &Case| ["other-key", "check-hook", "slot-hook", "handler"].contains(name);
    let forged = forged(&forge, &good);
    let (expired, bundle, too_late) = forged.iter().find(|(name, ..)| *name == "expired-key").cloned().unwrap();
    cases.extend(forged.into_iter().chain(ours_but_no_updates(&forge, &good)).filter(known));
    forge.offer(expired, &bundle);
    for (name, bundle, _) in &cases {
        forge.offer(name, bundle);
    }

    let mut appliance = Appliance::boot("bundle-refused", &forge);
    for (name, _, reason) in cases {
        appliance.refuses(name, reason);
    }
    assert_ne!(0, appliance.vm.sh("ls /run/hooked").status, "a hook of a bundle was run");
    damaged_bundles_are_refused(&mut appliance, &good);
    a_production_keyring_refuses_what_everybody_can_sign(&mut appliance);
    // Nor does a clock that is not set yet help.
    appliance.vm.ask("date -s 1970-01-02");
    appliance.refuses(expired, too_late);
    appliance.takes("good");
    appliance.runs_what_it_ran();
}

/// Forged bundles that the signature gives away.
fn forged(forge: &Forge, good: &[u8]) -> Vec<Case> {
    let development = Forge::development();
    let (payload, _) = split(good);
    let plain = manifest(COMPATIBLE, VERSION);
    let issuer = "unable to get local issuer certificate";
    let other = forge.owner("stranger");
    let namesake = forge.issue("namesake", CODE_SIGNING, 100, true);
    let mail = forge.issue("mail", MAIL, 100, false);
    let expired = forge.issue("expired", CODE_SIGNING, -1, false);
    let old = plain.replace("format=verity", "format=plain");
    let crypt = plain.replace("format=verity", "format=crypt");
    vec![
        ("unsigned", payload.to_vec(), "Signature size is 0"),
        ("empty-signature", join(payload, &[]), "Signature size is 0"),
        ("garbage-signature", join(payload, &[0x5a; 1500]), "no valid CMS"),
        ("trailing-bytes", [good, b"12345678"].concat(), "exceeds bundle size"),
        ("other-key", forge.bundle("other-key", &other, &plain, &[]), issuer),
        ("same-name", forge.bundle("same-name", &namesake, &plain, &[]), "self-signed certificate"),
        ("mail-key", forge.bundle("mail-key", &mail, &plain, &[]), "unsuitable certificate purpose"),
        ("expired-key", forge.bundle("expired-key", &expired, &plain, &[]), "certificate has expired"),
        ("plain", forge.bundle("plain", &development, &old, &[]), "Bundle format 'plain' not allowed"),
        ("crypt", forge.bundle("crypt", &development, &crypt, &[]), "Bundle format 'crypt' not allowed"),
        // The genuine certificate is attached to somebody else's signature.
        ("attached", forge.attach(good, &other, &development), issuer),
    ]
}

/// Bundles with a right signature that contain more or less than an update.
fn ours_but_no_updates(forge: &Forge, good: &[u8]) -> Vec<Case> {
    let plain = manifest(COMPATIBLE, VERSION);
    let bundle = |name: &'static str, manifest: &str, file: &str, text: &str, reason: &'static str| {
        (name, forge.bundle(name, &Forge::development(), manifest, &[(file, text)]), reason)
    };
    let check = format!("{plain}[hooks]\nfilename=hook\nhooks=install-check\n");
    let slot = plain.replace("filename=root.img", "filename=root.img\nhooks=pre-install;post-install");
    let slot = format!("{slot}[hooks]\nfilename=hook\n");
    let handler = format!("{plain}[handler]\nfilename=handler\n");
    let disguised = format!("{plain}[hooks]\nfilename=boot.img\nhooks=install-check\n");
    let casync = plain.replace("filename=root.img", "filename=root.img.caibx");
    vec![
        bundle("check-hook", &check, "hook", MARK, MORE),
        bundle("slot-hook", &slot, "hook", MARK, MORE),
        bundle("handler", &handler, "handler", MARK, MORE),
        bundle("hidden", &plain, ".hidden", MARK, MORE),
        bundle("disguised", &disguised, "boot.img", MARK, "boot.img is not an image"),
        bundle("casync", &casync, "root.img.caibx", MARK, PARTS),
        ("outside", edited(forge, good, "filename=root.img", "filename=../bundle/root.img"), PARTS),
        ("half", edited(forge, good, "[image.boot]", "[meta.boot]"), PARTS),
    ]
}

/// Bundles with a right signature that cannot be mounted, are for another appliance, or contain what belongs in no
/// slot: only an attempt to install them detects that.
fn not_to_be_installed(forge: &Forge, good: &[u8]) -> Vec<Case> {
    let (payload, cms) = split(good);
    let mut cases = vec![
        // rauc itself stops at this one, by an assertion.
        ("doubled-signature", join(good, cms), "assertion"),
        ("shifted", join(&[payload, &[0; 4096][..]].concat(), cms), "Failed mounting bundle"),
        ("other-tree", edited(forge, good, "verity-hash=", "verity-hash=00"), "Invalid hash for verity bundle"),
        ("wrong-size", edited(forge, good, "verity-size=", "verity-size=1"), "Unaligned size for verity bundle"),
    ];
    let unnumbered = manifest(COMPATIBLE, VERSION).replace(&format!("version={VERSION}\n"), "");
    for (name, manifest, reason) in [
        ("other-board", manifest("farhand-rpi4-quick-development", VERSION), "Compatible mismatch"),
        ("production", manifest("farhand-virt-quick", VERSION), "Compatible mismatch"),
        ("older", manifest(COMPATIBLE, "0.0.9"), "Version mismatch"),
        ("candidate", manifest(COMPATIBLE, &format!("{VERSION}-rc.1")), "Version mismatch"),
        ("unnumbered", unnumbered, "has no version"),
    ] {
        cases.push((name, forge.bundle(name, &Forge::development(), &manifest, &[]), reason));
    }
    let further = format!("{}[image.data]\nfilename=data.img\n", manifest(COMPATIBLE, VERSION));
    cases.push(("further", forge.bundle("further", &Forge::development(), &further, &[("data.img", "")]), MORE));
    cases
}

/// A good bundle with one thing changed in its manifest, and signed again.
#[track_caller]
fn edited(forge: &Forge, good: &[u8], from: &str, to: &str) -> Vec<u8> {
    forge.resign(good, &Forge::development(), |manifest| {
        assert!(manifest.contains(from), "no {from} in {manifest}");
        manifest.replacen(from, to, 1)
    })
}

/// What the signature does not detect: rauc accepts it, and check-bundle finds it when it reads the payload.
fn damaged_bundles_are_refused(appliance: &mut Appliance, good: &[u8]) {
    let (payload, cms) = split(good);
    let tree = payload.len() - forge::tree_len(good);
    let mut damages = flips(0..tree, 80, 8);
    damages.extend(flips(tree..payload.len(), 32, 3));
    damages.extend([payload.len() / 2, payload.len() + cms.len() / 2].map(Damage::Cut));
    for damages in damages.chunks(5) {
        let taken = appliance.offer_damaged(good, damages);
        assert!(taken.is_empty(), "a damaged bundle was taken: {taken:?}");
    }
}

/// Flipped bits all along a part of a bundle: `all` of them in a long run, else a `few`.
fn flips(part: Range<usize>, all: usize, few: usize) -> Vec<Damage> {
    let len = part.len();
    spread::some((0..all).map(|n| Damage::Flip(part.start + len * n / all, 1 << (n % 8))).collect(), few)
}

fn a_production_keyring_refuses_what_everybody_can_sign(appliance: &mut Appliance) {
    appliance.refuses("owned", "unable to get local issuer certificate");
    appliance.vm.ask("mount -o bind /tmp/forge/owner/keyring.pem /etc/rauc/keyring.pem");
    appliance.refuses("good", "unable to get local issuer certificate");
    appliance.takes("owned");
    appliance.vm.ask("umount /etc/rauc/keyring.pem");
}

#[test]
fn an_update_is_whole_or_not_tried_whatever_comes_between() {
    let forge = Forge::open("bundle-good");
    forge.good("good", &Forge::development());
    forge.good("other", &Forge::development());
    let mut appliance = Appliance::boot("bundle-good", &forge);
    one_at_a_time_and_only_from_a_confirmed_slot(&mut appliance);
    full_data_partition_leaves_a_system_that_starts(&mut appliance);
    what_changes_after_it_was_judged_is_not_installed(&mut appliance);
    // A clock without a battery: what counts is when the bundle was signed.
    for (date, name) in [("1970-01-02", "good"), ("2106-01-01", "other")] {
        appliance.vm.ask(&format!("date -s {date}"));
        appliance.takes(name);
    }
    appliance.runs_what_it_ran();
}

fn one_at_a_time_and_only_from_a_confirmed_slot(appliance: &mut Appliance) {
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
}

fn full_data_partition_leaves_a_system_that_starts(appliance: &mut Appliance) {
    let fill = "dd if=/dev/zero of=/data/full bs=64k; dd if=/dev/zero of=/data/fuller bs=512; sync";
    let install = "/usr/libexec/install-bundle /data/install/update";
    // There is no space for rauc's status file, and it does not exist yet.
    appliance.vm.ask("rm -rf /data/rauc/*");
    appliance.spool("good");
    appliance.vm.sh(fill);
    let output = appliance.vm.sh(install);
    assert_eq!(1, output.status, "{}", output.text);
    assert!(output.text.contains("No space left on device"), "{}", output.text);
    appliance.vm.ask("rm /data/full /data/fuller");
    appliance.takes("good");
    // The file exists, but there is no space left: then the update is complete, or it is not tried.
    appliance.spool("other");
    appliance.vm.sh(fill);
    let output = appliance.vm.sh(install);
    match output.status {
        0 => appliance.holds("other"),
        _ => assert_eq!("A", appliance.vm.ask("fw_printenv -n BOOT_ORDER").trim(), "{}", output.text),
    }
    appliance.vm.ask("rm /data/full /data/fuller");
    appliance.takes("good");
}

fn what_changes_after_it_was_judged_is_not_installed(appliance: &mut Appliance) {
    // Another file is put under the same name.
    appliance.begin("good");
    appliance.vm.ask("cp /tmp/forge/other.raucb /data/install/new && mv /data/install/new /data/install/update");
    assert_eq!(0, appliance.finish());
    appliance.holds("good");
    // The same file gets other bytes: as far as they are read again, they are not what was signed.
    appliance.takes("other");
    appliance.begin("good");
    appliance.vm.ask("cat /dev/urandom | head -c 700000 >/data/install/update; sync; echo 3 >/proc/sys/vm/drop_caches");
    match appliance.finish() {
        0 => appliance.holds("good"),
        // A half written slot is not tried, and one where nothing was written is unchanged.
        _ if appliance.vm.ask("fw_printenv -n BOOT_ORDER").trim() == "A" => (),
        _ => appliance.holds("other"),
    }
    appliance.takes("other");
}

#[test]
fn an_owner_uploads_an_update_or_has_it_fetched_and_hears_what_became_of_it() {
    let forge = Forge::open("bundle-owner");
    let mut damaged = forge.built("built", &Forge::development());
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(forge.file("damaged"), &damaged).unwrap();
    let good = forge.good("good", &Forge::development());
    forge.good("other", &Forge::development());
    let (mut appliance, owner) = Appliance::claimed("bundle-owner", &forge);
    owner.until("the running system has proven itself", BOOT, || owner.system("/confirmed") == true);
    an_upload_is_installed_and_a_damaged_one_says_why(&mut appliance, &owner);
    an_installation_that_ended_with_the_hands_is_not_in_the_way_of_the_next(&mut appliance, &owner);
    an_update_is_fetched_from_the_address_that_is_named_and_from_no_other(&mut appliance, &owner, good);
    appliance.runs_what_it_ran();
}

fn an_upload_is_installed_and_a_damaged_one_says_why(appliance: &mut Appliance, owner: &Owner) {
    for (key, value) in
        [("/slot", "A"), ("/version", VERSION), ("/slots/A/version", VERSION), ("/variant", "development")]
    {
        assert_eq!(value, owner.system(key), "{key}");
    }
    assert_eq!("linux,dummy-virt", owner.system("/board"), "what QEMU's device tree says");

    let before = appliance.slots();
    owner.uploads(&appliance.file("damaged"));
    owner.until("the damaged bundle is refused", BOOT, || owner.system("/update/phase") == "failed");
    assert_eq!("This file is damaged. Download it again.", owner.system("/update/message"));
    assert_eq!(before, appliance.slots(), "a refused bundle changed something");

    owner.uploads(&appliance.file("built"));
    appliance.halt();
    let second = owner.upload(&appliance.file("good"));
    assert_eq!((409, &json!("busy")), (second.status, &second.body["error"]["code"]), "{second:?}");
    appliance.go_on();
    installed(owner);
    appliance.holds("built");
    assert_eq!(VERSION, owner.system("/slots/B/version"));
    assert!(owner.system("/slots/B/installed").is_string());
    let left = appliance.vm.ask("ls /data/spool /data/install | grep raucb || :");
    assert_eq!("", left.trim(), "what was installed is removed");

    for service in ["serve", "hands", "guard", "kernel"] {
        let log = owner.get(&format!("/api/v1/logs?service={service}"));
        let lines = log.body.as_str().unwrap_or_default().lines().count();
        assert!(log.status == 200 && 1 < lines, "{service}: {log:?}");
    }
}

fn an_installation_that_ended_with_the_hands_is_not_in_the_way_of_the_next(appliance: &mut Appliance, owner: &Owner) {
    owner.uploads(&appliance.file("other"));
    // Then as an installation that hangs.
    appliance.halt();
    appliance.vm.ask("sv restart hands; until flock -n /run/install-bundle.lock true; do sleep 0.1; done");
    owner.until("the hands are back", BOOT, || owner.system("/update/phase") == "idle" && owner.system("/slot") == "A");
    owner.uploads(&appliance.file("other"));
    installed(owner);
    appliance.holds("other");
}

fn an_update_is_fetched_from_the_address_that_is_named_and_from_no_other(
    appliance: &mut Appliance,
    owner: &Owner,
    good: Vec<u8>,
) {
    let refused = owner.post("/api/v1/update/fetch", &json!({}));
    assert_eq!((404, &json!("no-update-url")), (refused.status, &refused.body["error"]["code"]), "{refused:?}");

    // The guest's address for this machine.
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
    installed(owner);
    appliance.holds("good");
}

/// Serves a file to the first client, and returns the port.
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

/// Waits until what was uploaded is installed.
#[track_caller]
fn installed(owner: &Owner) {
    let ended = || ["ready", "failed"].iter().any(|phase| owner.system("/update/phase") == *phase);
    owner.until("the installation ends", BOOT, ended);
    assert_eq!("ready", owner.system("/update/phase"), "{}", owner.system("/update/message"));
}
