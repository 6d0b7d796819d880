//! Keeps what waits to be carried to the hands: requests, and each owner's inputs.
//!
//! Inputs are taken from their owners in turn, one of each, so that who sends many waits behind their own and nobody
//! else's. What client and link both know stands here, too: the client asks, the link writes it down.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::sync::{mpsc, oneshot, watch};

use super::protocol::{HandsError, Input, ToHands};
use crate::base::heartbeat::Heartbeat;
use crate::base::seat_id::SeatId;
use crate::bus::{StatusBus, SystemBus};
use crate::hid::keyboard::Owner;

/// Where the answer to a request goes.
pub type Answer = oneshot::Sender<Result<(), HandsError>>;

/// A message that wants an answer, and where that goes.
#[derive(Debug)]
pub struct Request {
    pub message: ToHands,
    pub answer: Answer,
}

/// What every client knows without asking.
#[derive(Debug)]
pub struct Shared {
    /// Whether the hands answer.
    pub up: AtomicBool,
    /// What is known of each seat.
    pub seats: BTreeMap<SeatId, KnownSeat>,
    /// When the hands last answered.
    pub heartbeat: Heartbeat,
    /// Where news of the appliance go.
    pub system: SystemBus,
    /// The last number given to a request.
    pub last_id: AtomicU64,
}

/// One seat, as far as the hands have told.
#[derive(Debug)]
pub struct KnownSeat {
    /// Where news of its target go.
    pub status: StatusBus,
    /// Whether its target has our keyboard.
    pub takes_keys: AtomicBool,
}

impl Shared {
    /// The seat, if there is somebody to work it.
    pub fn reach(&self, seat: &SeatId) -> Result<&KnownSeat, HandsError> {
        let up = self.up.load(Ordering::Relaxed);
        self.seats.get(seat).filter(|_| up).ok_or(HandsError::Away)
    }
}

/// One owner's inputs at one seat.
#[derive(Debug)]
pub struct OwnerInputs {
    seat: SeatId,
    owner: Owner,
    inputs: mpsc::Receiver<Input>,
    dropped: watch::Sender<Option<HandsError>>,
    /// Whether something of theirs may be held, or on its way, at the other end.
    has_acted: bool,
}

impl OwnerInputs {
    /// An owner who has just come. Why inputs of theirs are dropped goes to `dropped`.
    pub fn new(
        seat: SeatId,
        owner: Owner,
        inputs: mpsc::Receiver<Input>,
        dropped: watch::Sender<Option<HandsError>>,
    ) -> OwnerInputs {
        OwnerInputs { seat, owner, inputs, dropped, has_acted: false }
    }

    /// Their next input; `None` once they have gone and nothing of theirs waits.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Input>> {
        let input = ready!(self.inputs.poll_recv(context));
        self.has_acted |= input.is_some_and(Input::acts);
        Poll::Ready(input)
    }
}

/// Everybody who may send inputs. Whose turn it is stands first.
#[derive(Debug, Default)]
pub struct Turns(VecDeque<OwnerInputs>);

impl Turns {
    /// Takes in an owner.
    pub fn push(&mut self, theirs: OwnerInputs) {
        self.0.push_back(theirs);
    }

    /// Takes one input of whoever has waited longest for their turn. Whoever has gone releases all, without having
    /// asked for it.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToHands> {
        for _ in 0..self.0.len() {
            let Some(mut theirs) = self.0.pop_front() else { break };
            let (seat, owner) = (theirs.seat.clone(), theirs.owner);
            match theirs.poll(context) {
                Poll::Pending => self.0.push_back(theirs),
                Poll::Ready(None) => return Poll::Ready(ToHands::Input { seat, owner, input: Input::Release }),
                Poll::Ready(Some(input)) => {
                    self.0.push_back(theirs);
                    return Poll::Ready(ToHands::Input { seat, owner, input });
                }
            }
        }
        Poll::Pending
    }

    /// Tells an owner that what they sent has been dropped.
    pub fn tell_dropped(&self, seat: &SeatId, owner: Owner, error: HandsError) {
        if let Some(theirs) = self.0.iter().find(|theirs| theirs.owner == owner && theirs.seat == *seat) {
            theirs.dropped.send_replace(Some(error));
        }
    }

    /// Tells everybody who has done something that all of it has been released.
    pub fn all_dropped(&mut self, error: &HandsError) {
        for theirs in self.0.iter_mut().filter(|theirs| theirs.has_acted) {
            theirs.has_acted = false;
            theirs.dropped.send_replace(Some(error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::hid::keyboard::Usage;

    fn attach(turns: &mut Turns, owner: u64, inputs: usize) -> mpsc::Sender<Input> {
        let (sender, receiver) = mpsc::channel(64);
        for down in (0..inputs).map(|at| at % 2 == 0) {
            sender.try_send(Input::Key { usage: Usage(4), down }).unwrap();
        }
        let seat = SeatId::try_from("main".to_string()).unwrap();
        turns.push(OwnerInputs::new(seat, Owner(owner), receiver, watch::channel(None).0));
        sender
    }

    fn next(turns: &mut Turns) -> Option<(u64, Input)> {
        match turns.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ToHands::Input { owner, input, .. }) => Some((owner.0, input)),
            Poll::Ready(message) => panic!("{message:?}"),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_sends_many_waits_behind_their_own_only() {
        let mut turns = Turns::default();
        let _held = [attach(&mut turns, 1, 60), attach(&mut turns, 2, 2), attach(&mut turns, 3, 1)];
        let order: Vec<u64> = std::iter::from_fn(|| next(&mut turns)).map(|(owner, _)| owner).take(8).collect();
        assert_eq!([1, 2, 3, 1, 2, 1, 1, 1], order[..]);
    }

    #[test]
    fn who_goes_lets_go_behind_what_they_sent() {
        let mut turns = Turns::default();
        drop(attach(&mut turns, 1, 1));
        assert_eq!(Some((1, Input::Key { usage: Usage(4), down: true })), next(&mut turns));
        assert_eq!(Some((1, Input::Release)), next(&mut turns));
        assert_eq!(None, next(&mut turns));
        assert!(turns.0.is_empty());
    }
}
