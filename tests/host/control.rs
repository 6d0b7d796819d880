//! What somebody may do at a seat, and for how long.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use farhand::appliance::control::{self as appliance, Control as Appliance};
use farhand::appliance::status::hostname;
use farhand::auth::accounts::Name;
use farhand::auth::authenticator::Authenticator;
use farhand::auth::clock::{Clock, SystemClock};
use farhand::auth::principal::{Credential, Principal};
use farhand::auth::rights::Denied;
use farhand::auth::role::Role;
use farhand::auth::visitor::Visitor;
use farhand::base::heartbeat::Heartbeat;
use farhand::base::seat_id::SeatId;
use farhand::base::tasks::{Stopper, Tasks, stop};
use farhand::bus::{FrameBus, SeatBus, SeatStatus, StatusBus, SystemBus};
use farhand::hands::appliance::ApplianceClient;
use farhand::hands::client::{Hands, HandsError, Input, Owner};
use farhand::hands::link::ServerSource;
use farhand::hands::server::{ClientSource, run};
use farhand::hid::keyboard::Usage;
use farhand::seat::control::{Control, Press};
use farhand::update::Phase;
use tokio::sync::mpsc;

use crate::machine::{Machine, Target};

const A: Input = Input::Key { usage: Usage(4), down: true };
const OWNER: Owner = Owner(9);

/// A seat with a machine, and those who may come in.
struct Bench {
    auth: Arc<Authenticator>,
    anna: Principal,
    machine: Machine,
    status: StatusBus,
    control: Control,
    hands: Hands,
    system: SystemBus,
    folder: Folder,
    _running: (Stopper, Tasks),
}

/// A folder that is removed with the test.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The kernel's clocks, which keep whoever writes the audit log waiting while somebody holds this: as a card does.
#[derive(Debug, Default)]
struct SlowCard(Mutex<()>);

impl Clock for SlowCard {
    fn since_boot(&self) -> Duration {
        if std::thread::current().name() == Some("the audit log") {
            drop(self.0.lock().unwrap());
        }
        SystemClock.since_boot()
    }

    fn wall(&self) -> u64 {
        SystemClock.wall()
    }

    fn wait_for(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move { SystemClock.wait_for(time).await })
    }
}

/// Whether something has begun and has not ended.
async fn is_waiting(mut work: Pin<&mut impl Future>) -> bool {
    poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_pending())).await
}

impl Bench {
    async fn new(name: &str) -> Bench {
        Bench::with(name, Arc::new(SystemClock)).await
    }

    async fn with(name: &str, clock: Arc<dyn Clock>) -> Bench {
        let folder = Folder(std::env::temp_dir().join(format!("farhand-control-{}-{name}", std::process::id())));
        let at = |part| folder.0.join(part);
        let (auth, code) = Authenticator::open(&at("data"), &at("run"), clock).unwrap();
        let visitor = Visitor { address: Ipv4Addr::LOCALHOST.into(), browser: None };
        let code = code.unwrap().to_string();
        let session = auth.claim(visitor, &code, "anna", "correct horse").await.unwrap();
        let anna = auth.recognise(&Credential::Cookie(session.reveal())).unwrap();
        let (machine, status) = (Machine::new(), StatusBus::default());
        let seat = SeatId::try_from("main".to_string()).unwrap();
        let heartbeat = Heartbeat::new(Instant::now());
        let bus = SeatBus { seat: seat.clone(), frames: FrameBus::default(), status: status.clone(), heartbeat };
        let (stopper, stop) = stop();
        let tasks = Tasks::new(stop.clone());
        auth.trail().start(&tasks).unwrap();
        let (connect, clients) = mpsc::channel(1);
        let boards = BTreeMap::from([(seat, machine.board())]);
        tasks.spawn("hands", run(ClientSource::Inside(clients), boards, ApplianceClient::simulated(), stop.clone()));
        let system = SystemBus::default();
        let (hands, link) = Hands::new(std::slice::from_ref(&bus), system.clone());
        link.start(ServerSource::Inside(connect), &tasks, stop).unwrap();
        status.watch().wait_for(|status| status.target.takes_keys()).await.unwrap();
        let control = Control::of(&bus, &hands);
        Bench { auth, anna, machine, status, control, hands, system, folder, _running: (stopper, tasks) }
    }

