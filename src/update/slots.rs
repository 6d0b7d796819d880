//! Tells which of the two systems on the card runs, whether it has proven itself, and what is in the other.
//!
//! Three texts know it: the kernel's command line names the slot that runs, the boot loader's variables count the attempts
//! and name the last system that confirmed itself, and RAUC's status file says what it has written where. None of them is
//! ours, so what is missing or odd in one is simply not known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// More of a version than this is somebody's novel.
const LONGEST: usize = 64;

/// One of two places for a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Name {
    /// The first.
    A,
    /// The second.
    B,
}

/// What is known of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Slot {
    /// Which version is in it. Unknown of what was there when the card was written and does not run.
    pub version: Option<String>,
    /// When it was installed, as RFC 3339; unknown of what was there when the card was written.
    pub installed: Option<String>,
    /// How many more times the boot loader tries it.
    pub tries_left: Option<u8>,
}

/// Both, and which of them runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// The one that runs.
    pub running: Name,
    /// Whether it has proven itself; unknown if the boot loader's variables cannot be read.
    pub confirmed: Option<bool>,
    /// What is in each.
    pub slots: BTreeMap<Name, Slot>,
}

/// The slot that the kernel's command line names.
pub fn running(cmdline: &str) -> Option<Name> {
    name(cmdline.split_ascii_whitespace().find_map(|word| word.strip_prefix("rauc.slot="))?)
}

fn name(text: &str) -> Option<Name> {
    match text {
        "A" => Some(Name::A),
        "B" => Some(Name::B),
        _ => None,
    }
}

/// Puts together what is known. `version` is that of the system that runs, `environment` what `fw_printenv` prints, and
/// `status` RAUC's status file.
pub fn read(running: Name, version: &str, environment: &str, status: &str) -> Slots {
    let variable = |key: &str| environment.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let slot = |name: Name, index: u8, left: &str| {
        let section = section(status, &format!("[slot.root.{index}]"));
        let value = |key: &str| {
            let value = section.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            value.map(|value| value.chars().filter(|c| !c.is_control()).take(LONGEST).collect())
        };
        let version = if name == running { Some(version.to_string()) } else { value("bundle.version") };
        let tries_left = variable(left).and_then(|left| left.parse().ok());
        (name, Slot { version, installed: value("installed.timestamp"), tries_left })
    };
    let slots = [slot(Name::A, 0, "BOOT_A_LEFT"), slot(Name::B, 1, "BOOT_B_LEFT")];
    let confirmed = variable("CONFIRMED").and_then(name).map(|confirmed| confirmed == running);
    Slots { running, confirmed, slots: slots.into() }
}

/// The lines of one section of a key file.
fn section<'a>(text: &'a str, header: &str) -> Vec<&'a str> {
    let lines = text.lines().map(str::trim).skip_while(|line| *line != header);
    lines.skip(1).take_while(|line| !line.starts_with('[')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVIRONMENT: &str = "BOOT_A_LEFT=3\nBOOT_B_LEFT=2\nBOOT_ORDER=B A\nCONFIRMED=A\n";
    const STATUS: &str = "[system]\nboot-id=x\n\n[slot.boot.1]\nbundle.version=9.9.9\n\n[slot.root.1]\n\
        bundle.compatible=farhand-rpi4-quick\nbundle.version=0.2.0\nstatus=ok\ninstalled.timestamp=2026-11-22T14:00:00Z\n\
        \n[slot.root.0]\nstatus=ok\n";

    #[test]
    fn the_command_line_names_the_slot() {
        assert_eq!(Some(Name::B), running("console=ttyS1 rauc.slot=B quiet\n"));
        for other in ["", "rauc.slot=", "rauc.slot=C", "xrauc.slot=A", "rauc.slot=AB"] {
            assert_eq!(None, running(other), "{other}");
        }
    }

    #[test]
    fn what_three_texts_know_is_put_together() {
        let slots = read(Name::A, "0.1.0", ENVIRONMENT, STATUS);
        assert_eq!((Name::A, Some(true)), (slots.running, slots.confirmed));
        let a = Slot { version: Some("0.1.0".into()), installed: None, tries_left: Some(3) };
        let b =
            Slot { version: Some("0.2.0".into()), installed: Some("2026-11-22T14:00:00Z".into()), tries_left: Some(2) };
        assert_eq!(BTreeMap::from([(Name::A, a), (Name::B, b)]), slots.slots);
        assert_eq!(Some(false), read(Name::B, "0.2.0", ENVIRONMENT, STATUS).confirmed);
    }

    #[test]
    fn what_is_missing_is_not_known() {
        let slots = read(Name::B, "0.1.0", "", "");
        assert_eq!(None, slots.confirmed);
        assert_eq!(Slot::default(), slots.slots[&Name::A]);
        assert_eq!(None, read(Name::A, "0", "CONFIRMED=C\nBOOT_A_LEFT=x", "").confirmed);
    }

    #[test]
    fn a_version_is_no_novel() {
        let long = format!("[slot.root.1]\nbundle.version=\u{7}{}\n", "9".repeat(1000));
        let slots = read(Name::A, "0", "", &long);
        assert_eq!(Some("9".repeat(LONGEST)), slots.slots[&Name::B].version);
    }
}
