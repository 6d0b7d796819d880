//! Connects the ports to Linux: V4L2, configfs, HID gadget nodes and GPIO. The only place that names their crates.

pub mod bootenv;
pub mod carrier;
pub mod condition;
pub mod configfs;
mod get_report;
mod gpio;
pub mod grow;
pub mod hidg;
pub mod lamps;
pub mod note;
pub mod relay;
pub mod reset_pin;
pub mod restart;
mod retrying_line;
pub mod sensors;
pub mod traces;
pub mod usb_port;
pub mod v4l2;
pub mod watchdog;
