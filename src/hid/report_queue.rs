//! Keeps the reports that the target has still to fetch.
//!
//! Keys are a queue from which nothing is lost silently; pointer positions replace each other, but never a button. What
//! the target does not fetch within [`STALE`] is dropped and all keys are released: a line typed at a machine that was
//! switched off must not run when it comes back. The caller offers what [`ReportQueue::next`] shows, reports the
//! result, and comes back at [`ReportQueue::deadline`].

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::keyboard::{Keyboard, Owner, Usage};
use super::pointer::Pointer;
use super::text::Stroke;
use super::typing::{Failure, Step, TypingQueue};
use crate::base::usb::Report;

/// How long a report may wait without the target fetching any. The slowest BIOS seen takes a key in 150 ms; two seconds
/// outlast its pauses, and are short enough for a person to remember what they typed.
pub const STALE: Duration = Duration::from_secs(2);

/// Keyboard reports of one owner that may wait: 32 keys, some nine seconds of typing into the slowest BIOS met. Whoever
/// shares the target waits behind them, with each key.
const MOST_KEYS: usize = 64;

/// Pointer reports of one owner that may wait, of which two come from each button change.
const MOST_MOVES: usize = 64;

/// Times as much for all owners together. No seat has so many people; a client that invents owners must find an end.
const MOST_OWNERS: usize = 64;

/// Who holds the keys of texts and chords. No client may use this number, or typing would release its keys.
pub const TYPING: Owner = Owner(u64::MAX);

/// The target fetches keys and pointer independently; a BIOS fetches keys only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants name the interfaces")]
pub enum Interface {
    Keyboard,
    Pointer,
}

impl Interface {
    /// Both, keys first because they matter more.
    pub const ALL: [Interface; 2] = [Interface::Keyboard, Interface::Pointer];
}

/// Keyboard and pointer of one target, with what waits to be fetched.
#[derive(Debug, Default)]
pub struct ReportQueue {
    keyboard: Keyboard,
    keys: Pending<[u8; 8]>,
    pointer: Pointer,
    moves: Pending<Move>,
    typing: TypingQueue,
    dropped: VecDeque<(Owner, Failure)>,
}

impl ReportQueue {
    /// Notes that a key went down or up.
    pub fn key(&mut self, now: Instant, owner: Owner, usage: Usage, down: bool) -> Result<(), Failure> {
        if down {
            self.keyboard.press(owner, usage);
        } else {
            self.keyboard.release(owner, usage);
        }
        self.queue_keys(now, owner)
    }

    /// Notes that the pointer moved, or that its buttons changed.
    pub fn point(&mut self, now: Instant, owner: Owner, x: u16, y: u16, buttons: u8) -> Result<(), Failure> {
        self.pointer.point(owner, x, y, buttons);
        self.queue_move(now, owner, 0, 0)
    }

    /// Queues a turn of the wheel.
    pub fn wheel(&mut self, now: Instant, owner: Owner, dx: i8, dy: i8) -> Result<(), Failure> {
        self.queue_move(now, owner, dx, dy)
    }

    /// Types strokes one after another; the outcome comes by [`ReportQueue::poll`].
    pub fn strokes(&mut self, now: Instant, id: u64, owner: Owner, strokes: &[Stroke]) {
        self.typing.strokes(id, owner, strokes);
        self.tick(now);
    }

    /// Presses a chord and releases it; the outcome comes by [`ReportQueue::poll`].
    pub fn chord(&mut self, now: Instant, id: u64, owner: Owner, usages: &[Usage]) {
        let keys: Vec<_> = usages.iter().map(|usage| Stroke { usage: *usage, modifiers: 0 }).collect();
        self.typing.chord(id, owner, &keys);
        self.tick(now);
    }

    /// Ends a text or chord early.
    pub fn cancel(&mut self, now: Instant, id: u64) {
        if self.typing.cancel(id) {
            self.keyboard.leave(TYPING);
        }
        // Within the share of what is typed, which never has more than one report.
        let _ = self.queue_keys(now, TYPING);
    }

    /// Releases all that `owner` holds and ends what it types, after the reports that are queued already.
    pub fn leave(&mut self, now: Instant, owner: Owner) -> Result<(), Failure> {
        self.keyboard.leave(owner);
        self.pointer.leave(owner);
        if self.typing.leave(owner) {
            self.keyboard.leave(TYPING);
        }
        self.queue_keys(now, owner).and(self.queue_move(now, owner, 0, 0))
    }

