//! The WebSocket: pictures, keys, events, and what closes it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use farhand::auth::role::Role;
use farhand::base::usb::Report;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::bench::{Bench, Client, ROLES, SIZE, Stream, bearer, soon};

const PATH: &str = "/api/v1/seats/main/socket";
const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub struct Socket {
    socket: WebSocketStream<Box<dyn Stream>>,
}

/// A picture as it came.
struct Picture {
    seq: u64,
    age: u32,
    size: (u16, u16),
    jpeg: Vec<u8>,
}

impl Socket {
    /// Opens one with the header lines given, and reads `hello` and the first status.
    pub async fn open(bench: &Bench, lines: &str) -> Socket {
        Socket::over(bench.connect().await, &bench.https.to_string(), lines).await
    }

    async fn over(client: Client, host: &str, lines: &str) -> Socket {
        let mut request = hyper::Request::builder().uri(format!("wss://{host}{PATH}")).header("host", host);
        for line in HANDSHAKE.split("\r\n").chain(lines.split("\r\n")).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let handshake = client_async_with_config(request.body(()).unwrap(), client.stream, Some(config));
        let (socket, _) = soon("the handshake", handshake).await.unwrap();
        Socket { socket }
    }

    async fn operator(bench: &Bench) -> Socket {
        let mut socket = Socket::open(bench, &bearer(Role::Operator)).await;
        socket.event("hello").await;
        socket.event("status").await;
        socket
    }

    async fn next(&mut self) -> Option<Message> {
        match soon("a message", self.socket.next()).await {
            Some(Ok(message)) => Some(message),
            Some(Err(Error::Protocol(_) | Error::Io(_))) | None => None,
            Some(Err(error)) => panic!("{error}"),
        }
    }

    /// The next event of this type; skips others and pictures.
    pub async fn event(&mut self, kind: &str) -> Value {
        self.until(kind).await.pop().unwrap()
    }

    /// All events up to the next of this type; skips pictures.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut events: Vec<Value> = Vec::new();
        while events.last().is_none_or(|event| event["type"] != kind) {
            if let Message::Text(text) = self.next().await.expect("an event before the end") {
                events.push(serde_json::from_str(&text).unwrap());
            }
        }
        events
    }

    /// The next picture; skips events.
    async fn picture(&mut self) -> Picture {
        loop {
            if let Message::Binary(bytes) = self.next().await.expect("a picture before the end") {
                let (head, jpeg) = bytes.split_at(16);
                return Picture {
                    seq: u64::from_be_bytes(head[..8].try_into().unwrap()),
                    age: u32::from_be_bytes(head[8..12].try_into().unwrap()),
                    size: (
                        u16::from_be_bytes(head[12..14].try_into().unwrap()),
                        u16::from_be_bytes(head[14..].try_into().unwrap()),
                    ),
                    jpeg: jpeg.to_vec(),
                };
            }
        }
    }

    /// Reads to the end; gives the close code, if there was one.
    async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.next().await {
                Some(Message::Close(Some(CloseFrame { code, .. }))) => return Some(code.into()),
                Some(Message::Close(None)) | None => return None,
                Some(_) => (),
            }
        }
    }

    pub async fn say(&mut self, message: Value) {
        soon("sending", self.socket.send(Message::text(message.to_string()))).await.unwrap();
    }

    async fn key(&mut self, code: &str, down: bool) {
        self.say(json!({"type": "key", "code": code, "down": down})).await;
    }

    async fn shown(&mut self, seq: u64) {
        self.say(json!({"type": "shown", "seq": seq})).await;
    }
}

fn large(byte: u8) -> Bytes {
    vec![byte; 1 << 20].into()
}

