//! Keeps the reports that the target has still to fetch.
//!
//! Keys are a queue from which nothing is lost silently; pointer positions replace each other, but never a button. What
//! the target does not fetch within [`STALE`] is dropped and everything is let go: a line typed at a machine that was
//! switched off must not run when it comes back. The caller offers what [`Outbox::next`] shows, says what became of it,
//! and comes back at [`Outbox::deadline`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::keyboard::{Keyboard, Owner, Usage};
use super::pointer::Pointer;
use super::text::Stroke;
use super::typist::{Failure, Step, Typist};
use crate::ports::Report;

/// How long a report may wait without the target fetching any. The slowest BIOS met takes a key in 150 ms; two seconds
/// outlast its pauses, and are short enough for a person to remember what they typed.
pub const STALE: Duration = Duration::from_secs(2);

/// Keyboard reports that may wait: 256 keys, more than half a minute of typing into the slowest BIOS met.
const MOST_KEYS: usize = 512;

/// Pointer reports that may wait, of which two come from each button change.
const MOST_MOVES: usize = 64;

/// Who holds the keys of texts and chords. No client may use this number, or typing would let go of its keys.
pub const TYPIST: Owner = Owner(u64::MAX);

/// The target fetches keys and pointer independently; a BIOS fetches keys only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Keyboard reports.
    Keyboard,
    /// Pointer reports.
    Pointer,
}

impl Lane {
    /// Both, the more important first.
    pub const ALL: [Lane; 2] = [Lane::Keyboard, Lane::Pointer];
}

/// Keyboard and pointer of one target, with what waits to be fetched.
#[derive(Debug, Default)]
pub struct Outbox {
    keyboard: Keyboard,
    keys: Waiting<[u8; 8]>,
    pointer: Pointer,
    moves: Waiting<Move>,
    typist: Typist,
}

impl Outbox {
    /// A key goes down or up.
    pub fn key(&mut self, now: Instant, owner: Owner, usage: Usage, down: bool) -> Result<(), Failure> {
        if down {
            self.keyboard.press(owner, usage);
        } else {
            self.keyboard.release(owner, usage);
        }
        self.queue_keys(now)
    }

    /// The pointer moves, or its buttons change.
    pub fn point(&mut self, now: Instant, owner: Owner, x: u16, y: u16, buttons: u8) -> Result<(), Failure> {
        self.pointer.point(owner, x, y, buttons);
        self.queue_move(now, 0, 0)
    }

    /// The wheel turns.
    pub fn wheel(&mut self, now: Instant, dx: i8, dy: i8) -> Result<(), Failure> {
        self.queue_move(now, dx, dy)
    }

    /// Types strokes one after another; the outcome comes by [`Outbox::poll`].
    pub fn strokes(&mut self, now: Instant, id: u64, owner: Owner, strokes: &[Stroke]) {
        self.typist.strokes(id, owner, strokes);
        self.tick(now);
    }

    /// Presses a chord and lets go of it; the outcome comes by [`Outbox::poll`].
    pub fn chord(&mut self, now: Instant, id: u64, owner: Owner, usages: &[Usage]) {
        let keys: Vec<_> = usages.iter().map(|usage| Stroke { usage: *usage, modifiers: 0 }).collect();
        self.typist.chord(id, owner, &keys);
        self.tick(now);
    }

    /// Ends a text or chord early.
    pub fn cancel(&mut self, now: Instant, id: u64) -> Result<(), Failure> {
        if self.typist.cancel(id) {
            self.keyboard.leave(TYPIST);
        }
        self.queue_keys(now)
    }

    /// Lets go of all that `owner` holds and types, after what waits already.
    pub fn leave(&mut self, now: Instant, owner: Owner) -> Result<(), Failure> {
        self.keyboard.leave(owner);
        self.pointer.leave(owner);
        if self.typist.leave(owner) {
            self.keyboard.leave(TYPIST);
        }
        self.queue_keys(now).and(self.queue_move(now, 0, 0))
    }

    /// Lets go of everything at once: what waits is dropped, and the next report holds nothing.
    pub fn let_go(&mut self, now: Instant) {
        self.drop_keys(now, Failure::Cancelled);
        self.drop_moves(now);
    }

    /// Notes that the target takes no reports at all. Nothing of now may reach it when it comes back.
    pub fn lost(&mut self, now: Instant) {
        self.drop_keys(now, Failure::Unplugged);
        self.drop_moves(now);
    }

    /// Notes that the report shown by [`Outbox::next`] was taken.
    pub fn taken(&mut self, now: Instant, lane: Lane) {
        match lane {
            Lane::Keyboard => {
                self.keys.taken(now);
                if self.keys.queue.is_empty() {
                    self.typist.taken(now);
                }
            }
            Lane::Pointer => self.moves.taken(now),
        }
        self.tick(now);
    }

    /// Tells the outbox what time it is.
    pub fn tick(&mut self, now: Instant) {
        if self.keys.stale().is_some_and(|end| end <= now) {
            self.drop_keys(now, Failure::Unplugged);
        }
        if self.moves.stale().is_some_and(|end| end <= now) {
            self.drop_moves(now);
        }
        if self.keys.queue.is_empty()
            && let Some(step) = self.typist.step(now)
        {
            match step {
                Step::Down(stroke) => stroke.usages().for_each(|usage| self.keyboard.press(TYPIST, usage)),
                Step::Up => self.keyboard.leave(TYPIST),
                Step::Repeat => (),
            }
            // Even if nothing changed, since the typist waits for a report to be taken.
            self.keys.push(now, self.keyboard.report());
        }
    }

