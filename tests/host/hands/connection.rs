//! Who may connect to the hands, and what happens when either end falls silent, dies or misbehaves.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use farhand::base::front_panel::Contact;
use farhand::base::heartbeat::Heartbeat;
use farhand::base::seat_id::SeatId;
use farhand::base::tasks::{Tasks, stop};
use farhand::base::usb::Udc;
use farhand::bus::{SystemBus, TargetStatus};
use farhand::hands::appliance::ApplianceClient;
use farhand::hands::client::{Hands, HandsError, Input};
use farhand::hands::link::ServerSource;
use farhand::hands::protocol::{FromHands, ToHands, encode};
use farhand::hands::server::{ClientSource, listen, run};
use farhand::hid::keyboard::Usage;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::bench::*;
use crate::machine::{Machine, State, Target};

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
