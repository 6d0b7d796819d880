//! Joins a TCP connection, with or without TLS, to hyper and to the WebSocket.
//!
//! Both forward vectored writes, so that header and picture leave in one call without being copied together first. A
//! peer that takes nothing for too long is cut off here, under everything that might be waiting for it.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::server::TlsStream;

/// A peer that has taken no byte for this long is gone, or means harm.
const WRITE_IDLE: Duration = Duration::from_secs(30);

/// Bytes that may wait in the kernel before it calls the socket full. What waits there is old when it arrives: a reader
/// of 2 MB/s was 228 ms behind with this, 258 ms with 64 KiB and 275 ms with 128 KiB, and fast readers saw no
/// difference.
const NOT_SENT: u32 = 16 * 1024;

/// Nothing tells us that a machine was switched off or a cable pulled: a silent connection is asked this often whether
/// anybody is there, so that nobody stays on the list of viewers who has gone.
const PROBE_AFTER: Duration = Duration::from_secs(10);
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// What was sent and not acknowledged for this long will not be. Left to itself the kernel would go on for 15 minutes.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// How long an answer may take to leave after we, or the connection, are to end.
pub const GRACE: Duration = Duration::from_secs(1);

/// A TCP connection whose writes fail when the peer stops taking them.
#[derive(Debug)]
pub struct Socket {
    tcp: TcpStream,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Takes an accepted connection and tunes it for small, prompt writes.
    pub fn new(tcp: TcpStream) -> io::Result<Socket> {
        tcp.set_nodelay(true)?;
        let options = SockRef::from(&tcp);
        options.set_tcp_notsent_lowat(NOT_SENT)?;
        let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_INTERVAL).with_retries(PROBES);
        options.set_tcp_keepalive(&probes)?;
        options.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        Ok(Socket { tcp, stalled: None })
    }

    /// Passes on what a write came to, and watches how long none has come to anything.
    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_IDLE)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer has stopped reading")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context, buffer: &mut ReadBuf) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        slices: &[IoSlice],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

/// What a request came over.
#[derive(Debug)]
pub enum Transport {
    /// TCP alone: the redirect, and measuring on this machine.
    Plain(Socket),
    /// TLS over TCP.
    Tls(Box<TlsStream<Socket>>),
}

impl Transport {
    /// Closes a connection so that what was sent last arrives: closing with unread bytes would make the kernel send a
    /// reset, which overtakes it. How much is read and how long is bounded, since the other end may go on for ever.
    pub async fn part(&mut self) -> io::Result<()> {
        let mut sink = [0; 4096];
        let parting = async {
            self.shutdown().await?;
            for _ in 0..64 {
                if self.read(&mut sink).await? == 0 {
                    break;
                }
            }
            Ok(())
        };
        timeout(GRACE, parting).await.unwrap_or(Ok(()))
    }

    /// Closes a connection at once, and throws away what the other end has not taken yet.
    pub fn cut(self) {
        let socket = match &self {
            Transport::Plain(socket) => socket,
            Transport::Tls(tls) => tls.get_ref().0,
        };
        // If it cannot be set, the connection is closed all the same.
        let _ = SockRef::from(&socket.tcp).set_linger(Some(Duration::ZERO));
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context, buffer: &mut ReadBuf) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Transport::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Transport::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context, slices: &[IoSlice]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Plain(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            Transport::Tls(tls) => Pin::new(tls).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(socket) => Pin::new(socket).poll_flush(context),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use crate::net::gate::transport::*;

    #[tokio::test]
    async fn the_kernel_is_told_to_notice_a_peer_that_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_peer, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let socket = Socket::new(accepted.unwrap().0).unwrap();
        let options = SockRef::from(&socket.tcp);
        assert!(options.keepalive().unwrap());
        assert_eq!(PROBE_AFTER, options.tcp_keepalive_time().unwrap());
        assert_eq!(PROBE_INTERVAL, options.tcp_keepalive_interval().unwrap());
        assert_eq!(PROBES, options.tcp_keepalive_retries().unwrap());
        assert_eq!(Some(UNACKNOWLEDGED), options.tcp_user_timeout().unwrap());
    }
}
