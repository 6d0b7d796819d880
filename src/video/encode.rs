//! Codes raw pictures as JPEG.
//!
//! Everything after capture knows one kind of picture, a JPEG file, so raw pictures are coded here, once for all
//! viewers. Chroma is kept as it comes, but at half the width (4:2:2) where there is more: what YUYV carries anyway,
//! and the least at which coloured text stays legible.

use bytes::Bytes;
use serde::Serialize;
use turbojpeg::{Compressor, Image, OutputBuf, Subsamp, YuvPlanesImage};

use crate::base::signal::Size;

/// The lowest quality at which text has no visible fringes; lower ones hardly make pictures smaller.
const QUALITY: i32 = 85;

/// How a raw picture's bytes are laid out; names as in the V4L2 manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelFormat {
    /// Two pixels in four bytes: Y Cb Y Cr.
    Yuyv,
    /// Two pixels in four bytes: Cb Y Cr Y.
    Uyvy,
    /// Three bytes a pixel: red, green, blue.
    Rgb24,
    /// Three bytes a pixel: blue, green, red.
    Bgr24,
    /// All Y, then for each four pixels Cb Cr.
    Nv12,
    /// All Y, then Cb for each four pixels, then Cr.
    Yu12,
    /// Y alone.
    Grey,
}

impl PixelFormat {
    /// The least number of bytes in a row of `width` pixels; of the first plane, where there are several.
    pub fn row_bytes(self, width: u16) -> usize {
        match self {
            PixelFormat::Yuyv | PixelFormat::Uyvy => usize::from(width).div_ceil(2) * 4,
            PixelFormat::Rgb24 | PixelFormat::Bgr24 => usize::from(width) * 3,
            // A row of pairs of Cb and Cr is as long.
            PixelFormat::Nv12 | PixelFormat::Yu12 => usize::from(width).next_multiple_of(2),
            PixelFormat::Grey => width.into(),
        }
    }
}

/// Which numbers mean black and white in a YUV picture.
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Range {
    /// 0 and 255, as in a JPEG file.
    #[default]
    Full,
    /// 16 and 235, as in television; most capture devices give this.
    Limited,
}

/// How red, green and blue were made into YUV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// As in a JPEG file.
    Bt601,
    /// As in high-definition television.
    Bt709,
}

/// What the numbers of a YUV picture mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Colour {
    pub matrix: Matrix,
    pub range: Range,
}

impl Colour {
    /// What a JPEG file means by its numbers.
    pub const JPEG: Colour = Colour { matrix: Matrix::Bt601, range: Range::Full };

    /// The same in another range, if one is given.
    pub fn in_range(self, range: Option<Range>) -> Colour {
        Colour { range: range.unwrap_or(self.range), ..self }
    }

    /// Makes rows mean what a JPEG file means: one row of both chrominances, and the rows of luminance above it, each
    /// twice as long.
    fn to_jpeg(self, ys: &mut [u8], us: &mut [u8], vs: &mut [u8]) {
        if self.range == Range::Limited {
            ys.iter_mut().for_each(|y| *y = wide_luminance(*y));
            us.iter_mut().chain(vs.iter_mut()).for_each(|c| *c = wide_chrominance(*c));
        }
        if self.matrix == Matrix::Bt709 {
            for row in ys.chunks_exact_mut(us.len() * 2) {
                let (pairs, _) = row.as_chunks_mut::<2>();
                for ((pair, u), v) in pairs.iter_mut().zip(&*us).zip(&*vs) {
                    let more = weighted(*u, *v, 6657, 12850);
                    *pair = pair.map(|y| (i32::from(y) + more).clamp(0, 255) as u8);
                }
            }
            for (u, v) in us.iter_mut().zip(vs.iter_mut()) {
                let (cb, cr) = (weighted(*u, *v, 64871, -7252), weighted(*u, *v, -4748, 64448));
                (*u, *v) = ((cb + 128).clamp(0, 255) as u8, (cr + 128).clamp(0, 255) as u8);
            }
        }
    }
}

