//! Knows the two systems on the card: which one runs, whether it has proven itself, and what is in the other.
//!
//! Three texts tell it: the kernel's command line names the slot that runs, the boot loader's variables count the
//! attempts and name the last system that was confirmed, and RAUC's status file says what it has written where. What is
//! missing or odd in one of them is not known. Who writes the variables can make a machine that never starts, so what
//! is written is made here from what was read, and compared with what is read back.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A version longer than this is cut.
const LONGEST: usize = 64;

/// How often U-Boot tries a slot that is not confirmed.
const ATTEMPTS: &str = "3";

/// One of the two places for a system on the card.
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// The slot that a kernel command line names as its own, as U-Boot wrote it there.
    pub fn running(command_line: &str) -> Option<Slot> {
        command_line.split_whitespace().find_map(|word| Slot::named(word.strip_prefix("rauc.slot=")?))
    }

    fn named(name: &str) -> Option<Slot> {
        [Slot::A, Slot::B].into_iter().find(|slot| slot.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Slot::A => "A",
            Slot::B => "B",
        }
    }

    /// The one that does not run.
    pub fn other(self) -> Slot {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is in a slot, as far as it is known.
#[derive(schemars::JsonSchema)]
#[schemars(rename = "SlotContent")]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Content {
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
    pub running: Slot,
    /// Whether it has proven itself; unknown if the boot loader's variables cannot be read.
    pub confirmed: Option<bool>,
    /// What is in each.
    pub slots: BTreeMap<Slot, Content>,
}

/// Puts together what is known. `version` is that of the system that runs, and `status` RAUC's status file.
pub fn read(running: Slot, version: &str, environment: &Environment, status: &str) -> Slots {
    let content = |slot: Slot, index: u8| {
        let section = section(status, &format!("[slot.root.{index}]"));
        let value = |key: &str| {
            let value = section.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            value.map(|value| value.chars().filter(|c| !c.is_control()).take(LONGEST).collect())
        };
        let version = if slot == running { Some(version.to_string()) } else { value("bundle.version") };
        let tries_left = environment.left(slot).parse().ok();
        (slot, Content { version, installed: value("installed.timestamp"), tries_left })
    };
    let slots = [content(Slot::A, 0), content(Slot::B, 1)];
    let confirmed = Slot::named(&environment.confirmed).map(|confirmed| confirmed == running);
    Slots { running, confirmed, slots: slots.into() }
}

/// The lines of one section of a key file.
fn section<'a>(text: &'a str, header: &str) -> Vec<&'a str> {
    let lines = text.lines().map(str::trim).skip_while(|line| *line != header);
    lines.skip(1).take_while(|line| !line.starts_with('[')).collect()
}

/// What the running slot is to the boot loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotState {
    /// The one that starts next time, too, with all its attempts.
    Confirmed,
    /// It has still to prove itself: the other one is confirmed, and comes back if this one does not.
    Trial,
    /// Confirmed once, and back because the other one, which should have started, has used up its attempts.
    FallenBack,
    /// There is nothing to go back to, and the boot loader's memory is incomplete, as on a new card.
    Incomplete,
    /// The other one has been installed meanwhile and starts next. Nobody may write over that.
    Superseded,
}

/// The boot loader's variables, as far as they concern slots. One that is missing is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    order: String,
    left_a: String,
    left_b: String,
    confirmed: String,
}

impl Environment {
    /// Reads what `fw_printenv` prints.
    pub fn parse(text: &str) -> Environment {
        let value = |name: &str| {
            let mut values = text.lines().filter_map(|line| line.split_once('=')).filter(|(own, _)| *own == name);
            values.next_back().map_or("", |(_, value)| value.trim()).to_string()
        };
        let (order, confirmed) = (value("BOOT_ORDER"), value("CONFIRMED"));
        Environment { order, left_a: value("BOOT_A_LEFT"), left_b: value("BOOT_B_LEFT"), confirmed }
    }

    /// What should be remembered once `slot` is confirmed.
    pub fn confirming(&self, slot: Slot) -> Environment {
        let mut wanted = self.clone();
        wanted.order = format!("{slot} {}", slot.other());
        wanted.confirmed = slot.to_string();
        *wanted.left_mut(slot) = ATTEMPTS.to_string();
        wanted
    }

    /// What is to be written for `slot` to be confirmed. None: nothing is, or nothing may be.
    pub fn to_confirm(&self, slot: Slot) -> Option<Environment> {
        let is_left = matches!(self.state(slot), SlotState::Confirmed | SlotState::Superseded);
        (!is_left).then(|| self.confirming(slot))
    }

    /// The same as input for `fw_setenv -s -`: one write for all, so that no power cut can leave half.
    pub fn script(&self) -> String {
        let Environment { order, left_a, left_b, confirmed } = self;
        format!("BOOT_ORDER={order}\nBOOT_A_LEFT={left_a}\nBOOT_B_LEFT={left_b}\nCONFIRMED={confirmed}\n")
    }

    /// What the running slot is.
    pub fn state(&self, running: Slot) -> SlotState {
        let first = self.order.split_whitespace().next().and_then(Slot::named);
        let other_starts = first == Some(running.other());
        if other_starts && !["", "0"].contains(&self.left(running.other())) {
            SlotState::Superseded
        } else if self.confirmed == running.other().name() {
            SlotState::Trial
        } else if other_starts && self.confirmed == running.name() {
            SlotState::FallenBack
        } else if *self == self.confirming(running) {
            SlotState::Confirmed
        } else {
            SlotState::Incomplete
        }
    }