    /// Releases everything at once: queued reports are dropped, and the next report holds nothing.
    pub fn release_all(&mut self, now: Instant) {
        self.drop_keys(now, Failure::Cancelled);
        self.drop_moves(now);
    }

    /// Notes that the target takes no reports at all. Nothing queued now may reach it when it comes back.
    pub fn lost(&mut self, now: Instant) {
        self.drop_keys(now, Failure::Unplugged);
        self.drop_moves(now);
    }

    /// Notes that the report shown by [`ReportQueue::next`] was taken.
    pub fn taken(&mut self, now: Instant, interface: Interface) {
        match interface {
            Interface::Keyboard => {
                self.keys.taken(now);
                if self.typing_may_go_on() {
                    self.typing.taken(now);
                }
            }
            Interface::Pointer => self.moves.taken(now),
        }
        self.tick(now);
    }

    /// Tells the queue what time it is.
    pub fn tick(&mut self, now: Instant) {
        if self.keys.stale().is_some_and(|end| end <= now) {
            self.drop_keys(now, Failure::Stale);
        }
        // Not reported as dropped: a BIOS never fetches these, so its user would get a notice again and again.
        if self.moves.stale().is_some_and(|end| end <= now) {
            self.drop_moves(now);
        }
        if self.typing_may_go_on()
            && let Some(step) = self.typing.step(now)
        {
            match step {
                Step::Down(stroke) => stroke.usages().for_each(|usage| self.keyboard.press(TYPING, usage)),
                Step::Up => self.keyboard.leave(TYPING),
                Step::Repeat => (),
            }
            // Even if nothing changed, since the typing queue waits for a report to be taken.
            self.keys.push(now, TYPING, self.keyboard.report());
        }
    }

    /// The report to offer next.
    pub fn next(&self, interface: Interface) -> Option<Report> {
        match interface {
            Interface::Keyboard => self.keys.front().map(Report::Keyboard),
            Interface::Pointer => self.moves.front().map(|next| Report::Pointer(next.report())),
        }
    }

    /// Takes the outcome of a text or chord that has ended.
    pub fn poll(&mut self) -> Option<(u64, Result<(), Failure>)> {
        self.typing.poll()
    }

    /// Takes whose keys were dropped after they had been accepted, and why. Who pressed them cannot know otherwise.
    pub fn dropped(&mut self) -> Option<(Owner, Failure)> {
        self.dropped.pop_front()
    }

    /// When [`ReportQueue::tick`] next has work to do.
    pub fn deadline(&self) -> Option<Instant> {
        let typing = if self.typing_may_go_on() { self.typing.deadline() } else { None };
        [self.keys.stale(), self.moves.stale(), typing].into_iter().flatten().min()
    }

    /// Whether the target has fetched all that was typed so far. What others press is no reason to wait: while they
    /// flood, the queue is never empty.
    fn typing_may_go_on(&self) -> bool {
        self.keys.of(TYPING) == 0
    }

    fn queue_keys(&mut self, now: Instant, owner: Owner) -> Result<(), Failure> {
        let report = self.keyboard.report();
        if report == *self.keys.newest() {
            return Ok(());
        }
        if MOST_OWNERS * MOST_KEYS <= self.keys.queue.len() {
            self.drop_keys(now, Failure::Flooded);
            return Err(Failure::Flooded);
        }
        if MOST_KEYS <= self.keys.of(owner) {
            self.keyboard.leave(owner);
            self.keys.drop_of(now, owner, self.keyboard.report());
            return Err(Failure::Flooded);
        }
        self.keys.push(now, owner, report);
        Ok(())
    }

    fn queue_move(&mut self, now: Instant, owner: Owner, dx: i8, dy: i8) -> Result<(), Failure> {
        let newest = self.moves.newest();
        let report = self.pointer.report(0, 0);
        let turned = Move { report, dx: dx.into(), dy: dy.into(), pinned: newest.report[0] != report[0] };
        if report == newest.report && (dx, dy) == (0, 0) {
            return Ok(());
        }
        // A button must change where it was pressed, so a later movement may not alter the report that changes it.
        if !turned.pinned
            && let Some((_, waiting)) = self.moves.queue.back_mut()
            && (!waiting.pinned || waiting.report == report)
        {
            waiting.report = report;
            waiting.dx = waiting.dx.saturating_add(turned.dx);
            waiting.dy = waiting.dy.saturating_add(turned.dy);
            self.moves.review(now);
            return Ok(());
        }
        if MOST_OWNERS * MOST_MOVES <= self.moves.queue.len() {
            self.drop_moves(now);
            return Err(Failure::Flooded);
        }
        if MOST_MOVES <= self.moves.of(owner) {
            self.pointer.leave(owner);
            self.moves.drop_of(now, owner, Move::released(self.pointer.report(0, 0)));
            return Err(Failure::Flooded);
        }
        self.moves.push(now, owner, turned);
        Ok(())
    }

