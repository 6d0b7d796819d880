//! Asks the process with the hardware to type, point and press.
//!
//! A [`Hands`] is cheap to clone, and every clone speaks over the same [`Link`]. Input goes through a queue of its
//! sender's own, and who sends faster than the link takes waits, alone: nothing that one person sends is in the way of
//! another's. Dropping the queue releases what its owner holds, after what waits in it. Requests that want an answer
//! go apart from all input.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::link::Link;
use super::pending::{KnownSeat, OwnerInputs, Request, Shared};
pub use super::protocol::{HandsError, Input};
use super::protocol::{LARGEST_CHORD, MOST_STROKES, ToHands};
use crate::base::front_panel::Contact;
use crate::base::heartbeat::Heartbeat;
use crate::base::seat_id::SeatId;
use crate::base::usb::HubPort;
use crate::bus::{SeatBus, SystemBus};
pub use crate::hid::keyboard::Owner;
use crate::hid::keyboard::Usage;
use crate::hid::text::Stroke;
use crate::hid::typing::{MOST_JOBS, MOST_PERSONS};
pub use crate::hid::typing::{Person, Requester};
use crate::update::ApplianceError;

/// Inputs of one owner that wait for the link. When they are full, the owner's own socket is not read.
const MOST_INPUTS: usize = 32;

/// Requests, and newcomers, that wait for the link. When they are full, the next one waits, too.
const MOST_WAITING: usize = 16;

/// Texts and chords that may have to be cancelled. Each has its place from before it begins, so that cancelling never
/// waits. There are as many as the hands keep, and some for those that they are about to refuse.
const MOST_TYPED: usize = 2 * MOST_PERSONS * MOST_JOBS;

/// How long the hands may take to take a file over. They wait less long for a card that hangs.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The network process's end of the hands. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hands {
    requests: mpsc::Sender<Request>,
    cancels: mpsc::Sender<ToHands>,
    newcomers: mpsc::Sender<OwnerInputs>,
    shared: Arc<Shared>,
}

impl Hands {
    /// Both ends within this process: what asks, and the link that must be started to carry it. What the hands say of
    /// the targets goes to the buses of `seats`, and what they say of the appliance to `system`.
    pub fn new(seats: &[SeatBus], system: SystemBus) -> (Hands, Link) {
        let (requests, asked) = mpsc::channel(MOST_WAITING);
        let (cancels, cancelled) = mpsc::channel(MOST_TYPED);
        let (newcomers, came) = mpsc::channel(MOST_WAITING);
        let known = |bus: &SeatBus| {
            (bus.seat.clone(), KnownSeat { status: bus.status.clone(), takes_keys: AtomicBool::new(false) })
        };
        let shared = Arc::new(Shared {
            up: AtomicBool::new(false),
            seats: seats.iter().map(known).collect(),
            heartbeat: Heartbeat::new(Instant::now()),
            system,
            last_id: AtomicU64::new(0),
        });
        let link = Link::new(shared.clone(), asked, cancelled, came);
        (Hands { requests, cancels, newcomers, shared }, link)
    }

    /// Opens a queue for what one owner does at one seat, with the news of what is dropped of it.
    pub async fn attach(&self, seat: &SeatId, owner: Owner) -> (InputQueue, Drops) {
        let (inputs, waiting) = mpsc::channel(MOST_INPUTS);
        let (dropped, drops) = watch::channel(None);
        let theirs = OwnerInputs::new(seat.clone(), owner, waiting, dropped);
        // If the link has ended, so does the process; until then everything is refused.
        let _ = self.newcomers.send(theirs).await;
        (InputQueue { seat: seat.clone(), inputs, shared: self.shared.clone() }, Drops(drops))
    }

    /// Types strokes one after another and answers when the target has fetched the last release.
    pub async fn type_strokes(&self, seat: &SeatId, by: Requester, strokes: Vec<Stroke>) -> Result<(), HandsError> {
        let Requester { owner, person } = by;
        if MOST_STROKES < strokes.len() {
            return Err(HandsError::TooLong);
        }
        let strokes = strokes.iter().map(|stroke| (stroke.usage, stroke.modifiers)).collect();
        self.typed(seat, |id| ToHands::Strokes { seat: seat.clone(), id, owner, person, strokes }).await
    }

    /// Presses a chord (all down in order, then all up) and answers when the target has fetched the last release.
    pub async fn chord(&self, seat: &SeatId, by: Requester, usages: Vec<Usage>) -> Result<(), HandsError> {
        let Requester { owner, person } = by;
        if LARGEST_CHORD < usages.len() {
            return Err(HandsError::TooLong);
        }
        self.typed(seat, |id| ToHands::Chord { seat: seat.clone(), id, owner, person, usages }).await
    }

    /// Closes a contact for a time; answers once it is closed. It opens by itself.
    pub async fn press(&self, seat: &SeatId, contact: Contact, time: Duration) -> Result<(), HandsError> {
        let millis = time.as_millis().try_into().unwrap_or(u64::MAX);
        self.shared.reach(seat)?;
        let id = self.next_id();
        self.ask(ToHands::Press { seat: seat.clone(), id, contact, millis }).await
    }

    /// Signals a target that sleeps to wake up; answers once that is done.
    pub async fn wake(&self, seat: &SeatId) -> Result<(), HandsError> {
        self.shared.reach(seat)?;
        let id = self.next_id();
        self.ask(ToHands::Wake { seat: seat.clone(), id }).await
    }

