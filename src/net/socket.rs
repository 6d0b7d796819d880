//! Serves a viewer's WebSocket: pictures out, keys in, events out.
