//! Decides whether the machine is well, and what follows from that.
//!
//! What judges health is none of the judged: a process of its own asks the page as a browser would. While it is well
//! the hardware watchdog is fed, and a slot that is tried for the first time is confirmed once that has lasted.
//! [`Guard`] does no I/O and reads no clock: the caller carries out each [`Action`], says what came of it, and is back
//! at [`Guard::deadline`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::needs::{Fault, Needs, Record};
use crate::update::slots::{Environment, Slot, SlotState};

/// How often the page is asked.
pub const APART: Duration = Duration::from_secs(5);
/// How long all must have been well without a break to count as proven.
const PROVEN: Duration = Duration::from_secs(30);
/// Two good answers further apart than this do not make one unbroken time: nobody knows what was in between.
const GAP: Duration = Duration::from_secs(20);
/// How long the machine may be unwell before it is restarted. What has crashed is back in seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same at the start: the first one makes keys and waits for devices, on a card that is slow.
const START: Duration = Duration::from_secs(90);
/// How long a new slot may take to prove itself, since one that never does must not stay either.
const TRIAL: Duration = Duration::from_secs(180);
/// How long to wait at most before a boot loader's memory that could not be read, or changed, is tried again.
const MEMORY_APART: Duration = Duration::from_secs(60);
/// How often the time is kept, for a start at which nobody tells it: so far back may a power cut put the clock.
const HOUR: Duration = Duration::from_secs(3600);

/// What came of asking the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// It says that it is well.
    Well,
    /// It says what is wrong.
    Unwell(String),
    /// It does not answer.
    Silent(String),
}

/// What the boot loader says when it is asked to remember that a slot is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadBack {
    /// This is what it remembers now.
    Environment(Environment),
    /// Nobody may change it just now: an update is being installed.
    Busy,
}

/// Everything that one look shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "`page` is described by its type")]
pub struct Observation {
    pub page: Page,
    /// Whether the daemon runs in its rescue mode.
    pub rescue: bool,
    /// What is wrong with the machine though the page may be well. Storage is tried only in a whole look: that is a
    /// write.
    pub faults: Vec<Fault>,
    /// What the boot loader remembers, unless the look was quick.
    pub environment: Option<Result<Environment, String>>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask the page, and look at the machine; answered by [`Guard::saw`].
    Look(Depth),
    /// Feed the watchdog.
    Feed,
    /// Have the boot loader remember that this slot is confirmed; answered by [`Guard::confirmed`].
    Confirm(Slot),
    /// Note down the time, and what the machine has, if that has changed; answered by [`Guard::remembered`].
    Remember(Option<Needs>),
    /// Forget that services crashed in an earlier boot.
    Forgive,
    /// Mark the next boot as one that was to repair what is wrong; answered by [`Guard::marked`].
    Mark,
    /// Note down why the machine is about to be reset, and restart it if so told.
    GiveUp {
        /// What is wrong.
        reason: String,
        /// Whether to restart it rather than wait for the watchdog.
        restart: bool,
    },
    /// Take that note back: the machine has recovered.
    TakeBack,
    /// Change to rescue mode, since a restart does not help.
    Rescue,
    /// Say that something is wrong.
    Warn(String),
    /// Say what has been done.
    Note(String),
}

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Without touching the card.
    Quick,
    /// Also at what the boot loader remembers.
    Memory,
    /// And whether storage can be written, by writing.
    Whole,
}

/// What has become of [`Action::Mark`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// It is set, and lasts.
    Set,
    /// An earlier boot has set it, and nothing has been well for long enough since.
    Earlier,
    /// It cannot be set, so that a restart would be forgotten, and restarting never end.
    Failed(String),
}

/// An unbroken time.
#[derive(Debug, Default)]
struct Run(Option<(Instant, Instant)>);

impl Run {
    fn good(&mut self, now: Instant) {
        self.0 = match self.0 {
            Some((since, last)) if now.saturating_duration_since(last) <= GAP => Some((since, now)),
            _ => Some((now, now)),
        };
    }

    fn broken(&mut self) {
        self.0 = None;
    }

    fn proves(&self) -> bool {
        self.0.is_some_and(|(since, last)| PROVEN <= last.saturating_duration_since(since))
    }
}