/// What chrominances add up to, by weights of which 65536 is one: from ITU-R BT.709's matrix to BT.601's.
fn weighted(u: u8, v: u8, cb: i32, cr: i32) -> i32 {
    ((i32::from(u) - 128) * cb + (i32::from(v) - 128) * cr + 0x8000) >> 16
}

/// What the bytes of a raw picture mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "described with `Raw`")]
pub struct Layout {
    pub size: Size,
    pub format: PixelFormat,
    pub colour: Colour,
    pub stride: usize,
}

impl Layout {
    /// These bytes, as a picture.
    pub fn of(self, pixels: &[u8]) -> Raw<'_> {
        let Layout { size, format, colour, stride } = self;
        Raw { size, format, colour, stride, pixels }
    }
}

/// A raw picture, as it lies in a driver's buffer.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "`size` is described by its type")]
pub struct Raw<'a> {
    pub size: Size,
    /// How its bytes are laid out.
    pub format: PixelFormat,
    /// What its numbers mean; ignored for RGB.
    pub colour: Colour,
    /// Bytes from the start of one row to the start of the next; of the first plane, where there are several.
    pub stride: usize,
    /// The rows; the last one may lack its padding.
    pub pixels: &'a [u8],
}

impl Raw<'_> {
    /// Checks that the picture is complete.
    pub fn check(&self) -> Result<(), EncodeError> {
        let (width, height) = (usize::from(self.size.width), usize::from(self.size.height));
        let row_bytes = self.format.row_bytes(self.size.width);
        let (half, last) = (height.div_ceil(2), height.saturating_sub(1));
        let needed_bytes = match self.format {
            PixelFormat::Nv12 => self.stride * (height + half.saturating_sub(1)) + row_bytes,
            // Rows of each chrominance are half as long, and so is their padding.
            PixelFormat::Yu12 => self.stride * height + self.stride / 2 * (half * 2).saturating_sub(1) + row_bytes / 2,
            _ => self.stride * last + row_bytes,
        };
        if self.pixels.len() < needed_bytes || self.stride < row_bytes || width * height == 0 {
            return Err(EncodeError::Short { size: self.size, needed_bytes, len_bytes: self.pixels.len() });
        }
        Ok(())
    }
}

/// Why a picture could not be coded.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum EncodeError {
    /// The buffer ends before the picture does.
    #[error("picture of {size} needs {needed_bytes} bytes and has {len_bytes}")]
    Short { size: Size, needed_bytes: usize, len_bytes: usize },
    /// The coder refused.
    #[error("coding a picture failed")]
    Coder(#[from] turbojpeg::Error),
}

/// Codes one picture after another, in buffers that it keeps.
pub struct Encoder {
    compressor: Compressor,
    /// Luminance and both chrominances of the current picture.
    planes: [Vec<u8>; 3],
    /// Room for the largest file that the current picture can become.
    file: Vec<u8>,
}

impl Encoder {
    /// An encoder with nothing in its buffers.
    pub fn new() -> Result<Encoder, EncodeError> {
        let mut compressor = Compressor::new()?;
        compressor.set_quality(QUALITY)?;
        Ok(Encoder { compressor, planes: Default::default(), file: Vec::new() })
    }

