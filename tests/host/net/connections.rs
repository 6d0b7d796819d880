//! Connections that are silent, do not read, or come in crowds, and how one ends.

use std::sync::Arc;
use std::time::Duration;

use farhand::auth::role::Role;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::bench::{Bench, Client, PASSWORD, USER, bearer, soon};

#[tokio::test]
async fn whoever_is_silent_is_cut_off_after_ten_seconds() {
    let bench = Bench::new().await;
    let mut silent = [
        TcpStream::connect(bench.https).await.unwrap(),
        TcpStream::connect(bench.plain).await.unwrap(),
        TcpStream::connect(bench.redirect).await.unwrap(),
    ];
    let mut half = Client::plain(bench.plain).await;
    half.send("GET /api/v1/health HTTP/1.1\r\nHost: local").await;
    tokio::time::pause();
    let begun = Instant::now();
    for stream in &mut silent {
        // Time that nobody else uses passes at once, so this is exact and takes no time.
        let read = timeout(Duration::from_secs(15), stream.read(&mut [0; 16])).await.expect("cut off");
        assert_eq!(0, read.unwrap_or(0));
    }
    let read = timeout(Duration::from_secs(15), half.stream.read(&mut [0; 16])).await.expect("cut off");
    assert_eq!(0, read.unwrap_or(0));
    assert!((9..=12).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn whoever_stops_reading_is_cut_off_after_thirty_seconds() {
    let bench = Bench::new().await;
    let mut client = Client::plain(bench.plain).await;
    let token = bearer(Role::Viewer);
    client.send(&format!("GET /api/v1/seats/main/stream.mjpeg HTTP/1.1\r\nHost: localhost\r\n{token}\r\n")).await;
    assert_eq!(200, client.answer().await.status);
    struct Held(#[allow(dead_code, reason = "it is only held")] Arc<()>, Vec<u8>);
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.1
        }
    }
    let alive = Arc::new(());
    let picture = bytes::Bytes::from_owner(Held(alive.clone(), vec![0; 64 << 20]));
    bench.publish(picture);
    // Once another is the newest, this one is held by its being on its way alone.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    bench.publish("newest");
    assert_eq!(2, Arc::strong_count(&alive));
    tokio::time::pause();
    let begun = Instant::now();
    while Arc::strong_count(&alive) == 2 && begun.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!((29..=32).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_crowd_of_strangers_does_not_keep_anybody_out() {
    let bench = Bench::new().await;
    let mut crowd = Vec::new();
    for _ in 0..600 {
        crowd.push(TcpStream::connect(bench.https).await.unwrap());
        let answer = (crowd.len() % 200 == 0).then(|| bench.ask("GET /api/v1/health", "", ""));
        if let Some(answer) = answer {
            assert_eq!(200, answer.await.status);
        }
    }
    // The first of them has been cut off long before its ten seconds.
    let read = timeout(Duration::from_secs(5), crowd[0].read(&mut [0; 16])).await.expect("cut off");
    assert_eq!(0, read.unwrap_or(0));
}

#[tokio::test]
async fn whoever_has_shown_who_they_are_makes_no_room_for_a_crowd() {
    // Logging in, and showing the cookie to a route that anybody may ask, are as good as asking for something.
    for logs_in in [true, false] {
        let bench = Bench::new().await;
        let cookie = bench.login().await;
        let mut client = Client::plain(bench.plain).await;
        let body = format!(r#"{{"user":"{USER}","password":"{PASSWORD}"}}"#);
        let request = match logs_in {
            true => bench.request("POST /api/v1/login", "", &body),
            false => bench.request("GET /api/v1/session", &cookie, ""),
        };
        client.send(&request).await;
        assert_eq!(200, client.answer().await.status);
        let mut crowd = Vec::new();
        for _ in 0..70 {
            crowd.push(TcpStream::connect(bench.plain).await.unwrap());
        }
        let read = soon("the first of them is cut off", crowd[0].read(&mut [0; 16])).await;
        assert_eq!(0, read.unwrap_or(0));
        client.send(&bench.request("GET /api/v1/health", "", "")).await;
        assert_eq!(200, client.answer().await.status, "logs in: {logs_in}");
    }
}

#[tokio::test]
async fn a_connection_is_closed_in_the_words_of_tls() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    client.send(&bench.request("GET /api/v1/health", "Connection: close\r\n", "")).await;
    assert_eq!(200, client.answer().await.status);
    // Without the closing alert this would be an error, since anybody could have cut the connection.
    let read = soon("the end", client.stream.read(&mut [0; 16])).await;
    assert_eq!(Some(0), read.ok());
}
