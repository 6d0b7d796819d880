//! Carries pictures and status from the few who know to the many who watch.
//!
//! Both buses hold one value, the newest. Nobody who publishes ever waits, and nobody who is slow can make another
//! wait: there is no queue to fill.

pub mod pulse;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;

use crate::base::front_panel::Lamps;
use crate::base::heartbeat::Heartbeat;
use crate::base::seat_id::SeatId;
use crate::base::signal::{Signal, Size};
use crate::base::tasks::Stop;
use crate::base::usb::{KeyboardLeds, Udc};
use crate::update::System;

/// One picture of the target's screen.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Counts up from 1; a gap means that pictures were skipped.
    pub seq: u64,
    /// When the capture device had it complete.
    pub captured: Instant,
    /// What its JPEG header says.
    pub size: Size,
    /// A whole JPEG file, often still in the driver's buffer.
    pub jpeg: Bytes,
}

/// Hands the newest picture to everyone who watches.
#[derive(Debug, Clone)]
pub struct FrameBus {
    newest: watch::Sender<Option<Frame>>,
    /// How many of those who follow want pictures now.
    audience: watch::Sender<usize>,
    seq: Arc<AtomicU64>,
    /// Whether a picture was skipped since the newest.
    behind: Arc<AtomicBool>,
}

impl Default for FrameBus {
    fn default() -> FrameBus {
        let (newest, audience) = (watch::Sender::new(None), watch::Sender::new(0));
        FrameBus { newest, audience, seq: Arc::default(), behind: Arc::default() }
    }
}

impl FrameBus {
    /// Shows a picture to every viewer. Never blocks, so a capture thread may call it.
    pub fn publish(&self, captured: Instant, size: Size, jpeg: Bytes) {
        let seq = self.count();
        self.behind.store(false, Ordering::Relaxed);
        self.newest.send_replace(Some(Frame { seq, captured, size, jpeg }));
    }

    /// Notes that a picture has come which nobody wanted, so that no file was made of it.
    pub fn pass_over(&self) {
        self.count();
        self.behind.store(true, Ordering::Relaxed);
    }

    /// Whether anybody wants pictures now. A source whose pictures cost something makes few of them, or none, until
    /// then.
    pub fn is_watched(&self) -> bool {
        0 < *self.audience.borrow()
    }

    /// Follows how many want pictures.
    pub fn audience(&self) -> watch::Receiver<usize> {
        self.audience.subscribe()
    }

    /// Whether the screen may look otherwise by now than the newest picture shows.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    /// Follows the pictures; the receiver skips what it was too slow for.
    pub fn watch(&self) -> Frames {
        let (newest, audience, behind) = (self.newest.subscribe(), self.audience.clone(), self.behind.clone());
        let mut frames = Frames { newest, audience, behind, wanted: false };
        frames.want(true);
        frames
    }

    fn count(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Follows the pictures, and counts as audience meanwhile.
#[derive(Debug)]
pub struct Frames {
    newest: watch::Receiver<Option<Frame>>,
    audience: watch::Sender<usize>,
    behind: Arc<AtomicBool>,
    wanted: bool,
}

impl Frames {
    /// Says whether pictures are wanted now: not by a page that is hidden. What is shown to others is received all the
    /// same.
    pub fn want(&mut self, wanted: bool) {
        match (self.wanted, wanted) {
            (false, true) => self.audience.send_modify(|count| *count += 1),
            (true, false) => self.audience.send_modify(|count| *count -= 1),
            _ => (),
        }
        self.wanted = wanted;
    }
}

impl Frames {
    /// Has the newest picture count as one that was not seen yet; unless the screen may look otherwise by now, since
    /// then the next one is on its way, and the newest may be hours old.
    pub fn mark_changed(&mut self) {
        if !self.behind.load(Ordering::Relaxed) {
            self.newest.mark_changed();
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.want(false);
    }
}

impl Deref for Frames {
    type Target = watch::Receiver<Option<Frame>>;

    fn deref(&self) -> &Self::Target {
        &self.newest
    }
}

impl DerefMut for Frames {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.newest
    }
}

/// What is known of the picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScreenStatus {
    /// Whether pictures arrive, and why not.
    pub signal: Signal,
    /// The size of the picture, while there is one.
    pub mode: Option<Size>,
    /// Pictures in the last second.
    pub fps: f32,
    /// What the pictures come from, in words.
    pub device: String,
    /// Why it gives them in the size and rate that it does.
    pub choice: Option<String>,
    /// What exactly is wrong, in words: with the device, the kernel or the pictures.
    pub reason: Option<String>,
    /// How many pictures were too damaged to be shown.
    pub dropped: u64,
    /// Whether whoever says all this has not moved for so long that it says nothing any more.
    pub stuck: bool,
}

/// What the process with the hardware reports of the target.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Deserialize, Serialize)]
pub struct TargetStatus {
    /// The front panel's lamps.
    pub lamps: Lamps,
    /// The keyboard's lamps.
    pub keyboard_leds: KeyboardLeds,
    /// Our USB device controller, if there is one.
    pub udc: Option<Udc>,
    /// Whether the bus was suspended when a report was last offered, which not every controller shows in its state.
    pub asleep: bool,
}

impl TargetStatus {
    /// Whether the target has taken our keyboard. A suspended one has, though it fetches nothing before it wakes.
    pub fn takes_keys(&self) -> bool {
        self.udc.as_ref().is_some_and(|udc| ["configured", "suspended"].contains(&udc.state.as_str()))
    }
}

/// Someone who has the seat's page open.
#[derive(schemars::JsonSchema, Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedViewer {
    /// Counts up over the life of the process; what `hello` told them.
    pub id: u64,
    /// Their user or token name.
    pub user: String,
    /// Whether they sent input within the last few seconds.
    pub typing: bool,
}

