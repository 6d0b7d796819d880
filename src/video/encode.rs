//! Codes raw pictures as JPEG.
