//! Keeps everything that can act on the target in a process of its own.
//!
//! [`server`] owns keyboard, pointer and relays, and releases all of them when its client dies or falls silent.
//! [`appliance`] updates, restarts and resets the appliance itself, in a task of its own, so that no relay ever waits
//! for a card to be written. [`client`] is what the network process asks, and [`link`] carries it there. Between them
//! go the messages of [`protocol`], over a Unix socket: on an appliance between two processes, in the simulated machine
//! within one, by the same code.

pub mod appliance;
pub mod client;
mod connection;
pub mod link;
mod pending;
pub mod protocol;
mod seat;
pub mod server;
pub mod silent_ports;
