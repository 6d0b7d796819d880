//! Boots the image in QEMU and talks to it.
//!
//! A test sees a machine as its owner does: network ports and a serial console. What only a test
//! may do, it does through the root shell that a development image keeps on a channel that no real
//! board has. Nothing here sleeps: every wait is for a condition, with a deadline.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub use crate::shell::BOOT;
use crate::shell::{Output, Shell};
use crate::terminal::Terminal;

/// The kernel's arguments for the everyday image.
const KERNEL: &str = "root=/dev/vda ro rootfstype=squashfs console=ttyAMA0 loglevel=4";

/// A running machine. Dropping it switches it off.
#[derive(Debug)]
pub struct Vm {
    qemu: Child,
    console: Arc<Terminal>,
    /// Where the running system began in the console's output.
    booted: usize,
    shell: Shell,
    /// The port of this machine that leads to the guest's port 443.
    pub https: u16,
    /// The folder with this machine's logs and other files.
    pub folder: PathBuf,
}

/// A part of the target that the image can simulate.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// Its USB: what the appliance types comes back as input events.
    Usb,
    Video,
    /// Its buttons and lamps.
    Panel,
}

/// A machine that is not yet switched on. It has no target, unless it is given one: simulating one costs a host
/// processor even if nobody looks.
#[derive(Debug, Clone)]
pub struct Machine {
    name: String,
    kernel: String,
    unaltered: bool,
    leaping: bool,
    target: Vec<Target>,
    more: Vec<String>,
}

impl Machine {
    /// `name` names the folder below `out/run` that keeps the console's text, so it can be read after a failure.
    pub fn named(name: &str) -> Machine {
        let (name, kernel) = (name.to_owned(), KERNEL.to_owned());
        Machine { name, kernel, unaltered: false, leaping: false, target: Vec::new(), more: Vec::new() }
    }

    /// Connects it to a part of a target.
    pub fn with(mut self, part: Target) -> Machine {
        self.target.push(part);
        self
    }

    /// Connects it to a whole target.
    pub fn with_target(self) -> Machine {
        self.with(Target::Usb).with(Target::Video).with(Target::Panel)
    }

    /// Sets its kernel's arguments, instead of those for the everyday root.
    pub fn kernel(mut self, arguments: &str) -> Machine {
        arguments.clone_into(&mut self.kernel);
        self
    }

    /// Adds arguments for QEMU, for what only a few machines have.
    pub fn more<S: Into<String>>(mut self, more: impl IntoIterator<Item = S>) -> Machine {
        self.more.extend(more.into_iter().map(S::into));
        self
    }

    /// Gives its kernel only the arguments that the image itself gives. Such a machine has a whole target, as in use.
    pub fn unaltered(mut self) -> Machine {
        self.unaltered = true;
        self
    }

    /// Lets its clock jump to the next event whenever it is idle, so that tests do not wait for an idle guest.
    ///
    /// For deadlines of the guest's own. Our answers take long in such a guest's time: what must happen within some
    /// seconds of its time belongs in one command, and network requests to it belong in [`Vm::held`].
    pub fn leaping(mut self) -> Machine {
        self.leaping = true;
        self
    }

    /// Its kernel's arguments.
    fn arguments(&self) -> String {
        if self.unaltered {
            return self.kernel.clone();
        }
        let target: Vec<_> = self.target.iter().map(Target::name).collect();
        // A kernel at a random address also unmaps itself in each process (KPTI), which costs an emulated processor a
        // quarter of its time. No test depends on that protection; one test checks that the kernel boots with it.
        format!("{} nokaslr farhand.target={}", self.kernel, target.join(","))
    }

    /// Boots the image with an empty memory of its own, and waits for its shell.
    #[track_caller]
    pub fn boot(self) -> Vm {
        let mut vm = self.switch_on();
        vm.meet_shell();
        vm
    }

