//! Makes V4L2's system calls with the kernel's structures, and returns the answers as values.
//!
//! The `v4l` crate opens and closes devices and names formats and capabilities. Its calls are not used: they lack
//! events and DV timings, they panic on a field order, colour space or card name that they do not know, and they bypass
//! the C library, which is where a preloaded test device sits.

use std::io;
use std::mem;
use std::os::fd::RawFd;

use nix::errno::Errno;
use v4l2_sys_mit as sys;

use crate::video::encode::{Colour, Matrix, Range};

/// The only kind of queue we use.
const CAPTURE: u32 = sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE;
/// The only kind of memory we use.
const MMAP: u32 = sys::v4l2_memory_V4L2_MEMORY_MMAP;
/// No device has more inputs, formats, sizes or rates; a driver that never ends its list must not hang us.
const MAX_LISTED: u32 = 128;

// Sizes as a 64-bit kernel has them. They are part of each request's number, so a wrong one fails to build instead of
// failing on a device; x86-64 and arm64 agree on all of them.
const _: () = assert!(size_of::<sys::v4l2_capability>() == 104 && size_of::<sys::v4l2_fmtdesc>() == 64);
const _: () = assert!(size_of::<sys::v4l2_format>() == 208 && size_of::<sys::v4l2_streamparm>() == 204);
const _: () = assert!(size_of::<sys::v4l2_requestbuffers>() == 20 && size_of::<sys::v4l2_buffer>() == 88);
const _: () = assert!(size_of::<sys::v4l2_frmsizeenum>() == 44 && size_of::<sys::v4l2_frmivalenum>() == 52);
const _: () = assert!(size_of::<sys::v4l2_input>() == 80 && size_of::<sys::v4l2_dv_timings>() == 132);
const _: () = assert!(size_of::<sys::v4l2_event>() == 136 && size_of::<sys::v4l2_event_subscription>() == 32);

mod raw {
    use nix::{ioctl_read, ioctl_readwrite, ioctl_write_ptr, libc};
    use v4l2_sys_mit as sys;

    ioctl_read!(querycap, b'V', 0, sys::v4l2_capability);
    ioctl_readwrite!(enum_fmt, b'V', 2, sys::v4l2_fmtdesc);
    ioctl_readwrite!(g_fmt, b'V', 4, sys::v4l2_format);
    ioctl_readwrite!(s_fmt, b'V', 5, sys::v4l2_format);
    ioctl_readwrite!(reqbufs, b'V', 8, sys::v4l2_requestbuffers);
    ioctl_readwrite!(querybuf, b'V', 9, sys::v4l2_buffer);
    ioctl_readwrite!(qbuf, b'V', 15, sys::v4l2_buffer);
    ioctl_readwrite!(dqbuf, b'V', 17, sys::v4l2_buffer);
    ioctl_write_ptr!(streamon, b'V', 18, libc::c_int);
    ioctl_write_ptr!(streamoff, b'V', 19, libc::c_int);
    ioctl_readwrite!(s_parm, b'V', 22, sys::v4l2_streamparm);
    ioctl_readwrite!(enuminput, b'V', 26, sys::v4l2_input);
    ioctl_read!(g_input, b'V', 38, libc::c_int);
    ioctl_readwrite!(s_input, b'V', 39, libc::c_int);
    ioctl_readwrite!(enum_framesizes, b'V', 74, sys::v4l2_frmsizeenum);
    ioctl_readwrite!(enum_frameintervals, b'V', 75, sys::v4l2_frmivalenum);
    ioctl_readwrite!(s_dv_timings, b'V', 87, sys::v4l2_dv_timings);
    ioctl_read!(dqevent, b'V', 89, sys::v4l2_event);
    ioctl_write_ptr!(subscribe_event, b'V', 90, sys::v4l2_event_subscription);
    ioctl_read!(query_dv_timings, b'V', 99, sys::v4l2_dv_timings);
}

/// A structure of the kernel's for which all zeros is a value.
///
/// # Safety
///
/// It must consist of integers, and unions and arrays of them, only.
unsafe trait Plain: Sized {}

macro_rules! plain {
    ($($name:ident)*) => {
        // SAFETY: these are the kernel's structures, made of integers; the pointers in two unions may be null.
        $(unsafe impl Plain for sys::$name {})*
    };
}