#[tokio::test]
async fn a_viewer_is_greeted_and_told_the_status() {
    let bench = Bench::new().await;
    for role in ROLES {
        let mut socket = Socket::open(&bench, &bearer(role)).await;
        let Some(Message::Text(hello)) = socket.next().await else { panic!("the first message is hello") };
        let hello: Value = serde_json::from_str(&hello).unwrap();
        let word = format!("{role:?}");
        assert_eq!(json!("hello"), hello["type"]);
        assert_eq!(
            (json!("main"), json!(format!("token {word}")), json!(word.to_lowercase())),
            (hello["seat"].clone(), hello["user"].clone(), hello["role"].clone())
        );
        assert_eq!(json!(role.privileges()), hello["privileges"]);
        let status = socket.event("status").await;
        let me = json!({"id": hello["id"], "user": format!("token {word}"), "typing": false});
        assert!(status["viewers"].as_array().unwrap().contains(&me), "{status}");
    }
}

#[tokio::test]
async fn whoever_leaves_is_taken_off_the_list() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    assert_eq!(1, bench.status.now().viewers.len());
    let mut status = bench.status.watch();
    socket.socket.close(None).await.unwrap();
    soon("the list is empty", status.wait_for(|status| status.viewers.is_empty())).await.unwrap();
    let abrupt = Socket::operator(&bench).await;
    drop(abrupt);
    soon("the list is empty", status.wait_for(|status| status.viewers.is_empty())).await.unwrap();
}

#[tokio::test]
async fn a_page_needs_its_cookie_and_its_origin() {
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    let ask = async |lines: &str| {
        let answer = bench.ask(&format!("GET {PATH}"), &format!("{HANDSHAKE}{lines}"), "").await;
        answer.status
    };
    assert_eq!(401, ask("").await);
    assert_eq!(401, ask(&bench.origin()).await);
    assert_eq!(403, ask(&cookie).await, "a cookie without an origin");
    assert_eq!(403, ask(&format!("{cookie}Origin: https://evil\r\n")).await);
    assert_eq!(101, ask(&format!("{cookie}{}", bench.origin())).await);
    assert_eq!(101, ask(&bearer(Role::Viewer)).await, "a program needs no origin");
    let answer = bench.ask(&format!("GET {PATH}"), &bearer(Role::Viewer), "").await;
    assert_eq!((400, "not-a-websocket".into()), (answer.status, answer.code()));
}

#[tokio::test]
async fn compression_is_not_offered() {
    let bench = Bench::new().await;
    let lines = format!("{HANDSHAKE}{}Sec-WebSocket-Extensions: permessage-deflate\r\n", bearer(Role::Viewer));
    let answer = bench.ask(&format!("GET {PATH}"), &lines, "").await;
    assert_eq!((101, None), (answer.status, answer.line("sec-websocket-extensions")));
    assert_eq!(Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), answer.line("sec-websocket-accept"), "RFC 6455 section 1.3");
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
    bench.frames.publish(Instant::now() - Duration::from_secs(3600), SIZE, "card".into());
    let mut socket = Socket::operator(&bench).await;
    let card = socket.picture().await;
    socket.shown(card.seq).await;
    bench.publish("fresh");
    let fresh = socket.picture().await;
    socket.shown(fresh.seq).await;
    let latency = socket.event("latency").await["ms"].as_f64().unwrap();
    assert!(latency < 3_600_000.0, "{latency} ms");
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

#[tokio::test]
async fn keys_pointer_and_wheel_become_reports() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    socket.key("ShiftLeft", true).await;
    socket.key("KeyA", true).await;
    bench.machine.until_keys([2, 0, 4, 0, 0, 0, 0, 0]).await;
    socket.say(json!({"type": "release"})).await;
    bench.machine.until_keys([0; 8]).await;
    socket.say(json!({"type": "pointer", "x": 32767, "y": 1, "buttons": 2})).await;
    let there = Report::Pointer([2, 0xFF, 0x7F, 1, 0, 0, 0]);
    bench.machine.until("the pointer is there", |state| state.reports.contains(&there)).await;
    socket.say(json!({"type": "wheel", "dx": 0, "dy": -3})).await;
    let turned = Report::Pointer([2, 0xFF, 0x7F, 1, 0, -3i8 as u8, 0]);
    bench.machine.until("the wheel has turned", |state| state.reports.contains(&turned)).await;
}

