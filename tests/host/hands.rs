//! The hands and their client, over real sockets.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use farhand::base::front_panel::{Contact, Lamps};
use farhand::base::heartbeat::Heartbeat;
use farhand::base::seat_id::SeatId;
use farhand::base::tasks::{Stopper, Tasks, stop};
use farhand::base::usb::{KeyboardLeds, Report, Udc};
use farhand::bus::{FrameBus, SeatBus, StatusBus, SystemBus, TargetStatus};
use farhand::hands::appliance::ApplianceClient;
use farhand::hands::client::{Drops, Hands, HandsError, Input, InputQueue, Owner};
use farhand::hands::link::ServerSource;
use farhand::hands::protocol::{Decoder, FromHands, ToHands, encode};
use farhand::hands::server::{ClientSource, listen, run};
use farhand::hid::keyboard::Usage;
use farhand::hid::text::strokes;
use farhand::ports::UsbEvent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::machine::{Machine, State, Target};

const ANNA: Owner = Owner(1);
const BERT: Owner = Owner(2);
const A: Usage = Usage(4);
const B: Usage = Usage(5);
const HALF: Duration = Duration::from_millis(500);

fn seat() -> SeatId {
    SeatId::try_from("main".to_string()).unwrap()
}

/// The hands with one machine, and a way to them.
struct Bench {
    machine: Machine,
    status: StatusBus,
    hands: Hands,
    anna: (InputQueue, Drops),
    bert: (InputQueue, Drops),
    server: JoinHandle<()>,
    stopper: Stopper,
    _tasks: Tasks,
}

fn bus() -> (SeatBus, StatusBus) {
    let status = StatusBus::default();
    let heartbeat = Heartbeat::new(std::time::Instant::now());
    (SeatBus { seat: seat(), frames: FrameBus::default(), status: status.clone(), heartbeat }, status)
}

impl Bench {
    async fn new() -> Bench {
        let (machine, (stopper, stop)) = (Machine::new(), stop());
        let (connect, clients) = mpsc::channel(1);
        let boards = BTreeMap::from([(seat(), machine.board())]);
        let server =
            tokio::spawn(run(ClientSource::Inside(clients), boards, ApplianceClient::simulated(), stop.clone()));
        let tasks = Tasks::new(stop);
        let (bus, status) = bus();
        let (hands, link) = Hands::new(&[bus], SystemBus::default());
        // On this runtime, whose clock may be held still.
        tasks.spawn("the line to the hands", link.run(ServerSource::Inside(connect)));
        let (anna, bert) = (hands.attach(&seat(), ANNA).await, hands.attach(&seat(), BERT).await);
        let bench = Bench { machine, status, hands, anna, bert, server, stopper, _tasks: tasks };
        bench.known("the target takes keys", |bench| bench.status.now().target.takes_keys()).await;
        bench
    }

    fn input(&self, owner: Owner, input: Input) -> Result<(), HandsError> {
        let (queue, _) = if owner == ANNA { &self.anna } else { &self.bert };
        queue.send(input)
    }

    fn key(&self, owner: Owner, usage: Usage, down: bool) {
        self.input(owner, Input::Key { usage, down }).unwrap();
    }

