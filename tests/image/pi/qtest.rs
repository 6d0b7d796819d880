//! Reads and writes a machine's registers from outside, by QEMU's own test protocol.
//!
//! The guest does not notice it. In addition to answers, the socket carries a line for each edge of an intercepted
//! output, whenever it happens.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// One edge of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    pub line: u8,
    pub high: bool,
}

/// The test connection of one machine.
#[derive(Debug)]
pub struct Qtest {
    socket: UnixStream,
    heard: Vec<u8>,
    edges: VecDeque<Edge>,
}

impl Qtest {
    pub fn over(socket: UnixStream) -> Qtest {
        Qtest { socket, heard: Vec::new(), edges: VecDeque::new() }
    }

    /// Reports from now on each edge of the outputs of the device at this path in QEMU's tree.
    pub fn intercept(&mut self, device: &str) -> io::Result<()> {
        self.ask(&format!("irq_intercept_out {device}")).map(drop)
    }

    /// Reads a 32-bit register.
    pub fn read(&mut self, address: u32) -> io::Result<u32> {
        let answer = self.ask(&format!("readl {address:#x}"))?;
        let digits = answer.trim().trim_start_matches("0x");
        // QEMU prints 64 bits whatever was read.
        u64::from_str_radix(digits, 16).map(|value| value as u32).map_err(io::Error::other)
    }

    /// Writes a 32-bit register.
    pub fn write(&mut self, address: u32, value: u32) -> io::Result<()> {
        self.ask(&format!("writel {address:#x} {value:#x}")).map(drop)
    }

    /// Takes the edges that have not been taken yet. If there is none, waits up to `wait` for the next.
    pub fn edges(&mut self, wait: Duration) -> io::Result<Vec<Edge>> {
        if self.edges.is_empty() {
            self.socket.set_read_timeout(Some(wait))?;
            match self.line() {
                Ok(line) => return Err(io::Error::other(format!("nobody asked for {line:?}"))),
                Err(error) if is_timeout(error.kind()) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(self.edges.drain(..).collect())
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        self.socket.write_all(format!("{question}\n").as_bytes())?;
        self.socket.set_read_timeout(None)?;
        let answer = self.line()?;
        let value = answer.strip_prefix("OK").map(str::to_owned);
        value.ok_or_else(|| io::Error::other(format!("{question}: {answer}")))
    }

    /// The next line that is no edge; edges are kept. May also time out after an edge.
    fn line(&mut self) -> io::Result<String> {
        loop {
            while let Some(end) = self.heard.iter().position(|&byte| byte == b'\n') {
                let line = String::from_utf8_lossy(&self.heard[..end]).into_owned();
                self.heard.drain(..=end);
                let Some(edge) = line.strip_prefix("IRQ ") else { return Ok(line) };
                let (way, number) = edge.split_once(' ').unwrap_or_default();
                let line = number.parse().map_err(io::Error::other)?;
                self.edges.push_back(Edge { line, high: way == "raise" });
                if self.heard.is_empty() && self.socket.read_timeout()?.is_some() {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            let mut bytes = [0; 512];
            match self.socket.read(&mut bytes)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                len => self.heard.extend_from_slice(&bytes[..len]),
            }
        }
    }
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
