//! Follows an update from its first byte to a system that waits to be started.
//!
//! The network process receives the file and the hands have it installed, so each knows a part of the way: [`System`]
//! puts them together for whoever looks, and [`Updater`] follows the installer. What the installer says is for
//! engineers; [`rauc`] turns it into words for the person who chose the file.

pub mod rauc;
pub mod slots;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use rauc::Said;
use slots::Slots;

use crate::base::coded::Coded;

/// The largest file that is taken: more than twice the largest bundle that is made.
pub const LARGEST: u64 = 64 << 20;

/// An installation that takes longer has hung. The slowest seen, a worn card in an emulated machine, took four minutes.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// What is kept of the installer's talk, to find out from what went wrong.
const MOST_LINES: usize = 32;
const LONGEST_LINE: usize = 300;

/// How far an update is.
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// There is none.
    #[default]
    Idle,
    /// The file arrives.
    Receiving,
    /// The file is fetched from where the configuration says.
    Fetching,
    /// Its signature and purpose are looked at.
    Checking,
    /// It is being written.
    Installing,
    /// It has been written, and is what starts next.
    Ready,
    /// It failed, and what runs is as it was.
    Failed,
}

/// How an update is going.
#[derive(schemars::JsonSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// How far it is.
    pub phase: Phase,
    /// How much of that phase is done; of checking and installing together.
    pub percent: u8,
    /// For people; empty while there is nothing to say.
    pub message: String,
}

/// Why the appliance did not do something to itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApplianceError {
    /// The machine is played, and the one underneath is not ours.
    #[error("this is a simulation: there is no appliance to update, restart or reset")]
    Simulated,
    /// It was started otherwise than from a card with two systems.
    #[error("this machine has no slots: it was not started from a Farhand card, so there is nowhere to install to")]
    NoSlots,
    /// The process that would do it does not answer.
    #[error("the process that takes care of the appliance is restarting; try again in a second")]
    Away,
    /// One at a time.
    #[error("an update is being received or installed; wait until that is done")]
    Busy,
    /// It is on its way down.
    #[error("the appliance is restarting")]
    Restarting,
    /// What was left for us is not what was announced.
    #[error("the uploaded file cannot be taken over: {0}")]
    Spool(String),
    /// A note for the next start could not be left, without which it would do the wrong thing.
    #[error("the state folder cannot be written: {0}")]
    Store(String),
    /// The program that restarts it did not.
    #[error("the appliance cannot be restarted: {0}")]
    Restart(ProgramError),
    /// A capture device is as silent as before.
    #[error("the port was not switched off and on: {0}")]
    Port(String),
    /// The configuration that was to be changed is another by now.
    #[error("the configuration has been changed by somebody else meanwhile; get it again")]
    Changed,
    /// The hands find a configuration bad.
    #[error("this is not a good configuration: {0}")]
    BadConfiguration(String),
    /// One at a time.
    #[error("another configuration is being tried; confirm it or take it back first")]
    OnTrial,
    /// There is nothing to confirm.
    #[error("no configuration is being tried; if one was, its time is over and the one before counts")]
    NotOnTrial,
    /// Who confirms may not have come over the new settings.
    #[error("the old settings may still count; confirm the configuration in a few seconds")]
    TooEarly,
    /// A configuration could not be written.
    #[error("the configuration cannot be stored: {0}")]
    Configuration(String),
}

impl Coded for ApplianceError {
    fn code_name(&self) -> &'static str {
        match self {
            ApplianceError::Simulated => "simulated",
            ApplianceError::NoSlots => "no-slots",
            ApplianceError::Away => "hands-away",
            ApplianceError::Busy => "busy",
            ApplianceError::Restarting => "restarting",
            ApplianceError::Spool(_) => "not-taken-over",
            ApplianceError::Store(_) => "not-stored",
            ApplianceError::Restart(_) => "not-restarted",
            ApplianceError::Port(_) => "internal",
            ApplianceError::Changed => "changed",
            ApplianceError::BadConfiguration(_) => "bad-configuration",
            ApplianceError::OnTrial => "on-trial",
            ApplianceError::NotOnTrial => "not-on-trial",
            ApplianceError::TooEarly => "too-early",
            ApplianceError::Configuration(_) => "not-stored",
        }
    }
}

/// Why a program of the system did not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "`program` is a path; the messages name the other fields")]
pub enum ProgramError {
    /// It is not there, or may not be run.
    #[error("{program} cannot be started: {reason}")]
    NotStarted {
        program: String,
        /// Why, in the kernel's words.
        reason: String,
    },
    /// It was still running after this time.
    #[error("{program} did not end within {seconds} s")]
    Hung { program: String, seconds: u64 },
    /// It says that it failed.
    #[error("{program} failed with {status}: {said}")]
    Failed {
        program: String,
        /// Its exit status, or the signal that ended it.
        status: String,
        /// What it said on standard error.
        said: String,
    },
}

