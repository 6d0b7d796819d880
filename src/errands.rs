//! Does what init or a person asks for once: each job runs to its end and says how it went.
//!
//! Init's scripts run these before the services start. They are here and not in shell because each reads or writes something
//! that a script would get wrong: accounts, a partition table, a password.

use std::io::{self, BufRead as _, Read as _};
use std::path::Path;
use std::time::Duration;

use crate::adopt::{self, Outcome};
use crate::config::Line;
use crate::daemon::{SERVE_USER, StartError, cannot};
use crate::hw::{grow, reset_pin};
use crate::session::accounts::check_password;
use crate::session::secret;

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

/// Reads a password and prints its hash.
pub fn hash_password() -> Result<(), StartError> {
    let mut password = String::new();
    // Longer than any that is allowed, so that one that is too long is not cut to fit.
    let line = io::stdin().lock().take(1024).read_line(&mut password);
    line.map_err(cannot("read the password from standard input"))?;
    let password = password.trim_end_matches(['\r', '\n']);
    check_password(password)?;
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

/// Prints `held` when the pin that asks for a factory reset is held for that long.
pub fn reset_pin(chip: &str, line: u16, time: Duration) -> Result<(), StartError> {
    if reset_pin::is_held(chip, Line(line), time).map_err(StartError::Pin)? {
        println!("held");
    }
    Ok(())
}
