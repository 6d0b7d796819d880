//! Builds every part of the daemon in order, and says what each is for.
