//! Joins real parts over real sockets and files on this machine.

// Helpers are not `#[test]` functions, for which clippy.toml already allows it.
#![allow(clippy::unwrap_used)]

mod adopt;
mod appliance;
mod command;
mod control;
mod dongle;
mod dongles;
mod floors;
mod hands;
mod install;
mod machine;
mod net;
mod note;
mod reset;
mod sandbox;
mod scripts;
mod tidy;
mod video;
