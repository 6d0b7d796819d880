//! Decides what may be sent to one viewer now, and what their messages do.
//!
//! Two promises live here. Few pictures are on their way, however large the buffers between us are, so that what is
//! seen is recent: [`Window`] says how many. And what a viewer holds down is released when they fall silent, however
//! the connection fails.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::delay::Delay;
use super::window::Window;
use crate::hands::protocol::Input;
use crate::hid::keyboard::Usage;
use crate::hid::keymap;

/// A viewer that holds something and says nothing for this long has lost it. They say so six times in it.
const SILENCE: Duration = Duration::from_millis(1500);

/// How long after the last input somebody still counts as typing.
const TYPING: Duration = Duration::from_secs(3);

/// Between two latencies, and between two refusals for the same reason.
const SECOND: Duration = Duration::from_secs(1);

/// The shortest time between two statuses to a viewer.
const STATUS: Duration = Duration::from_millis(200);

/// A viewer hears something at least this often, so that they can tell a dead connection from a quiet seat.
const BEAT: Duration = Duration::from_secs(2);

/// Something to do for a viewer.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Pass this to the target.
    Input(Input),
    /// Say that a message was not carried out.
    Refuse(Refusal),
    /// Send the status as it is now.
    Status,
    /// Tell how old pictures are when they are seen.
    Latency(Duration),
    /// Tell that the connection lives.
    Beat,
    /// Tell the others whether this one types.
    Typing(bool),
    /// Show the newest picture again: whoever asks for pictures has forgotten theirs.
    Again,
}

/// Why a message was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable, for programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Refusal {
    fn new(code: &'static str, message: &str) -> Refusal {
        Refusal { code, message: message.to_string() }
    }
}

/// What is on its way to one viewer, and what they hold down.
#[derive(Debug)]
pub struct Viewer {
    may_type: bool,
    pictures: bool,
    /// When they came or last asked for pictures. One from before then was not late; there was nobody to see it.
    watches_since: Instant,
    window: Window,
    delay: Delay,
    keys: BTreeSet<u8>,
    buttons: u8,
    heard: Instant,
    typing_until: Option<Instant>,
    latency: Option<Duration>,
    latency_due: Instant,
    /// When something last left for them.
    said: Instant,
    status_owed: bool,
    status_due: Instant,
    /// When each code was last said. The codes are ours, so there are few.
    refused: HashMap<&'static str, Instant>,
    actions: VecDeque<Action>,
    events: Events,
}

/// What waits to be said: one of each kind, the newest, however long the viewer does not listen.
#[derive(Debug, Default)]
struct Events {
    refusal: Option<Refusal>,
    status: bool,
    latency: Option<Duration>,
    beat: bool,
}

impl Viewer {
    /// A viewer who has just come. They are owed a status.
    pub fn new(now: Instant, may_type: bool) -> Viewer {
        Viewer {
            may_type,
            pictures: true,
            watches_since: now,
            window: Window::new(now),
            delay: Delay::new(now),
            keys: BTreeSet::new(),
            buttons: 0,
            heard: now,
            typing_until: None,
            latency: None,
            latency_due: now,
            said: now,
            status_owed: true,
            status_due: now,
            refused: HashMap::new(),
            actions: VecDeque::new(),
            events: Events::default(),
        }
    }

    /// Notes whether pictures are wanted.
    pub fn pictures(&mut self, now: Instant, on: bool) {
        self.pictures = on;
        if on {
            // Whoever asks may have lost what was on its way, and would then never acknowledge it.
            self.window.clear();
            self.watches_since = now;
            self.actions.push_back(Action::Again);
        }
    }

    /// Tells whether a message that was sent at `t`, in milliseconds by its sender's clock, came in time; without a
    /// time it did. What comes late must not be carried out, and by then nothing of theirs is held any more.
    pub fn came_in_time(&mut self, now: Instant, t: Option<u64>) -> bool {
        if !t.is_some_and(|t| self.delay.is_late(now, t)) {
            return true;
        }
        if self.holds() {
            self.release();
        }
        self.refuse(
            now,
            Refusal::new("late", "what you did came more than a second late and was dropped; do it again"),
        );
        false
    }

    /// Notes when a message was sent that is carried out however late it comes.
    pub fn stamped(&mut self, now: Instant, t: Option<u64>) {
        if let Some(t) = t {
            self.delay.is_late(now, t);
        }
    }

    /// Notes that they still hold what they held.
    pub fn held(&mut self, now: Instant) {
        self.heard = now;
    }

    /// A key, by its UI Events `code`, goes down or up.
    pub fn key(&mut self, now: Instant, code: &str, down: bool) {
        match keymap::usage(code) {
            Some(usage) => self.input(now, Input::Key { usage, down }),
            None => self
                .refuse(now, Refusal::new("unknown-key", "no key has this code; it is a UI Events code, such as KeyA")),
        }
    }

