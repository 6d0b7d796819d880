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
mod tests {
    use super::*;

    const TRIED: &str = "BOOT_ORDER=B A\nBOOT_A_LEFT=3\nBOOT_B_LEFT=2\nCONFIRMED=A\n";
    const GOOD: &str = "BOOT_ORDER=B A\nBOOT_A_LEFT=3\nBOOT_B_LEFT=3\nCONFIRMED=B\n";
    const FALLEN: &str = "BOOT_ORDER=A B\nBOOT_A_LEFT=0\nBOOT_B_LEFT=3\nCONFIRMED=B\n";
    const INSTALLED: &str = "BOOT_ORDER=A B\nBOOT_A_LEFT=3\nBOOT_B_LEFT=3\nCONFIRMED=B\n";

    /// A machine whose slot B runs, looked at every time the guard asks.
    struct Machine {
        guard: Guard,
        begun: Instant,
        now: Instant,
        page: Page,
        rescue: bool,
        faults: Vec<Fault>,
        memory: String,
        readable: bool,
        /// What a write leaves there, if not what was written.
        misread: Option<String>,
        /// Whether an update is being installed.
        busy: bool,
        mark: Mark,
        /// Whether nothing can be noted down.
        forgets: bool,
        done: Vec<(u64, Action)>,
    }

    impl Machine {
        fn new(slot: Option<Slot>, memory: &str) -> Machine {
            let begun = Instant::now();
            Machine {
                guard: Guard::new(begun, slot),
                begun,
                now: begun,
                page: Page::Well,
                rescue: false,
                faults: Vec::new(),
                memory: memory.into(),
                readable: true,
                misread: None,
                busy: false,
                mark: Mark::Set,
                forgets: false,
                done: Vec::new(),
            }
        }

        /// Runs until this second after its start.
        fn until(&mut self, secs: u64) {
            let end = self.begun + Duration::from_secs(secs);
            while self.now.max(self.guard.deadline()) < end {
                self.now = self.now.max(self.guard.deadline());
                self.guard.tick(self.now);
                while let Some(action) = self.guard.poll() {
                    self.carry_out(&action);
                    self.done.push(((self.now - self.begun).as_secs(), action));
                }
            }
            self.now = end;
        }

        fn carry_out(&mut self, action: &Action) {
            match action {
                Action::Look(depth) => {
                    let memory =
                        || self.readable.then(|| Environment::parse(&self.memory)).ok_or("no such file".into());
                    let environment = (*depth != Depth::Quick).then(memory);
                    let (page, faults) = (self.page.clone(), self.faults.clone());
                    self.guard.saw(self.now, Observation { page, rescue: self.rescue, faults, environment });
                }
                Action::Confirm(slot) => {
                    let wanted = Environment::parse(&self.memory).to_confirm(*slot);
                    if let (Some(wanted), false) = (wanted, self.busy) {
                        self.memory = self.misread.clone().unwrap_or(wanted.script());
                    }
                    let back = ReadBack::Environment(Environment::parse(&self.memory));
                    self.guard.confirmed(self.now, *slot, Ok(if self.busy { ReadBack::Busy } else { back }));
                }
                Action::Mark => self.guard.marked(self.mark.clone()),
                Action::Remember(needs) => {
                    let outcome = if self.forgets { Err("read-only file system".into()) } else { Ok(()) };
                    self.guard.remembered(*needs, outcome);
                }
                _ => (),
            }
        }

        fn marks(&self) -> Vec<u64> {
            self.times(|action| *action == Action::Mark)
        }

        /// When something was done.
        fn times(&self, wanted: impl Fn(&Action) -> bool) -> Vec<u64> {
            self.done.iter().filter(|(_, action)| wanted(action)).map(|(at, _)| *at).collect()
        }

        fn writes(&self) -> Vec<u64> {
            self.times(|action| matches!(action, Action::Confirm(_)))
        }

