//! Plays machines to the guard, and checks what it does with each.

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
                let memory = || self.readable.then(|| Environment::parse(&self.memory)).ok_or("no such file".into());
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
