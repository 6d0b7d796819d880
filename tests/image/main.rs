//! Tests the image on the machine it was built for, as QEMU emulates it.
//!
//! Each scenario boots a machine of its own, so that none depends on what another left behind. The image must have been
//! built (`make image-quick`); a scenario without one fails instead of being skipped.

// Helpers outside #[test] functions may fail a test, too.
#![allow(clippy::unwrap_used)]

mod blank;
mod browser;
mod bundles;
mod confirmed_hang;
mod contract;
mod firstboot;
mod lan;
mod moved;
mod owner;
mod page;
mod pc;
mod pi;
mod poll;
mod powercut;
mod production;
mod rauc;
mod relays;
mod release;
mod rescue;
mod reset;
mod rig;
mod root;
mod shell;
mod sleep;
mod slots;
mod spread;
mod story;
mod supervision;
mod terminal;
mod tree;
mod trials;
mod update;
mod vm;
