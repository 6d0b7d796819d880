//! Keeps a log that nobody reads from holding up the process.
//!
//! The log is a pipe, and once that is full, who writes to it waits. A process that has a relay to open must not.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Has lines of the log dropped from now on where they would have to be waited for.
pub fn never_wait() {
    if let Err(error) = set() {
        log::warn!("a log that is full will hold this process up: {error}");
    }
}

fn set() -> io::Result<()> {
    let log = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    // A terminal is shared with a shell, which does not expect this.
    if log.metadata()?.file_type().is_fifo() {
        let flags = OFlag::from_bits_retain(fcntl(&log, FcntlArg::F_GETFL)?);
        fcntl(&log, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    }
    Ok(())
}
