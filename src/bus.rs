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
use crate::base::heartbeat::{Heartbeat, STALLED_AFTER};
use crate::base::seat_id::SeatId;
use crate::base::signal::{Signal, Size};
use crate::base::usb::{KeyboardLeds, Udc};
use crate::update::System;
use crate::video::encode::Range;

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

/// Why the newest picture is not what the target shows now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Since when there is no live picture.
    pub since: Instant,
    /// What became of the signal.
    pub signal: Signal,
    /// What exactly is wrong, in words, where the signal does not say all.
    pub reason: Option<String>,
}

/// Hands the newest picture to everyone who watches, and whether it is live.
#[derive(Debug, Clone)]
pub struct FrameBus {
    newest: watch::Sender<Option<Frame>>,
    /// Why it is not, unless it is.
    lost: watch::Sender<Option<Lost>>,
    /// How many of those who follow want pictures now.
    audience: watch::Sender<usize>,
    seq: Arc<AtomicU64>,
    /// Whether a picture was skipped since the newest.
    behind: Arc<AtomicBool>,
}

impl Default for FrameBus {
    fn default() -> FrameBus {
        let (newest, lost, audience) = (watch::Sender::new(None), watch::Sender::new(None), watch::Sender::new(0));
        FrameBus { newest, lost, audience, seq: Arc::default(), behind: Arc::default() }
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

    /// The newest picture, live or not.
    pub fn newest(&self) -> Option<Frame> {
        self.newest.borrow().clone()
    }

    /// Follows the pictures; the receiver skips what it was too slow for.
    pub fn watch(&self) -> Frames {
        let (newest, lost) = (self.newest.subscribe(), self.lost.subscribe());
        let (audience, behind) = (self.audience.clone(), self.behind.clone());
        let mut frames = Frames { newest, lost, audience, behind, wanted: false };
        frames.want(true);
        frames
    }

    /// Follows whether the newest picture is live, and why not.
    pub fn watch_lost(&self) -> watch::Receiver<Option<Lost>> {
        self.lost.subscribe()
    }

    /// Notes what became of the signal. Returns since when there is no live picture, unless there is one.
    fn see(&self, now: Instant, signal: Signal, reason: Option<String>) -> Option<Instant> {
        let known = self.lost.borrow().as_ref().map(|lost| lost.since);
        let is_live = match signal {
            Signal::Ok => true,
            // For the moment that this takes, a picture that was live is the best one to show.
            Signal::Changing => known.is_none(),
            _ => false,
        };
        if !is_live && known.is_none() {
            self.keep();
        }
        let since = known.unwrap_or(now);
        let lost = (!is_live).then_some(Lost { since, signal, reason });
        self.lost.send_if_modified(|known| {
            let is_news = *known != lost;
            *known = lost;
            is_news
        });
        (!is_live).then_some(since)
    }

    /// Frees the driver's buffer that the newest picture may lie in, which stays for as long as the signal is lost. To
    /// those who watch, it is no new picture.
    fn keep(&self) {
        self.newest.send_if_modified(|newest| {
            if let Some(frame) = newest {
                frame.jpeg = Bytes::copy_from_slice(&frame.jpeg);
            }
            false
        });
    }

    fn count(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Follows the pictures, and counts as audience meanwhile.
#[derive(Debug)]
pub struct Frames {
    newest: watch::Receiver<Option<Frame>>,
    lost: watch::Receiver<Option<Lost>>,
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
    /// then the next one is on its way, and the newest may be hours old. While the signal is lost none is on its way.
    pub fn mark_changed(&mut self) {
        if !self.behind.load(Ordering::Relaxed) || self.lost.borrow().is_some() {
            self.newest.mark_changed();
        } else {
            self.newest.mark_unchanged();
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
    /// What the numbers of the pictures mean.
    pub range: Range,
    /// How many pictures were too damaged to be shown.
    pub dropped: u64,
    /// Whether whoever says all this has not moved for so long that it says nothing any more.
    pub stuck: bool,
}

impl ScreenStatus {
    /// What is to be shown of it: of one who is stuck, that they are.
    pub fn shown(self) -> ScreenStatus {
        if !self.stuck {
            return self;
        }
        let reason = Some(format!("the capture driver has not answered for {} s", STALLED_AFTER.as_secs()));
        ScreenStatus { signal: Signal::Stuck, mode: None, fps: 0.0, reason, ..self }
    }
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
    /// Since when there is no live picture, unless there is one.
    pub lost: Option<Instant>,
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

impl SeatBus {
    /// Changes what is known of the screen, and with it whether the newest picture counts as live.
    pub fn report(&self, now: Instant, change: impl FnOnce(&mut ScreenStatus)) {
        self.status.update(|status| {
            change(&mut status.screen);
            let ScreenStatus { signal, reason, .. } = status.screen.clone().shown();
            status.lost = self.frames.see(now, signal, reason);
        });
    }
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

    const SIZE: Size = Size { width: 8, height: 8 };

    fn seat(now: Instant) -> SeatBus {
        SeatBus {
            seat: "main".to_string().try_into().unwrap(),
            frames: FrameBus::default(),
            status: StatusBus::default(),
            heartbeat: Heartbeat::new(now),
        }
    }

    #[test]
    fn a_picture_is_live_until_the_signal_goes_and_its_loss_is_counted_from_then() {
        let start = Instant::now();
        let (bus, at) = (seat(start), |secs| start + std::time::Duration::from_secs(secs));
        let mut lost = bus.frames.watch_lost();
        let mut report = |secs, signal, reason: Option<&str>| {
            bus.report(at(secs), |screen| (screen.signal, screen.reason) = (signal, reason.map(str::to_string)));
            let since = bus.status.now().lost;
            let is_news = lost.has_changed().unwrap();
            let why = lost.borrow_and_update().clone();
            assert_eq!(since, why.as_ref().map(|lost| lost.since));
            (is_news, why.map(|lost| (lost.since, lost.signal, lost.reason.unwrap_or_default())))
        };
        let lost = |secs, signal, reason: &str| Some((at(secs), signal, reason.to_string()));
        assert_eq!((true, lost(0, Signal::Starting, "")), report(0, Signal::Starting, None));
        assert_eq!((true, None), report(1, Signal::Ok, None));
        assert_eq!((false, None), report(2, Signal::Changing, None), "it ends before anyone could read of it");
        assert_eq!((true, lost(3, Signal::Stalled, "one")), report(3, Signal::Stalled, Some("one")));
        assert_eq!((false, lost(3, Signal::Stalled, "one")), report(4, Signal::Stalled, Some("one")));
        assert_eq!((true, lost(3, Signal::Stalled, "two")), report(5, Signal::Stalled, Some("two")));
        assert_eq!((true, lost(3, Signal::Changing, "")), report(6, Signal::Changing, None), "nothing has come yet");
        assert_eq!((true, None), report(7, Signal::Ok, None));
        bus.report(at(8), |screen| screen.stuck = true);
        assert_eq!(Some(at(8)), bus.status.now().lost);
        bus.report(at(9), |screen| screen.stuck = false);
        assert_eq!(None, bus.status.now().lost);
    }

    #[test]
    fn a_picture_that_stays_gives_its_buffer_back_and_is_no_new_one() {
        struct Buffer(#[expect(dead_code, reason = "it is only held")] Arc<()>);
        impl AsRef<[u8]> for Buffer {
            fn as_ref(&self) -> &[u8] {
                b"panic"
            }
        }
        let (bus, lent) = (seat(Instant::now()), Arc::new(()));
        let mut frames = bus.frames.watch();
        bus.frames.publish(Instant::now(), SIZE, Bytes::from_owner(Buffer(lent.clone())));
        let seq = frames.borrow_and_update().as_ref().unwrap().seq;
        bus.report(Instant::now(), |screen| screen.signal = Signal::Ok);
        assert_eq!(2, Arc::strong_count(&lent));
        bus.report(Instant::now(), |screen| screen.signal = Signal::NoSignal);
        assert_eq!((1, false), (Arc::strong_count(&lent), frames.has_changed().unwrap()));
        let kept = bus.frames.newest().unwrap();
        assert_eq!((seq, &b"panic"[..]), (kept.seq, &kept.jpeg[..]));
    }

    #[test]
    fn whoever_comes_while_the_signal_is_lost_is_shown_the_last_picture_however_old() {
        let bus = seat(Instant::now());
        bus.frames.publish(Instant::now(), SIZE, Bytes::new());
        bus.frames.pass_over();
        let shown_at_once = || {
            let mut frames = bus.frames.watch();
            frames.mark_changed();
            frames.has_changed().unwrap()
        };
        assert!(!shown_at_once());
        bus.report(Instant::now(), |screen| screen.signal = Signal::NoSignal);
        assert!(shown_at_once());
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
