//! Decides who may do what: accounts, sessions, tokens, and how often somebody may guess.
//!
//! The rules are pure; [`authenticator`] joins them, [`lease`] ends what must end at once, and [`store`] reads and
//! writes their files.

pub mod account_store;
pub mod accounts;
pub mod act;
pub mod authenticator;
pub mod clock;
pub mod enrolments;
pub mod extent;
pub mod guessing;
pub mod hashing;
pub mod journal;
pub mod known_places;
pub mod lease;
pub mod limiter;
pub mod line_limiter;
pub mod monotonic_clock;
pub mod passwords;
pub mod people;
pub mod principal;
pub mod privileges;
pub mod programs;
pub mod rights;
pub mod role;
pub mod second_factor;
pub mod secret;
pub mod sessions;
pub mod store;
pub mod token_clock;
pub mod tokens;
pub mod totp;
pub mod user;
pub mod users;
pub mod visitor;