    fn drop_keys(&mut self, now: Instant, failure: Failure) {
        if self.keys.acts() {
            // Those whose reports wait, and those who hold a key that the target has seen: it goes up, too.
            let owners: HashSet<Owner> = self.keys.shares.keys().copied().chain(self.keyboard.owners()).collect();
            self.dropped.extend(owners.into_iter().filter(|owner| *owner != TYPING).map(|owner| (owner, failure)));
        }
        self.typing.fail(failure);
        self.keyboard = Keyboard::default();
        self.keys.replace(now, self.keyboard.report());
    }

    fn drop_moves(&mut self, now: Instant) {
        self.pointer.release_all();
        self.moves.replace(now, Move::released(self.pointer.report(0, 0)));
    }
}

/// One pointer report, still growing while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Move {
    report: [u8; 7],
    // Wider than the report's byte: what does not fit goes with the next report.
    dx: i16,
    dy: i16,
    pinned: bool,
}

impl Move {
    /// What is left when moves are dropped. It releases buttons, and may not be moved by what comes after.
    fn released(report: [u8; 7]) -> Move {
        Move { report, dx: 0, dy: 0, pinned: true }
    }

    fn turn(&self) -> (i8, i8) {
        // The descriptor's range ends at -127.
        let fit = |turn: i16| i8::try_from(turn.clamp(-127, 127)).expect("it has just been brought into range");
        (fit(self.dx), fit(self.dy))
    }

    fn report(&self) -> [u8; 7] {
        let (dx, dy) = self.turn();
        let [buttons, x0, x1, y0, y1, ..] = self.report;
        [buttons, x0, x1, y0, y1, dy.cast_unsigned(), dx.cast_unsigned()]
    }
}

/// A report that can do harm when the target fetches it late.
trait PendingReport: Copy + Default {
    /// Whether it holds a key or a button, or turns the wheel.
    fn acts(&self) -> bool;

    /// The remainder that is still to be sent once this has been taken.
    fn rest(&self) -> Option<Self>;
}

impl PendingReport for [u8; 8] {
    fn acts(&self) -> bool {
        *self != [0; 8]
    }

    fn rest(&self) -> Option<[u8; 8]> {
        None
    }
}

impl PendingReport for Move {
    fn acts(&self) -> bool {
        self.report[0] != 0 || (self.dx, self.dy) != (0, 0)
    }

    fn rest(&self) -> Option<Move> {
        let (dx, dy) = self.turn();
        let rest = Move { dx: self.dx - i16::from(dx), dy: self.dy - i16::from(dy), ..*self };
        ((rest.dx, rest.dy) != (0, 0)).then_some(rest)
    }
}

/// The reports of one interface with those who caused them, and since when the target has fetched none.
#[derive(Debug, Default)]
struct Pending<R> {
    queue: VecDeque<(Owner, R)>,
    /// How many of them each owner caused, because counting them for each key would take a flood's whole time.
    shares: HashMap<Owner, usize>,
    sent: R,
    since: Option<Instant>,
}

impl<R: PendingReport> Pending<R> {
    fn front(&self) -> Option<R> {
        self.queue.front().map(|(_, report)| *report)
    }

    /// What the target will have seen last.
    fn newest(&self) -> &R {
        self.queue.back().map_or(&self.sent, |(_, report)| report)
    }

    /// How many this owner caused.
    fn of(&self, owner: Owner) -> usize {
        self.shares.get(&owner).copied().unwrap_or_default()
    }

    fn push(&mut self, now: Instant, owner: Owner, report: R) {
        self.queue.push_back((owner, report));
        *self.shares.entry(owner).or_default() += 1;
        self.review(now);
    }

