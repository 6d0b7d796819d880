//! Reads the front panel's lamps from GPIO inputs.
