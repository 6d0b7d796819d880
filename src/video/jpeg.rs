//! Reads size and wholeness of a JPEG file without decoding it.
