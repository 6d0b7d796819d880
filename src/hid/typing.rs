//! Types texts and chords at the pace at which the target takes them.
//!
//! A BIOS takes seven keys a second and a busy host drops what comes too fast, so each step waits until the target has
//! fetched the one before, and then a little longer. A job is done when its last release has been fetched, not when it
//! was queued: a caller that gets "typed" may rely on it.
//!
//! Jobs are done one after another and never mixed. Whose turn it is goes round by person, however many requests they
//! send, so that nobody waits behind all that another has asked for.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::keyboard::Owner;
use super::text::Stroke;

/// How long a key stays down or up at least. Hosts poll every 1 to 10 ms; a change undone within one poll is never
/// seen.
const HOLD: Duration = Duration::from_millis(10);

/// Jobs of one person that may wait, the one being typed included. A client waits for each of them, so a longer queue
/// means that the clients have gone.
pub const MOST_JOBS: usize = 8;

/// Persons with jobs. No seat has so many; a client that invents persons must find an end.
pub const MOST_PERSONS: usize = 32;

/// The longest [`Person`], in bytes.
pub const LONGEST_PERSON: usize = 64;

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
    /// Press the key of a character with its modifiers.
    Type(Stroke),
    /// Press a key of a chord, in addition to what is down already.
    Down(Stroke),
    /// Release everything that was typed.
    Up,
    /// Repeat the report: once a repetition is taken, the one before has been fetched, and nothing else can tell.
    Repeat,
}

/// A person or a program, by the name that all their sessions share. An [`Owner`] is one connection or request of
/// theirs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Person(String);

impl Person {
    /// The person of this name.
    pub fn new(name: &str) -> Person {
        Person(name.to_string())
    }

    /// Whether the name is no longer than [`LONGEST_PERSON`].
    pub fn fits(&self) -> bool {
        self.0.len() <= LONGEST_PERSON
    }
}

/// Who wants something typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// With whose leaving the typing ends.
    pub owner: Owner,
    /// Whose share it takes.
    pub person: Person,
}

#[derive(Debug)]
struct Job {
    id: u64,
    by: Requester,
    steps: VecDeque<Step>,
}

/// What one person wants typed, in the order in which they asked; never empty.
#[derive(Debug)]
struct Share {
    person: Person,
    jobs: VecDeque<Job>,
}

/// The texts and chords still to be typed.
#[derive(Debug, Default)]
pub struct TypingQueue {
    current: Option<Job>,
    // Whose turn is next stands first.
    shares: VecDeque<Share>,
    // Whose turn it was last; somebody else who has come meanwhile goes before them.
    last: Option<Person>,
    // Whether the report of a step is still to be taken.
    under_way: bool,
    not_before: Option<Instant>,
    finished: VecDeque<(u64, Result<(), Failure>)>,
}

impl TypingQueue {
    /// Types strokes one after another.
    pub fn strokes(&mut self, id: u64, by: Requester, strokes: &[Stroke]) {
        self.start(id, by, strokes.iter().flat_map(|stroke| [Step::Type(*stroke), Step::Up]).collect());
    }

    /// Presses all keys in order, then releases all.
    pub fn chord(&mut self, id: u64, by: Requester, keys: &[Stroke]) {
        self.start(id, by, keys.iter().map(|stroke| Step::Down(*stroke)).chain([Step::Up]).collect());
    }

    fn start(&mut self, id: u64, by: Requester, mut steps: VecDeque<Step>) {
        let person = by.person.clone();
        let typed = self.current.iter().filter(|job| job.by.person == person).count();
        let has_room = self.shares.len() < MOST_PERSONS;
        let share = self.shares.iter_mut().find(|share| share.person == person);
        let waiting = share.as_ref().map_or(0, |share| share.jobs.len());
        let is_full = MOST_JOBS <= typed + waiting || (share.is_none() && !has_room);
        if is_full {
            self.finished.push_back((id, Err(Failure::TooMany)));
            return;
        }
        steps.push_back(Step::Repeat);
        let job = Job { id, by, steps };
        match share {
            Some(share) => share.jobs.push_back(job),
            None => self.shares.push_back(Share { person, jobs: VecDeque::from([job]) }),
        }
    }

    /// Takes the next step, if it is due and the previous one has been taken.
    pub fn step(&mut self, now: Instant) -> Option<Step> {
        if self.under_way || self.not_before.is_some_and(|time| now < time) {
            return None;
        }
        if self.current.is_none() {
            self.current = self.next_job();
        }
        let step = self.current.as_mut()?.steps.pop_front();
        self.under_way = step.is_some();
        step
    }

    /// The next job of the person whose turn it is.
    fn next_job(&mut self) -> Option<Job> {
        let next = self.shares.iter().position(|share| Some(&share.person) != self.last.as_ref()).unwrap_or(0);
        let mut share = self.shares.remove(next)?;
        let job = share.jobs.pop_front();
        self.last = Some(share.person.clone());
        if !share.jobs.is_empty() {
            self.shares.push_back(share);
        }
        job
    }

    /// Notes that the target has taken everything so far.
    pub fn taken(&mut self, now: Instant) {
        if !std::mem::take(&mut self.under_way) {
            return;
        }
        self.not_before = Some(now + HOLD);
        if let Some(job) = self.current.take_if(|job| job.steps.is_empty()) {
            self.finished.push_back((job.id, Ok(())));
        }
    }

    /// Ends one job early. True if it was the one being typed, whose keys must be released.
    pub fn cancel(&mut self, id: u64) -> bool {
        self.end(Failure::Cancelled, |job| job.id == id)
    }

    /// Ends the jobs of an owner who leaves. True if one was being typed, whose keys must be released.
    pub fn leave(&mut self, owner: Owner) -> bool {
        self.end(Failure::Cancelled, |job| job.by.owner == owner)
    }

    /// Ends all jobs.
    pub fn fail(&mut self, failure: Failure) {
        self.end(failure, |_| true);
    }

    fn end(&mut self, failure: Failure, ends: impl Fn(&Job) -> bool) -> bool {
        let current = self.current.take_if(|job| ends(job));
        if current.is_some() {
            self.under_way = false;
        }
        self.finished.extend(current.iter().map(|job| (job.id, Err(failure))));
        for share in &mut self.shares {
            self.finished.extend(share.jobs.iter().filter(|job| ends(job)).map(|job| (job.id, Err(failure))));
            share.jobs.retain(|job| !ends(job));
        }
        self.shares.retain(|share| !share.jobs.is_empty());
        current.is_some()
    }

    /// Takes the outcome of a job that has ended.
    pub fn poll(&mut self) -> Option<(u64, Result<(), Failure>)> {
        self.finished.pop_front()
    }

    /// When [`TypingQueue::step`] next has a step.
    pub fn deadline(&self) -> Option<Instant> {
        let has_work = self.current.is_some() || !self.shares.is_empty();
        (!self.under_way && has_work).then_some(self.not_before).flatten()
    }
}
