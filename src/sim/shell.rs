//! Carries out the few commands that the simulated console knows.

use std::time::Duration;

use crate::base::signal::Size;

/// Video modes that the console can switch to.
const MODES: [Size; 5] = [
    Size { width: 640, height: 480 },
    Size { width: 800, height: 600 },
    Size { width: 1024, height: 768 },
    Size { width: 1280, height: 1024 },
    Size { width: 1920, height: 1080 },
];

const HELP: [&str; 7] = [
    "echo TEXT     write TEXT            ls            list files",
    "cat FILE      show a file           uname         name the system",
    "uptime        how long it runs      clear         empty the screen",
    "mode WxH      change the video mode, e.g. mode 1280x1024",
    "startx        start the desktop",
    "hang          freeze, so that only reset or power help",
    "reboot        restart               poweroff      shut down",
];

/// The files of the home folder.
const FILES: [(&str, &str); 3] = [
    ("README", "This machine is simulated. Try startx, hang, mode 1280x1024, or the power button.\n"),
    ("hello.txt", "Hello from the other side of the wire.\n"),
    ("todo.txt", "[x] plug in the cable\n[ ] find out what this button does\n"),
];

/// The result of a command line.
#[derive(Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`restart` says it")]
pub enum Outcome {
    /// Print this text.
    Say(String),
    /// Clear the screen.
    Clear,
    /// Change the console's video mode.
    Mode(Size),
    /// Start the desktop.
    Desktop,
    /// Freeze the machine.
    Hang,
    /// Shut the system down, and perhaps restart it.
    Shutdown { restart: bool },
}

/// Carries out one line, on a system that has run for `uptime`.
pub fn run(line: &str, uptime: Duration) -> Outcome {
    let (command, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let rest = rest.trim_start();
    match command {
        "" => Outcome::Say(String::new()),
        "help" => Outcome::Say(HELP.map(|line| format!("  {line}\n")).concat()),
        "echo" => Outcome::Say(format!("{rest}\n")),
        "ls" => Outcome::Say(FILES.map(|(name, _)| name).join("  ") + "\n"),
        "cat" => Outcome::Say(match FILES.iter().find(|(name, _)| *name == rest) {
            Some((_, text)) => (*text).into(),
            None => format!("cat: {rest}: no such file\n"),
        }),
        "uname" => Outcome::Say("Linux practice 6.12.0-simulated x86_64\n".into()),
        "uptime" => Outcome::Say(format!("up {} seconds\n", uptime.as_secs())),
        "clear" => Outcome::Clear,
        "mode" => match MODES.iter().find(|mode| mode.to_string() == rest) {
            Some(mode) => Outcome::Mode(*mode),
            None => Outcome::Say(format!("mode: one of {}\n", MODES.map(|mode| mode.to_string()).join(", "))),
        },
        "startx" => Outcome::Desktop,
        "hang" => Outcome::Hang,
        "reboot" => Outcome::Shutdown { restart: true },
        "poweroff" => Outcome::Shutdown { restart: false },
        _ => Outcome::Say(format!("{command}: command not found, try help\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        assert_eq!(Outcome::Say(expected.into()), run(line, Duration::from_millis(61_700)));
    }

    #[test]
    fn lines_are_carried_out() {
        check("", "");
        check("echo  a  b ", "a  b\n");
        check("uptime", "up 61 seconds\n");
        check("cat hello.txt", "Hello from the other side of the wire.\n");
        check("cat nothing", "cat: nothing: no such file\n");
        check("frobnicate x", "frobnicate: command not found, try help\n");
        assert_eq!(Outcome::Mode(Size { width: 800, height: 600 }), run("mode 800x600", Duration::ZERO));
        assert_eq!(Outcome::Shutdown { restart: true }, run(" reboot ", Duration::ZERO));
    }
}