/// What the running slot has still to do to be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Confirmation {
    /// Nothing, or nothing that is known yet: the boot loader's memory has not been read.
    Unknown,
    /// It has never been confirmed, and must prove itself.
    Trial,
    /// It was confirmed before, and need only be back.
    Pending,
    /// Nothing is left to be confirmed, for good.
    Settled,
}

/// What is done about a machine that is not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Supervision {
    /// The watchdog is fed for as long as a page answers, be it the rescue page.
    Watching,
    /// It is fed no more, unless the page answers again before the reset.
    GivenUp,
    /// In rescue mode by our own decision: it stays up whatever the page says, for anyone who comes to its console.
    Rescued,
    /// It is fed no more, whatever the page answers: the slot had its time to prove itself.
    Condemned,
}

/// Watches one boot of the machine, from its start.
#[derive(Debug)]
pub struct Guard {
    begun: Instant,
    slot: Option<Slot>,
    next: Instant,
    /// How closely it is being looked at just now.
    looking: Option<Depth>,
    /// When a page last answered, be it the rescue page.
    alive: Option<Instant>,
    well: Run,
    fit: Run,
    confirmation: Confirmation,
    /// How often in a row the boot loader's memory could not be read or changed, when that is tried next, and why not.
    failures: u32,
    memory_due: Instant,
    unreadable: String,
    record: Record,
    /// Why that could not be noted, as it was last said.
    forgetful: String,
    /// When the time is kept next.
    hour: Instant,
    /// What crashed in an earlier boot has been forgiven.
    forgiven: bool,
    supervision: Supervision,
    /// What was last said to be wrong, so that it is logged once.
    wrong: String,
    actions: VecDeque<Action>,
}

impl Guard {
    /// Begins to watch. `slot` is the one that runs; a machine without slots has nothing to confirm.
    pub fn new(now: Instant, slot: Option<Slot>) -> Guard {
        Guard {
            begun: now,
            slot,
            next: now,
            looking: None,
            alive: None,
            well: Run::default(),
            fit: Run::default(),
            confirmation: if slot.is_some() { Confirmation::Unknown } else { Confirmation::Settled },
            failures: 0,
            memory_due: now,
            unreadable: String::new(),
            record: Record::default(),
            forgetful: String::new(),
            hour: now + HOUR,
            forgiven: false,
            supervision: Supervision::Watching,
            wrong: "the page has not answered yet".into(),
            actions: VecDeque::new(),
        }
    }

    /// Tells the guard what time it is.
    pub fn tick(&mut self, now: Instant) {
        // The watchdog is fed first: a look takes time.
        self.judge(now);
        if self.looking.is_none() && self.next <= now {
            let depth = self.depth(now);
            self.looking = Some(depth);
            self.next = now + APART;
            self.actions.push_back(Action::Look(depth));
        }
    }

    /// How closely to look: on trial everything counts, and the trial has an end. Otherwise a card is not worn out by a
    /// boot loader's memory that cannot be read.
    fn depth(&self, now: Instant) -> Depth {
        match self.confirmation {
            Confirmation::Settled => Depth::Quick,
            Confirmation::Trial => Depth::Whole,
            Confirmation::Unknown if self.failures == 0 => Depth::Whole,
            Confirmation::Unknown | Confirmation::Pending if self.memory_due <= now => Depth::Memory,
            Confirmation::Unknown | Confirmation::Pending => Depth::Quick,
        }
    }

    /// Takes in what an earlier boot noted down of what this machine has; None if there is no note.
    pub fn recall(&mut self, noted: Option<Needs>) {
        self.record.recall(noted);
    }

