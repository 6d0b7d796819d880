//! Understands pictures: what a JPEG says of itself, what the signal does, what to show when there is none.

pub mod choice;
pub mod demand;
pub mod encode;
pub mod jpeg;
pub mod placeholder;
pub mod signal;
