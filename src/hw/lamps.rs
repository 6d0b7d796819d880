//! Reads the front panel's lamps from GPIO inputs.
//!
//! They are read when somebody asks and not by edges: a disc lamp flickers a hundred times a second, and nobody needs to
//! know each time.

use super::gpio::{Bank, Input, RelayError};
use crate::config::{Line, Power};
use crate::ports::{LampInputs, Lamps};

/// Opens the configured lamps' lines.
pub fn open(power: &Power) -> Result<Box<dyn LampInputs>, RelayError> {
    let bank = Bank::open(power)?;
    let input =
        |key, line: Option<Line>| line.map_or(Ok(Input::None), |line| bank.input(key, line, power.leds_active_low));
    Ok(Box::new(Panel { power: input("power_led", power.power_led)?, disk: input("disk_led", power.disk_led)? }))
}

struct Panel {
    power: Input,
    disk: Input,
}

impl LampInputs for Panel {
    fn read(&mut self) -> Lamps {
        Lamps { power: self.power.is_active(), disk: self.disk.is_active() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lamps_that_are_not_wired_are_unknown() {
        assert_eq!(Lamps { power: None, disk: None }, open(&Power::default()).unwrap().read());
    }
}
