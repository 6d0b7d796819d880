//! Has USB ports switched off and on, one at a time.
//!
//! A hub or a driver may hang while its port is switched, and no time limit ends that. So a program of its own does it,
//! which is not waited for by anything else, and which brings the port back even if we end meanwhile. If it is killed
//! itself, another switches the port on.

use std::path::Path;

use log::{info, warn};
use tokio::sync::mpsc;

use crate::base::launcher::{Launcher, Program};
use crate::base::tasks::Stop;
use crate::base::usb::HubPort;
use crate::update::ApplianceError;

/// What of ours switches a port: on only, after `--on`.
pub fn program(own: &Path) -> Program {
    let takes = |argument: &str| argument == "--on" || HubPort::try_from(argument.to_string()).is_ok();
    Program::new([own.as_os_str(), "usb-port".as_ref()]).taking(takes).outliving()
}

/// Has `program`, which is ours, switch each port that is asked for, and answers when that is done.
pub async fn run(
    launcher: Launcher,
    program: Program,
    mut asked: mpsc::Receiver<(u64, HubPort)>,
    answers: mpsc::Sender<(u64, Option<ApplianceError>)>,
    mut stop: Stop,
) {
    loop {
        let work = async {
            let (id, port) = asked.recv().await?;
            let error = cycle(&launcher, &program, &port).await.err().map(ApplianceError::Port);
            answers.send((id, error)).await.ok()
        };
        tokio::select! {
            () = stop.requested() => return,
            done = work => if done.is_none() {
                return stop.requested().await;
            },
        }
    }
}

async fn cycle(launcher: &Launcher, program: &Program, port: &HubPort) -> Result<(), String> {
    info!("switching USB port {port} off and on");
    let outcome = switch(launcher, program, port, &[]).await;
    if let Err(Failure::Killed(why)) = &outcome {
        warn!("what switches USB port {port} was ended ({why}): switching the port on");
        switch(launcher, program, port, &["--on"]).await.map_err(Failure::into_words)?;
    }
    outcome.map_err(Failure::into_words)
}

enum Failure {
    /// It says why it failed.
    Said(String),
    /// It ended too early to say anything, or to switch the port on again.
    Killed(String),
}

impl Failure {
    fn into_words(self) -> String {
        let (Failure::Said(words) | Failure::Killed(words)) = self;
        words
    }
}

async fn switch(launcher: &Launcher, program: &Program, port: &HubPort, more: &[&str]) -> Result<(), Failure> {
    let failed = |error| Failure::Said(format!("{}: {error}", program.line[0].display()));
    let arguments = more.iter().copied().chain([port.as_str()]);
    let (status, said) = launcher.complaints(&program.with(arguments)).await.map_err(failed)?;
    match status.code() {
        Some(0) => Ok(()),
        Some(_) => Err(Failure::Said(said)),
        None => Err(Failure::Killed(status.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;
    use std::time::Duration;

    use tokio::time::timeout;

    use crate::base::tasks::stop;

    fn port() -> HubPort {
        HubPort::try_from("1-1.3".to_string()).unwrap()
    }

    /// A program that does this, in a folder of its own in which it may leave something.
    fn program(does: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, format!("#!/bin/sh\ncd \"${{0%/*}}\"\n{does}\n")).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        (folder, program)
    }

    /// Has a port switched by a program that does this; the answer, and what the program left in `asked`.
    async fn try_with(does: &str) -> (Option<ApplianceError>, String) {
        let (folder, program) = program(does);
        let ((ask, asked), (answer, mut answers), (_stopper, stop)) = (mpsc::channel(1), mpsc::channel(1), stop());
        ask.send((7, port())).await.unwrap();
        let answered = async {
            tokio::select! {
                () = run(Launcher::default(), super::program(&program), asked, answer, stop) => unreachable!("nobody asks it to end"),
                answered = answers.recv() => answered,
            }
        };
        let (id, error) = timeout(Duration::from_secs(20), answered).await.expect("it does not end").unwrap();
        assert_eq!(7, id);
        (error, fs::read_to_string(folder.path().join("asked")).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_port_is_switched_by_a_program_that_is_told_which() {
        assert_eq!((None, "usb-port 1-1.3\n".into()), try_with("echo \"$*\" >asked").await);
    }

    #[tokio::test]
    async fn what_the_program_says_is_why_it_failed() {
        let (error, _) = try_with("echo 'farhand: no switch' >&2; exit 1").await;
        assert_eq!(Some(ApplianceError::Port("farhand: no switch".into())), error);
    }

    #[tokio::test]
    async fn a_program_that_is_killed_leaves_no_port_off() {
        let (error, asked) = try_with("echo \"$*\" >>asked; [ \"$2\" = --on ] || kill -9 $$").await;
        assert!(matches!(error, Some(ApplianceError::Port(_))), "{error:?}");
        assert_eq!("usb-port 1-1.3\nusb-port --on 1-1.3\n", asked);
    }

    #[tokio::test]
    async fn a_program_that_runs_when_we_end_goes_on_to_its_end() {
        let (folder, program) = program("echo >begun; read -r _ <go; echo >ended");
        for pipe in ["begun", "go", "ended"] {
            nix::unistd::mkfifo(&folder.path().join(pipe), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        let ((ask, asked), (answer, _answers), (stopper, stop)) = (mpsc::channel(1), mpsc::channel(1), stop());
        ask.send((7, port())).await.unwrap();
        let running = tokio::spawn(run(Launcher::default(), super::program(&program), asked, answer, stop));
        let read = |pipe: &str| {
            let pipe = folder.path().join(pipe);
            timeout(Duration::from_secs(20), tokio::task::spawn_blocking(|| fs::read_to_string(pipe)))
        };
        read("begun").await.expect("it does not begin").unwrap().unwrap();
        stopper.stop();
        running.await.unwrap();
        fs::write(folder.path().join("go"), "\n").unwrap();
        read("ended").await.expect("it was ended").unwrap().unwrap();
    }
}
