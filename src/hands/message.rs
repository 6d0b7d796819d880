//! The messages between the network process and the hands, and the limits of their frames.