#[tokio::test]
async fn what_a_lost_viewer_holds_is_let_go_and_others_keep_theirs() {
    let bench = Bench::new().await;
    let (mut anna, mut bert) = (Socket::operator(&bench).await, Socket::operator(&bench).await);
    anna.key("KeyA", true).await;
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    bert.key("ControlLeft", true).await;
    bench.machine.until_keys([1, 0, 4, 0, 0, 0, 0, 0]).await;
    drop(bert);
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    drop(anna);
    bench.machine.until_keys([0; 8]).await;
}

#[tokio::test]
async fn what_a_silent_viewer_holds_is_let_go() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    let begun = Instant::now();
    socket.key("ControlLeft", true).await;
    bench.machine.until_keys([1, 0, 0, 0, 0, 0, 0, 0]).await;
    bench.machine.until_keys([0; 8]).await;
    let silent = begun.elapsed();
    assert!(Duration::from_millis(1400) < silent, "{silent:?}");
    // The socket lives on.
    socket.key("KeyA", true).await;
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
}

#[tokio::test]
async fn who_may_not_type_is_told_so_and_types_nothing() {
    let bench = Bench::new().await;
    let mut socket = Socket::open(&bench, &bearer(Role::Viewer)).await;
    socket.key("KeyA", true).await;
    assert_eq!("not-allowed", socket.event("refused").await["code"]);
    assert!(bench.machine.look(|state| state.reports.is_empty()));
}

#[tokio::test]
async fn an_unplugged_target_is_said() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    bench.machine.target(crate::machine::Target::Unplugged);
    bench.machine.udc("not attached");
    while socket.event("status").await["udc"]["state"] != "not attached" {}
    socket.key("KeyA", true).await;
    assert_eq!("usb-unplugged", socket.event("refused").await["code"]);
}

#[tokio::test]
async fn keys_that_a_hung_target_does_not_fetch_are_said_to_who_pressed_them() {
    let bench = Bench::new().await;
    let (mut typing, mut watching) = (Socket::operator(&bench).await, Socket::operator(&bench).await);
    bench.machine.target(crate::machine::Target::Ignores);
    typing.key("KeyA", true).await;
    typing.key("KeyA", false).await;
    let refused = typing.event("refused").await;
    assert_eq!("usb-unplugged", refused["code"]);
    assert!(refused["message"].as_str().unwrap().contains("asleep"), "{refused}");
    // The first refusal that the other one gets is of their own doing.
    watching.key("Nonsense", true).await;
    assert_eq!("unknown-key", watching.event("refused").await["code"]);
}

#[tokio::test]
async fn everyone_sees_who_types() {
    let bench = Bench::new().await;
    let (mut anna, mut bert) = (Socket::operator(&bench).await, Socket::operator(&bench).await);
    anna.say(json!({"type": "pointer", "x": 1, "y": 1, "buttons": 0})).await;
    let typing =
        |status: &Value| status["viewers"].as_array().unwrap().iter().filter(|viewer| viewer["typing"] == true).count();
    while typing(&bert.event("status").await) != 1 {}
    while typing(&bert.event("status").await) != 0 {}
}

