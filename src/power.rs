//! Turns button presses into relay timing.
