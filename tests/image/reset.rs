//! Resets an appliance: its owner, configuration and keys are gone, and its slots remain.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::FileExt;

use serde_json::json;

use crate::blank::Blank;
use crate::browser::claim_code;
use crate::owner::Owner;
use crate::vm::{BOOT, Machine, Vm, slot_a};

#[test]
fn a_factory_reset_forgets_the_owner_and_keeps_the_slots() {
    let card = Blank::of_image("factory-reset");
    let mut vm = Machine::named("factory-reset").kernel(&slot_a()).more(card.arguments()).boot();
    let owner = Owner::claim(vm.https, &vm.folder, &claim_code(&vm));
    let program = Owner::program(vm.https, &owner.make_token("backup"));
    vm.ask("printf '[network]\\nhost = \"rack-7\"\\n' >/data/farhand.toml");
    let (slots, certificate) = (slots(&mut vm, &card), certificate(&mut vm));

    let host = owner.system("/host");
    vm.forget_console();
    let answer = owner.post("/api/v1/factory-reset", &json!({ "confirm": host }));
    assert_eq!(202, answer.status, "{answer:?}");
    vm.wait_restart(BOOT);
    let code = claim_code(&vm);
    owner.wait_page(BOOT);
    for client in [&owner, &program] {
        let answer = client.get("/api/v1/system");
        assert!([401, 403].contains(&answer.status), "{answer:?}");
    }
    assert_ne!(0, vm.sh("ls /data/farhand.toml").status);
    assert_ne!(certificate, self::certificate(&mut vm));
    assert_eq!(slots, self::slots(&mut vm, &card));
    Owner::claim(vm.https, &vm.folder, &code);
}

/// U-Boot's variables for the slots, and a hash of both slots. The hash is made from outside, which takes a tenth of
/// the time that an emulated processor needs.
#[track_caller]
fn slots(vm: &mut Vm, card: &Blank) -> (String, u64) {
    let places = vm.ask(
        "sync; for slot in boot.A root.A boot.B root.B; do
            part=$(readlink /dev/slots/$slot)
            part=/sys/class/block/${part##*/}
            echo $(cat $part/start $part/size)
        done",
    );
    let card = File::open(&card.path).unwrap();
    let mut hasher = DefaultHasher::new();
    let mut found = 0;
    for place in places.lines().filter(|line| !line.is_empty()) {
        let sectors: Vec<u64> = place.split(' ').map(|number| number.parse().unwrap()).collect();
        let mut held = vec![0; usize::try_from(sectors[1] * 512).unwrap()];
        card.read_exact_at(&mut held, sectors[0] * 512).unwrap();
        hasher.write(&held);
        found += 1;
    }
    assert_eq!(4, found, "{places}");
    (vm.ask("fw_printenv"), hasher.finish())
}

#[track_caller]
fn certificate(vm: &mut Vm) -> String {
    vm.ask("sha256sum /data/tls/certificate.pem")
}
