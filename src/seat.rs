//! Says what a person may do at one target machine, whichever way they reach it.
//!
//! [`control`] is the way to act on a target and [`attachment`] keeps somebody joined to it. [`viewer`] decides what
//! one viewer is sent, [`pace`] how fast they may send, [`delay`] what comes too late, and [`places`] how many of them
//! there may be.

pub mod attachment;
pub mod control;
pub mod delay;
mod error;
mod lowest;
pub mod pace;
pub mod places;
pub mod viewer;
mod window;
