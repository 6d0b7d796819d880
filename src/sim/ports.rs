//! Puts one simulated machine behind all ports of a board.
