//! Says what a person may do to the appliance itself, whichever way they reach it.
//!
//! [`control`] is the only way to act on it, [`status`] gathers what it is and does, [`configuration`] shows what it is
//! told to be, and [`upload`] stores an update that arrives.

pub mod configuration;
pub mod control;
pub mod status;
pub mod upload;
