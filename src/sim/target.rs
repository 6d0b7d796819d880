//! Lives the life of a simulated machine: power, set-up, boot menu, console, desktop.
