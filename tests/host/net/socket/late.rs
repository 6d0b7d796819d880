//! What a network held up is not typed when it arrives.

use std::net::SocketAddr;
use std::time::Instant;

use farhand::auth::role::Role;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::bench::{Bench, Client, bearer};
use super::Socket;

/// Passes one connection on to the daemon, and stalls on the way there whenever it is told to.
async fn stalling_network(to: SocketAddr) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (stalls, mut stalled) = watch::channel(false);
    tokio::spawn(async move {
        let (page, _) = listener.accept().await.unwrap();
        let (mut from_page, mut to_page) = page.into_split();
        let (mut from_daemon, mut to_daemon) = TcpStream::connect(to).await.unwrap().into_split();
        let there = async {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = from_page.read(&mut piece).await {
                if stalled.wait_for(|stalls| !stalls).await.is_err()
                    || to_daemon.write_all(&piece[..read]).await.is_err()
                {
                    return;
                }
            }
        };
        tokio::join!(there, async {
            let _ = tokio::io::copy(&mut from_daemon, &mut to_page).await;
        });
    });
    (at, stalls)
}

#[tokio::test]
async fn a_key_struck_into_a_stall_is_not_typed_when_the_stall_ends() {
    let bench = Bench::new().await;
    let (network, stalls) = stalling_network(bench.plain).await;
    let host = bench.plain.to_string();
    let mut socket =
        Socket::over(Client::over(TcpStream::connect(network).await.unwrap()), &host, &bearer(Role::Operator)).await;
    let opened = Instant::now();
    let key = |code: &str, down: bool| json!({"type": "key", "code": code, "down": down, "t": opened.elapsed().as_millis() as u64});
    // Struck before what comes before it is sent, so that it is at least as late as this test claims, on any machine.
    let struck = [key("CapsLock", true), key("CapsLock", false)];
    socket.say(key("KeyA", true)).await;
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    stalls.send_replace(true);
    for message in struck {
        socket.say(message).await;
    }
    // A second and a half of silence, and what is held comes up by itself.
    bench.machine.until_keys([0; 8]).await;
    let before = bench.machine.look(|state| state.reports.len());
    stalls.send_replace(false);
    assert_eq!("late", socket.event("refused").await["code"]);
    socket.say(key("KeyB", true)).await;
    bench.machine.until_keys([0, 0, 5, 0, 0, 0, 0, 0]).await;
    assert_eq!(before + 1, bench.machine.look(|state| state.reports.len()), "CapsLock was typed");
}

#[tokio::test]
async fn what_comes_late_releases_what_is_held() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    socket.say(json!({"type": "key", "code": "ShiftLeft", "down": true, "t": 60_000})).await;
    bench.machine.until_keys([2, 0, 0, 0, 0, 0, 0, 0]).await;
    socket.say(json!({"type": "held", "t": 58_000})).await;
    bench.machine.until_keys([0; 8]).await;
    assert_eq!("late", socket.event("refused").await["code"]);
}
