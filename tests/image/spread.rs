//! Draws a few of many cases, different ones for each commit, so that some weeks of work try them all.
//!
//! All of them take an hour, and nearly always give the same result as a few. `make test-long` tries all, before a
//! release.

use std::env;
use std::path::Path;
use std::process::Command;

/// Whether there is time for everything.
pub fn is_long() -> bool {
    env::var_os("FARHAND_LONG").is_some_and(|long| !long.is_empty())
}

/// All cases if there is time, and else `count` of them, evenly spread.
pub fn some<T>(cases: Vec<T>, count: usize) -> Vec<T> {
    if is_long() { cases } else { draw(cases, count, seed()) }
}

/// The seed: a hash of FARHAND_SEED, which is any word, or else of the commit.
pub fn seed() -> u64 {
    let word = env::var("FARHAND_SEED").ok().filter(|word| !word.is_empty()).unwrap_or_else(commit);
    println!("drawn by FARHAND_SEED={word}");
    // FNV-1a.
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn commit() -> String {
    let git =
        Command::new("git").args(["rev-parse", "HEAD"]).current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).output();
    let commit = git.ok().filter(|output| output.status.success());
    // The sources may have been downloaded without their history.
    commit.map_or_else(|| "none".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// One of each of `count` ranges. Consecutive seeds draw neighbours, so as many seeds as a range is long draw all.
fn draw<T>(cases: Vec<T>, count: usize, seed: u64) -> Vec<T> {
    let len = cases.len();
    if len <= count {
        return cases;
    }
    let offset = (seed % len.div_ceil(count) as u64) as usize;
    let mut drawn = (0..count).map(|stretch| stretch * len / count + offset).peekable();
    let cases = cases.into_iter().enumerate();
    cases.filter_map(|(number, case)| drawn.next_if_eq(&number).map(|_| case)).collect()
}

#[test]
fn every_case_is_drawn_before_long_and_none_twice() {
    for (len, count) in [(200, 20), (80, 8), (32, 3), (8, 1), (7, 3), (3, 1), (5, 5), (2, 4)] {
        let cases: Vec<usize> = (0..len).collect();
        let draws: Vec<_> = (0..len.div_ceil(count) as u64).map(|seed| draw(cases.clone(), count, seed)).collect();
        for drawn in &draws {
            assert_eq!(count.min(len), drawn.len(), "{count} of {len}");
            assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]), "{drawn:?}");
        }
        let mut seen = draws.concat();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(cases, seen, "{count} of {len}");
    }
}
