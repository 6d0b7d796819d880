//! Keeps who may come in: people with passwords and programs with tokens.
//!
//! This is what outlives a reboot, as one JSON file. It holds hashes only: reading the card gives nobody a way in over the
//! network.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::role::Role;
use super::secret::Digest;

/// Tokens that can exist at once: enough for every script of a site, few enough to look through.
const TOKENS: usize = 64;

/// Times closer together than this are not worth a write: cards wear out, and tokens last for days.
const COARSE: u64 = 3600;

/// Everyone who may come in, by name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    users: BTreeMap<Name, User>,
    tokens: BTreeMap<Name, Token>,
    /// The latest time that was noted, in seconds since 1970; see [`super::calendar`].
    #[serde(default)]
    seen: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    role: Role,
    /// Argon2id as a PHC string.
    password: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    role: Role,
    secret: Digest,
    /// Seconds since 1970, by the wall clock, since a token outlives a boot.
    expires: Option<u64>,
}

/// The name of a person or a program: 1 to 32 of letters, digits and `.-_@`, so that it can stand in a log line as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl TryFrom<String> for Name {
    type Error = AccountError;

    fn try_from(name: String) -> Result<Name, AccountError> {
        let fits =
            (1..=32).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_@".contains(c));
        if fits { Ok(Name(name)) } else { Err(AccountError::Name) }
    }
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why an account was not made.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum AccountError {
    /// The name has other characters, none or too many.
    #[error("a name is 1 to 32 letters, digits, dots, dashes, underscores or @")]
    Name,
    /// Too short to withstand guessing, or too long to be hashed in peace.
    #[error("a password is 8 to 128 characters long")]
    Password,
    /// The time has passed already.
    #[error("that time has passed already; give a later one, or null for a token that does not expire")]
    Expired,
    /// No room.
    #[error("there are {TOKENS} tokens already; make one with the name of an old one to replace it")]
    TooMany,
}

/// Checks that a password can be used.
pub fn check_password(password: &str) -> Result<(), AccountError> {
    if (8..=128).contains(&password.chars().count()) { Ok(()) } else { Err(AccountError::Password) }
}

impl Accounts {
    /// Whether the device has an owner.
    pub fn claimed(&self) -> bool {
        !self.users.is_empty()
    }

    /// Adds or changes a person.
    pub fn put_user(&mut self, name: Name, role: Role, password_hash: String) {
        self.users.insert(name, User { role, password: password_hash });
    }

    /// A person's password hash.
    pub fn password_hash(&self, name: &str) -> Option<&str> {
        self.users.get(&Name(name.to_string())).map(|user| user.password.as_str())
    }

    /// A person's role.
    pub fn role(&self, name: &Name) -> Option<Role> {
        self.users.get(name).map(|user| user.role)
    }

    /// Adds a program; one of the same name is replaced, and those that have expired by `now` make room.
    pub fn put_token(
        &mut self,
        now: u64,
        name: Name,
        role: Role,
        secret: Digest,
        expires: Option<u64>,
    ) -> Result<(), AccountError> {
        if expires.is_some_and(|expires| expires <= now) {
            return Err(AccountError::Expired);
        }
        self.tokens.retain(|_, token| token.expires.is_none_or(|expires| now < expires));
        if self.tokens.len() >= TOKENS && !self.tokens.contains_key(&name) {
            return Err(AccountError::TooMany);
        }
        self.tokens.insert(name, Token { role, secret, expires });
        Ok(())
    }

    /// The latest time that was noted.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Notes what time it is.
    pub fn see(&mut self, now: u64) {
        self.seen = self.seen.max(now);
    }

    /// Whether the time is worth noting by itself: a token may have expired that would be good again without it.
    pub fn time_is_worth_noting(&self, now: u64) -> bool {
        let expires = |token: &Token| token.expires.is_some_and(|expires| self.seen < expires);
        self.seen.saturating_add(COARSE) <= now && self.tokens.values().any(expires)
    }

