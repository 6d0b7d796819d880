//! Holds our own sources to the rules that ARCHITECTURE.md states.
//!
//! A rule that only people keep is broken within a month. Each of these names the file and line that breaks it.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules that must stay free of I/O, of clocks and of randomness.
const PURE: &[&str] = &["auth", "gadget", "health", "hid", "power", "seat", "sim", "update", "video"];
/// The exceptions: files that join a pure module to the world.
const SHELLS: &[&str] = &[
    "auth/authenticator.rs",
    "auth/clock.rs",
    "auth/hashing.rs",
    "auth/lease.rs",
    "auth/store.rs",
    "health/report_file.rs",
    "sim/ports.rs",
];
/// The names that would betray them.
const IMPURE: &[&str] = &[
    "tokio",
    "hyper",
    "v4l",
    "rppal",
    "gpiocdev",
    "nix::",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "::now()",
    "getrandom",
];
/// Crates that few modules may name, with those modules.
const OWNED: &[(&str, &str)] = &[
    ("v4l::", "hw"),
    ("v4l2_sys_mit", "hw"),
    ("rppal::", "hw"),
    ("gpiocdev::", "hw"),
    ("nix::ioctl", "hw"),
    ("hyper", "net"),
    ("rustls", "net tls"),
    ("tokio_tungstenite", "net"),
    ("mdns_sd", "net"),
];
/// More than this many lines without its tests, and a file has become two subjects.
const MAX_FILE_LINES: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `path` with this extension, with its text.
fn files(path: &Path, extension: &str) -> Vec<(PathBuf, String)> {
    let Ok(entries) = fs::read_dir(path) else {
        let fits = path.extension().is_some_and(|e| e == extension);
        return fs::read_to_string(path).ok().filter(|_| fits).map(|text| (path.into(), text)).into_iter().collect();
    };
    entries.flat_map(|entry| files(&entry.unwrap().path(), extension)).collect()
}

/// The part of a source file that ships: without its tests. What only tests use may stand before code that ships, so it
/// counts.
fn shipped(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default()
}

/// A line without its comment. Two slashes in a string, as in a web address, begin none.
fn code(line: &str) -> &str {
    let (mut quoted, mut escaped, mut last) = (false, false, ' ');
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // Outside of a string, one behind an apostrophe is the character.
            '"' if quoted || last != '\'' => quoted = !quoted,
            '/' if last == '/' && !quoted => return &line[..at - 1],
            _ => (),
        }
        last = c;
    }
    line
}

/// Lines of `text` that hold one of `words` outside a comment, each as `file:line: word`.
fn offences(path: &Path, text: &str, words: &[&str]) -> Vec<String> {
    let name = path.strip_prefix(root()).unwrap_or(path).display();
    let lines = shipped(text).lines().enumerate().map(|(n, line)| (n, code(line)));
    lines
        .flat_map(|(n, line)| {
            words.iter().filter(move |word| line.contains(**word)).map(move |word| (n + 1, word)).collect::<Vec<_>>()
        })
        .map(|(n, word)| format!("{name}:{n}: {word}"))
        .collect()
}

#[test]
fn rules_hold_for_all_that_ships_and_for_nothing_else() {
    let text = "use tokio; // hyper\nlet url = \"http://a\"; rppal();\nlet quote = '\"'; // v4l\n\
        #[cfg(test)]\nfn example() {}\nuse nix::x;\n\n#[cfg(test)]\nmod tests {\n    use hyper;\n}\n";
    assert_eq!(offences(Path::new("a.rs"), text, IMPURE), ["a.rs:1: tokio", "a.rs:2: rppal", "a.rs:6: nix::"]);
}

#[test]
fn pure_modules_do_no_io() {
    let src = root().join("src");
    let mut broken = Vec::new();
    for module in PURE {
        let read: Vec<_> =
            files(&src.join(module), "rs").into_iter().chain(files(&src.join(format!("{module}.rs")), "rs")).collect();
        assert!(!read.is_empty(), "no module named {module}: has it moved?");
        let pure = read.iter().filter(|(path, _)| !SHELLS.iter().any(|shell| path.ends_with(shell)));
        broken.extend(pure.flat_map(|(path, text)| offences(path, text, IMPURE)));
    }
    assert!(broken.is_empty(), "pure modules must not do I/O:\n{}", broken.join("\n"));
}

#[test]
fn foreign_crates_stay_in_their_module() {
    let src = root().join("src");
    let mut broken = Vec::new();
    for (path, text) in files(&src, "rs") {
        let module = path.strip_prefix(&src).unwrap().components().next().unwrap();
        let module = Path::new(&module).file_stem().unwrap().to_string_lossy().into_owned();
        let words: Vec<&str> = OWNED
            .iter()
            .filter(|(_, owners)| !owners.split(' ').any(|owner| owner == module))
            .map(|(word, _)| *word)
            .collect();
        broken.extend(offences(&path, &text, &words));
    }
    assert!(broken.is_empty(), "these crates belong to one module:\n{}", broken.join("\n"));
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let mut mute = Vec::new();
    for folder in ["src", "tests"] {
        for (path, text) in files(&root().join(folder), "rs") {
            if !path.components().any(|part| part.as_os_str() == "node_modules") && !text.starts_with("//! ") {
                mute.push(path.display().to_string());
            }
        }
    }
    assert!(mute.is_empty(), "no module documentation in:\n{}", mute.join("\n"));
}

