//! Carries requests to the process with the hardware, and its messages back to everybody.
//!
//! The other end releases everything when it hears nothing for a second, so the link beats on a thread of its own,
//! where nothing that the network sends can delay it. If the connection breaks, the other end has already released
//! everything held; the link connects again by itself, and until it has, it answers requests with [`HandsError::Away`].
//!
//! A thread of its own would also go on beating for viewers whom nobody attends to any more. So the link hangs up while
//! the thread that attends to them stands still.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::connection::has_unread;
use super::pending::{Answer, OwnerInputs, Request, Shared, Turns};
use super::protocol::{Decoder, FrameError, FromHands, HandsError, ToHands, encode};
use crate::base::heartbeat::Heartbeat;
use crate::base::tasks::{Stop, Tasks};
use crate::bus::TargetStatus;

/// How often the other end hears from us. It releases everything after a second of silence.
const BEAT: Duration = Duration::from_millis(200);

/// How long the other end may be silent. It says something once a second.
const SILENCE: Duration = Duration::from_secs(3);

/// How long a write may take. The other end never waits for anything, so one that does not read is dead.
const WRITE: Duration = Duration::from_secs(1);

/// How long the thread that attends to the viewers may stand still. Who floods it with work delays it by less; what a
/// viewer holds who vanishes meanwhile is released no later than this.
const STANDSTILL: Duration = Duration::from_secs(5);

/// Waits between attempts to connect, from the first to the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Where the process with the hardware is reached.
#[derive(Debug)]
pub enum ServerSource {
    /// It listens here.
    Socket(PathBuf),
    /// It is in this process, and takes its half of each pair from here.
    Inside(mpsc::Sender<std::os::unix::net::UnixStream>),
}

/// The way to the process with the hardware.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
    asked: mpsc::Receiver<Request>,
    cancelled: mpsc::Receiver<ToHands>,
    newcomers: mpsc::Receiver<OwnerInputs>,
    turns: Turns,
    callers: Option<Heartbeat>,
}

/// Something to pass on.
enum Next {
    Request(Request),
    Message(ToHands),
    Unneeded,
}

impl Link {
    pub(super) fn new(
        shared: Arc<Shared>,
        asked: mpsc::Receiver<Request>,
        cancelled: mpsc::Receiver<ToHands>,
        newcomers: mpsc::Receiver<OwnerInputs>,
    ) -> Link {
        Link { shared, asked, cancelled, newcomers, turns: Turns::default(), callers: None }
    }

    /// Holds nothing for longer than this is beaten, every few hundred milliseconds, by those who ask.
    #[must_use]
    pub fn while_alive(self, callers: Heartbeat) -> Link {
        Link { callers: Some(callers), ..self }
    }

    /// Runs on a thread of its own, for as long as anybody may ask something and the runtime of this call goes round.
    pub fn start(self, source: ServerSource, tasks: &Tasks, stop: Stop) -> io::Result<()> {
        let callers = Heartbeat::new(std::time::Instant::now());
        tasks.spawn("the beat for the hands", beat(callers.clone(), stop));
        let link = self.while_alive(callers);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        tasks.thread("the line to the hands", move |_| runtime.block_on(link.run(source)))
    }

    /// Runs on whatever runtime this is called. The daemon [starts](Link::start) it apart from everything else; a test
    /// that holds the clock still wants both ends to have the same clock.
    pub async fn run(mut self, source: ServerSource) {
        let mut back_off = BACK_OFF.0;
        loop {
            // Nothing that is asked now comes from somebody who still waits for it.
            while self.stands_still() {
                if self.refuse_for(BEAT).await.is_break() {
                    return;
                }
            }
            match source.connect().await {
                Ok(Some(stream)) => {
                    let begun = Instant::now();
                    match self.talk(stream).await {
                        End::Unneeded => return,
                        end => log::warn!("hands: {end}; connecting again"),
                    }
                    if BACK_OFF.1 < begun.elapsed() {
                        back_off = BACK_OFF.0;
                    }
                }
                // The server that was in this process has ended.
                Ok(None) => return,
                // At the start the other process may not be listening yet, which is nothing to complain of.
                Err(error) if back_off < BACK_OFF.1 => log::debug!("hands: {error}"),
                Err(error) => log::warn!("hands: cannot connect: {error}"),
            }
            if self.refuse_for(back_off).await.is_break() {
                return;
            }
            back_off = BACK_OFF.1.min(2 * back_off);
        }
    }

