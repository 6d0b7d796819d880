//! Remembers which of a device's modes is used, and why not a better one.
//!
//! A mode that USB has no room for is not tried again until the device is opened again. One that failed otherwise may
//! work the next time, and is tried again ever more rarely, since each attempt interrupts the picture; before long only
//! while nobody watches.

use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::video::choice::Offer;

/// How many times in a row the best may fail until it is tried again only while nobody watches.
const FAILURES_BEFORE_VIEWERS: usize = 2;
/// How long a lesser mode is kept before the best is tried again, the first time, the second and so on.
const TRIED_AGAIN_AFTER: [Duration; 4] =
    [Duration::from_secs(300), Duration::from_secs(600), Duration::from_secs(1800), Duration::from_secs(3600)];

/// What was learned of a device's modes, which are ranked, the best first.
#[derive(Debug, Default)]
pub struct Fallback {
    /// The place of the mode that is used.
    mode: usize,
    /// The place of the best one that may show anything, and why those before it are left out.
    best: usize,
    left_out: Option<String>,
    /// What the better ones failed with.
    setback: Option<String>,
    /// When the best is tried again.
    again: Option<Instant>,
    /// How many times in a row it failed.
    failures: usize,
}

impl Fallback {
    /// The place of the mode that is used.
    pub fn mode(&self) -> usize {
        self.mode
    }

    /// Why no better one is.
    pub fn setback(&self) -> Option<&str> {
        self.setback.as_deref().or(self.left_out.as_deref())
    }

    /// Whether it is time to try the best mode again, while somebody watches or not.
    pub fn is_due(&self, now: Instant, watched: bool) -> bool {
        let disturbs = watched && FAILURES_BEFORE_VIEWERS < self.failures;
        !disturbs && self.again.is_some_and(|again| again <= now)
    }

    /// The place of the mode with which to begin now.
    pub fn first(&mut self, now: Instant, watched: bool) -> usize {
        if self.is_due(now, watched) {
            (self.mode, self.again) = (self.best, None);
        }
        self.mode
    }

    /// The device streams in the mode at this place, after the first that was tried failed so.
    pub fn streams(&mut self, now: Instant, at: usize, failed: Option<(&Offer, &io::Error)>) {
        match failed {
            Some((offer, source)) => {
                self.setback = Some(format!("{}: {source}", words(source, &offer.to_string())));
                let pause = TRIED_AGAIN_AFTER[self.failures.min(TRIED_AGAIN_AFTER.len() - 1)];
                self.again = may_pass(source).then(|| now + pause).or(self.again);
                (self.mode, self.failures) = (at, self.failures + 1);
            }
            None if at == self.best => {
                let left_out = self.left_out.take();
                *self = Fallback { mode: at, best: at, left_out, ..Fallback::default() };
            }
            None => (),
        }
    }

    /// Leaves out so many modes, because they gave nothing that could be shown; behind the last is the first.
    pub fn skip(&mut self, count: usize, ranked: &[Offer], why: &str) {
        let mode = count % ranked.len();
        let left_out = (mode != 0).then(|| format!("nothing could be shown in {}: {why}", ranked[0]));
        *self = Fallback { mode, best: mode, left_out, ..Fallback::default() };
    }
}

/// Whether a driver means by this that USB has no room for a mode: the kernel's USB core, uvcvideo, and devices that
/// check for themselves each say another.
pub fn lacks_room(error: &io::Error) -> bool {
    may_pass(error) || errno(error) == Some(Errno::ENOSPC)
}

/// What a driver means that refused these modes so, as far as can be told.
pub fn words(error: &io::Error, modes: &str) -> String {
    if may_pass(error) {
        format!("USB has no room for {modes}, or a transfer failed")
    } else {
        format!("USB has no room for {modes}")
    }
}

