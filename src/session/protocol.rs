//! The messages of a viewer's WebSocket.
