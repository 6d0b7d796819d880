//! Pictures by snapshot and multipart.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use farhand::auth::role::Role;
use farhand::base::signal::Signal;
use farhand::net::api::TABLE;
use farhand::video::{encode, placeholder};
use tokio::time::Instant;

use super::bench::{Bench, Client, SIZE, bearer, soon};

const STREAM: &str = "GET /api/v1/seats/main/stream.mjpeg";

/// A picture's stand-in, large enough that no socket buffer holds many.
fn large(byte: u8) -> Bytes {
    vec![byte; 1 << 20].into()
}

async fn stream(bench: &Bench, lines: &str) -> Parts {
    let mut client = bench.connect().await;
    client.send(&bench.request(STREAM, &format!("{}{lines}", bearer(Role::Viewer)), "")).await;
    let answer = client.answer().await;
    assert_eq!(200, answer.status);
    assert_eq!(Some("multipart/x-mixed-replace;boundary=farhand"), answer.line("content-type"));
    Parts { client, body: Vec::new() }
}

/// The body of a chunked answer, unwrapped.
struct Parts {
    client: Client,
    body: Vec<u8>,
}

impl Parts {
    async fn more(&mut self) -> bool {
        let length = self.client.until(b"\r\n").await;
        let length = usize::from_str_radix(std::str::from_utf8(&length).unwrap(), 16).unwrap();
        self.body.extend(self.client.exactly(length).await);
        assert_eq!(b"\r\n".to_vec(), self.client.exactly(2).await);
        length != 0
    }

    async fn until(&mut self, end: &[u8]) -> String {
        loop {
            if let Some(at) = self.body.windows(end.len()).position(|window| window == end) {
                let before: Vec<u8> = self.body.drain(..at + end.len()).collect();
                return String::from_utf8(before[..at].to_vec()).unwrap();
            }
            assert!(self.more().await, "the stream ended");
        }
    }

    async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.body.len() < length {
            assert!(self.more().await, "the stream ended");
        }
        self.body.drain(..length).collect()
    }

    async fn picture(&mut self) -> Vec<u8> {
        let head = self.until(b"\r\n\r\n").await;
        let length = head.split("Content-Length: ").nth(1).unwrap_or_else(|| panic!("no length in {head:?}"));
        self.exactly(length.split("\r\n").next().unwrap().parse().unwrap()).await
    }
}

#[tokio::test]
async fn a_snapshot_is_the_newest_picture() {
    let bench = Bench::new().await;
    bench.publish("one");
    bench.publish("two");
    let answer = bench.ask("GET /api/v1/seats/main/snapshot.jpg", &bearer(Role::Viewer), "").await;
    assert_eq!((200, Some("image/jpeg")), (answer.status, answer.line("content-type")));
    assert_eq!(b"two".to_vec(), answer.body);
    let stamp: f64 = answer.line("x-timestamp").unwrap().parse().unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - 20.0..=now).contains(&stamp), "{stamp} at {now}");
}

#[tokio::test]
async fn a_snapshot_waits_for_the_first_picture() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    client.send(&bench.request("GET /api/v1/seats/main/snapshot.jpg", &bearer(Role::Viewer), "")).await;
    let mut known = bench.status.watch();
    known.mark_changed();
    known.changed().await.unwrap();
    bench.publish("first");
    assert_eq!(b"first".to_vec(), client.answer().await.body);
}

#[tokio::test]
async fn a_snapshot_shows_what_happened_while_nobody_watched() {
    let bench = Bench::new().await;
    bench.publish("old");
    bench.frames.pass_over();
    let mut client = bench.connect().await;
    client.send(&bench.request("GET /api/v1/seats/main/snapshot.jpg", &bearer(Role::Viewer), "")).await;
    soon("the picture is wanted", bench.frames.audience().wait_for(|count| *count == 1)).await.unwrap();
    bench.publish("fresh");
    assert_eq!(b"fresh".to_vec(), client.answer().await.body);
    assert!(!bench.frames.is_watched());
    // A device that has fallen silent meanwhile gives no other.
    bench.frames.pass_over();
    let answer = bench.ask("GET /api/v1/seats/main/snapshot.jpg", &bearer(Role::Viewer), "").await;
    assert_eq!(b"fresh".to_vec(), answer.body);
}

/// The picture that says what is wrong.
fn card(signal: Signal, reason: &str) -> Bytes {
    encode::jpeg_from_rgb(placeholder::SIZE, &placeholder::draw_with_reason(signal, reason)).unwrap()
}

