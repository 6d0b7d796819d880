//! Serves one client at a time with the target's keyboard, pointer and relays.