        /// What was noted down, and when.
        fn notes(&self) -> Vec<(u64, Needs)> {
            let noted = self.done.iter().filter_map(|(at, action)| match action {
                Action::Remember(Some(needs)) => Some((*at, *needs)),
                _ => None,
            });
            noted.collect()
        }

        fn last_feed(&self) -> u64 {
            self.times(|action| *action == Action::Feed).last().copied().unwrap_or_default()
        }

        fn given_up(&self) -> Vec<(u64, &str, bool)> {
            let all = self.done.iter().filter_map(|(at, action)| match action {
                Action::GiveUp { reason, restart } => Some((*at, reason.as_str(), *restart)),
                _ => None,
            });
            all.collect()
        }
    }

    fn no_address() -> Vec<Fault> {
        vec![Fault { lacks: Needs::NETWORK, text: "no interface has an address".into() }]
    }

    #[test]
    fn a_good_slot_is_confirmed_once_after_thirty_seconds() {
        let mut machine = Machine::new(Some(Slot::B), TRIED);
        machine.until(29);
        assert!(machine.writes().is_empty());
        machine.until(3600);
        assert_eq!([30], machine.writes()[..]);
        assert_eq!(Environment::parse(GOOD), Environment::parse(&machine.memory));
        assert_eq!([30], machine.times(|action| *action == Action::Forgive)[..]);
        assert!(machine.given_up().is_empty());
    }

    #[test]
    fn a_fault_starts_the_time_over() {
        let mut machine = Machine::new(Some(Slot::B), TRIED);
        machine.until(29);
        machine.faults = no_address();
        machine.until(34);
        machine.faults.clear();
        machine.until(60);
        assert!(machine.writes().is_empty());
        machine.until(80);
        assert_eq!([65], machine.writes()[..]);
    }

    #[test]
    fn an_unwell_page_starts_the_time_over() {
        let mut machine = Machine::new(Some(Slot::B), TRIED);
        machine.until(29);
        machine.page = Page::Unwell("the capture thread".into());
        machine.until(34);
        machine.page = Page::Well;
        machine.until(80);
        assert_eq!([65], machine.writes()[..]);
        assert_eq!([65], machine.times(|action| *action == Action::Forgive)[..]);
        let warnings = machine.times(|action| *action == Action::Warn("the capture thread".into()));
        assert_eq!([30], warnings[..]);
    }

    #[test]
    fn time_in_which_nobody_looked_proves_nothing() {
        let mut machine = Machine::new(Some(Slot::B), TRIED);
        machine.until(11);
        // As when the whole machine stood still: the clock has gone on, and nothing else.
        machine.now += Duration::from_secs(25);
        machine.until(66);
        assert!(machine.writes().is_empty(), "{:?}", machine.done);
        machine.until(80);
        assert_eq!([66], machine.writes()[..]);
    }

    #[test]
    fn a_read_back_that_differs_is_an_error_and_is_tried_again() {
        let mut machine = Machine::new(Some(Slot::B), TRIED);
        machine.misread = Some(TRIED.into());
        machine.until(44);
        assert_eq!([30, 35, 40], machine.writes()[..]);
        let warned = |action: &Action| matches!(action, Action::Warn(why) if why.contains("read back"));
        assert_eq!([30, 35, 40], machine.times(warned)[..]);
        machine.misread = None;
        machine.until(100);
        assert_eq!([30, 35, 40, 45], machine.writes()[..]);
    }

    #[test]
    fn a_slot_that_was_confirmed_before_is_left_as_it_is() {
        let mut machine = Machine::new(Some(Slot::B), GOOD);
        machine.until(600);
        assert!(machine.writes().is_empty());
        let examined = machine.times(|action| *action == Action::Look(Depth::Whole));
        assert_eq!([0], examined[..], "each examination writes to the card");
    }

