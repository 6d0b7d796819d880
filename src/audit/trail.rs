//! Takes records from everybody and has one thread write them.
//!
//! What lasts is on the card before it is done, so [`Trail::begin`] waits for that: a second at most, since a card that
//! is full or dead is no reason to leave a machine without its power button. What was not written is counted, told in
//! the status, and told in the log itself by the first record that can be written again. The rest is written within
//! seconds, many at a time, which spares the card.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{info, warn};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::batches::Subject;
use super::budget::Class;
use super::desk::Desk;
use super::folder::Folder;
use super::record::{Entry, Outcome, Stamp, What};
use crate::base::tasks::Tasks;

/// How long an act waits for its record, and a reader for those before.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a record that nobody waits for may wait for others.
const TOGETHER: Duration = Duration::from_secs(5);

/// How many wait for the card. What comes when they are full is counted.
const QUEUE: usize = 256;

/// How often at most it is tried to write what could not be written, if nobody waits for it.
const AGAIN: Duration = Duration::from_secs(60);

/// Whether the log has all that it should.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "AuditStatus")]
pub struct Status {
    /// Why nothing can be written now; null when all is well.
    pub reason: Option<String>,
    /// Records that could not be written since the daemon was started.
    pub lost: u64,
}

/// The audit log, as those see it who have something to write down. Cheap to clone.
#[derive(Clone)]
pub struct Trail {
    shared: Arc<Shared>,
    queue: SyncSender<Message>,
    /// What is to write, until it is started.
    writer: Arc<Mutex<Option<Writer>>>,
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Trail").field("folder", &self.shared.folder).finish_non_exhaustive()
    }
}

/// What time it is.
type Now = Box<dyn Fn() -> Stamp + Send + Sync>;

struct Shared {
    folder: PathBuf,
    now: Now,
    patience: Duration,
    desk: Mutex<Desk>,
    status: Mutex<Status>,
    /// Not written, and not told in the log yet.
    untold: AtomicU64,
    is_started: AtomicBool,
    /// Whether the card has kept somebody waiting and has not answered since.
    is_stuck: AtomicBool,
}

enum Message {
    Record(Stamp, Entry, Option<oneshot::Sender<()>>),
    /// Write what there is.
    Flush(oneshot::Sender<()>),
    /// There is a deadline, or another one.
    Look,
}

/// Something that has begun: it writes down how it ends, also if that is by being dropped.
#[derive(Debug)]
pub struct OpenRecord {
    trail: Trail,
    entry: Entry,
    is_taken: bool,
}

/// Typing that goes on until this is dropped.
#[derive(Debug)]
pub struct Typing {
    trail: Trail,
    subject: Subject,
}

impl Trail {
    /// A log in this folder. It is not touched before [`Trail::start`].
    pub fn new(folder: PathBuf, boot: String, now: impl Fn() -> Stamp + Send + Sync + 'static) -> Trail {
        Trail::with_patience(PATIENCE, folder, boot, Box::new(now))
    }

