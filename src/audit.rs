//! Keeps a trail of who did what, when, from where, and what came of it, in which a change shows.
//!
//! The service's log is in memory, short, and gone with the power. An owner who asks weeks later who pressed the button
//! needs more: records that outlive a power cut, that a flood does not push out, and that cannot be changed or left out
//! without its showing. What decides is pure ([`record`], [`chain`], [`verify`], [`budget`], [`batches`]); [`folder`]
//! keeps the files, [`reading`] shows them, and [`trail`] takes records from everybody else.

pub mod batches;
pub mod budget;
pub mod chain;
pub mod desk;
pub mod folder;
pub mod reading;
pub mod record;
pub mod trail;
pub mod verify;
