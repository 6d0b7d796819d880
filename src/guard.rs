//! The process that judges the machine from outside the others, and acts on it.
//!
//! What judges health is none of the judged. [`run`] asks the page as a browser would and carries out what
//! [`crate::health::judge`] decides; [`monitor`] reads the board's sensors. Nothing in here may wait for a card.

pub mod monitor;
pub mod run;
