//! Captures pictures from a V4L2 device.
//!
//! The shell around [`crate::video::signal::Reception`]: it opens, asks, starts and stops what that says, and reports
//! what came of it. A picture that the device coded as JPEG is published where it lies, in the driver's buffer, and
//! never copied.

mod buffers;
mod capture;
mod device;
mod ioctl;

pub use capture::V4l2Screen;
