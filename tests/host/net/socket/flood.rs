//! Who sends too much, or opens too many WebSockets, costs nobody else a key.

use std::time::Duration;

use farhand::auth::role::Role;
use farhand::base::usb::Report;
use farhand::hid::descriptor::keyboard_report;
use serde_json::json;

use super::super::bench::{Bench, Client, bearer, soon};
use super::{HANDSHAKE, PATH, Socket};

/// Opens a socket without TLS, and floods it on a thread of its own until the other end has enough: with messages that
/// cost the hands nothing, and now and then one that turns the wheel.
fn flood(bench: &Bench, cookie: &str) -> std::thread::JoinHandle<()> {
    use std::io::{Read, Write};
    let (at, origin) = (bench.plain, format!("Origin: http://{}\r\n", bench.plain));
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: {at}\r\n{HANDSHAKE}{cookie}{origin}\r\n");
    let frame = |text: &str| [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat();
    let idle = frame(r#"{"type":"pictures","on":false}"#).repeat(50);
    let frames = [idle, frame(r#"{"type":"wheel","dx":0,"dy":1}"#)].concat().repeat(100);
    std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(at).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(b"HTTP/1.1 101", &answer);
        // Nothing is read from here on: what the daemon says fits into the buffers.
        while stream.write_all(&frames).is_ok() {}
    })
}

#[tokio::test]
async fn a_session_that_was_logged_out_types_no_more_however_its_sockets_are_flooded() {
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    let floods: Vec<_> = (0..8).map(|_| flood(&bench, &cookie)).collect();
    let mut status = bench.status.watch();
    soon("eight have come", status.wait_for(|status| status.viewers.len() == 8)).await.unwrap();
    bench.machine.until("the wheel turns", |state| 100 < state.reports.len()).await;
    assert_eq!(204, bench.ask("POST /api/v1/logout", &cookie, "").await.status);
    soon("no viewer is left", status.wait_for(|status| status.viewers.is_empty())).await.unwrap();
    // What had been taken by then may still be on its way; a key of somebody else's, sent now, comes after it.
    let mut operator = Socket::operator(&bench).await;
    for usage in [4, 0, 4, 0] {
        operator.key("KeyA", usage != 0).await;
        bench.machine.until_keys([0, 0, usage, 0, 0, 0, 0, 0]).await;
    }
    let turned = bench.machine.look(|state| state.reports.len());
    for usage in [4, 0] {
        operator.key("KeyA", usage != 0).await;
        bench.machine.until_keys([0, 0, usage, 0, 0, 0, 0, 0]).await;
    }
    assert_eq!(turned + 2, bench.machine.look(|state| state.reports.len()), "the wheel goes on turning");
    for flood in floods {
        soon("the flood ends", tokio::task::spawn_blocking(|| flood.join())).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_session_that_somebody_ends_is_gone_within_a_second_however_its_sockets_are_flooded() {
    let bench = Bench::new().await;
    let (cookie, other) = (bench.login().await, bench.login().await);
    let floods: Vec<_> = (0..8).map(|_| flood(&bench, &cookie)).collect();
    let mut status = bench.status.watch();
    soon("eight have come", status.wait_for(|status| status.viewers.len() == 8)).await.unwrap();
    let listed = bench.ask("GET /api/v1/sessions", &other, "").await.json();
    let watching: Vec<_> =
        listed["sessions"].as_array().unwrap().iter().filter(|one| one["watching"] == true).collect();
    let [flooded] = watching[..] else { panic!("{listed}") };
    let id = flooded["id"].as_str().unwrap();
    assert_eq!(204, bench.ask(&format!("DELETE /api/v1/sessions/{id}"), &other, "").await.status);
    soon("no viewer is left", status.wait_for(|status| status.viewers.is_empty())).await.unwrap();
    for flood in floods {
        soon("the flood ends", tokio::task::spawn_blocking(|| flood.join())).await.unwrap().unwrap();
    }
    assert_eq!(401, bench.ask("GET /api/v1/sessions", &cookie, "").await.status);
}

#[tokio::test]
async fn three_hundred_sockets_of_a_viewer_end_no_press_and_no_key() {
    let bench = Bench::new().await;
    let mut operator = Socket::operator(&bench).await;
    operator.key("ShiftLeft", true).await;
    bench.machine.until_keys([2, 0, 0, 0, 0, 0, 0, 0]).await;
    let hold = r#"{"press":"hold","seconds":2}"#;
    assert_eq!(202, bench.ask("POST /api/v1/seats/main/power", &bearer(Role::Operator), hold).await.status);
    let crowd = async {
        let (mut open, mut refused) = (Vec::new(), 0);
        for _ in 0..300 {
            let mut client = Client::plain(bench.plain).await;
            let lines = format!("Host: {}\r\n{HANDSHAKE}{}", bench.plain, bearer(Role::Viewer));
            client.send(&format!("GET {PATH} HTTP/1.1\r\n{lines}\r\n")).await;
            match client.answer().await.status {
                101 => open.push(client),
                429 => refused += 1,
                status => panic!("{status}"),
            }
        }
        assert_eq!((8, 292), (open.len(), refused));
        bench.machine.until("the relay is open", |state| state.closed().is_empty()).await;
    };
    let held = async {
        // As often as a page says it.
        let mut beat = tokio::time::interval(Duration::from_millis(250));
        loop {
            beat.tick().await;
            operator.say(json!({"type": "held"})).await;
        }
    };
    tokio::select! {
        () = held => unreachable!("it has no end"),
        () = crowd => (),
    }
    bench.machine.look(|state| {
        assert!(Duration::from_secs(2) <= state.press(), "{:?}", state.press());
        assert_eq!([2, 0, 0, 0, 0, 0, 0, 0], state.keys());
    });
}

#[tokio::test]
async fn a_burst_costs_nobody_else_a_key_nor_itself_one() {
    let bench = Bench::new().await;
    let (mut anna, mut bert) = (Socket::operator(&bench).await, Socket::operator(&bench).await);
    anna.key("ShiftLeft", true).await;
    bench.machine.until_keys([2, 0, 0, 0, 0, 0, 0, 0]).await;
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(20));
    let typing = bench.request("POST /api/v1/seats/main/keys", &bearer(Role::Operator), &text);
    let mut client = bench.connect().await;
    client.send(&typing).await;
    let burst = async {
        for n in 0..3000 {
            bert.key("KeyB", n % 2 == 0).await;
        }
        bert.key("KeyA", true).await;
    };
    let held = async {
        // As often as a page says it.
        let mut beat = tokio::time::interval(Duration::from_millis(250));
        loop {
            beat.tick().await;
            anna.say(json!({"type": "held"})).await;
        }
    };
    tokio::select! {
        () = held => unreachable!("it has no end"),
        () = async {
            burst.await;
            bench.machine.until("the last key came", |state| state.keys() == [2, 0, 4, 0, 0, 0, 0, 0]).await;
        } => (),
    }
    assert_eq!(200, client.answer().await.status);
    let keys: Vec<[u8; 8]> = bench.machine.look(|state| {
        let keys = |report: &Report| if let Report::Keys(keys) = report { Some(keyboard_report(keys)) } else { None };
        state.reports.iter().filter_map(keys).skip_while(|keys| keys[0] == 0).collect()
    });
    let is_typing = |keys: &[u8; 8]| keys[2..].contains(&0x1B);
    assert!(keys.iter().all(|keys| keys[0] == 0 || !is_typing(keys)), "Shift is up for what is typed");
    let downs = |usage: u8| {
        let is_down: Vec<bool> = keys.iter().map(|keys| keys[2..].contains(&usage)).collect();
        is_down.windows(2).filter(|pair| !pair[0] && pair[1]).count()
    };
    assert_eq!((1500, 20), (downs(5), downs(0x1B)));
}