    fn with_patience(patience: Duration, folder: PathBuf, boot: String, now: Now) -> Trail {
        let (queue, messages) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            folder,
            now,
            patience,
            desk: Mutex::default(),
            status: Mutex::default(),
            untold: AtomicU64::new(0),
            is_started: AtomicBool::new(false),
            is_stuck: AtomicBool::new(false),
        });
        let writer = Writer {
            shared: shared.clone(),
            messages,
            boot,
            folder: None,
            found: Vec::new(),
            waiting: VecDeque::new(),
            tried: None,
        };
        Trail { shared, queue, writer: Arc::new(Mutex::new(Some(writer))) }
    }

    /// Starts the thread that writes. It ends when nobody is left who could have something to write down.
    pub fn start(&self, tasks: &Tasks) -> io::Result<()> {
        let Some(writer) = lock(&self.writer).take() else { return Ok(()) };
        self.shared.is_started.store(true, Ordering::SeqCst);
        tasks.thread("the audit log", |_| writer.run())
    }

    /// Where it is kept.
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// Whether it has all that it should.
    pub fn status(&self) -> Status {
        lock(&self.shared.status).clone()
    }

    /// Writes down that something begins, and waits until that is on the card, or for a second.
    pub async fn begin(&self, class: Class, entry: Entry) -> OpenRecord {
        let is_taken = self.shared.admit(class, &entry);
        // Made first: whoever is dropped while they wait have begun, too.
        let record = OpenRecord { trail: self.clone(), entry, is_taken };
        if is_taken {
            self.put_and_wait(record.entry.clone()).await;
        }
        record
    }

    /// Writes down something that has happened, and does not wait.
    pub fn write(&self, class: Class, entry: Entry) {
        if self.shared.admit(class, &entry) {
            self.put(entry, None);
        } else {
            self.look();
        }
    }

    /// The same, and waits until it is on the card, or for a second.
    pub async fn write_now(&self, class: Class, entry: Entry) {
        if self.shared.admit(class, &entry) {
            self.put_and_wait(entry).await;
        } else {
            self.look();
        }
    }

    /// Writes down that somebody types, and later when they have stopped. What they do again soon is the same typing.
    pub fn type_on(&self, subject: Subject) -> Option<Typing> {
        let begun = lock(&self.shared.desk).go_on((self.shared.now)(), &subject);
        if let Some(entry) = begun.clone().flatten() {
            self.put(entry, None);
        }
        self.look();
        begun.map(|_| Typing { trail: self.clone(), subject })
    }

    /// Waits until all that was written down before is in the files, or for a second.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.shared.is_started.load(Ordering::SeqCst) && self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = timeout(self.shared.patience, written).await;
        }
    }

    fn put(&self, entry: Entry, done: Option<oneshot::Sender<()>>) {
        if self.queue.try_send(Message::Record((self.shared.now)(), entry, done)).is_err() {
            self.shared.lose(1, "more came at once than the card takes");
        }
    }

    async fn put_and_wait(&self, entry: Entry) {
        let (done, written) = oneshot::channel();
        self.put(entry, Some(done));
        // Who waits for a card that does not answer waits in vain each time.
        if !self.shared.is_started.load(Ordering::SeqCst) || self.shared.is_stuck.load(Ordering::SeqCst) {
            return;
        }
        if timeout(self.shared.patience, written).await.is_err() {
            self.shared.is_stuck.store(true, Ordering::SeqCst);
            self.shared.fail("the card has not answered for a second");
        }
    }

    /// Has the writer look for a deadline. If the queue is full it will look anyway.
    fn look(&self) {
        let _ = self.queue.try_send(Message::Look);
    }
}

impl Shared {
    fn admit(&self, class: Class, entry: &Entry) -> bool {
        lock(&self.desk).admit((self.now)(), class, entry.who.as_deref())
    }

    fn lose(&self, count: u64, reason: &str) {
        self.untold.fetch_add(count, Ordering::SeqCst);
        lock(&self.status).lost += count;
        self.fail(reason);
    }

    fn fail(&self, reason: &str) {
        let mut status = lock(&self.status);
        if status.reason.is_none() {
            warn!("the audit log in {} has a gap: {reason}", self.folder.display());
        }
        status.reason = Some(reason.into());
    }

    fn mend(&self) {
        let mut status = lock(&self.status);
        if status.reason.take().is_some() {
            info!("the audit log is written again; {} records are missing since the start", status.lost);
        }
    }
}

impl OpenRecord {
    /// Writes down what came of it: done, or the code of the error.
    pub fn end(mut self, outcome: Result<(), &'static str>) {
        self.entry = self.entry.clone().ended(outcome);
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        if !self.is_taken {
            return self.trail.look();
        }
        let mut entry = self.entry.clone();
        if entry.outcome == Outcome::Begun {
            entry.outcome = Outcome::Left;
        }
        self.trail.put(entry, None);
    }
}

impl Drop for Typing {
    fn drop(&mut self) {
        let shared = &self.trail.shared;
        lock(&shared.desk).pause((shared.now)(), &self.subject);
        self.trail.look();
    }
}

