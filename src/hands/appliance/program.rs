//! Runs programs of the system that end soon, and says what they said if they fail.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::update::ProgramError;

/// Runs a program to its end, for as long as it may take.
pub async fn finish(path: &Path, arguments: &[&str], patience: Duration) -> Result<(), ProgramError> {
    let program = path.display().to_string();
    let output = Command::new(path).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match timeout(patience, output).await {
        Err(_) => return Err(ProgramError::Hung { program, seconds: patience.as_secs() }),
        Ok(Err(error)) => return Err(ProgramError::NotStarted { program, reason: error.to_string() }),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
    Err(ProgramError::Failed { program, status: output.status.to_string(), said })
}