    /// Takes in what a look has shown.
    pub fn saw(&mut self, now: Instant, seen: Observation) {
        let depth = self.looking.take().unwrap_or(Depth::Quick);
        let Observation { page, rescue, faults, environment } = seen;
        if page == Page::Well || (rescue && matches!(page, Page::Unwell(_))) {
            // Someone can update it from the rescue page, which is what a reset would take away.
            self.alive = Some(now);
        }
        let well = page == Page::Well && !rescue;
        if well {
            self.well.good(now);
        } else {
            self.well.broken();
        }
        let trouble = match (page, rescue) {
            (Page::Silent(why), _) => format!("the page does not answer: {why}"),
            (_, true) => "the daemon runs in rescue mode".into(),
            (Page::Unwell(why), _) => why,
            (Page::Well, _) => String::new(),
        };
        let lacks = faults.iter().fold(Needs::default(), |all, fault| all.with(fault.lacks));
        let trouble = self.examined(now, depth, trouble, faults, environment);
        self.tell(trouble);
        if self.well.proves() && !self.forgiven {
            self.forgiven = true;
            self.actions.push_back(Action::Forgive);
        } else {
            // Not both in one look: each may take its time, while nobody feeds.
            self.remember(now, well.then(|| Needs::ALL.without(lacks)));
        }
        self.judge(now);
    }

    /// Takes in what has become of [`Action::Confirm`].
    pub fn confirmed(&mut self, now: Instant, slot: Slot, outcome: Result<ReadBack, String>) {
        match outcome {
            Ok(ReadBack::Environment(environment)) => match environment.state(slot) {
                SlotState::Confirmed => {
                    self.settle();
                    self.actions.push_back(Action::Note(format!("slot {slot} is confirmed")));
                }
                SlotState::Superseded => self.settle(),
                // It is tried again after a later look.
                _ => {
                    self.memory_failed(now);
                    self.warn(format!("slot {slot} is not confirmed: read back {environment}"));
                }
            },
            // So is this: an installation is done within minutes.
            Ok(ReadBack::Busy) => (),
            Err(why) => {
                self.memory_failed(now);
                self.warn(format!("slot {slot} is not confirmed: {why}"));
            }
        }
    }