#[tokio::test]
async fn a_snapshot_shows_the_card_while_the_signal_is_lost() {
    let bench = Bench::new().await;
    let ask = async || {
        let answer = bench.ask("GET /api/v1/seats/main/snapshot.jpg", &bearer(Role::Viewer), "").await;
        assert_eq!((200, Some("image/jpeg")), (answer.status, answer.line("content-type")));
        assert!(answer.line("x-timestamp").unwrap().parse::<f64>().is_ok());
        answer.body
    };
    bench.report(Signal::Starting, None);
    assert_eq!(card(Signal::Starting, ""), ask().await, "nothing has come yet");
    bench.publish("one");
    bench.report(Signal::Ok, None);
    assert_eq!(b"one".to_vec(), ask().await);
    bench.report(Signal::Stalled, Some("the driver failed"));
    assert_eq!(card(Signal::Stalled, "the driver failed"), ask().await);
    bench.report(Signal::Changing, None);
    bench.publish("two");
    bench.report(Signal::Ok, None);
    assert_eq!(b"two".to_vec(), ask().await);
}

#[tokio::test]
async fn a_stream_shows_a_card_as_soon_as_the_signal_goes_and_pictures_when_it_is_back() {
    let bench = Bench::new().await;
    bench.publish("one");
    bench.report(Signal::Ok, None);
    let mut parts = stream(&bench, "").await;
    assert_eq!(b"one".to_vec(), parts.picture().await);
    bench.report(Signal::Changing, None);
    bench.publish("other mode");
    assert_eq!(b"other mode".to_vec(), parts.picture().await, "a change of mode is no loss");
    bench.report(Signal::NoSignal, None);
    assert_eq!(card(Signal::NoSignal, ""), parts.picture().await);
    let mut late = stream(&bench, "").await;
    assert_eq!(card(Signal::NoSignal, ""), late.picture().await);
    bench.report(Signal::Stalled, Some("one"));
    assert_eq!(card(Signal::Stalled, "one"), parts.picture().await);
    bench.report(Signal::Stalled, Some("two"));
    assert_eq!(card(Signal::Stalled, "two"), parts.picture().await);
    // One that was coded late is from before the loss.
    bench.frames.publish(std::time::Instant::now() - Duration::from_secs(60), SIZE, "late".into());
    bench.report(Signal::Ok, None);
    bench.publish("back");
    assert_eq!(b"back".to_vec(), parts.picture().await);
    // A slow one may have been given cards meanwhile, and no other picture.
    let mut given = late.picture().await;
    while given.starts_with(&[0xff, 0xd8]) {
        given = late.picture().await;
    }
    assert_eq!(b"back".to_vec(), given);
}

#[tokio::test]
async fn a_stream_is_audience_as_long_as_it_lasts() {
    let bench = Bench::new().await;
    bench.publish("before");
    let mut audience = bench.frames.audience();
    let parts = stream(&bench, "").await;
    soon("it watches", audience.wait_for(|count| *count == 1)).await.unwrap();
    drop(parts);
    bench.publish("after");
    soon("it has gone", audience.wait_for(|count| *count == 0)).await.unwrap();
}

#[tokio::test]
async fn without_a_picture_a_snapshot_says_so() {
    let bench = Bench::new().await;
    let answer = bench.ask("GET /api/v1/seats/main/snapshot.jpg", &bearer(Role::Viewer), "").await;
    assert_eq!((503, "no-picture".into()), (answer.status, answer.code()));
}

#[tokio::test]
async fn a_stream_gives_each_picture_with_its_length_and_time() {
    let bench = Bench::new().await;
    bench.publish("before");
    let mut parts = stream(&bench, "").await;
    assert_eq!(
        "--farhand\r\nContent-Type: image/jpeg",
        parts.until(b"\r\n").await + "\r\n" + &parts.until(b"\r\n").await
    );
    for text in ["before", "second", "third"] {
        if text != "before" {
            bench.publish(text);
        }
        let head = parts.until(b"\r\n\r\n").await;
        assert!(head.starts_with(&format!("Content-Length: {}\r\nX-Timestamp: ", text.len())), "{head}");
        // What follows comes at once, and not with the next picture, which nobody has published.
        assert_eq!(text, parts.until(b"\r\n--farhand\r\nContent-Type: image/jpeg\r\n").await);
    }
}

