//! Describes the keyboard and the pointer to the target, byte by byte.
