//! Chooses among the formats that a capture device offers.
//!
//! A picture must be legible first: a text console or a firmware's menu that was scaled down to 640x480 is not. Among
//! those a dongle that codes JPEG itself costs us nothing. Then rate before size: at 60 pictures a second the pointer
//! follows the hand, at 30 it lags behind, and more pixels do not make up for it.

use std::fmt;

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

/// What V4L2's format codes stand for, the cheapest to use first.
const CODINGS: &[([u8; 4], Coding)] = &[
    (*b"MJPG", Coding::Jpeg),
    (*b"JPEG", Coding::Jpeg),
    (*b"YUYV", Coding::Raw(PixelFormat::Yuyv)),
    (*b"UYVY", Coding::Raw(PixelFormat::Uyvy)),
    (*b"NV12", Coding::Raw(PixelFormat::Nv12)),
    (*b"YU12", Coding::Raw(PixelFormat::Yu12)),
    (*b"RGB3", Coding::Raw(PixelFormat::Rgb24)),
    (*b"BGR3", Coding::Raw(PixelFormat::Bgr24)),
    // Last, since its colours are lost.
    (*b"GREY", Coding::Raw(PixelFormat::Grey)),
];

impl Coding {
    /// What a V4L2 format code stands for, if it is one we can use.
    pub fn from_fourcc(fourcc: [u8; 4]) -> Option<Coding> {
        CODINGS.iter().find(|(code, _)| *code == fourcc).map(|(_, coding)| *coding)
    }

    /// The codes of all formats that we can use, for people.
    pub fn known() -> String {
        listed(CODINGS.iter().map(|(code, _)| *code))
    }

    /// How cheap it is to use, the cheapest highest.
    fn rank(self) -> usize {
        let place = CODINGS.iter().position(|(_, coding)| *coding == self);
        CODINGS.len() - place.unwrap_or(CODINGS.len())
    }
}

