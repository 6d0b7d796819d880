//! Plays the target machine, so that everything can be tried without one.

pub mod ports;
pub mod screen;
pub mod target;
