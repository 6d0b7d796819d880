//! The WebSocket: a client of it, its opening and its end.

mod flood;
mod input;
mod late;
mod pictures;
mod protocol;
mod sessions;

use farhand::auth::privileges::Privileges;
use farhand::auth::role::Role;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::bench::{Bench, Client, ROLES, Stream, bearer, soon};

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
        Socket::at(client, host, PATH, lines).await
    }

    pub async fn at(client: Client, host: &str, path: &str, lines: &str) -> Socket {
        let mut request = hyper::Request::builder().uri(format!("wss://{host}{path}")).header("host", host);
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
        // Beats keep coming, so that a wait for each message alone would have no end.
        soon(&format!("the event {kind}"), async {
            while events.last().is_none_or(|event| event["type"] != kind) {
                if let Message::Text(text) = self.next().await.expect("an event before the end") {
                    events.push(serde_json::from_str(&text).unwrap());
                }
            }
        })
        .await;
        events
    }

    /// The next picture; skips events.
    async fn picture(&mut self) -> Picture {
        let bytes = soon("a picture", async {
            loop {
                if let Message::Binary(bytes) = self.next().await.expect("a picture before the end") {
                    return bytes;
                }
            }
        })
        .await;
        let (head, jpeg) = bytes.split_at(16);
        Picture {
            seq: u64::from_be_bytes(head[..8].try_into().unwrap()),
            age: u32::from_be_bytes(head[8..12].try_into().unwrap()),
            size: (
                u16::from_be_bytes(head[12..14].try_into().unwrap()),
                u16::from_be_bytes(head[14..].try_into().unwrap()),
            ),
            jpeg: jpeg.to_vec(),
        }
    }

    /// Reads to the end; gives the close code, if there was one.
    pub async fn closed(&mut self) -> Option<u16> {
        soon("the end of the socket", async {
            loop {
                match self.next().await {
                    Some(Message::Close(Some(CloseFrame { code, .. }))) => return Some(code.into()),
                    Some(Message::Close(None)) | None => return None,
                    Some(_) => (),
                }
            }
        })
        .await
    }

    /// Sends as fast as it goes and reads nothing, until the other end has closed the connection.
    pub async fn flood(&mut self) {
        while soon("sending", self.socket.send(Message::text(r#"{"type":"held"}"#))).await.is_ok() {}
    }

    pub async fn say(&mut self, message: Value) {
        soon("sending", self.socket.send(Message::text(message.to_string()))).await.unwrap();
    }

    pub async fn key(&mut self, code: &str, down: bool) {
        self.say(json!({"type": "key", "code": code, "down": down})).await;
    }

    async fn shown(&mut self, seq: u64) {
        self.say(json!({"type": "shown", "seq": seq})).await;
    }
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
        assert_eq!(json!(Privileges::of(role).list()), hello["privileges"]);
        let status = socket.event("status").await;
        let me = json!({"id": hello["id"], "user": format!("token {word}"), "typing": false});
        assert!(status["viewers"].as_array().unwrap().contains(&me), "{status}");
    }
}

#[tokio::test]
async fn a_viewer_to_whom_nothing_is_said_hears_a_beat() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    for _ in 0..2 {
        let events = socket.until("beat").await;
        assert!(events.iter().all(|event| event["type"] == "beat"), "{events:?}");
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
    let answer = bench.ask(&format!("GET {PATH}"), &cookie, "").await;
    assert_eq!((400, "not-a-websocket".into()), (answer.status, answer.code()), "a page asks and names no origin");
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
async fn a_stopping_daemon_says_goodbye() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    let _bench = bench.restart().await;
    assert_eq!(Some(1001), socket.closed().await);
}
