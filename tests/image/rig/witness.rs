//! Reports the PC's state over HTTP on loopback: `{"running":true,"text":"..."}`.
//!
//! A browser test sees the PC through the appliance only. To check what it sees, it asks here, where the text comes
//! from the PC's own memory.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::json;

use super::State;

/// Answers every request with what `state` says until the process ends; `None` is a server's error.
pub fn listen(state: impl Fn() -> Option<State> + Send + 'static) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that hangs up early asks again.
            let _ = answer(stream, state());
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, state: Option<State>) -> io::Result<()> {
    for line in BufReader::new(stream.try_clone()?).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let (status, body) = match state {
        Some(State { running, text }) => ("200 OK", json!({ "running": running, "text": text })),
        None => ("503 Service Unavailable", json!({ "error": "the rig has come apart" })),
    };
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
