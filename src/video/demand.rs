//! Makes only those pictures that somebody wants.
//!
//! Coding a raw picture costs a quarter of a processor's time and more, and most of the time nobody watches: then none
//! is coded. [`Coder`] is what a capture device's raw pictures go through. A simulated machine draws when something
//! changes, for nobody once a second: [`Demand`] decides when. It reads no clock: the caller passes `now` in.

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
pub struct Coder(Option<Encoder>);

impl Coder {
    /// Codes a picture, or only checks that it is complete if nobody wants it.
    pub fn take(&mut self, watched: bool, raw: &Raw) -> Result<Option<Bytes>, EncodeError> {
        if !watched {
            return raw.check().map(|()| None);
        }
        let encoder = match &mut self.0 {
            Some(encoder) => encoder,
            none => none.insert(Encoder::new()?),
        };
        encoder.encode(raw).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::signal::Size;
    use crate::video::encode::{Colour, PixelFormat};

    const PIXELS: [u8; 64 * 32 * 2] = [128; 64 * 32 * 2];

    fn raw(pixels: &[u8]) -> Raw<'_> {
        let size = Size { width: 64, height: 32 };
        Raw { size, format: PixelFormat::Yuyv, colour: Colour::JPEG, stride: 128, pixels }
    }

    #[test]
    fn pictures_are_coded_for_a_viewer_and_none_for_nobody() {
        let mut coder = Coder::default();
        for watched in [false, true, false] {
            let files = (0..10).filter_map(|_| coder.take(watched, &raw(&PIXELS)).unwrap());
            assert_eq!(if watched { 10 } else { 0 }, files.count());
        }
    }

    #[test]
    fn a_damaged_picture_is_seen_though_nobody_looks() {
        let mut coder = Coder::default();
        for watched in [false, true] {
            assert!(matches!(coder.take(watched, &raw(&PIXELS[1..])), Err(EncodeError::Short { .. })));
        }
    }

    #[test]
    fn a_simulated_machine_is_drawn_once_a_second_for_nobody() {
        let (mut demand, mut now) = (Demand::default(), Instant::now());
        let mut drawn = |watched| {
            let wanted = (0..500).filter(|_| {
                now += Duration::from_millis(20);
                let wants = demand.wants(now, watched);
                if wants {
                    demand.made(now);
                }
                wants
            });
            wanted.count()
        };
        assert_eq!([10, 500, 10], [drawn(false), drawn(true), drawn(false)]);
    }
}