    fn taken(&mut self, now: Instant) {
        if let Some((owner, taken)) = self.queue.pop_front() {
            self.sent = taken;
            if let Some(rest) = taken.rest() {
                self.queue.push_front((owner, rest));
            } else if let Entry::Occupied(mut share) = self.shares.entry(owner) {
                *share.get_mut() -= 1;
                if *share.get() == 0 {
                    share.remove();
                }
            }
        }
        self.since = None;
        self.review(now);
    }

    /// Drops what waits of one owner; `left` is what is down without them. What others did stays, in its order.
    fn drop_of(&mut self, now: Instant, owner: Owner, left: R) {
        self.queue.retain(|(of, _)| *of != owner);
        self.shares.remove(&owner);
        self.push(now, owner, left);
    }

    /// Drops what waits. The target learns that all is released if what it has seen holds anything.
    fn replace(&mut self, now: Instant, released: R) {
        self.queue.clear();
        self.shares.clear();
        self.since = None;
        if self.sent.acts() {
            // Caused by nobody, and so in nobody's share.
            self.push(now, TYPING, released);
        }
        self.review(now);
    }

    /// Starts the clock with the first report that acts. Releases may wait for ever: a late one is as correct as an
    /// early one.
    fn review(&mut self, now: Instant) {
        self.since = if self.acts() { self.since.or(Some(now)) } else { None };
    }

    fn acts(&self) -> bool {
        self.queue.iter().any(|(_, report)| report.acts())
    }

