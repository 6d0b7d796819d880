//! Says which passwords are taken: long enough to withstand guessing, and none that everybody tries first.
//!
//! `worst-passwords.txt` holds the ten thousand that are used most among those that are long enough, and first names.
//! It is compared whole and without case; no password is scored, since nobody can be told what a score wants.

use crate::auth::accounts::{AccountError, Name};

/// One on each line, in lower case, after what says where they are from.
const WORST: &str = include_str!("worst-passwords.txt");

/// A password of fewer different characters is one key held down, or two in turn.
const DIFFERENT: usize = 4;

/// What stands on the device, and so is tried like its user's name.
const PRODUCT: &str = "farhand";

/// Checks that a password can be used, by somebody of this name.
pub fn check(password: &str, name: Option<&Name>) -> Result<(), AccountError> {
    if !(8..=128).contains(&password.chars().count()) {
        return Err(AccountError::Password);
    }
    let password = password.to_lowercase();
    let mut different: Vec<char> = password.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < DIFFERENT || worst().any(|worst| worst == password) {
        return Err(AccountError::CommonPassword);
    }
    let mut names = [Some(PRODUCT.to_string()), name.map(|name| name.as_str().to_lowercase())].into_iter().flatten();
    if names.any(|name| is_mostly(&password, &name)) {
        return Err(AccountError::NameAsPassword);
    }
    Ok(())
}

fn worst() -> impl Iterator<Item = &'static str> {
    WORST.lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

/// Whether a name, however often, is half of a password or more.
fn is_mostly(password: &str, name: &str) -> bool {
    let left = password.replace(name, "").chars().count();
    let all = password.chars().count();
    2 < name.len() && left * 2 <= all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna(password: &str) -> Result<(), AccountError> {
        check(password, Some(&Name::try_from("Anna".to_string()).unwrap()))
    }

    #[test]
    fn a_password_has_eight_to_a_hundred_and_twenty_eight_characters() {
        for good in ["correct horse", "ääöö-üüß", &"xyz-".repeat(32)] {
            assert_eq!(Ok(()), anna(good), "{good}");
        }
        for bad in ["", "short", "1234567", &"xyz-".repeat(33)] {
            assert_eq!(Err(AccountError::Password), anna(bad), "{bad}");
        }
    }

    #[test]
    fn what_everybody_tries_first_is_refused_in_any_case() {
        for bad in ["password", "PASSWORD", "Passw0rd", "12345678", "qwertyuiop", "1q2w3e4r", "iloveyou", "changeme"] {
            assert_eq!(Err(AccountError::CommonPassword), anna(bad), "{bad}");
        }
        for bad in ["aaaaaaaa", "12121212", "AaAaAaAa", "...........", "jennifer", "Elizabeth"] {
            assert_eq!(Err(AccountError::CommonPassword), anna(bad), "{bad}");
        }
    }

    #[test]
    fn the_users_own_name_is_no_password() {
        for bad in ["anna1234", "annaAnna12", "ANNA!?.!", "1anna2an", "farhand1", "Farhand-2026"] {
            assert_eq!(Err(AccountError::NameAsPassword), anna(bad), "{bad}");
        }
        assert_eq!(Ok(()), anna("anna has a horse"));
        let short = Name::try_from("a".to_string()).unwrap();
        assert_eq!(Ok(()), check("a-b-c-d-", Some(&short)));
    }

    #[test]
    fn the_list_is_as_long_as_it_says_and_holds_nothing_that_is_refused_anyway() {
        let all: Vec<&str> = worst().collect();
        assert!(10_000 <= all.len(), "{}", all.len());
        for word in &all {
            assert!(8 <= word.chars().count() && *word == word.to_lowercase() && *word == word.trim(), "{word:?}");
        }
        assert!(all.is_sorted());
    }
}