    /// The report to offer next.
    pub fn next(&self, lane: Lane) -> Option<Report> {
        match lane {
            Lane::Keyboard => self.keys.queue.front().copied().map(Report::Keyboard),
            Lane::Pointer => self.moves.queue.front().map(|next| Report::Pointer(next.report())),
        }
    }

    /// Takes the outcome of a text or chord that has ended.
    pub fn poll(&mut self) -> Option<(u64, Result<(), Failure>)> {
        self.typist.poll()
    }

    /// When [`Outbox::tick`] next has work to do.
    pub fn deadline(&self) -> Option<Instant> {
        let typist = if self.keys.queue.is_empty() { self.typist.deadline() } else { None };
        [self.keys.stale(), self.moves.stale(), typist].into_iter().flatten().min()
    }

    fn queue_keys(&mut self, now: Instant) -> Result<(), Failure> {
        let report = self.keyboard.report();
        if report == *self.keys.newest() {
            return Ok(());
        }
        if MOST_KEYS <= self.keys.queue.len() {
            self.drop_keys(now, Failure::Flooded);
            return Err(Failure::Flooded);
        }
        self.keys.push(now, report);
        Ok(())
    }

    fn queue_move(&mut self, now: Instant, dx: i8, dy: i8) -> Result<(), Failure> {
        let newest = self.moves.newest();
        let report = self.pointer.report(0, 0);
        let turned = Move { report, dx: dx.into(), dy: dy.into(), pinned: newest.report[0] != report[0] };
        if report == newest.report && (dx, dy) == (0, 0) {
            return Ok(());
        }
        // A button must change where it was pressed, so what comes after may not move the report that changes it.
        if !turned.pinned
            && let Some(waiting) = self.moves.queue.back_mut()
            && (!waiting.pinned || waiting.report == report)
        {
            waiting.report = report;
            waiting.dx = waiting.dx.saturating_add(turned.dx);
            waiting.dy = waiting.dy.saturating_add(turned.dy);
            self.moves.review(now);
            return Ok(());
        }
        if MOST_MOVES <= self.moves.queue.len() {
            self.drop_moves(now);
            return Err(Failure::Flooded);
        }
        self.moves.push(now, turned);
        Ok(())
    }

    fn drop_keys(&mut self, now: Instant, failure: Failure) {
        self.typist.fail(failure);
        self.keyboard = Keyboard::default();
        self.keys.replace(now, self.keyboard.report());
    }

    fn drop_moves(&mut self, now: Instant) {
        self.pointer.let_go();
        self.moves.replace(now, Move { report: self.pointer.report(0, 0), dx: 0, dy: 0, pinned: true });
    }
}

/// One pointer report, still growing while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Move {
    report: [u8; 7],
    // More than a byte holds: what does not fit goes with the next report.
    dx: i16,
    dy: i16,
    pinned: bool,
}

impl Move {
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

/// A report that can do harm when it comes late.
trait Late: Copy + Default {
    /// Whether it holds a key or a button, or turns the wheel.
    fn acts(&self) -> bool;

    /// What is left of it to be sent once it has been taken.
    fn rest(&self) -> Option<Self>;
}

impl Late for [u8; 8] {
    fn acts(&self) -> bool {
        *self != [0; 8]
    }

    fn rest(&self) -> Option<[u8; 8]> {
        None
    }
}

impl Late for Move {
    fn acts(&self) -> bool {
        self.report[0] != 0 || (self.dx, self.dy) != (0, 0)
    }

    fn rest(&self) -> Option<Move> {
        let (dx, dy) = self.turn();
        let rest = Move { dx: self.dx - i16::from(dx), dy: self.dy - i16::from(dy), ..*self };
        ((rest.dx, rest.dy) != (0, 0)).then_some(rest)
    }
}

/// The reports of one lane, and since when the target has fetched none of them.
#[derive(Debug, Default)]
struct Waiting<R> {
    queue: VecDeque<R>,
    sent: R,
    since: Option<Instant>,
}

impl<R: Late> Waiting<R> {
    /// What the target will have seen last.
    fn newest(&self) -> &R {
        self.queue.back().unwrap_or(&self.sent)
    }

    fn push(&mut self, now: Instant, report: R) {
        self.queue.push_back(report);
        self.review(now);
    }

    fn taken(&mut self, now: Instant) {
        if let Some(taken) = self.queue.pop_front() {
            self.sent = taken;
            if let Some(rest) = taken.rest() {
                self.queue.push_front(rest);
            }
        }
        self.since = None;
        self.review(now);
    }

    /// Drops what waits. The target learns that all is released if what it has seen holds anything.
    fn replace(&mut self, now: Instant, released: R) {
        self.queue.clear();
        if self.sent.acts() {
            self.queue.push_back(released);
        }
        self.since = None;
        self.review(now);
    }

    /// Starts the clock with the first report that acts. Releases may wait for ever: late they are as right as now.
    fn review(&mut self, now: Instant) {
        let acts = self.queue.iter().any(R::acts);
        self.since = if acts { self.since.or(Some(now)) } else { None };
    }

    fn stale(&self) -> Option<Instant> {
        self.since.map(|since| since + STALE)
    }
}

#[cfg(test)]
mod tests;
