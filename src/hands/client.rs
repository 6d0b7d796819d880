//! Asks the process with the hardware to type, point and press.
//!
//! A [`Hands`] is cheap to clone, and every clone speaks over the same socket. Input is sent in order and never waits: when
//! the other process does not keep up, the caller is told. If the connection breaks, everything held has already been let
//! go at the other end; the client connects again by itself and reports [`HandsError::Away`] until it has.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::protocol::{Decoder, FromHands, LARGEST_CHORD, MOST_STROKES, ToHands, encode};
pub use super::protocol::{HandsError, Input};
use crate::base::front_panel::Contact;
use crate::base::heartbeat::Heartbeat;
use crate::base::seat_id::SeatId;
use crate::base::tasks::Tasks;
use crate::bus::{SeatBus, StatusBus, SystemBus, TargetStatus};
pub use crate::hid::keyboard::Owner;
use crate::hid::keyboard::Usage;
use crate::hid::text::Stroke;

/// How often the other end hears from us. It lets go of everything after a second of silence.
const BEAT: Duration = Duration::from_millis(200);

/// How long the other end may be silent. It says something once a second.
const SILENCE: Duration = Duration::from_secs(3);

/// How long a write may take. The other end never waits for anything, so one that does not read is dead.
const WRITE: Duration = Duration::from_secs(1);

/// Waits between attempts to connect, from the first to the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Requests on their way to the socket. Senders do not wait: when it is full all is let go, and they are told.
const MOST_WAITING: usize = 1024;

/// The network process's end of the hands. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hands {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
}

/// What every clone knows without asking.
#[derive(Debug)]
struct Shared {
    up: AtomicBool,
    // The channel was full, so that something has been lost, perhaps a release.
    overflow: AtomicBool,
    last_id: AtomicU64,
    seats: BTreeMap<SeatId, Seat>,
    heartbeat: Heartbeat,
    system: SystemBus,
}

#[derive(Debug)]
struct Seat {
    status: StatusBus,
    takes_keys: AtomicBool,
    dropped: watch::Sender<Option<HandsError>>,
}

#[derive(Debug)]
struct Request {
    message: ToHands,
    answer: Option<oneshot::Sender<Result<(), HandsError>>>,
}

impl Hands {
    /// Connects to the process with the hardware, and again whenever that is lost.
    pub fn connect(path: PathBuf, seats: &[SeatBus], system: SystemBus, tasks: &Tasks) -> Hands {
        let (hands, requests) = Hands::new(seats, system);
        tasks.spawn("the line to the hands", reconnect(path, hands.shared.clone(), requests));
        hands
    }

    /// Speaks over a stream whose other end is in this process. Its end is the task's end: there is none to take its place.
    pub fn over(stream: UnixStream, seats: &[SeatBus], system: SystemBus, tasks: &Tasks) -> Hands {
        let (hands, mut requests) = Hands::new(seats, system);
        // Both ends exist from the start, so nobody need be sent away for the moment until the first answer.
        hands.shared.up.store(true, Ordering::Relaxed);
        let shared = hands.shared.clone();
        tasks.spawn("the line to the hands", async move {
            let end = talk(stream, &shared, &mut requests).await;
            log::info!("the line to the hands has ended: {end}");
        });
        hands
    }

    fn new(seats: &[SeatBus], system: SystemBus) -> (Hands, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(MOST_WAITING);
        let seat = |bus: &SeatBus| {
            let status = bus.status.clone();
            (bus.seat.clone(), Seat { status, takes_keys: AtomicBool::new(false), dropped: watch::Sender::new(None) })
        };
        let shared = Shared {
            up: AtomicBool::new(false),
            overflow: AtomicBool::new(false),
            last_id: AtomicU64::new(0),
            seats: seats.iter().map(seat).collect(),
            heartbeat: Heartbeat::new(Instant::now().into_std()),
            system,
        };
        (Hands { requests, shared: Arc::new(shared) }, receiver)
    }

