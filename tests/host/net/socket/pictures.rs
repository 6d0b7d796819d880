//! Pictures on the WebSocket: whole, few on their way, and the newest first.

use std::time::{Duration, Instant};

use bytes::Bytes;
use farhand::auth::role::Role;
use farhand::base::signal::Signal;
use farhand::video::placeholder;
use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::super::bench::{Bench, Client, SIZE, bearer, soon};
use super::Socket;

fn large(byte: u8) -> Bytes {
    vec![byte; 1 << 20].into()
}

#[tokio::test]
async fn pictures_of_every_size_arrive_whole_over_tls_and_plain() {
    let bench = Bench::new().await;
    let mut client =
        Socket::over(Client::plain(bench.plain).await, &bench.plain.to_string(), &bearer(Role::Viewer)).await;
    let mut secure = Socket::open(&bench, &bearer(Role::Viewer)).await;
    // Around each boundary at which the frame's length is written differently.
    for length in [1, 108, 109, 110, 111, 65518, 65519, 65520, 65521, 1 << 20] {
        let jpeg: Vec<u8> = (0..length).map(|n: usize| n as u8 ^ (n >> 8) as u8).collect();
        bench.publish(jpeg.clone());
        for socket in [&mut client, &mut secure] {
            let picture = socket.picture().await;
            assert_eq!((SIZE.width, SIZE.height), picture.size);
            assert!(picture.age < 20_000_000, "{} us", picture.age);
            assert!(jpeg == picture.jpeg, "{length} bytes arrived otherwise");
            socket.shown(picture.seq).await;
        }
    }
}

#[tokio::test]
async fn two_pictures_are_on_their_way_and_then_the_newest_follows() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    bench.publish("1");
    assert_eq!(1, socket.picture().await.seq);
    bench.publish("2");
    assert_eq!(2, socket.picture().await.seq);
    for text in ["3", "4", "5"] {
        bench.publish(text);
    }
    // An answer to this shows that the daemon has seen those pictures and sent none.
    socket.key("Nonsense", true).await;
    loop {
        match socket.next().await.unwrap() {
            Message::Binary(_) => panic!("a third picture was sent"),
            Message::Text(text) if text.contains("unknown-key") => break,
            _ => (),
        }
    }
    socket.shown(1).await;
    let picture = socket.picture().await;
    assert_eq!((5, b"5".to_vec()), (picture.seq, picture.jpeg));
}

#[tokio::test]
async fn a_hidden_page_gets_none_and_then_the_newest() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    socket.say(json!({"type": "pictures", "on": false})).await;
    socket.key("Nonsense", true).await;
    socket.event("refused").await;
    bench.publish("1");
    bench.publish("2");
    socket.say(json!({"type": "pictures", "on": true})).await;
    assert_eq!(2, socket.picture().await.seq);
}

#[tokio::test]
async fn latency_counts_the_way_back() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    let captured = Instant::now();
    bench.frames.publish(captured, SIZE, "1".into());
    let picture = socket.picture().await;
    let least = captured.elapsed();
    socket.shown(picture.seq).await;
    let latency = socket.event("latency").await["ms"].as_f64().unwrap();
    // The daemon reports it in tenths.
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (least, most) = (ms(least) - 0.1, ms(captured.elapsed()) + 0.1);
    assert!((least..=most).contains(&latency), "{latency} ms, not {least} to {most} ms");
}

#[tokio::test]
async fn a_picture_from_before_a_viewer_came_tells_no_latency() {
    let bench = Bench::new().await;
    bench.frames.publish(Instant::now() - Duration::from_secs(3600), SIZE, "old".into());
    let mut socket = Socket::operator(&bench).await;
    let old = socket.picture().await;
    socket.shown(old.seq).await;
    bench.publish("fresh");
    let fresh = socket.picture().await;
    socket.shown(fresh.seq).await;
    let latency = socket.event("latency").await["ms"].as_f64().unwrap();
    assert!(latency < 3_600_000.0, "{latency} ms");
}

#[tokio::test]
async fn a_page_gets_the_last_picture_and_words_while_the_signal_is_lost() {
    let bench = Bench::new().await;
    bench.publish("panic");
    bench.report(Signal::Ok, None);
    let mut early = Socket::operator(&bench).await;
    assert_eq!(b"panic".to_vec(), early.picture().await.jpeg);
    bench.report(Signal::NoSignal, None);
    let mut late = Socket::operator(&bench).await;
    assert_eq!(b"panic".to_vec(), late.picture().await.jpeg, "what it showed last can be read");
    let status = Socket::open(&bench, &bearer(Role::Operator)).await.event("status").await;
    assert_eq!("no-signal", status["signal"]);
    assert!(status["lost_ms"].as_u64().is_some_and(|ms| ms < 60_000), "{status}");
    assert_eq!(placeholder::advice(Signal::NoSignal), status["advice"]);
    bench.publish("back");
    bench.report(Signal::Ok, None);
    for socket in [&mut early, &mut late] {
        assert_eq!(b"back".to_vec(), socket.picture().await.jpeg, "and no card, nor the same picture again");
    }
}

#[tokio::test]
async fn a_hidden_page_is_no_audience() {
    let bench = Bench::new().await;
    let mut audience = bench.frames.audience();
    let mut socket = Socket::operator(&bench).await;
    for (on, count) in [(true, 1), (false, 0), (false, 0), (true, 1)] {
        socket.say(json!({"type": "pictures", "on": on})).await;
        soon("it counts", audience.wait_for(|known| *known == count)).await.unwrap();
    }
    drop(socket);
    soon("it has gone", audience.wait_for(|known| *known == 0)).await.unwrap();
}

#[tokio::test]
async fn a_page_that_lost_its_pictures_gets_the_newest_when_it_asks() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    for text in ["1", "2"] {
        bench.publish(text);
        socket.picture().await;
    }
    bench.publish("3");
    socket.say(json!({"type": "pictures", "on": true})).await;
    assert_eq!(3, socket.picture().await.seq);
}

#[tokio::test]
async fn keys_are_taken_while_a_picture_is_stuck() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    // Far more than the socket's buffers take, so the first stays half sent until somebody reads.
    let huge: Bytes = vec![7; 64 << 20].into();
    bench.publish(huge.clone());
    socket.key("KeyA", true).await;
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    socket.key("KeyA", false).await;
    bench.machine.until_keys([0; 8]).await;
    // Refused while it is stuck: the answer must not end up inside the picture.
    socket.key("Nonsense", true).await;
    socket.socket.send(Message::Ping("?".into())).await.unwrap();
    let picture = socket.picture().await;
    assert!(huge == picture.jpeg);
    socket.event("refused").await;
    bench.publish("next");
    assert_eq!(b"next".to_vec(), socket.picture().await.jpeg);
}

#[tokio::test]
async fn who_does_not_read_gets_the_newest_afterwards() {
    let bench = Bench::new().await;
    let mut slow = Socket::operator(&bench).await;
    let mut fast = Socket::operator(&bench).await;
    for byte in 1..=60 {
        bench.publish(large(byte));
        let picture = fast.picture().await;
        assert_eq!(byte, picture.jpeg[0]);
        fast.shown(picture.seq).await;
    }
    let mut seen = Vec::new();
    while seen.last() != Some(&60) {
        let picture = slow.picture().await;
        seen.push(picture.seq);
        slow.shown(picture.seq).await;
    }
    assert!(seen.len() <= 3, "{seen:?}");
}
