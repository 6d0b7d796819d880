//! Finds the JPEG file in what a capture device sent, without decoding it.
//!
//! A capture dongle's output cannot be trusted: it sends half pictures after a mode change, puts other bytes around
//! them, and leaves out the Huffman tables, as Motion-JPEG allows and browsers do not, or the end. [`inspect`] costs a
//! few dozen bytes of reading for each picture that is as it should be. Whether a file without an end is shown is
//! decided in [`super::intake`].

use crate::base::signal::Size;

/// No capture device gives more in either direction; a larger number means damage.
const LARGEST: u16 = 4096;
/// How many bytes may stand before a file, and how many behind it, except for zeros. Dongles fill up a USB transfer,
/// whose size this is at most, or a few bytes.
const SURROUNDINGS: usize = 64 * 1024;

/// Where a JPEG file lies among the bytes of a buffer, and what its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "`size` is described by its type")]
pub struct Jpeg {
    pub size: Size,
    /// Where it starts in the buffer.
    pub start: usize,
    /// Its length in bytes, without what followed it.
    pub len: usize,
    /// Whether it has an end. One that has none may be cut off, or be as the device always sends them.
    pub ends: bool,
    /// Where in the file [`mended`] must put the Huffman tables, when it has none.
    pub lacks_tables_at: Option<usize>,
}

impl Jpeg {
    /// Whether a browser shows it as it is.
    pub fn is_complete(&self) -> bool {
        self.ends && self.lacks_tables_at.is_none()
    }
}

/// Why bytes are no picture that can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// There is nothing.
    #[error("buffers without a picture")]
    Empty,
    /// Nothing in it begins as a JPEG file does.
    #[error("no start of image")]
    NoStart,
    /// A marker is missing where one must be, or its length leads out of the file.
    #[error("damaged header")]
    Header,
    /// The header gives no size, or one that no capture device has.
    #[error("no usable size")]
    Size,
    /// It does not end as a JPEG file does, so some of it is missing.
    #[error("no end of image")]
    NoEnd,
    /// The driver says so: usually, some of it was lost on USB.
    #[error("reported as damaged by the driver")]
    Reported,
}

/// Finds the file, and returns where it lies and what its header says.
pub fn inspect(bytes: &[u8]) -> Result<Jpeg, Flaw> {
    if bytes.is_empty() {
        return Err(Flaw::Empty);
    }
    let start = if bytes.starts_with(&[0xff, SOI, 0xff]) {
        0
    } else {
        let mut places = bytes.windows(3).take(SURROUNDINGS);
        places.position(|place| place == [0xff, SOI, 0xff]).ok_or(Flaw::NoStart)?
    };
    // Dongles fill their USB packets up with zeros.
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let file = bytes.get(start..end).ok_or(Flaw::Header)?;

    let (mut at, mut size, mut tables) = (2, None, false);
    loop {
        let (marker, start) = marker(file, at).ok_or(Flaw::Header)?;
        // TEM and the restart markers stand alone; all others carry their length.
        if marker == TEM || (RST0..=RST7).contains(&marker) {
            at = start;
            continue;
        }
        if marker == EOI {
            return Err(Flaw::Header);
        }
        let length = usize::from(word(file, start).ok_or(Flaw::Header)?);
        let segment = file.get(start..start + length).filter(|_| 2 <= length).ok_or(Flaw::Header)?;
        match marker {
            SOF0..=SOF2 => size = Some(frame_size(segment).ok_or(Flaw::Size)?),
            DHT => tables = true,
            SOS => break,
            _ => (),
        }
        at = start + length;
    }
    let size = size.ok_or(Flaw::Size)?;
    let lacks_tables_at = (!tables).then_some(at);
    let (len, ends) = match end_of_scan(&file[at..]) {
        Some(len) => (at + len, true),
        None => (file.len(), false),
    };
    Ok(Jpeg { size, start, len, ends, lacks_tables_at })
}

/// Where a scan ends with a marker, whatever follows: within a scan, another byte stands behind each 0xff.
fn end_of_scan(scan: &[u8]) -> Option<usize> {
    let tail = scan.len().saturating_sub(SURROUNDINGS);
    // From behind: that is where the marker of a file is that nothing follows.
    let last = scan[tail..].windows(2).rposition(|pair| pair == [0xff, EOI]);
    last.map(|place| tail + place + 2)
}

