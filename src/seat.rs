//! Says what a person may do at one target machine, whichever way they reach it.

pub mod viewer;
