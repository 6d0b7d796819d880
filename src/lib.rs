//! Gives a person the keyboard, screen, mouse and power button of another machine, over the network.
//!
//! `ARCHITECTURE.md` is the map. [`daemon`] builds every part in order and says why: read it first.

pub mod adopt;
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
pub mod ports;
pub mod power;
pub mod seat;
pub mod sim;
pub mod start;
pub mod tls;
pub mod update;
pub mod video;
