//! Runs the binary as a person would, and reads what it says.

use std::fs;
use std::process::{Command, Output};

fn farhand(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_farhand")).args(arguments).output().unwrap()
}

/// Runs a command that must fail, and checks that it says each of `parts`.
#[track_caller]
fn refuses(arguments: &[&str], parts: &[&str]) {
    let output = farhand(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert!(!said.contains("panicked"), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

#[test]
fn a_good_configuration_is_called_good() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/overlay/etc/farhand.toml");
    let output = farhand(&["check", shipped]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("good"));
}

#[test]
fn a_bad_configuration_is_refused_by_every_job_before_it_touches_anything() {
    let folder = std::env::temp_dir().join(format!("farhand-command-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("bad.toml");
    fs::write(&file, "[seats.main.power]\ndriver = \"rppal\"\npower = 45\n").unwrap();
    let file = file.to_str().unwrap();
    for job in [["check", file].as_slice(), &["serve", "--config", file], &["hands", "--config", file]] {
        refuses(job, &["bad.toml", "seats.main.power.power", "45", "2 to 27"]);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_missing_configuration_is_named() {
    refuses(&["check", "/no/such/file.toml"], &["/no/such/file.toml", "No such file"]);
}

#[test]
fn plain_http_is_refused_on_any_address_but_loopback() {
    for address in ["0.0.0.0:8080", "192.168.1.5:8080", "[::1]:8080", "127.0.0.2:8080", "localhost:8080"] {
        refuses(&["serve", "--board", "sim", "--plain", address], &["127.0.0.1:PORT"]);
    }
}
