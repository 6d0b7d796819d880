//! The hands and their client, over real sockets.

mod bench;
mod connection;
mod held;
mod suspended;
mod target;