/// A copy of the file that [`inspect`] found in these bytes, with the tables that Motion-JPEG leaves out and the end.
pub fn mended(bytes: &[u8], found: &Jpeg) -> Vec<u8> {
    let file = bytes.get(found.start..found.start + found.len).unwrap_or_default();
    let mut whole = Vec::with_capacity(file.len() + 434);
    let (head, tail) = file.split_at(found.lacks_tables_at.unwrap_or(0).min(file.len()));
    whole.extend_from_slice(head);
    for (class_and_id, counts, values) in STANDARD_TABLES.iter().filter(|_| found.lacks_tables_at.is_some()) {
        let length = 2 + 1 + counts.len() + values.len();
        whole.extend_from_slice(&[0xff, DHT, (length >> 8) as u8, length as u8, *class_and_id]);
        whole.extend_from_slice(&counts[..]);
        whole.extend_from_slice(values);
    }
    whole.extend_from_slice(tail);
    if !found.ends {
        // It may have been cut within the marker; any number of these bytes may stand before one.
        whole.extend_from_slice(&[0xff, EOI]);
    }
    whole
}

/// The marker at `at`, after any fill bytes, and where what follows it starts.
fn marker(file: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = file.get(at..)?;
    let fill = rest.iter().take_while(|byte| **byte == 0xff).count();
    let marker = *rest.get(fill)?;
    (1 <= fill && marker != 0).then_some((marker, at + fill + 1))
}

