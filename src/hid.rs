//! Turns keys and pointer movement into USB HID reports.

pub mod descriptor;
pub mod keyboard;
pub mod keymap;
pub mod outbox;
pub mod pointer;
pub mod text;
pub mod typist;
