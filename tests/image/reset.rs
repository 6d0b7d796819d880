//! Gives an appliance back as it came: its owner, configuration and keys are gone, and its slots are not.

use serde_json::json;

use crate::browser::claim_code;
use crate::bundles::appliance::Appliance;
use crate::bundles::forge::Forge;
use crate::owner::Owner;
use crate::shell::BOOT;
use crate::vm::Vm;

#[test]
fn a_factory_reset_forgets_the_owner_and_keeps_the_slots() {
    let forge = Forge::open("factory-reset");
    let (Appliance { mut vm, .. }, owner) = Appliance::claimed("factory-reset", &forge);
    let program = Owner::program(vm.https, &owner.make_token("backup"));
    vm.ask("printf '[network]\\nhost = \"rack-7\"\\n' >/data/farhand.toml");
    let (slots, certificate) = (slots(&mut vm), certificate(&mut vm));

    let host = owner.system("/host");
    vm.forget_console();
    let answer = owner.post("/api/v1/factory-reset", &json!({ "confirm": host }));
    assert_eq!(202, answer.status, "{answer:?}");
    vm.wait_restart(BOOT);
    let code = claim_code(&vm);
    owner.wait_page(BOOT);
    for visitor in [&owner, &program] {
        let answer = visitor.get("/api/v1/system");
        assert!([401, 403].contains(&answer.status), "{answer:?}");
    }
    assert_ne!(0, vm.sh("ls /data/farhand.toml").status);
    assert_ne!(certificate, self::certificate(&mut vm));
    assert_eq!(slots, self::slots(&mut vm));
    Owner::claim(vm.https, &forge.disc, &code);
}

/// What both slots hold, and what U-Boot thinks of them.
#[track_caller]
fn slots(vm: &mut Vm) -> String {
    vm.ask("fw_printenv; sha256sum /dev/slots/boot.A /dev/slots/root.A /dev/slots/boot.B /dev/slots/root.B")
}

#[track_caller]
fn certificate(vm: &mut Vm) -> String {
    vm.ask("sha256sum /data/tls/certificate.pem")
}