    /// Notes that something in the status is new.
    pub fn status_changed(&mut self) {
        self.status_owed = true;
    }

    /// Notes that all that was to be sent to them has left, of which a picture may be a part.
    pub fn said(&mut self, now: Instant) {
        self.said = now;
        self.events.beat = false;
    }

    /// Notes that a message was not carried out.
    pub fn refuse(&mut self, now: Instant, refusal: Refusal) {
        // Once a second is enough to be seen, and a flood of refused messages must not become a flood of answers.
        if self.refused.get(refusal.code).is_none_or(|last| *last + SECOND <= now) {
            self.refused.insert(refusal.code, now);
            self.events.refusal = Some(refusal);
        }
    }

    /// Whether they look at pictures at all: those who are slow do.
    pub fn watches(&self) -> bool {
        self.pictures
    }

    /// Whether a picture may be sent.
    pub fn wants_picture(&self, now: Instant) -> bool {
        self.pictures && self.window.is_open(now)
    }

    /// Notes that a picture is being sent.
    pub fn sent(&mut self, now: Instant, seq: u64, captured: Instant) {
        self.window.sent(now, seq, captured);
    }

    /// Tells the viewer what time it is.
    pub fn tick(&mut self, now: Instant) {
        if self.holds() && self.heard + SILENCE <= now {
            self.release();
        }
        if self.typing_until.is_some_and(|end| end <= now) {
            self.typing_until = None;
            self.actions.push_back(Action::Typing(false));
        }
        if self.status_owed && self.status_due <= now {
            self.status_owed = false;
            self.status_due = now + STATUS;
            self.events.status = true;
        }
        if self.latency_due <= now
            && let Some(latency) = self.latency.take()
        {
            self.latency_due = now + SECOND;
            self.events.latency = Some(latency);
        }
        if self.said + BEAT <= now {
            self.events.beat = true;
        }
    }

    /// Takes the next action; drain this after every call that takes `now`. What is to be said to the viewer comes only
    /// if there is `room`; what they do never waits for that.
    pub fn poll(&mut self, room: bool) -> Option<Action> {
        let events = &mut self.events;
        self.actions.pop_front().or_else(|| {
            if !room {
                return None;
            }
            let refusal = events.refusal.take().map(Action::Refuse);
            refusal
                .or_else(|| std::mem::take(&mut events.status).then_some(Action::Status))
                .or_else(|| events.latency.take().map(Action::Latency))
                .or_else(|| std::mem::take(&mut events.beat).then_some(Action::Beat))
        })
    }

    /// When [`Viewer::tick`] next has work to do.
    pub fn deadline(&self) -> Option<Instant> {
        let silence = self.holds().then_some(self.heard + SILENCE);
        let status = self.status_owed.then_some(self.status_due);
        let latency = self.latency.map(|_| self.latency_due);
        let beat = (!self.events.beat).then_some(self.said + BEAT);
        [silence, self.typing_until, status, latency, beat].into_iter().flatten().min()
    }

    fn holds(&self) -> bool {
        !self.keys.is_empty() || self.buttons != 0
    }

    /// Notes that a picture is on their screen.
    pub fn shown(&mut self, now: Instant, seq: u64) {
        let Some(captured) = self.window.shown(now, seq) else { return };
        // The last picture before the signal was lost may be hours old.
        if self.watches_since <= captured {
            self.latency = Some(now.saturating_duration_since(captured));
        }
    }

    /// Something done with keyboard or pointer.
    pub fn input(&mut self, now: Instant, input: Input) {
        if input == Input::Release {
            return self.release();
        }
        if !self.may_type {
            return self
                .refuse(now, Refusal::new("not-allowed", "your role does not include typing; ask an administrator"));
        }
        match input {
            Input::Key { usage: Usage(usage), down: true } => _ = self.keys.insert(usage),
            Input::Key { usage: Usage(usage), down: false } => _ = self.keys.remove(&usage),
            Input::Pointer { buttons, .. } => self.buttons = buttons,
            Input::Wheel { .. } | Input::Release => (),
        }
        self.heard = now;
        if self.typing_until.replace(now + TYPING).is_none() {
            self.actions.push_back(Action::Typing(true));
        }
        // Of moves that nobody has taken yet the last says all, unless a button went down or up in between.
        match (self.actions.back_mut(), input) {
            (
                Some(Action::Input(Input::Pointer { x, y, buttons })),
                Input::Pointer { x: to_x, y: to_y, buttons: same },
            ) if *buttons == same => {
                (*x, *y) = (to_x, to_y);
            }
            _ => self.actions.push_back(Action::Input(input)),
        }
    }

    fn release(&mut self) {
        self.keys.clear();
        self.buttons = 0;
        if self.may_type {
            self.actions.push_back(Action::Input(Input::Release));
        }
    }
}

#[cfg(test)]
mod tests;
