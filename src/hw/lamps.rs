//! Reads the front panel's lamps from GPIO inputs.
//!
//! They are read on demand and not by edges: a disk lamp flickers a hundred times a second, and nobody needs each
//! change. A lamp whose line cannot be opened counts as unknown, and opening is tried again every few seconds.

use std::time::Instant;

use super::gpio::{Bank, Input};
use crate::base::front_panel::Lamps;
use crate::config::{Line, Power};
use crate::hw::retrying_line::RetryingLine;
use crate::ports::LampInputs;

/// Opens the configured lamps' lines, as many as can be opened.
pub fn open(power: &Power) -> Box<dyn LampInputs> {
    let input = |key: &'static str, line: Option<Line>| {
        let power = power.clone();
        let open = move |line| Bank::open(&power)?.input(key, line, power.leds_active_low);
        line.map(|line| RetryingLine::new(format!("the {key} input"), move || open(line)))
    };
    Box::new(Panel { power: input("power_led", power.power_led), disk: input("disk_led", power.disk_led) })
}

struct Panel {
    power: Option<RetryingLine<Input>>,
    disk: Option<RetryingLine<Input>>,
}

impl LampInputs for Panel {
    fn read(&mut self) -> Lamps {
        let now = Instant::now();
        let read = |input: &mut Option<RetryingLine<Input>>| input.as_mut()?.by(now)?.is_active();
        Lamps { power: read(&mut self.power), disk: read(&mut self.disk) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RelayDriver;

    #[test]
    fn lamps_that_are_not_wired_or_not_to_be_had_are_unknown() {
        assert_eq!(Lamps { power: None, disk: None }, open(&Power::default()).read());
        let chip = Some("/dev/no-such-chip".to_string());
        let power = Power { driver: RelayDriver::Gpiocdev, chip, power_led: Some(Line(1)), ..Power::default() };
        assert_eq!(Lamps { power: None, disk: None }, open(&power).read());
    }
}
