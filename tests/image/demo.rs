//! Shows a whole Farhand without hardware: `make demo`.
//!
//! The image runs in one virtual machine and a PC with a real BIOS in another, joined as in the tests. It prints the
//! page's address and the claim code, and runs until Ctrl-C.

// For the person who runs this, a panic's message is as good as any other.
#![allow(clippy::unwrap_used)]
// The tests use more of the rig than a demonstration does.
#![allow(dead_code)]

mod rig;
mod shell;
mod terminal;
mod vm;

use std::io;

use rig::Plan;
use vm::{BOOT, Machine};

fn main() -> io::Result<()> {
    println!("Starting the appliance: half a minute.");
    let plan = Plan::draw("demo")?;
    let mut vm = Machine::named("demo").with_target().more(plan.arguments()).boot();
    let code = vm.wait_console("claim code: ", BOOT);
    let rig = plan.build(&mut vm)?;
    println!("\naddress: https://127.0.0.1:{}\n{}", vm.https, code.trim());
    println!(
        "
Its certificate is its own, so the browser warns once. Claim it, and press the PC's power button there: the page shows
its BIOS start. F12 within a minute opens its boot menu; what boots types out whatever you type.
Ctrl-C ends both machines."
    );
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(tokio::signal::ctrl_c())?;
    drop(rig);
    Ok(())
}
