//! Keeps who may come in: people with passwords and programs with tokens.
//!
//! This is what outlives a reboot, as one JSON file. It holds hashes only: reading the card gives nobody a way in over
//! the network. After an update was taken back the file may be one that a newer version wrote: what we do not know of
//! it is kept for that version, and lets nobody in.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::auth::extent::Extent;
use crate::auth::secret::{self, Digest};
use crate::auth::user::User;

/// Tokens that can exist at once: enough for every script of a site, few enough to look through.
pub(super) const TOKENS: usize = 64;

/// People that can exist at once.
pub(super) const USERS: usize = 64;

/// Times closer together than this are not worth a write: cards wear out, and tokens last for days.
const COARSE: u64 = 3600;

/// In seconds; as `clock-floor` has it.
const TEN_YEARS: u64 = 315_360_000;

/// The form of the file that this version writes. A file without a number is of the first.
const SCHEMA: u32 = 2;

/// Everyone who may come in, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accounts {
    #[serde(default = "first")]
    schema: u32,
    pub(super) users: BTreeMap<Name, Entry<User>>,
    pub(super) tokens: BTreeMap<Name, Entry<Token>>,
    /// Whether everybody must have a second factor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    demands_second_factor: bool,
    /// The latest time that was noted, in seconds since 1970; see [`super::monotonic_clock`].
    #[serde(default)]
    seen: u64,
    #[serde(flatten)]
    kept: Map<String, Value>,
}

/// Somebody as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Entry<T> {
    Known(T),
    /// Such as one whose role has been thought of since.
    Newer(Value),
}

impl<T> Entry<T> {
    pub(super) fn known(&self) -> Option<&T> {
        match self {
            Entry::Known(known) => Some(known),
            Entry::Newer(_) => None,
        }
    }
}

/// A program as stored. Times are in seconds since 1970, by the wall clock, since a token outlives a boot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    #[serde(flatten)]
    pub(super) extent: Extent,
    pub(super) secret: Digest,
    /// Who made it; of the first ones that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) made: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) used: Option<u64>,
    pub(super) expires: Option<u64>,
    #[serde(flatten)]
    pub(super) kept: Map<String, Value>,
}

impl Token {
    /// A token that nobody is known to have made.
    pub fn new(extent: impl Into<Extent>, secret: Digest, expires: Option<u64>) -> Token {
        let extent = extent.into();
        Token { extent, secret, by: None, made: None, used: None, expires, kept: Map::new() }
    }

    /// The same, made by somebody at a time.
    pub fn made_by(self, by: Option<Name>, made: u64) -> Token {
        Token { by, made: Some(made), ..self }
    }
}

fn first() -> u32 {
    1
}

impl Default for Accounts {
    fn default() -> Accounts {
        let (users, tokens) = (BTreeMap::new(), BTreeMap::new());
        Accounts { schema: SCHEMA, users, tokens, demands_second_factor: false, seen: 0, kept: Map::new() }
    }
}

/// The name of a person or a program: 1 to 32 of letters, digits and `.-_@`, so that it can stand in a log line as it
/// is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// The same, unless it is of dots alone: programs take these out of a path, so that nobody could be named there.
    pub fn in_paths(self) -> Result<Name, AccountError> {
        if self.0.bytes().all(|byte| byte == b'.') { Err(AccountError::Name) } else { Ok(self) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Tells an account from an earlier one of the same name: it changes with the password and with what somebody may
/// do, and when they are deleted and made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    /// That of an account of which this is everything that must not change.
    pub(super) fn of(text: &str) -> Epoch {
        Epoch(secret::fingerprint(text))
    }
}

/// Why an account was not made.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum AccountError {
    /// The name has other characters, none or too many.
    #[error("a name is 1 to 32 letters, digits, dots, dashes, underscores or @, and not dots alone")]
    Name,
    /// Too short to withstand guessing, or too long to be hashed in peace.
    #[error("a password is 8 to 128 characters long")]
    Password,
    /// Among those that everybody tries.
    #[error("this password is among those that are tried first; choose one that nobody else has")]
    CommonPassword,
    /// Nothing that would have to be guessed.
    #[error("a password must be more than the user's name, or this product's")]
    NameAsPassword,
    /// The time has passed already.
    #[error("that time has passed already; give a later one, or null for a token that does not expire")]
    Expired,
    /// No room.
    #[error("there are {TOKENS} tokens already; make one with the name of an old one to replace it")]
    TooMany,
    /// Nothing, or what no token can have.
    #[error(
        "give a token one privilege at least, and where it is for some seats, one seat at least; \
         configure and users concern the whole appliance, and so no token for some seats"
    )]
    Scope,
    /// More than its maker may do.
    #[error("a token may do no more than whoever makes it")]
    BeyondMaker,
    /// No program has this name.
    #[error("there is no token of this name; GET /api/v1/tokens lists them")]
    UnknownToken,
    /// No room.
    #[error("there are {USERS} users already; delete one first")]
    TooManyUsers,
    /// Somebody has this name.
    #[error("there is a user of this name already")]
    UserExists,
    /// Nobody has this name.
    #[error("there is no user of this name; GET /api/v1/users lists them")]
    UnknownUser,
    /// Nobody could let others in any more.
    #[error("this is the last administrator; make another one first")]
    LastAdministrator,
}