#[tokio::test]
async fn an_image_gets_the_whole_next_header_early() {
    let bench = Bench::new().await;
    bench.publish("before");
    let mut parts = stream(&bench, "Sec-Fetch-Dest: image\r\n").await;
    assert_eq!("--farhand\r\nContent-Type: image/jpeg", parts.until(b"\r\n\r\n").await);
    for text in ["before", "second"] {
        if text != "before" {
            bench.publish(text);
        }
        assert_eq!(text, parts.until(b"\r\n--farhand\r\nContent-Type: image/jpeg\r\n\r\n").await);
    }
}

#[tokio::test]
async fn who_does_not_read_gets_the_newest_afterwards_and_holds_up_nobody() {
    let bench = Bench::new().await;
    bench.publish(large(1));
    let (mut slow, mut fast) = (stream(&bench, "").await, stream(&bench, "").await);
    let first = bench.frames.watch().borrow().clone().unwrap().jpeg;
    assert_eq!(first, fast.picture().await);
    for byte in 2..=60 {
        bench.publish(large(byte));
        // The fast one sees every picture while the slow one reads nothing.
        assert_eq!(byte, fast.picture().await[0]);
    }
    let mut seen = vec![slow.picture().await[0]];
    while seen.last() != Some(&60) {
        seen.push(slow.picture().await[0]);
    }
    assert!(seen.len() <= 4, "the slow one was sent {seen:?}");
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn pictures_that_nobody_reads_are_not_kept() {
    let bench = Bench::new().await;
    let slow = [stream(&bench, "").await, stream(&bench, "").await];
    let mut published = Vec::new();
    for byte in 0..30 {
        let alive = std::sync::Arc::new(());
        published.push(std::sync::Arc::downgrade(&alive));
        struct Picture(Bytes, #[allow(dead_code, reason = "it is only held")] std::sync::Arc<()>);
        impl AsRef<[u8]> for Picture {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        bench.publish(Bytes::from_owner(Picture(large(byte), alive)));
        tokio::task::yield_now().await;
    }
    let alive = published.iter().filter(|picture| picture.strong_count() != 0).count();
    // One on its way to each of the two, and the newest.
    assert!(alive <= 3, "{alive} pictures are held");
    drop(slow);
}

#[tokio::test]
async fn logging_out_ends_the_stream() {
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    let mut client = bench.connect().await;
    client.send(&bench.request(STREAM, &cookie, "")).await;
    assert_eq!(200, client.answer().await.status);
    assert_eq!(204, bench.ask("POST /api/v1/logout", &cookie, "").await.status);
    client.until(b"\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn logging_out_ends_what_streams_though_nobody_reads() {
    let bench = Bench::new().await;
    for row in TABLE.rows().filter(|row| row.answers.streams) {
        let cookie = bench.login().await;
        bench.publish(large(1));
        let mut client = bench.connect().await;
        let path = row.path.replace("{seat}", "main");
        client.send(&bench.request(&format!("{} {path}", row.method), &cookie, "")).await;
        assert_eq!(200, client.header().await.status, "{row:?}");
        let mut audience = bench.frames.audience();
        soon("it watches", audience.wait_for(|count| *count == 1)).await.unwrap();
        assert_eq!(204, bench.ask("POST /api/v1/logout", &cookie, "").await.status);
        // Time that nobody else uses passes at once, so a busy machine makes no difference.
        tokio::time::pause();
        let begun = Instant::now();
        soon("it has gone", audience.wait_for(|count| *count == 0)).await.unwrap();
        assert!(begun.elapsed() <= Duration::from_secs(1), "{:?}", begun.elapsed());
        tokio::time::resume();
        while client.more().await {}
    }
}

#[tokio::test]
async fn the_plain_listener_serves_the_same() {
    let bench = Bench::new().await;
    bench.publish("picture");
    let mut client = Client::plain(bench.plain).await;
    let (host, token) = (bench.plain, bearer(Role::Viewer));
    client.send(&format!("{STREAM} HTTP/1.1\r\nHost: {host}\r\n{token}\r\n")).await;
    let answer = client.answer().await;
    assert_eq!(200, answer.status);
    assert!(answer.line("strict-transport-security").is_none());
    let mut parts = Parts { client, body: Vec::new() };
    assert_eq!(b"picture".to_vec(), soon("a picture", parts.picture()).await);
}
