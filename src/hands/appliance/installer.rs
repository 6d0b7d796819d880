//! Runs the installer, and lets nothing of it outlive us.
//!
//! It is a script that starts RAUC, which starts programs of its own. If only the script were killed, the rest would go
//! on writing a slot that everybody believes to be left alone, and keep the lock that the next installation waits for.
//! So the launcher has all of it be one process group, and kills that.

use std::io;

use log::{error, warn};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use crate::base::launcher::{self, Launcher, Program, Streams};
use crate::update::Outcome;

/// A line of the installer's that is longer says nothing more at its end.
const LONGEST_LINE: usize = 1000;

/// Has a file installed, and passes on what the installer says. Dropped before its end, it leaves no process behind.
pub async fn run(launcher: Launcher, program: Program, say: mpsc::Sender<String>) -> Outcome {
    let ended = async {
        // One pipe for both of its outputs, so that what it says stays in order.
        let (reader, writer) = io::pipe()?;
        let output = writer.try_clone()?.into();
        let streams = Streams { input: launcher::nothing()?, output, errors: writer.into() };
        let running = launcher.start(&program, streams)?;
        listen(pipe::Receiver::from_owned_fd(reader.into())?, &say).await?;
        running.ended().await
    };
    match ended.await {
        Ok(status) if status.success() => Outcome::Done,
        Ok(status) => {
            warn!("installer: {status}");
            Outcome::Failed
        }
        Err(error) => {
            error!("cannot run {}: {error}", program.line[0].display());
            Outcome::Absent
        }
    }
}

/// Passes on lines as they come, of a length that fits anywhere.
async fn listen(mut pipe: pipe::Receiver, say: &mpsc::Sender<String>) -> io::Result<()> {
    let (mut piece, mut line) = ([0; 1024], Vec::new());
    loop {
        let len = pipe.read(&mut piece).await?;
        for &byte in &piece[..len] {
            if byte != b'\n' && line.len() < LONGEST_LINE {
                line.push(byte);
            }
            if byte == b'\n' {
                let said = String::from_utf8_lossy(&line).replace(char::is_control, " ");
                line.clear();
                if say.send(said).await.is_err() {
                    return Ok(());
                }
            }
        }
        if len == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use nix::sys::stat::Mode;
    use tokio::task::JoinSet;
    use tokio::time::timeout;

    /// Starts another, as the image's does; both have the file open for as long as they live.
    const FORKS: &str = "#!/bin/sh\nexec 3>\"$1\"\nsleep 1000 &\necho forked\nwait\n";

    #[tokio::test]
    async fn what_the_installer_has_started_is_killed_with_it() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("installer");
        fs::create_dir_all(&folder).unwrap();
        let (program, lives) = (folder.join("install"), folder.join("lives"));
        fs::write(&program, FORKS).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        nix::unistd::mkfifo(&lives, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let mut alive = pipe::OpenOptions::new().open_receiver(&lives).unwrap();

        let (say, mut lines) = mpsc::channel(16);
        let mut outcome = JoinSet::new();
        outcome.spawn(run(Launcher::default(), Program::new([program, lives]), say));
        assert_eq!(Some("forked"), lines.recv().await.as_deref());
        outcome.shutdown().await;
        let end = timeout(Duration::from_secs(5), alive.read(&mut [0])).await;
        assert_eq!(0, end.expect("something of the installer lives on").unwrap());
    }
}