    /// Has the kernel report the target as being in this state, and waits until that is known.
    async fn udc(&self, word: &str) {
        self.machine.udc(word);
        let is_so = |status: &SeatStatus| status.target.udc.as_ref().is_some_and(|udc| udc.state == word);
        self.status.watch().wait_for(is_so).await.unwrap();
    }

    async fn viewer(&self) -> Principal {
        let name = Name::try_from("camera".to_string()).unwrap();
        let token = self.auth.make_token(&self.anna, name, Role::Viewer.into(), None).await.unwrap();
        self.auth.recognise(&Credential::Bearer(token.reveal())).unwrap()
    }
}

#[tokio::test]
async fn after_the_end_of_a_session_nothing_can_be_done_with_it() {
    let bench = Bench::new("ended").await;
    let (attachment, _drops) = bench.control.attach(&bench.anna, 1).await;
    assert_eq!(Ok(()), attachment.input(A));
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    bench.auth.logout(&bench.anna);
    // Not by a future that somebody must poll: the very next input is refused.
    assert_eq!(Err(Denied::Ended.into()), attachment.input(A));
    let chord = ["KeyA".to_string()];
    assert_eq!(Err(Denied::Ended.into()), bench.control.press(&bench.anna, Press::Tap).await);
    assert_eq!(Err(Denied::Ended.into()), bench.control.chord(&bench.anna, OWNER, &chord).await);
    assert_eq!(Err(Denied::Ended.into()), bench.control.type_text(&bench.anna, OWNER, "a").await);
    assert_eq!(Ok(()), attachment.input(Input::Release), "letting go needs nobody's leave");
    bench.machine.until_keys([0; 8]).await;
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "that is how a card is played that takes its time")]
async fn who_is_logged_out_while_their_act_is_written_down_does_not_act() {
    let card = Arc::new(SlowCard::default());
    let bench = Bench::with("slow-card", card.clone()).await;
    let data = bench.folder.0.join("data");
    let appliance = Appliance::of(&bench.hands, &bench.system, &data);
    let slow = card.0.lock().unwrap();
    let mut press = pin!(bench.control.press(&bench.anna, Press::Reset));
    let mut install = pin!(appliance.install(&bench.anna, 1));
    assert!(is_waiting(press.as_mut()).await && is_waiting(install.as_mut()).await);
    bench.auth.logout(&bench.anna);
    drop(slow);
    assert_eq!(Err(Denied::Ended.into()), press.await);
    assert_eq!(Err(appliance::ControlError::from(Denied::Ended)), install.await);
}

#[tokio::test]
async fn the_appliance_obeys_administrators_alone_and_only_during_their_session() {
    let bench = Bench::new("appliance").await;
    let data = bench.folder.0.join("data");
    let control = Appliance::of(&bench.hands, &bench.system, &data);
    let viewer = bench.viewer().await;
    let wrong_name = control.factory_reset(&bench.anna, "another").await;
    assert_eq!(Err(appliance::ControlError::WrongName(hostname())), wrong_name);
    // The simulated machine refuses to restart, so both are refused for who asks before that.
    for (principal, denied) in [(&viewer, Denied::NotAllowed), (&bench.anna, Denied::Ended)] {
        let expected = appliance::ControlError::from(denied);
        bench.auth.logout(&bench.anna);
        assert_eq!(Err(expected.clone()), control.restart(principal).await);
        assert_eq!(Err(expected.clone()), control.factory_reset(principal, &hostname()).await);
        assert_eq!(Err(expected.clone()), control.install(principal, 1).await);
        assert_eq!(Some(expected), control.begin_update(principal, Phase::Receiving).err());
    }
}