plain!(v4l2_capability v4l2_fmtdesc v4l2_format v4l2_requestbuffers v4l2_buffer v4l2_streamparm v4l2_input);
plain!(v4l2_frmsizeenum v4l2_frmivalenum v4l2_dv_timings v4l2_event v4l2_event_subscription);

fn zeroed<T: Plain>() -> T {
    // SAFETY: all zeros is a value of every `Plain` type.
    unsafe { mem::zeroed() }
}

/// Has the kernel fill in or read a structure.
fn call<T>(
    ioctl: unsafe fn(RawFd, *mut T) -> nix::Result<i32>,
    fd: RawFd,
    name: &'static str,
    value: &mut T,
) -> Result<(), Failure> {
    // SAFETY: `value` is borrowed exclusively and is of the type that the request's number was made from; a closed or
    // foreign descriptor only makes the call fail.
    unsafe { ioctl(fd, value) }.map(drop).map_err(|errno| Failure { op: name, errno })
}

/// The same for requests that only read their structure.
fn tell<T>(
    ioctl: unsafe fn(RawFd, *const T) -> nix::Result<i32>,
    fd: RawFd,
    name: &'static str,
    value: &T,
) -> Result<(), Failure> {
    // SAFETY: as in `call`; the kernel does not write here.
    unsafe { ioctl(fd, value) }.map(drop).map_err(|errno| Failure { op: name, errno })
}

/// Why a request failed, with its name as in the V4L2 manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    pub op: &'static str,
    pub errno: Errno,
}

/// What a device is.
#[derive(Debug)]
pub struct Capability {
    /// The kernel module behind it.
    pub driver: String,
    /// Its name for people.
    pub card: String,
    /// What this node of it can do.
    pub flags: v4l::capability::Flags,
}

/// What the device at this node is and can do.
pub fn capability(fd: RawFd) -> Result<Capability, Failure> {
    let mut answer: sys::v4l2_capability = zeroed();
    call(raw::querycap, fd, "VIDIOC_QUERYCAP", &mut answer)?;
    Ok(Capability { driver: text(&answer.driver), card: text(&answer.card), flags: answer.device_caps.into() })
}

/// The codes of all formats that can be captured.
pub fn formats(fd: RawFd) -> impl Iterator<Item = [u8; 4]> {
    (0..MAX_LISTED).map_while(move |index| {
        let mut answer: sys::v4l2_fmtdesc = zeroed();
        (answer.index, answer.type_) = (index, CAPTURE);
        call(raw::enum_fmt, fd, "VIDIOC_ENUM_FMT", &mut answer).ok()?;
        Some(answer.pixelformat.to_le_bytes())
    })
}

/// The sizes of a format, as far as the device lists them; of a range, the largest size up to full HD.
pub fn sizes(fd: RawFd, fourcc: [u8; 4]) -> impl Iterator<Item = (u32, u32)> {
    (0..MAX_LISTED).map_while(move |index| {
        let mut answer: sys::v4l2_frmsizeenum = zeroed();
        (answer.index, answer.pixel_format) = (index, u32::from_le_bytes(fourcc));
        call(raw::enum_framesizes, fd, "VIDIOC_ENUM_FRAMESIZES", &mut answer).ok()?;
        // SAFETY: the type says which of the two was filled in, and both are integers anyway.
        let size = unsafe {
            match answer.type_ {
                sys::v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_DISCRETE => {
                    let discrete = answer.__bindgen_anon_1.discrete;
                    (discrete.width, discrete.height)
                }
                _ => {
                    let stepwise = answer.__bindgen_anon_1.stepwise;
                    (stepwise.max_width.min(1920), stepwise.max_height.min(1080))
                }
            }
        };
        Some(size)
    })
}

/// The highest rate of a format in a size, as seconds in numerator and denominator, if the device lists any.
pub fn shortest_interval(fd: RawFd, fourcc: [u8; 4], (width, height): (u32, u32)) -> Option<(u32, u32)> {
    let intervals = (0..MAX_LISTED).map_while(|index| {
        let mut answer: sys::v4l2_frmivalenum = zeroed();
        (answer.index, answer.pixel_format) = (index, u32::from_le_bytes(fourcc));
        (answer.width, answer.height) = (width, height);
        call(raw::enum_frameintervals, fd, "VIDIOC_ENUM_FRAMEINTERVALS", &mut answer).ok()?;
        // SAFETY: the type says which of the two was filled in, and both are integers anyway.
        let interval = unsafe {
            match answer.type_ {
                sys::v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_DISCRETE => answer.__bindgen_anon_1.discrete,
                _ => answer.__bindgen_anon_1.stepwise.min,
            }
        };
        Some((interval.numerator, interval.denominator))
    });
    let rate = |(numerator, denominator): (u32, u32)| u64::from(denominator) * 1000 / u64::from(numerator.max(1));
    intervals.filter(|(numerator, denominator)| *numerator != 0 && *denominator != 0).max_by_key(|i| rate(*i))
}

