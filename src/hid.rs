//! Turns keys and pointer movement into USB HID reports.

pub mod descriptor;
pub mod keyboard;
pub mod keymap;
pub mod pointer;
pub mod report_queue;
pub mod text;
pub mod typing;
pub mod wakeup;
