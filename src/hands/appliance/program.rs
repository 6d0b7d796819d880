//! Runs programs of the system that end soon, and says what they said if they fail.

use std::time::Duration;

use tokio::time::timeout;

use crate::base::launcher::{Launcher, Program};
use crate::update::ProgramError;

/// Runs a program to its end, for as long as it may take.
pub async fn finish(launcher: &Launcher, work: &Program, patience: Duration) -> Result<(), ProgramError> {
    let program = work.line[0].display().to_string();
    let (status, said) = match timeout(patience, launcher.complaints(work)).await {
        Err(_) => return Err(ProgramError::Hung { program, seconds: patience.as_secs() }),
        Ok(Err(error)) => return Err(ProgramError::NotStarted { program, reason: error.to_string() }),
        Ok(Ok(ended)) => ended,
    };
    if status.success() {
        return Ok(());
    }
    Err(ProgramError::Failed { program, status: status.to_string(), said })
}