    /// Codes a picture as a JPEG file.
    pub fn encode(&mut self, raw: &Raw) -> Result<Bytes, EncodeError> {
        raw.check()?;
        let (width, height) = (usize::from(raw.size.width), usize::from(raw.size.height));
        let half = width.div_ceil(2);
        resize(&mut self.file, turbojpeg::compressed_buf_len(width, height, Subsamp::Sub2x1)?);
        let subsamp = match raw.format {
            PixelFormat::Yuyv => self.unweave(raw, |[y0, u, y1, v]| (y0, y1, u, v)),
            PixelFormat::Uyvy => self.unweave(raw, |[u, y0, v, y1]| (y0, y1, u, v)),
            PixelFormat::Nv12 => self.gather(raw, |row, chroma, us, vs| {
                let (pairs, _) = chroma[row * raw.stride..].as_chunks::<2>();
                for ((pair, u), v) in pairs.iter().zip(us).zip(vs) {
                    (*u, *v) = (pair[0], pair[1]);
                }
            }),
            PixelFormat::Yu12 => self.gather(raw, |row, chroma, us, vs| {
                let (stride, rows) = (raw.stride / 2, height.div_ceil(2));
                us.copy_from_slice(&chroma[row * stride..][..half]);
                vs.copy_from_slice(&chroma[(rows + row) * stride..][..half]);
            }),
            PixelFormat::Rgb24 => return self.pixels(raw, turbojpeg::PixelFormat::RGB, Subsamp::Sub2x1),
            PixelFormat::Bgr24 => return self.pixels(raw, turbojpeg::PixelFormat::BGR, Subsamp::Sub2x1),
            PixelFormat::Grey => return self.grey(raw),
        };
        let image = YuvPlanesImage {
            y_plane: &self.planes[0][..],
            u_plane: &self.planes[1][..],
            v_plane: &self.planes[2][..],
            width,
            height,
            y_stride: half * 2,
            u_stride: half,
            v_stride: half,
            subsamp,
        };
        let mut file = OutputBuf::borrowed(&mut self.file);
        self.compressor.compress_yuv_planes(&image, &mut file)?;
        Ok(Bytes::copy_from_slice(&file))
    }

    fn pixels(&mut self, raw: &Raw, format: turbojpeg::PixelFormat, subsamp: Subsamp) -> Result<Bytes, EncodeError> {
        let (width, height) = (raw.size.width.into(), raw.size.height.into());
        self.compressor.set_subsamp(subsamp)?;
        let image = Image { pixels: raw.pixels, width, pitch: raw.stride, height, format };
        let mut file = OutputBuf::borrowed(&mut self.file);
        self.compressor.compress(image, &mut file)?;
        Ok(Bytes::copy_from_slice(&file))
    }

    fn grey(&mut self, raw: &Raw) -> Result<Bytes, EncodeError> {
        if raw.colour.range == Range::Full {
            return self.pixels(raw, turbojpeg::PixelFormat::GRAY, Subsamp::Gray);
        }
        let mut wide = std::mem::take(&mut self.planes[0]);
        resize(&mut wide, raw.pixels.len());
        wide.iter_mut().zip(raw.pixels).for_each(|(wide, y)| *wide = wide_luminance(*y));
        let file = self.pixels(&Raw { pixels: &wide, ..*raw }, turbojpeg::PixelFormat::GRAY, Subsamp::Gray);
        self.planes[0] = wide;
        file
    }

    /// Room for three planes, of which chrominance has so many rows.
    fn make_room(&mut self, raw: &Raw, chroma_rows: usize) -> usize {
        let (half, height) = (usize::from(raw.size.width).div_ceil(2), usize::from(raw.size.height));
        let [ys, us, vs] = &mut self.planes;
        resize(ys, half * 2 * height.next_multiple_of(height.div_ceil(chroma_rows)));
        resize(us, half * chroma_rows);
        resize(vs, half * chroma_rows);
        half
    }