    #[test]
    fn a_memory_that_cannot_be_read_wears_nothing_out_and_is_said_once() {
        let mut machine = Machine::new(Some(Slot::B), FALLEN);
        machine.readable = false;
        machine.until(3600);
        let looks = |machine: &Machine, depth| machine.times(|action| *action == Action::Look(depth));
        assert_eq!([0], looks(&machine, Depth::Whole)[..], "each tries storage by writing");
        assert_eq!([5, 15, 35, 75, 135], looks(&machine, Depth::Memory)[..5]);
        assert!(looks(&machine, Depth::Memory).windows(2).all(|pair| pair[1] - pair[0] <= 60));
        assert_eq!([0], machine.times(|action| matches!(action, Action::Warn(_) | Action::Note(_)))[..]);
        assert_eq!(3595, machine.last_feed());
        machine.readable = true;
        machine.until(3800);
        assert_eq!(1, machine.writes().len(), "it takes its turn again");
    }

    #[test]
    fn a_memory_that_cannot_be_changed_is_tried_once_a_minute_unless_it_is_a_trial() {
        let mut machine = Machine::new(Some(Slot::B), FALLEN);
        machine.misread = Some(FALLEN.into());
        machine.until(1800);
        let writes = machine.writes();
        assert_eq!([30, 35, 45, 65, 105], writes[..5]);
        assert!(writes.len() < 40 && writes.windows(2).all(|pair| pair[1] - pair[0] <= 60), "{writes:?}");
        machine.misread = None;
        machine.until(1900);
        assert_eq!(writes.len() + 1, machine.writes().len());
    }

    #[test]
    fn a_trial_that_can_be_read_late_still_proves_its_storage_for_half_a_minute() {
        let mut machine = Machine::new(Some(Slot::B), TRIED);
        machine.readable = false;
        machine.until(12);
        machine.readable = true;
        machine.until(170);
        // Read at 15 s, without trying storage.
        assert_eq!([50], machine.writes()[..]);
    }

    #[test]
    fn an_installed_update_is_never_written_over() {
        let mut machine = Machine::new(Some(Slot::B), FALLEN);
        machine.until(20);
        machine.memory = INSTALLED.into();
        machine.until(600);
        assert!(machine.writes().is_empty());
        assert_eq!(INSTALLED, machine.memory);
    }

    #[test]
    fn while_an_update_is_being_installed_nothing_is_written_and_nobody_is_warned() {
        let mut machine = Machine::new(Some(Slot::B), FALLEN);
        machine.busy = true;
        machine.until(59);
        assert_eq!([30, 35, 40, 45, 50, 55], machine.writes()[..]);
        assert_eq!(FALLEN, machine.memory);
        assert!(machine.times(|action| matches!(action, Action::Warn(_))).is_empty(), "{:?}", machine.done);
        // What it has made of the memory meanwhile is what counts.
        (machine.busy, machine.memory) = (false, INSTALLED.into());
        machine.until(600);
        assert_eq!(INSTALLED, machine.memory);
        assert!(machine.times(|action| matches!(action, Action::Note(text) if text.contains("confirmed"))).is_empty());
    }

    #[test]
    fn a_new_slot_is_held_to_what_the_one_before_had_and_to_no_more() {
        let without_network = Needs::ALL.without(Needs::NETWORK);
        let mut machine = Machine::new(Some(Slot::B), TRIED);
        machine.faults = no_address();
        machine.guard.recall(Some(without_network));
        machine.until(100);
        assert_eq!([30], machine.writes()[..]);
        assert_eq!(Environment::parse(GOOD), Environment::parse(&machine.memory));

        for had in [None, Some(Needs::ALL)] {
            let mut machine = Machine::new(Some(Slot::B), TRIED);
            machine.faults = no_address();
            machine.guard.recall(had);
            machine.until(179);
            assert!(machine.writes().is_empty() && machine.notes().is_empty(), "{had:?}: {:?}", machine.done);
        }
        let mut machine = Machine::new(Some(Slot::B), TRIED);
        // A card that does not answer: nobody knows what else is wrong.
        machine.faults = vec![Fault { lacks: Needs::ALL, text: "storage does not answer".into() }];
        machine.guard.recall(Some(without_network));
        machine.until(179);
        assert!(machine.writes().is_empty());
    }