    /// For how long nothing has been heard of the process with the hardware.
    pub fn silence(&self, now: Instant) -> Duration {
        self.shared.heartbeat.age(now)
    }

    /// Has the file in the spool folder installed; answers once the installer runs, or a card hangs.
    pub async fn install(&self, len: u64) -> Result<(), HandsError> {
        let silent = || ApplianceError::Spool(format!("no answer within {} s", INSTALL_TIMEOUT.as_secs()));
        let asked = timeout(INSTALL_TIMEOUT, self.ask_appliance(|id| ToHands::Install { id, len }));
        asked.await.map_err(|_| silent())?
    }

    /// Restarts the appliance; answers once that has begun.
    pub async fn restart(&self) -> Result<(), HandsError> {
        self.ask_appliance(|id| ToHands::Restart { id }).await
    }

    /// Makes the appliance forget everything but what is installed; answers once that has begun.
    pub async fn factory_reset(&self) -> Result<(), HandsError> {
        self.ask_appliance(|id| ToHands::FactoryReset { id }).await
    }

    /// Switches the USB port of a capture device off and on; answers once that is done.
    pub async fn cycle_port(&self, port: HubPort) -> Result<(), HandsError> {
        self.ask_appliance(|id| ToHands::CyclePort { id, port }).await
    }

    /// Has another configuration count where the one of the revision `expected` does; answers once it is stored.
    pub async fn configure(&self, text: String, expected: String, who: String) -> Result<(), HandsError> {
        self.ask_appliance(|id| ToHands::Configure { id, text, expected, who }).await
    }

    /// Keeps the configuration that is tried, or takes it back.
    pub async fn settle(&self, keep: bool) -> Result<(), HandsError> {
        self.ask_appliance(|id| ToHands::Settle { id, keep }).await
    }

    async fn ask_appliance(&self, ask: impl FnOnce(u64) -> ToHands) -> Result<(), HandsError> {
        if !self.shared.up.load(Ordering::Relaxed) {
            return Err(HandsError::Away);
        }
        self.ask(ask(self.next_id())).await
    }

    /// Asks for something to be typed, and has it stopped if the caller does not wait for the end.
    async fn typed(&self, seat: &SeatId, ask: impl FnOnce(u64) -> ToHands) -> Result<(), HandsError> {
        if !self.shared.reach(seat)?.takes_keys.load(Ordering::Relaxed) {
            return Err(HandsError::Unplugged);
        }
        let place = self.cancels.clone().reserve_owned().await.map_err(|_| HandsError::Away)?;
        let id = self.next_id();
        let mut cancel = CancelOnDrop(Some((place, ToHands::Cancel { seat: seat.clone(), id })));
        let outcome = self.ask(ask(id)).await;
        cancel.0 = None;
        outcome
    }

    async fn ask(&self, message: ToHands) -> Result<(), HandsError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request { message, answer }).await.map_err(|_| HandsError::Away)?;
        answered.await.unwrap_or(Err(HandsError::Away))
    }

    fn next_id(&self) -> u64 {
        self.shared.last_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// What one owner does at one seat, in order. Dropped, it releases all that they hold.
#[derive(Debug)]
pub struct InputQueue {
    seat: SeatId,
    inputs: mpsc::Sender<Input>,
    shared: Arc<Shared>,
}

impl InputQueue {
    /// Whether [`InputQueue::send`] would find a place.
    pub fn has_room(&self) -> bool {
        // Only this end puts something in, so a place that is there stays there.
        0 < self.inputs.capacity()
    }

    /// Waits until there is room.
    pub async fn room(&self) {
        if self.inputs.reserve().await.is_err() {
            // The link has ended, and with it soon the process.
            pending().await
        }
    }

    /// Sends one input. Only when there [is room](InputQueue::has_room). [`Drops`] reports what fails later.
    ///
    /// A key pressed while the target takes none is refused as [`HandsError::Unplugged`], but noted: if it is still
    /// held when the target takes the keyboard, it is pressed then, as firmware wants it for its set-up.
    pub fn send(&self, input: Input) -> Result<(), HandsError> {
        let known = self.shared.reach(&self.seat)?;
        let is_unplugged = input.acts() && !known.takes_keys.load(Ordering::Relaxed);
        if is_unplugged && !matches!(input, Input::Key { .. }) {
            return Err(HandsError::Unplugged);
        }
        self.inputs.try_send(input).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => HandsError::Flooded,
            mpsc::error::TrySendError::Closed(_) => HandsError::Away,
        })?;
        if is_unplugged { Err(HandsError::Unplugged) } else { Ok(()) }
    }
}

/// News of input that was dropped after it had been accepted.
#[derive(Debug)]
pub struct Drops(watch::Receiver<Option<HandsError>>);

impl Drops {
    /// Waits until something of this owner is dropped, and says why. Of drops in quick succession it reports the last.
    pub async fn next(&mut self) -> HandsError {
        while self.0.changed().await.is_ok() {
            if let Some(error) = self.0.borrow_and_update().clone() {
                return error;
            }
        }
        pending().await
    }
}

/// Cancels what its owner stopped waiting for.
struct CancelOnDrop(Option<(OwnedPermit<ToHands>, ToHands)>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some((place, message)) = self.0.take() {
            place.send(message);
        }
    }
}
