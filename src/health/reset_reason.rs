//! Says why the machine last started, from the traces that the end before it left.
//!
//! Nobody sees an appliance restart, so what it says afterwards is all there is. No trace at all means that the power
//! went.

use serde::Serialize;

use crate::update::slots::{Environment, Slot, SlotState};

/// The longest detail: a sentence, or one line of a kernel's panic log.
const LONGEST: usize = 300;

/// The bits of a Raspberry Pi's `PM_RSTS` that count: the power came, and the watchdog reset the whole board.
///
/// The lower ones are also where a boot partition is asked for, so only these two mean one thing.
const POWER_ON: u32 = 0x1000;
const WATCHDOG_RESET: u32 = 0x20;

/// What ended the previous run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResetReason {
    /// Nothing left a trace, as when the power goes.
    Power,
    /// A part hung, and the machine was reset.
    Watchdog,
    /// A new version had been installed.
    Update,
    /// The kernel gave up.
    Panic,
    /// Somebody asked for it, or a service kept on crashing.
    Restart,
    /// The new version did not prove itself, so that this is the one before.
    Fallback,
}

/// The answer, as `GET /api/v1/system` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Started {
    /// In a word.
    pub why: ResetReason,
    /// In a sentence; empty when there is nothing to add.
    pub detail: String,
}

/// What there is after a start from which to tell why the machine started.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Which slot runs, if there are slots.
    pub slot: Option<Slot>,
    /// What the boot loader remembers of them.
    pub environment: Option<Environment>,
    /// What a kernel that panicked said last.
    pub panic_log: Option<String>,
    /// The note that was written before a restart: a word, then a sentence.
    pub note: Option<String>,
    /// Whether a hardware watchdog's driver says that it reset the machine.
    pub watchdog_reset: bool,
    /// What the firmware found in the register that tells how the board came up, if it hands that over.
    pub reset_status: Option<u32>,
}

impl Evidence {
    /// Draws the conclusion. What is rarer, and says more, comes first.
    pub fn conclusion(&self) -> Started {
        let panic = self.panic_log.as_deref().map(panic_line);
        let note = self.note.as_deref().map(|note| {
            let note = note.trim();
            let (word, rest) = note.split_once(char::is_whitespace).unwrap_or((note, ""));
            (word, rest.trim())
        });
        let (why, detail) = match (self.fallen_from(), panic, note) {
            (Some(slot), panic, note) => {
                // That it was installed, or restarted by somebody, is not why it failed.
                let noted = note.filter(|(word, _)| ["watchdog", "crashes"].contains(word));
                let silent = self.was_reset().then(|| "it hung, or could not be loaded".to_string());
                let cause = panic.or(noted.map(|(_, rest)| rest.to_string())).or(silent);
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                (ResetReason::Fallback, format!("slot {slot} did not prove itself in three attempts{cause}"))
            }
            (None, Some(line), _) => (ResetReason::Panic, line),
            (None, None, Some(("update", rest))) => (ResetReason::Update, rest.to_string()),
            (None, None, Some(("watchdog", rest))) => (ResetReason::Watchdog, rest.to_string()),
            (None, None, Some(("person", rest))) => (ResetReason::Restart, or(rest, "somebody asked for it")),
            (None, None, Some((_, rest))) => (ResetReason::Restart, rest.to_string()),
            (None, None, None) if self.was_reset() => (ResetReason::Watchdog, "the whole system hung".to_string()),
            (None, None, None) => (ResetReason::Power, String::new()),
        };
        Started { why, detail: detail.chars().filter(|c| !c.is_control()).take(LONGEST).collect() }
    }

    /// Whether the machine was reset, rather than switched on. Who restarts it in order leaves a note, and a kernel
    /// that panics its last words; without either it hung.
    fn was_reset(&self) -> bool {
        self.watchdog_reset || self.reset_status.is_some_and(is_reset)
    }

    fn fallen_from(&self) -> Option<Slot> {
        let (running, environment) = (self.slot?, self.environment.as_ref()?);
        (environment.state(running) == SlotState::FallenBack).then_some(running.other())
    }
}

/// A Pi restarts by its watchdog whatever asked for it, so that this alone does not tell a hang from a restart. Its own
/// driver tells neither: it never sets a boot status.
fn is_reset(status: u32) -> bool {
    status & (POWER_ON | WATCHDOG_RESET) == WATCHDOG_RESET
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise } else { text }.to_string()
}

