//! Holds the values and the small tools that every other module may use.
//!
//! Nothing here knows what Farhand is for. A module of `base` imports no module outside it.

pub mod blocking;
pub mod board;
pub mod coded;
pub mod error_chain;
pub mod files;
pub mod front_panel;
pub mod heartbeat;
pub mod launcher;
pub mod log_pipe;
pub mod seat_id;
pub mod signal;
pub mod tasks;
pub mod url;
pub mod usb;
