//! Gives a person the keyboard, screen, mouse and power button of another machine, over the network.
//!
//! `ARCHITECTURE.md` is the map. [`daemon`] builds every part in order and says why: read it first.
//!
//! The modules below `hands` that decide something are pure cores: they do no I/O and read no clock. All are driven in
//! the same way. The caller passes `now` in, drains what is to be done, and comes back at the deadline:
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use farhand::base::front_panel::Contact;
//! use farhand::power::Sequencer;
//!
//! let (mut sequencer, now) = (Sequencer::default(), Instant::now());
//! sequencer.press(now, Contact::Power, Duration::from_millis(500)).unwrap();
//! while let Some(action) = sequencer.poll() {
//!     // A shell carries it out here.
//!     println!("{action:?}");
//! }
//! let deadline = sequencer.deadline().unwrap();
//! sequencer.tick(deadline);
//! ```

pub mod adopt;
pub mod appliance;
pub mod audit;
pub mod auth;
pub mod base;
pub mod bus;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod gadget;
pub mod guard;
pub mod hands;
pub mod health;
pub mod hid;
pub mod hw;
pub mod net;
pub mod pipeline;
pub mod ports;
pub mod power;
pub mod sandbox;
pub mod seat;
pub mod sim;
pub mod start;
pub mod tls;
pub mod update;
pub mod video;
