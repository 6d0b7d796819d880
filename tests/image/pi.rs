//! Boots exactly the card that an owner would write, in QEMU's Raspberry Pi 4, and watches its relays from outside.
//!
//! U-Boot comes from the card, and so does the device tree except for what QEMU's model lacks (qemu-dtb.sh). The
//! network is on USB, which carries 135 kB per second; so a test fetches little. Console and root shell share the
//! serial line.

mod card;
pub mod environment;
mod pins;
mod probe;
mod qtest;
mod watchdog;

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

pub use self::card::{A, B, Card, Part, Slot, run};
pub use self::pins::{POWER, Pulse, RESET};
pub use self::probe::Probe;
pub use self::watchdog::Cause;
use crate::shell::{BOOT, Shell};
use crate::terminal::Terminal;
use crate::vm::free_port;

/// The device tree in the firmware's partition.
const TREE: &str = "farhand-rpi4.dtb";

/// The console's text before the code.
const CLAIM: &str = "claim code: ";

/// A system may come up only after all tries of the other slot, each of which takes an emulated Pi ten seconds.
const UP: Duration = Duration::from_secs(300);

/// What the guest's clock does while the guest has nothing to do.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// It jumps to the next event, so that tests do not wait for an idle guest.
    Leaping,
    /// It runs no faster than ours, so that a guest does not seem late because the test was.
    Waiting,
}

impl Clock {
    fn icount(self) -> &'static str {
        match self {
            Clock::Leaping => "shift=0,sleep=off",
            Clock::Waiting => "shift=0,sleep=on",
        }
    }
}

/// The guard takes 30 s of the guest's time to confirm a new system, each of which may last longer here.
const CONFIRMED: Duration = Duration::from_secs(240);

/// A running Pi. Dropping it pulls the plug.
#[derive(Debug)]
pub struct Pi {
    qemu: Child,
    card: Option<Card>,
    console: Arc<Terminal>,
    shell: Shell,
    pub probe: Probe,
    /// The port of this machine that leads to the guest's port 443.
    pub https: u16,
}

impl Pi {
    /// Boots a copy of the card, and waits for its shell.
    #[track_caller]
    pub fn boot(name: &str) -> Pi {
        Pi::boot_by(Clock::Leaping, name)
    }

    #[track_caller]
    pub fn boot_by(clock: Clock, name: &str) -> Pi {
        let mut pi = Pi::start_by(clock, Card::copy(name));
        pi.meet_shell();
        pi
    }

    /// Plugs a Pi with this card in.
    #[track_caller]
    pub fn start(card: Card) -> Pi {
        Pi::start_by(Clock::Leaping, card)
    }

    #[track_caller]
    fn start_by(clock: Clock, card: Card) -> Pi {
        let tree = card.folder.join("qemu.dtb");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/image/qemu-dtb.sh");
        run(Command::new(script).arg(card.take(TREE)).arg(&tree));
        let (serial, guest) = UnixStream::pair().expect("sockets can be made");
        let (qtest, qtest_end) = wire();
        let (qmp, qmp_end) = wire();
        let https = free_port();
        let log = |name| File::create(card.folder.join(name)).expect("the folder can be written");

        // A killed test runs no destructors, so the kernel ends the machine with the thread that booted it.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-aarch64"])
            .args(["-M", "raspi4b", "-display", "none", "-monitor", "none"])
            // The guest's clock advances a nanosecond per instruction: measurements in and of the guest do not depend
            // on this machine's load.
            .args(["-accel", "tcg,thread=single", "-icount", clock.icount()])
            // Stopped until the watch begins.
            .arg("-S")
            .arg("-kernel")
            .arg(card.take("u-boot.bin"))
            .arg("-dtb")
            .arg(&tree)
            .arg("-drive")
            .arg(format!("if=none,id=card,format=raw,file={}", card.path().display()))
            // In the controller where a Pi has it (the first on this bus), not in that of the Wi-Fi, where QEMU would
            // put it.
            .args(["-device", "sd-card,drive=card,bus=/generic-sdhci/sd-bus"])
            .arg("-netdev")
            .arg(format!("user,id=net,hostfwd=tcp:127.0.0.1:{https}-:443"))
            // With a locally administered address, Linux would not call it eth0.
            .args(["-device", "usb-net,netdev=net,mac=40:54:00:12:34:56"])
            .args(["-chardev", "socket,id=serial,fd=0", "-serial", "chardev:serial"])
            .arg("-chardev")
            .arg(format!("socket,id=qtest,fd={}", qtest_end.as_raw_fd()))
            .args(["-object", "qtest,id=test,chardev=qtest,log=/dev/null"])
            .arg("-chardev")
            .arg(format!("socket,id=qmp,fd={}", qmp_end.as_raw_fd()))
            .args(["-mon", "chardev=qmp,mode=control"])
            .stdin(OwnedFd::from(guest))
            // QEMU logs at length what its model lacks.
            .stderr(log("qemu.log"));
        let qemu = qemu.spawn().expect("qemu-system-aarch64 is installed: run image/need-qemu.sh");
        drop((qtest_end, qmp_end));

        let console = Terminal::listen(serial.try_clone().expect("a socket can be cloned"), log("console.log"));
        let shell = Shell::on(Arc::clone(&console), serial);
        let probe = match Probe::begin(qtest, qmp) {
            Ok(probe) => probe,
            Err(error) => panic!("QEMU does not let its pins be watched: {error}"),
        };
        Pi { qemu, card: Some(card), console, shell, probe, https }
    }

