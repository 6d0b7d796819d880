//! Boots the image in QEMU and talks to it.
//!
//! A test sees a machine as its owner does: network ports and a serial console. What only a test
//! may do, it does through the root shell that a development image keeps on a channel that no real
//! board has. Nothing here sleeps: every wait is for a condition, with a deadline.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for an emulated machine beside a busy build; a boot takes a tenth of it.
pub const BOOT: Duration = Duration::from_secs(90);

/// What the guest's shell says first.
const GREETING: &str = "built-in shell";

/// What a command in the guest printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    pub text: String,
    pub status: i32,
}

/// A running machine. Dropping it switches it off.
#[derive(Debug)]
pub struct Vm {
    qemu: Child,
    console: Arc<Console>,
    shell: UnixStream,
    commands: u32,
    /// Where the guest's port 443 is to be found on this machine.
    pub https: u16,
    /// Where the guest's port 80 is to be found on this machine.
    pub http: u16,
}

impl Vm {
    /// Boots the image with an empty memory of its own, and waits for its shell.
    ///
    /// `name` names the folder below `out/run` that keeps the console's text, so it can be read
    /// after a failure.
    #[track_caller]
    pub fn boot(name: &str) -> Vm {
        Vm::boot_with(name, &[])
    }

    /// Boots a machine that has more than the others: what QEMU is to be told beside the rest.
    #[track_caller]
    pub fn boot_with(name: &str, more: &[String]) -> Vm {
        let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("out");
        let folder = out.join("run").join(name);
        let out = out.join("virt");
        fs::create_dir_all(&folder).expect("out/ can be written");
        let data = folder.join("data.ext4");
        fs::copy(out.join("data.ext4"), &data).expect("there is an image: run 'make image-quick'");
        // QEMU is given its end as standard input: no name to choose, and no moment without a peer.
        let (shell, guest) = UnixStream::pair().expect("sockets can be made");
        let (https, http) = (free_port(), free_port());

        // A test that is killed drops nothing, so the kernel ends the machine with the thread that booted it.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-aarch64"]);
        // Emulation alone: tests must not depend on what a machine lets its users accelerate.
        qemu.args(["-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "512", "-accel", "tcg,thread=multi"])
            .args(["-display", "none", "-serial", "file:/dev/stdout", "-monitor", "none"])
            .arg("-kernel")
            .arg(out.join("Image"))
            .args(["-append", "root=/dev/vda ro rootfstype=squashfs console=ttyAMA0 loglevel=4"]);
        disc(&mut qemu, "root", &out.join("root.squashfs"), true);
        disc(&mut qemu, "data", &data, false);
        disc(&mut qemu, "peek", &out.join("peek.squashfs"), true);
        qemu.arg("-netdev")
            .arg(format!("user,id=net,hostfwd=tcp:127.0.0.1:{https}-:443,hostfwd=tcp:127.0.0.1:{http}-:80"))
            // No ROM to start from the network with: Debian keeps it in another package, and nothing here uses it.
            .args(["-device", "virtio-net-pci,netdev=net,romfile="])
            .args(["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"])
            .args(["-chardev", "socket,id=shell,fd=0", "-device", "virtconsole,chardev=shell"])
            .args(more)
            .stdin(OwnedFd::from(guest))
            .stdout(Stdio::piped());
        let mut qemu = qemu.spawn().expect("qemu-system-aarch64 is installed: run image/need-qemu.sh");

        let console = Arc::new(Console::default());
        let stdout = qemu.stdout.take().expect("stdout is piped");
        let log = fs::File::create(folder.join("console.log")).expect("the folder can be written");
        let reader = Arc::clone(&console);
        thread::spawn(move || reader.record(stdout, log));

        let mut vm = Vm { qemu, console, shell, commands: 0, https, http };
        vm.meet_shell();
        vm
    }

    /// Runs a command line as root in the guest.
    #[track_caller]
    pub fn sh(&mut self, command: &str) -> Output {
        self.sh_within(command, Duration::from_secs(60))
    }

    /// Runs a command line that may take longer, or must not take as long, as most.
    #[track_caller]
    pub fn sh_within(&mut self, command: &str, within: Duration) -> Output {
        self.commands += 1;
        let mark = format!("<end of command {}>", self.commands);
        // On lines of their own, so that a comment or a here-document ends where it should.
        let line = format!("{{\n{command}\n}} </dev/null\nprintf '\\n%s %s\\n' '{mark}' $?\n");
        self.shell.write_all(line.as_bytes()).expect("the machine is running");
        let text = self.read_shell(&format!("\n{mark} "), within);
        let status = self.read_shell("\n", within);
        Output { text, status: status.trim().parse().expect("printf printed a number") }
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub fn ask(&mut self, command: &str) -> String {
        let output = self.sh(command);
        assert_eq!(0, output.status, "{command}\n{}", output.text);
        output.text
    }

    /// Waits until the serial console has said `text`, and returns it with the rest of its line.
    #[track_caller]
    pub fn wait_console(&self, text: &str, within: Duration) -> String {
        self.console.wait(text, within)
    }

    /// Searches the serial console only for what it says from now on.
    pub fn forget_console(&self) {
        self.console.forget();
    }

    /// Restarts the guest as its own `reboot` does. What was said before is not searched any more.
    #[track_caller]
    pub fn reboot(&mut self) {
        self.console.forget();
        self.shell.write_all(b"reboot\n").expect("the machine is running");
        self.meet_shell();
    }

    /// Waits until the guest has restarted by itself. What was said before is not searched any more.
    #[track_caller]
    pub fn wait_restart(&mut self, within: Duration) {
        self.console.forget();
        self.read_shell(GREETING, within);
        self.enter_shell();
    }

    /// Makes the guest's new shell one for programs: no echo, no prompt, no line editing.
    #[track_caller]
    fn meet_shell(&mut self) {
        // Its greeting first: a shell that is dying in a reboot shows a prompt, too.
        self.read_shell(GREETING, BOOT);
        self.enter_shell();
    }

    #[track_caller]
    fn enter_shell(&mut self) {
        self.read_shell("# ", BOOT);
        // A shell whose output is a pipe does not think that it talks to a person.
        self.shell.write_all(b"stty -echo -opost; sh 2>&1 | cat\n").expect("the machine is running");
        // Repeated, because what arrives while the terminal changes its mode is thrown away.
        let deadline = Instant::now() + BOOT;
        let ready = format!("ready {}", std::process::id());
        let mut heard = Vec::new();
        while !contains(&heard, format!("\n{ready}\n").as_bytes()) {
            assert!(Instant::now() < deadline, "no shell on hvc0: {}", String::from_utf8_lossy(&heard));
            self.shell.write_all(format!("printf '\\n{ready}\\n'\n").as_bytes()).expect("the machine is running");
            self.read_for(&mut heard, Duration::from_secs(1));
        }
        // Answers to the repetitions may still be on their way; the first command's mark ends them.
        self.ask("mkdir -p /tmp/peek && mount -t squashfs -o ro /dev/vdc /tmp/peek");
    }

    #[track_caller]
    fn read_shell(&mut self, end: &str, within: Duration) -> String {
        let deadline = Instant::now() + within;
        let mut heard = Vec::new();
        let mut byte = [0];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the shell did not say {end:?} but: {}", String::from_utf8_lossy(&heard));
            self.shell.set_read_timeout(Some(left)).expect("a socket has time-outs");
            match self.shell.read(&mut byte) {
                Ok(0) => panic!("the machine ended; it had said: {}", String::from_utf8_lossy(&heard)),
                // Byte by byte, so that nothing beyond `end` is taken from the next reader.
                Ok(_) => heard.push(byte[0]),
                Err(error) if is_timeout(error.kind()) => (),
                Err(error) => panic!("cannot read the shell: {error}"),
            }
            if heard.ends_with(end.as_bytes()) {
                heard.truncate(heard.len() - end.len());
                return String::from_utf8_lossy(&heard).into_owned();
            }
        }
    }

    /// Collects what the shell says until it has been silent for a while.
    fn read_for(&mut self, heard: &mut Vec<u8>, silence: Duration) {
        self.shell.set_read_timeout(Some(silence)).expect("a socket has time-outs");
        let mut bytes = [0; 4096];
        while let Ok(len) = self.shell.read(&mut bytes) {
            assert!(0 < len, "the machine ended");
            heard.extend_from_slice(&bytes[..len]);
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// What the serial console has said so far.
#[derive(Debug, Default)]
struct Console {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    text: String,
    ended: bool,
}

impl Console {
    fn record(&self, mut from: impl Read, mut log: fs::File) {
        let mut bytes = [0; 4096];
        loop {
            let len = from.read(&mut bytes).unwrap_or(0);
            let mut said = self.said.lock().expect("no reader panics while it holds this");
            let text = String::from_utf8_lossy(&bytes[..len]);
            said.text.extend(text.chars().filter(|&char| char != '\r'));
            said.ended = len == 0;
            self.more.notify_all();
            // A log that cannot be kept must not hide what the test itself finds.
            let _ = log.write_all(&bytes[..len]);
            if said.ended {
                return;
            }
        }
    }

    #[track_caller]
    fn wait(&self, text: &str, within: Duration) -> String {
        let deadline = Instant::now() + within;
        let mut said = self.said.lock().expect("no reader panics while it holds this");
        loop {
            if let Some(line) = said.text.find(text).and_then(|at| said.text[at..].split_once('\n')) {
                return line.0.to_owned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let tail: Vec<_> = said.text.lines().rev().take(20).collect();
            let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
            if left.is_zero() || said.ended {
                // Released first, or the recorder would find a poisoned lock.
                let ended = said.ended;
                drop(said);
                panic!("the console did not say {text:?} (machine ended: {ended}); its last lines:\n{tail}");
            }
            said = self.more.wait_timeout(said, left).expect("no reader panics while it holds this").0;
        }
    }

    fn forget(&self) {
        self.said.lock().expect("no reader panics while it holds this").text.clear();
    }
}

fn disc(qemu: &mut Command, id: &str, file: &Path, readonly: bool) {
    let readonly = if readonly { "on" } else { "off" };
    qemu.arg("-drive")
        .arg(format!("if=none,id={id},format=raw,readonly={readonly},file={}", file.display()))
        .arg("-device")
        .arg(format!("virtio-blk-pci,drive={id}"));
}

/// A port of this machine that nothing listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("a bound socket has an address").port()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