/// Everything that is shown of one seat.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SeatStatus {
    /// The picture.
    pub screen: ScreenStatus,
    /// The target.
    pub target: TargetStatus,
    /// The people.
    pub viewers: Vec<ListedViewer>,
}

/// Hands the newest status to everyone who watches.
#[derive(Debug, Clone)]
pub struct StatusBus {
    newest: watch::Sender<SeatStatus>,
    /// Whether a screen was shown to be stuck, and has not noticed yet.
    was_stuck: Arc<AtomicBool>,
}

impl Default for StatusBus {
    fn default() -> StatusBus {
        StatusBus { newest: watch::Sender::new(SeatStatus::default()), was_stuck: Arc::default() }
    }
}

impl StatusBus {
    /// Changes the status; watchers wake only if it came out different.
    pub fn update(&self, change: impl FnOnce(&mut SeatStatus)) {
        self.newest.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    /// The status now.
    pub fn now(&self) -> SeatStatus {
        self.newest.borrow().clone()
    }

    /// Follows the status; the receiver skips what it was too slow for.
    pub fn watch(&self) -> watch::Receiver<SeatStatus> {
        self.newest.subscribe()
    }
}

/// Hands the newest news of the appliance itself to everyone who watches.
#[derive(Debug, Clone, Default)]
pub struct SystemBus(watch::Sender<System>);

impl SystemBus {
    /// Changes what is known, if `change` says that it did.
    pub fn update(&self, change: impl FnOnce(&mut System) -> bool) -> bool {
        self.0.send_if_modified(change)
    }

    /// What is known now.
    pub fn now(&self) -> System {
        self.0.borrow().clone()
    }

    /// Follows it; the receiver skips what it was too slow for.
    pub fn watch(&self) -> watch::Receiver<System> {
        self.0.subscribe()
    }
}

/// One seat's two buses, under its name: all that a screen fills and a viewer reads.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "three fields are described by their types")]
pub struct SeatBus {
    pub seat: SeatId,
    pub frames: FrameBus,
    pub status: StatusBus,
    /// Whether whoever fills them still moves.
    pub heartbeat: Heartbeat,
}

/// A source of pictures of the target's screen: a capture device, or the simulated machine.
pub trait Screen: Send + 'static {
    /// Publishes pictures, and what is known of the signal, until told to stop. Runs on a thread of its own.
    fn run(self: Box<Self>, bus: SeatBus, stop: Stop);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_follows_is_audience_until_they_look_away_or_leave() {
        let bus = FrameBus::default();
        assert!(!bus.is_watched());
        let mut hidden = bus.watch();
        let leaves = bus.clone().watch();
        assert!(bus.is_watched());
        for _ in 0..2 {
            // Said twice, it counts once.
            hidden.want(false);
        }
        assert!(bus.is_watched(), "the other one still looks");
        drop(leaves);
        assert!(!bus.is_watched());
        hidden.want(true);
        assert!(bus.is_watched());
        drop(hidden);
        assert!(!bus.is_watched());
    }

    #[test]
    fn a_picture_that_was_passed_over_leaves_the_newest_behind_and_a_gap() {
        let (bus, size) = (FrameBus::default(), Size { width: 8, height: 8 });
        let seq = |frames: &Frames| frames.borrow().as_ref().map(|frame| frame.seq);
        let frames = bus.watch();
        bus.publish(Instant::now(), size, Bytes::new());
        assert_eq!((Some(1), false), (seq(&frames), bus.is_behind()));
        bus.pass_over();
        assert_eq!((Some(1), true), (seq(&frames), bus.is_behind()));
        bus.publish(Instant::now(), size, Bytes::new());
        assert_eq!((Some(3), false), (seq(&frames), bus.is_behind()));
    }

    #[test]
    fn whoever_comes_is_shown_the_newest_picture_unless_it_is_out_of_date() {
        let bus = FrameBus::default();
        let shown_at_once = || {
            let mut frames = bus.watch();
            frames.mark_changed();
            frames.has_changed().unwrap()
        };
        bus.publish(Instant::now(), Size { width: 8, height: 8 }, Bytes::new());
        assert!(shown_at_once());
        bus.pass_over();
        assert!(!shown_at_once());
        bus.publish(Instant::now(), Size { width: 8, height: 8 }, Bytes::new());
        assert!(shown_at_once());
    }
}
