//! Tests of the files: power cuts, changes, and what cannot be written.

use std::time::Duration;

use tempfile::TempDir;

use super::*;

fn entry(text: &str) -> (Stamp, Entry) {
    let stamp = Stamp { wall: 1_800_000_000, up: Duration::from_secs(7) };
    (stamp, Entry::new(What::Press, text).by(Some("anna"), Some([192, 0, 2, 7].into())))
}

fn folder() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("audit");
    (temporary, path)
}

fn opened(path: &Path) -> (Folder, Vec<&'static str>) {
    let (folder, found) = Folder::open(path, "0123abcd").unwrap();
    (folder, found.into_iter().filter_map(|entry| entry.error).collect())
}

/// Writes one record after the other, as a run of the daemon does.
fn run(path: &Path, texts: &[&str]) -> Vec<&'static str> {
    let (mut folder, found) = opened(path);
    texts.iter().for_each(|text| folder.add(&[entry(text)]).unwrap());
    found
}

fn fault(path: &Path) -> String {
    match verify(path) {
        Err(VerifyError::Fault(fault)) => fault.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Fills files until there are as many as this.
fn fill(path: &Path, files: usize) {
    let (mut folder, _) = opened(path);
    let many: Vec<_> = (0..500).map(|_| entry(&"x".repeat(100))).collect();
    while numbers(path).unwrap().last().is_none_or(|last| *last < files as u64) {
        folder.add(&many).unwrap();
    }
}

#[test]
fn one_run_goes_on_where_the_one_before_ended() {
    let (_temporary, path) = folder();
    assert!(run(&path, &["a", "b"]).is_empty());
    assert!(run(&path, &["c"]).is_empty());
    let summary = verify(&path).unwrap();
    assert_eq!((1, 3, 0), (summary.first, summary.last, summary.gaps));
    assert!(matches!(verify(&path.join("other")), Err(VerifyError::Io { .. })));
    let mode = fs::metadata(path.join(name(1))).unwrap().mode() & 0o777;
    assert_eq!(0o600, mode);
}

#[test]
fn a_power_cut_at_any_byte_of_the_last_record_costs_that_record_and_is_told() {
    let (_temporary, path) = folder();
    run(&path, &["a", "b"]);
    let mark = fs::read(path.join(MARK)).unwrap();
    let before = fs::read(path.join(name(1))).unwrap();
    run(&path, &["c"]);
    let whole = fs::read(path.join(name(1))).unwrap();
    for cut in before.len()..whole.len() {
        fs::write(path.join(name(1)), &whole[..cut]).unwrap();
        // It is written after the lines.
        fs::write(path.join(MARK), &mark).unwrap();
        let (mut folder, found) = Folder::open(&path, "0123abcd").unwrap();
        let torn = if cut == before.len() { vec![] } else { vec!["torn"] };
        assert_eq!(torn, found.iter().filter_map(|entry| entry.error).collect::<Vec<_>>(), "cut at {cut}");
        let stamp = entry("").0;
        let found: Vec<_> = found.into_iter().map(|entry| (stamp, entry)).chain([entry("d")]).collect();
        folder.add(&found).unwrap();
        let summary = verify(&path).unwrap();
        assert_eq!((2 + found.len() as u64, torn.len() as u64), (summary.last, summary.gaps), "cut at {cut}");
        assert!(fs::read(path.join(name(1))).unwrap().starts_with(&before));
    }
}

#[test]
fn a_power_cut_while_a_new_file_is_begun_costs_nothing_before() {
    let (_temporary, path) = folder();
    fill(&path, 2);
    let last = verify(&path).unwrap().last;
    for left in [&b""[..], b"{\"seq\":"] {
        fs::write(path.join(name(3)), left).unwrap();
        run(&path, &["a"]);
        assert!(verify(&path).unwrap().last > last);
        fs::remove_file(path.join(name(3))).unwrap();
        fs::remove_file(path.join(MARK)).unwrap();
    }
}

#[test]
fn every_byte_that_is_changed_is_found() {
    let (_temporary, path) = folder();
    run(&path, &["a", "b", "c"]);
    for file in [name(1), MARK.to_string()] {
        let whole = fs::read(path.join(&file)).unwrap();
        for at in 0..whole.len() {
            for bit in [0, 2, 5] {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                fs::write(path.join(&file), &changed).unwrap();
                let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
                let found = fault(&path);
                assert!(file == MARK || found.starts_with(&format!("{file}, line {line}: ")), "byte {at}: {found}");
            }
        }
        fs::write(path.join(&file), whole).unwrap();
    }
    verify(&path).unwrap();
}

#[test]
fn old_files_go_and_what_is_left_is_whole() {
    let (_temporary, path) = folder();
    fill(&path, FILES + 3);
    let left = numbers(&path).unwrap();
    assert_eq!((FILES, Some(&4)), (left.len(), left.first()));
    for number in &left {
        assert!(fs::metadata(path.join(name(*number))).unwrap().len() <= LONGEST_FILE);
    }
    assert!(1 < verify(&path).unwrap().first);
    assert!(run(&path, &["a"]).is_empty(), "and so the next run finds it");
    verify(&path).unwrap();
}

#[test]
fn a_file_that_is_missing_or_exchanged_is_found() {
    let (_temporary, path) = folder();
    fill(&path, 4);
    let at = |number| path.join(name(number));
    let aside = path.join("aside");
    fs::rename(at(2), &aside).unwrap();
    assert!(fault(&path).starts_with("00000002.jsonl: this file is missing"), "{}", fault(&path));
    fs::rename(at(3), at(2)).unwrap();
    fs::rename(&aside, at(3)).unwrap();
    assert!(fault(&path).starts_with("00000002.jsonl, line 1: this is record"), "{}", fault(&path));
    fs::rename(at(2), &aside).unwrap();
    fs::rename(at(3), at(2)).unwrap();
    fs::rename(&aside, at(3)).unwrap();
    verify(&path).unwrap();
    fs::rename(at(1), &aside).unwrap();
    assert!(fault(&path).contains("00000002.jsonl, line 1: the log begins with record"), "{}", fault(&path));
    fs::rename(&aside, at(1)).unwrap();
    fs::remove_file(at(4)).unwrap();
    assert!(fault(&path).contains("the end was cut off"), "{}", fault(&path));
    fs::remove_file(path.join(MARK)).unwrap();
    assert_eq!("end: this mark of the log's end is missing or has been changed", fault(&path));
}

#[test]
fn what_was_done_to_it_while_the_daemon_was_away_is_the_first_thing_to_be_told() {
    let (_temporary, path) = folder();
    run(&path, &["a", "b", "c"]);
    let file = path.join(name(1));
    let (whole, mark) = (fs::read_to_string(&file).unwrap(), fs::read(path.join(MARK)).unwrap());
    let lines: Vec<&str> = whole.lines().collect();
    let changed = whole.replace("\"c\"", "\"x\"");
    for (text, mark, code) in [
        (format!("{}\n", lines[0]), Some(&mark), "cut"),
        (changed, Some(&mark), "changed"),
        (format!("{whole}what is this\n"), Some(&mark), "changed"),
        (whole.clone(), None, "no-mark"),
        (whole.clone(), Some(&b"x".to_vec()), "no-mark"),
        (String::new(), Some(&mark), "cut"),
    ] {
        fs::write(&file, text).unwrap();
        match mark {
            Some(mark) => fs::write(path.join(MARK), mark).unwrap(),
            None => fs::remove_file(path.join(MARK)).unwrap(),
        }
        let (mut folder, found) = opened(&path);
        assert_eq!(vec![code], found);
        folder.add(&[entry("d")]).unwrap();
        let _ = fs::remove_file(path.join(name(2)));
    }
}

#[test]
fn what_cannot_be_written_leaves_nothing_behind_and_the_chain_goes_on() {
    let (_temporary, path) = folder();
    let (mut folder, _) = opened(&path);
    folder.add(&[entry("a")]).unwrap();
    // What a write that was broken off would leave.
    let file = path.join(name(1));
    let mut torn = fs::read(&file).unwrap();
    torn.extend_from_slice(b"{\"seq\":2,");
    fs::write(&file, torn).unwrap();
    folder.add(&[entry("b")]).unwrap();
    assert_eq!(2, verify(&path).unwrap().last);
    // No folder, and none can be made.
    fs::remove_dir_all(&path).unwrap();
    fs::write(&path, "").unwrap();
    for _ in 0..3 {
        assert!(folder.add(&[entry("c")]).is_err());
    }
    fs::remove_file(&path).unwrap();
    folder.add(&[entry("d")]).unwrap();
    let summary = verify(&path).unwrap();
    assert_eq!(3, summary.first, "none of those that could not be written has a number");
}

#[test]
fn a_log_that_is_removed_while_it_is_written_begins_by_saying_so() {
    let (_temporary, path) = folder();
    let (mut folder, _) = opened(&path);
    folder.add(&[entry("a"), entry("b")]).unwrap();
    fs::remove_dir_all(&path).unwrap();
    folder.add(&[entry("c")]).unwrap();
    let summary = verify(&path).unwrap();
    assert_eq!((3, 4, 1), (summary.first, summary.last, summary.gaps));
}

#[test]
fn a_link_in_the_place_of_a_file_is_not_followed() {
    let (_temporary, path) = folder();
    run(&path, &["a"]);
    let (file, victim) = (path.join(name(1)), path.join("victim"));
    fs::rename(&file, &victim).unwrap();
    std::os::unix::fs::symlink(&victim, &file).unwrap();
    assert!(Folder::open(&path, "b").is_err());
    fs::remove_file(&file).unwrap();
    fs::remove_file(path.join(MARK)).unwrap();
    std::os::unix::fs::symlink(&victim, path.join(MARK)).unwrap();
    assert!(Folder::open(&path, "b").is_err());
}
