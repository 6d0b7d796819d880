//! Holds the modules to their floors: each imports what lies below it, never what lies above, and never in a circle.
//!
//! The order is that of `ARCHITECTURE.md`. Imports are read from `use` trees and from paths within the code, resolved
//! as the compiler does; tests within a source file may import what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules by floor, from the ground up; the longest name that fits counts. Modules of one floor do not import each
/// other.
const FLOORS: &[&[&str]] = &[
    &["base"],
    &["audit"],
    &["auth"],
    &["update"],
    &["health"],
    &["tls"],
    &["config"],
    &["hid", "power", "video"],
    &["gadget"],
    &["ports"],
    &["hw", "sim"],
    &["bus"],
    &["pipeline"],
    &["hands"],
    &["seat"],
    &["appliance"],
    &["net::gate", "net::mdns", "net::coding"],
    &["net::probe"],
    &["net::download"],
    &["net::site"],
    &["net::http"],
    &["net::ws", "net::assets"],
    &["net::rescue"],
    &["net::api", "net::pages", "net::redirect"],
    &["net::serve"],
    &["net"],
    &["guard"],
    &["adopt"],
    &["start"],
    &["sandbox"],
    &["commands"],
    &["daemon"],
    &["main"],
];

/// Imports that point up or sideways today. It may only become shorter.
const OFFENCES: &[&str] = &[];

/// A module of each circle that there is today. It, too, may only become shorter.
const CIRCLES: &[&str] = &[];

/// A module's path in the crate, as `net::http`.
type Module = String;

/// Who imports what, module by module.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every module of the crate with its text, but for those that hold tests alone.
fn modules(folder: &Path, name: &str) -> BTreeMap<Module, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let module = if name.is_empty() { stem.clone() } else { format!("{name}::{stem}") };
        if path.is_dir() {
            found.extend(modules(&path, &module));
        } else if stem != "lib" && stem != "tests" {
            found.insert(module, fs::read_to_string(&path).unwrap());
        }
    }
    found
}

/// A source without its tests, comments and the contents of its strings.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    let mut code = String::new();
    for line in text.lines() {
        let mut in_string = false;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if in_string => _ = chars.next(),
                // A quotation mark as a character is none.
                '\'' if !in_string && chars.peek() == Some(&'"') => _ = chars.next(),
                '"' => in_string = !in_string,
                '/' if !in_string && chars.peek() == Some(&'/') => break,
                _ if in_string => (),
                c => code.push(c),
            }
        }
        code.push('\n');
    }
    code
}

/// The paths of a `use` tree, without names given to them.
fn leaves(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        return vec![tree.split_whitespace().next().unwrap_or_default().to_string()];
    };
    let (mut depth, mut part, mut parts) = (0, String::new(), Vec::new());
    for c in rest.trim_end().strip_suffix('}').unwrap().chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => (),
        }
        if c == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(c);
        }
    }
    parts.push(part);
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| leaves(part)).map(|leaf| format!("{}{leaf}", prefix.trim())).collect()
}

/// All paths that a module's code names.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut rest = String::new();
    let mut statements = code.split("use ");
    // What precedes a `use` must end a line or an item: `pub`, or nothing.
    rest.push_str(statements.next().unwrap_or_default());
    for statement in statements {
        let is_statement = rest.trim_end_matches(' ').ends_with(['\n', ';', '{', '}', ')', 'b']) || rest.is_empty();
        match statement.split_once(';') {
            Some((tree, after)) if is_statement => {
                paths.extend(leaves(&tree.replace('\n', " ")));
                rest.push_str(after);
            }
            _ => rest.push_str(statement),
        }
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = rest.split(|c| !is_word(c));
    paths.extend(words.filter(|word| word.contains("::")).map(String::from));
    paths
}

/// The module that a path within `module` leads to, if it is one of ours.
fn target(path: &str, module: &str, all: &BTreeMap<Module, String>) -> Option<Module> {
    let segments: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
    let here: Vec<&str> = module.split("::").collect();
    let supers = segments.iter().take_while(|part| **part == "super").count();
    let full: Vec<&str> = match *segments.first()? {
        "crate" => segments[1..].to_vec(),
        "farhand" if module == "main" => segments[1..].to_vec(),
        "self" => here.iter().chain(&segments[1..]).copied().collect(),
        "super" => here[..here.len().checked_sub(supers)?].iter().chain(&segments[supers..]).copied().collect(),
        // A child by its own name, as `use child::Thing`.
        first if all.contains_key(&format!("{module}::{first}")) => here.iter().chain(&segments).copied().collect(),
        _ => return None,
    };
    (1..=full.len()).rev().map(|length| full[..length].join("::")).find(|name| all.contains_key(name))
}

