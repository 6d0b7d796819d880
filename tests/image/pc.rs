//! Works a PC from its BIOS on, as its owner would: in a browser, with the appliance between.

use std::process::Command;

use crate::rig::Plan;
use crate::vm::{BOOT, Vm};

#[test]
fn a_real_pc_is_worked_from_its_bios_on() {
    let plan = Plan::draw("pc").unwrap();
    let mut vm = Vm::boot_with("pc", &plan.arguments());
    let said = vm.wait_console("claim code: ", BOOT);
    let (_, code) = said.split_once(": ").unwrap();
    let rig = plan.build(&mut vm).unwrap();
    let status = Command::new("npx")
        .args(["playwright", "test", "pc.spec.ts"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser"))
        .env("FARHAND_URL", format!("https://127.0.0.1:{}", vm.https))
        .env("FARHAND_CODE", code.trim())
        .env("FARHAND_PC", format!("http://{}", rig.witness().unwrap()))
        .status()
        .expect("npx is installed: run 'make tests/browser/node_modules'");
    let logs =
        "tail -n 30 /run/log/serve/current /run/log/hands/current /run/log/cable /run/log/usb; dmesg | tail -n 10";
    assert!(status.success(), "pc.spec.ts failed: {status}\n{}", vm.sh(logs).text);
}