    #[test]
    fn what_a_confirmed_release_has_is_noted_down_and_what_a_new_one_has_is_not() {
        let mut machine = Machine::new(Some(Slot::B), GOOD);
        machine.faults = no_address();
        machine.guard.recall(None);
        machine.until(60);
        assert_eq!([(35, Needs::ALL.without(Needs::NETWORK))], machine.notes()[..]);
        machine.faults.clear();
        machine.until(120);
        assert_eq!(Some(&(60, Needs::ALL)), machine.notes().last());

        let mut machine = Machine::new(Some(Slot::B), TRIED);
        machine.guard.recall(None);
        machine.until(29);
        assert!(machine.notes().is_empty(), "it may never be confirmed");
        machine.until(600);
        assert_eq!([65], machine.notes().iter().map(|(at, _)| *at).collect::<Vec<_>>()[..]);

        let mut machine = Machine::new(Some(Slot::B), GOOD);
        machine.guard.recall(None);
        machine.rescue = true;
        machine.until(8000);
        assert!(machine.notes().is_empty(), "a rescue page drives no keyboard");
    }

    #[test]
    fn what_could_not_be_noted_down_is_noted_later_and_complained_of_once() {
        let mut machine = Machine::new(Some(Slot::B), GOOD);
        machine.guard.recall(None);
        machine.forgets = true;
        machine.until(300);
        assert_eq!([35, 95, 155, 215, 275], machine.notes().iter().map(|(at, _)| *at).collect::<Vec<_>>()[..]);
        assert_eq!([35], machine.times(|action| matches!(action, Action::Warn(why) if why.contains("keep")))[..]);
        machine.forgets = false;
        machine.until(3000);
        assert_eq!((6, Some(&(335, Needs::ALL))), (machine.notes().len(), machine.notes().last()));
    }

    #[test]
    fn the_time_is_kept_every_hour_whatever_else_is_wrong() {
        for page in [Page::Well, Page::Unwell("the capture thread".into())] {
            let mut machine = Machine::new(None, "");
            machine.page = page;
            machine.rescue = true;
            machine.until(7500);
            assert_eq!([3600, 7200], machine.times(|action| *action == Action::Remember(None))[..]);
        }
    }

    #[test]
    fn a_slot_that_it_fell_back_to_takes_its_turn_again_whatever_the_faults() {
        let mut machine = Machine::new(Some(Slot::B), FALLEN);
        machine.faults = no_address();
        machine.until(600);
        assert_eq!([30], machine.writes()[..]);
        assert!(machine.given_up().is_empty());
    }

    #[test]
    fn a_new_slot_that_never_proves_itself_is_restarted() {
        let mut machine = Machine::new(Some(Slot::B), TRIED);
        machine.faults = no_address();
        machine.until(600);
        let given_up = machine.given_up();
        assert!(matches!(given_up[..], [(180, why, true)] if why.contains("no interface")), "{given_up:?}");
        assert_eq!(175, machine.last_feed());
        assert!(machine.marks().is_empty());
    }

    #[test]
    fn a_new_slot_whose_page_does_not_come_is_restarted_every_time() {
        let mut machine = Machine::new(Some(Slot::B), TRIED);
        machine.page = Page::Silent("connection refused".into());
        machine.mark = Mark::Earlier;
        machine.until(170);
        assert_eq!([(90, "the page does not answer: connection refused", true)], machine.given_up()[..]);
        assert!(machine.marks().is_empty(), "the mark is for a slot that stays");
        assert_eq!(85, machine.last_feed());
    }

