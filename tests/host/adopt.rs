//! Leaves configurations on a card and looks what becomes of them, with the binary that init runs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A card and a place for data, gone with the test.
struct Bench {
    folder: PathBuf,
    _temporary: TempDir,
}

impl Bench {
    fn new() -> Bench {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().to_path_buf();
        fs::create_dir(folder.join("data")).unwrap();
        Bench { folder, _temporary: temporary }
    }

    /// Boots with this on the card.
    fn adopt(&self, card: &str) -> (bool, String) {
        let file = self.folder.join("farhand.toml");
        fs::write(&file, card).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_farhand"));
        said(&command.arg("adopt").arg(file).arg("--data").arg(self.folder.join("data")).output().unwrap())
    }

    fn kept(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join("data").join(file)).ok()
    }
}

fn said(output: &Output) -> (bool, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn hash(password: &str) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farhand"));
    let child = command.arg("hash-password").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    said(&child.wait_with_output().unwrap())
}

const GOOD: &str = "[network]\nhost = \"rack-7\"\n";

#[test]
fn a_card_counts_until_there_is_an_owner() {
    let bench = Bench::new();
    assert_eq!((true, "took farhand.toml from the card\n".into()), bench.adopt(GOOD));
    assert_eq!(Some(GOOD), bench.kept("farhand.toml").as_deref());
    let mode = fs::metadata(bench.folder.join("data/farhand.toml")).unwrap().permissions().mode();
    assert_eq!(0o644, mode & 0o777, "serve reads it, and nobody but root writes it");
    // The next boot finds the same card, and has nothing to say of it.
    assert_eq!((true, String::new()), bench.adopt(GOOD));

    let (hashed, hash) = hash("correct horse\n");
    assert!(hashed, "{hash}");
    let claim = format!("{GOOD}[claim]\nuser = \"anna\"\npassword_hash = \"{}\"\n", hash.trim());
    let (taken, words) = bench.adopt(&claim);
    assert!(taken && words.contains("owner"), "{words}");
    let (config, users) = (bench.kept("farhand.toml").unwrap(), bench.kept("users.json").unwrap());
    assert!(!config.contains("argon2") && !config.contains("anna"), "{config}");
    assert!(users.contains("\"anna\"") && users.contains("administrator") && users.contains(hash.trim()), "{users}");
    let mode = fs::metadata(bench.folder.join("data/users.json")).unwrap().permissions().mode();
    assert_eq!(0o600, mode & 0o777);

    assert_eq!((true, String::new()), bench.adopt("[network]\nhost = \"mine-now\"\n"));
    assert_eq!((Some(config), Some(users)), (bench.kept("farhand.toml"), bench.kept("users.json")));
}

#[test]
fn a_bad_card_changes_nothing_and_says_why() {
    let bench = Bench::new();
    bench.adopt(GOOD);
    for (bad, parts) in [
        ("[network]\nhost = \"a b\"\n", ["not taken", "1 to 63"]),
        ("[claim]\nuser = \"anna\"\npassword_hash = \"secret\"\n", ["not taken", "farhand hash-password"]),
        ("[network]\nhost = \"other\"\n[claim]\nuser = \"\"\n", ["not taken", "1 to 32"]),
        ("not toml", ["not taken", "line 1"]),
    ] {
        let (taken, words) = bench.adopt(bad);
        assert!(!taken && !words.contains("panicked"), "{words}");
        assert!(parts.iter().all(|part| words.contains(part)), "{words}");
        assert_eq!(1, words.matches(parts[1]).count(), "said once: {words}");
        assert_eq!((Some(GOOD), None), (bench.kept("farhand.toml").as_deref(), bench.kept("users.json").as_deref()));
    }
}

#[test]
fn damaged_accounts_are_not_taken_for_no_owner() {
    let bench = Bench::new();
    fs::write(bench.folder.join("data/users.json"), "{").unwrap();
    let (taken, words) = bench.adopt(GOOD);
    assert!(!taken && words.contains("users.json is damaged"), "{words}");
    assert_eq!(None, bench.kept("farhand.toml"));
}

#[test]
fn a_file_that_is_too_long_is_refused_and_not_cut() {
    let bench = Bench::new();
    let long = format!("{GOOD}{}bad", "#\n".repeat(1 << 19));
    let (taken, said) = bench.adopt(&long);
    assert!(!taken && said.contains("farhand.toml") && said.contains("longer than 1 MiB"), "{said}");
    assert_eq!(None, bench.kept("farhand.toml"));
}

#[test]
fn a_weak_password_is_not_hashed() {
    for bad in ["", "short\n", &"x".repeat(2000)] {
        let (hashed, words) = hash(bad);
        assert!(!hashed && words.contains("8 to 128"), "{words}");
    }
}
