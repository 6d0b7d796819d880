//! Types texts and chords at the pace at which the target takes them.
//!
//! A BIOS takes seven keys a second and a busy host drops what comes too fast, so each step waits until the target has
//! fetched the one before, and then a little longer. A job is done when its last release has been fetched, not when it
//! was queued: a caller that gets "typed" may rely on it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::keyboard::Owner;
use super::text::Stroke;

/// How long a key stays down or up at least. Hosts poll every 1 to 10 ms; a change undone within one poll is never
/// seen.
const HOLD: Duration = Duration::from_millis(10);

/// Who holds the keys of texts and chords. No client may use this number, or typing would release its keys.
pub const TYPING: Owner = Owner(u64::MAX);

/// Jobs that may wait. A client waits for each of them, so a longer queue means that the clients have gone.
pub const MOST_JOBS: usize = 8;

/// Why a text was not typed to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The target takes no reports.
    Unplugged,
    /// The target takes reports but did not fetch one for too long.
    Stale,
    /// More was queued than is kept.
    Flooded,
    /// The queue is full, so this job was rejected.
    TooMany,
    /// All keys were released before its end.
    Cancelled,
}

/// What to do to the keyboard next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Press a key with its modifiers, in addition to what is down already.
    Down(Stroke),
    /// Release everything that was typed.
    Up,
    /// Repeat the report: once a repetition is taken, the one before has been fetched, and nothing else can tell.
    Repeat,
}

#[derive(Debug)]
struct Job {
    id: u64,
    owner: Owner,
    steps: VecDeque<Step>,
}

/// The texts and chords still to be typed.
#[derive(Debug, Default)]
pub struct TypingQueue {
    jobs: VecDeque<Job>,
    // Whether the report of a step is still to be taken.
    under_way: bool,
    not_before: Option<Instant>,
    finished: VecDeque<(u64, Result<(), Failure>)>,
}

impl TypingQueue {
    /// Types strokes one after another.
    pub fn strokes(&mut self, id: u64, owner: Owner, strokes: &[Stroke]) {
        self.start(id, owner, strokes.iter().flat_map(|stroke| [Step::Down(*stroke), Step::Up]).collect());
    }

    /// Presses all keys in order, then releases all.
    pub fn chord(&mut self, id: u64, owner: Owner, keys: &[Stroke]) {
        self.start(id, owner, keys.iter().map(|stroke| Step::Down(*stroke)).chain([Step::Up]).collect());
    }

    fn start(&mut self, id: u64, owner: Owner, mut steps: VecDeque<Step>) {
        if MOST_JOBS <= self.jobs.len() {
            self.finished.push_back((id, Err(Failure::TooMany)));
            return;
        }
        steps.push_back(Step::Repeat);
        self.jobs.push_back(Job { id, owner, steps });
    }

    /// Takes the next step, if it is due and the previous one has been taken.
    pub fn step(&mut self, now: Instant) -> Option<Step> {
        if self.under_way || self.not_before.is_some_and(|time| now < time) {
            return None;
        }
        let step = self.jobs.front_mut()?.steps.pop_front();
        self.under_way = step.is_some();
        step
    }

    /// Notes that the target has taken everything so far.
    pub fn taken(&mut self, now: Instant) {
        if !std::mem::take(&mut self.under_way) {
            return;
        }
        self.not_before = Some(now + HOLD);
        if let Some(job) = self.jobs.pop_front_if(|job| job.steps.is_empty()) {
            self.finished.push_back((job.id, Ok(())));
        }
    }

    /// Ends one job early. True if it was the one being typed, whose keys must be released.
    pub fn cancel(&mut self, id: u64) -> bool {
        self.end(Failure::Cancelled, |job| job.id == id)
    }

    /// Ends the jobs of an owner who leaves. True if one was being typed, whose keys must be released.
    pub fn leave(&mut self, owner: Owner) -> bool {
        self.end(Failure::Cancelled, |job| job.owner == owner)
    }

    /// Ends all jobs.
    pub fn fail(&mut self, failure: Failure) {
        self.end(failure, |_| true);
    }

    fn end(&mut self, failure: Failure, ends: impl Fn(&Job) -> bool) -> bool {
        let typing = self.jobs.front().is_some_and(&ends);
        for job in self.jobs.iter().filter(|job| ends(job)) {
            self.finished.push_back((job.id, Err(failure)));
        }
        self.jobs.retain(|job| !ends(job));
        if typing {
            self.under_way = false;
        }
        typing
    }

    /// Takes the outcome of a job that has ended.
    pub fn poll(&mut self) -> Option<(u64, Result<(), Failure>)> {
        self.finished.pop_front()
    }

    /// When [`TypingQueue::step`] next has a step.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.under_way && !self.jobs.is_empty()).then_some(self.not_before).flatten()
    }
}