/// What the hands know of the appliance itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Whether there is an appliance at all to restart or reset.
    pub real: bool,
    /// Its two systems, if it was started from a card that has them.
    pub slots: Option<Slots>,
    /// How far an update has come.
    pub update: Progress,
}

/// A configuration that is tried, and taken back unless somebody confirms it.
#[derive(schemars::JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Until when, in milliseconds by the appliance's clock.
    pub until_ms: u64,
    /// Where the page is meanwhile, as far as the configuration says.
    pub addresses: Vec<String>,
}

/// Everything there is to know of the appliance itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct System {
    /// What the hands said last; `None` while they are away.
    pub machine: Option<Machine>,
    /// What the network process does itself: a file that arrives, or one that could not be fetched. Idle otherwise.
    pub arrival: Progress,
    /// Whether that has ended, and only its file is still being removed.
    pub clears_up: bool,
    /// What of the configuration is tried.
    pub trial: Option<Trial>,
}

impl System {
    /// How the update is going.
    pub fn update(&self) -> Progress {
        match &self.machine {
            Some(machine) if self.arrival.phase == Phase::Idle => machine.update.clone(),
            // What waits for its restart is what comes next, whatever has become of another that was to be fetched.
            Some(Machine { update, .. }) if self.arrival.phase == Phase::Failed && update.phase == Phase::Ready => {
                Progress { message: self.arrival.message.clone(), ..update.clone() }
            }
            _ => self.arrival.clone(),
        }
    }

    /// Whether the appliance may restart, or forget its owner: not while an update arrives, is fetched or is installed.
    /// A file that is being removed is no obstacle: the card may hang, which a restart may mend.
    pub fn check_restart(&self) -> Result<(), ApplianceError> {
        let installs = self.machine.as_ref().is_some_and(|machine| machine.update.phase.is_busy());
        let arrives = self.arrival.phase.is_busy() && !self.clears_up;
        if installs || arrives { Err(ApplianceError::Busy) } else { Ok(()) }
    }

    /// Whether an upload may begin.
    pub fn check_update(&self) -> Result<(), ApplianceError> {
        let machine = self.machine.as_ref().ok_or(ApplianceError::Away)?;
        if !machine.real {
            return Err(ApplianceError::Simulated);
        }
        if machine.slots.is_none() {
            return Err(ApplianceError::NoSlots);
        }
        if self.update().phase.is_busy() { Err(ApplianceError::Busy) } else { Ok(()) }
    }
}

impl Phase {
    /// Whether another update has to wait.
    pub fn is_busy(self) -> bool {
        matches!(self, Phase::Receiving | Phase::Fetching | Phase::Checking | Phase::Installing)
    }
}

/// How the installer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It says that all is written.
    Done,
    /// It says that it failed.
    Failed,
    /// It could not even be started.
    Absent,
}

/// Follows one installation after another.
#[derive(Debug, Default)]
pub struct Updater {
    progress: Progress,
    lines: Vec<String>,
    until: Option<Instant>,
}

impl Updater {
    /// Notes that the installer is about to be started.
    pub fn begin(&mut self, now: Instant) -> Result<(), ApplianceError> {
        if self.progress.phase.is_busy() {
            return Err(ApplianceError::Busy);
        }
        self.progress = Progress { phase: Phase::Checking, ..Progress::default() };
        self.lines.clear();
        self.until = Some(now + PATIENCE);
        Ok(())
    }

    /// Takes a line that the installer said.
    pub fn hear(&mut self, line: &str) {
        if !self.progress.phase.is_busy() {
            return;
        }
        match rauc::hear(line) {
            // Its steps nest, and a percentage may go back by a little; a bar must not.
            // And "100% Installing failed." comes at the end of a failure, too: the last hundredth is for the end.
            Said::Percent(percent) => {
                self.progress.percent = self.progress.percent.max(percent.min(99));
                if rauc::WRITING <= percent {
                    self.progress.phase = Phase::Installing;
                }
            }
            Said::Other => {
                if self.lines.len() == MOST_LINES {
                    self.lines.remove(0);
                }
                self.lines.push(line.chars().take(LONGEST_LINE).collect());
            }
        }
    }

    /// Notes how the installer ended.
    pub fn end(&mut self, outcome: Outcome) {
        if !self.progress.phase.is_busy() {
            return;
        }
        let percent = self.progress.percent;
        self.until = None;
        let lines = std::mem::take(&mut self.lines);
        self.progress = match outcome {
            Outcome::Done => {
                let message = "The update is installed and starts with the next restart. If it does not prove itself then, \
                               the appliance comes back with what runs now.";
                Progress { phase: Phase::Ready, percent: 100, message: message.into() }
            }
            Outcome::Failed => Progress { phase: Phase::Failed, percent, message: rauc::explain(&lines) },
            Outcome::Absent => {
                let message = "The installer could not be started; see the log of the hands.";
                Progress { phase: Phase::Failed, percent, message: message.into() }
            }
        };
    }

