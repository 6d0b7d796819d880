//! Speaks WebSocket on a connection that pictures are also written to, without copying them.
//!
//! The library frames what is small: messages in, events and answers out. A picture's frame is written here by hand,
//! straight from the driver's buffer. Both write to one stream, so a [`Gated`] stream keeps the library's writes back
//! while a frame of ours is half out, and a picture begins only when the library has nothing half out. Reading goes on
//! through all of it: a key must not wait until a slow viewer has taken a picture.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// What the library may read at once, and hold back for a stalled viewer: more than it can have to hold, see
/// `has_room`.
const BUFFER: usize = 4 * 1024;
const HELD_BACK: usize = 64 * 1024;

/// RFC 6455 section 5.2: a final binary frame.
const FINAL_BINARY: u8 = 0x82;

/// A WebSocket over `S` that also carries pictures.
#[derive(Debug)]
pub struct PictureSocket<S> {
    socket: WebSocketStream<Gated<S>>,
    flushed: bool,
}

/// What happened on the wire.
#[derive(Debug)]
pub enum Event {
    /// Something came in.
    Message(Message),
    /// Everything that was to be sent has left.
    Drained,
}

impl<S: AsyncRead + AsyncWrite + Unpin> PictureSocket<S> {
    /// Takes over a connection after the handshake; `early` is what has been read of it already.
    pub async fn new(stream: S, early: Bytes, longest_message: usize) -> PictureSocket<S> {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(HELD_BACK)
            .max_message_size(Some(longest_message))
            .max_frame_size(Some(longest_message));
        let stream = Gated { stream, picture: None };
        let socket = WebSocketStream::from_partially_read(stream, early.to_vec(), Role::Server, Some(config)).await;
        PictureSocket { socket, flushed: true }
    }

    /// Whether a picture can be begun.
    pub fn is_free(&self) -> bool {
        self.flushed && self.socket.get_ref().picture.is_none()
    }

    /// Whether events may be added: not behind others that the viewer has not taken yet.
    pub fn has_room(&self) -> bool {
        self.flushed
    }

    /// Adds an event.
    pub fn say(&mut self, text: String) -> Result<(), Error> {
        self.flushed = false;
        Pin::new(&mut self.socket).start_send(Message::text(text))
    }

    /// Adds the closing frame.
    pub fn close(&mut self, code: u16, reason: String) -> Result<(), Error> {
        self.flushed = false;
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        Pin::new(&mut self.socket).start_send(Message::Close(Some(frame)))
    }

    /// Begins a picture. Only when [`PictureSocket::is_free`].
    pub fn show(&mut self, header: [u8; 16], jpeg: Bytes) {
        debug_assert!(self.is_free());
        let mut head = Vec::with_capacity(26);
        head.push(FINAL_BINARY);
        // RFC 6455 section 5.2: the shortest encoding of the length is the only one.
        match header.len() + jpeg.len() {
            length @ 0..=125 => head.push(length as u8),
            length @ 126..=0xFFFF => {
                head.push(126);
                head.extend((length as u16).to_be_bytes());
            }
            length => {
                head.push(127);
                head.extend((length as u64).to_be_bytes());
            }
        }
        head.extend(header);
        self.socket.get_mut().picture = Some((head.into(), jpeg));
        self.flushed = false;
    }

    /// Writes what can be written, and reads what has come if that is wanted. `None`: the other end has closed.
    pub fn poll(&mut self, context: &mut Context, reads: bool) -> Poll<Option<Result<Event, Error>>> {
        if !self.flushed && self.poll_write(context)?.is_ready() {
            self.flushed = true;
            return Poll::Ready(Some(Ok(Event::Drained)));
        }
        if !reads {
            return Poll::Pending;
        }
        let message = ready!(Pin::new(&mut self.socket).poll_next(context));
        if let Some(Ok(Message::Ping(_) | Message::Close(_))) = message {
            // The library has put an answer where its next write will find it. No picture may come in between.
            self.flushed = false;
        }
        Poll::Ready(message.map(|message| message.map(Event::Message)))
    }

