//! Decides who may do what: accounts, sessions, tokens, and how often somebody may guess.
//!
//! The rules are pure; [`authenticator`] joins them to clock, randomness and the tasks that wait for an end, and [`store`]
//! reads and writes their files.

pub mod accounts;
pub mod authenticator;
pub mod limiter;
pub mod monotonic_clock;
pub mod role;
pub mod secret;
pub mod sessions;
pub mod store;
