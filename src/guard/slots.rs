//! Reads what U-Boot remembers of the two slots, and says what it should remember of a good one.
//!
//! Four variables decide which slot starts next. Whoever writes them can make a machine that never starts, so what is written
//! is made here from what was read, and compared with what is read back.

use std::fmt;

/// How often U-Boot tries a slot that is not confirmed.
const ATTEMPTS: &str = "3";

/// One of the two systems on the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// What the running slot is to the boot loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The one that starts next time, too, with all its attempts.
    Confirmed,
    /// It has still to prove itself: the other one is confirmed, and comes back if this one does not.
    Trial,
    /// Confirmed once, and back because the other one, which should have started, has used up its attempts.
    FallenBack,
    /// There is nothing to go back to, and the boot loader's memory is incomplete, as on a new card.
    Untidy,
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
        let is_left = matches!(self.standing(slot), Standing::Confirmed | Standing::Superseded);
        (!is_left).then(|| self.confirming(slot))
    }

    /// The same as input for `fw_setenv -s -`: one write for all, so that no power cut can leave half.
    pub fn script(&self) -> String {
        let Environment { order, left_a, left_b, confirmed } = self;
        format!("BOOT_ORDER={order}\nBOOT_A_LEFT={left_a}\nBOOT_B_LEFT={left_b}\nCONFIRMED={confirmed}\n")
    }

    /// What the running slot is.
    pub fn standing(&self, running: Slot) -> Standing {
        let first = self.order.split_whitespace().next().and_then(Slot::named);
        let other_starts = first == Some(running.other());
        if other_starts && !["", "0"].contains(&self.left(running.other())) {
            Standing::Superseded
        } else if self.confirmed == running.other().name() {
            Standing::Trial
        } else if other_starts && self.confirmed == running.name() {
            Standing::FallenBack
        } else if *self == self.confirming(running) {
            Standing::Confirmed
        } else {
            Standing::Untidy
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

    fn environment(order: &str, left_a: &str, left_b: &str, confirmed: &str) -> Environment {
        let [order, left_a, left_b, confirmed] = [order, left_a, left_b, confirmed].map(String::from);
        Environment { order, left_a, left_b, confirmed }
    }

    #[test]
    fn the_running_slot_stands_on_the_command_line() {
        assert_eq!(Some(Slot::B), Slot::running("root=/dev/dm-0 ro rauc.slot=B console=ttyS0\n"));
        assert_eq!(None, Slot::running("root=/dev/vda ro console=ttyAMA0"));
        assert_eq!(None, Slot::running("rauc.slot=C xrauc.slot=A"));
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
    fn check(running: Slot, environment: Environment, standing: Standing) {
        assert_eq!(standing, environment.standing(running), "{environment}");
    }

    #[test]
    fn the_standing_follows_from_the_four_variables() {
        check(Slot::A, environment("A B", "3", "3", "A"), Standing::Confirmed);
        check(Slot::A, environment("A B", "3", "0", "A"), Standing::Confirmed);
        check(Slot::B, environment("B A", "3", "2", "A"), Standing::Trial);
        check(Slot::B, environment("B A", "3", "0", "A"), Standing::Trial);
        check(Slot::A, environment("B A", "3", "0", "A"), Standing::FallenBack);
        check(Slot::A, environment("A B", "2", "3", "A"), Standing::Untidy);
        check(Slot::A, environment("", "", "", ""), Standing::Untidy);
    }

    #[test]
    fn an_update_that_waits_for_its_restart_is_left_alone() {
        check(Slot::A, environment("B A", "3", "3", "A"), Standing::Superseded);
        check(Slot::A, environment("B A", "3", "1", ""), Standing::Superseded);
        assert_eq!(None, environment("B A", "2", "3", "A").to_confirm(Slot::A));
    }

    #[test]
    fn what_is_confirmed_is_not_written_again() {
        assert_eq!(None, environment("A B", "3", "1", "A").to_confirm(Slot::A));
        assert_eq!(Some(environment("A B", "3", "1", "A")), environment("A B", "1", "1", "A").to_confirm(Slot::A));
    }
}