/// Whether it may also mean no more than that a transfer failed, so that the next attempt succeeds.
pub fn may_pass(error: &io::Error) -> bool {
    matches!(errno(error), Some(Errno::EIO | Errno::EPIPE))
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::signal::Size;

    const BEST: Offer = Offer { fourcc: *b"MJPG", size: Some(Size { width: 1920, height: 1080 }), fps: Some(30.0) };

    #[test]
    fn a_better_mode_that_failed_is_tried_again_ever_more_rarely_and_soon_only_for_nobody() {
        let (mut fallback, mut now) = (Fallback::default(), Instant::now());
        for (minutes, before_viewers) in [(5, true), (10, true), (30, false), (60, false), (60, false)] {
            assert_eq!(0, fallback.first(now, false));
            fallback.streams(now, 2, Some((&BEST, &Errno::EIO.into())));
            now += Duration::from_secs(minutes * 60 - 1);
            // A restart meanwhile, as after a stall, changes nothing.
            assert!(!fallback.is_due(now, false) && fallback.first(now, false) == 2);
            fallback.streams(now, 2, None);
            now += Duration::from_secs(1);
            assert_eq!((before_viewers, true), (fallback.is_due(now, true), fallback.is_due(now, false)), "{minutes}");
            if !before_viewers {
                // Nor does a restart while somebody watches, and the last of them may leave much later.
                assert_eq!(2, fallback.first(now, true));
                fallback.streams(now, 2, None);
                now += Duration::from_secs(36_000);
                assert_eq!((false, true), (fallback.is_due(now, true), fallback.is_due(now, false)));
            }
        }
        assert_eq!(0, fallback.first(now, false));
        assert!(!fallback.is_due(now, false), "once");
        fallback.streams(now, 0, None);
        assert_eq!((0, None), (fallback.mode(), fallback.setback()));
    }

    #[test]
    fn what_may_be_a_transfer_that_failed_is_called_so() {
        let said = |errno: Errno| {
            let mut fallback = Fallback::default();
            fallback.streams(Instant::now(), 1, Some((&BEST, &errno.into())));
            fallback.setback().map(str::to_string)
        };
        let (room, passing) = ("USB has no room for 1920x1080 MJPG at 30", ", or a transfer failed");
        assert_eq!(Some(format!("{room}: No space left on device (os error 28)")), said(Errno::ENOSPC));
        assert_eq!(Some(format!("{room}{passing}: Input/output error (os error 5)")), said(Errno::EIO));
        assert_eq!(Some(format!("{room}{passing}: Broken pipe (os error 32)")), said(Errno::EPIPE));
    }

    #[test]
    fn a_mode_that_showed_nothing_is_not_tried_again_when_another_fails_for_once() {
        let (mut fallback, now) = (Fallback::default(), Instant::now());
        fallback.skip(1, &[BEST; 3], "damaged");
        fallback.streams(now, 2, Some((&BEST, &Errno::EIO.into())));
        let later = now + Duration::from_secs(300);
        assert_eq!(1, fallback.first(later, true));
        fallback.streams(later, 1, None);
        assert_eq!(
            (1, Some("nothing could be shown in 1920x1080 MJPG at 30: damaged")),
            (fallback.mode(), fallback.setback())
        );
    }

    #[test]
    fn a_mode_without_room_or_without_pictures_is_not_tried_again() {
        let later = Instant::now() + Duration::from_secs(86_400);
        let mut fallback = Fallback::default();
        fallback.streams(Instant::now(), 1, Some((&BEST, &Errno::ENOSPC.into())));
        assert_eq!((false, 1), (fallback.is_due(later, false), fallback.first(later, false)));
        fallback.streams(Instant::now(), 1, Some((&BEST, &Errno::EPIPE.into())));
        fallback.skip(1, &[BEST, BEST], "damaged");
        assert_eq!((false, 1), (fallback.is_due(later, false), fallback.first(later, false)));
        assert_eq!(Some("nothing could be shown in 1920x1080 MJPG at 30: damaged"), fallback.setback());
        fallback.skip(2, &[BEST, BEST], "damaged");
        assert_eq!((0, None), (fallback.first(later, false), fallback.setback()));
    }
}
