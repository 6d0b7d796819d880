//! The hands with one machine, clients and servers that say only what they are told to, and ways between them.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use farhand::base::front_panel::Contact;
use farhand::base::heartbeat::Heartbeat;
use farhand::base::seat_id::SeatId;
use farhand::base::tasks::{Stop, Stopper, Tasks, stop};
use farhand::bus::{FrameBus, SeatBus, StatusBus, SystemBus};
use farhand::hands::appliance::ApplianceClient;
use farhand::hands::client::{Drops, Hands, HandsError, Input, InputQueue, Owner, Person, Requester};
use farhand::hands::link::ServerSource;
use farhand::hands::protocol::{Decoder, FromHands, ToHands, encode};
use farhand::hands::server::{ClientSource, run};
use farhand::hid::keyboard::Usage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::machine::Machine;

pub const ANNA: Owner = Owner(1);
pub const BERT: Owner = Owner(2);
pub const A: Usage = Usage(4);
pub const B: Usage = Usage(5);
pub const HALF: Duration = Duration::from_millis(500);

/// A request of a person of whom there is only this one.
pub fn by(owner: Owner) -> Requester {
    Requester { owner, person: Person::new(&owner.0.to_string()) }
}

pub fn seat() -> SeatId {
    SeatId::try_from("main".to_string()).unwrap()
}

/// The hands with one machine, and a way to them.
pub struct Bench {
    pub machine: Machine,
    pub status: StatusBus,
    pub hands: Hands,
    pub anna: (InputQueue, Drops),
    pub bert: (InputQueue, Drops),
    pub server: JoinHandle<()>,
    pub stopper: Stopper,
    _tasks: Tasks,
}

pub fn bus() -> (SeatBus, StatusBus) {
    let status = StatusBus::default();
    let heartbeat = Heartbeat::new(std::time::Instant::now());
    (SeatBus { seat: seat(), frames: FrameBus::default(), status: status.clone(), heartbeat }, status)
}

impl Bench {
    pub async fn new() -> Bench {
        Bench::with(|_, _| ApplianceClient::simulated()).await
    }

    /// With an appliance that they take care of.
    pub async fn with(appliance: impl FnOnce(&Tasks, Stop) -> ApplianceClient) -> Bench {
        let (machine, (stopper, stop)) = (Machine::new(), stop());
        let (connect, clients) = mpsc::channel(1);
        let boards = BTreeMap::from([(seat(), machine.board())]);
        let tasks = Tasks::new(stop.clone());
        let appliance = appliance(&tasks, stop.clone());
        let server = tokio::spawn(run(ClientSource::Inside(clients), boards, appliance, stop));
        let (bus, status) = bus();
        let (hands, link) = Hands::new(&[bus], SystemBus::default());
        // On this runtime, whose clock may be held still.
        tasks.spawn("the line to the hands", link.run(ServerSource::Inside(connect)));
        let (anna, bert) = (hands.attach(&seat(), ANNA).await, hands.attach(&seat(), BERT).await);
        let bench = Bench { machine, status, hands, anna, bert, server, stopper, _tasks: tasks };
        bench.known("the target takes keys", |bench| bench.status.now().target.takes_keys()).await;
        bench
    }

    pub fn input(&self, owner: Owner, input: Input) -> Result<(), HandsError> {
        let (queue, _) = if owner == ANNA { &self.anna } else { &self.bert };
        queue.send(input)
    }

    pub fn key(&self, owner: Owner, usage: Usage, down: bool) {
        self.input(owner, Input::Key { usage, down }).unwrap();
    }

    /// Waits until the status bus says so.
    pub async fn known(&self, what: &str, so: impl Fn(&Bench) -> bool) {
        let mut status = self.status.watch();
        let wait = async {
            while !so(self) {
                status.changed().await.unwrap();
            }
        };
        assert!(timeout(Duration::from_secs(20), wait).await.is_ok(), "not within 20 s: {what}");
    }
}

/// A client that sends only what a test has it send.
pub struct RawClient {
    pub stream: UnixStream,
    decoder: Decoder,
}

impl RawClient {
    pub fn new(stream: UnixStream) -> RawClient {
        RawClient { stream, decoder: Decoder::default() }
    }

    pub async fn say(&mut self, message: &ToHands) {
        self.stream.write_all(&encode(message).unwrap()).await.unwrap();
    }

    pub async fn key(&mut self, usage: Usage) {
        self.say(&ToHands::Input { seat: seat(), owner: ANNA, input: Input::Key { usage, down: true } }).await;
    }

    pub async fn press(&mut self, contact: Contact) {
        self.say(&ToHands::Press { seat: seat(), id: 1, contact, millis: 12_000 }).await;
    }

    /// The next message, or None at the end.
    pub async fn hear(&mut self) -> Option<FromHands> {
        loop {
            if let Some(message) = self.decoder.poll().unwrap() {
                return Some(message);
            }
            let mut piece = [0; 1024];
            match soon("an answer", self.stream.read(&mut piece)).await {
                Ok(0) | Err(_) => return None,
                Ok(len) => self.decoder.feed(&piece[..len]),
            }
        }
    }

    pub async fn is_hung_up(&mut self) {
        while self.hear().await.is_some() {}
    }
}

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.unwrap_or_else(|_| panic!("not within 20 s: {what}"))
}

/// A way into the hands, and its other end.
pub fn inside() -> (UnixStream, ClientSource) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let (connect, clients) = mpsc::channel(1);
    connect.try_send(theirs).unwrap();
    (UnixStream::from_std(ours).unwrap(), ClientSource::Inside(clients))
}

/// The hands with a client that may misbehave.
pub fn with_raw_client() -> (RawClient, Machine, Stopper) {
    let (ours, source) = inside();
    let (machine, (stopper, stop)) = (Machine::new(), stop());
    tokio::spawn(run(source, BTreeMap::from([(seat(), machine.board())]), ApplianceClient::simulated(), stop));
    (RawClient::new(ours), machine, stopper)
}

/// A folder that is removed with all it holds.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("farhand-hands-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    pub fn socket(&self) -> PathBuf {
        self.0.join("hands.sock")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn me() -> u32 {
    nix::unistd::getuid().as_raw()
}

/// Runs to its end what belongs to another process, or another thread.
pub fn on_a_runtime(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

/// Hands that say only what they are told to say.
pub struct RawServer {
    pub stream: UnixStream,
    decoder: Decoder,
}

pub async fn inside_server(connections: &mut mpsc::Receiver<std::os::unix::net::UnixStream>) -> RawServer {
    let stream = soon("a connection", connections.recv()).await.unwrap();
    stream.set_nonblocking(true).unwrap();
    RawServer { stream: UnixStream::from_std(stream).unwrap(), decoder: Decoder::default() }
}

impl RawServer {
    pub async fn tell(&mut self, message: &FromHands) {
        self.stream.write_all(&encode(message).unwrap()).await.unwrap();
    }

    pub async fn hear(&mut self) -> ToHands {
        loop {
            if let Some(message) = self.decoder.poll().unwrap() {
                return message;
            }
            let mut piece = [0; 1024];
            let len = soon("something to hear", self.stream.read(&mut piece)).await.unwrap();
            assert!(0 < len, "the line has ended");
            self.decoder.feed(&piece[..len]);
        }
    }
}
