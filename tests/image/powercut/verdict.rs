//! Judges a card after a power cut as the machine will when it starts again.
//!
//! U-Boot reads its environment and picks a slot; that slot must hold one complete release. The system in it repairs
//! `/data` as far as it can alone, and finds the configuration there. Anything less means that a person must go to the
//! machine.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use super::disk::Cut;
use crate::pi::environment::{self, COPIES, SIZE, Variables};

/// Why a card is broken.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// Neither copy of U-Boot's environment is valid: U-Boot would then use its built-in one.
    Environment,
    /// The slot that will be started, or the one to fall back on, holds no complete release.
    Slot(String),
    /// `/data` needs a person.
    Data(String),
    /// The configuration is none of the permitted ones.
    Configuration(String),
}

/// What is known about the card.
#[derive(Debug)]
pub struct Judge {
    /// Where the parts of the card begin, by their names in /dev/slots, and how long they are.
    pub parts: BTreeMap<String, (u64, u64)>,
    /// What a slot may hold: boot and root of one of these releases.
    pub releases: Vec<[Vec<u8>; 2]>,
    /// Where the configuration lies in /data.
    pub configuration: &'static str,
}

impl Judge {
    /// Judges it. The configuration must be one of these.
    pub fn judge(&self, cut: &Cut, configurations: &[String]) -> Result<(), Broken> {
        let copies = COPIES.map(|at| cut.read(at, SIZE));
        let (_, variables) = environment::read([&copies[0], &copies[1]]).ok_or(Broken::Environment)?;
        let confirmed = value(&variables, "CONFIRMED", "A");
        for slot in [first(&variables), confirmed] {
            if !self.is_whole(cut, slot) {
                return Err(Broken::Slot(format!("slot {slot} is not whole, with {variables:?}")));
            }
        }
        self.judge_data(cut, configurations)
    }

    /// Whether a slot holds both parts of one release.
    fn is_whole(&self, cut: &Cut, slot: &str) -> bool {
        let holds = |part: &str, image: &[u8]| {
            let (at, _) = self.parts[&format!("{part}.{slot}")];
            cut.holds(at, image)
        };
        self.releases.iter().any(|[boot, root]| holds("boot", boot) && holds("root", root))
    }

    fn judge_data(&self, cut: &Cut, configurations: &[String]) -> Result<(), Broken> {
        let (at, len) = self.parts["data"];
        // A file of this verdict's own, because verdicts run in parallel.
        let data = cut.file(at, len);

        // As rcS does at every start, but forced even if the journal is clean: first only with repairs that are safe,
        // and if that was not enough, with all of them.
        let check =
            |how| Command::new("e2fsck").args(["-f", how]).arg(data.path()).output().expect("e2fsck is installed");
        let mut output = check("-p");
        // 1 and 2: everything was repaired. 4: something was not.
        let is_left = |output: &Output| output.status.code().is_none_or(|status| 4 <= status);
        if is_left(&output) {
            output = check("-y");
        }
        if is_left(&output) {
            let said = String::from_utf8_lossy(&output.stdout).trim().replace('\n', "; ");
            return Err(Broken::Data(format!("{}: {said}", output.status)));
        }
        let cat = format!("cat {}", self.configuration);
        let output =
            Command::new("debugfs").args(["-R", &cat]).arg(data.path()).output().expect("debugfs is installed");
        let found = String::from_utf8_lossy(&output.stdout).into_owned();
        if configurations.contains(&found) { Ok(()) } else { Err(Broken::Configuration(found)) }
    }
}

/// The slot that U-Boot will try first: the rule of `choose` and `refill` in farhand.env.
fn first(variables: &Variables) -> &str {
    let tries_left =
        |slot: &&str| value(variables, &format!("BOOT_{slot}_LEFT"), "3").parse().is_ok_and(|left| 0 < left);
    let mut order = value(variables, "BOOT_ORDER", "A B").split_whitespace().filter(|slot| ["A", "B"].contains(slot));
    order.find(tries_left).unwrap_or_else(|| if value(variables, "CONFIRMED", "A") == "B" { "B" } else { "A" })
}

/// The built-in value applies if the card has none.
fn value<'a>(variables: &'a Variables, name: &str, built_in: &'a str) -> &'a str {
    variables.get(name).map_or(built_in, String::as_str)
}

#[test]
fn u_boot_starts_the_first_slot_with_a_try_left_or_the_confirmed_one() {
    for (order, left, confirmed, expected) in [
        ("A B", ["3", "3"], "A", "A"),
        ("B A", ["3", "3"], "A", "B"),
        ("B A", ["3", "0"], "A", "A"),
        ("A", ["0", "3"], "B", "B"),
        ("A B", ["0", "0"], "B", "B"),
        ("B A", ["0", "0"], "A", "A"),
    ] {
        let variables =
            [("BOOT_ORDER", order), ("BOOT_A_LEFT", left[0]), ("BOOT_B_LEFT", left[1]), ("CONFIRMED", confirmed)];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(expected, first(&variables), "{variables:?}");
    }
    assert_eq!("A", first(&Variables::new()));
}
