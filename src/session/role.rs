//! Gathers privileges into roles.