    /// Sends one input, in order. Whatever fails comes at once; what is dropped later is told by [`Hands::drops`].
    pub fn input(&self, seat: &SeatId, owner: Owner, input: Input) -> Result<(), HandsError> {
        let known = self.reach(seat)?;
        if input.acts() && !known.takes_keys.load(Ordering::Relaxed) {
            return Err(HandsError::Unplugged);
        }
        self.send(Request { message: ToHands::Input { seat: seat.clone(), owner, input }, answer: None })
    }

    /// Follows what becomes of input that had been accepted: from now on, for everybody at this seat.
    pub fn drops(&self, seat: &SeatId) -> Drops {
        Drops(self.shared.seats.get(seat).map(|seat| seat.dropped.subscribe()))
    }

    /// Types strokes one after another and answers when the target has fetched the last release.
    pub async fn type_strokes(&self, seat: &SeatId, owner: Owner, strokes: Vec<Stroke>) -> Result<(), HandsError> {
        if MOST_STROKES < strokes.len() {
            return Err(HandsError::TooLong);
        }
        let strokes = strokes.iter().map(|stroke| (stroke.usage, stroke.modifiers)).collect();
        self.typed(seat, |id| ToHands::Strokes { seat: seat.clone(), id, owner, strokes }).await
    }

    /// Presses a chord (all down in order, then all up) and answers when the target has fetched the last release.
    pub async fn chord(&self, seat: &SeatId, owner: Owner, usages: Vec<Usage>) -> Result<(), HandsError> {
        if LARGEST_CHORD < usages.len() {
            return Err(HandsError::TooLong);
        }
        self.typed(seat, |id| ToHands::Chord { seat: seat.clone(), id, owner, usages }).await
    }

    /// Closes a contact for a time; answers once it is closed. It opens by itself.
    pub async fn press(&self, seat: &SeatId, contact: Contact, time: Duration) -> Result<(), HandsError> {
        let millis = time.as_millis().try_into().unwrap_or(u64::MAX);
        self.reach(seat)?;
        let id = self.shared.last_id.fetch_add(1, Ordering::Relaxed);
        self.ask(ToHands::Press { seat: seat.clone(), id, contact, millis }).await
    }

    /// For how long nothing has been heard of the process with the hardware.
    pub fn silence(&self, now: std::time::Instant) -> Duration {
        self.shared.heartbeat.age(now)
    }

    /// Has the file in the spool folder installed; answers once the installer runs.
    pub async fn install(&self, len: u64) -> Result<(), HandsError> {
        self.ask_appliance(|id| ToHands::Install { id, len }).await
    }

    /// Restarts the appliance; answers once that has begun.
    pub async fn restart(&self) -> Result<(), HandsError> {
        self.ask_appliance(|id| ToHands::Restart { id }).await
    }

    /// Makes the appliance forget everything but what is installed; answers once that has begun.
    pub async fn factory_reset(&self) -> Result<(), HandsError> {
        self.ask_appliance(|id| ToHands::FactoryReset { id }).await
    }

    async fn ask_appliance(&self, ask: impl FnOnce(u64) -> ToHands) -> Result<(), HandsError> {
        if !self.shared.up.load(Ordering::Relaxed) {
            return Err(HandsError::Away);
        }
        self.ask(ask(self.shared.last_id.fetch_add(1, Ordering::Relaxed))).await
    }

    /// Asks for something to be typed, and has it stopped if the caller does not wait for the end.
    async fn typed(&self, seat: &SeatId, ask: impl FnOnce(u64) -> ToHands) -> Result<(), HandsError> {
        if !self.reach(seat)?.takes_keys.load(Ordering::Relaxed) {
            return Err(HandsError::Unplugged);
        }
        let id = self.shared.last_id.fetch_add(1, Ordering::Relaxed);
        let mut patience = Patience { hands: self, cancel: Some(ToHands::Cancel { seat: seat.clone(), id }) };
        let outcome = self.ask(ask(id)).await;
        patience.cancel = None;
        outcome
    }

