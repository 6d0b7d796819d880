//! Keeps the owner's configuration: changes it, makes it count, remembers what it was, and takes back what is not
//! confirmed.
//!
//! The network process asks for a change and shows what there is; here, where root writes, it is checked again. A
//! change by which a mistake could lock everybody out is tried first: its text is in RAM until it is confirmed, so that
//! a power cut takes it back like the end of its time.

mod applier;
mod history;
mod keeper;
mod places;
mod trial;

pub use applier::Applier;
pub use history::Version;
pub(super) use keeper::{Channels, start};
pub use places::{Board, Change, Current, Places, Request, revision};
