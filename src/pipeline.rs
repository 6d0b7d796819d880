//! Makes of a source's pictures what somebody wants to see, and hands it to the bus.
//!
//! A file that the device coded as JPEG goes straight through, in the driver's buffer, on the capture thread. Work
//! is done for viewers alone: a raw picture is coded, on a thread that the first viewer starts and the last one ends,
//! and a file with parts missing is copied and completed.

mod coder;
pub mod keep;

use std::time::Instant;

use coder::{Coder, Order};

use crate::base::error_chain::chain;
use crate::base::signal::Signal;
use crate::bus::{ScreenStatus, SeatBus};
use crate::ports::{Captured, PictureSink, Pinned, SourceStatus};
use crate::video::encode::{Layout, jpeg_from_rgb};
use crate::video::jpeg;
use crate::video::placeholder;
use crate::video::signal::SignalStatus;

/// What stands between one source, on whose thread it runs, and a seat's bus.
pub struct Pipeline {
    bus: SeatBus,
    /// While there are raw pictures and somebody watches.
    coder: Option<Coder>,
    last: Option<SourceStatus>,
    /// Which card is shown, if one is: the signal, and the reason.
    card: Option<(Signal, Option<String>)>,
}

impl Pipeline {
    /// Nothing is shown or known yet.
    pub fn new(bus: SeatBus) -> Pipeline {
        Pipeline { bus, coder: None, last: None, card: None }
    }

    fn show_jpeg(&mut self, at: Instant, picture: Pinned, found: &jpeg::Jpeg) {
        // From another stream, whose last picture must not come after this one.
        self.coder = None;
        let file = if found.is_complete() {
            picture.share(found.start..found.start + found.len)
        } else if self.bus.frames.is_watched() {
            jpeg::mended(picture.as_ref(), found).into()
        } else {
            return self.bus.frames.pass_over();
        };
        self.bus.frames.publish(at, found.size, file);
    }

    fn show_raw(&mut self, at: Instant, picture: Pinned, layout: Layout) {
        if !self.bus.frames.is_watched() {
            return self.pass_over();
        }
        if self.coder.as_ref().is_none_or(Coder::has_ended) {
            self.coder = Coder::start(&self.bus)
                .inspect_err(|error| log::error!("seat {}: no thread for coding pictures: {error}", self.bus.seat))
                .ok();
        }
        let Some(coder) = &self.coder else { return self.bus.frames.pass_over() };
        let len = picture.as_ref().len();
        if coder.order(Order { at, pixels: picture.share(0..len), layout }).is_some() {
            // The coder is slower than the device.
            self.bus.frames.pass_over();
        }
    }

    /// Shows the picture that says what is wrong. A change of mode is not shown: it ends before anyone could read it.
    fn show_card(&mut self, signal: Signal, reason: &Option<String>) {
        if matches!(signal, Signal::Ok | Signal::Changing) {
            self.card = None;
            return;
        }
        if self.card.as_ref().is_some_and(|(shown, why)| *shown == signal && why == reason) {
            return;
        }
        self.card = Some((signal, reason.clone()));
        if let Some(coder) = &self.coder {
            coder.forget();
        }
        let drawn = placeholder::draw_with_reason(signal, reason.as_deref().unwrap_or_default());
        match jpeg_from_rgb(placeholder::SIZE, &drawn) {
            Ok(file) => self.bus.frames.publish(Instant::now(), placeholder::SIZE, file),
            Err(error) => log::error!("seat {}: no card for {signal:?}: {}", self.bus.seat, chain(&error)),
        }
    }
}

impl PictureSink for Pipeline {
    fn show(&mut self, at: Instant, picture: Captured) {
        match picture {
            Captured::Jpeg(picture, found) => self.show_jpeg(at, picture, &found),
            Captured::Raw(picture, layout) => self.show_raw(at, picture, layout),
        }
    }

    fn pass_over(&mut self) {
        if let Some(coder) = &self.coder {
            coder.forget();
        }
        if !self.bus.frames.is_watched() {
            self.coder = None;
        }
        self.bus.frames.pass_over();
    }

    fn report(&mut self, status: SourceStatus) {
        if self.last.as_ref() == Some(&status) {
            return;
        }
        self.show_card(status.seen.signal, &status.reason);
        self.last = Some(status.clone());
        let SourceStatus { seen: SignalStatus { signal, mode, fps, dropped }, device, choice, reason } = status;
        self.bus.status.update(|status| {
            if status.screen.signal != signal {
                log::info!("seat {}: signal {signal:?}", self.bus.seat);
            }
            status.screen = ScreenStatus { signal, mode, fps, device, choice, reason, dropped, stuck: false };
        });
    }

    fn beat(&mut self, now: Instant) {
        if !self.bus.frames.is_watched() {
            self.coder = None;
        }
        if self.bus.beat(now) {
            // In place of what was shown while the thread did not move.
            self.card = None;
            if let Some(last) = self.last.take() {
                self.report(last);
            }
        }
    }