    fn left(&self, slot: Slot) -> &str {
        match slot {
            Slot::A => &self.left_a,
            Slot::B => &self.left_b,
        }
    }

    fn left_mut(&mut self, slot: Slot) -> &mut String {
        match slot {
            Slot::A => &mut self.left_a,
            Slot::B => &mut self.left_b,
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Environment { order, left_a, left_b, confirmed } = self;
        write!(f, "order {order:?}, attempts {left_a:?} and {left_b:?}, confirmed {confirmed:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVIRONMENT: &str = "BOOT_A_LEFT=3\nBOOT_B_LEFT=2\nBOOT_ORDER=B A\nCONFIRMED=A\n";
    const STATUS: &str = "[system]\nboot-id=x\n\n[slot.boot.1]\nbundle.version=9.9.9\n\n[slot.root.1]\n\
        bundle.compatible=farhand-rpi4-quick\nbundle.version=0.2.0\nstatus=ok\ninstalled.timestamp=2026-11-22T14:00:00Z\n\
        \n[slot.root.0]\nstatus=ok\n";

    fn environment(order: &str, left_a: &str, left_b: &str, confirmed: &str) -> Environment {
        let [order, left_a, left_b, confirmed] = [order, left_a, left_b, confirmed].map(String::from);
        Environment { order, left_a, left_b, confirmed }
    }

    #[test]
    fn the_running_slot_stands_on_the_command_line() {
        assert_eq!(Some(Slot::B), Slot::running("root=/dev/dm-0 ro rauc.slot=B console=ttyS0\n"));
        assert_eq!(None, Slot::running("root=/dev/vda ro console=ttyAMA0"));
        for other in ["", "rauc.slot=", "rauc.slot=C xrauc.slot=A", "rauc.slot=AB"] {
            assert_eq!(None, Slot::running(other), "{other}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let read = environment("A B", "3", "2", "A");
        assert_eq!(read, Environment::parse(&format!("bootdelay=-2\n{}stderr=a=b\n", read.script())));
        assert_eq!(Environment::default(), Environment::parse("garbage\n\n=\n"));
    }

    #[test]
    fn a_confirmation_touches_nothing_of_the_other_slot_but_its_turn() {
        let wanted = environment("A B", "3", "2", "A").confirming(Slot::B);
        assert_eq!(environment("B A", "3", "3", "B"), wanted);
        assert_eq!(environment("A B", "3", "0", "A"), environment("B A", "1", "0", "A").confirming(Slot::A));
    }

    #[track_caller]
    fn check(running: Slot, environment: Environment, state: SlotState) {
        assert_eq!(state, environment.state(running), "{environment}");
    }

    #[test]
    fn the_state_follows_from_the_four_variables() {
        check(Slot::A, environment("A B", "3", "3", "A"), SlotState::Confirmed);
        check(Slot::A, environment("A B", "3", "0", "A"), SlotState::Confirmed);
        check(Slot::B, environment("B A", "3", "2", "A"), SlotState::Trial);
        check(Slot::B, environment("B A", "3", "0", "A"), SlotState::Trial);
        check(Slot::A, environment("B A", "3", "0", "A"), SlotState::FallenBack);
        check(Slot::A, environment("A B", "2", "3", "A"), SlotState::Incomplete);
        check(Slot::A, environment("", "", "", ""), SlotState::Incomplete);
    }

    #[test]
    fn an_update_that_waits_for_its_restart_is_left_alone() {
        check(Slot::A, environment("B A", "3", "3", "A"), SlotState::Superseded);
        check(Slot::A, environment("B A", "3", "1", ""), SlotState::Superseded);
        assert_eq!(None, environment("B A", "2", "3", "A").to_confirm(Slot::A));
    }

    #[test]
    fn what_is_confirmed_is_not_written_again() {
        assert_eq!(None, environment("A B", "3", "1", "A").to_confirm(Slot::A));
        assert_eq!(Some(environment("A B", "3", "1", "A")), environment("A B", "1", "1", "A").to_confirm(Slot::A));
    }

    #[test]
    fn what_three_texts_know_is_put_together() {
        let variables = Environment::parse(ENVIRONMENT);
        let slots = read(Slot::A, "0.1.0", &variables, STATUS);
        assert_eq!((Slot::A, Some(true)), (slots.running, slots.confirmed));
        let a = Content { version: Some("0.1.0".into()), installed: None, tries_left: Some(3) };
        let b = Content {
            version: Some("0.2.0".into()),
            installed: Some("2026-11-22T14:00:00Z".into()),
            tries_left: Some(2),
        };
        assert_eq!(BTreeMap::from([(Slot::A, a), (Slot::B, b)]), slots.slots);
        assert_eq!(Some(false), read(Slot::B, "0.2.0", &variables, STATUS).confirmed);
    }

    #[test]
    fn what_is_missing_is_not_known() {
        let slots = read(Slot::B, "0.1.0", &Environment::default(), "");
        assert_eq!(None, slots.confirmed);
        assert_eq!(Content::default(), slots.slots[&Slot::A]);
        let odd = Environment::parse("CONFIRMED=C\nBOOT_A_LEFT=x");
        assert_eq!(None, read(Slot::A, "0", &odd, "").confirmed);
    }

    #[test]
    fn a_version_is_no_novel() {
        let long = format!("[slot.root.1]\nbundle.version=\u{7}{}\n", "9".repeat(1000));
        let slots = read(Slot::A, "0", &Environment::default(), &long);
        assert_eq!(Some("9".repeat(LONGEST)), slots.slots[&Slot::B].version);
    }
}
