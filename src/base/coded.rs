//! Names an error by a code that stays the same from release to release.
//!
//! A front that speaks HTTP adds a status to it; what writes down who did what takes it as it is.

/// An error with a code.
pub trait Coded {
    /// The code, as `docs/api.md` lists it.
    fn code_name(&self) -> &'static str;
}