    /// Waits until the status bus says so.
    async fn known(&self, what: &str, so: impl Fn(&Bench) -> bool) {
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
struct RawClient {
    stream: UnixStream,
    decoder: Decoder,
}

impl RawClient {
    fn new(stream: UnixStream) -> RawClient {
        RawClient { stream, decoder: Decoder::default() }
    }

    async fn say(&mut self, message: &ToHands) {
        self.stream.write_all(&encode(message).unwrap()).await.unwrap();
    }

    async fn key(&mut self, usage: Usage) {
        self.say(&ToHands::Input { seat: seat(), owner: ANNA, input: Input::Key { usage, down: true } }).await;
    }

    async fn press(&mut self, contact: Contact) {
        self.say(&ToHands::Press { seat: seat(), id: 1, contact, millis: 12_000 }).await;
    }

    /// The next message, or None at the end.
    async fn hear(&mut self) -> Option<FromHands> {
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

    async fn is_hung_up(&mut self) {
        while self.hear().await.is_some() {}
    }
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future).await.unwrap_or_else(|_| panic!("not within 20 s: {what}"))
}

/// A way into the hands, and its other end.
fn inside() -> (UnixStream, ClientSource) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let (connect, clients) = mpsc::channel(1);
    connect.try_send(theirs).unwrap();
    (UnixStream::from_std(ours).unwrap(), ClientSource::Inside(clients))
}

/// The hands with a client that may misbehave.
fn with_raw_client() -> (RawClient, Machine, Stopper) {
    let (ours, source) = inside();
    let (machine, (stopper, stop)) = (Machine::new(), stop());
    tokio::spawn(run(source, BTreeMap::from([(seat(), machine.board())]), ApplianceClient::simulated(), stop));
    (RawClient::new(ours), machine, stopper)
}

/// A folder that is removed with all it holds.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("farhand-hands-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("hands.sock")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn me() -> u32 {
    nix::unistd::getuid().as_raw()
}

#[tokio::test]
async fn keys_reach_the_target_in_order() {
    let bench = Bench::new().await;
    for usage in [A, B] {
        bench.key(ANNA, usage, true);
        bench.key(ANNA, usage, false);
    }
    bench.machine.until("four reports", |state| state.reports.len() == 4).await;
    let keys = bench.machine.look(|state| state.reports.clone());
    let first = |key| Report::Keyboard([0, 0, key, 0, 0, 0, 0, 0]);
    assert_eq!([first(4), first(0), first(5), first(0)].as_slice(), keys);
}

#[tokio::test]
async fn who_leaves_takes_only_their_own_keys() {
    let bench = Bench::new().await;
    bench.key(ANNA, A, true);
    bench.key(BERT, A, true);
    bench.key(ANNA, B, true);
    bench.machine.until_keys([0, 0, 4, 5, 0, 0, 0, 0]).await;
    bench.input(ANNA, Input::Release).unwrap();
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    bench.input(BERT, Input::Release).unwrap();
    bench.machine.until_keys([0; 8]).await;
}