    #[test]
    fn a_slot_that_stays_is_restarted_once_and_then_kept_up_in_rescue_mode() {
        for (slot, memory) in [(Some(Slot::B), GOOD), (Some(Slot::B), FALLEN), (None, "")] {
            for mark in [Mark::Earlier, Mark::Failed("read-only file system".into())] {
                let mut machine = Machine::new(slot, memory);
                machine.mark = mark;
                machine.until(11);
                machine.page = Page::Silent("timed out".into());
                machine.until(3600);
                assert!(machine.given_up().is_empty(), "{:?}", machine.done);
                assert_eq!([40], machine.marks()[..]);
                assert_eq!([40], machine.times(|action| *action == Action::Rescue)[..]);
                let told = |action: &Action| matches!(action, Action::Warn(why) if why.contains("timed out") && why.contains("rescue mode"));
                assert_eq!([40], machine.times(told)[..]);
                assert_eq!(3595, machine.last_feed());
                let mut fed = machine.times(|action| *action == Action::Feed);
                fed.dedup();
                assert!(fed.windows(2).all(|pair| pair[1] - pair[0] <= 5), "{fed:?}");
            }
        }
    }

    #[test]
    fn a_mark_is_forgiven_even_if_it_was_made_after_the_first_half_minute() {
        let mut machine = Machine::new(None, "");
        machine.until(61);
        machine.page = Page::Silent("timed out".into());
        machine.until(100);
        assert_eq!([90], machine.marks()[..]);
        machine.page = Page::Well;
        machine.until(200);
        assert_eq!([30, 130], machine.times(|action| *action == Action::Forgive)[..]);
    }

    #[test]
    fn the_watchdog_is_fed_only_while_the_page_was_well_lately() {
        let mut machine = Machine::new(None, "");
        machine.until(100);
        machine.page = Page::Silent("timed out".into());
        machine.until(300);
        assert!((120..130).contains(&machine.last_feed()), "{}", machine.last_feed());
        assert_eq!([(125, "the page does not answer: timed out", false)], machine.given_up()[..]);
        machine.page = Page::Well;
        machine.until(400);
        assert_eq!([300], machine.times(|action| *action == Action::TakeBack)[..]);
        assert_eq!(395, machine.last_feed());
    }

    #[test]
    fn the_watchdog_is_fed_before_each_look_which_may_take_long() {
        let mut machine = Machine::new(Some(Slot::B), TRIED);
        machine.until(100);
        for at in machine.times(|action| matches!(action, Action::Look(_))) {
            let then: Vec<_> = machine.done.iter().filter(|(when, _)| *when == at).map(|(_, action)| action).collect();
            assert_eq!(Some(&&Action::Feed), then.first(), "{at} s: {then:?}");
        }
    }

    #[test]
    fn a_slow_start_is_given_time_but_not_for_ever() {
        let mut machine = Machine::new(Some(Slot::B), GOOD);
        machine.page = Page::Silent("connection refused".into());
        machine.until(300);
        assert_eq!(85, machine.last_feed());
        assert_eq!([(90, "the page does not answer: connection refused", true)], machine.given_up()[..]);
    }

    #[test]
    fn the_rescue_page_keeps_the_machine_up_and_confirms_nothing() {
        let mut machine = Machine::new(Some(Slot::B), FALLEN);
        machine.rescue = true;
        for page in [Page::Well, Page::Unwell("rescue".into())] {
            machine.page = page;
            machine.until((machine.now - machine.begun).as_secs() + 300);
        }
        assert!(machine.writes().is_empty() && machine.given_up().is_empty());
        assert!(machine.times(|action| *action == Action::Forgive).is_empty());
        assert_eq!(595, machine.last_feed());
        machine.page = Page::Silent("connection refused".into());
        machine.until(700);
        assert_eq!((1, 1), (machine.marks().len(), machine.given_up().len()));
    }
}
