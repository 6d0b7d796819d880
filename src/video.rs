//! Processes pictures: reads JPEG headers, codes raw pictures, tracks the signal, and draws a placeholder when there is
//! none.

pub mod choice;
pub mod demand;
pub mod encode;
pub mod intake;
pub mod jpeg;
pub mod placeholder;
pub mod signal;