    fn stale(&self) -> Option<Instant> {
        self.since.map(|since| since + STALE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: Owner = Owner(1);
    const BERT: Owner = Owner(2);
    const A: Usage = Usage(0x04);
    const B: Usage = Usage(0x05);
    const MS: Duration = Duration::from_millis(1);

    /// A target that fetches when a test says so, with a clock of its own.
    struct Bench {
        now: Instant,
        reports: ReportQueue,
    }

    impl Bench {
        fn new() -> Bench {
            Bench { now: Instant::now(), reports: ReportQueue::default() }
        }

        fn fetch(&mut self, interface: Interface) -> Option<Report> {
            let report = self.reports.next(interface)?;
            self.reports.taken(self.now, interface);
            Some(report)
        }

        /// The first key and the modifiers of every report that waits.
        fn fetch_keys(&mut self) -> Vec<(u8, u8)> {
            std::iter::from_fn(|| self.fetch(Interface::Keyboard))
                .map(|report| match report {
                    Report::Keyboard(report) => (report[0], report[2]),
                    Report::Pointer(_) => unreachable!("the interfaces are apart"),
                })
                .collect()
        }

        fn fetch_moves(&mut self) -> Vec<[u8; 7]> {
            std::iter::from_fn(|| self.fetch(Interface::Pointer))
                .map(|report| match report {
                    Report::Pointer(report) => report,
                    Report::Keyboard(_) => unreachable!("the interfaces are apart"),
                })
                .collect()
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
            self.reports.tick(self.now);
        }

        /// Fetches everything, sleeping from deadline to deadline, until nothing is left to do.
        fn fetch_all_keys(&mut self) -> Vec<(u8, u8)> {
            let mut keys = self.fetch_keys();
            while let Some(deadline) = self.reports.deadline() {
                self.now = deadline;
                self.reports.tick(self.now);
                keys.extend(self.fetch_keys());
            }
            keys
        }

        fn keys_waiting(&self) -> usize {
            self.reports.keys.queue.len()
        }

        fn key(&mut self, owner: Owner, usage: Usage, down: bool) {
            self.reports.key(self.now, owner, usage, down).unwrap();
        }

        fn point(&mut self, x: u16, buttons: u8) {
            self.reports.point(self.now, ANNA, x, 0, buttons).unwrap();
        }
    }

    #[test]
    fn keys_come_out_in_order_and_each_once() {
        let mut bench = Bench::new();
        for usage in [A, B] {
            bench.key(ANNA, usage, true);
            bench.key(ANNA, usage, false);
        }
        assert_eq!([(0, 4), (0, 0), (0, 5), (0, 0)].as_slice(), bench.fetch_keys());
    }

    #[test]
    fn what_changes_nothing_is_not_sent() {
        let mut bench = Bench::new();
        bench.key(ANNA, A, false);
        bench.point(0, 0);
        assert_eq!((None, None), (bench.reports.next(Interface::Keyboard), bench.reports.next(Interface::Pointer)));
        bench.key(ANNA, A, true);
        bench.key(BERT, A, true);
        bench.key(ANNA, A, false);
        assert_eq!([(0, 4)].as_slice(), bench.fetch_keys());
    }

    #[test]
    fn stale_keys_are_dropped_and_not_replayed() {
        let mut bench = Bench::new();
        bench.key(ANNA, A, true);
        bench.fetch_keys();
        bench.key(ANNA, B, true);
        bench.wait(STALE - MS);
        assert_eq!(Some(Report::Keyboard([0, 0, 4, 5, 0, 0, 0, 0])), bench.reports.next(Interface::Keyboard));
        bench.wait(MS);
        assert_eq!([(0, 0)].as_slice(), bench.fetch_keys(), "only the release may come late");
        assert_eq!(None, bench.reports.deadline());
    }

    #[test]
    fn a_target_that_fetches_slowly_loses_nothing() {
        let mut bench = Bench::new();
        for _ in 0..30 {
            bench.key(ANNA, A, true);
            bench.key(ANNA, A, false);
        }
        let mut fetched = 0;
        while bench.fetch(Interface::Keyboard).is_some() {
            fetched += 1;
            bench.wait(150 * MS);
        }
        assert_eq!(60, fetched);
    }

    #[test]
    fn an_unplugged_cable_drops_everything() {
        let mut bench = Bench::new();
        bench.key(ANNA, A, true);
        bench.point(5, 1);
        bench.reports.lost(bench.now);
        assert_eq!((None, None), (bench.reports.next(Interface::Keyboard), bench.reports.next(Interface::Pointer)));
        bench.key(ANNA, A, false);
        assert!(bench.fetch_keys().is_empty());
    }

    #[test]
    fn a_flood_of_keys_drops_its_owners_and_lets_go() {
        let mut bench = Bench::new();
        bench.key(ANNA, A, true);
        bench.fetch_keys();
        let refused = (0..MOST_KEYS + 2).find_map(|at| bench.reports.key(bench.now, ANNA, B, at % 2 == 0).err());
        assert_eq!(Some(Failure::Flooded), refused);
        assert_eq!([(0, 0)].as_slice(), bench.fetch_keys());
    }

    #[test]
    fn a_flood_of_keys_costs_nobody_else_theirs() {
        let mut bench = Bench::new();
        bench.key(BERT, Usage(0xE1), true);
        bench.reports.strokes(bench.now, 1, BERT, &[Stroke { usage: B, modifiers: 0 }]);
        bench.fetch_keys();
        (0..10 * MOST_KEYS).for_each(|at| _ = bench.reports.key(bench.now, ANNA, A, at % 2 == 0));
        bench.key(BERT, B, true);
        assert!(bench.keys_waiting() <= MOST_KEYS + 1);
        assert_eq!(Some((2, 5)), bench.fetch_all_keys().into_iter().find(|(_, key)| *key == 5));
        assert_eq!(Some(Ok(())), bench.reports.poll().map(|(_, outcome)| outcome));
        assert_eq!(None, bench.reports.dropped(), "who floods has been refused at once");
    }

    #[test]
    fn a_text_is_typed_between_the_keys_of_a_flood() {
        // So many keys come while the target fetches one.
        for rate in [2, 3, 8, MOST_KEYS] {
            let (mut bench, mut count) = (Bench::new(), 0);
            let mut flood = |bench: &mut Bench, keys| {
                for _ in 0..keys {
                    count += 1;
                    let _ = bench.reports.key(bench.now, ANNA, A, count % 2 == 1);
                }
            };
            flood(&mut bench, MOST_KEYS);
            bench.reports.strokes(bench.now, 1, BERT, &[Stroke { usage: B, modifiers: 0 }; 3]);
            let begun = bench.now;
            while bench.reports.poll() != Some((1, Ok(()))) {
                assert!(bench.now - begun < STALE, "at {rate} keys a report it waits behind somebody else's");
                assert!(bench.fetch(Interface::Keyboard).is_some());
                bench.wait(8 * MS);
                flood(&mut bench, rate);
            }
        }
    }

    #[test]
    fn a_flood_of_clicks_costs_nobody_else_their_drag() {
        let mut bench = Bench::new();
        bench.reports.point(bench.now, BERT, 1, 1, 2).unwrap();
        bench.fetch_moves();
        let flood = (0..10 * MOST_MOVES).map(|at| bench.reports.point(bench.now, ANNA, 9, 9, u8::from(at % 2 == 0)));
        assert!(flood.collect::<Vec<_>>().contains(&Err(Failure::Flooded)));
        assert!(bench.fetch_moves().iter().all(|report| report[0] & 2 != 0));
    }

    #[test]
    fn owners_that_are_made_up_do_not_fill_the_memory() {
        let mut bench = Bench::new();
        let refused = (0..2 * MOST_OWNERS * MOST_KEYS)
            .filter(|at| bench.reports.key(bench.now, Owner(*at as u64 / 2), A, at % 2 == 0).is_err());
        assert!(0 < refused.count());
        assert!(bench.keys_waiting() <= MOST_OWNERS * MOST_KEYS);
    }

    #[test]
    fn only_those_whose_keys_go_stale_are_told() {
        let mut bench = Bench::new();
        bench.reports.point(bench.now, BERT, 1, 1, 0).unwrap();
        bench.key(ANNA, A, true);
        bench.wait(STALE);
        assert_eq!((Some((ANNA, Failure::Stale)), None), (bench.reports.dropped(), bench.reports.dropped()));
    }

    #[test]
    fn positions_replace_each_other() {
        let mut bench = Bench::new();
        (1..=1000).for_each(|x| bench.point(x, 0));
        assert_eq!([[0, 0xE8, 3, 0, 0, 0, 0]].as_slice(), bench.fetch_moves());
    }

    #[test]
    fn a_button_changes_where_it_was_pressed() {
        let mut bench = Bench::new();
        bench.point(1, 0);
        bench.point(2, 1);
        bench.point(3, 1);
        bench.point(4, 1);
        bench.point(5, 0);
        bench.point(6, 0);
        let moves: Vec<_> = bench.fetch_moves().iter().map(|report| (report[0], report[1])).collect();
        assert_eq!([(0, 1), (1, 2), (1, 4), (0, 5), (0, 6)].as_slice(), moves);
    }

    #[test]
    fn a_double_click_is_not_swallowed() {
        let mut bench = Bench::new();
        (0..4).for_each(|at| bench.point(9, u8::from(at % 2 == 0)));
        let buttons: Vec<_> = bench.fetch_moves().iter().map(|report| report[0]).collect();
        assert_eq!([1, 0, 1, 0].as_slice(), buttons);
    }

    #[test]
    fn the_wheel_sums_and_what_does_not_fit_goes_next() {
        let mut bench = Bench::new();
        (0..3).for_each(|_| bench.reports.wheel(bench.now, ANNA, -1, 100).unwrap());
        let turns: Vec<_> = bench.fetch_moves().iter().map(|report| (report[5], report[6])).collect();
        assert_eq!([(127, 0xFD), (127, 0), (46, 0)].as_slice(), turns);
        assert!(bench.fetch_moves().is_empty(), "the wheel must not go on turning");
    }

    #[test]
    fn a_pointer_that_nobody_fetches_does_not_hold_up_the_keys() {
        let mut bench = Bench::new();
        bench.point(7, 1);
        bench.key(ANNA, A, true);
        bench.fetch_keys();
        bench.wait(STALE);
        assert_eq!(None, bench.reports.next(Interface::Pointer));
        bench.key(ANNA, A, false);
        assert_eq!([(0, 0)].as_slice(), bench.fetch_keys());
    }

    #[test]
    fn who_leaves_takes_keys_and_buttons_along() {
        let mut bench = Bench::new();
        bench.key(ANNA, A, true);
        bench.key(BERT, B, true);
        bench.point(3, 1);
        bench.fetch_moves();
        bench.reports.leave(bench.now, ANNA).unwrap();
        assert_eq!(Some(&(0, 5)), bench.fetch_keys().last());
        assert_eq!([[0, 3, 0, 0, 0, 0, 0]].as_slice(), bench.fetch_moves());
    }

    #[test]
    fn letting_go_overtakes_what_waits() {
        let mut bench = Bench::new();
        bench.key(ANNA, A, true);
        bench.fetch_keys();
        bench.key(ANNA, B, true);
        bench.reports.strokes(bench.now, 1, ANNA, &[Stroke { usage: A, modifiers: 0 }]);
        bench.reports.release_all(bench.now);
        assert_eq!([(0, 0)].as_slice(), bench.fetch_keys());
        assert_eq!(Some((1, Err(Failure::Cancelled))), bench.reports.poll());
    }

    #[test]
    fn text_is_typed_key_by_key() {
        let mut bench = Bench::new();
        let start = bench.now;
        bench.reports.strokes(start, 7, ANNA, &crate::hid::text::strokes("aA").unwrap());
        assert_eq!([(0, 4), (0, 0), (2, 4), (0, 0), (0, 0)].as_slice(), bench.fetch_all_keys());
        assert_eq!(Some((7, Ok(()))), bench.reports.poll());
        assert_eq!(40 * MS, bench.now - start, "four changes, each with its hold");
    }

    #[test]
    fn a_text_is_done_only_when_its_last_release_was_fetched() {
        let mut bench = Bench::new();
        bench.reports.strokes(bench.now, 7, ANNA, &[Stroke { usage: A, modifiers: 0 }]);
        for _ in 0..2 {
            assert!(bench.fetch(Interface::Keyboard).is_some());
            bench.wait(10 * MS);
        }
        assert_eq!(None, bench.reports.poll(), "the release is with the controller, but may not have been fetched");
        assert!(bench.fetch(Interface::Keyboard).is_some());
        assert_eq!(Some((7, Ok(()))), bench.reports.poll());
    }

    #[test]
    fn a_chord_goes_down_in_order_and_up_at_once() {
        let mut bench = Bench::new();
        bench.reports.chord(bench.now, 1, ANNA, &[Usage(0xE0), Usage(0xE2), Usage(0x4C)]);
        assert_eq!([(1, 0), (5, 0), (5, 0x4C), (0, 0), (0, 0)].as_slice(), bench.fetch_all_keys());
    }

    #[test]
    fn typing_leaves_a_held_key_down() {
        let mut bench = Bench::new();
        bench.key(ANNA, Usage(0xE1), true);
        bench.reports.strokes(bench.now, 1, ANNA, &[Stroke { usage: A, modifiers: 2 }]);
        assert_eq!([(2, 0), (2, 4), (2, 0), (2, 0)].as_slice(), bench.fetch_all_keys());
    }

    #[test]
    fn a_text_nobody_fetches_fails_and_leaves_nothing() {
        let mut bench = Bench::new();
        bench.reports.strokes(bench.now, 1, ANNA, &[Stroke { usage: A, modifiers: 0 }; 5]);
        bench.wait(STALE);
        assert_eq!(Some((1, Err(Failure::Stale))), bench.reports.poll());
        assert_eq!(None, bench.reports.next(Interface::Keyboard));
    }

    #[test]
    fn keys_that_are_dropped_are_told_once() {
        let mut bench = Bench::new();
        bench.key(ANNA, A, true);
        bench.wait(STALE - MS);
        assert_eq!(None, bench.reports.dropped());
        bench.wait(MS);
        assert_eq!((Some((ANNA, Failure::Stale)), None), (bench.reports.dropped(), bench.reports.dropped()));
        bench.key(ANNA, B, true);
        bench.reports.lost(bench.now);
        assert_eq!(Some((ANNA, Failure::Unplugged)), bench.reports.dropped());
        bench.reports.lost(bench.now);
        bench.point(1, 1);
        bench.wait(STALE);
        assert_eq!(None, bench.reports.dropped(), "no key was waiting");
    }

    #[test]
    fn a_cancelled_text_lets_go_and_the_next_one_is_typed() {
        let mut bench = Bench::new();
        bench.reports.strokes(bench.now, 1, ANNA, &[Stroke { usage: A, modifiers: 0 }; 5]);
        bench.reports.strokes(bench.now, 2, BERT, &[Stroke { usage: B, modifiers: 0 }]);
        assert!(bench.fetch(Interface::Keyboard).is_some());
        bench.reports.cancel(bench.now, 1);
        assert_eq!(Some((1, Err(Failure::Cancelled))), bench.reports.poll());
        assert_eq!([(0, 0), (0, 5), (0, 0), (0, 0)].as_slice(), bench.fetch_all_keys());
        assert_eq!(Some((2, Ok(()))), bench.reports.poll());
    }

    #[test]
    fn a_line_of_jobs_has_an_end() {
        let mut bench = Bench::new();
        (0..20).for_each(|id| bench.reports.strokes(bench.now, id, ANNA, &[Stroke { usage: A, modifiers: 0 }]));
        assert_eq!(Some((8, Err(Failure::TooMany))), bench.reports.poll());
    }
}