    /// Writes the picture under way, then what the library has.
    pub fn poll_write(&mut self, context: &mut Context) -> Poll<Result<(), Error>> {
        ready!(self.socket.get_mut().poll_picture(context))?;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// The connection alone.
    pub fn into_stream(self) -> S {
        self.socket.into_inner().stream
    }
}

/// A stream whose ordinary writes wait while a picture is half written.
#[derive(Debug)]
struct Gated<S> {
    stream: S,
    /// Its frame header and the picture, as far as they have not left.
    picture: Option<(Bytes, Bytes)>,
}

impl<S: AsyncWrite + Unpin> Gated<S> {
    /// Goes on writing the picture; ready when there is none.
    fn poll_picture(&mut self, context: &mut Context) -> Poll<io::Result<()>> {
        while let Some((head, jpeg)) = &mut self.picture {
            let slices = [IoSlice::new(head), IoSlice::new(jpeg)];
            let slices = if head.is_empty() { &slices[1..] } else { &slices[..] };
            let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_head = written.min(head.len());
            head.advance(of_head);
            jpeg.advance(written - of_head);
            if head.is_empty() && jpeg.is_empty() {
                // Dropped at once, so that its buffer goes back to the driver.
                self.picture = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gated<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context, buffer: &mut ReadBuf) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gated<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.picture.is_some() {
            // No waker is needed: whoever finishes the picture flushes the library next.
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::poll_fn;

    use crate::net::ws::picture_socket::*;

    /// A stream that takes one byte of an ordinary write and seven of a picture's, each time after a pause.
    #[derive(Default)]
    struct Sluggish {
        input: VecDeque<u8>,
        output: Vec<u8>,
        rested: bool,
    }

    impl Sluggish {
        fn take(&mut self, context: &mut Context, bytes: &[u8], most: usize) -> Poll<io::Result<usize>> {
            self.rested = !self.rested;
            if self.rested {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let taken = bytes.len().min(most);
            self.output.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }
    }

    impl AsyncRead for Sluggish {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context, buffer: &mut ReadBuf) -> Poll<io::Result<()>> {
            let Some(byte) = self.input.pop_front() else { return Poll::Pending };
            buffer.put_slice(&[byte]);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Sluggish {
        fn poll_write(mut self: Pin<&mut Self>, context: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.take(context, bytes, 1)
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            context: &mut Context,
            slices: &[IoSlice],
        ) -> Poll<io::Result<usize>> {
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            self.take(context, &bytes, 7)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A ping whose payload is one letter, under a mask of zeros, and the answer to it.
    fn ping(letter: u8) -> [u8; 7] {
        [0x89, 0x81, 0, 0, 0, 0, letter]
    }

    fn pong(letter: u8) -> [u8; 3] {
        [0x8A, 0x01, letter]
    }

    async fn wire(input: &[u8]) -> PictureSocket<Sluggish> {
        let stream = Sluggish { input: input.iter().copied().collect(), ..Sluggish::default() };
        PictureSocket::new(stream, Bytes::new(), 4096).await
    }

    async fn next(wire: &mut PictureSocket<Sluggish>) -> Event {
        poll_fn(|context| wire.poll(context, true)).await.unwrap().unwrap()
    }

    async fn drain(wire: &mut PictureSocket<Sluggish>) {
        while !matches!(next(wire).await, Event::Drained) {}
    }

    #[tokio::test]
    async fn what_the_library_answers_waits_for_the_end_of_a_picture() {
        let mut wire = wire(&ping(b'?')).await;
        wire.show([1; 16], Bytes::from_static(&[2; 84]));
        drain(&mut wire).await;
        let expected = [&[0x82, 100][..], &[1; 16], &[2; 84], &pong(b'?')].concat();
        assert_eq!(expected, wire.into_stream().output);
    }

    #[tokio::test]
    async fn a_picture_waits_for_what_the_library_has_half_written() {
        let mut wire = wire(&ping(b'?')).await;
        assert!(wire.is_free());
        assert!(matches!(next(&mut wire).await, Event::Message(Message::Ping(_))));
        assert!(!wire.is_free(), "the answer is on its way");
        drain(&mut wire).await;
        assert!(wire.is_free());
        wire.show([1; 16], Bytes::from_static(&[2; 4]));
        drain(&mut wire).await;
        assert_eq!([&pong(b'?')[..], &[0x82, 20], &[1; 16], &[2; 4]].concat(), wire.into_stream().output);
    }

    #[tokio::test]
    async fn what_is_to_be_sent_leaves_while_nothing_is_read() {
        let mut wire = wire(&ping(b'?')).await;
        wire.say("{}".into()).unwrap();
        let event = poll_fn(|context| wire.poll(context, false)).await.unwrap().unwrap();
        assert!(matches!(event, Event::Drained));
        assert!(poll_fn(|context| Poll::Ready(wire.poll(context, false))).await.is_pending());
        assert!(matches!(next(&mut wire).await, Event::Message(Message::Ping(_))));
    }

    #[tokio::test]
    async fn an_event_said_while_a_picture_is_half_out_follows_it() {
        let mut wire = wire(&[]).await;
        wire.show([1; 16], Bytes::from_static(&[2; 40]));
        assert!(!wire.has_room());
        wire.say("{}".into()).unwrap();
        drain(&mut wire).await;
        assert_eq!([&[0x82, 56][..], &[1; 16], &[2; 40], &[0x81, 2], b"{}"].concat(), wire.into_stream().output);
    }
}