#[tokio::test]
async fn a_client_that_dies_in_mid_press_lets_go_of_everything() {
    let (mut client, machine, _stopper) = with_raw_client();
    client.key(Usage(0xE1)).await;
    let point = Input::Pointer { x: 5, y: 5, buttons: 1 };
    client.say(&ToHands::Input { seat: seat(), owner: ANNA, input: point }).await;
    client.press(Contact::Power).await;
    machine.until_closed(Contact::Power).await;
    machine.until("key and button are held", |state| state.keys()[0] == 2 && state.buttons() == 1).await;
    drop(client);
    machine.until("the relay is open", |state| state.closed().is_empty()).await;
    // The same turn of the loop did both, so there is nothing more to wait for.
    machine.look(|state| assert_eq!(([0; 8], 0), (state.keys(), state.buttons())));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_falls_silent_is_cut_off_after_a_second() {
    let (mut client, machine, _stopper) = with_raw_client();
    client.key(A).await;
    client.press(Contact::Reset).await;
    machine.until_closed(Contact::Reset).await;
    machine.until("the relay is open", |state| state.closed().is_empty()).await;
    machine.look(|state| {
        let press = state.press();
        assert!((Duration::from_millis(990)..=Duration::from_millis(1010)).contains(&press), "{press:?}");
        assert_eq!([0; 8], state.keys());
    });
    client.is_hung_up().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_beats_keeps_what_it_holds() {
    let bench = Bench::new().await;
    bench.key(ANNA, A, true);
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    // The clock is held still, so this takes no time but lets every beat of half a minute pass.
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!([0, 0, 4, 0, 0, 0, 0, 0], bench.machine.look(State::keys));
}

#[tokio::test(start_paused = true)]
async fn a_press_is_answered_when_closed_and_ends_by_itself() {
    let bench = Bench::new().await;
    bench.hands.press(&seat(), Contact::Power, HALF).await.unwrap();
    assert_eq!([Contact::Power].as_slice(), bench.machine.look(State::closed));
    let busy = bench.hands.press(&seat(), Contact::Reset, HALF).await;
    assert_eq!(Err(HandsError::Busy(Contact::Power)), busy);
    bench.machine.until("the relay is open", |state| state.closed().is_empty()).await;
    let press = bench.machine.look(State::press);
    assert!((HALF..=HALF + Duration::from_millis(2)).contains(&press), "{press:?}");
    bench.hands.press(&seat(), Contact::Reset, HALF).await.unwrap();
}

#[tokio::test]
async fn presses_that_cannot_be_are_refused_with_the_reason() {
    let bench = Bench::new().await;
    for time in [Duration::from_millis(49), Duration::from_millis(12_001), Duration::MAX] {
        assert_eq!(Err(HandsError::Length), bench.hands.press(&seat(), Contact::Power, time).await);
    }
    bench.machine.change(|state| state.relay = Err(io::ErrorKind::Unsupported));
    let press = bench.hands.press(&seat(), Contact::Power, HALF).await;
    assert_eq!(Err(HandsError::NoRelay(Contact::Power)), press);
    bench.machine.change(|state| state.relay = Err(io::ErrorKind::BrokenPipe));
    let press = bench.hands.press(&seat(), Contact::Power, HALF).await;
    assert!(matches!(press, Err(HandsError::Relay(_))), "{press:?}");
    let elsewhere = SeatId::try_from("elsewhere".to_string()).unwrap();
    assert_eq!(Err(HandsError::Away), bench.hands.press(&elsewhere, Contact::Power, HALF).await);
    assert!(bench.machine.look(State::closed).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_text_is_answered_when_its_last_release_was_fetched() {
    let bench = Bench::new().await;
    bench.hands.type_strokes(&seat(), ANNA, strokes("Hi\n").unwrap()).await.unwrap();
    let keys: Vec<_> = bench.machine.look(|state| {
        let key = |report: &Report| if let Report::Keyboard(keys) = report { keys[2] } else { 0 };
        state.reports.iter().map(key).filter(|key| *key != 0).collect()
    });
    assert_eq!([0x0B, 0x0C, 0x28].as_slice(), keys);
    assert_eq!([0; 8], bench.machine.look(State::keys));
    bench.hands.chord(&seat(), ANNA, vec![Usage(0xE0), Usage(0x4C)]).await.unwrap();
}

#[tokio::test]
async fn a_text_that_nobody_waits_for_is_stopped() {
    let bench = Bench::new().await;
    let text = strokes(&"x".repeat(1000)).unwrap();
    {
        let seat = seat();
        let typing = bench.hands.type_strokes(&seat, ANNA, text);
        tokio::select! {
            _ = typing => panic!("a thousand keys cannot have been typed yet"),
            () = bench.machine.until("typing has begun", |state| state.keys()[2] == 0x1B) => (),
        }
    }
    bench.hands.chord(&seat(), BERT, vec![A]).await.unwrap();
    let typed = bench.machine.look(|state| state.reports.len());
    assert!(typed < 1000, "{typed} reports");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_fetches_nothing_is_reported_and_gets_nothing_late() {
    let bench = Bench::new().await;
    bench.machine.target(Target::Ignores);
    let typing = bench.hands.type_strokes(&seat(), ANNA, strokes("rm").unwrap()).await;
    assert_eq!(Err(HandsError::Stale), typing);
    bench.machine.target(Target::Fetches);
    bench.hands.chord(&seat(), ANNA, vec![B]).await.unwrap();
    let r = Report::Keyboard([0, 0, 0x15, 0, 0, 0, 0, 0]);
    assert!(!bench.machine.look(|state| state.reports.contains(&r)), "a stale key was replayed");
}

#[tokio::test(start_paused = true)]
async fn keys_that_go_stale_are_told_to_their_owner_and_nobody_else() {
    let mut bench = Bench::new().await;
    bench.machine.target(Target::Ignores);
    bench.key(ANNA, A, true);
    bench.key(ANNA, A, false);
    assert_eq!(HandsError::Stale, soon("the drop is told", bench.anna.1.next()).await);
    assert!(timeout(HALF, bench.bert.1.next()).await.is_err());
    assert_eq!(Ok(()), bench.input(BERT, Input::Release));
}

#[tokio::test]
async fn a_burst_of_one_loses_nothing_and_costs_nobody_else_anything() {
    let bench = Bench::new().await;
    let shift = Usage(0xE1);
    bench.key(ANNA, shift, true);
    bench.machine.until_keys([2, 0, 0, 0, 0, 0, 0, 0]).await;
    let (hands, text) = (bench.hands.clone(), strokes(&"x".repeat(50)).unwrap());
    let typing = tokio::spawn(async move { hands.type_strokes(&seat(), Owner(3), text).await });
    bench.machine.until("typing has begun", |state| state.keys()[2] == 0x1B).await;
    let burst = async {
        for n in 0..3000 {
            bench.bert.0.room().await;
            assert_eq!(Ok(()), bench.bert.0.send(Input::Key { usage: B, down: n % 2 == 0 }));
        }
    };
    soon("the burst is taken", burst).await;
    assert_eq!(Ok(()), soon("the text is typed", typing).await.unwrap());
    bench.input(BERT, Input::Key { usage: A, down: true }).unwrap();
    bench.machine.until("the last key of the burst came", |state| state.keys() == [2, 0, 4, 0, 0, 0, 0, 0]).await;
    bench.machine.look(|state| {
        let keys = state.reports.iter().filter_map(|report| match report {
            Report::Keyboard(keys) => Some(*keys),
            Report::Pointer(_) => None,
        });
        let keys: Vec<_> = keys.skip_while(|keys| keys[0] == 0).collect();
        assert!(keys.iter().all(|keys| keys[0] == 2), "Shift was let go");
        let is_down = |usage: Usage| keys.iter().map(move |keys| keys[2..].contains(&usage.0));
        let presses = |usage| is_down(usage).zip(is_down(usage).skip(1)).filter(|(before, after)| !before && *after);
        assert_eq!(1500, presses(B).count());
        assert_eq!(50, presses(Usage(0x1B)).count());
    });
}

#[tokio::test]
async fn an_unplugged_target_refuses_keys_at_once_but_never_a_release() {
    let bench = Bench::new().await;
    bench.key(ANNA, A, true);
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    bench.machine.target(Target::Unplugged);
    bench.machine.udc("not attached");
    bench.known("unplugged", |bench| !bench.status.now().target.takes_keys()).await;
    let key = Input::Key { usage: A, down: true };
    assert_eq!(Err(HandsError::Unplugged), bench.input(ANNA, key));
    assert_eq!(Err(HandsError::Unplugged), bench.hands.chord(&seat(), ANNA, vec![A]).await);
    assert_eq!(Ok(()), bench.input(ANNA, Input::Release));
    bench.machine.target(Target::Fetches);
    bench.machine.udc("configured");
    bench.machine.until_keys([0; 8]).await;
}

#[tokio::test]
async fn a_flood_that_is_not_fetched_is_told_to_its_owner_and_lets_go_of_theirs() {
    let mut bench = Bench::new().await;
    bench.key(ANNA, B, true);
    bench.key(BERT, Usage(0xE1), true);
    bench.machine.until_keys([2, 0, 5, 0, 0, 0, 0, 0]).await;
    bench.machine.target(Target::Ignores);
    let (queue, drops) = &mut bench.anna;
    let flood = async {
        for n in 0.. {
            queue.room().await;
            queue.send(Input::Key { usage: A, down: n % 2 == 0 }).unwrap();
        }
    };
    let told = async {
        tokio::select! {
            error = drops.next() => error,
            () = flood => unreachable!("it has no end"),
        }
    };
    assert_eq!(HandsError::Flooded, soon("the flood is told", told).await);
    bench.machine.target(Target::Fetches);
    soon("there is room", bench.anna.0.room()).await;
    bench.input(ANNA, Input::Release).unwrap();
    bench.machine.until_keys([2, 0, 0, 0, 0, 0, 0, 0]).await;
}

#[tokio::test]
async fn who_sends_faster_than_the_line_takes_waits_and_nobody_else() {
    let (hands, link) = Hands::new(&[bus().0], SystemBus::default());
    let (ours, mut connections) = mpsc::channel(1);
    let line = tokio::spawn(link.run(ServerSource::Inside(ours)));
    let mut server = inside_server(&mut connections).await;
    let status =
        TargetStatus { udc: Some(Udc { name: "udc.0".into(), state: "configured".into() }), ..TargetStatus::default() };
    server.tell(&FromHands::Status { seat: seat(), status }).await;
    let (anna, bert) = (hands.attach(&seat(), ANNA).await, hands.attach(&seat(), BERT).await);
    let key = |at: usize| Input::Key { usage: A, down: at.is_multiple_of(2) };
    let is_up = async {
        while bert.0.send(Input::Release).is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon("the line is up", is_up).await;
    while server.hear().await != (ToHands::Input { seat: seat(), owner: BERT, input: Input::Release }) {}
    // Nothing is awaited here, so the line does not run.
    let sent = (0..1000).take_while(|at| anna.0.has_room() && anna.0.send(key(*at)).is_ok()).count();
    assert!(0 < sent && sent < 1000 && bert.0.has_room(), "{sent}");
    bert.0.send(key(0)).unwrap();
    drop(anna);
    let mut heard = Vec::new();
    while heard.len() < sent + 2 {
        if let ToHands::Input { owner, input, .. } = server.hear().await {
            heard.push((owner, input));
        }
    }
    let theirs: Vec<_> = heard.iter().filter(|(owner, _)| *owner == ANNA).map(|(_, input)| *input).collect();
    assert_eq!(
        (0..sent).map(key).chain([Input::Release]).collect::<Vec<_>>(),
        theirs,
        "all of it, and then the release"
    );
    assert!(heard[..3].contains(&(BERT, key(0))), "in turn, not behind the flood");
    line.abort();
}

#[tokio::test]
async fn a_line_that_breaks_within_one_process_is_made_anew() {
    let (hands, link) = Hands::new(&[bus().0], SystemBus::default());
    let (ours, mut connections) = mpsc::channel(1);
    let line = tokio::spawn(link.run(ServerSource::Inside(ours)));
    for _ in 0..2 {
        let mut server = inside_server(&mut connections).await;
        let hands = hands.clone();
        server.tell(&FromHands::Beat).await;
        assert_eq!(ToHands::Beat, server.hear().await);
        let press = tokio::spawn(async move {
            while hands.press(&seat(), Contact::Power, HALF).await != Ok(()) {
                tokio::task::yield_now().await;
            }
        });
        let id = loop {
            if let ToHands::Press { id, .. } = server.hear().await {
                break id;
            }
        };
        server.tell(&FromHands::Done { seat: seat(), id, error: None }).await;
        soon("the press is answered", press).await.unwrap();
    }
    drop(connections);
    soon("the line ends with the server", line).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_hands_is_not_the_silence_of_their_client() {
    let (mut client, machine, _stopper) = with_raw_client();
    client.key(A).await;
    machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    for _ in 0..20 {
        // It has said this in time; that nobody was there to hear it is no fault of its own.
        client.say(&ToHands::Beat).await;
        tokio::time::advance(Duration::from_millis(1200)).await;
        while client.hear().await.expect("the hands hang up") != FromHands::Beat {}
    }
    assert_eq!([0, 0, 4, 0, 0, 0, 0, 0], machine.look(State::keys));
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_line_is_not_the_silence_of_the_hands() {
    let (_hands, link) = Hands::new(&[bus().0], SystemBus::default());
    let (ours, mut connections) = mpsc::channel(1);
    let line = tokio::spawn(link.run(ServerSource::Inside(ours)));
    let mut server = inside_server(&mut connections).await;
    for _ in 0..20 {
        server.tell(&FromHands::Beat).await;
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(ToHands::Beat, server.hear().await);
    }
    line.abort();
}

#[tokio::test]
async fn a_network_side_that_stands_still_does_not_end_a_press() {
    let (machine, (stopper, stop)) = (Machine::new(), stop());
    let (connect, clients) = mpsc::channel(1);
    let boards = BTreeMap::from([(seat(), machine.board())]);
    let tasks = Tasks::new(stop.clone());
    let hands_stop = stop.clone();
    let hands_process =
        move |_| on_a_runtime(run(ClientSource::Inside(clients), boards, ApplianceClient::simulated(), hands_stop));
    tasks.thread("the hands", hands_process).unwrap();
    let (bus, status) = bus();
    let (hands, link) = Hands::new(&[bus], SystemBus::default());
    link.start(ServerSource::Inside(connect), &tasks, stop).unwrap();
    let mut known = status.watch();
    soon("the target is known", known.wait_for(|status| status.target.takes_keys())).await.unwrap();
    let (anna, _drops) = hands.attach(&seat(), ANNA).await;
    anna.send(Input::Key { usage: A, down: true }).unwrap();
    machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    let time = Duration::from_millis(1500);
    hands.press(&seat(), Contact::Power, time).await.unwrap();
    // This thread is the network's. It does nothing at all until the relay is open again.
    let watched = machine.clone();
    let opened = async move { watched.until("the relay is open", |state| state.closed().is_empty()).await };
    std::thread::spawn(move || on_a_runtime(opened)).join().unwrap();
    machine.look(|state| {
        assert!(time <= state.press(), "{:?}", state.press());
        assert_eq!([0, 0, 4, 0, 0, 0, 0, 0], state.keys());
    });
    stopper.stop();
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_let_go_when_those_who_attend_to_viewers_stand_still() {
    let (machine, (_stopper, stop)) = (Machine::new(), stop());
    let (connect, clients) = mpsc::channel(1);
    let boards = BTreeMap::from([(seat(), machine.board())]);
    tokio::spawn(run(ClientSource::Inside(clients), boards, ApplianceClient::simulated(), stop));
    let (bus, status) = bus();
    let (hands, link) = Hands::new(&[bus], SystemBus::default());
    let callers = Heartbeat::new(Instant::now().into_std());
    let line = tokio::spawn(link.while_alive(callers.clone()).run(ServerSource::Inside(connect)));
    let mut known = status.watch();
    soon("the target is known", known.wait_for(|status| status.target.takes_keys())).await.unwrap();
    let (anna, mut drops) = hands.attach(&seat(), ANNA).await;
    anna.send(Input::Key { usage: A, down: true }).unwrap();
    machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    // Slow is not still: who floods the page may delay it by seconds.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(4)).await;
        callers.beat(Instant::now().into_std());
        machine.look(|state| assert_eq!([0, 0, 4, 0, 0, 0, 0, 0], state.keys()));
    }
    let still_since = Instant::now();
    machine.until_keys([0; 8]).await;
    let held = still_since.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&held), "held for {held:?}");
    assert_eq!(HandsError::Away, soon("Anna is told", drops.next()).await);
    soon("the target is forgotten", known.wait_for(|status| !status.target.takes_keys())).await.unwrap();
    callers.beat(Instant::now().into_std());
    soon("the target is known again", known.wait_for(|status| status.target.takes_keys())).await.unwrap();
    line.abort();
}

#[tokio::test]
async fn a_line_that_is_started_lives_as_long_as_its_runtime_goes_round() {
    let (stopper, stop) = stop();
    let mut tasks = Tasks::new(stop.clone());
    let (connect, mut connections) = mpsc::channel(1);
    let (_hands, link) = Hands::new(&[bus().0], SystemBus::default());
    link.start(ServerSource::Inside(connect), &tasks, stop).unwrap();
    soon("the line connects", connections.recv()).await.unwrap();
    stopper.stop();
    assert_eq!("the beat for the hands", soon("the beat ends", tasks.first_end()).await);
}

/// Runs to its end what belongs to another process, or another thread.
fn on_a_runtime(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

/// Hands that say only what they are told to say.
struct RawServer {
    stream: UnixStream,
    decoder: Decoder,
}

async fn inside_server(connections: &mut mpsc::Receiver<std::os::unix::net::UnixStream>) -> RawServer {
    let stream = soon("a connection", connections.recv()).await.unwrap();
    stream.set_nonblocking(true).unwrap();
    RawServer { stream: UnixStream::from_std(stream).unwrap(), decoder: Decoder::default() }
}

impl RawServer {
    async fn tell(&mut self, message: &FromHands) {
        self.stream.write_all(&encode(message).unwrap()).await.unwrap();
    }

    async fn hear(&mut self) -> ToHands {
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

#[tokio::test]
async fn lamps_and_leds_reach_the_status() {
    let bench = Bench::new().await;
    let (lamps, leds) =
        (Lamps { power: Some(true), disk: None }, KeyboardLeds { caps: true, ..KeyboardLeds::default() });
    bench.machine.change(|state| {
        state.lamps = lamps;
        state.events.push_back(UsbEvent::Leds(leds));
    });
    bench
        .known("lamps and LEDs", |bench| {
            let target = bench.status.now().target;
            (target.lamps, target.keyboard_leds) == (lamps, leds)
        })
        .await;
}

#[tokio::test]
async fn the_end_lets_go_of_everything() {
    let bench = Bench::new().await;
    bench.key(ANNA, A, true);
    bench.hands.press(&seat(), Contact::Power, HALF).await.unwrap();
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    // The last release must still be fetched by a target that was busy for a moment.
    bench.machine.target(Target::Ignores);
    bench.stopper.stop();
    bench.machine.until("the relay is open", |state| state.closed().is_empty()).await;
    bench.machine.target(Target::Fetches);
    soon("the server ends", bench.server).await.unwrap();
    assert_eq!([0; 8], bench.machine.look(State::keys));
}

#[tokio::test]
async fn a_server_that_is_cut_short_opens_its_relays() {
    let bench = Bench::new().await;
    bench.hands.press(&seat(), Contact::Power, HALF).await.unwrap();
    bench.server.abort();
    bench.machine.until("the relay is open", |state| state.closed().is_empty()).await;
    bench.known("nothing is known", |bench| bench.status.now().target.udc.is_none()).await;
    assert_eq!(Err(HandsError::Away), bench.input(ANNA, Input::Release));
}

#[tokio::test]
async fn a_client_that_talks_nonsense_is_cut_off() {
    let forbidden = ToHands::Input { seat: seat(), owner: ANNA, input: Input::Pointer { x: 65535, y: 0, buttons: 0 } };
    for nonsense in [encode(&forbidden).unwrap(), vec![0xFF; 8], b"\0\0\0\x02{}".to_vec()] {
        let (mut client, machine, _stopper) = with_raw_client();
        client.key(A).await;
        machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
        client.stream.write_all(&nonsense).await.unwrap();
        client.is_hung_up().await;
        assert_eq!([0; 8], machine.look(State::keys));
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let (mut client, machine, _stopper) = with_raw_client();
    client.key(A).await;
    machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    let press = encode(&ToHands::Press { seat: seat(), id: 1, contact: Contact::Power, millis: 0 }).unwrap();
    let deafness = async { while client.stream.write_all(&press).await.is_ok() {} };
    soon("the hands hang up", deafness).await;
    assert_eq!([0; 8], machine.look(State::keys));
}

#[tokio::test]
async fn an_unknown_seat_is_answered() {
    let (mut client, _machine, _stopper) = with_raw_client();
    let elsewhere = SeatId::try_from("elsewhere".to_string()).unwrap();
    client.say(&ToHands::Press { seat: elsewhere.clone(), id: 9, contact: Contact::Power, millis: 500 }).await;
    let answer = FromHands::Done { seat: elsewhere, id: 9, error: Some(HandsError::Away) };
    while client.hear().await.expect("the hands hang up") != answer {}
}

#[tokio::test]
async fn one_client_at_a_time_and_the_next_when_it_has_gone() {
    let directory = Directory::new("one");
    let (machine, (_stopper, stop)) = (Machine::new(), stop());
    let door = ClientSource::Socket { listener: listen(&directory.socket(), None).unwrap(), allowed: vec![me()] };
    tokio::spawn(run(door, BTreeMap::from([(seat(), machine.board())]), ApplianceClient::simulated(), stop));
    let mut first = RawClient::new(UnixStream::connect(directory.socket()).await.unwrap());
    assert!(first.hear().await.is_some());
    let mut second = RawClient::new(UnixStream::connect(directory.socket()).await.unwrap());
    assert_eq!(None, second.hear().await);
    first.key(A).await;
    machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    drop(first);
    machine.until_keys([0; 8]).await;
    let mut third = RawClient::new(UnixStream::connect(directory.socket()).await.unwrap());
    assert!(third.hear().await.is_some());
}

#[tokio::test]
async fn another_user_may_not_come_in() {
    let directory = Directory::new("user");
    let (machine, (_stopper, stop)) = (Machine::new(), stop());
    let door = ClientSource::Socket { listener: listen(&directory.socket(), None).unwrap(), allowed: vec![me() + 1] };
    tokio::spawn(run(door, BTreeMap::from([(seat(), machine.board())]), ApplianceClient::simulated(), stop));
    let mut client = RawClient::new(UnixStream::connect(directory.socket()).await.unwrap());
    assert_eq!(None, client.hear().await);
}

#[tokio::test]
async fn the_socket_is_for_owner_and_group_and_replaces_only_sockets() {
    let directory = Directory::new("socket");
    for _ in 0..2 {
        let listener = listen(&directory.socket(), Some(nix::unistd::getgid().as_raw())).unwrap();
        let mode = std::fs::metadata(directory.socket()).unwrap().permissions().mode();
        assert_eq!(0o660, mode & 0o777);
        drop(listener);
    }
    std::fs::remove_file(directory.socket()).unwrap();
    std::fs::write(directory.socket(), "somebody's file").unwrap();
    assert_eq!(io::ErrorKind::AlreadyExists, listen(&directory.socket(), None).unwrap_err().kind());
}

#[tokio::test(start_paused = true)]
async fn the_client_comes_back_when_the_hands_do() {
    let directory = Directory::new("back");
    let (_stop_tasks, tasks_stop) = stop();
    let tasks = Tasks::new(tasks_stop);
    let (bus, status) = bus();
    let (hands, link) = Hands::new(&[bus], SystemBus::default());
    tasks.spawn("the line to the hands", link.run(ServerSource::Socket(directory.socket())));
    let (anna, _drops) = hands.attach(&seat(), ANNA).await;
    assert_eq!(Err(HandsError::Away), anna.send(Input::Release));
    let mut target = status.watch();
    for _ in 0..2 {
        let (machine, (stopper, stop)) = (Machine::new(), stop());
        let door = ClientSource::Socket { listener: listen(&directory.socket(), None).unwrap(), allowed: vec![me()] };
        let server =
            tokio::spawn(run(door, BTreeMap::from([(seat(), machine.board())]), ApplianceClient::simulated(), stop));
        soon("the target is known", target.wait_for(|status| status.target.takes_keys())).await.unwrap();
        hands.press(&seat(), Contact::Power, HALF).await.unwrap();
        stopper.stop();
        soon("the hands end", server).await.unwrap();
        soon("the target is forgotten", target.wait_for(|status| status.target.udc.is_none())).await.unwrap();
        assert_eq!(Err(HandsError::Away), hands.press(&seat(), Contact::Power, HALF).await);
    }
}
