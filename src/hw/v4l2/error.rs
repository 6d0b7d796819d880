//! Names why a capture device gives no pictures, in words for the person who can plug it in elsewhere.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::claims::Claim;
use super::fallback::words;
use super::ioctl::Failure;
use crate::video::choice::Coding;

/// Why a device gives no pictures.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// Nothing under `/dev` captures in a format that we know.
    #[error("no capture device found")]
    NoneFound,
    /// Nothing is plugged in at this node.
    #[error("no capture device at {}", .0.display())]
    Missing(PathBuf),
    /// The node is no capture device.
    #[error("{} captures no pictures", .0.display())]
    Unsuitable(PathBuf),
    /// The device offers nothing that we know.
    #[error("{} ({name}) offers {offers} only; known are {known}", .path.display(), known = Coding::known())]
    Unsupported { path: PathBuf, name: String, offers: String },
    /// It streams in none of the modes that were tried. Drivers of USB devices say one of three things if USB has no
    /// room, two of which may mean something else: see `lacks_room`.
    #[error("{}", words(source, &format!("{modes} of {}", .path.display())))]
    NoRoom { path: PathBuf, modes: String, source: io::Error },
    /// Nothing that captures is plugged in at this USB port.
    #[error("no capture device at USB port {0}")]
    NothingAt(String),
    /// Another program holds it.
    #[error("{} is held by another program", .0.display())]
    Busy(PathBuf),
    /// An earlier thread of the seat's own holds it, and its driver keeps that thread waiting.
    #[error("{} is held by our own capture, which its driver keeps waiting: unplug it", .0.display())]
    Hung(PathBuf),
    /// Another seat has it, or names it in the configuration.
    #[error("{} is another seat's: name another device, or its USB port", .0.display())]
    Taken(PathBuf),
    /// The kernel refused an operation, which is named as the V4L2 manual names it.
    #[error("{} refused {op}", .path.display())]
    Io { path: PathBuf, op: &'static str, source: io::Error },
}

impl VideoError {
    pub fn new(path: &Path, Failure { op, errno }: Failure) -> VideoError {
        let path = path.to_path_buf();
        match errno {
            Errno::ENOENT | Errno::ENODEV | Errno::ENXIO => VideoError::Missing(path),
            Errno::EBUSY => VideoError::Busy(path),
            errno => VideoError::Io { path, op, source: errno.into() },
        }
    }

    /// Tells who holds a device that is busy.
    pub fn blame(self, claim: &Claim) -> VideoError {
        match self {
            VideoError::Busy(path) if claim.is_shared() => VideoError::Hung(path),
            error => error,
        }
    }

    /// What the device calls itself, if there is one.
    pub fn device(&self) -> Option<&str> {
        match self {
            VideoError::Unsupported { name, .. } => Some(name),
            _ => None,
        }
    }
}
