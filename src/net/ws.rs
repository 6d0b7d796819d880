//! Speaks with a viewer over a WebSocket: messages both ways, pictures one way.

pub mod messages;
pub mod picture_socket;
pub mod socket;
