//! Keeps the reports of one interface, with those who caused them and since when the target has fetched none.
//!
//! The clock of a queue runs while a report that acts (it presses a key or a button, or turns the wheel) is in it, or
//! lies at the controller and keeps the next one out, and while anything that is typed waits. Other releases may wait
//! for ever.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::base::usb::{Keys, Point};
use crate::hid::keyboard::{NOBODY, Owner, TYPING};

/// How long a report may wait without the target fetching any. The slowest BIOS seen takes a key in 150 ms; two seconds
/// outlast its pauses, and are short enough for a person to remember what they typed.
pub const STALE: Duration = Duration::from_secs(2);

/// One pointer report, still growing while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Move {
    pub point: Point,
    // Wider than the point's wheels: what does not fit goes with the next report.
    pub dx: i16,
    pub dy: i16,
    pub pinned: bool,
}

impl Move {
    /// What is left when moves are dropped. It releases buttons, and may not be moved by what comes after.
    pub fn released(point: Point) -> Move {
        Move { point, dx: 0, dy: 0, pinned: true }
    }

    fn turn(&self) -> (i8, i8) {
        // The descriptor's range ends at -127.
        let fit = |turn: i16| i8::try_from(turn.clamp(-127, 127)).expect("it has just been brought into range");
        (fit(self.dx), fit(self.dy))
    }

    pub fn report(&self) -> Point {
        let (pan, wheel) = self.turn();
        Point { wheel, pan, ..self.point }
    }
}

/// A report that can do harm when the target fetches it late.
pub trait PendingReport: Copy + Default {
    /// Whether it holds a key or a button, or turns the wheel.
    fn acts(&self) -> bool;

    /// The remainder that is still to be sent once this has been taken.
    fn rest(&self) -> Option<Self>;
}

impl PendingReport for Keys {
    fn acts(&self) -> bool {
        *self != Keys::default()
    }

    fn rest(&self) -> Option<Keys> {
        None
    }
}

impl PendingReport for Move {
    fn acts(&self) -> bool {
        self.point.buttons != 0 || (self.dx, self.dy) != (0, 0)
    }

    fn rest(&self) -> Option<Move> {
        let (dx, dy) = self.turn();
        let rest = Move { dx: self.dx - i16::from(dx), dy: self.dy - i16::from(dy), ..*self };
        ((rest.dx, rest.dy) != (0, 0)).then_some(rest)
    }
}

/// The reports of one interface with those who caused them, and since when the target has fetched none.
#[derive(Debug, Default)]
pub struct Pending<R> {
    pub queue: VecDeque<(Owner, R)>,
    /// How many of them each owner caused, because counting them for each key would take a flood's whole time.
    pub shares: HashMap<Owner, usize>,
    /// What the controller took last. Only by taking another does it prove that the target has fetched this one.
    sent: R,
    /// Whether the target may still see something held from before all that is known here.
    doubtful: bool,
    since: Option<Instant>,
    /// Since when the controller has had no room, because of what it took last.
    full_since: Option<Instant>,
    /// Whether what lies at the controller counts as lost. That happens once until the target fetches again.
    abandoned: bool,
    /// Whether the controller has taken one since the target configured us, and whether the target has fetched any.
    given: bool,
    fetched: bool,
}

impl<R: PendingReport> Pending<R> {
    pub fn front(&self) -> Option<R> {
        self.queue.front().map(|(_, report)| *report)
    }

    /// What the target will have seen last.
    pub fn newest(&self) -> &R {
        self.queue.back().map_or(&self.sent, |(_, report)| report)
    }

    /// How many this owner caused.
    pub fn of(&self, owner: Owner) -> usize {
        self.shares.get(&owner).copied().unwrap_or_default()
    }

    pub fn push(&mut self, now: Instant, owner: Owner, report: R) {
        self.queue.push_back((owner, report));
        *self.shares.entry(owner).or_default() += 1;
        self.review(now);
    }

    pub fn taken(&mut self, now: Instant) {
        if let Some((owner, taken)) = self.queue.pop_front() {
            self.sent = taken;
            (self.given, self.fetched, self.doubtful) = (true, self.given, false);
            if let Some(rest) = taken.rest() {
                self.queue.push_front((owner, rest));
            } else if let Entry::Occupied(mut share) = self.shares.entry(owner) {
                *share.get_mut() -= 1;
                if *share.get() == 0 {
                    share.remove();
                }
            }
        }
        (self.since, self.full_since, self.abandoned) = (None, None, false);
        self.review(now);
    }

    /// Notes that what the target fetched before says nothing about now.
    pub fn unfetched(&mut self) {
        (self.given, self.fetched) = (false, false);
    }

    /// Notes that the controller has no room, because the target has not fetched what it took last.
    pub fn full(&mut self, now: Instant) {
        if self.sent.acts() && !self.abandoned {
            self.full_since.get_or_insert(now);
        }
    }

    /// Counts what lies at the controller as lost; whether anything that acts does, and would come as a surprise. A key
    /// that is pressed while a target starts waits for its first fetch, and is meant to.
    pub fn abandon(&mut self) -> bool {
        self.abandoned |= self.full_since.is_some();
        self.full_since.is_some() && self.fetched
    }

    /// Notes that the target has forgotten what it saw, and whatever the controller had is gone.
    pub fn forget(&mut self) {
        *self = Pending::default();
    }

    /// Notes that the target has forgotten what it saw, or has not. If that held anything, a report must say what is
    /// held now, and waits until it is taken.
    pub fn doubt(&mut self) {
        *self = Pending { doubtful: self.doubtful || self.sent.acts(), ..Pending::default() };
    }

    /// Whether the target may see something held of which nothing else is known here.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Drops what waits of one owner; `left` is what is down without them. What others did stays, in its order.
    pub fn drop_of(&mut self, now: Instant, owner: Owner, left: R) {
        self.queue.retain(|(of, _)| *of != owner);
        self.shares.remove(&owner);
        self.push(now, owner, left);
    }

    /// Drops what waits. The target learns that all is released if what it has seen holds anything.
    pub fn replace(&mut self, now: Instant, released: R) {
        self.queue.clear();
        self.shares.clear();
        (self.since, self.full_since) = (None, None);
        if self.sent.acts() || self.doubtful {
            self.push(now, NOBODY, released);
        }
        self.review(now);
    }

    /// Starts the clock with the first report that acts. Releases may wait for ever: a late one is as correct as an
    /// early one. But a text waits for each of its own, and others wait for it: it must not go on hours later.
    pub fn review(&mut self, now: Instant) {
        let acts = self.queue.iter().any(|(owner, report)| report.acts() || *owner == TYPING);
        self.since = if acts { self.since.or(Some(now)) } else { None };
    }

    /// Whether anything that acts waits, or is known to lie at the controller.
    pub fn acts(&self) -> bool {
        self.full_since.is_some() || self.queue.iter().any(|(_, report)| report.acts())
    }

    pub fn stale(&self) -> Option<Instant> {
        [self.since, self.full_since].into_iter().flatten().min().map(|since| since + STALE)
    }
}
