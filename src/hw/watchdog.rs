//! Holds the hardware watchdog (Linux watchdog API, Documentation/watchdog/watchdog-api.rst).
//!
//! Once open it resets the machine unless it is fed, whatever becomes of us: that is its use. So it is opened by the
//! one process that feeds it, which asks for the time it needs and takes what it gets.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use crate::config;

/// Its timeout in seconds: the most that a Pi's can.
pub const TIMEOUT_SECS: i32 = 15;

/// Where the kernel lists them.
const LIST: &str = "/sys/class/watchdog";

/// What the kernel's own timer calls itself. It hangs with the kernel, so hardware is better.
const SOFTWARE: &str = "Software Watchdog";

/// Where a Raspberry Pi's firmware leaves `PM_RSTS` as it found it: four bytes, the highest first. Reading the register
/// itself would be too late, since the firmware clears it; and older firmware does not tell.
const RESET_STATUS: &str = "/proc/device-tree/chosen/bootloader/rsts";

/// `WDIOF_CARDRESET`: the card reset the machine.
const CARD_RESET: u32 = 0x20;

mod raw {
    use nix::{ioctl_read, ioctl_readwrite, libc};

    // The kernel declares it a read, though nothing is read.
    ioctl_read!(keepalive, b'W', 5, libc::c_int);
    ioctl_readwrite!(settimeout, b'W', 6, libc::c_int);
}

/// An open watchdog.
#[derive(Debug)]
pub struct Watchdog {
    file: File,
    /// Which, and its timeout.
    pub name: String,
}

impl Watchdog {
    /// Opens the one that the configuration means. `NotFound`: there is none, or not yet.
    ///
    /// Where U-Boot has `started` it, it is opened whatever the configuration means: nobody can stop it, and the kernel
    /// feeds it for us only so long. The kernel does not tell: it calls one `inactive` that it feeds by itself.
    pub fn open(which: &config::Watchdog, started: bool) -> io::Result<Watchdog> {
        let chosen = match which {
            config::Watchdog::Path(path) if path.exists() => Some(path.clone()),
            config::Watchdog::Auto => choose(Path::new(LIST)),
            config::Watchdog::None | config::Watchdog::Path(_) if started => choose(Path::new(LIST)),
            config::Watchdog::None | config::Watchdog::Path(_) => None,
        };
        let path = chosen.ok_or(io::ErrorKind::NotFound)?;
        let file = OpenOptions::new().write(true).open(&path)?;
        let mut timeout = TIMEOUT_SECS;
        // SAFETY: the descriptor is open, and the kernel reads and writes one int.
        if let Err(error) = unsafe { raw::settimeout(file.as_raw_fd(), &mut timeout) } {
            log::warn!("{}: keeps its own time: {error}", path.display());
        }
        let identity = attribute(&path, "identity").unwrap_or_default();
        Ok(Watchdog { file, name: format!("{} ({identity}, {timeout} s)", path.display()) })
    }

    /// Restarts its timeout.
    pub fn feed(&self) -> io::Result<()> {
        let mut unused = 0;
        // SAFETY: the descriptor is open, and the kernel writes one int at most.
        unsafe { raw::keepalive(self.file.as_raw_fd(), &mut unused) }?;
        Ok(())
    }
}

/// Whether any watchdog says that it reset the machine before this start.
pub fn caused_reset() -> bool {
    let list = fs::read_dir(LIST).into_iter().flatten().flatten();
    list.filter_map(|entry| fs::read_to_string(entry.path().join("bootstatus")).ok()).any(|text| says_reset(&text))
}

/// How the board came up, as far as its firmware tells.
pub fn reset_status() -> Option<u32> {
    read_cell(Path::new(RESET_STATUS))
}

fn read_cell(path: &Path) -> Option<u32> {
    fs::read(path).ok()?.try_into().ok().map(u32::from_be_bytes)
}

fn says_reset(bootstatus: &str) -> bool {
    bootstatus.trim().parse::<u32>().is_ok_and(|status| status & CARD_RESET != 0)
}

/// The first by name, hardware before software.
fn choose(list: &Path) -> Option<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(list).ok()?.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let is_software = |name: &&_| {
        fs::read_to_string(list.join(name).join("identity")).is_ok_and(|identity| identity.trim() == SOFTWARE)
    };
    let hardware = names.iter().find(|name| !is_software(name));
    hardware.or(names.first()).map(|name| Path::new("/dev").join(name))
}

fn attribute(device: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(Path::new(LIST).join(device.file_name()?).join(name)).ok()?;
    Some(text.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_comes_before_software() {
        let temporary = tempfile::tempdir().unwrap();
        let list = temporary.path().join("watchdogs");
        let add = |name: &str, identity: &str| {
            fs::create_dir_all(list.join(name)).unwrap();
            fs::write(list.join(name).join("identity"), identity).unwrap();
        };
        assert_eq!(None, choose(&list));
        add("watchdog0", "Software Watchdog\n");
        assert_eq!(Some("/dev/watchdog0".into()), choose(&list));
        add("watchdog2", "Broadcom BCM2835 Watchdog timer\n");
        add("watchdog1", "i6300ESB timer\n");
        assert_eq!(Some("/dev/watchdog1".into()), choose(&list));
    }

    #[test]
    fn a_reset_is_one_bit_of_the_status() {
        assert!(says_reset("32\n") && says_reset("36"));
        assert!(!says_reset("0\n") && !says_reset("") && !says_reset("power"));
    }

    #[test]
    fn a_cell_of_a_device_tree_is_four_bytes_or_none() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("cell");
        assert_eq!(None, read_cell(&path));
        for (bytes, status) in
            [(&[0, 0, 0x10, 0][..], Some(0x1000)), (&[0, 0, 0, 0x20], Some(0x20)), (&[0, 0, 0x20], None), (&[], None)]
        {
            fs::write(&path, bytes).unwrap();
            assert_eq!(status, read_cell(&path), "{bytes:?}");
        }
    }
}