    fn reach(&self, seat: &SeatId) -> Result<&Seat, HandsError> {
        let up = self.shared.up.load(Ordering::Relaxed);
        self.shared.seats.get(seat).filter(|_| up).ok_or(HandsError::Away)
    }

    async fn ask(&self, message: ToHands) -> Result<(), HandsError> {
        let (answer, answered) = oneshot::channel();
        self.send(Request { message, answer: Some(answer) })?;
        answered.await.unwrap_or(Err(HandsError::Away))
    }

    fn send(&self, request: Request) -> Result<(), HandsError> {
        self.requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => HandsError::Away,
            mpsc::error::TrySendError::Full(_) => {
                self.shared.overflow.store(true, Ordering::Relaxed);
                HandsError::Flooded
            }
        })
    }
}

/// News of input that was dropped after it had been accepted.
#[derive(Debug)]
pub struct Drops(Option<watch::Receiver<Option<HandsError>>>);

impl Drops {
    /// Waits until something is dropped, and says why. Of drops in quick succession the last is told.
    pub async fn next(&mut self) -> HandsError {
        while let Some(news) = &mut self.0
            && news.changed().await.is_ok()
        {
            if let Some(error) = news.borrow_and_update().clone() {
                return error;
            }
        }
        pending().await
    }
}

/// Cancels what its owner stopped waiting for.
struct Patience<'a> {
    hands: &'a Hands,
    cancel: Option<ToHands>,
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        if let Some(message) = self.cancel.take() {
            // A full channel lets go of everything, and a closed one has.
            let _ = self.hands.send(Request { message, answer: None });
        }
    }
}

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("nobody is left who would ask anything")]
    Unneeded,
    #[error("the other end hung up")]
    HungUp,
    #[error("the other end does not answer")]
    Silent,
    #[error("the other end does not make sense: {0}")]
    Babble(#[from] super::protocol::FrameError),
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

/// Keeps a conversation going for as long as anybody may ask something.
async fn reconnect(path: PathBuf, shared: Arc<Shared>, mut requests: mpsc::Receiver<Request>) {
    let mut back_off = BACK_OFF.0;
    loop {
        match UnixStream::connect(&path).await {
            Ok(stream) => {
                let begun = Instant::now();
                match talk(stream, &shared, &mut requests).await {
                    End::Unneeded => return,
                    end => log::warn!("hands: {end}; connecting again to {}", path.display()),
                }
                if BACK_OFF.1 < begun.elapsed() {
                    back_off = BACK_OFF.0;
                }
            }
            // At the start the other process may not be listening yet, which is nothing to complain of.
            Err(error) if back_off < BACK_OFF.1 => log::debug!("hands: {}: {error}", path.display()),
            Err(error) => log::warn!("hands: cannot connect to {}: {error}", path.display()),
        }
        let pause = sleep(back_off);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                request = requests.recv() => match request {
                    Some(request) => request.refuse(HandsError::Away),
                    None => return,
                },
            }
        }
        back_off = BACK_OFF.1.min(2 * back_off);
    }
}

impl Request {
    fn refuse(self, error: HandsError) {
        if let Some(answer) = self.answer {
            // Whoever does not listen any more does not mind.
            let _ = answer.send(Err(error));
        }
    }
}

/// One conversation. When it ends nobody waits for an answer, and nothing is known of the targets.
async fn talk(stream: UnixStream, shared: &Shared, requests: &mut mpsc::Receiver<Request>) -> End {
    let mut conversation = Conversation { stream, shared, waiting: HashMap::new() };
    let Err(end) = conversation.run(requests).await;
    shared.up.store(false, Ordering::Relaxed);
    for seat in shared.seats.values() {
        seat.takes_keys.store(false, Ordering::Relaxed);
        seat.status.update(|status| status.target = TargetStatus::default());
    }
    shared.system.update(|system| system.machine.take().is_some());
    for answer in conversation.waiting.into_values() {
        let _ = answer.send(Err(HandsError::Away));
    }
    end
}

