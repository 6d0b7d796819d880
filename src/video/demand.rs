//! Makes only those pictures that somebody wants.
//!
//! Coding a raw picture costs a quarter of a processor's time and more, and most of the time nobody watches. [`Demand`]
//! decides which pictures are made then: one a second, so that a new viewer sees something at once. It reads no clock:
//! the caller passes `now` in. [`Coder`] is what a capture device's raw pictures go through.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::encode::{EncodeError, Encoder, Raw};

/// How old the newest picture may become while nobody watches.
const SAMPLE: Duration = Duration::from_secs(1);

/// Remembers when a picture was last made.
#[derive(Debug, Default)]
pub struct Demand(Option<Instant>);

impl Demand {
    /// Whether a picture that has just arrived is wanted: all are while somebody watches.
    pub fn wants(&self, now: Instant, watched: bool) -> bool {
        watched || self.0.is_none_or(|made| made + SAMPLE <= now)
    }

    /// Notes that a picture was made.
    pub fn made(&mut self, now: Instant) {
        self.0 = Some(now);
    }

    /// Wants the next picture in any case, because what was shown last is out of date.
    pub fn renew(&mut self) {
        self.0 = None;
    }
}

/// Codes raw pictures as far as they are wanted.
#[derive(Default)]
pub struct Coder {
    encoder: Option<Encoder>,
    demand: Demand,
}

impl Coder {
    /// Codes a picture, or only checks that it is complete if nobody wants it.
    pub fn take(&mut self, now: Instant, watched: bool, raw: &Raw) -> Result<Option<Bytes>, EncodeError> {
        if !self.demand.wants(now, watched) {
            return raw.check().map(|()| None);
        }
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(Encoder::new()?),
        };
        let file = encoder.encode(raw)?;
        self.demand.made(now);
        Ok(Some(file))
    }

    /// Codes the next picture in any case.
    pub fn renew(&mut self) {
        self.demand.renew();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::signal::Size;
    use crate::video::encode::{PixelFormat, Range};

    const SIZE: Size = Size { width: 64, height: 32 };
    const FRAME: Duration = Duration::from_millis(20);
    const PIXELS: [u8; 64 * 32 * 2] = [128; 64 * 32 * 2];

    fn raw(pixels: &[u8]) -> Raw<'_> {
        Raw { size: SIZE, format: PixelFormat::Yuyv, range: Range::Full, stride: 128, pixels }
    }

    /// A capture device's pictures, 50 a second.
    struct Test {
        now: Instant,
        coder: Coder,
    }

    impl Test {
        fn new() -> Test {
            Test { now: Instant::now(), coder: Coder::default() }
        }

        /// How many of the pictures of some seconds are coded.
        fn coded(&mut self, seconds: u32, watched: bool) -> usize {
            let one = |_| {
                self.now += FRAME;
                self.coder.take(self.now, watched, &raw(&PIXELS)).unwrap()
            };
            (0..50 * seconds).filter_map(one).count()
        }
    }

    #[test]
    fn every_picture_is_coded_for_a_viewer_and_one_a_second_for_nobody() {
        let mut test = Test::new();
        assert_eq!(10, test.coded(10, false));
        assert_eq!(500, test.coded(10, true), "from the first on");
        assert_eq!(10, test.coded(10, false));
    }

    #[test]
    fn the_first_picture_and_the_first_after_a_change_are_coded_at_once() {
        let mut test = Test::new();
        let coded = |test: &mut Test| {
            test.now += FRAME;
            test.coder.take(test.now, false, &raw(&PIXELS)).unwrap().is_some()
        };
        assert_eq!([true, false], [coded(&mut test), coded(&mut test)]);
        test.coder.renew();
        assert_eq!([true, false], [coded(&mut test), coded(&mut test)]);
    }

    #[test]
    fn a_damaged_picture_is_seen_though_nobody_looks_and_the_next_whole_one_is_coded() {
        let mut test = Test::new();
        let mut take = |pixels: &[u8], ms| test.coder.take(test.now + Duration::from_millis(ms), false, &raw(pixels));
        assert!(take(&PIXELS, 0).unwrap().is_some());
        assert!(matches!(take(&PIXELS[1..], 20), Err(EncodeError::Short { .. })));
        assert!(matches!(take(&PIXELS[1..], 1000), Err(EncodeError::Short { .. })));
        assert!(take(&PIXELS, 1020).unwrap().is_some(), "a damaged one does not count as made");
        assert!(take(&PIXELS, 1040).unwrap().is_none());
    }
}