/// The format that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub fourcc: [u8; 4],
    pub width: u32,
    pub height: u32,
    /// Bytes from row to row; zero where there are no rows.
    pub stride: u32,
    /// What the numbers of a YUV picture mean.
    pub colour: Colour,
}

impl Format {
    fn from_pix(pix: &sys::v4l2_pix_format) -> Format {
        // Defaults depend on the colour space: `V4L2_MAP_QUANTIZATION_DEFAULT` and `V4L2_MAP_YCBCR_ENC_DEFAULT` in the
        // kernel's header.
        let range = match pix.quantization {
            sys::v4l2_quantization_V4L2_QUANTIZATION_FULL_RANGE => Range::Full,
            sys::v4l2_quantization_V4L2_QUANTIZATION_LIM_RANGE => Range::Limited,
            _ if pix.colorspace == sys::v4l2_colorspace_V4L2_COLORSPACE_JPEG => Range::Full,
            _ => Range::Limited,
        };
        // SAFETY: both members are the same integer, under two names.
        let encoding = unsafe { pix.__bindgen_anon_1.ycbcr_enc };
        let matrix = match (encoding, pix.colorspace) {
            (sys::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_DEFAULT, sys::v4l2_colorspace_V4L2_COLORSPACE_REC709)
            | (sys::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_DEFAULT, sys::v4l2_colorspace_V4L2_COLORSPACE_DCI_P3)
            | (sys::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_DEFAULT, sys::v4l2_colorspace_V4L2_COLORSPACE_BT2020)
            | (sys::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_709, _)
            | (sys::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_XV709, _)
            // Not quite, but nearer than the other.
            | (sys::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_BT2020, _) => Matrix::Bt709,
            _ => Matrix::Bt601,
        };
        let (width, height, stride) = (pix.width, pix.height, pix.bytesperline);
        Format { fourcc: pix.pixelformat.to_le_bytes(), width, height, stride, colour: Colour { matrix, range } }
    }
}

/// Sets a format, in the given size or else in the device's own. Returns what the device has set.
pub fn set_format(fd: RawFd, fourcc: [u8; 4], size: Option<(u32, u32)>) -> Result<Format, Failure> {
    let mut format: sys::v4l2_format = zeroed();
    format.type_ = CAPTURE;
    call(raw::g_fmt, fd, "VIDIOC_G_FMT", &mut format)?;
    // SAFETY: `pix` is the member for this type, and all are integers anyway.
    let pix = unsafe { &mut format.fmt.pix };
    pix.pixelformat = u32::from_le_bytes(fourcc);
    // Interlaced pictures would arrive as fields; no computer sends those.
    pix.field = sys::v4l2_field_V4L2_FIELD_NONE;
    (pix.bytesperline, pix.sizeimage) = (0, 0);
    if let Some(size) = size {
        (pix.width, pix.height) = size;
    }
    call(raw::s_fmt, fd, "VIDIOC_S_FMT", &mut format)?;
    // SAFETY: as above.
    Ok(Format::from_pix(unsafe { &format.fmt.pix }))
}

/// Asks for a rate, as seconds in numerator and denominator.
pub fn set_interval(fd: RawFd, (numerator, denominator): (u32, u32)) -> Result<(), Failure> {
    let mut parameters: sys::v4l2_streamparm = zeroed();
    parameters.type_ = CAPTURE;
    parameters.parm.capture.timeperframe = sys::v4l2_fract { numerator, denominator };
    call(raw::s_parm, fd, "VIDIOC_S_PARM", &mut parameters)
}

/// An input of a device.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    pub index: u32,
    /// Whether its mode can be asked for as DV timings.
    pub dv_timings: bool,
    /// `V4L2_IN_ST_` flags: what is wrong with what arrives.
    pub status: u32,
}

