//! Captures pictures from a V4L2 device.
//!
//! The shell around [`crate::video::signal::SignalTracker`]: it carries out its actions and reports the results. A
//! picture that the device coded as JPEG is published in place, in the driver's buffer, and never copied.

mod buffers;
mod capture;
mod claims;
mod device;
mod error;
mod fallback;
mod ioctl;

pub use capture::V4l2Screen;
pub use claims::Claims;
