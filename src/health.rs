//! Judges the machine: whether it is well, why it last started, and how its board is.
//!
//! [`judge`] decides when to feed the watchdog, to confirm a slot and to give the machine up, and holds a new release
//! to what the one before had ([`needs`]). [`reset_reason`] reads what the run before left. [`board`] follows supply,
//! heat and card. All of it is pure but for [`report_file`], by which the page learns what the guard has found; the
//! guard carries it out.

pub mod board;
pub mod judge;
pub mod needs;
pub mod report_file;
pub mod reset_reason;