    /// Takes in what has become of [`Action::Remember`].
    pub fn remembered(&mut self, needs: Option<Needs>, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                self.forgetful.clear();
                needs.into_iter().for_each(|needs| self.record.written(needs));
            }
            Err(why) if why != self.forgetful => {
                self.warn(format!("cannot keep the time, and what this machine has: {why}"));
                self.forgetful = why;
            }
            Err(_) => (),
        }
    }

    /// Takes in what has become of [`Action::Mark`].
    pub fn marked(&mut self, mark: Mark) {
        // Whatever was forgiven in this boot, this is not.
        self.forgiven = false;
        match mark {
            Mark::Set => return self.end(self.wrong.clone()),
            Mark::Earlier => self.warn(format!("a restart did not help: {}; changing to rescue mode", self.wrong)),
            Mark::Failed(why) => self.warn(format!(
                "{}; not restarting, which would never end: cannot mark that: {why}; changing to rescue mode",
                self.wrong
            )),
        }
        self.supervision = Supervision::Rescued;
        // It has gone unfed since the last good answer but one.
        self.actions.push_front(Action::Feed);
        self.actions.push_back(Action::Rescue);
    }

    /// Takes the next action; drain this after every call that takes `now`.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Guard::tick`] next has something to do.
    pub fn deadline(&self) -> Instant {
        self.next
    }

    /// Considers what else was looked at. Gives all that is wrong, in words.
    fn examined(
        &mut self,
        now: Instant,
        depth: Depth,
        trouble: String,
        faults: Vec<Fault>,
        environment: Option<Result<Environment, String>>,
    ) -> String {
        let Some(slot) = self.slot.filter(|_| self.confirmation != Confirmation::Settled) else { return trouble };
        let environment = match environment {
            Some(Ok(environment)) => environment,
            Some(Err(why)) => {
                self.fit.broken();
                self.memory_failed(now);
                self.unreadable = format!("cannot read what the boot loader remembers: {why}");
                return join(trouble, &self.unreadable);
            }
            None => {
                // Of one that was confirmed before, the page is all that counts.
                if self.confirmation == Confirmation::Pending && trouble.is_empty() {
                    self.fit.good(now);
                } else {
                    self.fit.broken();
                }
                return join(trouble, &self.unreadable);
            }
        };
        self.unreadable.clear();
        self.confirmation = match environment.state(slot) {
            SlotState::Confirmed | SlotState::Superseded => {
                self.settle();
                return trouble;
            }
            SlotState::Trial => Confirmation::Trial,
            SlotState::FallenBack | SlotState::Incomplete => Confirmation::Pending,
        };
        let is_trial = self.confirmation == Confirmation::Trial;
        // One that was confirmed before need not prove more than that it is back; and one that is new, no more than the
        // one before it had.
        let demanded = if is_trial { self.record.demanded() } else { Needs::default() };
        let counts = |fault: &Fault| !demanded.without(fault.lacks).has(demanded);
        let faults: Vec<_> = faults.into_iter().filter(counts).map(|fault| fault.text).collect();
        let faults = faults.join("; ");
        // What has not been tried does not speak for a slot on trial.
        let is_tried = !is_trial || depth == Depth::Whole;
        if trouble.is_empty() && faults.is_empty() && is_tried {
            self.fit.good(now);
        } else {
            self.fit.broken();
        }
        if self.fit.proves() && self.supervision != Supervision::Condemned {
            self.actions.push_back(Action::Confirm(slot));
        } else {
            self.failures = 0;
        }
        join(trouble, &faults)
    }

    /// Tries the boot loader's memory again, later each time.
    fn memory_failed(&mut self, now: Instant) {
        let pause = APART * 2u32.saturating_pow(self.failures);
        self.memory_due = now + pause.min(MEMORY_APART);
        self.failures = self.failures.saturating_add(1);
    }

    fn settle(&mut self) {
        self.confirmation = Confirmation::Settled;
    }

    /// Has noted down what the machine has while a confirmed release is well, and the time.
    fn remember(&mut self, now: Instant, met: Option<Needs>) {
        let met = met.filter(|_| self.confirmation == Confirmation::Settled && self.slot.is_some());
        let changed = met.and_then(|met| self.record.met(now, met));
        let is_hour = self.hour <= now;
        if is_hour {
            self.hour = now + HOUR;
        }
        if is_hour || changed.is_some() {
            self.actions.push_back(Action::Remember(changed));
        }
    }

    /// Feeds the watchdog, or stops feeding it and ends the boot.
    fn judge(&mut self, now: Instant) {
        let since = |then: Instant| now.saturating_duration_since(then);
        let is_trial = self.confirmation == Confirmation::Trial;
        let lost = match self.alive {
            Some(alive) => PATIENCE <= since(alive),
            None => START <= since(self.begun),
        };
        match self.supervision {
            // It is not fed again, in case the restart hangs.
            Supervision::Condemned => (),
            _ if is_trial && TRIAL <= since(self.begun) => {
                self.supervision = Supervision::Condemned;
                self.end(format!("the new slot did not prove itself in {} s: {}", TRIAL.as_secs(), self.wrong));
            }
            Supervision::Rescued => self.actions.push_back(Action::Feed),
            Supervision::Watching if !lost => self.actions.push_back(Action::Feed),
            Supervision::Watching => {
                self.supervision = Supervision::GivenUp;
                if is_trial {
                    // Each restart spends one of its attempts, and the boot loader goes back when there is none left.
                    self.end(self.wrong.clone());
                } else {
                    self.actions.push_back(Action::Mark);
                }
            }
            Supervision::GivenUp if !lost => {
                self.supervision = Supervision::Watching;
                self.actions.extend([Action::TakeBack, Action::Feed]);
            }
            Supervision::GivenUp => (),
        }
    }

    fn end(&mut self, reason: String) {
        // With slots the machine is all ours, and an orderly end is kinder to /data than the watchdog's, which comes
        // anyway should this one hang.
        self.actions.push_back(Action::GiveUp { reason, restart: self.slot.is_some() });
    }

    /// Says what is wrong when that changes.
    fn tell(&mut self, trouble: String) {
        if trouble.is_empty() && !self.wrong.is_empty() {
            self.actions.push_back(Action::Note("all is well".into()));
        } else if trouble != self.wrong {
            self.warn(trouble.clone());
        }
        self.wrong = trouble;
    }

    fn warn(&mut self, text: String) {
        self.actions.push_back(Action::Warn(text));
    }
}

fn join(one: String, other: &str) -> String {
    match (one.is_empty(), other.is_empty()) {
        (true, _) => other.to_string(),
        (_, true) => one,
        _ => format!("{one}; {other}"),
    }
}

#[cfg(test)]
mod tests;
