//! One HID gadget node: what the kernel means by refusing a report, and the lamps that the target sets.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::base::usb::KeyboardLeds;
use crate::hw::get_report;
use crate::ports::Offer;

/// The node of one HID function.
pub struct Node {
    fd: AsyncFd<File>,
    blocked: bool,
    deaf: bool,
    /// Whether the kernel wants to know what to answer a host that asks for the current report.
    asks: bool,
}

impl Node {
    pub fn new(node: File) -> io::Result<Node> {
        let fd = watch(node, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Node { fd, blocked: false, deaf: false, asks: true })
    }

    /// Has the kernel answer a host that asks for the current report.
    pub fn answer(&mut self, report: &[u8]) {
        if self.asks {
            self.asks = get_report::answer(self.fd.get_ref(), report).unwrap_or_else(|error| {
                log::warn!("a host that asks for the keyboard's or pointer's state waits for seconds: {error}");
                false
            });
        }
    }

    /// Passes a report to the controller, if the previous one has been fetched.
    pub fn offer(&mut self, report: &[u8]) -> io::Result<Offer> {
        self.blocked = false;
        // Twice, since the report before may be fetched between the first refusal and the question whether there is
        // room.
        for _ in 0..2 {
            match self.fd.get_ref().write(report) {
                Ok(len) if len == report.len() => return Ok(Offer::Taken),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                Err(error) if is_absent(&error) => return Ok(Offer::Absent),
                Err(error) => return Err(error),
            }
            // From here on the runtime wakes us for room that there is not yet. So it must forget before we look.
            let _ = self.fd.try_io(Interest::WRITABLE, |_| io::Result::<()>::Err(io::ErrorKind::WouldBlock.into()));
            if !is_writable(self.fd.get_ref())? {
                self.blocked = true;
                return Ok(Offer::Full);
            }
        }
        // A controller on a suspended bus refuses what f_hid has room for (dwc2: "submit request only in active
        // state"), and f_hid wakes us as if it had been fetched.
        Ok(Offer::Asleep)
    }

    /// Ready once after an offer for which there was no room, when the next may be made.
    pub fn poll_fetched(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.blocked {
            return Poll::Pending;
        }
        // An error is for the next offer to find.
        let _ = ready!(self.fd.poll_write_ready(context));
        self.blocked = false;
        Poll::Ready(())
    }

    /// The lamps, when the target sets them.
    pub fn poll_leds(&mut self, context: &mut Context<'_>) -> Poll<KeyboardLeds> {
        while !self.deaf {
            let Ok(mut ready) = ready!(self.fd.poll_read_ready(context)) else { return Poll::Pending };
            // The report is one byte; anything after it is ignored.
            let mut report = [0; 8];
            match ready.try_io(|node| node.get_ref().read(&mut report)) {
                Ok(Ok(len)) if 0 < len => return Poll::Ready(leds(report[0])),
                // Until the target has configured the keyboard again, f_hid polls as readable, fails with ENOMEM, and
                // wakes us for having read: reading on would use up the processor.
                Ok(_) => self.deaf = true,
                Err(_would_block) => (),
            }
        }
        Poll::Pending
    }

    /// Reads again, since the target may have configured the keyboard again.
    pub fn listen(&mut self) {
        self.deaf = false;
    }
}

/// Registers a file with the runtime.
pub fn watch(file: File, interest: Interest) -> io::Result<AsyncFd<File>> {
    // SAFETY: a `File` owns one open descriptor, the same for as long as it lives, and it is never taken out again.
    unsafe { AsyncFd::register_with_interest(file, interest) }.map_err(io::Error::from)
}

/// HID 1.11 appendix B.1, output report.
fn leds(report: u8) -> KeyboardLeds {
    KeyboardLeds { num: report & 1 != 0, caps: report & 2 != 0, scroll: report & 4 != 0 }
}

/// Whether a controller says, by one of several errors, that no host is there to fetch a report.
fn is_absent(error: &io::Error) -> bool {
    let absent = [libc::ESHUTDOWN, libc::ENODEV, libc::ENXIO, libc::EPIPE, libc::ECONNRESET];
    error.raw_os_error().is_some_and(|errno| absent.contains(&errno))
}

/// Whether a node has room for a report, by its own account.
fn is_writable(node: &File) -> io::Result<bool> {
    let mut asked = [PollFd::new(node.as_fd(), PollFlags::POLLOUT)];
    poll(&mut asked, PollTimeout::ZERO)?;
    Ok(asked[0].any().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    /// A socket stands in for the kernel's node: it too takes reports until it is full, and wakes us when it no longer
    /// is.
    fn node() -> (Node, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (Node::new(OwnedFd::from(ours).into()).unwrap(), theirs)
    }

    #[tokio::test]
    async fn a_full_node_blocks_and_says_once_when_it_does_not() {
        let (mut node, mut target) = node();
        let mut offers = (0..1_000_000).map(|_| node.offer(&[7; 8]).unwrap());
        assert_eq!(Some(Offer::Full), offers.find(|offer| *offer != Offer::Taken), "no socket is so large");
        assert!(poll_fn(|context| Poll::Ready(node.poll_fetched(context).is_pending())).await);
        while target.read(&mut [0; 4096]).is_ok() {}
        poll_fn(|context| node.poll_fetched(context)).await;
        assert!(poll_fn(|context| Poll::Ready(node.poll_fetched(context).is_pending())).await, "once is enough");
        assert_eq!(Offer::Taken, node.offer(&[8; 8]).unwrap());
        let mut report = [0; 8];
        assert_eq!((8, [8; 8]), (target.read(&mut report).unwrap(), report));
    }

    #[tokio::test]
    async fn lamps_are_read_from_the_output_report() {
        let (mut node, mut target) = node();
        target.write_all(&[0b011]).unwrap();
        let read = poll_fn(|context| node.poll_leds(context)).await;
        assert_eq!(KeyboardLeds { num: true, caps: true, scroll: false }, read);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_fails_is_not_read_again_before_it_is_listened_to() {
        let (mut node, target) = node();
        drop(target);
        // An end of file stands in for f_hid's ENOMEM: both come again at once, for as long as one reads.
        let mut wakes = 0;
        let nothing = poll_fn(|context| {
            wakes += 1;
            node.poll_leds(context).map(|leds| panic!("nobody set {leds:?}"))
        });
        let () = tokio::time::timeout(Duration::from_millis(50), nothing).await.unwrap_or(());
        assert!(wakes <= 3, "woken {wakes} times");
        assert!(node.deaf);
        node.listen();
        assert!(poll_fn(|context| Poll::Ready(node.poll_leds(context).is_pending())).await);
        assert!(node.deaf, "it was read once more");
    }

    #[tokio::test]
    async fn a_node_whose_other_end_is_gone_is_absent() {
        let (mut node, theirs) = node();
        node.blocked = true;
        drop(theirs);
        poll_fn(|context| node.poll_fetched(context)).await;
        assert_eq!(Offer::Absent, node.offer(&[0; 8]).unwrap());
    }

    #[test]
    fn the_kernels_words_for_nobody_there_are_one() {
        assert!([libc::ESHUTDOWN, libc::ENODEV].iter().all(|errno| is_absent(&io::Error::from_raw_os_error(*errno))));
        assert!(!is_absent(&io::Error::from_raw_os_error(libc::EAGAIN)));
    }
}
