//! A client that says exactly what a test wants said.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use farhand::net::api::TABLE;
use farhand::net::http::table::Found;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{connector, soon};

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub struct Client {
    pub stream: Box<dyn Stream>,
    /// Read and not used yet.
    held: Vec<u8>,
}

impl Client {
    pub fn over(stream: impl Stream + 'static) -> Client {
        Client { stream: Box::new(stream), held: Vec::new() }
    }

    /// Over TLS, to a server that another process may be, which has the last of these certificates.
    pub async fn tls(tcp: TcpStream, certificate: &Path) -> Client {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        Client::over(soon("a handshake", connector(certificate).connect(name, tcp)).await.unwrap())
    }

    pub async fn plain(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).await.unwrap())
    }

    /// From another of this machine's loopback addresses.
    pub async fn plain_from(own: Ipv4Addr, address: SocketAddr) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((own, 0))).unwrap();
        Client::over(socket.connect(address).await.unwrap())
    }

    pub async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        soon("sending", self.stream.write_all(bytes)).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Reads on until `end` has come; gives what came before it.
    pub async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.held.windows(end.len()).position(|window| window == end) {
                let before = self.held[..at].to_vec();
                self.held.drain(..at + end.len());
                return before;
            }
            assert!(self.more().await, "the end came before {:?}", String::from_utf8_lossy(end));
        }
    }

    pub async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.held.len() < length {
            assert!(self.more().await, "the end came early");
        }
        self.held.drain(..length).collect()
    }

    /// Whether there is more to read.
    pub async fn more(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        let read = soon("something to read", self.stream.read(&mut piece)).await.unwrap_or(0);
        self.held.extend_from_slice(&piece[..read]);
        read != 0
    }

    pub async fn answer(&mut self) -> Answer {
        let mut answer = self.header().await;
        if let Some(length) = answer.line("content-length") {
            answer.body = self.exactly(length.parse().unwrap()).await;
        }
        answer
    }

    /// An answer without its body.
    pub async fn header(&mut self) -> Answer {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await).unwrap();
        let (status, lines) = head.split_once("\r\n").unwrap_or((&head, ""));
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let lines = lines.split("\r\n").filter(|line| !line.is_empty()).map(|line| line.split_once(": ").unwrap());
        let lines: Vec<_> = lines.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Answer { status, lines, body: Vec::new() }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub lines: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn line(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Checks that what went wrong is what the table says may go wrong with such a request.
    pub(super) fn check(&self, request: &str) {
        let (method, path) = request.split_once(' ').unwrap();
        let path = path.split('?').next().unwrap();
        if let Ok(Found::Row(row, _)) = TABLE.find(&method.parse().unwrap(), path)
            && 400 <= self.status
            // What can be no header is refused before anybody looks for a row, and an answer to HEAD has no body.
            && !self.body.is_empty()
        {
            let code = self.code();
            let known = row.codes().iter().any(|known| (known.name, known.status.as_u16()) == (&*code, self.status));
            assert!(known, "{row:?} says nothing of {} {code}", self.status);
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The stable code of an error.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_string()
    }

    /// The cookie that was set, as a client sends it back.
    pub fn cookie(&self) -> String {
        let cookie = self.line("set-cookie").expect("a cookie").split(';').next().unwrap();
        format!("Cookie: {cookie}\r\n")
    }
}
