//! Captures pictures from a V4L2 device.
//!
//! The shell around [`crate::video::signal::SignalTracker`]: it carries out its actions and reports the results. A
//! picture is handed out in place, in the driver's buffer. Whether anything more is made of it is decided elsewhere.

mod buffers;
mod capture;
mod claims;
mod device;
mod error;
mod fallback;
mod ioctl;
mod queue;
mod receiver;

pub use capture::V4l2Source;
pub use claims::Claims;
