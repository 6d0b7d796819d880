//! Decides who may do what: passwords, sessions, tokens, roles, and the messages of a viewer's socket.

pub mod accounts;
pub mod book;
pub mod calendar;
pub mod limiter;
pub mod protocol;
pub mod role;
pub mod secret;
pub mod viewer;