#[test]
fn no_source_file_has_become_two_subjects() {
    let long: Vec<String> = files(&root().join("src"), "rs")
        .into_iter()
        .map(|(path, text)| (path, shipped(&text).lines().count()))
        .filter(|(_, lines)| MAX_FILE_LINES < *lines)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "longer than {MAX_FILE_LINES} lines:\n{}", long.join("\n"));
}

/// The words that stand between `before` and the next quotation mark, sorted.
fn quoted_after(text: &str, before: &str) -> Vec<String> {
    let words = text.match_indices(before).filter_map(|(at, _)| text[at + before.len()..].split('"').next());
    let mut words: Vec<String> = words.map(str::to_string).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// The variants of the enums called `...Daemon` in a Rust source, in lower case as serde names them, sorted.
fn messages(text: &str) -> Vec<String> {
    let enums = text.split("pub enum ").skip(1).filter(|rest| rest.split('{').next().unwrap().contains("Daemon"));
    let lines = enums.flat_map(|rest| rest.split("\n}").next().unwrap().lines());
    let variants =
        lines.filter_map(|line| line.strip_prefix("    ").filter(|line| line.starts_with(char::is_uppercase)));
    let name = |line: &str| line.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_lowercase();
    let mut names: Vec<String> = variants.map(name).collect();
    names.sort_unstable();
    names
}

#[test]
fn page_daemon_and_docs_name_the_same_messages() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let page = quoted_after(&read("web/src/core/protocol.ts"), "{ type: \"");
    assert!(!page.is_empty(), "no message found in web/src/core/protocol.ts: is it written otherwise now?");
    assert_eq!(messages(&read("src/net/ws/messages.rs")), page, "daemon and page differ");
    assert_eq!(quoted_after(&read("docs/api.md"), "{\"type\":\""), page, "docs/api.md and page differ");
}

#[test]
fn page_and_daemon_name_the_same_privileges() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let page = read("web/src/core/protocol.ts");
    let (_, union) = page.split_once("export type Privilege = ").unwrap();
    let mut page: Vec<&str> = union.split(';').next().unwrap().split('"').skip(1).step_by(2).collect();
    let role = read("src/auth/role.rs");
    let (_, list) = role.split_once("pub enum Privilege {").unwrap();
    let lines = list.split('}').next().unwrap().lines().map(str::trim).filter(|line| !line.starts_with("///"));
    let mut daemon: Vec<String> = lines.filter_map(|line| line.strip_suffix(',')).map(str::to_lowercase).collect();
    page.sort_unstable();
    daemon.sort_unstable();
    assert_eq!(daemon, page);
}

/// What a page sets in code type.
fn code_words(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    text.split('`').skip(1).step_by(2).map(str::to_string).collect()
}

/// Whether a word of a page is a path in our tree.
fn is_path(word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    plain && word.contains('/') && !["/", "out/", "target/"].iter().any(|start| word.starts_with(start))
}

#[test]
fn every_path_that_a_page_names_exists() {
    for page in ["ARCHITECTURE.md", "docs/threats.md"] {
        let missing: Vec<String> =
            code_words(page).into_iter().filter(|word| is_path(word) && !root().join(word).exists()).collect();
        assert!(missing.is_empty(), "{page} names what is not there: {missing:?}");
    }
}

#[test]
fn every_test_that_the_threats_name_exists() {
    let sources: String =
        ["src", "tests"].iter().flat_map(|folder| files(&root().join(folder), "rs")).map(|(_, text)| text).collect();
    let is_sentence = |word: &String| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.matches('_').count() > 1
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let named: Vec<String> = code_words("docs/threats.md").into_iter().filter(is_sentence).collect();
    assert!(!named.is_empty(), "docs/threats.md names no test: is it written otherwise now?");
    let missing: Vec<&String> = named.iter().filter(|name| !sources.contains(&format!("fn {name}()"))).collect();
    assert!(missing.is_empty(), "docs/threats.md names tests that are not there: {missing:?}");
}

/// The image's own configuration of a Pi is what an owner wires by.
#[test]
fn the_wiring_page_shows_the_lines_that_a_pi_is_configured_for() {
    let file = fs::read_to_string(root().join("board/rpi4/overlay/etc/farhand.toml")).unwrap();
    let (_, table) = file.split_once("[seats.main.power]").unwrap();
    let page = fs::read_to_string(root().join("docs/hardware.md")).unwrap();
    let shown = page.split("```toml\n[seats.main.power]").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(Some(table.trim()), shown.map(str::trim));
}