    /// Whether the installer has been at it for so long that it must be ended.
    pub fn tick(&mut self, now: Instant) -> bool {
        let late = self.until.is_some_and(|until| until <= now);
        if late {
            self.until = None;
            let minutes = PATIENCE.as_secs() / 60;
            let message = format!("The installation did not end within {minutes} minutes and was stopped.");
            self.progress = Progress { phase: Phase::Failed, message, ..self.progress };
        }
        late
    }

    /// When [`Updater::tick`] next has work to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// How it is going.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str, outcome: Outcome) -> (Updater, Vec<Progress>) {
        let (mut updater, mut seen) = (Updater::default(), Vec::new());
        updater.begin(Instant::now()).unwrap();
        for line in text.lines() {
            updater.hear(line);
            if seen.last() != Some(updater.progress()) {
                seen.push(updater.progress().clone());
            }
        }
        updater.end(outcome);
        (updater, seen)
    }

    #[test]
    fn a_good_installation_goes_through_its_phases_and_never_back() {
        let (updater, seen) = heard(include_str!("../tests/data/rauc-good.txt"), Outcome::Done);
        assert_eq!((Phase::Ready, 100), (updater.progress().phase, updater.progress().percent));
        assert!(updater.progress().message.contains("restart"));
        assert!(seen.is_sorted_by_key(|progress| progress.percent), "{seen:?}");
        let mut phases: Vec<_> = seen.iter().map(|progress| progress.phase).collect();
        phases.dedup();
        assert_eq!(vec![Phase::Checking, Phase::Installing], phases);
        assert_eq!(None, updater.deadline());
    }

    #[test]
    fn one_at_a_time_and_the_next_one_afterwards() {
        let now = Instant::now();
        let mut updater = Updater::default();
        updater.begin(now).unwrap();
        assert_eq!(Err(ApplianceError::Busy), updater.begin(now));
        updater.end(Outcome::Failed);
        assert_eq!(Phase::Failed, updater.progress().phase);
        updater.begin(now).unwrap();
        assert_eq!(Progress { phase: Phase::Checking, ..Progress::default() }, *updater.progress());
    }

    #[test]
    fn an_installer_that_hangs_is_ended() {
        let now = Instant::now();
        let mut updater = Updater::default();
        assert!(!updater.tick(now));
        updater.begin(now).unwrap();
        assert_eq!(Some(now + PATIENCE), updater.deadline());
        assert!(!updater.tick(now + PATIENCE - Duration::from_millis(1)));
        assert!(updater.tick(now + PATIENCE));
        assert!(updater.progress().message.contains("20 minutes"), "{:?}", updater.progress());
        updater.end(Outcome::Failed);
        assert!(updater.progress().message.contains("20 minutes"), "being killed is not news");
    }

    #[test]
    fn a_talkative_installer_does_not_fill_the_memory() {
        let (mut updater, long) = (Updater::default(), "x".repeat(10 * LONGEST_LINE));
        updater.begin(Instant::now()).unwrap();
        for _ in 0..10 * MOST_LINES {
            updater.hear(&long);
        }
        assert_eq!(MOST_LINES, updater.lines.len());
        assert!(updater.lines.iter().all(|line| line.len() == LONGEST_LINE));
    }

    #[test]
    fn what_is_being_received_counts_before_what_was_installed() {
        let update = Progress { phase: Phase::Ready, percent: 100, message: "x".into() };
        let slots = slots::read(slots::Slot::A, "1.0.0", &slots::Environment::default(), "");
        let machine = Machine { real: true, slots: Some(slots), update: update.clone() };
        let mut system = System { machine: Some(machine), ..System::default() };
        assert_eq!((update, Ok(())), (system.update(), system.check_update()));
        for phase in [Phase::Receiving, Phase::Fetching] {
            system.arrival = Progress { phase, percent: 7, ..Progress::default() };
            assert_eq!((phase, 7), (system.update().phase, system.update().percent));
            assert_eq!(
                [Err(ApplianceError::Busy), Err(ApplianceError::Busy)],
                [system.check_update(), system.check_restart()]
            );
        }
        system.arrival = Progress { phase: Phase::Failed, percent: 7, message: "y".into() };
        let ready = Progress { phase: Phase::Ready, percent: 100, message: "y".into() };
        assert_eq!((ready, Ok(())), (system.update(), system.check_update()), "what was installed still waits");
        system.machine.as_mut().unwrap().update = Progress::default();
        assert_eq!((Phase::Failed, Ok(())), (system.update().phase, system.check_update()), "the next may try");
        assert_eq!(Ok(()), system.check_restart());
        system.machine = Some(Machine { real: true, ..Machine::default() });
        assert_eq!(Err(ApplianceError::NoSlots), system.check_update());
        system.machine = Some(Machine::default());
        assert_eq!(Err(ApplianceError::Simulated), system.check_update());
        system.machine = None;
        assert_eq!(Err(ApplianceError::Away), system.check_update());
    }
}
