//! Simulates the watchdog that QEMU's Pi lacks, on registers that are plain memory there.
//!
//! The drivers of U-Boot and Linux write the same as to the real one: the count, and that a reset shall follow. A
//! restart is the same with a count of a sixth of a millisecond.

use std::time::Duration;

/// Where tests/image/qemu-raspi4b.dtso puts the registers; their order is that of the BCM2835's power manager.
pub const CONTROL: u32 = 0x3c00_001c;
pub const COUNT: u32 = 0x3c00_0024;
/// The upper byte that a write must have, and that reads never return.
const PASSWORD: u32 = 0x5a;
/// The field of the control register that says what happens at zero, and its value for a full reset.
const AT_ZERO: u32 = 0x30;
const RESET: u32 = 0x20;
/// Counts in a second.
const RATE: u64 = 65536;
/// A shorter count than this is a restart.
const AT_ONCE: Duration = Duration::from_millis(10);

/// What ended a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The system restarted itself: a reboot, or a panic.
    Restart,
    /// The watchdog was not fed in time.
    Hang,
}

/// What to do after the registers were read.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    None,
    /// Write this to the count register, to notice the next feeding.
    Count(u32),
    Reset(Cause),
}

/// The count, in the guest's time.
#[derive(Debug, Default)]
pub struct Watchdog {
    end: Option<Duration>,
}

impl Watchdog {
    /// Takes the registers' values.
    pub fn look(&mut self, now: Duration, control: u32, count: u32) -> Action {
        if control & AT_ZERO != RESET {
            self.end = None;
            return Action::None;
        }
        if count >> 24 == PASSWORD {
            let count = count & 0xf_ffff;
            let time = Duration::from_micros(u64::from(count) * 1_000_000 / RATE);
            if time < AT_ONCE {
                return Action::Reset(Cause::Restart);
            }
            self.end = Some(now + time);
            return Action::Count(count);
        }
        if self.end.is_some_and(|end| end <= now) { Action::Reset(Cause::Hang) } else { Action::None }
    }

    /// Clears the state after a reset.
    pub fn reset(&mut self) {
        self.end = None;
    }
}