impl Accounts {
    /// Reads the file's text. Of our own schema or an older one, everything must be understood: what is not is damage.
    pub fn parse(text: &str) -> Result<Accounts, serde_json::Error> {
        let mut accounts: Accounts = serde_json::from_str(text)?;
        if accounts.schema <= SCHEMA && !accounts.is_understood() {
            let message =
                format!("it holds what schema {SCHEMA} does not know, and claims to be of schema {}", accounts.schema);
            return Err(serde_json::Error::custom(message));
        }
        // An older file becomes one of ours with the next change.
        accounts.schema = accounts.schema.max(SCHEMA);
        Ok(accounts)
    }

    fn is_understood(&self) -> bool {
        let users = self.users.values().all(|user| user.known().is_some_and(|user| user.kept.is_empty()));
        let tokens = self.tokens.values().all(|token| token.known().is_some_and(|token| token.kept.is_empty()));
        users && tokens && self.kept.is_empty()
    }

    /// Whether the device has an owner.
    pub fn claimed(&self) -> bool {
        !self.users.is_empty()
    }

    /// Whether everybody must have a second factor.
    pub fn demands_second_factor(&self) -> bool {
        self.demands_second_factor
    }

    /// Says whether everybody must have a second factor.
    pub fn demand_second_factor(&mut self, is_demanded: bool) {
        self.demands_second_factor = is_demanded;
    }

    /// The latest time that was noted.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Takes back a time that cannot be right, and says whether it was one: no appliance is off for ten years, and a
    /// server of the time that was wrong once must not end every token for ever.
    pub fn doubt(&mut self, wall: u64) -> bool {
        let is_wrong = wall.saturating_add(TEN_YEARS) < self.seen;
        if is_wrong {
            self.seen = 0;
        }
        is_wrong
    }

    /// Notes what time it is.
    pub fn see(&mut self, now: u64) {
        self.seen = self.seen.max(now);
    }

