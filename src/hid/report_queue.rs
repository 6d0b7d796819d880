//! Keeps the reports that the target has still to fetch.
//!
//! Keys are a queue from which nothing is lost silently; pointer positions replace each other, but never a button. What
//! the target does not fetch within [`STALE`] is dropped and all keys are released: a line typed at a machine that was
//! switched off must not run when it comes back. The caller offers what [`ReportQueue::next`] shows, reports the
//! result, and comes back at [`ReportQueue::deadline`].

mod pending;

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

pub use pending::STALE;
use pending::{Move, Pending};

use super::keyboard::{Keyboard, NOBODY, Owner, TYPING, Usage};
use super::pointer::Pointer;
use super::text::Stroke;
use super::typing::{Failure, Requester, Step, TypingQueue};
use crate::base::usb::{Keys, Report};

/// Keyboard reports of one owner that may wait: 32 keys, some nine seconds of typing into the slowest BIOS met. Whoever
/// shares the target waits behind them, with each key.
const MOST_KEYS: usize = 64;

/// Pointer reports of one owner that may wait, of which two come from each button change.
const MOST_MOVES: usize = 64;

/// Times as much for all owners together. No seat has so many people; a client that invents owners must find an end.
const MOST_OWNERS: usize = 64;

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

/// What somebody does with the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Down(Usage),
    Up(Usage),
    Leave,
}

/// Keyboard and pointer of one target, with what waits to be fetched.
#[derive(Debug, Default)]
pub struct ReportQueue {
    keyboard: Keyboard,
    /// What people hold, even if the target has lost or never seen it.
    held: Keyboard,
    keys: Pending<Keys>,
    /// What people did with the keys while a stroke masked their modifiers, for when it is up.
    later: VecDeque<(Owner, Change)>,
    /// Whether people may hold keys that were dropped, to be pressed once the target is known to fetch.
    must_retake: bool,
    pointer: Pointer,
    moves: Pending<Move>,
    typing: TypingQueue,
    dropped: VecDeque<(Owner, Failure)>,
    must_replug: bool,
    caps_lock: bool,
}

impl ReportQueue {
    /// Notes that a key went down or up.
    pub fn key(&mut self, now: Instant, owner: Owner, usage: Usage, down: bool) -> Result<(), Failure> {
        let change = if down { Change::Down(usage) } else { Change::Up(usage) };
        if !change.apply(&mut self.held, owner) {
            return Err(Failure::Flooded);
        }
        self.change(now, owner, change)
    }

    /// Notes that somebody holds a key while the target takes none. It counts if they still do when that changes,
    /// unless it is one too many.
    pub fn hold(&mut self, owner: Owner, usage: Usage) {
        self.held.press(owner, usage);
    }