/// The line of a kernel's log that names the cause, without its time stamp and level.
fn panic_line(text: &str) -> String {
    let line = text.lines().find(|line| line.contains("Kernel panic"));
    let line = line.or(text.lines().rfind(|line| !line.trim().is_empty())).unwrap_or_default();
    // "<0>[   12.345678] Kernel panic - not syncing: ..."
    line.split_once("] ").map_or(line, |(_, rest)| rest).trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANIC: &str = "Panic#1 Part1\n<6>[    1.0] usb 1-1: new device\n\
                         <0>[   12.345678] Kernel panic - not syncing: Fatal exception\n<4>[   12.4] CPU: 1\n";

    fn note(text: &str) -> Evidence {
        Evidence { note: Some(text.into()), ..Evidence::default() }
    }

    #[track_caller]
    fn check(evidence: &Evidence, why: ResetReason, detail: &str) {
        assert_eq!(Started { why, detail: detail.into() }, evidence.conclusion());
    }

    #[test]
    fn without_a_trace_it_was_the_power() {
        check(&Evidence::default(), ResetReason::Power, "");
    }

    #[test]
    fn a_note_is_taken_at_its_word() {
        check(&note("update 0.2.0 in slot B\n"), ResetReason::Update, "0.2.0 in slot B");
        check(&note("person"), ResetReason::Restart, "somebody asked for it");
        check(
            &note("crashes serve ended five times in a minute"),
            ResetReason::Restart,
            "serve ended five times in a minute",
        );
        check(&note("watchdog the page does not answer"), ResetReason::Watchdog, "the page does not answer");
        check(&note(""), ResetReason::Restart, "");
    }

    #[test]
    fn a_note_explains_a_reset_by_the_watchdog() {
        check(
            &Evidence { watchdog_reset: true, ..Evidence::default() },
            ResetReason::Watchdog,
            "the whole system hung",
        );
        check(&Evidence { watchdog_reset: true, ..note("person") }, ResetReason::Restart, "somebody asked for it");
    }

    #[test]
    fn a_reset_that_nobody_asked_for_is_a_hang_and_a_power_on_is_none() {
        let hung = Evidence { reset_status: Some(0x20), ..Evidence::default() };
        check(&hung, ResetReason::Watchdog, "the whole system hung");
        // After U-Boot's own restart, as seen on a Pi: the upper bit is part of a boot partition's number.
        check(
            &Evidence { reset_status: Some(0x420), ..Evidence::default() },
            ResetReason::Watchdog,
            "the whole system hung",
        );
        // Bit 12 wins: boards that switch their card's voltage off and on say both.
        for power in [0x1000, 0x1020, 0x555, 0] {
            check(&Evidence { reset_status: Some(power), ..Evidence::default() }, ResetReason::Power, "");
        }
        check(&Evidence { note: note("person").note, ..hung.clone() }, ResetReason::Restart, "somebody asked for it");
        check(&Evidence { note: note("update 0.2.0").note, ..hung.clone() }, ResetReason::Update, "0.2.0");
        let panicked = Evidence { panic_log: Some(PANIC.into()), ..hung };
        check(&panicked, ResetReason::Panic, "Kernel panic - not syncing: Fatal exception");
    }

    #[test]
    fn panic_log_are_cut_to_the_line_that_counts() {
        let evidence = Evidence { panic_log: Some(PANIC.into()), ..note("watchdog x") };
        check(&evidence, ResetReason::Panic, "Kernel panic - not syncing: Fatal exception");
        let garbled = Evidence { panic_log: Some("\u{1b}[2J\u{0}".repeat(1000)), ..Evidence::default() };
        let detail = garbled.conclusion().detail;
        assert!(detail.len() <= LONGEST && detail.chars().all(|c| !c.is_control()), "{detail:?}");
    }

    #[test]
    fn a_fallback_says_what_the_new_version_died_of() {
        let environment = Some(Environment::parse("BOOT_ORDER=B A\nBOOT_A_LEFT=3\nBOOT_B_LEFT=0\nCONFIRMED=A\n"));
        let fallen = Evidence { slot: Some(Slot::A), environment, ..Evidence::default() };
        check(&fallen, ResetReason::Fallback, "slot B did not prove itself in three attempts");
        let noted = Evidence { note: Some("watchdog no address".into()), ..fallen.clone() };
        check(&noted, ResetReason::Fallback, "slot B did not prove itself in three attempts: no address");
        let crashed = Evidence { note: Some("crashes serve crashed five times".into()), ..fallen.clone() };
        check(
            &crashed,
            ResetReason::Fallback,
            "slot B did not prove itself in three attempts: serve crashed five times",
        );
        let panicked = Evidence { panic_log: Some(PANIC.into()), ..fallen.clone() };
        let detail = "slot B did not prove itself in three attempts: Kernel panic - not syncing: Fatal exception";
        check(&panicked, ResetReason::Fallback, detail);
        // What was noted before it was ever started is not why it failed.
        let hung = Evidence { reset_status: Some(0x20), note: Some("update 0.2.0".into()), ..fallen.clone() };
        let detail = "slot B did not prove itself in three attempts: it hung, or could not be loaded";
        check(&hung, ResetReason::Fallback, detail);
        check(
            &Evidence { reset_status: None, ..hung },
            ResetReason::Fallback,
            "slot B did not prove itself in three attempts",
        );
        check(&Evidence { slot: Some(Slot::B), ..fallen }, ResetReason::Power, "");
    }
}
