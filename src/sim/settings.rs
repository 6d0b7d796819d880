//! Holds the settings that the simulated firmware keeps while the power is off.

use std::time::Duration;

/// A device that can be booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The installed system.
    Disk,
    /// A rescue system on a stick.
    Stick,
    /// A network boot, to which no server answers here.
    Network,
}

impl Device {
    /// As firmware lists it.
    pub fn name(self) -> &'static str {
        match self {
            Device::Disk => "NVMe: Practice SSD 256GB",
            Device::Stick => "USB: Rescue Stick 8GB",
            Device::Network => "Network: PXE IPv4 52-54-00-12-34-56",
        }
    }
}

/// The set-up program's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The devices that are tried in turn.
    pub boot_order: Vec<Device>,
    /// Whether the memory test is left out.
    pub quick_boot: bool,
    /// Whether F12 opens the boot menu.
    pub boot_menu_key: bool,
    /// Whether Num Lock is on after power-on.
    pub num_lock: bool,
    /// Whether held keys repeat thirty times a second instead of ten.
    pub fast_repeat: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            boot_order: vec![Device::Disk, Device::Stick, Device::Network],
            quick_boot: false,
            boot_menu_key: true,
            num_lock: true,
            fast_repeat: true,
        }
    }
}

impl Settings {
    /// Time from one repetition of a held key to the next.
    pub fn repeat_interval(&self) -> Duration {
        Duration::from_millis(if self.fast_repeat { 33 } else { 100 })
    }
}
