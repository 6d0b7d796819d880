//! A WebSocket ends with its session or token, and each of those has only so many.

use std::time::Duration;

use farhand::auth::role::Role;
use serde_json::{Value, json};

use super::super::bench::{Bench, bearer, soon};
use super::{HANDSHAKE, PATH, Socket};

#[tokio::test]
async fn logging_out_closes_the_socket_and_lets_go() {
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    let mut socket = Socket::open(&bench, &format!("{cookie}{}", bench.origin())).await;
    socket.key("KeyA", true).await;
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    assert_eq!(204, bench.ask("POST /api/v1/logout", &cookie, "").await.status);
    bench.machine.until_keys([0; 8]).await;
    assert_eq!(Some(4401), socket.closed().await);
}

#[tokio::test]
async fn who_only_watches_is_closed_out_after_half_an_hour_and_who_types_is_not() {
    const TWENTY_MINUTES: Duration = Duration::from_secs(20 * 60);
    let bench = Bench::new().await;
    let (typist, watcher) = (bench.login().await, bench.login().await);
    let mut typing = Socket::open(&bench, &format!("{typist}{}", bench.origin())).await;
    let mut watching = Socket::open(&bench, &format!("{watcher}{}", bench.origin())).await;
    bench.advance(TWENTY_MINUTES);
    typing.key("KeyA", true).await;
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    bench.advance(TWENTY_MINUTES);
    assert_eq!(Some(4401), watching.closed().await);
    typing.key("KeyA", false).await;
    bench.machine.until_keys([0; 8]).await;
    bench.advance(Duration::from_secs(12 * 3600));
    assert_eq!(Some(4401), typing.closed().await);
}

#[tokio::test]
async fn a_token_that_expires_or_is_replaced_loses_its_socket() {
    let bench = Bench::new().await;
    let hour = std::time::SystemTime::now() + Duration::from_secs(3600);
    for expires in [json!(humantime::format_rfc3339_seconds(hour).to_string()), Value::Null] {
        let body = json!({"name": "ci", "role": "operator", "expires": expires}).to_string();
        let answer = bench.ask("POST /api/v1/tokens", &bearer(Role::Administrator), &body).await;
        let token = format!("Authorization: Bearer {}\r\n", answer.json()["token"].as_str().unwrap());
        let mut socket = Socket::open(&bench, &token).await;
        socket.event("status").await;
        if expires.is_null() {
            bench.ask("POST /api/v1/tokens", &bearer(Role::Administrator), &body).await;
        } else {
            bench.advance(Duration::from_secs(3600));
        }
        assert_eq!(Some(4401), socket.closed().await, "{expires}");
    }
}

#[tokio::test]
async fn a_session_has_eight_sockets_or_streams_and_the_next_is_told_so() {
    let bench = Bench::new().await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(Socket::open(&bench, &bearer(Role::Viewer)).await);
    }
    for (path, lines) in [(PATH, HANDSHAKE), (PATH, ""), ("/api/v1/seats/main/stream.mjpeg", "")] {
        let answer = bench.ask(&format!("GET {path}"), &format!("{lines}{}", bearer(Role::Viewer)), "").await;
        assert_eq!((429, "too-many-viewers".into()), (answer.status, answer.code()));
    }
    Socket::operator(&bench).await;
    let mut status = bench.status.watch();
    drop(held.pop());
    soon("one has left", status.wait_for(|status| status.viewers.len() < 8)).await.unwrap();
    let again = async {
        loop {
            let lines = format!("{HANDSHAKE}{}", bearer(Role::Viewer));
            if bench.ask(&format!("GET {PATH}"), &lines, "").await.status == 101 {
                return;
            }
        }
    };
    soon("there is a place again", again).await;
}

#[tokio::test]
async fn a_session_that_makes_room_for_another_loses_its_socket() {
    let bench = Bench::new().await;
    // Sessions that nobody watches by would go first, so each of the sixteen has a socket.
    let mut sockets = Vec::new();
    for _ in 0..16 {
        let cookie = bench.login().await;
        let mut socket = Socket::open(&bench, &format!("{cookie}{}", bench.origin())).await;
        socket.event("status").await;
        sockets.push(socket);
    }
    bench.login().await;
    assert_eq!(Some(4401), sockets[0].closed().await);
}

#[tokio::test]
async fn logging_out_closes_a_socket_that_is_stuck() {
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    let mut socket = Socket::open(&bench, &format!("{cookie}{}", bench.origin())).await;
    bench.publish(vec![7; 64 << 20]);
    socket.key("KeyA", true).await;
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    let mut status = bench.status.watch();
    assert_eq!(204, bench.ask("POST /api/v1/logout", &cookie, "").await.status);
    soon("the viewer is gone", status.wait_for(|status| status.viewers.is_empty())).await.unwrap();
    bench.machine.until_keys([0; 8]).await;
}
