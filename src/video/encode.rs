//! Codes raw pictures as JPEG.
//!
//! Everything after capture knows one kind of picture, a JPEG file, so raw pictures are coded here, once for all
//! viewers. Chroma is kept at half the width and full height (4:2:2): what YUYV carries anyway, and the least at which
//! coloured text stays legible.

use bytes::Bytes;
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
}

impl PixelFormat {
    /// The least number of bytes in a row of `width` pixels.
    pub fn row_bytes(self, width: u16) -> usize {
        match self {
            PixelFormat::Yuyv | PixelFormat::Uyvy => usize::from(width).div_ceil(2) * 4,
            PixelFormat::Rgb24 | PixelFormat::Bgr24 => usize::from(width) * 3,
        }
    }
}

/// Which numbers mean black and white in a YUV picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// 0 and 255, as in a JPEG file.
    Full,
    /// 16 and 235, as in television; most capture devices give this.
    Limited,
}

/// A raw picture, as it lies in a driver's buffer.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "`size` is described by its type")]
pub struct Raw<'a> {
    pub size: Size,
    /// How its bytes are laid out.
    pub format: PixelFormat,
    /// What its luminance means; ignored for RGB.
    pub range: Range,
    /// Bytes from the start of one row to the start of the next.
    pub stride: usize,
    /// The rows; the last one may lack its padding.
    pub pixels: &'a [u8],
}

impl Raw<'_> {
    /// Checks that the picture is complete.
    pub fn check(&self) -> Result<(), EncodeError> {
        let (width, height) = (usize::from(self.size.width), usize::from(self.size.height));
        let row_bytes = self.format.row_bytes(self.size.width);
        let needed_bytes = self.stride * height.saturating_sub(1) + row_bytes;
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
        // Zeroed memory costs nothing until it is written, so the worst case is no waste.
        self.file.resize(turbojpeg::compressed_buf_len(width, height, Subsamp::Sub2x1)?, 0);
        match raw.format {
            PixelFormat::Yuyv => self.unweave(raw, |[y0, u, y1, v]| (y0, y1, u, v)),
            PixelFormat::Uyvy => self.unweave(raw, |[u, y0, v, y1]| (y0, y1, u, v)),
            PixelFormat::Rgb24 => return self.rgb(raw, turbojpeg::PixelFormat::RGB),
            PixelFormat::Bgr24 => return self.rgb(raw, turbojpeg::PixelFormat::BGR),
        }
        let half = width.div_ceil(2);
        let image = YuvPlanesImage {
            y_plane: &self.planes[0][..],
            u_plane: &self.planes[1][..],
            v_plane: &self.planes[2][..],
            width,
            height,
            y_stride: half * 2,
            u_stride: half,
            v_stride: half,
            subsamp: Subsamp::Sub2x1,
        };
        let mut file = OutputBuf::borrowed(&mut self.file);
        self.compressor.compress_yuv_planes(&image, &mut file)?;
        Ok(Bytes::copy_from_slice(&file))
    }

    fn rgb(&mut self, raw: &Raw, format: turbojpeg::PixelFormat) -> Result<Bytes, EncodeError> {
        let (width, height) = (raw.size.width.into(), raw.size.height.into());
        self.compressor.set_subsamp(Subsamp::Sub2x1)?;
        let image = Image { pixels: raw.pixels, width, pitch: raw.stride, height, format };
        let mut file = OutputBuf::borrowed(&mut self.file);
        self.compressor.compress(image, &mut file)?;
        Ok(Bytes::copy_from_slice(&file))
    }

    /// Sorts pairs of pixels into three planes. The range is a constant of each loop, which lets the compiler make
    /// vectors.
    fn unweave(&mut self, raw: &Raw, order: impl Fn([u8; 4]) -> (u8, u8, u8, u8)) {
        match raw.range {
            Range::Full => self.unweave_with(raw, order, |y| y, |c| c),
            Range::Limited => self.unweave_with(raw, order, wide_luminance, wide_chrominance),
        }
    }

    fn unweave_with(
        &mut self,
        raw: &Raw,
        order: impl Fn([u8; 4]) -> (u8, u8, u8, u8),
        luminance: impl Fn(u8) -> u8,
        chrominance: impl Fn(u8) -> u8,
    ) {
        let (half, height) = (usize::from(raw.size.width).div_ceil(2), usize::from(raw.size.height));
        let [ys, us, vs] = &mut self.planes;
        ys.resize(half * 2 * height, 0);
        us.resize(half * height, 0);
        vs.resize(half * height, 0);
        let rows = raw.pixels.chunks(raw.stride).zip(ys.chunks_exact_mut(half * 2));
        for ((row, ys), (us, vs)) in rows.zip(us.chunks_exact_mut(half).zip(vs.chunks_exact_mut(half))) {
            let (pairs, _) = row.as_chunks::<4>();
            let (ys, _) = ys.as_chunks_mut::<2>();
            for (((pair, y), u), v) in pairs.iter().zip(ys).zip(us).zip(vs) {
                let (y0, y1, cb, cr) = order(*pair);
                *y = [luminance(y0), luminance(y1)];
                (*u, *v) = (chrominance(cb), chrominance(cr));
            }
        }
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
    Encoder::new()?.encode(&Raw { size, format, range: Range::Full, stride, pixels: rgb })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::jpeg;

    const WHITE: [u8; 3] = [255, 255, 255];
    const BLACK: [u8; 3] = [0, 0, 0];
    const RED: [u8; 3] = [254, 0, 0];

    /// Codes a picture of one colour, including its padded rows, and looks at its last pixel.
    #[track_caller]
    fn check(format: PixelFormat, range: Range, pattern: &[u8], expected: [u8; 3]) {
        for size in [Size { width: 64, height: 32 }, Size { width: 33, height: 7 }] {
            let row_bytes = format.row_bytes(size.width);
            let mut row: Vec<u8> = pattern.iter().copied().cycle().take(row_bytes).collect();
            row.extend([0x55; 10]);
            let mut pixels = row.repeat(size.height.into());
            pixels.truncate(pixels.len() - 10);
            let raw = Raw { size, format, range, stride: row_bytes + 10, pixels: &pixels };
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
            let mut encode = |pixels| encoder.encode(&Raw { size, format, range: Range::Full, stride, pixels });
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
            let raw = Raw { size, format: PixelFormat::Yuyv, range: Range::Limited, stride, pixels: &pixels };
            let file = encoder.encode(&raw).unwrap();
            assert_eq!(size, jpeg::inspect(&file).unwrap().size);
        }
    }
}