/// Height and width as a frame header has them (ITU-T T.81, B.2.2).
fn frame_size(segment: &[u8]) -> Option<Size> {
    let size = Size { height: word(segment, 3)?, width: word(segment, 5)? };
    let fits = |length| (1..=LARGEST).contains(&length);
    (fits(size.width) && fits(size.height)).then_some(size)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

// Names of ITU-T T.81, table B.1.
const TEM: u8 = 0x01;
const SOF0: u8 = 0xc0;
const SOF2: u8 = 0xc2;
const DHT: u8 = 0xc4;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

/// Class and identifier, codes of each length, and values: ITU-T T.81, tables K.3 to K.6.
const STANDARD_TABLES: &[(u8, &[u8; 16], &[u8])] = &[
    (0x00, &[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    (0x10, &[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], &LUMINANCE_AC),
    (0x01, &[0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    (0x11, &[0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], &CHROMINANCE_AC),
];

#[rustfmt::skip]
const LUMINANCE_AC: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

#[rustfmt::skip]
const CHROMINANCE_AC: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
    0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
    0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 64, height: 48 };

    fn sample() -> Vec<u8> {
        sample_of(SIZE)
    }

    /// A picture with some detail, so that its scan is more than a few bytes.
    fn sample_of(size: Size) -> Vec<u8> {
        let (width, height) = (usize::from(size.width), usize::from(size.height));
        let pixels: Vec<u8> = (0..width * height * 3).map(|i| ((i * i) >> 5) as u8).collect();
        let (pitch, format) = (width * 3, turbojpeg::PixelFormat::RGB);
        let image = turbojpeg::Image { pixels: &pixels[..], width, pitch, height, format };
        turbojpeg::compress(image, 80, turbojpeg::Subsamp::Sub2x1).unwrap().to_vec()
    }

    /// The sample as a dongle sends it: without its Huffman tables.
    fn without_tables(file: &[u8]) -> Vec<u8> {
        let (mut out, mut at) = (file[..2].to_vec(), 2);
        while file[at + 1] != SOS {
            let end = at + 2 + usize::from(word(file, at + 2).unwrap());
            if file[at + 1] != DHT {
                out.extend_from_slice(&file[at..end]);
            }
            at = end;
        }
        out.extend_from_slice(&file[at..]);
        out
    }

    fn whole(len: usize) -> Jpeg {
        Jpeg { size: SIZE, start: 0, len, ends: true, lacks_tables_at: None }
    }

    fn pixels(file: &[u8]) -> Vec<u8> {
        turbojpeg::decompress(file, turbojpeg::PixelFormat::RGB).unwrap().pixels
    }

    #[test]
    fn a_whole_file_gives_its_size() {
        let file = sample();
        assert_eq!(Ok(whole(file.len())), inspect(&file));
    }

    #[test]
    fn what_follows_a_file_is_left_out() {
        let file = sample();
        let older = &file[file.len() / 2..file.len() - 2];
        for behind in [&[0; 1000][..], &[0x5a; 7], b"\r\n", &[0xff; 64], &[0x5a, 0, 0, 0], older] {
            let found = inspect(&[&file, behind].concat()).unwrap();
            assert_eq!(whole(file.len()), found, "{} bytes of {:?}", behind.len(), behind.first());
        }
    }

    #[test]
    fn what_precedes_a_file_is_left_out() {
        let file = sample();
        for before in [&[0; 12][..], &[0x5a; 7], b"\r\n", &[0xff; 64], &[0xff, SOI, 0]] {
            let bytes = [before, &file, b"\r\n"].concat();
            let found = inspect(&bytes).unwrap();
            assert_eq!(Jpeg { start: before.len(), ..whole(file.len()) }, found);
            assert_eq!(file, mended(&bytes, &found));
        }
        let far = [&vec![0x5a; SURROUNDINGS][..], &file].concat();
        assert_eq!(Err(Flaw::NoStart), inspect(&far));
    }

    #[test]
    fn no_cut_passes_for_a_whole_file() {
        let file = sample();
        for len in 0..file.len() {
            let found = inspect(&file[..len]);
            assert!(found.is_err() || found.is_ok_and(|found| !found.ends), "cut to {len} of {} bytes", file.len());
        }
    }

    #[test]
    fn a_file_that_lacks_only_its_end_decodes_alike_once_that_is_put_in() {
        let file = sample();
        for lost in [1, 2] {
            let cut = &file[..file.len() - lost];
            let found = inspect(cut).unwrap();
            assert!(!found.ends);
            assert_eq!(pixels(&file), pixels(&mended(cut, &found)));
        }
    }

    #[test]
    fn whatever_is_cut_or_flipped_decodes_or_errs_when_mended_and_is_found_again() {
        let file = sample_of(Size { width: 16, height: 16 });
        let check = |bytes: &[u8], what: &str| {
            if let Ok(found) = inspect(bytes) {
                let mended = mended(bytes, &found);
                // Either is right; what is wrong is a crash, or a size that the decoder does not agree with.
                if let Ok(image) = turbojpeg::decompress(&mended, turbojpeg::PixelFormat::RGB) {
                    let size = (usize::from(found.size.width), usize::from(found.size.height));
                    assert_eq!(size, (image.width, image.height), "{what}");
                }
                let again = inspect(&mended).unwrap();
                assert!(again.is_complete() && again.size == found.size && again.start == 0, "{what}: {again:?}");
            }
        };
        for len in 0..file.len() {
            check(&file[..len], &format!("cut to {len}"));
        }
        for bare in [file.clone(), without_tables(&file)] {
            let mut bytes = bare;
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                check(&bytes, &format!("bit {bit}"));
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn a_file_without_tables_decodes_alike_once_they_are_put_in() {
        let file = sample();
        let bare = without_tables(&file);
        let found = inspect(&bare).unwrap();
        assert!(found.lacks_tables_at.is_some(), "the tables are gone");
        let mended = mended(&bare, &found);
        assert!(inspect(&mended).unwrap().is_complete());
        assert_eq!(pixels(&file), pixels(&mended));
    }

    #[test]
    fn flaws_are_told_apart() {
        let file = sample();
        let frame = file.windows(2).position(|pair| pair == [0xff, SOF0]).unwrap();
        let with = |at: usize, bytes: &[u8]| {
            let mut file = file.clone();
            file[at..at + bytes.len()].copy_from_slice(bytes);
            inspect(&file)
        };
        assert_eq!(Err(Flaw::Empty), inspect(b""));
        assert_eq!(Err(Flaw::NoStart), inspect(b"GIF89a"));
        assert_eq!(Err(Flaw::Header), inspect(&[0xff, SOI, 0xff, EOI]));
        assert_eq!(Err(Flaw::NoStart), with(2, &[0x12]));
        assert_eq!(Err(Flaw::Header), with(frame + 2, &[0, 1]));
        assert_eq!(Err(Flaw::Size), with(frame + 5, &[0, 0]));
        assert_eq!(Err(Flaw::Size), with(frame + 5, &[0xff, 0xff]));
        assert_eq!(Err(Flaw::Size), with(frame, &[0xff, 0xe5]));
        assert!(!with(file.len() - 1, &[SOI]).unwrap().ends);
    }
}
