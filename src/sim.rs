//! Simulates the target machine, so that everything can be tried without one.
//!
//! [`target`] is the whole machine as one pure object; what runs on it from power-on to desktop are its stages
//! ([`stage`]). [`ports`] connects it to a board's ports and to a clock.

pub mod boot;
pub mod console;
pub mod desktop;
pub mod keyboard;
pub mod pointer;
pub mod ports;
pub mod post;
pub mod screen;
pub mod settings;
pub mod setup;
pub mod shell;
pub mod stage;
pub mod target;
pub mod text;
