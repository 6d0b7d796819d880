//! Carries pictures and status from the few who know to the many who watch.
//!
//! Both buses hold one value, the newest. Nobody who publishes ever waits, and nobody who is slow can make another wait:
//! there is no queue to fill.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;

use crate::ports::{KeyboardLeds, Lamps, SeatId, Signal, Size, Udc};
use crate::pulse::Pulse;
use crate::update::System;

/// One picture of the target's screen.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Counts up from 1; a gap means that pictures were passed over.
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
    seq: Arc<AtomicU64>,
}

impl Default for FrameBus {
    fn default() -> FrameBus {
        FrameBus { newest: watch::Sender::new(None), seq: Arc::default() }
    }
}

impl FrameBus {
    /// Shows a picture to every viewer. Never blocks, so a capture thread may call it.
    pub fn publish(&self, captured: Instant, size: Size, jpeg: Bytes) {
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        self.newest.send_replace(Some(Frame { seq, captured, size, jpeg }));
    }

    /// Follows the pictures; the receiver skips what it was too slow for.
    pub fn watch(&self) -> watch::Receiver<Option<Frame>> {
        self.newest.subscribe()
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
}

impl TargetStatus {
    /// Whether the target has taken our keyboard. A suspended one has, though it fetches nothing before it wakes.
    pub fn takes_keys(&self) -> bool {
        self.udc.as_ref().is_some_and(|udc| ["configured", "suspended"].contains(&udc.state.as_str()))
    }
}

/// Someone who has the seat's page open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Viewer {
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
    pub viewers: Vec<Viewer>,
}

/// Hands the newest status to everyone who watches.
#[derive(Debug, Clone)]
pub struct StatusBus(watch::Sender<SeatStatus>);

impl Default for StatusBus {
    fn default() -> StatusBus {
        StatusBus(watch::Sender::new(SeatStatus::default()))
    }
}

impl StatusBus {
    /// Changes the status; watchers wake only if it came out different.
    pub fn update(&self, change: impl FnOnce(&mut SeatStatus)) {
        self.0.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    /// The status now.
    pub fn now(&self) -> SeatStatus {
        self.0.borrow().clone()
    }

    /// Follows the status; the receiver skips what it was too slow for.
    pub fn watch(&self) -> watch::Receiver<SeatStatus> {
        self.0.subscribe()
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
pub struct SeatBus {
    /// Which seat.
    pub seat: SeatId,
    /// Its pictures.
    pub frames: FrameBus,
    /// Its status.
    pub status: StatusBus,
    /// Whether whoever fills them still moves.
    pub pulse: Pulse,
}