    fn is_watched(&self) -> bool {
        self.bus.frames.is_watched()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::base::heartbeat::{Heartbeat, STALLED_AFTER};
    use crate::base::signal::Size;
    use crate::bus::{FrameBus, StatusBus};
    use crate::video::encode::{Colour, PixelFormat};

    const SIZE: Size = Size { width: 64, height: 32 };
    const LAYOUT: Layout = Layout { size: SIZE, format: PixelFormat::Yuyv, colour: Colour::JPEG, stride: 128 };

    fn pipeline() -> (Pipeline, SeatBus) {
        let seat = "main".to_string().try_into().unwrap();
        let (frames, status) = (FrameBus::default(), StatusBus::default());
        let bus = SeatBus { seat, frames, status, heartbeat: Heartbeat::new(Instant::now()) };
        (Pipeline::new(bus.clone()), bus)
    }

    /// What is the newest picture, without counting as a viewer.
    fn newest(bus: &SeatBus) -> Option<Bytes> {
        let mut frames = bus.frames.watch();
        frames.want(false);
        frames.borrow().as_ref().map(|frame| frame.jpeg.clone())
    }

    fn file() -> Bytes {
        let rgb: Vec<u8> = (0..64 * 32 * 3u32).map(|i| ((i * i) >> 5) as u8).collect();
        jpeg_from_rgb(SIZE, &rgb).unwrap()
    }

    fn coded(bytes: Bytes) -> Captured {
        let found = jpeg::inspect(&bytes).unwrap();
        Captured::Jpeg(Pinned::new(bytes, false), found)
    }

    fn raw() -> Captured {
        Captured::Raw(Pinned::new(vec![128; 128 * 32].into(), false), LAYOUT)
    }

    fn status(signal: Signal, reason: Option<&str>) -> SourceStatus {
        let seen = SignalStatus { signal, mode: None, fps: 0.0, dropped: 0 };
        SourceStatus { seen, device: "a dongle".into(), choice: None, reason: reason.map(String::from) }
    }

    #[test]
    fn a_whole_file_goes_through_in_place_though_nobody_watches() {
        let (mut pipeline, bus) = pipeline();
        let file = file();
        pipeline.show(Instant::now(), coded(file.clone()));
        assert_eq!(Some(file.as_ptr()), newest(&bus).map(|shown| shown.as_ptr()));
    }

    #[test]
    fn a_file_with_parts_missing_is_completed_for_a_viewer_alone() {
        let (mut pipeline, bus) = pipeline();
        let whole = file();
        let cut = whole.slice(..whole.len() - 2);
        pipeline.show(Instant::now(), coded(cut.clone()));
        assert_eq!((None, true), (newest(&bus), bus.frames.is_behind()));
        let viewer = bus.frames.watch();
        pipeline.show(Instant::now(), coded(cut));
        assert_eq!(Some(whole), viewer.borrow().as_ref().map(|frame| frame.jpeg.clone()));
    }

    #[tokio::test]
    async fn raw_pictures_are_coded_from_the_first_viewer_to_the_last() {
        let (mut pipeline, bus) = pipeline();
        pipeline.show(Instant::now(), raw());
        assert!(pipeline.coder.is_none() && newest(&bus).is_none() && bus.frames.is_behind());
        for _ in 0..2 {
            let mut viewer = bus.frames.watch();
            viewer.mark_unchanged();
            pipeline.show(Instant::now(), raw());
            viewer.changed().await.unwrap();
            assert_eq!(SIZE, jpeg::inspect(&viewer.borrow().as_ref().unwrap().jpeg).unwrap().size);
            drop(viewer);
            // No picture need come for that.
            pipeline.beat(Instant::now());
            assert!(pipeline.coder.is_none());
        }
    }

    #[test]
    fn a_card_is_shown_once_for_each_reason_and_not_while_the_mode_changes() {
        let (mut pipeline, bus) = pipeline();
        let mut cards = Vec::new();
        for (signal, reason) in [
            (Signal::Ok, None),
            (Signal::Changing, None),
            (Signal::NoDevice, Some("unplugged")),
            (Signal::NoDevice, Some("unplugged")),
            (Signal::NoDevice, Some("another seat's")),
            (Signal::Changing, None),
            (Signal::NoSignal, None),
        ] {
            let before = newest(&bus).map(|card| card.as_ptr());
            pipeline.report(status(signal, reason));
            cards.push(before != newest(&bus).map(|card| card.as_ptr()));
            assert_eq!(signal, bus.status.now().screen.signal);
        }
        assert_eq!([false, false, true, false, true, false, true], cards[..]);
    }

    #[test]
    fn what_was_known_is_shown_again_when_a_hung_thread_moves_again() {
        let (mut pipeline, bus) = pipeline();
        pipeline.report(status(Signal::NoSignal, None));
        let (card, known) = (newest(&bus), bus.status.now().screen);
        bus.check_pulse(Instant::now() + STALLED_AFTER);
        assert!(bus.status.now().screen.stuck && newest(&bus) != card);
        pipeline.beat(Instant::now() + STALLED_AFTER + Duration::from_secs(1));
        assert_eq!((known, card), (bus.status.now().screen, newest(&bus)));
    }
}