/// Writes what others put into the queue.
struct Writer {
    shared: Arc<Shared>,
    messages: Receiver<Message>,
    boot: String,
    folder: Option<Folder>,
    /// What was wrong with the folder when it was opened, until that is written down.
    found: Vec<Entry>,
    waiting: VecDeque<(Stamp, Entry)>,
    /// When it was last tried in vain to write.
    tried: Option<Instant>,
}

impl Writer {
    fn run(mut self) {
        // What was wrong with the folder is written down at once, not when somebody does something next.
        self.write();
        let mut since = None;
        loop {
            let message = match self.patience(since) {
                Some(patience) => self.messages.recv_timeout(patience),
                None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let mut done = Vec::new();
            match message {
                Ok(message) => {
                    self.take(message, &mut done);
                    // Those who wait are served together.
                    while let Ok(message) = self.messages.try_recv() {
                        self.take(message, &mut done);
                    }
                }
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = (self.shared.now)();
            let due = lock(&self.shared.desk).tick(now);
            self.waiting.extend(due.into_iter().map(|entry| (now, entry)));
            let since_first = *since.get_or_insert_with(Instant::now);
            let is_again = self.tried.is_some_and(|tried| AGAIN <= tried.elapsed());
            if !done.is_empty() || is_again || TOGETHER <= since_first.elapsed() {
                self.write();
            }
            if self.waiting.is_empty() {
                since = None;
            }
            // Whoever has stopped waiting has gone on.
            done.into_iter().for_each(|done| _ = done.send(()));
        }
        let now = (self.shared.now)();
        let rest = lock(&self.shared.desk).end(now);
        self.waiting.extend(rest.into_iter().map(|entry| (now, entry)));
        self.write();
    }

    fn take(&mut self, message: Message, done: &mut Vec<oneshot::Sender<()>>) {
        match message {
            Message::Record(stamp, entry, waits) => {
                self.waiting.push_back((stamp, entry));
                done.extend(waits);
            }
            Message::Flush(waits) => done.push(waits),
            Message::Look => (),
        }
    }

    /// How long until there is something to do, if nobody comes.
    fn patience(&self, since: Option<Instant>) -> Option<Duration> {
        let now = (self.shared.now)().up;
        let together = since.filter(|_| !self.waiting.is_empty()).map(|since| TOGETHER.saturating_sub(since.elapsed()));
        let deadline = lock(&self.shared.desk).deadline().map(|deadline| deadline.saturating_sub(now));
        let again = self.tried.map(|tried| AGAIN.saturating_sub(tried.elapsed()));
        [together, deadline, again].into_iter().flatten().min()
    }

    /// Writes all that waits, for good; what cannot be written is lost, and counted.
    fn write(&mut self) {
        let count = self.waiting.len() as u64;
        match self.try_write() {
            Ok(()) => {
                self.shared.mend();
                self.tried = None;
            }
            Err(error) => {
                self.shared.lose(count, &error.to_string());
                self.tried = Some(Instant::now());
            }
        }
        self.shared.is_stuck.store(false, Ordering::SeqCst);
        self.waiting.clear();
    }

    fn try_write(&mut self) -> io::Result<()> {
        let folder = match &mut self.folder {
            Some(folder) => folder,
            none => {
                let (folder, entries) = Folder::open(&self.shared.folder, &self.boot)?;
                self.found = entries;
                none.insert(folder)
            }
        };
        // Told again until it is written: it may be that somebody has cut the end off.
        let mut told = self.found.clone();
        let untold = self.shared.untold.load(Ordering::SeqCst);
        if 0 < untold {
            let gap = Entry::new(What::Trail, "records are missing here that could not be written");
            told.push(gap.ended(Err("gap")).times(untold));
        }
        let now = (self.shared.now)();
        let all: Vec<_> = told.into_iter().map(|entry| (now, entry)).chain(self.waiting.iter().cloned()).collect();
        if all.is_empty() {
            return Ok(());
        }
        folder.add(&all)?;
        self.found.clear();
        self.shared.untold.fetch_sub(untold, Ordering::SeqCst);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked has changed nothing by halves: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
