//! Frames pictures as parts of a multipart stream.
