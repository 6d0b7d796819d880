//! Passes the report on the board from the guard, which reads the sensors, to the page, which shows it.

use std::io;
use std::path::Path;

use super::board::Report;
use crate::base::files;

/// The report's name, in the folder that the daemon's processes share until the machine restarts.
const FILE: &str = "health.json";

/// What was last reported; `None` where nobody has looked.
pub fn read(run: &Path) -> Option<Report> {
    let text = files::read(&run.join(FILE)).ok().flatten()?;
    serde_json::from_str(&text).ok()
}

/// Reports, in the place of what was reported before.
pub fn write(run: &Path, report: &Report) -> io::Result<()> {
    let text = serde_json::to_vec(report).expect("numbers and words are plain data");
    files::write_with_mode(&run.join(FILE), &text, 0o640)
}
