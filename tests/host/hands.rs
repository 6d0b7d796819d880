//! The hands and their client, over real sockets.

mod bench;
mod connection;
mod held;
mod ports;
mod suspended;
mod target;