#[tokio::test]
async fn a_text_ends_with_the_session_of_who_had_it_typed() {
    let bench = Bench::new("text").await;
    let text = "x".repeat(1000);
    let typing = bench.control.type_text(&bench.anna, OWNER, &text);
    let logout = async {
        bench.machine.until("typing has begun", |state| state.keys()[2] == 0x1B).await;
        bench.auth.logout(&bench.anna);
    };
    let (outcome, ()) = tokio::join!(typing, logout);
    assert_eq!(Err(Denied::Ended.into()), outcome);
    bench.machine.until_keys([0; 8]).await;
}

#[tokio::test]
async fn a_target_that_sleeps_is_woken_by_whoever_may_type() {
    let bench = Bench::new("wake").await;
    assert_eq!(Err(HandsError::Awake.into()), bench.control.wake(&bench.anna).await);
    bench.udc("suspended").await;
    assert_eq!(Err(Denied::NotAllowed.into()), bench.control.wake(&bench.viewer().await).await);
    bench.machine.change(|state| state.armed = false);
    assert_eq!(Err(HandsError::NotArmed.into()), bench.control.wake(&bench.anna).await);
    bench.machine.change(|state| state.armed = true);
    assert_eq!(0, bench.machine.look(|state| state.signals));
    assert_eq!(Ok(()), bench.control.wake(&bench.anna).await);
    assert_eq!(1, bench.machine.look(|state| state.signals));
    bench.udc("not attached").await;
    assert_eq!(Err(HandsError::Unplugged.into()), bench.control.wake(&bench.anna).await);
}

#[tokio::test]
async fn the_first_key_of_a_sleep_wakes_the_target_where_its_owner_chose_that() {
    let bench = Bench::new("wake-by-key").await;
    bench.machine.target(Target::Sleeps);
    bench.udc("suspended").await;
    let text = bench.control.type_text(&bench.anna, OWNER, "ab");
    let target = async {
        bench.machine.until("the target is signalled", |state| 0 < state.signals).await;
        bench.machine.target(Target::Fetches);
        bench.machine.udc("configured");
    };
    let (typed, ()) = tokio::join!(text, target);
    assert_eq!(Ok(2), typed);
    // It falls asleep at once: it has not answered.
    bench.udc("suspended").await;
    let _ = bench.control.type_text(&bench.anna, OWNER, "c").await;
    assert_eq!(1, bench.machine.look(|state| state.signals), "once is enough");
}

#[tokio::test]
async fn who_may_only_watch_is_on_the_list_and_does_nothing() {
    let bench = Bench::new("watch").await;
    let viewer = bench.viewer().await;
    let (attachment, _drops) = bench.control.attach(&viewer, 1).await;
    assert_eq!("token camera", bench.status.now().viewers[0].user);
    assert_eq!(Err(Denied::NotAllowed.into()), attachment.input(A));
    assert_eq!(Err(Denied::NotAllowed.into()), bench.control.press(&viewer, Press::Reset).await);
    assert_eq!(Err(Denied::NotAllowed.into()), bench.control.type_text(&viewer, OWNER, "a").await);
    drop(attachment);
    assert!(bench.status.now().viewers.is_empty());
    assert!(bench.machine.look(|state| state.reports.is_empty() && state.closed().is_empty()));
}

#[tokio::test]
async fn who_leaves_lets_go_even_if_their_queue_is_full() {
    let bench = Bench::new("leave").await;
    let (attachment, _drops) = bench.control.attach(&bench.anna, 1).await;
    // Nothing is awaited in between, and the key stays down.
    while attachment.has_room() {
        attachment.input(A).unwrap();
    }
    drop(attachment);
    bench.machine.until("the key was down and is up", |state| 2 <= state.reports.len() && state.keys() == [0; 8]).await;
}