    /// Switches it on and waits for nothing; its shell is there after [`Vm::meet_shell`].
    pub fn switch_on(self) -> Vm {
        let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("out");
        let folder = out.join("run").join(&self.name);
        let out = out.join("virt");
        fs::create_dir_all(&folder).expect("out/ can be written");
        let data = folder.join("data.ext4");
        fs::copy(out.join("data.ext4"), &data).expect("there is an image: run 'make image-quick'");
        // QEMU gets its end as standard input: there is no name to choose, and no moment without a peer.
        let (shell, guest) = UnixStream::pair().expect("sockets can be made");
        let https = free_port();

        // A killed test runs no destructors, so the kernel ends the machine with the thread that booted it.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-aarch64"]);
        // Emulation only: tests must not depend on whether a machine permits acceleration.
        let clock = match self.leaping {
            // A nanosecond per instruction; see pi.rs.
            true => &["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"][..],
            false => &["-accel", "tcg,thread=multi"],
        };
        qemu.args(["-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "512"])
            .args(clock)
            .args(["-display", "none", "-serial", "file:/dev/stdout", "-monitor", "none"])
            .arg("-kernel")
            .arg(out.join("Image"))
            .args(["-append", &self.arguments()]);
        disk(&mut qemu, "root", &out.join("root.squashfs"), true);
        disk(&mut qemu, "data", &data, false);
        disk(&mut qemu, "peek", &out.join("peek.squashfs"), true);
        qemu.arg("-netdev")
            .arg(format!("user,id=net,hostfwd=tcp:127.0.0.1:{https}-:443"))
            // No ROM for booting from the network: Debian has it in another package, and nothing here uses it.
            .args(["-device", "virtio-net-pci,netdev=net,romfile="])
            .args(["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"])
            .args(["-chardev", "socket,id=shell,fd=0", "-device", "virtconsole,chardev=shell"])
            .args(&self.more)
            .stdin(OwnedFd::from(guest))
            .stdout(Stdio::piped());
        let mut qemu = qemu.spawn().expect("qemu-system-aarch64 is installed: run image/need-qemu.sh");

        let log = |name| fs::File::create(folder.join(name)).expect("the folder can be written");
        let console = Terminal::listen(qemu.stdout.take().expect("stdout is piped"), log("console.log"));
        let said = Terminal::listen(shell.try_clone().expect("a socket can be cloned"), log("shell.log"));
        Vm { qemu, console, booted: 0, shell: Shell::on(said, shell), https, folder }
    }
}

impl Target {
    /// Its name in the image's /etc/init.d/board.
    fn name(&self) -> &'static str {
        match self {
            Target::Usb => "usb",
            Target::Video => "video",
            Target::Panel => "panel",
        }
    }
}

impl Vm {
    /// Boots a machine without a target, as most tests need; see [`Machine`] for others.
    #[track_caller]
    pub fn boot(name: &str) -> Vm {
        Machine::named(name).boot()
    }

    /// Boots a machine with more arguments for QEMU.
    #[track_caller]
    pub fn boot_with(name: &str, more: &[String]) -> Vm {
        Machine::named(name).more(more).boot()
    }

    /// Runs a command line as root in the guest.
    #[track_caller]
    pub fn sh(&mut self, command: &str) -> Output {
        self.shell.sh(command)
    }

    /// Runs a command line with a time limit of its own.
    #[track_caller]
    pub fn sh_within(&mut self, command: &str, within: Duration) -> Output {
        self.shell.sh_within(command, within)
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub fn ask(&mut self, command: &str) -> String {
        self.shell.ask(command)
    }

    /// Keeps a jumping clock from jumping while something outside talks with the guest: a guest that computes is not
    /// idle.
    #[track_caller]
    pub fn held<T>(&mut self, talk: impl FnOnce(&mut Vm) -> T) -> T {
        self.ask("chpst -n 19 sh -c 'while :; do :; done' & echo $! >/tmp/held");
        let said = talk(self);
        // The guest may have restarted meanwhile.
        self.sh("kill $(cat /tmp/held)");
        said
    }

    /// Waits until the serial console has printed `text`, and returns it with the rest of its line.
    #[track_caller]
    pub fn wait_console(&self, text: &str, within: Duration) -> String {
        self.console.wait_line(self.booted, text, within)
    }

    /// Searches only what the serial console prints from now on.
    pub fn forget_console(&mut self) {
        self.booted = self.console.here();
    }

    /// Restarts the guest as its own `reboot` does. Earlier output is not searched any more.
    #[track_caller]
    pub fn reboot(&mut self) {
        self.booted = self.console.here();
        self.shell.say("reboot\n");
        self.meet_shell();
    }

    /// Waits until the guest has restarted by itself. Output from before this call is not searched any more.
    #[track_caller]
    pub fn wait_restart(&mut self, within: Duration) {
        self.booted = self.console.here();
        self.meet_shell_within(within);
    }

    /// Waits for the shell of a machine that starts.
    #[track_caller]
    pub fn meet_shell(&mut self) {
        self.meet_shell_within(BOOT);
    }

    #[track_caller]
    fn meet_shell_within(&mut self, within: Duration) {
        self.shell.meet(within);
        self.ask("mkdir -p /tmp/peek && mount -t squashfs -o ro /dev/vdc /tmp/peek");
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn disk(qemu: &mut Command, id: &str, file: &Path, readonly: bool) {
    let readonly = if readonly { "on" } else { "off" };
    qemu.arg("-drive")
        // The file need only outlive the machine, not this host: nothing has to reach the host's disk, and a guest that
        // waited for that would count it as its own time.
        .arg(format!("if=none,id={id},format=raw,cache=unsafe,readonly={readonly},file={}", file.display()))
        .arg("-device")
        .arg(format!("virtio-blk-pci,drive={id}"));
}

/// The kernel's arguments from U-Boot for the card's slot A.
pub fn slot_a() -> String {
    format!("rauc.slot=A {}", card_root())
}

/// Has the kernel run from the root of the card's slot A, behind dm-verity.
pub fn card_root() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("out/virt/slot.env");
    let text = fs::read_to_string(file).expect("there is a card: run 'make image-quick'");
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {key} in slot.env"))
    };
    let root = "PARTUUID=fa7a4d01-06";
    format!("{} {root} {root} {} dm-mod.waitfor={root}", value("args_before"), value("args_after"))
}

/// A free port of this machine.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("a bound socket has an address").port()
}
