//! Connects a PC in another virtual machine to this one's kernel: its picture comes in, our relays' states go out.
//!
//! It runs in the guest but is no part of the image: it is on a disk of its own. It uses only the standard library, so
//! that one compiler call builds it. The other end is `tests/image/rig/cable.rs`. Towards the guest go messages, each
//! behind its length (32 bits, big-endian): `LAMP up` or `LAMP down` for the power lamp, all else for /dev/jpegcap.
//! Towards the host go lines: `taken` or `refused WHY` for each message, and `power 1`, `reset 0` and so on whenever a
//! relay moves.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// The channel's name in QEMU's arguments.
const PORT: &str = "cable";
const CAPTURE: &str = "/dev/jpegcap";
/// The simulated front panel has the order of /etc/farhand.toml: both relays, then the power lamp.
const RELAYS: [&str; 2] = ["power", "reset"];
const LAMP: usize = 2;
/// A line that another process drives sends no events, so it is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(3);
/// More than any picture; a longer length means that the two ends are out of step.
const MAX_MESSAGE_BYTES: usize = 16 << 20;

fn main() -> ExitCode {
    let Err(error) = run();
    eprintln!("cable: {error}");
    ExitCode::FAILURE
}

fn run() -> io::Result<std::convert::Infallible> {
    let panel = panel()?;
    let mut port = OpenOptions::new().read(true).write(true).open(port()?)?;
    let mut capture = OpenOptions::new().write(true).open(CAPTURE)?;
    let mut lamp = OpenOptions::new().write(true).open(line(&panel, LAMP).join("pull"))?;
    let (told, lines) = (port.try_clone()?, panel.clone());
    thread::spawn(move || watch(&lines, told));
    loop {
        let mut length = [0; 4];
        port.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if MAX_MESSAGE_BYTES < length {
            return Err(io::Error::other(format!("a message of {length} bytes")));
        }
        let mut message = vec![0; length];
        port.read_exact(&mut message)?;
        let done = match message.strip_prefix(b"LAMP ") {
            Some(way) => lamp.write_all(&[b"pull-", way].concat()),
            // One write is one picture.
            None => capture.write(&message).map(drop),
        };
        match done {
            Ok(()) => port.write_all(b"taken\n")?,
            Err(error) => port.write_all(format!("refused {error}\n").as_bytes())?,
        }
    }
}

/// Reports the state of each relay, and then each change.
fn watch(panel: &Path, mut told: File) {
    let mut last = [None; RELAYS.len()];
    loop {
        for (number, relay) in RELAYS.iter().enumerate() {
            let Ok(value) = fs::read_to_string(line(panel, number).join("value")) else { return };
            let closed = value.trim() == "1";
            if last[number] != Some(closed) {
                last[number] = Some(closed);
                if told.write_all(format!("{relay} {}\n", u8::from(closed)).as_bytes()).is_err() {
                    return;
                }
            }
        }
        thread::sleep(POLL_INTERVAL);
    }
}

fn line(panel: &Path, number: usize) -> PathBuf {
    panel.join(format!("sim_gpio{number}"))
}

/// The folder of the simulated GPIO chip: `/sys/devices/platform/gpio-sim.N/gpiochipM`.
fn panel() -> io::Result<PathBuf> {
    child("/sys/devices/platform", |path| starts(path, "gpio-sim."))
        .and_then(|device| child(device, |path| starts(path, "gpiochip")))
}

/// The device node of our channel.
fn port() -> io::Result<PathBuf> {
    let class = child("/sys/class/virtio-ports", |path| {
        fs::read_to_string(path.join("name")).is_ok_and(|name| name.trim() == PORT)
    })?;
    Ok(Path::new("/dev").join(class.file_name().unwrap_or_default()))
}

fn starts(path: &Path, name: &str) -> bool {
    path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name))
}

fn child(folder: impl AsRef<Path>, fits: impl Fn(&Path) -> bool) -> io::Result<PathBuf> {
    let folder = folder.as_ref();
    let missing = || io::Error::new(ErrorKind::NotFound, format!("not what is sought in {}", folder.display()));
    fs::read_dir(folder)?.flatten().map(|entry| entry.path()).find(|path| fits(path)).ok_or_else(missing)
}
