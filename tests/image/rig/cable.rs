//! Holds the host's end of the cable between the PC and the appliance; `tests/image/cable.rs` is the other.
//!
//! At most one picture is on its way: the guest answers each message, and pictures that wait in a socket's buffer would
//! reach the screen too late.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Instant;

use super::Event;

/// The sending half; what comes back arrives as events.
pub struct Cable {
    socket: UnixStream,
    unanswered: u32,
}

impl Cable {
    /// Connects to the appliance's QEMU and sends the guest's messages to `events`.
    pub fn plug(socket: &Path, events: SyncSender<Event>) -> io::Result<Cable> {
        let socket = UnixStream::connect(socket)?;
        let heard = BufReader::new(socket.try_clone()?);
        thread::spawn(move || {
            let end = listen(heard, &events).unwrap_or_else(|error| error);
            // The receiver is gone if the rig was taken down first.
            let _ = events.send(Event::End(Some(end)));
        });
        Ok(Cable { socket, unanswered: 0 })
    }

    /// Sends a picture or a command.
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        self.unanswered += 1;
        self.socket.write_all(&length.to_be_bytes())?;
        self.socket.write_all(message)
    }

    /// Notes that a message has been answered.
    pub fn taken(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    /// Whether all that was sent has arrived.
    pub fn is_free(&self) -> bool {
        self.unanswered == 0
    }
}

/// Turns the guest's lines into events until the connection ends, and returns the reason.
fn listen(heard: impl BufRead, events: &SyncSender<Event>) -> io::Result<io::Error> {
    for line in heard.lines() {
        let line = line?;
        let event = match line.split_once(' ') {
            None if line == "taken" => Event::Taken,
            Some((relay @ ("power" | "reset"), value)) => {
                Event::Button { power: relay == "power", closed: value == "1", at: Instant::now() }
            }
            _ => return Ok(io::Error::other(format!("the guest says {line:?}"))),
        };
        if events.send(event).is_err() {
            break;
        }
    }
    Ok(io::ErrorKind::UnexpectedEof.into())
}