    /// Notes that the target has taken the keyboard, at its start or again. What is held now counts; nothing of what
    /// was pressed and released before does.
    pub fn retaken(&mut self, now: Instant) {
        self.must_retake = true;
        self.retake(now);
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
    pub fn strokes(&mut self, now: Instant, id: u64, by: Requester, strokes: &[Stroke]) {
        self.typing.strokes(id, by, strokes);
        self.tick(now);
    }

    /// Presses a chord and releases it; the outcome comes by [`ReportQueue::poll`].
    pub fn chord(&mut self, now: Instant, id: u64, by: Requester, usages: &[Usage]) {
        let keys: Vec<_> = usages.iter().map(|usage| Stroke { usage: *usage, modifiers: 0 }).collect();
        self.typing.chord(id, by, &keys);
        self.tick(now);
    }

    /// Notes whether the target shows that Caps Lock is on. Letters of texts come out right all the same.
    pub fn caps_lock(&mut self, is_on: bool) {
        self.caps_lock = is_on;
    }

    /// Ends a text or chord early.
    pub fn cancel(&mut self, now: Instant, id: u64) {
        if self.typing.cancel(id) {
            self.lift(now);
        }
    }

    /// Releases all that `owner` holds and ends what it types, after the reports that are queued already.
    pub fn leave(&mut self, now: Instant, owner: Owner) -> Result<(), Failure> {
        self.held.leave(owner);
        self.pointer.leave(owner);
        if self.typing.leave(owner) {
            self.lift(now);
        }
        self.change(now, owner, Change::Leave).and(self.queue_move(now, owner, 0, 0))
    }

    /// Releases everything at once: queued reports are dropped, and the next report holds nothing.
    pub fn release_all(&mut self, now: Instant) {
        self.held = Keyboard::default();
        self.drop_keys(now, Failure::Cancelled);
        self.drop_moves(now);
    }

    /// Notes that the target takes no reports at all. Nothing queued now may reach it when it comes back, but what is
    /// still held then is [pressed](ReportQueue::retaken).
    pub fn lost(&mut self, now: Instant) {
        self.drop_keys(now, Failure::Unplugged);
        self.drop_moves(now);
    }

    /// Notes that the target has forgotten what it has seen, too: its bus was reset, or the cable pulled.
    pub fn forgotten(&mut self, now: Instant) {
        self.lost(now);
        self.keys.forget();
        self.moves.forget();
    }

    /// Notes that the target took the keyboard again after a reset, or only slept and woke, in which case it still sees
    /// what it saw before. The next report tells it what is held now, even if that is nothing.
    pub fn reset_or_resumed(&mut self, now: Instant) {
        self.lost(now);
        self.keys.doubt();
        self.moves.doubt();
        self.retaken(now);
        if self.keys.is_doubtful() {
            self.ask(now);
        }
        if self.moves.is_doubtful() {
            self.drop_moves(now);
        }
    }

    /// Notes that the bus is suspended, so that nothing is fetched before it wakes. Movement is dropped at once, since
    /// nobody wants it later; keys wait for as long as always.
    pub fn asleep(&mut self, now: Instant) {
        self.drop_moves(now);
        self.ask(now);
    }

    /// Notes that there is no room for the report shown by [`ReportQueue::next`].
    pub fn full(&mut self, now: Instant, interface: Interface) {
        match interface {
            Interface::Keyboard => self.keys.full(now),
            Interface::Pointer => self.moves.full(now),
        }
    }

    /// Notes that a sleeping target was signalled to wake up. A controller takes reports as soon as it signals, whether
    /// anybody answers or not, so nothing counts as fetched before the next is.
    pub fn signalled(&mut self) {
        self.keys.unfetched();
    }

    /// Takes whether a key lies at the controller that the target must not fetch any more.
    pub fn must_replug(&mut self) -> bool {
        std::mem::take(&mut self.must_replug)
    }

    /// Notes that the report shown by [`ReportQueue::next`] was taken.
    pub fn taken(&mut self, now: Instant, interface: Interface) {
        match interface {
            Interface::Keyboard => {
                self.keys.taken(now);
                self.retake(now);
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
            self.must_replug = self.keys.abandon();
            self.drop_keys(now, Failure::Stale);
            if self.held.owners().next().is_some() {
                self.ask(now);
            }
        }
        // Not reported as dropped: a BIOS never fetches these, so its user would get a notice again and again.
        if self.moves.stale().is_some_and(|end| end <= now) {
            // A click may lie at the controller, but only the keyboard is worth pulling the cable: a BIOS that takes no
            // pointer would lose its keyboard by it.
            self.moves.abandon();
            self.drop_moves(now);
        }
        if self.typing_may_go_on()
            && let Some(step) = self.typing.step(now)
        {
            match step {
                Step::Type(stroke) => self.strike(now, stroke.under_caps_lock(self.caps_lock)),
                Step::Down(stroke) => self.strike(now, stroke),
                Step::Up => self.keyboard.leave(TYPING),
                Step::Repeat => self.keyboard.mask(false),
            }
            // Even if nothing changed, since the typing queue waits for a report to be taken.
            self.keys.push(now, TYPING, self.keyboard.report());
            self.catch_up(now);
        }
    }

    /// The report to offer next.
    pub fn next(&self, interface: Interface) -> Option<Report> {
        match interface {
            Interface::Keyboard => self.keys.front().map(Report::Keys),
            Interface::Pointer => self.moves.front().map(|next| Report::Point(next.report())),
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

    /// Does it to the keyboard, or keeps it until what is typed is up: with somebody's modifiers masked, their Ctrl-C
    /// would arrive as a plain C, and under the Shift of a capital their plain C as another. What else they do then
    /// waits as well, to stay in its order.
    fn change(&mut self, now: Instant, owner: Owner, change: Change) -> Result<(), Failure> {
        let has_waiting = self.later.iter().any(|(of, _)| *of == owner);
        let is_altered = matches!(change, Change::Down(usage) if self.keyboard.would_alter(owner, usage));
        if self.keyboard.is_typed() && (has_waiting || is_altered) {
            self.check_room(now, owner)?;
            self.later.push_back((owner, change));
            return Ok(());
        }
        if is_altered {
            self.unmask(now);
        }
        change.apply(&mut self.keyboard, owner);
        self.queue_keys(now, owner)
    }

    /// Puts down what is typed. People's modifiers come up first, and a key that somebody holds.
    fn strike(&mut self, now: Instant, stroke: Stroke) {
        self.keyboard.mask(true);
        self.keyboard.cover(stroke.usage);
        // There is room for this, too: a text waits for each of its reports to be taken.
        if self.keyboard.report() != *self.keys.newest() {
            self.keys.push(now, TYPING, self.keyboard.report());
        }
        for usage in stroke.usages() {
            self.keyboard.press(TYPING, usage);
        }
    }

    /// Releases what is typed, whose job has ended.
    fn lift(&mut self, now: Instant) {
        self.keyboard.leave(TYPING);
        self.unmask(now);
        self.catch_up(now);
    }

    /// Has people's modifiers go down again, before the key that they are for. That needs no room of theirs: only a
    /// stroke, which waits to be fetched, masks them again.
    fn unmask(&mut self, now: Instant) {
        self.keyboard.mask(false);
        let report = self.keyboard.report();
        if report != *self.keys.newest() {
            self.keys.push(now, NOBODY, report);
        }
    }

    /// Does what waited for what is typed to be up.
    fn catch_up(&mut self, now: Instant) {
        if self.keyboard.is_typed() {
            return;
        }
        while let Some((owner, change)) = self.later.pop_front() {
            // There was room for it, unless all owners together have too much: then everybody has been told.
            let _ = self.change(now, owner, change);
        }
        self.retake(now);
    }

    fn queue_keys(&mut self, now: Instant, owner: Owner) -> Result<(), Failure> {
        let report = self.keyboard.report();
        if report == *self.keys.newest() {
            return Ok(());
        }
        self.check_room(now, owner)?;
        self.keys.push(now, owner, report);
        Ok(())
    }

    /// Whether one more report of this owner may wait. If not, theirs are dropped.
    fn check_room(&mut self, now: Instant, owner: Owner) -> Result<(), Failure> {
        if MOST_OWNERS * MOST_KEYS <= self.keys.queue.len() + self.later.len() {
            self.held = Keyboard::default();
            self.drop_keys(now, Failure::Flooded);
            return Err(Failure::Flooded);
        }
        let waiting = self.later.iter().filter(|(of, _)| *of == owner).count();
        if MOST_KEYS <= self.keys.of(owner) + waiting {
            self.later.retain(|(of, _)| *of != owner);
            self.keyboard.leave(owner);
            self.held.leave(owner);
            self.keys.drop_of(now, owner, self.keyboard.report());
            return Err(Failure::Flooded);
        }
        Ok(())
    }

    /// Has a report wait that changes nothing, if none does: only the next that is taken shows that the target fetches.
    fn ask(&mut self, now: Instant) {
        if self.keys.queue.is_empty() && *self.keys.newest() == Keys::default() {
            self.keys.push(now, NOBODY, Keys::default());
        }
    }

    /// Presses what people still hold of what was dropped; not into a stroke, which would mask its modifiers.
    fn retake(&mut self, now: Instant) {
        if !self.must_retake || self.keyboard.is_typed() {
            return;
        }
        self.must_retake = false;
        self.keyboard.take_over(&self.held);
        self.unmask(now);
    }

    fn queue_move(&mut self, now: Instant, owner: Owner, dx: i8, dy: i8) -> Result<(), Failure> {
        let newest = self.moves.newest();
        let point = self.pointer.report();
        let turned = Move { point, dx: dx.into(), dy: dy.into(), pinned: newest.point.buttons != point.buttons };
        if point == newest.point && (dx, dy) == (0, 0) {
            return Ok(());
        }
        // A button must change where it was pressed, so a later movement may not alter the report that changes it.
        if !turned.pinned
            && let Some((_, waiting)) = self.moves.queue.back_mut()
            && (!waiting.pinned || waiting.point == point)
        {
            waiting.point = point;
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
            self.moves.drop_of(now, owner, Move::released(self.pointer.report()));
            return Err(Failure::Flooded);
        }
        self.moves.push(now, owner, turned);
        Ok(())
    }

    fn drop_keys(&mut self, now: Instant, failure: Failure) {
        let later = std::mem::take(&mut self.later);
        if self.keys.acts() || !later.is_empty() {
            // Those whose reports wait, and those who hold a key that the target has seen: it goes up, too.
            let waiting = self.keys.shares.keys().copied().chain(later.iter().map(|(owner, _)| *owner));
            let owners: HashSet<Owner> = waiting.chain(self.keyboard.owners()).collect();
            self.dropped.extend(owners.into_iter().filter(|owner| !owner.is_reserved()).map(|owner| (owner, failure)));
        }
        self.must_retake = true;
        self.typing.fail(failure);
        self.keyboard = Keyboard::default();
        self.keys.replace(now, self.keyboard.report());
    }

    fn drop_moves(&mut self, now: Instant) {
        self.pointer.release_all();
        self.moves.replace(now, Move::released(self.pointer.report()));
    }
}

impl Change {
    /// False if it was one key too many.
    fn apply(self, keyboard: &mut Keyboard, owner: Owner) -> bool {
        match self {
            Change::Down(usage) => return keyboard.press(owner, usage),
            Change::Up(usage) => keyboard.release(owner, usage),
            Change::Leave => keyboard.leave(owner),
        }
        true
    }
}

#[cfg(test)]
mod tests;
