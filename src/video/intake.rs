//! Decides which of a device's JPEG files are shown, although something is wrong with them.
//!
//! A file without an end, or one that the driver reports as damaged, is most often half a picture: it is dropped, and
//! the one before stays. But there are devices that never send an end, and drivers that report every picture. What is
//! wrong with all pictures alike is how this device sends them, and a browser can show them all the same.

use super::jpeg::{Flaw, Jpeg};

/// How many in a row must be wrong before that counts as the device's way. Less than half a second, and more than a
/// disturbance lasts.
const HABIT: u32 = 10;
/// After so many in a row, what whole pictures were like no longer counts.
const FORGOTTEN: u32 = 100;

/// Remembers what a device's pictures are like.
#[derive(Debug, Default)]
pub struct Intake {
    /// How many in a row were suspect.
    suspects: u32,
    whole: Usual,
    suspect: Usual,
}

impl Intake {
    /// Judges the next file, as [`inspect`](super::jpeg::inspect) found it.
    pub fn take(&mut self, found: &Jpeg, reported: bool) -> Result<(), Flaw> {
        if found.ends && !reported {
            self.suspects = 0;
            self.whole.add(found.len);
            return Ok(());
        }
        self.suspects = self.suspects.saturating_add(1);
        if self.suspects == 1 {
            self.suspect = Usual::default();
        }
        if self.suspects == FORGOTTEN {
            self.whole = Usual::default();
        }
        self.suspect.add(found.len);
        // What is much smaller than usual is half a picture even so.
        let usual = if self.whole.is_known() { &self.whole } else { &self.suspect };
        if HABIT <= self.suspects && usual.fits(found.len) {
            Ok(())
        } else if found.ends {
            Err(Flaw::Reported)
        } else {
            Err(Flaw::NoEnd)
        }
    }
}

/// The length of pictures, of late.
#[derive(Debug, Default)]
struct Usual {
    mean: f32,
}

impl Usual {
    fn add(&mut self, len: usize) {
        self.mean = if self.is_known() { self.mean * 0.8 + len as f32 * 0.2 } else { len as f32 };
    }

    fn is_known(&self) -> bool {
        0.0 < self.mean
    }

    fn fits(&self, len: usize) -> bool {
        self.mean * 0.75 <= len as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::signal::Size;

    fn file(len: usize, ends: bool) -> Jpeg {
        Jpeg { size: Size { width: 64, height: 48 }, start: 0, len, ends, lacks_tables_at: None }
    }

    /// How many of the files are shown.
    fn shown(intake: &mut Intake, files: impl IntoIterator<Item = Jpeg>) -> usize {
        files.into_iter().filter(|file| intake.take(file, false).is_ok()).count()
    }

    #[test]
    fn a_device_that_never_sends_an_end_is_shown_from_the_tenth_on() {
        let mut intake = Intake::default();
        assert_eq!(91, shown(&mut intake, (0..100).map(|i| file(1000 + i % 7, false))));
        assert_eq!(0, shown(&mut intake, [file(400, false)]), "half a picture is none even so");
        assert_eq!(1, shown(&mut intake, [file(1000, false)]));
    }

    #[test]
    fn pictures_that_are_cut_now_and_then_are_dropped() {
        let mut intake = Intake::default();
        for cut in 1..50 {
            let files = (0..cut).map(|_| file(500, false)).chain([file(1000, true)]);
            assert_eq!(1, shown(&mut intake, files), "{cut} in a row");
        }
    }

    #[test]
    fn a_device_that_begins_to_cut_all_pictures_is_shown_in_the_end() {
        let mut intake = Intake::default();
        assert_eq!(10, shown(&mut intake, (0..10).map(|_| file(1000, true))));
        assert_eq!(1, shown(&mut intake, (0..100).map(|_| file(500, false))));
    }

    #[test]
    fn a_driver_that_reports_every_picture_is_believed_for_a_while_only() {
        let mut intake = Intake::default();
        let taken: Vec<_> = (0..20).map(|_| intake.take(&file(1000, true), true)).collect();
        assert_eq!(
            ([Err(Flaw::Reported); 9], [Ok(()); 11]),
            (taken[..9].try_into().unwrap(), taken[9..].try_into().unwrap())
        );
    }
}
