//! Watches a stream as a client does, and measures when each picture's last byte arrived.
//!
//! Only the head of each picture is read, where the stamp is; the rest is counted and discarded.

use std::error::Error;
use std::time::Duration;

use crate::pictures::{HEAD_BYTES, Stamp};
use crate::wire::{self, Address, Connection};
use crate::{device, link};

/// How much is read to find the next head; a picture is always longer, so this never includes two heads.
const SIP_BYTES: usize = 4096;
/// How much is discarded at a time, at most.
const GULP_BYTES: usize = 1 << 18;
/// The header of a picture on a WebSocket: its number, age and size (docs/api.md).
const SOCKET_HEAD_BYTES: usize = 16;

/// What a viewer requests, and how the answer is framed.
#[derive(Debug, Clone)]
pub struct Stream {
    pub address: Address,
    pub path: &'static str,
    /// Tokens for the `Authorization` header, which viewers take in turn.
    pub bearers: Vec<String>,
    pub socket: bool,
    /// How long anything is on its way, each way.
    pub way: Duration,
}

/// A picture of the device that has arrived completely.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub stamp: Stamp,
    /// The time since the device had completed it, without the way's own.
    pub nanos: u64,
}

/// A client with a stream.
pub struct Viewer {
    wire: Connection,
    socket: bool,
    way: Duration,
    /// Bytes that have arrived and are not parsed yet.
    held: Vec<u8>,
    scratch: Vec<u8>,
}

/// A part of the stream, whose head has arrived.
struct Part {
    head_bytes: usize,
    body_bytes: usize,
    picture: bool,
}

impl Viewer {
    /// Opens the stream as the viewer of this number.
    pub async fn open(stream: &Stream, number: usize) -> Result<Viewer, Box<dyn Error>> {
        let Stream { address, path, bearers, socket, way } = stream;
        let near = if way.is_zero() { address.socket } else { link::to(address.socket, *way)? };
        let mut wire = Connection::connect(Address { socket: near, ..*address }).await?;
        // In HTTP/1.0 a body without a length is not chunked, so nothing has to be unchunked here.
        let version = if *socket { "1.1" } else { "1.0" };
        let mut text = format!("GET {path} HTTP/{version}\r\nHost: {}\r\n", address.socket);
        if let Some(token) = bearers.get(number % bearers.len().max(1)) {
            text += &format!("Authorization: Bearer {token}\r\n");
        }
        if *socket {
            text += "Connection: Upgrade\r\nUpgrade: websocket\r\n";
            text += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n";
        }
        let (_, held) = wire::request(&mut wire, &(text + "\r\n"), if *socket { 101 } else { 200 }).await?;
        Ok(Viewer { wire, socket: *socket, way: *way, held, scratch: vec![0; GULP_BYTES] })
    }

    /// Waits for a picture's last byte. `None`: it was the server's placeholder, because the device has given none yet.
    pub async fn next(&mut self) -> Result<Option<Arrival>, Box<dyn Error>> {
        loop {
            let part = if self.socket { self.message()? } else { self.part()? };
            match part {
                Some(part) if part.picture => return self.picture(part).await,
                Some(part) if part.head_bytes + part.body_bytes <= self.held.len() => {
                    self.held.drain(..part.head_bytes + part.body_bytes);
                }
                _ => self.sip().await?,
            }
        }
    }

    async fn sip(&mut self) -> Result<(), Box<dyn Error>> {
        let room = SIP_BYTES.saturating_sub(self.held.len());
        if room == 0 {
            return Err("the server sent something unintelligible".into());
        }
        let got = self.wire.read(&mut self.scratch[..room]).await?;
        if got == 0 {
            return Err("the server closed the stream".into());
        }
        self.held.extend_from_slice(&self.scratch[..got]);
        Ok(())
    }

    async fn picture(&mut self, part: Part) -> Result<Option<Arrival>, Box<dyn Error>> {
        let start = part.head_bytes + if self.socket { SOCKET_HEAD_BYTES } else { 0 };
        while self.held.len() < start + HEAD_BYTES {
            self.sip().await?;
        }
        let stamp = Stamp::read(&self.held[start..]);
        let number = self.held[part.head_bytes..].first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let whole = part.head_bytes + part.body_bytes;
        let mut missing = whole.saturating_sub(self.held.len());
        while 0 < missing {
            let most = missing.min(GULP_BYTES);
            let got = self.wire.discard(&mut self.scratch[..most]).await?;
            if got == 0 {
                return Err("the server closed the stream in the middle of a picture".into());
            }
            missing -= got;
        }
        let way = self.way.as_nanos() as u64;
        let arrival = stamp.map(|stamp| Arrival { stamp, nanos: (device::now() - stamp.nanos).saturating_sub(way) });
        self.held.drain(..whole.min(self.held.len()));
        if let (true, Some(number)) = (self.socket, number) {
            self.wire.write(&text_message(&format!("{{\"type\":\"shown\",\"seq\":{number}}}"))).await?;
        }
        Ok(arrival)
    }

    /// The next part of a multipart stream. Boundaries count as a part's head.
    fn part(&self) -> Result<Option<Part>, Box<dyn Error>> {
        let Some(end) = self.held.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let head = String::from_utf8_lossy(&self.held[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let body_bytes = length.ok_or("a part came without a length")?.trim().parse()?;
        Ok(Some(Part { head_bytes: end + 4, body_bytes, picture: true }))
    }

    /// The next message of a WebSocket (RFC 6455, 5.2), which a server never masks.
    fn message(&self) -> Result<Option<Part>, Box<dyn Error>> {
        let [kind, short, ..] = self.held[..] else { return Ok(None) };
        let (length, rest) = (usize::from(short & 0x7f), &self.held[2..]);
        let (head_bytes, body_bytes) = match length {
            126 => match rest.first_chunk() {
                Some(bytes) => (4, usize::from(u16::from_be_bytes(*bytes))),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(bytes) => (10, usize::try_from(u64::from_be_bytes(*bytes))?),
                None => return Ok(None),
            },
            _ => (2, length),
        };
        match kind & 0x0f {
            1 | 9 => Ok(Some(Part { head_bytes, body_bytes, picture: false })),
            2 => Ok(Some(Part { head_bytes, body_bytes, picture: true })),
            _ => Err("the server closed the socket".into()),
        }
    }
}

/// A short text message from a client: masked, with zeros.
fn text_message(text: &str) -> Vec<u8> {
    assert!(text.len() < 126, "needs a longer head");
    let head = [0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
    [&head, text.as_bytes()].concat()
}
