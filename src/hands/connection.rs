//! Talks to one client without ever waiting for it.
//!
//! The loop that opens relays must not stand still because somebody does not read, so what cannot be written at once is
//! kept, up to a limit at which the client counts as dead.

use std::io;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, recv};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::protocol::{Decoder, FrameError, FromHands, ToHands, encode};

/// How long a client may be silent. It beats five times as often.
pub const SILENCE: Duration = Duration::from_secs(1);

/// What may wait to be read by the client: seconds of status changes.
const MOST_UNREAD: usize = 64 * 1024;

/// Why a client is no longer one.
#[derive(Debug, thiserror::Error)]
pub enum Disconnect {
    /// It closed the connection, as it does when it ends or dies.
    #[error("it hung up")]
    Closed,
    /// It has not said anything for [`SILENCE`].
    #[error("it fell silent")]
    Silent,
    /// It does not read what we send.
    #[error("it does not read")]
    NotReading,
    /// It said what it must not say.
    #[error(transparent)]
    Protocol(#[from] FrameError),
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
}

/// Whether something has come that nobody has read yet. The runtime may not know of it, if its thread stood still just
/// now; so whoever judges the other end's silence must ask.
pub fn has_unread(stream: &UnixStream) -> bool {
    recv(stream.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT).is_ok()
}

/// The connection to one client.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    decoder: Decoder,
    unread: Vec<u8>,
    heard: Instant,
}

impl Connection {
    /// A client that has just come.
    pub fn new(stream: UnixStream, now: Instant) -> Connection {
        Connection { stream, decoder: Decoder::default(), unread: Vec::new(), heard: now }
    }

    /// When the client will have been silent for too long.
    pub fn deadline(&self) -> Instant {
        self.heard + SILENCE
    }

    /// Whether the client has been silent for too long. Call [`Connection::exchange`] first.
    pub fn tick(&self, now: Instant) -> Result<(), Disconnect> {
        let is_silent = self.deadline() <= now && !has_unread(&self.stream);
        if is_silent { Err(Disconnect::Silent) } else { Ok(()) }
    }

    /// Waits until [`Connection::exchange`] has something to do.
    pub async fn ready(&self) -> io::Result<()> {
        let writing = if self.unread.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        self.stream.ready(writing).await.map(drop)
    }

    /// Writes what waits and reads what came; the messages are taken by [`Connection::poll`].
    pub fn exchange(&mut self, now: Instant) -> Result<(), Disconnect> {
        self.flush()?;
        let mut piece = [0; 4096];
        match self.stream.try_read(&mut piece) {
            Ok(0) => Err(Disconnect::Closed),
            Ok(len) => {
                self.heard = now;
                self.decoder.feed(&piece[..len]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            // A peer that died with unread bytes in its buffer: an end like any other.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(Disconnect::Closed),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the next message, which has been checked.
    pub fn poll(&mut self) -> Result<Option<ToHands>, Disconnect> {
        let message: Option<ToHands> = self.decoder.poll()?;
        if let Some(message) = &message {
            message.check()?;
        }
        Ok(message)
    }

    /// Tells the client something.
    pub fn tell(&mut self, message: &FromHands) -> Result<(), Disconnect> {
        let frame = encode(message)?;
        if MOST_UNREAD < self.unread.len() + frame.len() {
            return Err(Disconnect::NotReading);
        }
        self.unread.extend_from_slice(&frame);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Disconnect> {
        while !self.unread.is_empty() {
            match self.stream.try_write(&self.unread) {
                Ok(len) => drop(self.unread.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Disconnect::Closed),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_is_not_silent_while_something_of_it_is_unread() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (connection, now) = (Connection::new(ours, Instant::now()), Instant::now());
        assert!(matches!(connection.tick(now + 2 * SILENCE), Err(Disconnect::Silent)));
        // Nothing is awaited here, as while a thread stands still.
        theirs.try_write(&encode(&ToHands::Beat).unwrap()).unwrap();
        assert!(connection.tick(now + 2 * SILENCE).is_ok());
    }
}