    /// Sorts pairs of pixels into three planes.
    fn unweave(&mut self, raw: &Raw, order: impl Fn([u8; 4]) -> (u8, u8, u8, u8)) -> Subsamp {
        let half = self.make_room(raw, raw.size.height.into());
        let [ys, us, vs] = &mut self.planes;
        let rows = raw.pixels.chunks(raw.stride).zip(ys.chunks_exact_mut(half * 2));
        for ((row, ys), (us, vs)) in rows.zip(us.chunks_exact_mut(half).zip(vs.chunks_exact_mut(half))) {
            let (pairs, _) = row.as_chunks::<4>();
            let (luminances, _) = ys.as_chunks_mut::<2>();
            for (((pair, y), u), v) in pairs.iter().zip(luminances).zip(&mut *us).zip(&mut *vs) {
                let (y0, y1, cb, cr) = order(*pair);
                *y = [y0, y1];
                (*u, *v) = (cb, cr);
            }
            // Row by row, while it is in the processor's cache.
            raw.colour.to_jpeg(ys, us, vs);
        }
        Subsamp::Sub2x1
    }

    /// Copies a picture of several planes, with one row of chrominance for two of luminance; `chroma` reads the row of
    /// that number.
    fn gather(&mut self, raw: &Raw, chroma: impl Fn(usize, &[u8], &mut [u8], &mut [u8])) -> Subsamp {
        let height = usize::from(raw.size.height);
        let half = self.make_room(raw, height.div_ceil(2));
        let (luminance, chrominance) = raw.pixels.split_at(raw.stride * height);
        let [ys, us, vs] = &mut self.planes;
        let rows = luminance.chunks(raw.stride * 2).zip(ys.chunks_mut(half * 4)).enumerate();
        for ((number, (rows, ys)), (us, vs)) in rows.zip(us.chunks_exact_mut(half).zip(vs.chunks_exact_mut(half))) {
            for (at, ys) in ys.chunks_exact_mut(half * 2).enumerate() {
                // The coder wants pairs of rows, so a last one that is alone is there twice.
                let row = rows.get(at * raw.stride..).filter(|row| !row.is_empty()).unwrap_or(rows);
                ys.copy_from_slice(&row[..half * 2]);
            }
            chroma(number, chrominance, us, vs);
            raw.colour.to_jpeg(ys, us, vs);
        }
        Subsamp::Sub2x2
    }
}

/// Room for so many bytes, which the caller overwrites. Kept while it is enough: memory that is asked for zeroed costs
/// nothing until it is written, and growing a vector writes it.
fn resize(room: &mut Vec<u8>, len: usize) {
    if room.len() != len {
        *room = vec![0; len];
    }
}

/// Stretches 16 to 235 over 0 to 255.
fn wide_luminance(y: u8) -> u8 {
    // 298 / 256 is 255 / 219, near enough for eight bits.
    ((u32::from(y.saturating_sub(16)) * 298 + 128) >> 8).min(255) as u8
}

/// Stretches 16 to 240 over 0 to 255, about its middle.
fn wide_chrominance(c: u8) -> u8 {
    ((((i32::from(c) - 128) * 291 + 128) >> 8) + 128).clamp(0, 255) as u8
}

