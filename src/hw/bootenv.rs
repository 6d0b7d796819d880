//! Reads and writes the boot loader's memory with the commands of libubootenv.
//!
//! They know where it lies (`/etc/fw_env.config`), and keep its two copies so that a power cut leaves one whole.

use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};

use crate::guard::slots::Environment;

/// Reads it.
pub fn read() -> io::Result<Environment> {
    let output = Command::new("fw_printenv").stdin(Stdio::null()).output()?;
    Ok(Environment::parse(&said(output, "fw_printenv")?))
}

/// Writes it in one go, and gives what is read back.
pub fn write(environment: &Environment) -> io::Result<Environment> {
    let mut command = Command::new("fw_setenv");
    command.args(["-s", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(environment.script().as_bytes())?;
    }
    said(child.wait_with_output()?, "fw_setenv")?;
    read()
}

/// What a command printed, or what it complained of.
fn said(output: Output, command: &str) -> io::Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(io::Error::other(format!("{command} ended with {}: {complaint}", output.status)))
}
