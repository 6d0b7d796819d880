//! The whole network side, over real sockets, with the real hands behind it.

mod access;
mod acts;
mod audit;
pub mod bench;
mod config;
mod connections;
mod domain;
mod door;
mod entry;
mod fetch;
mod health;
mod openapi;
mod origin;
mod people;
mod pictures;
mod seats;
mod second_factor;
mod sessions;
pub mod socket;
mod system;
mod tls;
mod tokens;
