//! Reads and writes the boot loader's memory with the commands of libubootenv.
//!
//! They know where it lies (`/etc/fw_env.config`), and keep its two copies so that a power cut leaves one whole. An
//! installer changes the same variables, one after the other; so nobody writes what was read before the other had its
//! turn.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::PathBuf;
use std::process::Output;

use crate::base::launcher::{Launcher, Program};
use crate::update::slots::{Environment, Slot};

/// The boot loader's memory, and who guards it.
#[derive(Debug, Clone)]
pub struct BootEnv {
    /// The program that prints it.
    pub printenv: PathBuf,
    /// The program that changes it.
    pub setenv: PathBuf,
    /// Locked while an update is installed (`/usr/libexec/install-bundle`).
    pub lock: PathBuf,
    /// Starts the two.
    pub launcher: Launcher,
}

impl Default for BootEnv {
    fn default() -> BootEnv {
        BootEnv {
            printenv: "fw_printenv".into(),
            setenv: "fw_setenv".into(),
            lock: "/run/install-bundle.lock".into(),
            launcher: Launcher::default(),
        }
    }
}

impl BootEnv {
    /// What reads it.
    pub fn reader(&self) -> Program {
        Program::new([&self.printenv])
    }

    /// What writes it. It has the lock for as long as it may write, even if it hangs and outlives us.
    pub fn writer(&self) -> Program {
        Program::new([self.setenv.as_os_str(), "-s".as_ref(), "-".as_ref()]).outliving()
    }

    /// Reads it.
    pub fn read(&self) -> io::Result<Environment> {
        let output = self.launcher.output(&self.reader(), b"")?;
        Ok(Environment::parse(&said(output, "fw_printenv")?))
    }

    /// Has it remember that `slot` is confirmed, and gives what is read back. None: an update is being installed
    /// meanwhile.
    ///
    /// What is to be written is made from what is read now, not from what was read when that was decided.
    pub fn confirm(&self, slot: Slot) -> io::Result<Option<Environment>> {
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&self.lock)?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let found = self.read()?;
        let Some(wanted) = found.to_confirm(slot) else { return Ok(Some(found)) };
        self.write(&wanted, &lock)?;
        self.read().map(Some)
    }

    /// Writes it in one go.
    fn write(&self, environment: &Environment, lock: &File) -> io::Result<()> {
        // It says nothing there, but so the lock is its own, too.
        let held = lock.try_clone()?.into();
        let output = self.launcher.output_to(&self.writer(), environment.script().as_bytes(), held)?;
        said(output, "fw_setenv").map(drop)
    }
}

/// What a command printed, or what it complained of.
fn said(output: Output, command: &str) -> io::Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(io::Error::other(format!("{command} ended with {}: {complaint}", output.status)))
}
