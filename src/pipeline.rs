//! Makes of a source's pictures what somebody wants to see, and hands it to the bus.
//!
//! A file that the device coded as JPEG goes straight through, in the driver's buffer, on the capture thread. Work
//! is done for viewers alone: a raw picture is coded, on a thread that the first viewer starts and the last one ends,
//! and a file with parts missing is copied and completed.

mod coder;
pub mod keep;

use std::time::Instant;

use coder::{Coder, Order};

use crate::bus::{ScreenStatus, SeatBus};
use crate::ports::{Captured, PictureSink, Pinned, SourceStatus};
use crate::video::encode::Layout;
use crate::video::jpeg;
use crate::video::signal::SignalStatus;

/// What stands between one source, on whose thread it runs, and a seat's bus.
pub struct Pipeline {
    bus: SeatBus,
    /// While there are raw pictures and somebody watches.
    coder: Option<Coder>,
    last: Option<SourceStatus>,
}

impl Pipeline {
    /// Nothing is shown or known yet.
    pub fn new(bus: SeatBus) -> Pipeline {
        Pipeline { bus, coder: None, last: None }
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
        self.last = Some(status.clone());
        let SourceStatus { seen: SignalStatus { signal, mode, fps, dropped }, device, choice, reason, range } = status;
        self.bus.report(Instant::now(), |screen| {
            if screen.signal != signal {
                log::info!("seat {}: signal {signal:?}", self.bus.seat);
            }
            *screen = ScreenStatus { signal, mode, fps, device, choice, reason, range, dropped, stuck: false };
        });
    }

    fn beat(&mut self, now: Instant) {
        if self.coder.is_some() && !self.bus.frames.is_watched() {
            // What is being coded will not be shown.
            self.pass_over();
        }
        if self.bus.beat(now) {
            // In place of what was shown while the thread did not move.
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
    use crate::base::signal::{Signal, Size};
    use crate::bus::{FrameBus, StatusBus};
    use crate::video::encode::{Colour, PixelFormat, Range, jpeg_from_rgb};

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
        SourceStatus {
            seen,
            device: "a dongle".into(),
            choice: None,
            reason: reason.map(String::from),
            range: Range::Full,
        }
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
            assert!(pipeline.coder.is_none() && bus.frames.is_behind());
        }
    }

    #[test]
    fn the_last_picture_stays_while_its_loss_is_told() {
        let (mut pipeline, bus) = pipeline();
        let file = file();
        pipeline.show(Instant::now(), coded(file.clone()));
        pipeline.report(status(Signal::Ok, None));
        for (signal, reason) in [(Signal::NoDevice, Some("unplugged")), (Signal::NoSignal, None)] {
            pipeline.report(status(signal, reason));
            let lost = bus.frames.watch_lost().borrow().clone().unwrap();
            assert_eq!((signal, reason), (lost.signal, lost.reason.as_deref()));
            assert_eq!((signal, Some(lost.since)), (bus.status.now().screen.signal, bus.status.now().lost));
        }
        assert_eq!(Some(file), newest(&bus));
    }

    #[test]
    fn what_was_known_is_shown_again_when_a_hung_thread_moves_again() {
        let (mut pipeline, bus) = pipeline();
        pipeline.report(status(Signal::NoSignal, None));
        let why = || bus.frames.watch_lost().borrow().as_ref().map(|lost| lost.signal);
        let known = bus.status.now().screen;
        bus.check_pulse(Instant::now() + STALLED_AFTER);
        assert_eq!((true, Some(Signal::Stuck)), (bus.status.now().screen.stuck, why()));
        pipeline.beat(Instant::now() + STALLED_AFTER + Duration::from_secs(1));
        assert_eq!((known, Some(Signal::NoSignal)), (bus.status.now().screen, why()));
    }
}
