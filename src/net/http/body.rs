//! Gives hyper response bodies that it can send without copying.

use std::convert::Infallible;
use std::fmt;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};

/// What a response carries.
#[derive(Debug)]
pub enum Body {
    /// All of it is here, and sent with its length.
    Whole(Bytes),
    /// Part after part until somebody has enough.
    Parts(Box<dyn Parts>),
}

/// A body that is made while it is sent.
pub trait Parts: fmt::Debug + Send {
    /// The next part, once the one before has left.
    fn poll_part(&mut self, context: &mut Context) -> Poll<Option<Pieces>>;
}

/// Up to three pieces that belong together, sent with one system call.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Before the picture.
    pub head: Bytes,
    /// The picture, often still in the driver's buffer.
    pub picture: Bytes,
    /// After it.
    pub tail: Bytes,
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.head.len() + self.picture.len() + self.tail.len()
    }

    fn chunk(&self) -> &[u8] {
        [&self.head, &self.picture, &self.tail].into_iter().find(|piece| !piece.is_empty()).map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = [&self.head, &self.picture, &self.tail].into_iter().filter(|piece| !piece.is_empty());
        let filled = slices.iter_mut().zip(pieces).map(|(slice, piece)| *slice = IoSlice::new(piece));
        filled.count()
    }

    fn advance(&mut self, mut count: usize) {
        for piece in [&mut self.head, &mut self.picture, &mut self.tail] {
            let step = count.min(piece.len());
            piece.advance(step);
            count -= step;
            if piece.is_empty() {
                // Dropped at once: the picture's buffer goes back to the driver while its tail may still be waiting.
                *piece = Bytes::new();
            }
        }
        assert_eq!(0, count, "hyper advances by what it has written");
    }
}

impl http_body::Body for Body {
    type Data = Pieces;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<Result<Frame<Pieces>, Infallible>>> {
        let pieces = match self.get_mut() {
            Body::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Body::Whole(bytes) => Poll::Ready(Some(Pieces { head: std::mem::take(bytes), ..Pieces::default() })),
            Body::Parts(parts) => parts.poll_part(context),
        };
        pieces.map(|pieces| pieces.map(|pieces| Ok(Frame::data(pieces))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Parts(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_every_byte_in_order_however_they_are_taken() {
        for step in 1..=9 {
            let mut pieces = Pieces { head: "head".into(), picture: "pic".into(), tail: "ta".into() };
            let mut taken = Vec::new();
            while pieces.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 4];
                let filled = pieces.chunks_vectored(&mut slices);
                let whole: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
                assert_eq!(pieces.remaining(), whole.len());
                let step = step.min(whole.len());
                taken.extend_from_slice(&whole[..step]);
                pieces.advance(step);
            }
            assert_eq!(b"headpicta".to_vec(), taken);
        }
    }
}
