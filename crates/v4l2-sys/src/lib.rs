//! Names the kernel's V4L2 structures and constants for Rust.
//!
//! Replaces the published crate of this name, which generates the same at build time and so needs libclang in every image
//! build. `regenerate.sh` next to `Cargo.toml` made `bindings.rs` from the kernel's own header; the layouts are equal on
//! x86-64 and arm64, which the daemon's tests assert.
#![allow(missing_docs, non_camel_case_types, non_snake_case, non_upper_case_globals, clippy::all)]

include!("bindings.rs");
