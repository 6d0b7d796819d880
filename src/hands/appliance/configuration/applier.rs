//! Makes a stored configuration count: joined again, and with what reads it started again.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::base::launcher::{Launcher, Program};
use crate::config::change::Part;
use crate::hands::appliance::program::finish;
use crate::update::ProgramError;

/// Joining two files and asking init for services takes less, on the slowest card too.
const PATIENCE: Duration = Duration::from_secs(30);

/// The services in the order in which they start again, with the parts that they are. The last is this process itself.
const SERVICES: &[(&str, &[Part])] = &[
    ("network", &[Part::Network]),
    ("time", &[Part::Time]),
    ("guard", &[Part::Guard]),
    ("serve", &[Part::Page, Part::Picture]),
    ("hands", &[Part::Keyboard]),
];

/// Who makes a configuration count.
#[derive(Debug, Clone)]
pub enum Applier {
    /// A program of the system ([`Applier::program`]).
    Program(Launcher),
    /// Whoever runs all parts in this process, and begins again when it hears of any.
    Inside(mpsc::Sender<BTreeSet<Part>>),
}

impl Applier {
    /// The program, with the names of services as its arguments. It may end us, and goes on to its end.
    pub fn program() -> Program {
        let is_service = |name: &str| SERVICES.iter().any(|(service, _)| *service == name);
        Program::new(["/usr/libexec/apply-config"]).taking(is_service).outliving()
    }

    /// Has what is stored count, and these parts start again.
    pub async fn apply(&self, parts: BTreeSet<Part>) -> Result<(), ProgramError> {
        match self {
            Applier::Program(launcher) => finish(launcher, &Applier::program().with(services(&parts)), PATIENCE).await,
            Applier::Inside(begin_again) => {
                // If nobody listens, the process is on its way down, and reads the configuration at its next start.
                let _ = begin_again.send(parts).await;
                Ok(())
            }
        }
    }
}

fn services(parts: &BTreeSet<Part>) -> Vec<&'static str> {
    let wanted = SERVICES.iter().filter(|(_, of)| of.iter().any(|part| parts.contains(part)));
    wanted.map(|(service, _)| *service).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_a_service_and_the_hands_come_last() {
        let named = |parts: &[Part]| services(&parts.iter().copied().collect());
        for part in Part::ALL {
            assert_eq!(1, named(&[part]).len(), "{part:?}");
        }
        assert_eq!(["serve"], named(&[Part::Page, Part::Picture])[..]);
        assert_eq!(["network", "serve", "hands"], named(&[Part::Keyboard, Part::Page, Part::Network])[..]);
        assert!(named(&[]).is_empty());
    }
}