struct Conversation<'a> {
    stream: UnixStream,
    shared: &'a Shared,
    waiting: HashMap<u64, oneshot::Sender<Result<(), HandsError>>>,
}

impl Conversation<'_> {
    async fn run(&mut self, requests: &mut mpsc::Receiver<Request>) -> Result<std::convert::Infallible, End> {
        let (mut decoder, mut piece, mut heard) = (Decoder::default(), [0; 4096], Instant::now());
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                read = self.stream.read(&mut piece) => {
                    let len = read?;
                    if len == 0 {
                        return Err(End::HungUp);
                    }
                    heard = Instant::now();
                    decoder.feed(&piece[..len]);
                    while let Some(message) = decoder.poll()? {
                        self.hear(message);
                    }
                }
                request = requests.recv() => {
                    let Some(request) = request else { return Err(End::Unneeded) };
                    if self.shared.overflow.swap(false, Ordering::Relaxed) {
                        self.start_afresh(request, requests).await?;
                    } else {
                        self.pass_on(request).await?;
                    }
                }
                _ = beat.tick() => {
                    if SILENCE < heard.elapsed() {
                        return Err(End::Silent);
                    }
                    self.say(&ToHands::Beat).await?;
                }
            }
        }
    }

    async fn pass_on(&mut self, request: Request) -> Result<(), End> {
        if let (Some(id), Some(answer)) = (request.message.id(), request.answer) {
            self.waiting.insert(id, answer);
        }
        self.say(&request.message).await
    }

    /// Drops what waits, since a release may be missing from it, and has everything let go.
    async fn start_afresh(&mut self, first: Request, requests: &mut mpsc::Receiver<Request>) -> Result<(), End> {
        first.refuse(HandsError::Flooded);
        while let Ok(request) = requests.try_recv() {
            request.refuse(HandsError::Flooded);
        }
        for seat in self.shared.seats.keys() {
            self.say(&ToHands::LetGo { seat: seat.clone() }).await?;
        }
        Ok(())
    }

    async fn say(&mut self, message: &ToHands) -> Result<(), End> {
        let frame = encode(message)?;
        timeout(WRITE, self.stream.write_all(&frame)).await.map_err(|_| End::Silent)??;
        Ok(())
    }

    fn hear(&mut self, message: FromHands) {
        self.shared.up.store(true, Ordering::Relaxed);
        self.shared.heartbeat.beat(Instant::now().into_std());
        match message {
            FromHands::Beat => (),
            FromHands::Done { id, error, .. } => {
                if let Some(answer) = self.waiting.remove(&id) {
                    let _ = answer.send(error.map_or(Ok(()), Err));
                }
            }
            FromHands::ApplianceDone { id, error } => {
                if let Some(answer) = self.waiting.remove(&id) {
                    let _ = answer.send(error.map_or(Ok(()), |error| Err(error.into())));
                }
            }
            FromHands::Machine { machine } => {
                self.shared.system.update(|system| {
                    let changed = system.machine.as_ref() != Some(&machine);
                    system.machine = Some(machine);
                    changed
                });
            }
            FromHands::Dropped { seat, error, .. } => {
                if let Some(seat) = self.shared.seats.get(&seat) {
                    seat.dropped.send_replace(Some(error));
                }
            }
            FromHands::Status { seat, status } => {
                if let Some(seat) = self.shared.seats.get(&seat) {
                    seat.takes_keys.store(status.takes_keys(), Ordering::Relaxed);
                    seat.status.update(|known| known.target = status);
                }
            }
        }
    }
}
