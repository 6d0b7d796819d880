//! Tells whether the pin that asks for a factory reset is held.
//!
//! An owner who has forgotten the password, or never got an address, has only the board itself: a wire from GPIO 26 to
//! the ground pin next to it, at the corner of the header, while the power comes on. Five seconds, so that a chance
//! contact does not count.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::config::{Line, Power, RelayDriver};

use super::gpio::Bank;
use super::relay::RelayError;

/// The label that the kernel gives a Pi 4's own pins.
pub const CHIP: &str = "pinctrl-bcm2711";
/// GPIO 26, pin 37 of the header; pin 39 next to it is ground.
pub const LINE: u16 = 26;
/// How long it must be held.
pub const HOLD: Duration = Duration::from_secs(5);

/// Many times what the pull-up needs to lift an open line. Every boot waits this long.
const PULL_UP_TIME: Duration = Duration::from_millis(20);
/// How often to look.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Watches the pin until it is released or has been held for `time`.
///
/// A machine without that chip is no Pi 4, and has no such pin.
pub fn is_held(chip: &str, line: Line, time: Duration) -> Result<bool, RelayError> {
    let bank = match Bank::open(&Power { driver: RelayDriver::Gpiocdev, chip: Some(chip.into()), ..Power::default() }) {
        Err(RelayError::NoChip { .. }) => return Ok(false),
        bank => bank?,
    };
    // Active when it is low, and so pulled up.
    let pin = bank.input("reset-pin", line, true)?;
    sleep(PULL_UP_TIME);
    let begin = Instant::now();
    while pin.is_active() == Some(true) {
        if time <= begin.elapsed() {
            return Ok(true);
        }
        sleep(POLL_INTERVAL);
    }
    Ok(false)
}
