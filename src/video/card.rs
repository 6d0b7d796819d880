//! Draws the picture that says why there is no picture.