/// The inputs that the device lists.
pub fn inputs(fd: RawFd) -> impl Iterator<Item = Input> {
    (0..MAX_LISTED).map_while(move |index| input(fd, index).ok())
}

/// One input, as it is now.
pub fn input(fd: RawFd, index: u32) -> Result<Input, Failure> {
    let mut answer: sys::v4l2_input = zeroed();
    answer.index = index;
    call(raw::enuminput, fd, "VIDIOC_ENUMINPUT", &mut answer)?;
    let dv_timings = answer.capabilities & sys::V4L2_IN_CAP_DV_TIMINGS != 0;
    Ok(Input { index, dv_timings, status: answer.status })
}

/// The input that is connected to the capture queue.
pub fn current_input(fd: RawFd) -> Result<u32, Failure> {
    let mut index = 0;
    call(raw::g_input, fd, "VIDIOC_G_INPUT", &mut index)?;
    Ok(index.unsigned_abs())
}

/// Connects an input to the capture queue.
pub fn select_input(fd: RawFd, index: u32) -> Result<(), Failure> {
    call(raw::s_input, fd, "VIDIOC_S_INPUT", &mut (index as i32))
}

/// A mode of the source, as the kernel describes it.
#[derive(Clone, Copy)]
pub struct Timings(sys::v4l2_dv_timings);

impl PartialEq for Timings {
    /// Whether a picture in one mode can be taken for one in the other. The clock is measured, so it is never quite the
    /// same.
    fn eq(&self, other: &Timings) -> bool {
        // SAFETY: `bt` is the only member that has ever been defined, and all are integers anyway.
        let (one, two) = unsafe { (self.0.__bindgen_anon_1.bt, other.0.__bindgen_anon_1.bt) };
        let (clock, other_clock) = (one.pixelclock, two.pixelclock);
        let near = clock.abs_diff(other_clock) <= clock / 200;
        near && (one.width, one.height, one.interlaced) == (two.width, two.height, two.interlaced)
    }
}

impl Timings {
    /// Visible pixels in a row, and visible rows.
    pub fn size(&self) -> (u32, u32) {
        // SAFETY: `bt` is the only member that has ever been defined, and all are integers anyway.
        let bt = unsafe { self.0.__bindgen_anon_1.bt };
        (bt.width, bt.height)
    }
}

/// The mode that the source sends. `ENOLINK`: none; `ENOLCK`: unstable; `ERANGE`: too much.
pub fn query_timings(fd: RawFd) -> Result<Timings, Failure> {
    let mut timings: sys::v4l2_dv_timings = zeroed();
    call(raw::query_dv_timings, fd, "VIDIOC_QUERY_DV_TIMINGS", &mut timings)?;
    Ok(Timings(timings))
}

/// Makes the device expect a mode. Fails while it streams.
pub fn set_timings(fd: RawFd, timings: Timings) -> Result<(), Failure> {
    call(raw::s_dv_timings, fd, "VIDIOC_S_DV_TIMINGS", &mut { timings.0 })
}

/// Subscribes to changes of an input's source.
pub fn subscribe_source_change(fd: RawFd, input: u32) -> Result<(), Failure> {
    let mut subscription: sys::v4l2_event_subscription = zeroed();
    (subscription.type_, subscription.id) = (sys::V4L2_EVENT_SOURCE_CHANGE, input);
    tell(raw::subscribe_event, fd, "VIDIOC_SUBSCRIBE_EVENT", &subscription)
}

