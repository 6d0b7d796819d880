//! Switches a hub's port off and on again, which restarts a capture device that no other means wakes.
//!
//! The kernel (from 6.0) has a switch for each port: what is plugged in goes, and comes back as if it were plugged in
//! again. Its supply goes off as well if the hub can do that, which few hubs can; with the others the device is only
//! reset. A port is switched off only while what is plugged in captures pictures.
//!
//! Writing to a switch waits for the hub, and for the driver of what is plugged in, either of which may hang. So the
//! hands run this as a [command](crate::commands::cycle_port) of its own: one that hangs keeps none of the hands'
//! devices, and one that runs brings the port back even if the hands end meanwhile.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::usb::HubPort;

/// Where the kernel keeps what is plugged in, and hubs with their ports.
pub const DEVICES: &str = "/sys/bus/usb/devices";

/// For how long a port is off: the charge that is left in a device would keep it going for a fraction of that.
pub const OFF: Duration = Duration::from_secs(1);

/// The class of interfaces that give pictures (USB-IF, defined class codes).
const VIDEO: &str = "0e";

/// How often to try to switch a port on.
const ATTEMPTS: usize = 3;

/// Why a port was not switched.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// What is plugged in there is nothing that we should switch off.
    #[error("nothing that captures pictures is plugged in at USB port {0}")]
    NoVideo(HubPort),
    /// An older kernel, or a driver of the hub without it.
    #[error("the kernel has no switch for USB port {0}")]
    NoSwitch(HubPort),
    /// The hub did not do it.
    #[error("USB port {port} cannot be switched {what}")]
    #[expect(missing_docs, reason = "the fields are named in the message")]
    Io { port: HubPort, what: &'static str, source: io::Error },
}

/// Switches a port off, waits, and switches it on again.
pub fn cycle(devices: &Path, port: &HubPort, wait: impl FnOnce()) -> Result<(), PortError> {
    if !has_video(&devices.join(port.as_str())) {
        return Err(PortError::NoVideo(port.clone()));
    }
    let switches = switches(devices, port)?;
    let off = write(&switches, "1").map_err(|source| PortError::Io { port: port.clone(), what: "off", source });
    if off.is_ok() {
        wait();
    }
    // In any case: one of two may be off.
    off.and(on(&switches, port))
}

/// Switches a port on, whatever is or was plugged in.
pub fn switch_on(devices: &Path, port: &HubPort) -> Result<(), PortError> {
    on(&switches(devices, port)?, port)
}

/// The switches of a port: that of its other half first, if it has one. A socket of USB 3 is two ports with one supply,
/// and a device that loses one of them would come up at the other. What is plugged in there is a hub, which uses both.
fn switches(devices: &Path, port: &HubPort) -> Result<Vec<PathBuf>, PortError> {
    let (hub, number) = port.hub();
    let own = if port.is_at_root() {
        devices.join(format!("usb{hub}/{hub}-0:1.0/usb{hub}-port{number}"))
    } else {
        devices.join(format!("{hub}/{hub}:1.0/{hub}-port{number}"))
    };
    let peer = own.join("peer");
    let peer = (!peer.join("device").exists()).then(|| peer.join("disable"));
    let own = own.join("disable");
    if !own.exists() {
        return Err(PortError::NoSwitch(port.clone()));
    }
    Ok(peer.filter(|switch| switch.exists()).into_iter().chain([own]).collect())
}

/// Whether what is plugged in has an interface that gives pictures.
fn has_video(device: &Path) -> bool {
    let entries = fs::read_dir(device).into_iter().flatten().flatten();
    let classes = entries.filter_map(|entry| fs::read_to_string(entry.path().join("bInterfaceClass")).ok());
    classes.into_iter().any(|class| class.trim() == VIDEO)
}

/// Switches on in the other order, so that the device comes up at the port that it was at.
fn on(switches: &[PathBuf], port: &HubPort) -> Result<(), PortError> {
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        outcome = write(switches.iter().rev(), "0");
        if outcome.is_ok() {
            break;
        }
    }
    outcome.map_err(|source| PortError::Io { port: port.clone(), what: "on", source })
}

