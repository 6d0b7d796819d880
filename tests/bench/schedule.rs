//! Runs device, servers and clients with real-time priority, where that is permitted.
//!
//! Without it a figure depends on other load as much as on the server. Children inherit it.

use nix::libc;

/// The priority of servers and clients.
pub const ALL: i32 = 1;
/// The priority of the device.
pub const DEVICE: i32 = 2;

/// Puts the calling thread under SCHED_RR, and returns whether that was permitted.
pub fn round_robin(priority: i32) -> bool {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: 0 is the calling thread, and the structure outlives the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &parameters) == 0 }
}