    /// Whether the time is worth noting by itself: a token may have expired that would be good again without it.
    pub fn time_is_worth_noting(&self, now: u64) -> bool {
        self.seen.saturating_add(COARSE) <= now && self.expires_after(self.seen)
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::accounts::*;
    use crate::auth::privileges::Rights;
    use crate::auth::role::Role;
    use crate::auth::secret::{Bearer, Digest};

    fn name(text: &str) -> Name {
        Name::try_from(text.to_string()).unwrap()
    }

    fn rights(role: Role) -> Option<Rights> {
        Some(Rights::everywhere(role))
    }

    fn digest(byte: u8) -> Digest {
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
        assert_eq!(Some("hash"), accounts.password_hash(&name("anna")));
        assert_eq!(None, accounts.password_hash(&name("Anna")));
        assert_eq!(rights(Role::Administrator), accounts.rights(&name("anna")));
    }

    #[test]
    fn the_dearest_hash_is_the_one_that_takes_longest() {
        let mut accounts = Accounts::default();
        assert_eq!(None, accounts.dearest_hash());
        let usual = secret::hash_password("correct horse", [7; 16]);
        let dear = usual.replace("t=2", "t=10");
        for (user, hash) in [("anna", &usual), ("bert", &dear), ("carl", &usual)] {
            accounts.put_user(name(user), Role::Viewer, hash.clone());
        }
        assert_eq!(Some(&dear[..]), accounts.dearest_hash());
    }

    #[test]
    fn the_time_is_noted_once_an_hour_while_a_token_may_expire() {
        let mut accounts = Accounts::default();
        accounts.put_token(0, 0, name("for-ever"), Token::new(Role::Viewer, digest(1), None)).unwrap();
        assert!(!accounts.time_is_worth_noting(1_000_000), "nothing expires");
        accounts.put_token(0, 0, name("ci"), Token::new(Role::Viewer, digest(2), Some(5000))).unwrap();
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
    fn what_is_stored_reads_back_and_holds_no_secret() {
        let mut accounts = Accounts::default();
        accounts.put_user(name("anna"), Role::Administrator, "$argon2id$x".into());
        accounts.put_token(0, 0, name("ci"), Token::new(Role::Viewer, digest(1), Some(5))).unwrap();
        accounts.see(3);
        let text = serde_json::to_string(&accounts).unwrap();
        assert_eq!(accounts, Accounts::parse(&text).unwrap());
        assert!(!text.contains(&Bearer::new([1; 32]).reveal()));
    }

    /// As the next version may write it.
    const NEXT: &str = include_str!("../../tests/data/users-next.json");

    #[test]
    fn what_the_next_version_wrote_lets_in_whom_we_know_and_is_kept() {
        let mut accounts = Accounts::parse(NEXT).unwrap();
        assert!(accounts.claimed());
        assert_eq!(rights(Role::Administrator), accounts.rights(&name("anna")));
        assert_eq!(
            (None, None),
            (accounts.rights(&name("bert")), accounts.password_hash(&name("bert"))),
            "an unknown role"
        );
        assert_eq!(rights(Role::Viewer), accounts.token(0, digest(1)).map(|(_, rights, _)| rights));
        accounts.set_password(&name("anna"), "other hash".into()).unwrap();
        accounts.put_user(name("carl"), Role::Viewer, "hash".into());
        accounts.put_token(0, 0, name("new"), Token::new(Role::Viewer, digest(2), None)).unwrap();
        accounts.see(1_900_000_000);
        let (before, after): (Value, Value) = (
            serde_json::from_str(NEXT).unwrap(),
            serde_json::from_str(&serde_json::to_string(&accounts).unwrap()).unwrap(),
        );
        for place in ["/schema", "/users/anna/passkeys", "/users/bert", "/tokens/ci", "/tokens/scoped", "/audit"] {
            assert!(before.pointer(place).is_some(), "{place}");
            assert_eq!(before.pointer(place), after.pointer(place), "{place}");
        }
        assert_eq!(Some(&Value::from(1_900_000_000)), after.pointer("/seen"));
    }

    #[test]
    fn what_the_version_before_the_numbers_wrote_is_read() {
        let text = r#"{"users":{"anna":{"role":"administrator","password":"x"}},"tokens":{}}"#;
        let accounts = Accounts::parse(text).unwrap();
        assert!(accounts.claimed());
        assert!(serde_json::to_string(&accounts).unwrap().starts_with(r#"{"schema":2,"#));
    }

    #[test]
    fn what_is_not_understood_of_our_own_schema_is_damage() {
        for text in [
            NEXT.replace("\"schema\": 3", "\"schema\": 2"),
            r#"{"users":{},"tokens":{},"more":1}"#.into(),
            r#"{"users":{"anna":{"role":"king","password":"x"}},"tokens":{}}"#.into(),
            r#"{"users":{"anna":{"role":"viewer","password":"x","more":1}},"tokens":{}}"#.into(),
            r#"{"users":{"a b":{"role":"viewer","password":"x"}},"tokens":{}}"#.into(),
            "{}".into(),
            String::new(),
        ] {
            assert!(Accounts::parse(&text).is_err(), "{text}");
        }
    }
}
