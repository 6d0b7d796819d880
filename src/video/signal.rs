//! Decides what the signal is from what the capture device does, and what to do next.
