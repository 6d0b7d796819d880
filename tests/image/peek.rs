//! Shows a test what happens inside the guest: input events, sysfs values, listening sockets.
//!
//! It runs in the image but is no part of it: it is on a disk of its own. It uses only the standard library, so that
//! one compiler call builds it.
//!
//!     peek events NAME|DEVICE [--for MS]    each input event: type code value µs
//!     peek watch FILE --for MS              each change of a value: value µs µs µs (see `watch`)
//!     peek listeners                        each listening socket: protocol address port

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["events", device] => events(device, None),
        ["events", device, "--for", ms] => duration(ms).and_then(|time| events(device, Some(time))),
        ["watch", file, "--for", ms] => duration(ms).and_then(|time| watch(Path::new(file), time)),
        ["listeners"] => listeners(),
        _ => Err(io::Error::other("usage: peek events NAME|DEVICE [--for MS] | watch FILE --for MS | listeners")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peek: {error}");
            ExitCode::FAILURE
        }
    }
}

fn duration(ms: &str) -> io::Result<Duration> {
    ms.parse().map(Duration::from_millis).map_err(|_| io::Error::other(format!("{ms} is not a number of ms")))
}

/// Prints input events as they come: `type code value µs`, after a line that says it is listening.
fn events(device: &str, time: Option<Duration>) -> io::Result<()> {
    let path = if device.starts_with('/') { PathBuf::from(device) } else { find(device)? };
    let mut file = File::open(&path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
    say(format_args!("listening to {}", path.display()))?;
    let (send, receive) = mpsc::sync_channel(64);
    thread::spawn(move || {
        // struct input_event on a 64-bit kernel: two words of time, then type, code, value.
        let mut event = [0; 24];
        while file.read_exact(&mut event).is_ok() && send.send(event).is_ok() {}
    });
    let end = time.map(|time| Instant::now() + time);
    loop {
        let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        match receive.recv_timeout(left) {
            Ok(event) => say(format_args!("{}", describe(&event)))?,
            Err(mpsc::RecvTimeoutError::Timeout) => return Ok(()),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(io::Error::other("the device has gone")),
        }
    }
}

fn describe(event: &[u8; 24]) -> String {
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| event[at + index]));
    let half = |at: usize| u16::from_le_bytes([event[at], event[at + 1]]);
    let value = i32::from_le_bytes(std::array::from_fn(|index| event[20 + index]));
    format!("{} {} {value} {}", half(16), half(18), word(0) * 1_000_000 + word(8))
}

/// The node of the input device whose name contains `name`.
fn find(name: &str) -> io::Result<PathBuf> {
    let mut known = Vec::new();
    for entry in fs::read_dir("/sys/class/input")? {
        let entry = entry?;
        let Ok(device) = fs::read_to_string(entry.path().join("device/name")) else { continue };
        let node = entry.file_name();
        if !node.to_string_lossy().starts_with("event") {
            continue;
        }
        if device.contains(name) {
            return Ok(Path::new("/dev/input").join(node));
        }
        known.push(device.trim().to_owned());
    }
    Err(io::Error::other(format!("no input device is called {name}; there are {known:?}")))
}

/// A longer pause between two reads means that this machine did not get its processor.
const LONGEST_GAP: Duration = Duration::from_millis(10);

/// Prints each change of a sysfs value, first the one it has now.
///
/// A value that another process drives sends no event, so this polls, and prints what it knows: `value`, when the
/// previous one was last seen, when this one was first seen, and for how long in all the machine was delayed until then
/// (each in µs). A test on a busy host can then tell a press that was too long from a read that came too late.
fn watch(path: &Path, time: Duration) -> io::Result<()> {
    let start = Instant::now();
    let mut last = None;
    let mut seen = Duration::ZERO;
    let mut held_up = Duration::ZERO;
    while seen < time {
        let value =
            fs::read_to_string(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        let now = start.elapsed();
        held_up += (now - seen).saturating_sub(LONGEST_GAP);
        if last.as_ref() != Some(&value) {
            let [before, after, held_up] = [seen, now, held_up].map(|time| time.as_micros());
            say(format_args!("{} {before} {after} {held_up}", value.trim()))?;
            last = Some(value);
        }
        seen = now;
        // Without a pause this would take the processor from what is tested.
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Prints each listening socket: `protocol address port`.
fn listeners() -> io::Result<()> {
    // A listening TCP socket is in state 0A; UDP has only "bound and not connected", which is 07.
    for (protocol, state) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
        let mut table = String::new();
        File::open(format!("/proc/net/{protocol}"))?.read_to_string(&mut table)?;
        for row in table.lines().skip(1) {
            let mut fields = row.split_whitespace().skip(1);
            let (Some(local), Some(_), Some(found)) = (fields.next(), fields.next(), fields.next()) else { continue };
            if let Some((address, port)) = local.split_once(':').filter(|_| found == state) {
                let port = u16::from_str_radix(port, 16).map_err(io::Error::other)?;
                say(format_args!("{protocol} {} {port}", address_of(address)?))?;
            }
        }
    }
    Ok(())
}

/// The kernel prints an address as words of the machine's own byte order.
fn address_of(hex: &str) -> io::Result<IpAddr> {
    let mut bytes = Vec::new();
    for at in (0..hex.len()).step_by(8) {
        let word = hex.get(at..at + 8).ok_or_else(|| io::Error::other(format!("half an address: {hex}")))?;
        bytes.extend(u32::from_str_radix(word, 16).map_err(io::Error::other)?.to_le_bytes());
    }
    if let Ok(bytes) = <[u8; 16]>::try_from(&bytes[..]) {
        return Ok(Ipv6Addr::from(bytes).into());
    }
    let bytes = <[u8; 4]>::try_from(&bytes[..]).map_err(io::Error::other)?;
    Ok(Ipv4Addr::from(bytes).into())
}

/// Prints a line and flushes it, because a test waits for it.
fn say(line: std::fmt::Arguments) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
