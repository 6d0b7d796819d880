//! Drives the front-panel relays, through registers on a Pi or by the GPIO character device.
//!
//! A closed relay is a pressed power button, so relays are open from the moment a line is opened, and opened again when
//! it is released. What happens if the process is killed depends on the driver; [`failsafe`] opens what stays closed
//! then. A line that cannot be opened does not affect the others: a press answers why, and tries again.

use std::io;

pub use super::gpio::RelayError;
use super::gpio::{Bank, Output};
use crate::base::front_panel::Contact;
use crate::config::{Line, Power};
use crate::hw::retrying_line::RetryingLine;
use crate::ports::Relays;

/// Opens the configured relays' lines with their contacts open, as many lines as can be opened.
pub fn open(power: &Power) -> Box<dyn Relays> {
    let relay = |(contact, key, line)| {
        let power = power.clone();
        (contact, RetryingLine::new(format!("the {contact:?} relay"), move || output(&power, key, line)))
    };
    Box::new(Panel { outputs: lines(power).map(relay).collect() })
}

/// Opens every configured relay's contact, for use after a crash, and leaves it open. All are tried; each error is
/// returned.
pub fn failsafe(power: &Power) -> Vec<RelayError> {
    // Opening a line opens the contact.
    lines(power).filter_map(|(_, key, line)| output(power, key, line).err()).collect()
}

/// The configured relays, each with its key.
fn lines(power: &Power) -> impl Iterator<Item = (Contact, &'static str, Line)> {
    [(Contact::Power, "power", power.power), (Contact::Reset, "reset", power.reset)]
        .into_iter()
        .filter_map(|(contact, key, line)| Some((contact, key, line?)))
}

fn output(power: &Power, key: &'static str, line: Line) -> Result<Output, RelayError> {
    Bank::open(power)?.output(key, line, power.active_low)
}

struct Panel {
    outputs: Vec<(Contact, RetryingLine<Output>)>,
}

impl Relays for Panel {
    fn set(&mut self, contact: Contact, closed: bool) -> io::Result<()> {
        let output = self.outputs.iter_mut().find(|(of, _)| *of == contact);
        let (_, output) = output.ok_or(io::ErrorKind::Unsupported)?;
        match output.now() {
            Ok(output) => output.set(closed),
            // A relay whose line was never ours was not closed by us, so there is no point in trying again and again to
            // open it.
            Err(_) if !closed => Ok(()),
            Err(complaint) => Err(io::Error::other(complaint.to_string())),
        }
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        for (contact, output) in &mut self.outputs {
            if let Some(Err(error)) = output.opened().map(|output| output.set(false)) {
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
        let mut relays = open(&Power::default());
        for contact in [Contact::Power, Contact::Reset] {
            assert_eq!(io::ErrorKind::Unsupported, relays.set(contact, true).unwrap_err().kind());
        }
        assert!(failsafe(&Power::default()).is_empty());
    }

    #[track_caller]
    fn refuses(table: &str, parts: &[&str]) {
        let power = power(table);
        let mut relays = open(&power);
        let press = relays.set(Contact::Power, true).unwrap_err().to_string();
        let cleared: Vec<_> = failsafe(&power).iter().map(RelayError::to_string).collect();
        for message in cleared.iter().chain([&press]) {
            for part in parts {
                assert!(message.contains(part), "{part:?} is not in: {message}");
            }
        }
        assert_eq!(1, cleared.len());
        // Otherwise each press would find it busy.
        relays.set(Contact::Power, false).unwrap();
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

    #[test]
    fn the_failsafe_tries_every_contact() {
        let power = power("driver = \"gpiocdev\"\nchip = \"/dev/no-such-chip\"\npower = 1\nreset = 2");
        assert_eq!(2, failsafe(&power).len());
    }
}
