//! Captures pictures from a V4L2 device.
