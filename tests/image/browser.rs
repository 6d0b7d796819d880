//! Runs browser tests against the image, and answers their questions about the guest.
//!
//! The browser tests are the same as on the simulated machine. They check here what reached the target, by shell
//! commands in the guest, one JSON object on a line each way: `{"sh":"..."}`, `{"text":"...","status":0}`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::vm::{Machine, Vm};

/// The page must answer this soon after the kernel has started, on a busy host.
const SERVED: Duration = Duration::from_secs(60);

/// Runs one file of browser tests against the image, and fails with it.
#[track_caller]
pub fn run(name: &str, spec: &str) {
    let mut vm = Machine::named(name).with_target().boot();
    let code = claim_code(&vm);
    let mut playwright = playwright(&vm, &code, spec);
    // The simulated board appears while the services start; the test begins when it is complete.
    vm.ask("until grep -q Farhand /proc/bus/input/devices && ls /dev/video0; do sleep 0.2; done");
    let witness = Witness::new(name, vm);
    let status = playwright.env("FARHAND_WITNESS", &witness.socket).status();
    let status = status.expect("npx is installed: run image/need-build.sh");
    assert!(status.success(), "{spec} failed: {status}\n{}", witness.log());
}

/// Runs one file of browser tests that ask nothing about the guest, against a machine that is up.
#[track_caller]
pub fn visit(vm: &Vm, code: &str, spec: &str) {
    let status = playwright(vm, code, spec).status().expect("npx is installed: run image/need-build.sh");
    assert!(status.success(), "{spec} failed: {status}");
}

/// The last claim code on the console.
#[track_caller]
pub fn claim_code(vm: &Vm) -> String {
    let line = vm.wait_console("claim code: ", SERVED);
    line.trim_start_matches("claim code: ").trim().to_owned()
}

/// Runs Playwright against a machine's page, with the claim code. It leaves screenshots of a failure in the machine's
/// own folder.
pub fn playwright(vm: &Vm, code: &str, spec: &str) -> Command {
    let mut command = Command::new("npx");
    command
        .args(["playwright", "test", spec])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser"))
        .env("FARHAND_URL", format!("https://127.0.0.1:{}", vm.https))
        .env("FARHAND_CODE", code)
        .env("FARHAND_RESULTS", vm.folder.join("results"));
    command
}

/// Answers questions about a machine on a socket, one after another.
struct Witness {
    socket: PathBuf,
    vm: Arc<Mutex<Vm>>,
}

impl Witness {
    fn new(name: &str, vm: Vm) -> Witness {
        let socket = std::env::temp_dir().join(format!("farhand-{name}-{}.sock", std::process::id()));
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).expect("the temporary directory can be written");
        let vm = Arc::new(Mutex::new(vm));
        let asked = Arc::clone(&vm);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asked = Arc::clone(&asked);
                thread::spawn(move || answer(stream, &asked));
            }
        });
        Witness { socket, vm }
    }

    /// The logs of serve and hands, for the report of a failure.
    fn log(&self) -> String {
        let mut vm = self.vm.lock().expect("nobody panics while asking");
        vm.sh("tail -n 40 /run/log/serve/current /run/log/hands/current; dmesg | tail -n 10").text
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
    }
}

fn answer(mut stream: UnixStream, vm: &Mutex<Vm>) {
    let reader = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
    for line in reader.lines().map_while(Result::ok) {
        let question: Value = serde_json::from_str(&line).expect("the browser tests ask in JSON");
        let command = question["sh"].as_str().expect("a question is a shell command");
        let output = vm.lock().expect("nobody panics while asking").sh(command);
        let answer = json!({ "text": output.text, "status": output.status });
        if writeln!(stream, "{answer}").is_err() {
            return;
        }
    }
}