    /// Carries nothing for this long, and says so to whoever asks. Breaks if nobody will ask again.
    async fn refuse_for(&mut self, time: Duration) -> ControlFlow<()> {
        let pause = sleep(time);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return ControlFlow::Continue(()),
                next = self.next() => match next {
                    Next::Request(request) => _ = request.answer.send(Err(HandsError::Away)),
                    Next::Message(message) => self.drop_message(&message),
                    Next::Unneeded => return ControlFlow::Break(()),
                },
            }
        }
    }

    /// Whether nobody attends to those who hold something.
    fn stands_still(&self) -> bool {
        self.callers.as_ref().is_some_and(|callers| STANDSTILL <= callers.age(Instant::now().into_std()))
    }

    /// The next thing to pass on: of requests, cancels and inputs whichever comes, and of inputs one of each owner in
    /// turn.
    async fn next(&mut self) -> Next {
        loop {
            let Link { asked, cancelled, newcomers, turns, .. } = self;
            tokio::select! {
                request = asked.recv() => match request {
                    Some(request) => return Next::Request(request),
                    None => return Next::Unneeded,
                },
                Some(message) = cancelled.recv() => return Next::Message(message),
                Some(theirs) = newcomers.recv() => turns.push(theirs),
                message = poll_fn(|context| turns.poll(context)) => return Next::Message(message),
            }
        }
    }

    /// One conversation. When it ends nobody waits for an answer, and nothing is known of the targets.
    async fn talk(&mut self, stream: UnixStream) -> End {
        let mut conversation = Conversation { stream, waiting: HashMap::new() };
        let Err(end) = conversation.run(self).await;
        self.shared.up.store(false, Ordering::Relaxed);
        for seat in self.shared.seats.values() {
            seat.takes_keys.store(false, Ordering::Relaxed);
            seat.status.update(|status| status.target = TargetStatus::default());
        }
        // Who comes next tells of a trial if there is one.
        self.shared.system.update(|system| system.machine.take().is_some() | system.trial.take().is_some());
        for answer in conversation.waiting.into_values() {
            let _ = answer.send(Err(HandsError::Away));
        }
        self.turns.all_dropped(&HandsError::Away);
        end
    }

    /// Tells an owner that what they sent will not arrive. A release need not: all has been released.
    fn drop_message(&self, message: &ToHands) {
        if let ToHands::Input { seat, owner, input } = message
            && input.acts()
        {
            self.turns.tell_dropped(seat, *owner, HandsError::Away);
        }
    }

    /// Takes in what the other end says.
    fn hear(&self, message: FromHands, waiting: &mut HashMap<u64, Answer>) {
        self.shared.up.store(true, Ordering::Relaxed);
        self.shared.heartbeat.beat(Instant::now().into_std());
        match message {
            FromHands::Beat => (),
            FromHands::Done { id, error, .. } => {
                if let Some(answer) = waiting.remove(&id) {
                    // Whoever does not listen any more does not mind.
                    let _ = answer.send(error.map_or(Ok(()), Err));
                }
            }
            FromHands::ApplianceDone { id, error } => {
                if let Some(answer) = waiting.remove(&id) {
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
            FromHands::Trial { trial } => {
                self.shared.system.update(|system| {
                    let changed = system.trial != trial;
                    system.trial = trial;
                    changed
                });
            }
            FromHands::Dropped { seat, owner, error } => self.turns.tell_dropped(&seat, owner, error),
            FromHands::Status { seat, status } => {
                if let Some(seat) = self.shared.seats.get(&seat) {
                    seat.takes_keys.store(status.takes_keys(), Ordering::Relaxed);
                    seat.status.update(|known| known.target = status);
                }
            }
        }
    }
}

/// Says that this runtime goes round, until it is time to end.
async fn beat(heartbeat: Heartbeat, mut stop: Stop) {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beat.tick() => heartbeat.beat(std::time::Instant::now()),
            () = stop.requested() => return,
        }
    }
}

impl ServerSource {
    /// Connects; `None` if there will never be anybody there again.
    async fn connect(&self) -> io::Result<Option<UnixStream>> {
        match self {
            ServerSource::Socket(path) => {
                let named = |error| io::Error::other(format!("{}: {error}", path.display()));
                UnixStream::connect(path).await.map(Some).map_err(named)
            }
            ServerSource::Inside(server) => {
                let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
                ours.set_nonblocking(true)?;
                if server.send(theirs).await.is_err() {
                    return Ok(None);
                }
                UnixStream::from_std(ours).map(Some)
            }
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
    #[error("the main thread has stood still for {} s, so everything held was let go", STANDSTILL.as_secs())]
    StoodStill,
    #[error("the other end does not make sense: {0}")]
    Protocol(#[from] FrameError),
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

struct Conversation {
    stream: UnixStream,
    waiting: HashMap<u64, Answer>,
}

impl Conversation {
    async fn run(&mut self, link: &mut Link) -> Result<std::convert::Infallible, End> {
        let (mut decoder, mut piece, mut heard) = (Decoder::default(), [0; 4096], Instant::now());
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // The beat first: whatever else there is to do, it is what keeps keys and relays held.
                biased;
                _ = beat.tick() => {
                    if link.stands_still() {
                        return Err(End::StoodStill);
                    }
                    if SILENCE < heard.elapsed() && !has_unread(&self.stream) {
                        return Err(End::Silent);
                    }
                    self.say(&ToHands::Beat).await?;
                }
                read = self.stream.read(&mut piece) => {
                    let len = read?;
                    if len == 0 {
                        return Err(End::HungUp);
                    }
                    heard = Instant::now();
                    decoder.feed(&piece[..len]);
                    while let Some(message) = decoder.poll()? {
                        link.hear(message, &mut self.waiting);
                    }
                }
                next = link.next() => match next {
                    Next::Request(Request { message, answer }) => {
                        if let Some(id) = message.id() {
                            self.waiting.insert(id, answer);
                        }
                        self.say(&message).await?;
                    }
                    Next::Message(message) => self.say(&message).await?,
                    Next::Unneeded => return Err(End::Unneeded),
                },
            }
        }
    }

    async fn say(&mut self, message: &ToHands) -> Result<(), End> {
        let frame = encode(message)?;
        timeout(WRITE, self.stream.write_all(&frame)).await.map_err(|_| End::Silent)??;
        Ok(())
    }
}
