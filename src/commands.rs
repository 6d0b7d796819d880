//! Does what init or a person asks for once: each job runs to its end and says how it went.
//!
//! Init's scripts run these before the services start. They are here and not in shell because each reads or writes
//! something that a script would get wrong: accounts, a partition table, a password.

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

use crate::adopt::{self, Outcome};
use crate::audit::folder;
use crate::audit::reading::Whole;
use crate::auth::passwords;
use crate::auth::secret;
use crate::base::usb::HubPort;
use crate::config::change::{self, Change};
use crate::config::{Config, Line};
use crate::hw::carrier::Carrier;
use crate::hw::note::{self, Note};
use crate::hw::{grow, reset_pin, usb_port};
use crate::start::{SERVE_USER, StartError, cannot};

/// Takes the configuration that an owner left on the card, and tells the person at the console what became of it.
pub fn adopt(card: &Path, board: &str, data: &Path) -> Result<(), StartError> {
    let user = nix::unistd::User::from_name(SERVE_USER).map_err(|error| cannot("look up our user")(error.into()))?;
    // Only root can give files away; anybody else tries it out on files of their own.
    let serve = user.filter(|_| nix::unistd::geteuid().is_root()).map(|user| (user.uid.as_raw(), user.gid.as_raw()));
    match adopt::adopt(card, board, data, serve)? {
        Outcome::Claimed | Outcome::Nothing | Outcome::Known => (),
        Outcome::Taken => println!("took farhand.toml from the card"),
        Outcome::TakenWithOwner => println!("took farhand.toml, and the owner that it names, from the card"),
    }
    Ok(())
}

/// Prints the keys in which two configurations differ, and what follows.
pub fn diff(before: &Config, after: &Config) {
    let value = |value: Option<toml::Value>| value.map_or("nothing".to_string(), |value| value.to_string());
    for Change { key, before, after } in change::changes(before, after) {
        println!("{key}: {} -> {}", value(before), value(after));
    }
    let parts: Vec<String> =
        change::restarts(before, after).into_iter().map(|part| format!("{part:?}").to_lowercase()).collect();
    if !parts.is_empty() {
        println!("starts again: {}", parts.join(", "));
    }
    if change::needs_trial(before, after) {
        println!("is tried first, and taken back unless it is confirmed");
    }
}

/// Reads a password and prints its hash.
pub fn hash_password() -> Result<(), StartError> {
    let mut password = String::new();
    // Longer than any that is allowed, so that one that is too long is not cut to fit.
    let line = io::stdin().lock().take(1024).read_line(&mut password);
    line.map_err(cannot("read the password from standard input"))?;
    let password = password.trim_end_matches(['\r', '\n']);
    // Whose it will be is not known here.
    passwords::check(password, None)?;
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| cannot("get random numbers")(io::Error::other(error)))?;
    println!("{}", secret::hash_password(password, salt));
    Ok(())
}

/// Gives the data partition, and its file system, the rest of the card. Says so only when there was something to give.
pub fn grow(disk: &Path, data: &Path, mounted: &Path) -> Result<(), StartError> {
    if let grow::Outcome::Grown(bytes) = grow::grow(disk, data, mounted)? {
        println!("the card's data partition has grown to {} MiB", bytes >> 20);
    }
    Ok(())
}

/// Has a note on the card say what standard input says, or that there is nothing to say.
pub fn note(device: &Path, note: Note) -> Result<(), StartError> {
    let mut text = Vec::new();
    // Many times what a note has room for.
    io::stdin().lock().take(64 << 10).read_to_end(&mut text).map_err(cannot("read the note from standard input"))?;
    // A machine that runs from no card has no place for it.
    if !device.exists() {
        return Ok(());
    }
    Ok(note::write(device, note, &String::from_utf8_lossy(&text))?)
}

/// Prints `held` when the pin that asks for a factory reset is held for that long.
pub fn reset_pin(chip: &str, line: u16, time: Duration) -> Result<(), StartError> {
    if reset_pin::is_held(chip, Line(line), time).map_err(StartError::Pin)? {
        println!("held");
    }
    Ok(())
}

/// Runs a command each time that a network cable has been plugged in again, for as long as the process lives that began
/// us.
pub fn carrier(interface: &str, command: &[String]) -> Result<(), StartError> {
    // What the command is for ends with the service; one of these left behind each time would be many in the end.
    let parent = getppid();
    let ends = prctl::set_pdeathsig(Signal::SIGTERM).map_err(io::Error::from);
    ends.map_err(cannot("end with our parent"))?;
    // One that ended before that has left us to another.
    let ([program, arguments @ ..], true) = (command, parent != Pid::from_raw(1) && parent == getppid()) else {
        return Ok(());
    };
    let mut carrier = Carrier::watch(interface).map_err(cannot(format!("watch the cable of {interface}")))?;
    loop {
        carrier.wait_back().map_err(cannot(format!("watch the cable of {interface}")))?;
        log::info!("{interface}: the cable is plugged in");
        match Command::new(program).args(arguments).status() {
            Ok(status) if status.success() => (),
            Ok(status) => log::warn!("{program} ended with {status}"),
            Err(error) => log::warn!("cannot run {program}: {error}"),
        }
    }
}

/// Switches a USB port with a capture device off, and on again after `time`; or only on.
pub fn cycle_port(devices: &Path, port: &HubPort, time: Duration, only_on: bool) -> Result<(), StartError> {
    if only_on {
        return Ok(usb_port::switch_on(devices, port)?);
    }
    Ok(usb_port::cycle(devices, port, || thread::sleep(time))?)
}

/// Says that the audit log is as it was written, or where not.
pub fn verify_audit(folder: &Path) -> Result<(), StartError> {
    let summary = folder::verify(folder)?;
    println!("records {} to {} are as they were written", summary.first, summary.last);
    if 0 < summary.gaps {
        println!("{} of them tell of records that are missing: look for \"what\":\"trail\"", summary.gaps);
    }
    // By this a copy from elsewhere can be compared: whoever may write the folder can write a whole log.
    println!("sha256 of the last: {}", summary.hash);
    Ok(())
}

/// Prints the audit log as it is stored.
pub fn print_audit(folder: &Path) -> Result<(), StartError> {
    let read = || format!("read {}", folder.display());
    let mut whole = Whole::open(folder).map_err(cannot(read()))?;
    let mut stdout = io::stdout().lock();
    while let Some(part) = whole.part().map_err(cannot(read()))? {
        stdout.write_all(&part).map_err(cannot("write to standard output"))?;
    }
    Ok(())
}
