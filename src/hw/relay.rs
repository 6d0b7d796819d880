//! Drives the front-panel relays, through registers on a Pi or by the GPIO character device.
//!
//! A closed relay is a finger on somebody's power button, so they are open from the first moment that a line is ours, and
//! opened when we let go of it. What happens if we are killed is up to the driver; [`failsafe`] is for what is left then.

use std::io;

pub use super::gpio::RelayError;
use super::gpio::{Bank, Output};
use crate::config::Power;
use crate::ports::{Contact, Relays};

/// Opens the configured relays' lines with their contacts open.
pub fn open(power: &Power) -> Result<Box<dyn Relays>, RelayError> {
    Ok(Box::new(Panel::open(power)?))
}

/// Opens every configured relay's contact, as after a crash, and leaves it so.
pub fn failsafe(power: &Power) -> Result<(), RelayError> {
    // Taking the lines is what opens the contacts.
    Panel::open(power).map(drop)
}

struct Panel {
    outputs: Vec<(Contact, Output)>,
}

impl Panel {
    fn open(power: &Power) -> Result<Panel, RelayError> {
        let bank = Bank::open(power)?;
        let mut panel = Panel { outputs: Vec::new() };
        for (contact, key, line) in [(Contact::Power, "power", power.power), (Contact::Reset, "reset", power.reset)] {
            if let Some(line) = line {
                panel.outputs.push((contact, bank.output(key, line, power.active_low)?));
            }
        }
        Ok(panel)
    }
}

impl Relays for Panel {
    fn set(&mut self, contact: Contact, closed: bool) -> io::Result<()> {
        match self.outputs.iter_mut().find(|(of, _)| *of == contact) {
            Some((_, output)) => output.set(closed),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        for (contact, output) in &mut self.outputs {
            if let Err(error) = output.set(false) {
                log::error!("cannot open the {contact:?} contact: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn power(table: &str) -> Power {
        let config = Config::parse(&format!("[seats.main.power]\n{table}")).unwrap();
        config.seats.into_values().next().unwrap().power
    }

    #[test]
    fn without_relays_a_press_is_unsupported() {
        let mut relays = open(&Power::default()).unwrap();
        for contact in [Contact::Power, Contact::Reset] {
            assert_eq!(io::ErrorKind::Unsupported, relays.set(contact, true).unwrap_err().kind());
        }
        failsafe(&Power::default()).unwrap();
    }

    #[track_caller]
    fn refuses(table: &str, parts: &[&str]) {
        let message = open(&power(table)).err().expect("this cannot be opened").to_string();
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }

    #[test]
    fn a_missing_chip_is_named_with_what_there_is() {
        refuses(
            "driver = \"gpiocdev\"\nchip = \"/dev/no-such-chip\"\npower = 1",
            &["chip:", "/dev/no-such-chip", "there"],
        );
        refuses("driver = \"gpiocdev\"\nchip = \"no such label\"\npower = 1", &["chip:", "no such label", "there"]);
        refuses("driver = \"gpiocdev\"\nchip = \"/dev/null\"\npower = 1", &["chip:", "/dev/null"]);
    }
}