#[tokio::test]
async fn nonsense_closes_the_socket_with_the_right_code() {
    let bench = Bench::new().await;
    let long = format!(r#"{{"type":"key","code":"{}","down":true}}"#, "A".repeat(4096));
    for (message, code) in [
        (Message::text("{"), 1007),
        (Message::text(r#"{"type":"nonsense"}"#), 1007),
        (Message::text(r#"{"type":"pointer","x":40000,"y":0,"buttons":0}"#), 1007),
        (Message::binary(vec![0; 10]), 1003),
        (Message::text(long), 1009),
        (Message::binary(vec![0; 1 << 20]), 1009),
    ] {
        let mut socket = Socket::operator(&bench).await;
        // It may be closed while this is being sent.
        let _ = socket.socket.send(message.clone()).await;
        assert_eq!(Some(code), socket.closed().await, "{}", &message.to_string().chars().take(50).collect::<String>());
    }
    assert_eq!(200, bench.ask("GET /api/v1/health", "", "").await.status);
}

#[tokio::test]
async fn frames_against_the_protocol_close_the_socket() {
    let bench = Bench::new().await;
    let mask = [0; 4];
    let masked = |head: &[u8], payload: &[u8]| [head, &mask, payload].concat();
    for (what, frame, code) in [
        ("unmasked", vec![0x81, 0x02, b'{', b'}'], 1002),
        ("2^63 bytes", vec![0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009),
        ("invalid UTF-8", masked(&[0x81, 0x82], &[0xFF, 0xFF]), 1007),
        ("a reserved bit", masked(&[0xC1, 0x82], b"{}"), 1002),
        ("a reserved opcode", masked(&[0x83, 0x82], b"{}"), 1002),
        ("a ping of 126 bytes", masked(&[0x89, 0xFE, 0, 126], &[0; 126]), 1002),
        ("a ping in fragments", masked(&[0x09, 0x80], &[]), 1002),
        ("a continuation of nothing", masked(&[0x80, 0x82], b"{}"), 1002),
    ] {
        let mut socket = Socket::operator(&bench).await;
        let stream = socket.socket.get_mut();
        tokio::io::AsyncWriteExt::write_all(stream, &frame).await.unwrap();
        tokio::io::AsyncWriteExt::flush(stream).await.unwrap();
        assert_eq!(Some(code), socket.closed().await, "{what}");
    }
}

#[tokio::test]
async fn fragments_may_not_add_up_to_more_than_a_message() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    let stream = socket.socket.get_mut();
    let fragment = |first: u8| [&[first, 0xFE, 0x04, 0x00, 0, 0, 0, 0][..], &[b' '; 1024]].concat();
    let fragments: Vec<u8> = (0..8).flat_map(|n| fragment(if n == 0 { 0x01 } else { 0x00 })).collect();
    tokio::io::AsyncWriteExt::write_all(stream, &fragments).await.unwrap();
    tokio::io::AsyncWriteExt::flush(stream).await.unwrap();
    assert_eq!(Some(1009), socket.closed().await);
}

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
        let keys = |report: &Report| if let Report::Keyboard(keys) = report { Some(*keys) } else { None };
        state.reports.iter().filter_map(keys).skip_while(|keys| keys[0] == 0).collect()
    });
    assert!(keys.iter().all(|keys| keys[0] == 2), "Shift was let go");
    let downs = |usage: u8| {
        let is_down: Vec<bool> = keys.iter().map(|keys| keys[2..].contains(&usage)).collect();
        is_down.windows(2).filter(|pair| !pair[0] && pair[1]).count()
    };
    assert_eq!((1500, 20), (downs(5), downs(0x1B)));
}

#[tokio::test]
async fn a_session_has_eight_sockets_or_streams_and_the_next_is_told_so() {
    let bench = Bench::new().await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(Socket::open(&bench, &bearer(Role::Viewer)).await);
    }
    for path in [PATH, "/api/v1/seats/main/stream.mjpeg"] {
        let answer = bench.ask(&format!("GET {path}"), &format!("{HANDSHAKE}{}", bearer(Role::Viewer)), "").await;
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
    let cookie = bench.login().await;
    let file = bench.folders.run().join("sessions.json");
    let mut stored: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let sessions = stored["book"]["sessions"].as_object_mut().unwrap();
    let mut other = sessions.values().next().unwrap().clone();
    other["used"]["secs"] = json!(other["used"]["secs"].as_u64().unwrap() + 1);
    for n in 1..256 {
        other["user"] = json!(format!("user{n}"));
        sessions.insert(format!("{n:064x}"), other.clone());
    }
    std::fs::write(&file, stored.to_string()).unwrap();
    let bench = bench.restart().await;
    let mut socket = Socket::open(&bench, &format!("{cookie}{}", bench.origin())).await;
    socket.event("status").await;
    bench.login().await;
    assert_eq!(Some(4401), socket.closed().await);
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

#[tokio::test]
async fn a_stopping_daemon_says_goodbye() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    let _bench = bench.restart().await;
    assert_eq!(Some(1001), socket.closed().await);
}
