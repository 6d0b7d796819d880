//! Serves the built page from inside the binary.