/// Codes one picture of `size`, three bytes a pixel in the order red, green, blue, without padding between rows.
///
/// For pictures that come one after another, keep an [`Encoder`].
pub fn jpeg_from_rgb(size: Size, rgb: &[u8]) -> Result<Bytes, EncodeError> {
    let format = PixelFormat::Rgb24;
    let stride = format.row_bytes(size.width);
    Encoder::new()?.encode(&Raw { size, format, colour: Colour::JPEG, stride, pixels: rgb })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::jpeg;

    const WHITE: [u8; 3] = [255, 255, 255];
    const BLACK: [u8; 3] = [0, 0, 0];
    const RED: [u8; 3] = [254, 0, 0];
    const GREEN: [u8; 3] = [0, 255, 1];
    const LIMITED: Colour = Colour { matrix: Matrix::Bt601, range: Range::Limited };

    /// Codes a picture of one colour, including its padded rows, and looks at its last pixel.
    #[track_caller]
    fn check(format: PixelFormat, range: Range, pattern: &[u8], expected: [u8; 3]) {
        check_colour(format, Colour { matrix: Matrix::Bt601, range }, pattern, expected);
    }

    #[track_caller]
    fn check_colour(format: PixelFormat, colour: Colour, pattern: &[u8], expected: [u8; 3]) {
        for size in [Size { width: 64, height: 32 }, Size { width: 33, height: 7 }] {
            let row_bytes = format.row_bytes(size.width);
            let mut row: Vec<u8> = pattern.iter().copied().cycle().take(row_bytes).collect();
            row.extend([0x55; 10]);
            let mut pixels = row.repeat(size.height.into());
            pixels.truncate(pixels.len() - 10);
            let raw = Raw { size, format, colour, stride: row_bytes + 10, pixels: &pixels };
            let file = Encoder::new().unwrap().encode(&raw).unwrap();
            assert_eq!(size, jpeg::inspect(&file).unwrap().size);
            let decoded = turbojpeg::decompress(&file, turbojpeg::PixelFormat::RGB).unwrap().pixels;
            let last = &decoded[decoded.len() - 3..];
            let near = last.iter().zip(expected).all(|(is, should)| is.abs_diff(should) <= 3);
            assert!(near, "{format:?} of {size}: {last:?}, not {expected:?}");
        }
    }

    #[test]
    fn yuv_keeps_its_colours() {
        check(PixelFormat::Yuyv, Range::Full, &[255, 128, 255, 128], WHITE);
        check(PixelFormat::Yuyv, Range::Full, &[76, 85, 76, 255], RED);
        check(PixelFormat::Uyvy, Range::Full, &[85, 76, 255, 76], RED);
    }

    #[test]
    fn limited_range_is_stretched() {
        check(PixelFormat::Yuyv, Range::Limited, &[235, 128, 235, 128], WHITE);
        check(PixelFormat::Yuyv, Range::Limited, &[16, 128, 16, 128], BLACK);
        check(PixelFormat::Uyvy, Range::Limited, &[90, 81, 240, 81], RED);
    }

    #[test]
    fn the_matrix_of_high_definition_is_told_from_a_jpegs() {
        let colour = |range| Colour { matrix: Matrix::Bt709, range };
        check_colour(PixelFormat::Yuyv, colour(Range::Full), &[182, 30, 182, 12], GREEN);
        check_colour(PixelFormat::Yuyv, colour(Range::Full), &[54, 99, 54, 255], RED);
        check_colour(PixelFormat::Uyvy, colour(Range::Limited), &[42, 173, 26, 173], GREEN);
        check_colour(PixelFormat::Yuyv, colour(Range::Limited), &[63, 102, 63, 240], RED);
        for white in [[235, 128, 235, 128], [16, 128, 16, 128]] {
            let expected = if white[0] == 16 { BLACK } else { WHITE };
            check_colour(PixelFormat::Yuyv, colour(Range::Limited), &white, expected);
        }
    }

    /// Codes a picture of several planes, of one colour and with padded rows, and looks at its last pixel.
    #[track_caller]
    fn check_planes(format: PixelFormat, colour: Colour, [y, u, v]: [u8; 3], expected: [u8; 3]) {
        for size in [Size { width: 64, height: 32 }, Size { width: 33, height: 7 }] {
            let (stride, rows) = (80, usize::from(size.height));
            let half = rows.div_ceil(2);
            let mut pixels = vec![y; stride * rows];
            match format {
                PixelFormat::Nv12 => pixels.extend([u, v].repeat(stride / 2 * half)),
                PixelFormat::Yu12 => {
                    pixels.extend(vec![u; stride / 2 * half]);
                    pixels.extend(vec![v; stride / 2 * half]);
                }
                _ => (),
            }
            let mut encoder = Encoder::new().unwrap();
            let mut encode = |pixels| encoder.encode(&Raw { size, format, colour, stride, pixels });
            let file = encode(&pixels).unwrap();
            assert_eq!(size, jpeg::inspect(&file).unwrap().size);
            let decoded = turbojpeg::decompress(&file, turbojpeg::PixelFormat::RGB).unwrap().pixels;
            let last = &decoded[decoded.len() - 3..];
            let near = last.iter().zip(expected).all(|(is, should)| is.abs_diff(should) <= 3);
            assert!(near, "{format:?} of {size}: {last:?}, not {expected:?}");
            // The last row need not be padded, and not a byte more may be missing.
            let needed = (0..=pixels.len()).rev().take_while(|len| encode(&pixels[..*len]).is_ok()).last().unwrap();
            let padding = stride - format.row_bytes(size.width);
            assert_eq!(if format == PixelFormat::Yu12 { padding / 2 } else { padding }, pixels.len() - needed);
        }
    }

    #[test]
    fn planes_keep_their_colours() {
        for format in [PixelFormat::Nv12, PixelFormat::Yu12] {
            check_planes(format, Colour::JPEG, [76, 85, 255], RED);
            check_planes(format, LIMITED, [81, 90, 240], RED);
            check_planes(format, Colour { matrix: Matrix::Bt709, ..LIMITED }, [173, 42, 26], GREEN);
        }
    }

    #[test]
    fn grey_stays_grey() {
        check_planes(PixelFormat::Grey, Colour::JPEG, [100; 3], [100; 3]);
        check_planes(PixelFormat::Grey, LIMITED, [235; 3], WHITE);
    }

    #[test]
    fn room_is_kept_while_the_size_is() {
        let mut encoder = Encoder::new().unwrap();
        let mut places = Vec::new();
        for height in [480, 480, 240, 240] {
            let size = Size { width: 640, height };
            let pixels = vec![128; 1280 * usize::from(height)];
            let raw = Raw { size, format: PixelFormat::Yuyv, colour: LIMITED, stride: 1280, pixels: &pixels };
            encoder.encode(&raw).unwrap();
            places.push((encoder.file.as_ptr(), encoder.planes[0].as_ptr(), encoder.planes[0].len()));
        }
        assert!(places[0] == places[1] && places[2] == places[3], "{places:?}");
        assert_eq!((640 * 480, 640 * 240), (places[0].2, places[3].2));
    }

    #[test]
    fn rgb_keeps_its_colours() {
        check(PixelFormat::Rgb24, Range::Full, &RED, RED);
        check(PixelFormat::Bgr24, Range::Full, &[0, 0, 254], RED);
    }

    #[test]
    fn a_buffer_that_is_too_short_is_refused() {
        let size = Size { width: 64, height: 48 };
        for format in [PixelFormat::Yuyv, PixelFormat::Uyvy, PixelFormat::Rgb24, PixelFormat::Bgr24] {
            let stride = format.row_bytes(size.width);
            let pixels = vec![0; stride * 48];
            let mut encoder = Encoder::new().unwrap();
            let mut encode = |pixels| encoder.encode(&Raw { size, format, colour: Colour::JPEG, stride, pixels });
            assert!(encode(&pixels).is_ok());
            for len in [0, 1, stride, pixels.len() - 1] {
                assert!(matches!(encode(&pixels[..len]), Err(EncodeError::Short { .. })));
            }
        }
        assert!(jpeg_from_rgb(Size { width: 0, height: 0 }, &[]).is_err());
    }

    #[test]
    fn one_encoder_takes_sizes_in_turn() {
        let mut encoder = Encoder::new().unwrap();
        for (width, height) in [(640, 480), (32, 16), (1280, 720)] {
            let size = Size { width, height };
            let stride = PixelFormat::Yuyv.row_bytes(width);
            let pixels = vec![128; stride * usize::from(height)];
            let raw = Raw { size, format: PixelFormat::Yuyv, colour: LIMITED, stride, pixels: &pixels };
            let file = encoder.encode(&raw).unwrap();
            assert_eq!(size, jpeg::inspect(&file).unwrap().size);
        }
    }
}