    /// The program that has this secret, unless its time is over.
    pub fn token(&self, now: u64, secret: Digest) -> Option<(&Name, Role)> {
        let (name, token) = self.tokens.iter().find(|(_, token)| token.secret == secret)?;
        token.expires.is_none_or(|expires| now < expires).then_some((name, token.role))
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret::Bearer;
    use super::*;

    fn name(text: &str) -> Name {
        Name::try_from(text.to_string()).unwrap()
    }

    fn secret(byte: u8) -> Digest {
        Bearer::new([byte; 32]).digest()
    }

    #[test]
    fn names_can_stand_in_a_log_line() {
        for good in ["a", "anna", "anna.k@example.org", "Build-7_x"] {
            assert!(Name::try_from(good.to_string()).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a\nb", "é", "<img>", "a/b", &"x".repeat(33)] {
            assert_eq!(Err(AccountError::Name), Name::try_from(bad.to_string()), "{bad}");
        }
    }

    #[test]
    fn a_device_is_claimed_by_its_first_user() {
        let mut accounts = Accounts::default();
        assert!(!accounts.claimed());
        accounts.put_user(name("anna"), Role::Administrator, "hash".into());
        assert!(accounts.claimed());
        assert_eq!(Some("hash"), accounts.password_hash("anna"));
        assert_eq!(None, accounts.password_hash("Anna"));
        assert_eq!(None, accounts.password_hash(""));
        assert_eq!(Some(Role::Administrator), accounts.role(&name("anna")));
    }

    #[test]
    fn a_token_works_until_it_expires() {
        let mut accounts = Accounts::default();
        accounts.put_token(100, name("ci"), Role::Operator, secret(1), Some(200)).unwrap();
        assert_eq!(Some(Role::Operator), accounts.token(199, secret(1)).map(|(_, role)| role));
        assert_eq!(None, accounts.token(200, secret(1)));
        assert_eq!(None, accounts.token(100, secret(2)));
        assert_eq!(Err(AccountError::Expired), accounts.put_token(200, name("x"), Role::Viewer, secret(3), Some(200)));
    }

    #[test]
    fn the_time_is_noted_once_an_hour_while_a_token_may_expire() {
        let mut accounts = Accounts::default();
        accounts.put_token(0, name("for-ever"), Role::Viewer, secret(1), None).unwrap();
        assert!(!accounts.time_is_worth_noting(1_000_000), "nothing expires");
        accounts.put_token(0, name("ci"), Role::Viewer, secret(2), Some(5000)).unwrap();
        assert!(!accounts.time_is_worth_noting(3599));
        assert!(accounts.time_is_worth_noting(3600));
        accounts.see(3600);
        assert!(!accounts.time_is_worth_noting(7199));
        assert!(accounts.time_is_worth_noting(7200));
        accounts.see(7200);
        accounts.see(10);
        assert_eq!(7200, accounts.seen(), "it does not go back");
        assert!(!accounts.time_is_worth_noting(1_000_000), "it has expired for good");
    }

    #[test]
    fn a_token_of_the_same_name_replaces_the_old_one() {
        let mut accounts = Accounts::default();
        accounts.put_token(0, name("ci"), Role::Operator, secret(1), None).unwrap();
        accounts.put_token(0, name("ci"), Role::Viewer, secret(2), None).unwrap();
        assert_eq!(None, accounts.token(0, secret(1)));
        assert_eq!(Some((&name("ci"), Role::Viewer)), accounts.token(0, secret(2)));
    }

    #[test]
    fn tokens_are_bounded_and_expired_ones_make_room() {
        let mut accounts = Accounts::default();
        for n in 0..TOKENS {
            accounts.put_token(0, name(&format!("t{n}")), Role::Viewer, secret(n as u8), Some(10)).unwrap();
        }
        let more =
            |accounts: &mut Accounts, now| accounts.put_token(now, name("more"), Role::Viewer, secret(200), None);
        assert_eq!(Err(AccountError::TooMany), more(&mut accounts, 9));
        assert_eq!(Ok(()), more(&mut accounts, 10));
    }

    #[test]
    fn what_is_stored_reads_back_and_holds_no_secret() {
        let mut accounts = Accounts::default();
        accounts.put_user(name("anna"), Role::Administrator, "$argon2id$x".into());
        accounts.put_token(0, name("ci"), Role::Viewer, secret(1), Some(5)).unwrap();
        accounts.see(3);
        let text = serde_json::to_string(&accounts).unwrap();
        assert_eq!(accounts, serde_json::from_str(&text).unwrap());
        assert!(!text.contains(&Bearer::new([1; 32]).reveal()));
    }
}
