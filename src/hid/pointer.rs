//! Turns absolute pointer positions into reports.
