//! Operates a PC from its BIOS on, as its owner would: in a browser, through the appliance.

use crate::browser::playwright;
use crate::rig::Plan;
use crate::vm::{BOOT, Machine};

#[test]
fn a_real_pc_is_worked_from_its_bios_on() {
    let plan = Plan::draw("pc").unwrap();
    let mut vm = Machine::named("pc").with_target().more(plan.arguments()).boot();
    let said = vm.wait_console("claim code: ", BOOT);
    let (_, code) = said.split_once(": ").unwrap();
    let rig = plan.build(&mut vm).unwrap();
    let status = playwright(&vm, code.trim(), "pc.spec.ts")
        .env("FARHAND_PC", format!("http://{}", rig.witness().unwrap()))
        .status()
        .expect("npx is installed: run 'make tests/browser/node_modules'");
    let logs =
        "tail -n 30 /run/log/serve/current /run/log/hands/current /run/log/cable /run/log/usb; dmesg | tail -n 10";
    assert!(status.success(), "pc.spec.ts failed: {status}\n{}", vm.sh(logs).text);
}
