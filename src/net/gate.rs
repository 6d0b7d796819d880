//! Opens the doors: listeners, connections and how many there may be, with or without TLS.

pub mod accept;
pub mod listen;
pub mod transport;
pub mod unauthenticated;
