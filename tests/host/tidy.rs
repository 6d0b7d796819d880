//! Holds our own sources to the rules that ARCHITECTURE.md states.
//!
//! A rule that only people keep is broken within a month. Each of these names the file and line that breaks it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Modules that must stay free of I/O, of clocks and of randomness.
const PURE: &[&str] = &["audit", "auth", "gadget", "health", "hid", "power", "seat", "sim", "update", "video"];
/// The exceptions: files that join a pure module to the world.
const SHELLS: &[&str] = &[
    "audit/folder.rs",
    "audit/reading.rs",
    "audit/trail.rs",
    "auth/authenticator.rs",
    "auth/clock.rs",
    "auth/guessing.rs",
    "auth/hashing.rs",
    "auth/journal.rs",
    "auth/lease.rs",
    "auth/second_factor.rs",
    "auth/store.rs",
    "health/report_file.rs",
    "seat/control.rs",
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
    ("landlock::", "sandbox"),
    ("seccompiler::", "sandbox"),
    ("caps::", "sandbox"),
];
/// Modules in which a word is right that the glossary replaces elsewhere.
const RIGHT_IN: &[(&str, &str)] = &[
    ("directory", "gadget hw"),
    ("directories", "gadget hw"),
    ("frame", "hands net video"),
    ("disc", "media"),
    ("discs", "media"),
];
/// Comments are as wide as rustfmt.toml lets code be; rustfmt does not wrap them.
const COLUMNS: usize = 120;
/// A longer subject is cut off by the tools that show it.
const SUBJECT: usize = 60;
/// Subjects that are longer, from before this was checked.
const OLDER: &[&str] = &[
    "tests: watch the relays of one Pi through all that may happen to it",
    "tests: begin with the longest, by how much of a processor each needs",
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

/// The module of a file in `src`: `net`.
fn module(path: &Path) -> String {
    let path = path.strip_prefix(root().join("src")).unwrap();
    path.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_string()
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

/// Whether a source file holds a module's tests and nothing else.
fn is_tests(path: &Path) -> bool {
    path.ends_with("tests.rs")
}

/// Lines of `text` that hold one of `words` outside a comment, each as `file:line: word`.
fn offences(path: &Path, text: &str, words: &[&str]) -> Vec<String> {
    if is_tests(path) {
        return Vec::new();
    }
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
        let module = module(&path);
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
fn http_statuses_stay_in_the_kit() {
    let net = root().join("src");
    let mut broken = Vec::new();
    for (path, text) in files(&net, "rs").into_iter().filter(|(path, _)| !path.starts_with(net.join("net/http"))) {
        broken.extend(offences(&path, &text, &["StatusCode"]));
    }
    assert!(broken.is_empty(), "an error names its code, and the kit its status:\n{}", broken.join("\n"));
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
        .filter(|(path, _)| !is_tests(path))
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
    // A beat goes both ways.
    names.dedup();
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

/// The last column of the glossary in CONTRIBUTING.md, as far as it is set in code type: the words that another
/// replaces.
fn replaced_words() -> Vec<String> {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let glossary = page.split("\n## Words\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let cells = glossary.lines().filter(|line| line.starts_with("| ")).filter_map(|line| line.split('|').nth(3));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_string).collect()
}

/// What a line's comment says, without names in code type: they are spelled as in the code.
fn said(line: &str) -> String {
    line[code(line).len()..].split('`').step_by(2).collect()
}

/// Whether a text has this word, or these. Only an abbreviation must be in capitals: `led` is also a verb.
fn has_word(text: &str, word: &str) -> bool {
    let is_abbreviation = word.starts_with("LED");
    let text = if is_abbreviation { text.to_string() } else { text.to_lowercase() };
    let ends = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
    text.match_indices(word)
        .any(|(at, _)| ends(text[..at].chars().next_back()) && ends(text[at + word.len()..].chars().next()))
}

/// Lines of a file whose comment breaks a rule, each as `file:line: what`. `faults` names what is wrong with one line.
fn wrong_comments(path: &Path, text: &str, faults: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let name = path.strip_prefix(root()).unwrap_or(path).display();
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(n, line)| faults(line).into_iter().map(move |fault| (n + 1, fault)))
        .map(|(n, fault)| format!("{name}:{n}: {fault}"))
        .collect()
}

#[test]
fn a_word_is_found_in_comments_alone_and_whole() {
    assert!(has_word(&said("/// Beside it."), "beside"));
    assert!(has_word(&said("call(); // a LED"), "LED"));
    for line in ["let beside = 1;", "// It is led.", "// `beside`", "// besides", "let url = \"http://beside\";"] {
        assert!(!["beside", "LED"].iter().any(|word| has_word(&said(line), word)), "{line}");
    }
}

#[test]
fn comments_use_the_words_of_the_glossary() {
    let words = replaced_words();
    assert!(words.iter().any(|word| word == "beside"), "no glossary found in CONTRIBUTING.md: {words:?}");
    let mut broken = Vec::new();
    for (path, text) in files(&root().join("src"), "rs") {
        let module = module(&path);
        let right =
            |word: &str| RIGHT_IN.iter().any(|(w, owners)| *w == word && owners.split(' ').any(|o| o == module));
        let words: Vec<&String> = words.iter().filter(|word| !right(word)).collect();
        broken.extend(wrong_comments(&path, &text, |line| {
            let said = said(line);
            words.iter().filter(|word| has_word(&said, word)).map(|word| word.to_string()).collect()
        }));
    }
    assert!(broken.is_empty(), "CONTRIBUTING.md has another word for these:\n{}", broken.join("\n"));
}

/// What a page says, line by line, without code type.
fn prose(page: &str) -> impl Iterator<Item = String> {
    let mut in_block = false;
    page.lines().map(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        if in_block || is_fence { String::new() } else { line.split('`').step_by(2).collect() }
    })
}

/// What the comment on a line of TypeScript says, without code type.
fn said_in_script(line: &str) -> String {
    let line = line.trim_start();
    let is_block = ["/**", "/*", "* ", "*/"].iter().any(|start| line.starts_with(start));
    let comment = if is_block { line } else { line.split_once("// ").map_or("", |(_, comment)| comment) };
    comment.split('`').step_by(2).collect()
}

#[test]
fn pages_and_scripts_use_the_words_of_the_glossary() {
    // Terms of other fields, which pages and scripts for browsers use in their own meaning.
    const OTHERS: [&str; 7] = ["frame", "disc", "discs", "directory", "directories", "LED", "the box"];
    let words: Vec<String> = replaced_words().into_iter().filter(|word| !OTHERS.contains(&word.as_str())).collect();
    let mut broken = Vec::new();
    let mut look = |path: &Path, lines: Vec<String>| {
        for (at, line) in lines.iter().enumerate() {
            let found = words.iter().filter(|word| has_word(line, word));
            let name = path.strip_prefix(root()).unwrap_or(path).display();
            broken.extend(found.map(|word| format!("{name}:{}: {word}", at + 1)));
        }
    };
    for page in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let path = root().join(page);
        look(&path, prose(&fs::read_to_string(&path).unwrap()).collect());
    }
    for (path, page) in files(&root().join("docs"), "md") {
        look(&path, prose(&page).collect());
    }
    let folders =
        ["web/src", "web/build", "tests/browser/lib", "tests/browser/image"].map(|folder| root().join(folder));
    // The folder itself holds what npm has installed, too.
    let specs = fs::read_dir(root().join("tests/browser")).unwrap().map(|entry| entry.unwrap().path());
    for place in folders.into_iter().chain(specs.filter(|path| path.is_file())) {
        for (path, script) in files(&place, "ts").into_iter().chain(files(&place, "tsx")) {
            look(&path, script.lines().map(said_in_script).collect());
        }
    }
    assert!(broken.is_empty(), "CONTRIBUTING.md has another word for these:\n{}", broken.join("\n"));
}

#[test]
fn comments_are_no_wider_than_code() {
    let mut broken = Vec::new();
    for folder in ["src", "tests/host", "tests/image", "tests/bench", "tests/browser"] {
        for (path, text) in files(&root().join(folder), "rs") {
            broken.extend(wrong_comments(&path, &text, |line| {
                let columns = line.chars().count();
                let is_wide = COLUMNS < columns && code(line).len() < line.len();
                is_wide.then(|| format!("{columns} columns")).into_iter().collect()
            }));
        }
    }
    assert!(broken.is_empty(), "comments wider than {COLUMNS} columns:\n{}", broken.join("\n"));
}

/// The areas that CONTRIBUTING.md lists.
fn areas() -> Vec<String> {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let list = page.split("\nAreas: ").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    list.split('`').skip(1).step_by(2).map(str::to_string).collect()
}

/// What is wrong with a commit's subject, if anything.
fn fault(subject: &str, areas: &[String]) -> Option<String> {
    let Some((named, text)) = subject.split_once(": ") else { return Some("names no area".into()) };
    if let Some(unknown) = named.split(", ").find(|name| !areas.iter().any(|area| area == name)) {
        return Some(format!("CONTRIBUTING.md lists no area {unknown:?}"));
    }
    if SUBJECT < subject.chars().count() {
        return Some(format!("{} characters, more than {SUBJECT}", subject.chars().count()));
    }
    (text.ends_with('.') || text.is_empty()).then(|| "ends with a full stop, or says nothing".into())
}

#[test]
fn a_subject_names_its_area_and_is_short() {
    let areas = areas();
    for right in ["net: wait", "power, hw: open the relay when `hands` dies"] {
        assert_eq!(None, fault(right, &areas), "{right}");
    }
    let long = format!("net: {}", "x".repeat(SUBJECT));
    for wrong in ["wait", "elsewhere: wait", "net, elsewhere: wait", "net: wait.", "net: ", &long] {
        assert!(fault(wrong, &areas).is_some(), "{wrong}");
    }
}

/// The sources may have come without their history, or with a part of it; then there is less to check.
#[test]
fn the_last_commits_name_their_area_in_few_words() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(root()).output().ok();
        output
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // A copy of the sources may lie within a repository that is not ours.
    let top = git(&["rev-parse", "--show-toplevel"]).and_then(|top| Path::new(top.trim()).canonicalize().ok());
    if top != root().canonicalize().ok() {
        return;
    }
    let areas = areas();
    let log = git(&["log", "--no-merges", "-50", "--format=%h %s"]).unwrap_or_default();
    let commits = log.lines().filter_map(|line| line.split_once(' ')).filter(|(_, subject)| !OLDER.contains(subject));
    let broken: Vec<String> = commits
        .filter_map(|(hash, subject)| fault(subject, &areas).map(|fault| format!("{hash} {subject}: {fault}")))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