fn imports() -> Imports {
    let all = modules(&src(), "");
    let of = |(module, text): (&Module, &String)| {
        let named = paths(&code(text)).iter().filter_map(|path| target(path, module, &all)).collect::<BTreeSet<_>>();
        (module.clone(), named.into_iter().filter(|other| other != module).collect())
    };
    all.iter().map(of).collect()
}

/// The floor of a module, and the entry that put it there.
fn floor(module: &str) -> Option<(usize, &'static str)> {
    let entries = FLOORS.iter().enumerate().flat_map(|(level, names)| names.iter().map(move |name| (level, *name)));
    let fits = |name: &str| module == name || module.strip_prefix(name).is_some_and(|rest| rest.starts_with("::"));
    entries.filter(|(_, name)| fits(name)).max_by_key(|(_, name)| name.len())
}

/// Groups of modules that import each other, directly or through others.
fn circles(imports: &Imports) -> Vec<BTreeSet<Module>> {
    let reach = |from: &Module| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            next.extend(imports.get(module).into_iter().flatten().filter(|other| seen.insert((*other).clone())));
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> = imports.keys().map(|module| (module, reach(module))).collect();
    let circle = |module: &Module| -> BTreeSet<Module> {
        reached[module].iter().filter(|other| reached[other].contains(module)).cloned().collect()
    };
    let circles: BTreeSet<BTreeSet<Module>> = imports.keys().map(circle).filter(|circle| !circle.is_empty()).collect();
    circles.into_iter().collect()
}

#[test]
fn every_module_has_a_floor() {
    let homeless: Vec<Module> = imports().into_keys().filter(|module| floor(module).is_none()).collect();
    assert!(homeless.is_empty(), "no entry of FLOORS covers: {homeless:?}");
    let empty: Vec<&&str> = FLOORS.iter().copied().flatten().filter(|name| !imports().contains_key(**name)).collect();
    assert!(empty.is_empty(), "FLOORS names what is not there: {empty:?}");
}

#[test]
fn a_module_imports_only_what_lies_below_it() {
    let mut broken = BTreeSet::new();
    for (module, named) in imports() {
        let (level, entry) = floor(&module).unwrap();
        for other in named {
            let (below, other_entry) = floor(&other).unwrap();
            if entry != other_entry && level <= below {
                broken.insert(format!("{module} -> {other}"));
            }
        }
    }
    let known: BTreeSet<String> = OFFENCES.iter().map(|offence| offence.to_string()).collect();
    let new: Vec<_> = broken.difference(&known).collect();
    assert!(new.is_empty(), "imports that do not point down:\n{new:#?}");
    let mended: Vec<_> = known.difference(&broken).collect();
    assert!(mended.is_empty(), "mended, so take these out of OFFENCES:\n{mended:#?}");
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut circles = circles(&imports());
    let mended: Vec<_> =
        CIRCLES.iter().filter(|known| !circles.iter().any(|circle| circle.contains(**known))).collect();
    circles.retain(|circle| !CIRCLES.iter().any(|known| circle.contains(*known)));
    assert!(circles.is_empty(), "circles of imports:\n{circles:#?}");
    assert!(mended.is_empty(), "mended, so take these out of CIRCLES: {mended:?}");
}

#[test]
fn a_path_is_read_wherever_it_stands() {
    let text = "use crate::a::{b::C, d::{self, E}};\npub use super::f;\n// use crate::g;\nfn x() { crate::h::y(\"use crate::i;\") }\n";
    let mut found = paths(&code(text));
    found.sort();
    assert_eq!(["crate::a::b::C", "crate::a::d::E", "crate::a::d::self", "crate::h::y", "super::f"], found[..]);
}

#[test]
fn a_circle_is_found_and_a_line_is_none() {
    let graph = |edges: &[(&str, &str)]| {
        let mut imports = Imports::new();
        for (from, to) in edges {
            imports.entry(from.to_string()).or_default().insert(to.to_string());
            imports.entry(to.to_string()).or_default();
        }
        circles(&imports)
    };
    assert!(graph(&[("a", "b"), ("b", "c"), ("a", "c")]).is_empty());
    assert_eq!(1, graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]).len());
}
