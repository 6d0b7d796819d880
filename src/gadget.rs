//! Plans the USB device that the target sees.

pub mod plan;
