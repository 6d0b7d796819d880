//! Chooses among the formats that a capture device offers.
//!
//! A dongle that codes JPEG itself costs us nothing, so that comes first. Then rate before size: at 60 pictures a
//! second the pointer follows the hand, at 30 it lags behind, and more pixels do not make up for it.

use crate::base::signal::Size;
use crate::config::CaptureSize;
use crate::video::encode::PixelFormat;

/// How a device's pictures are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants say it")]
pub enum Coding {
    Jpeg,
    Raw(PixelFormat),
}

impl Coding {
    /// What a V4L2 format code stands for, if it is one we can use.
    pub fn from_fourcc(fourcc: [u8; 4]) -> Option<Coding> {
        match &fourcc {
            b"MJPG" | b"JPEG" => Some(Coding::Jpeg),
            b"YUYV" => Some(Coding::Raw(PixelFormat::Yuyv)),
            b"UYVY" => Some(Coding::Raw(PixelFormat::Uyvy)),
            b"RGB3" => Some(Coding::Raw(PixelFormat::Rgb24)),
            b"BGR3" => Some(Coding::Raw(PixelFormat::Bgr24)),
            _ => None,
        }
    }

    /// How cheap it is to use, the cheapest highest.
    fn rank(self) -> u8 {
        match self {
            Coding::Jpeg => 4,
            Coding::Raw(PixelFormat::Yuyv) => 3,
            Coding::Raw(PixelFormat::Uyvy) => 2,
            Coding::Raw(PixelFormat::Rgb24) => 1,
            Coding::Raw(PixelFormat::Bgr24) => 0,
        }
    }
}

/// A format that a device offers, in one of its sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// The format's code, as V4L2 spells it.
    pub fourcc: [u8; 4],
    /// The size, if the device says which it has.
    pub size: Option<Size>,
    /// Pictures a second at most, if the device says so.
    pub fps: Option<f32>,
}

/// The best offer, or `None` if there is none that we can use.
pub fn choose(offers: &[Offer], wish: CaptureSize) -> Option<Offer> {
    let usable = offers.iter().filter_map(|offer| Some((Coding::from_fourcc(offer.fourcc)?, *offer)));
    let best = usable.max_by_key(|(coding, offer)| {
        let wished = match wish {
            CaptureSize::Auto => false,
            CaptureSize::Exactly(size) => offer.size == Some(size),
        };
        (coding.rank(), wished, smooth(offer.fps), reach(offer.size), offer.fps.unwrap_or(0.0) as u32)
    });
    best.map(|(_, mut offer)| {
        if let CaptureSize::Exactly(size) = wish
            && offer.size != Some(size)
        {
            // Not every device lists what it can do; when asked, it refuses, or offers what is nearest.
            (offer.size, offer.fps) = (Some(size), None);
        }
        offer
    })
}

/// Sorts rates into classes that a person can feel. An unknown rate is most often 30.
fn smooth(fps: Option<f32>) -> u8 {
    match fps.unwrap_or(30.0) {
        fps if 50.0 <= fps => 2,
        fps if 20.0 <= fps => 1,
        _ => 0,
    }
}

/// Larger is better up to 1080p; beyond, what a browser has to decode outgrows what anyone reads.
fn reach(size: Option<Size>) -> i64 {
    const FULL_HD: i64 = 1920 * 1080;
    let area = size.map_or(0, |size| i64::from(size.width) * i64::from(size.height));
    if area <= FULL_HD { area } else { FULL_HD - area }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(fourcc: &[u8; 4], width: u16, height: u16, fps: f32) -> Offer {
        Offer { fourcc: *fourcc, size: Some(Size { width, height }), fps: Some(fps) }
    }

    /// What the most common dongle offers.
    fn dongle() -> Vec<Offer> {
        vec![
            offer(b"YUYV", 1920, 1080, 5.0),
            offer(b"YUYV", 640, 480, 30.0),
            offer(b"MJPG", 1920, 1080, 30.0),
            offer(b"MJPG", 1600, 1200, 25.0),
            offer(b"MJPG", 1280, 720, 60.0),
            offer(b"MJPG", 1024, 768, 60.0),
            offer(b"MJPG", 640, 480, 60.0),
        ]
    }

    #[test]
    fn rate_comes_before_size() {
        assert_eq!(Some(offer(b"MJPG", 1280, 720, 60.0)), choose(&dongle(), CaptureSize::Auto));
    }

    #[test]
    fn among_equal_rates_the_larger_wins_up_to_full_hd() {
        let mut offers = dongle();
        offers.push(offer(b"MJPG", 1920, 1080, 60.0));
        offers.push(offer(b"MJPG", 3840, 2160, 60.0));
        assert_eq!(Some(offer(b"MJPG", 1920, 1080, 60.0)), choose(&offers, CaptureSize::Auto));
        let slow = [offer(b"MJPG", 1920, 1080, 30.0), offer(b"MJPG", 1280, 720, 30.0)];
        assert_eq!(Some(slow[0]), choose(&slow, CaptureSize::Auto));
    }

    #[test]
    fn a_wish_is_granted_even_when_unlisted() {
        let size = Size { width: 1920, height: 1080 };
        assert_eq!(Some(offer(b"MJPG", 1920, 1080, 30.0)), choose(&dongle(), CaptureSize::Exactly(size)));
        let size = Size { width: 800, height: 600 };
        let expected = Offer { fourcc: *b"MJPG", size: Some(size), fps: None };
        assert_eq!(Some(expected), choose(&dongle(), CaptureSize::Exactly(size)));
    }

    #[test]
    fn raw_will_do_and_unknown_will_not() {
        let bare = |fourcc: &[u8; 4]| Offer { fourcc: *fourcc, size: None, fps: None };
        let offers = [bare(b"H264"), bare(b"RGB3"), bare(b"UYVY"), bare(b"BGR3")];
        assert_eq!(Some(bare(b"UYVY")), choose(&offers, CaptureSize::Auto));
        assert_eq!(None, choose(&[bare(b"H264"), bare(b"NV12")], CaptureSize::Auto));
        assert_eq!(None, choose(&[], CaptureSize::Auto));
    }
}