/// Format codes in a row, each once.
pub fn listed(codes: impl IntoIterator<Item = [u8; 4]>) -> String {
    let mut names: Vec<String> = Vec::new();
    for code in codes {
        let name = code.escape_ascii().to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
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

impl Offer {
    /// Whether it takes less room on USB than another: fewer pixels a second, or coded as JPEG what the other has raw.
    pub fn is_lighter_than(&self, other: &Offer) -> bool {
        let load = |offer: &Offer| area(offer.size) as f32 * rate(offer.fps);
        let is_jpeg = |offer: &Offer| Coding::from_fourcc(offer.fourcc) == Some(Coding::Jpeg);
        match (is_jpeg(self), is_jpeg(other)) {
            (true, false) => true,
            (false, true) => false,
            _ => load(self) < load(other),
        }
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.size {
            Some(size) => write!(f, "{size} {}", self.fourcc.escape_ascii())?,
            None => write!(f, "{}", self.fourcc.escape_ascii())?,
        }
        match self.fps {
            Some(fps) => write!(f, " at {}", (fps * 10.0).round() / 10.0),
            None => Ok(()),
        }
    }
}

/// All offers that we can use, the best first. Empty if there is none.
pub fn ranked(offers: &[Offer], wish: CaptureSize) -> Vec<Offer> {
    let usable = offers.iter().filter_map(|offer| Some((Coding::from_fourcc(offer.fourcc)?, *offer)));
    let mut usable: Vec<(Coding, Offer)> = usable.collect();
    let key = |coding: Coding, offer: &Offer| {
        let (wished, legible) = match wish {
            CaptureSize::Auto => (false, is_legible(offer.size)),
            CaptureSize::Exactly(size) => (offer.size == Some(size), true),
        };
        let rate = offer.fps.unwrap_or(0.0) as u32;
        (wished, legible, coding.rank(), smooth(offer.fps), reach(offer.size), rate)
    };
    usable.sort_by_key(|(coding, offer)| std::cmp::Reverse(key(*coding, offer)));
    let mut ranked: Vec<Offer> = usable.into_iter().map(|(_, offer)| offer).collect();
    if let (CaptureSize::Exactly(size), Some(best)) = (wish, ranked.first().copied())
        && best.size != Some(size)
    {
        // Not every device lists what it can do; when asked, it refuses, or offers what is nearest.
        ranked.insert(0, Offer { size: Some(size), fps: None, ..best });
    }
    ranked
}

/// Why an offer was chosen among all, for people.
pub fn reason(chosen: &Offer, offers: &[Offer], wish: CaptureSize) -> String {
    if let CaptureSize::Exactly(size) = wish
        && chosen.size == Some(size)
    {
        return "as configured".into();
    }
    if chosen.size.is_none() {
        return "the device lists no sizes".into();
    }
    let others = || {
        let coding = Coding::from_fourcc(chosen.fourcc);
        offers.iter().filter(move |offer| *offer != chosen && Coding::from_fourcc(offer.fourcc) == coding)
    };
    let larger = others().filter(|other| reach(chosen.size) < reach(other.size) && rate(other.fps) < rate(chosen.fps));
    let faster = others().filter(|other| rate(chosen.fps) < rate(other.fps) && !is_legible(other.size));
    if let Some(larger) = larger.max_by_key(|other| reach(other.size)) {
        format!("smoother than {larger}")
    } else if let Some(faster) = faster.max_by_key(|other| reach(other.size)).filter(|_| is_legible(chosen.size)) {
        format!("more legible than {faster}")
    } else if others().next().is_some() {
        "the largest".into()
    } else {
        "the only one".into()
    }
}

/// As [`reason`], of a device that streams: it may give another size than it was asked for.
pub fn outcome(chosen: &Offer, offers: &[Offer], wish: CaptureSize, given: Size) -> String {
    match wish {
        CaptureSize::Exactly(size) if size != given => format!("the device gives {given}, not the configured {size}"),
        _ => reason(chosen, offers, wish),
    }
}

/// Whether the text of a usual screen can be read in this size. One that is not listed most likely is the screen's own.
fn is_legible(size: Option<Size>) -> bool {
    size.is_none() || 1024 * 768 <= area(size)
}

/// An unknown rate is most often 30.
fn rate(fps: Option<f32>) -> f32 {
    fps.unwrap_or(30.0)
}

/// Sorts rates into classes that a person can feel.
fn smooth(fps: Option<f32>) -> u8 {
    match rate(fps) {
        fps if 50.0 <= fps => 2,
        fps if 20.0 <= fps => 1,
        _ => 0,
    }
}

fn area(size: Option<Size>) -> i64 {
    size.map_or(0, |size| i64::from(size.width) * i64::from(size.height))
}

/// Larger is better up to 1080p; beyond, what a browser has to decode outgrows what anyone reads.
fn reach(size: Option<Size>) -> i64 {
    const FULL_HD: i64 = 1920 * 1080;
    let area = area(size);
    if area <= FULL_HD { area } else { FULL_HD - area }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(fourcc: &[u8; 4], width: u16, height: u16, fps: f32) -> Offer {
        Offer { fourcc: *fourcc, size: Some(Size { width, height }), fps: Some(fps) }
    }

    fn choose(offers: &[Offer], wish: CaptureSize) -> Option<Offer> {
        ranked(offers, wish).first().copied()
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

    /// Checks which of the offers is chosen and why; the best is the first of `offers`.
    #[track_caller]
    fn check(offers: &[Offer], why: &str) {
        let mut mixed = offers.to_vec();
        for _ in offers {
            mixed.rotate_left(1);
            assert_eq!(Some(offers[0]), choose(&mixed, CaptureSize::Auto));
            assert_eq!(why, reason(&offers[0], &mixed, CaptureSize::Auto));
        }
    }

    #[test]
    fn legible_comes_before_smooth() {
        let (full, small) = (offer(b"MJPG", 1920, 1080, 30.0), offer(b"MJPG", 640, 480, 60.0));
        check(&[full, offer(b"MJPG", 1280, 720, 30.0), small], "more legible than 640x480 MJPG at 60");
        check(&[full, offer(b"MJPG", 800, 600, 60.0)], "more legible than 800x600 MJPG at 60");
        check(&[offer(b"YUYV", 1920, 1080, 30.0), small], "the only one");
        check(&[small, offer(b"MJPG", 320, 240, 60.0)], "the largest");
    }

    #[test]
    fn smooth_comes_before_large_where_both_are_legible() {
        assert_eq!(Some(offer(b"MJPG", 1280, 720, 60.0)), choose(&dongle(), CaptureSize::Auto));
        let two = [offer(b"MJPG", 1280, 720, 60.0), offer(b"MJPG", 1920, 1080, 30.0)];
        check(&two, "smoother than 1920x1080 MJPG at 30");
    }

    #[test]
    fn among_equal_rates_the_larger_wins_up_to_full_hd() {
        let mut offers = dongle();
        offers.push(offer(b"MJPG", 1920, 1080, 60.0));
        offers.push(offer(b"MJPG", 3840, 2160, 60.0));
        assert_eq!(Some(offer(b"MJPG", 1920, 1080, 60.0)), choose(&offers, CaptureSize::Auto));
        check(&[offer(b"MJPG", 1920, 1080, 30.0), offer(b"MJPG", 1280, 720, 30.0)], "the largest");
    }

    #[test]
    fn a_wish_is_granted_even_when_unlisted() {
        let size = Size { width: 1920, height: 1080 };
        assert_eq!(Some(offer(b"MJPG", 1920, 1080, 30.0)), choose(&dongle(), CaptureSize::Exactly(size)));
        let size = Size { width: 800, height: 600 };
        let expected = Offer { fourcc: *b"MJPG", size: Some(size), fps: None };
        let wish = CaptureSize::Exactly(size);
        assert_eq!(Some(expected), choose(&dongle(), wish));
        assert_eq!("as configured", reason(&expected, &dongle(), wish));
    }

    #[test]
    fn a_wish_is_granted_though_it_is_raw() {
        let size = Size { width: 1920, height: 1080 };
        let offers =
            [offer(b"MJPG", 1280, 720, 60.0), offer(b"YUYV", 1920, 1080, 5.0), offer(b"NV12", 1920, 1080, 5.0)];
        assert_eq!(Some(offers[1]), choose(&offers, CaptureSize::Exactly(size)));
        assert_eq!(Some(offers[0]), choose(&offers, CaptureSize::Auto));
    }

    #[test]
    fn a_device_that_gives_another_size_is_not_as_configured() {
        let size = Size { width: 800, height: 600 };
        let (wish, wished) = (CaptureSize::Exactly(size), Offer { fourcc: *b"MJPG", size: Some(size), fps: None });
        assert_eq!("as configured", outcome(&wished, &dongle(), wish, size));
        let given = Size { width: 640, height: 480 };
        let words = "the device gives 640x480, not the configured 800x600";
        assert_eq!(words, outcome(&wished, &dongle(), wish, given));
        assert_eq!("the only one", outcome(&wished, &[wished], CaptureSize::Auto, given));
    }

    #[test]
    fn raw_will_do_and_unknown_will_not() {
        let bare = |fourcc: &[u8; 4]| Offer { fourcc: *fourcc, size: None, fps: None };
        let offers = [bare(b"H264"), bare(b"RGB3"), bare(b"UYVY"), bare(b"BGR3"), bare(b"GREY"), bare(b"NV12")];
        let ranked: Vec<_> = ranked(&offers, CaptureSize::Auto).iter().map(|offer| offer.fourcc).collect();
        assert_eq!([*b"UYVY", *b"NV12", *b"RGB3", *b"BGR3", *b"GREY"], ranked[..]);
        assert_eq!(None, choose(&[bare(b"H264"), bare(b"HEVC")], CaptureSize::Auto));
        assert_eq!(None, choose(&[], CaptureSize::Auto));
        assert_eq!("H264, \\x00\\xffAB", listed([*b"H264", *b"\0\xffAB", *b"H264"]));
    }

    #[test]
    fn lighter_is_what_takes_less_room_on_usb() {
        let lighter = |one: Offer, other: Offer| one.is_lighter_than(&other);
        let hd = offer(b"MJPG", 1280, 720, 60.0);
        assert!(lighter(offer(b"MJPG", 1280, 720, 30.0), hd) && !lighter(hd, hd));
        assert!(!lighter(offer(b"MJPG", 1920, 1080, 30.0), hd), "it has more pixels a second");
        assert!(lighter(hd, offer(b"YUYV", 640, 480, 30.0)) && !lighter(offer(b"YUYV", 640, 480, 30.0), hd));
    }
}
