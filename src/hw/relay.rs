//! Drives the front-panel relays, through registers on a Pi or by the GPIO character device.
