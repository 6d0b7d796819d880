//! Draws what the simulated machine shows.