    /// Waits for the shell of the system that starts.
    #[track_caller]
    pub fn meet_shell(&mut self) {
        self.shell.meet(UP);
        // Kernel messages would be mixed into the answers from here on. They stay in dmesg.
        self.ask("dmesg -n 1");
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub fn ask(&mut self, command: &str) -> String {
        self.shell.ask(command)
    }

    /// Runs a command that must succeed but may take longer than most.
    #[track_caller]
    pub fn ask_within(&mut self, command: &str, within: Duration) -> String {
        let output = self.shell.sh_within(command, within);
        assert_eq!(0, output.status, "{command}\n{}", output.text);
        output.text
    }

    /// Cuts the power for a moment: data that the guest has not written yet is lost.
    #[track_caller]
    pub fn reset(&mut self) {
        self.probe.reset();
        self.meet_shell();
    }

    /// Waits until the first system since power-on has ended, and returns what ended it. Its console output is skipped.
    #[track_caller]
    pub fn ended(&mut self, within: Duration) -> Option<Cause> {
        let why = self.probe.wait("the end of the system", within, |seen| seen.resets.first().copied());
        self.shell.skip();
        why
    }

    /// Restarts the guest as its own `reboot` does.
    #[track_caller]
    pub fn reboot(&mut self) {
        self.shell.say("reboot\n");
        self.meet_shell();
    }

    /// Waits until an appliance without an owner prints its claim code.
    #[track_caller]
    pub fn claim_code(&self) -> String {
        let said = self.console.wait_line(0, CLAIM, BOOT);
        said[CLAIM.len()..].trim().to_owned()
    }

    /// Waits until the console has printed a text.
    #[track_caller]
    pub fn wait_said(&self, text: &str, within: Duration) {
        self.console.wait(0, text, within);
    }

    /// The card that is in it.
    pub fn card(&self) -> &Card {
        self.card.as_ref().expect("the card is in")
    }

    /// How often the console has printed `text`.
    pub fn count(&self, text: &str) -> usize {
        self.console.count(0, text)
    }

    /// The running slot, by its kernel's arguments.
    #[track_caller]
    pub fn slot(&mut self) -> Slot {
        let line = self.ask("cat /proc/cmdline");
        let is = |slot: &Slot| line.split_whitespace().any(|word| word == format!("rauc.slot={}", slot.name));
        [A, B].into_iter().find(is).unwrap_or_else(|| panic!("no slot in: {line}"))
    }

    /// Waits until the running system is this slot's, and is confirmed.
    #[track_caller]
    pub fn wait_confirmed(&mut self, slot: Slot) {
        assert_eq!(slot, self.slot());
        let Slot { name, .. } = slot;
        let is = format!("[ \"$(fw_printenv -n CONFIRMED)$(fw_printenv -n BOOT_{name}_LEFT)\" = {name}3 ]");
        let first = format!("[ \"$(fw_printenv -n BOOT_ORDER | cut -c 1)\" = {name} ]");
        self.ask_within(&format!("until {is} && {first}; do sleep 1; done"), CONFIRMED);
    }

    /// What ended each system since power-on.
    #[track_caller]
    pub fn resets(&self) -> Vec<Option<Cause>> {
        self.probe.resets()
    }

    /// Pulls the plug, and takes the card out.
    pub fn unplug(mut self) -> Card {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        self.card.take().expect("it is taken out once")
    }

    /// The folder with this machine's logs and other files.
    pub fn folder(&self) -> PathBuf {
        self.card().folder.clone()
    }
}

impl Drop for Pi {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// A pair of connected sockets: ours, and one that a child inherits.
fn wire() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("sockets can be made");
    fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty())).expect("an open file has flags");
    (ours, theirs)
}
