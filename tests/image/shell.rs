//! Runs commands as root in a development image, on the line where it keeps its shell.
//!
//! On QEMU's `virt` that is a channel of its own; on a Pi it is the serial console, where the kernel logs too.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::terminal::Terminal;

/// Long enough for an emulated machine on a host with twenty times as much to do; a boot takes a thirtieth of it.
pub const BOOT: Duration = Duration::from_secs(180);
/// Most commands take a thousandth of this.
const COMMAND: Duration = Duration::from_secs(180);

/// What a command in the guest printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    pub text: String,
    pub status: i32,
}

/// A line with a root shell at its other end.
#[derive(Debug)]
pub struct Shell {
    terminal: Arc<Terminal>,
    keys: UnixStream,
    /// Output before this position is no answer to us.
    at: usize,
    commands: u32,
}

impl Shell {
    /// A line on which a shell will appear; see [`Shell::meet`].
    pub fn on(terminal: Arc<Terminal>, keys: UnixStream) -> Shell {
        Shell { terminal, keys, at: 0, commands: 0 }
    }

    /// Runs a command line as root in the guest.
    #[track_caller]
    pub fn sh(&mut self, command: &str) -> Output {
        self.sh_within(command, COMMAND)
    }

    /// Runs a command line with a time limit of its own.
    #[track_caller]
    pub fn sh_within(&mut self, command: &str, within: Duration) -> Output {
        self.commands += 1;
        let mark = format!("<end of command {}>", self.commands);
        // On a line of its own, so that a comment or a here-document ends where it should.
        self.say(&format!("{{\n{command}\n}} </dev/null\nprintf '\\n%s %s\\n' '{mark}' $?\n"));
        let text = self.read_until(&format!("\n{mark} "), within);
        let status = self.read_until("\n", within);
        Output { text, status: status.trim().parse().expect("printf printed a number") }
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub fn ask(&mut self, command: &str) -> String {
        let output = self.sh(command);
        assert_eq!(0, output.status, "{command}\n{}", output.text);
        output.text
    }

    /// Types something and waits for nothing.
    pub fn say(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).expect("the machine is running");
    }

    /// Ignores all output until now, for when the process that wrote it has gone.
    pub fn skip(&mut self) {
        self.at = self.terminal.here();
    }

    /// Waits for the shell of a system that starts, and makes it one for programs: no echo, no prompt, no line editing.
    #[track_caller]
    pub fn meet(&mut self, within: Duration) {
        // Its greeting first: a shell that a reboot is ending shows a prompt too.
        self.read_until("built-in shell", within);
        self.read_until("# ", BOOT);
        // A shell whose output is a pipe is not interactive.
        self.say("stty -echo -opost; sh 2>&1 | cat\n");
        // Repeated, because input that arrives while the terminal changes its mode is discarded.
        let deadline = Instant::now() + BOOT;
        let ready = format!("ready {}", self.at);
        let heard = format!("\n{ready}\n");
        loop {
            self.say(&format!("printf '\\n{ready}\\n'\n"));
            match self.terminal.look(self.at, &heard, Duration::from_secs(1)) {
                Ok((_, end)) => break self.at = end,
                Err(complaint) => assert!(Instant::now() < deadline, "no shell: {complaint}"),
            }
        }
        // Answers to the repetitions may still be on their way; the first command's mark ends them.
        self.ask("true");
    }

    #[track_caller]
    fn read_until(&mut self, end: &str, within: Duration) -> String {
        let (text, at) = self.terminal.wait(self.at, end, within);
        self.at = at;
        text
    }
}
