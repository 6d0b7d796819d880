//! Speaks QEMU's machine protocol (QMP) over the standard streams of a child process.
//!
//! A socket would have to be waited for and could outlive its machine. A pipe exists at once, and its end tells that
//! the machine has gone.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use serde_json::{Value, json};

/// The control connection of one machine, started with `-qmp stdio`.
pub struct Qmp {
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Qmp {
    /// Takes over the standard streams of `child`, which must be pipes.
    pub fn over(child: &mut Child) -> io::Result<Qmp> {
        let (Some(commands), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the machine was started without pipes"));
        };
        let mut qmp = Qmp { commands, answers: BufReader::new(answers) };
        qmp.message()?;
        qmp.run("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Carries out one command and returns what it answers.
    pub fn run(&mut self, command: &str, arguments: Value) -> io::Result<Value> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        self.commands.write_all(line.as_bytes())?;
        loop {
            let mut message = self.message()?;
            // Events between the answers are ignored; the state is queried where it is needed.
            if let Some(answer) = message.get_mut("return") {
                return Ok(answer.take());
            } else if let Some(error) = message.get("error") {
                return Err(io::Error::other(format!("{command}: {}", error["desc"])));
            }
        }
    }

    fn message(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_str(&line).map_err(io::Error::other)
    }
}