/// Writes to all, even if one of them fails.
fn write<'a>(switches: impl IntoIterator<Item = &'a PathBuf>, value: &str) -> io::Result<()> {
    switches.into_iter().map(|switch| fs::write(switch, value)).fold(Ok(()), Result::and)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const DEVICE: &str = "1-1.3";

    fn port(name: &str) -> HubPort {
        HubPort::try_from(name.to_string()).unwrap()
    }

    /// Directories as sysfs has them, for a device of these interface classes.
    struct Sysfs(tempfile::TempDir);

    impl Sysfs {
        fn new(device: &str, own: &str, classes: &[&str]) -> Sysfs {
            let sysfs = Sysfs(tempfile::tempdir().unwrap());
            for (number, class) in classes.iter().enumerate() {
                sysfs.write(&format!("{device}/{device}:1.{number}/bInterfaceClass"), &format!("{class}\n"));
            }
            sysfs.write(&format!("{own}/disable"), "0\n");
            sysfs
        }

        fn write(&self, file: &str, text: &str) {
            let file = self.0.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }

        fn read(&self, file: &str) -> String {
            fs::read_to_string(self.0.path().join(file)).unwrap().trim().to_string()
        }

        /// Switches the port off and on, and says what these switches read meanwhile and afterwards.
        fn cycle(&self, device: &str, switches: &[&str]) -> Result<(Vec<String>, Vec<String>), PortError> {
            let read = || switches.iter().map(|switch| self.read(switch)).collect();
            let mut meanwhile = Vec::new();
            cycle(self.0.path(), &port(device), || meanwhile = read())?;
            Ok((meanwhile, read()))
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_port_of_a_hub_is_off_for_a_while_and_then_on() {
        let own = "1-1/1-1:1.0/1-1-port3";
        let sysfs = Sysfs::new(DEVICE, own, &["01", "0e", "0e"]);
        let seen = sysfs.cycle(DEVICE, &[&format!("{own}/disable")]).unwrap();
        assert_eq!((texts(&["1"]), texts(&["0"])), seen);
    }

    #[test]
    fn the_port_of_the_buss_own_hub_is_found() {
        let own = "usb2/2-0:1.0/usb2-port1";
        let sysfs = Sysfs::new("2-1", own, &["0e"]);
        let seen = sysfs.cycle("2-1", &[&format!("{own}/disable")]).unwrap();
        assert_eq!((texts(&["1"]), texts(&["0"])), seen);
    }

    #[test]
    fn the_other_half_of_a_socket_goes_off_as_well_unless_a_hub_is_there() {
        let (own, other) = ("usb2/2-0:1.0/usb2-port1", "1-1/1-1:1.0/1-1-port1");
        let sysfs = Sysfs::new("2-1", own, &["0e"]);
        sysfs.write(&format!("{other}/disable"), "0");
        symlink(sysfs.0.path().join(other), sysfs.0.path().join(own).join("peer")).unwrap();
        let switches = [&*format!("{own}/disable"), &*format!("{other}/disable")];
        assert_eq!((texts(&["1", "1"]), texts(&["0", "0"])), sysfs.cycle("2-1", &switches).unwrap());
        sysfs.write(&format!("{other}/device/bDeviceClass"), "09");
        assert_eq!((texts(&["1", "0"]), texts(&["0", "0"])), sysfs.cycle("2-1", &switches).unwrap());
    }

    #[test]
    fn what_captures_no_pictures_is_left_on() {
        let own = "1-1/1-1:1.0/1-1-port3";
        for classes in [["03"].as_slice(), &["09"], &["08", "01"], &[]] {
            let sysfs = Sysfs::new(DEVICE, own, classes);
            let refused = sysfs.cycle(DEVICE, &[]);
            assert!(matches!(refused, Err(PortError::NoVideo(_))), "{classes:?}: {refused:?}");
            assert_eq!("0", sysfs.read(&format!("{own}/disable")));
        }
    }

    #[test]
    fn a_kernel_without_the_switch_is_named() {
        let own = "1-1/1-1:1.0/1-1-port3";
        let sysfs = Sysfs::new(DEVICE, own, &["0e"]);
        fs::remove_file(sysfs.0.path().join(own).join("disable")).unwrap();
        assert!(matches!(sysfs.cycle(DEVICE, &[]), Err(PortError::NoSwitch(_))));
    }

    #[test]
    fn half_a_socket_that_cannot_be_switched_off_leaves_neither_off() {
        let (own, other) = ("usb2/2-0:1.0/usb2-port1", "1-1/1-1:1.0/1-1-port1");
        let sysfs = Sysfs::new("2-1", own, &["0e"]);
        sysfs.write(&format!("{other}/disable"), "0");
        symlink(sysfs.0.path().join(other), sysfs.0.path().join(own).join("peer")).unwrap();
        // A directory takes nothing.
        fs::remove_file(sysfs.0.path().join(own).join("disable")).unwrap();
        fs::create_dir(sysfs.0.path().join(own).join("disable")).unwrap();
        let refused = cycle(sysfs.0.path(), &port("2-1"), || panic!("nothing is off"));
        assert!(matches!(refused, Err(PortError::Io { what: "off", .. })), "{refused:?}");
        assert_eq!("0", sysfs.read(&format!("{other}/disable")));
    }

    #[test]
    fn a_port_is_switched_on_whatever_was_there() {
        let own = "1-1/1-1:1.0/1-1-port3";
        let sysfs = Sysfs::new(DEVICE, own, &[]);
        sysfs.write(&format!("{own}/disable"), "1");
        switch_on(sysfs.0.path(), &port(DEVICE)).unwrap();
        assert_eq!("0", sysfs.read(&format!("{own}/disable")));
    }
}
