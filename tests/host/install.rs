//! The script that installs an update, with a RAUC and variables of a test's own.
//!
//! Its owner must not be told that an update failed which starts next, nor that one is installed which
//! does not, whatever becomes of RAUC.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// What RAUC does when all is well, a line each. The slot is a file; what is written to it is seen.
const GOOD: [&str; 7] = [
    "echo ' 40% Updating slots'",
    "fw_setenv BOOT_B_LEFT 0; fw_setenv BOOT_ORDER A",
    "echo half >slot",
    "echo whole >slot",
    "echo '100% Installing done.'",
    "echo 'Installing `/data/install/update` succeeded'",
    "exit 0",
];

/// Another update is in its slot already, and waits for a restart.
const WAITING: &str = "BOOT_ORDER=B A\nBOOT_A_LEFT=3\nBOOT_B_LEFT=3\n";

const SETENV: &str = r#"set_one() { { grep -v "^$1=" env; echo "$1=$2"; } >new; mv new env; }
if [ "$*" = '-s -' ]; then
	while IFS='=' read -r key value; do set_one "$key" "$value"; done
else
	set_one "$1" "$2"
fi"#;

struct Card(PathBuf, #[expect(dead_code, reason = "removed with this")] TempDir);

struct Ended {
    /// None if it was killed.
    status: Option<i32>,
    said: String,
}

impl Card {
    fn new() -> Card {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().to_path_buf();
        for folder in ["bin", "run", "proc"] {
            fs::create_dir_all(path.join(folder)).unwrap();
        }
        let card = Card(path, temporary);
        card.write("proc/mounts", "");
        card.write("proc/cmdline", "rauc.slot=A console=ttyS0\n");
        card.write("env", WAITING);
        card.write("slot", "old\n");
        card.program("fw_setenv", SETENV);
        card.program("fw_printenv", r#"sed -n "s/^$2=//p" env"#);
        card
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap();
    }

    fn program(&self, name: &str, body: &str) {
        let file = format!("bin/{name}");
        self.write(&file, &format!("#!/bin/sh\n{body}\n"));
        fs::set_permissions(self.0.join(file), Permissions::from_mode(0o755)).unwrap();
    }

    /// Installs with a RAUC that does this.
    fn installs(&self, rauc: &[&str]) -> Ended {
        self.program("rauc", &rauc.join("\n"));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/overlay/usr/libexec/install-bundle");
        let mut script = fs::read_to_string(script).unwrap();
        for folder in ["/run/install-", "/proc/mounts", "/proc/cmdline"] {
            assert!(script.contains(folder), "{folder} is to be moved, and is not there");
            script = script.replace(folder, &format!("{}{folder}", self.0.display()));
        }
        let path = format!("{}:{}", self.0.join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        // A process group, as the hands make one, so that all of it can be killed.
        command
            .args(["-c", &script, "install-bundle", "update"])
            .current_dir(&self.0)
            .env("PATH", path)
            .process_group(0);
        let output = command.output().unwrap();
        Ended { status: output.status.code(), said: String::from_utf8(output.stdout).unwrap() }
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }

    /// Whether U-Boot would start the other slot.
    fn is_next(&self, other: &str) -> bool {
        let env = self.read("env");
        let has = |line: &str| env.lines().any(|found| found.starts_with(line));
        has(&format!("BOOT_ORDER={other}")) && !has(&format!("BOOT_{other}_LEFT=0"))
    }
}

#[test]
fn an_update_that_was_written_starts_next_with_three_tries() {
    let card = Card::new();
    let ended = card.installs(&GOOD);
    assert_eq!((Some(0), "whole\n"), (ended.status, card.read("slot").as_str()), "{}", ended.said);
    for line in ["BOOT_ORDER=B A", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3"] {
        assert!(card.read("env").lines().any(|found| found == line), "no {line} in {}", card.read("env"));
    }
    assert!(ended.said.starts_with(" 40% ") && ended.said.contains("succeeded"), "{}", ended.said);
    // And back again.
    card.write("proc/cmdline", "quiet rauc.slot=B\n");
    let back =
        GOOD.map(|line| if line.contains("BOOT") { "fw_setenv BOOT_A_LEFT 0; fw_setenv BOOT_ORDER B" } else { line });
    assert_eq!(Some(0), card.installs(&back).status);
    assert!(card.read("env").contains("BOOT_ORDER=A B\n") && card.is_next("A"), "{}", card.read("env"));
}

#[test]
fn however_else_rauc_ends_is_a_refusal_and_what_it_wrote_is_not_tried() {
    for (name, end) in [
        ("failed", "exit 1"),
        ("abort", "kill -ABRT $$"),
        ("crash", "kill -SEGV $$"),
        ("killed", "kill -KILL $$"),
        ("odd", "exit 42"),
    ] {
        for done in 2..GOOD.len() {
            let card = Card::new();
            let ended = card.installs(&[&GOOD[..done], &[end]].concat());
            assert_eq!((Some(1), false), (ended.status, card.is_next("B")), "{name} after {done}: {}", ended.said);
        }
    }
    let card = Card::new();
    let silent = GOOD.map(|line| if line.contains("succeeded") { "" } else { line });
    assert_eq!((Some(1), false), (card.installs(&silent).status, card.is_next("B")));
}

#[test]
fn a_refusal_before_the_writing_leaves_the_update_that_waits() {
    let card = Card::new();
    for end in ["exit 1", "kill -ABRT $$"] {
        assert_eq!(Some(1), card.installs(&["echo 'signature verification failed'", end]).status);
        assert_eq!((WAITING, "old\n"), (card.read("env").as_str(), card.read("slot").as_str()));
    }
}

#[test]
fn an_update_that_u_boot_would_not_start_is_not_called_installed() {
    // The card takes nothing any more: it says so, or it does not, or what it gives back is something else.
    for (name, setenv) in [("says", "exit 1"), ("silent", "exit 0"), ("other", "echo BOOT_ORDER=A >env")] {
        let card = Card::new();
        let setenv = format!("[ \"$1\" != -s ] || {{ {setenv}; exit; }}\n{SETENV}");
        card.program("fw_setenv", &setenv);
        let ended = card.installs(&GOOD);
        assert_eq!((Some(1), false), (ended.status, card.is_next("B")), "{name}: {}", ended.said);
        assert!(ended.said.contains("Error: the update cannot be made the next to start"), "{}", ended.said);
    }
}

#[test]
fn a_cut_at_any_moment_leaves_a_whole_slot_or_one_that_is_not_tried() {
    let mut seen = [0, 0];
    for done in 0..=GOOD.len() {
        let card = Card::new();
        // All of it at once, as the hands do, or as the power goes. The last cut is in the switch itself.
        let rauc = if done == GOOD.len() { GOOD.to_vec() } else { [&GOOD[..done], &["kill -KILL 0"]].concat() };
        card.program("fw_setenv", &format!("{SETENV}\n[ \"$1\" != -s ] || kill -KILL 0"));
        assert_eq!(None, card.installs(&rauc).status, "cut after {done}");
        match card.read("slot").as_str() {
            "half\n" => assert!(!card.is_next("B"), "half a system would be started"),
            _ => seen[usize::from(card.is_next("B"))] += 1,
        }
    }
    assert!(seen.iter().all(|count| 0 < *count), "{seen:?}");
}