/// Takes an event off the queue; we subscribe to one kind only, so its kind is not returned. `None`: no more.
pub fn dequeue_event(fd: RawFd) -> Result<Option<()>, Failure> {
    let mut event: sys::v4l2_event = zeroed();
    match call(raw::dqevent, fd, "VIDIOC_DQEVENT", &mut event) {
        Ok(()) => Ok(Some(())),
        Err(Failure { errno: Errno::ENOENT | Errno::EAGAIN, .. }) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A buffer that the driver has filled.
#[derive(Debug, Clone, Copy)]
pub struct Filled {
    pub index: u32,
    pub len: usize,
    /// Whether the driver reports its contents as damaged.
    pub damaged: bool,
    /// When it was complete, on the monotonic clock, if the driver gives a time.
    pub complete: Option<std::time::Duration>,
}

/// Requests buffers and returns how many there are; a `count` of 0 gives all of them back.
pub fn request_buffers(fd: RawFd, count: u32) -> Result<u32, Failure> {
    let mut request: sys::v4l2_requestbuffers = zeroed();
    (request.count, request.type_, request.memory) = (count, CAPTURE, MMAP);
    call(raw::reqbufs, fd, "VIDIOC_REQBUFS", &mut request)?;
    Ok(request.count)
}

/// The offset and length in bytes at which a buffer can be mapped.
pub fn buffer_place(fd: RawFd, index: u32) -> Result<(u32, usize), Failure> {
    let mut buffer = buffer(index);
    call(raw::querybuf, fd, "VIDIOC_QUERYBUF", &mut buffer)?;
    // SAFETY: `offset` is the member for this kind of memory, and all are integers anyway.
    Ok((unsafe { buffer.m.offset }, buffer.length as usize))
}

/// Gives a buffer to the driver.
pub fn queue_buffer(fd: RawFd, index: u32) -> Result<(), Failure> {
    call(raw::qbuf, fd, "VIDIOC_QBUF", &mut buffer(index))
}

/// Takes the oldest filled buffer from the driver. `None`: there is none.
pub fn dequeue_buffer(fd: RawFd) -> Result<Option<Filled>, Failure> {
    let mut buffer = buffer(0);
    match call(raw::dqbuf, fd, "VIDIOC_DQBUF", &mut buffer) {
        Ok(()) => (),
        Err(Failure { errno: Errno::EAGAIN, .. }) => return Ok(None),
        Err(failure) => return Err(failure),
    }
    let clock = buffer.flags & sys::V4L2_BUF_FLAG_TIMESTAMP_MASK;
    let moment = buffer.flags & sys::V4L2_BUF_FLAG_TSTAMP_SRC_MASK;
    let said = clock == sys::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC && moment == sys::V4L2_BUF_FLAG_TSTAMP_SRC_EOF;
    let time = buffer.timestamp;
    let complete = match (u64::try_from(time.tv_sec), u32::try_from(time.tv_usec)) {
        (Ok(seconds), Ok(micros)) if said && micros < 1_000_000 => {
            Some(std::time::Duration::new(seconds, micros * 1000))
        }
        _ => None,
    };
    Ok(Some(Filled {
        index: buffer.index,
        len: buffer.bytesused as usize,
        damaged: buffer.flags & sys::V4L2_BUF_FLAG_ERROR != 0,
        complete,
    }))
}

/// Starts the flow of pictures.
pub fn stream_on(fd: RawFd) -> Result<(), Failure> {
    tell(raw::streamon, fd, "VIDIOC_STREAMON", &(CAPTURE as i32))
}

/// Stops it, and takes every buffer from the driver.
pub fn stream_off(fd: RawFd) -> Result<(), Failure> {
    tell(raw::streamoff, fd, "VIDIOC_STREAMOFF", &(CAPTURE as i32))
}

fn buffer(index: u32) -> sys::v4l2_buffer {
    let mut buffer: sys::v4l2_buffer = zeroed();
    (buffer.index, buffer.type_, buffer.memory) = (index, CAPTURE, MMAP);
    buffer
}

fn text(bytes: &[u8]) -> String {
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    // A dongle's name ends up in logs and on a page.
    String::from_utf8_lossy(&bytes[..len]).chars().filter(|c| !c.is_control()).collect::<String>().trim().to_string()
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> io::Error {
        failure.errno.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_device_fails_with_the_name_of_the_request() {
        use std::os::fd::AsRawFd;
        let file = std::fs::File::open("/dev/null").unwrap();
        let fd = file.as_raw_fd();
        let failure = capability(fd).unwrap_err();
        assert_eq!(("VIDIOC_QUERYCAP", Errno::ENOTTY), (failure.op, failure.errno));
        assert_eq!(0, formats(fd).count() + sizes(fd, *b"MJPG").count() + inputs(fd).count());
        assert_eq!(None, shortest_interval(fd, *b"MJPG", (640, 480)));
        assert!(dequeue_buffer(fd).is_err() && dequeue_event(fd).is_err() && query_timings(fd).is_err());
    }

    #[test]
    fn names_from_devices_are_made_safe() {
        assert_eq!("USB Video", text(b"USB Video\0\0\0rubbish"));
        assert_eq!("a\u{fffd}b", text(b"a\xff\x1bb "));
    }
}
