//! Makes and checks passwords, claim codes and bearer secrets.
//!
//! Randomness is passed in, so that this stays a pure function of its inputs. Everything here that compares a secret
//! does so in a time that does not depend on where the two differ.

use std::fmt;
use std::ops::RangeInclusive;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// The letters of a claim code: Crockford's base 32, which leaves out what people confuse when reading from a screen.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Letters in a claim code: 40 bits, beyond guessing at the limiter's thirty tries a minute.
const CODE_LEN: usize = 8;

/// What a hash from elsewhere may cost. The least is what OWASP still recommends, with more passes; at the most, the
/// two that are worked on at once leave a Pi with 1 GiB enough for pictures.
const MEMORY_KIB: RangeInclusive<u32> = 9 * 1024..=64 * 1024;
const PASSES: RangeInclusive<u32> = 1..=10;
const LANES: RangeInclusive<u32> = 1..=4;

/// The code that proves that whoever claims a fresh device can see its console.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimCode([u8; CODE_LEN]);

impl ClaimCode {
    /// A code from random bytes.
    pub fn new(random: [u8; CODE_LEN]) -> ClaimCode {
        ClaimCode(random.map(letter))
    }

    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<ClaimCode> {
        let letters: Vec<u8> = text.trim_end().bytes().filter(|byte| *byte != b'-').collect();
        let code = ClaimCode(letters.try_into().ok()?);
        (code.0.iter().all(|letter| LETTERS.contains(letter)) && text.trim_end() == code.to_string()).then_some(code)
    }

    /// Whether somebody typed this code, with or without the dash, in either case.
    pub fn matches(&self, typed: &str) -> bool {
        typed_letters(typed, CODE_LEN)[..].ct_eq(&self.0[..]).into()
    }
}

/// One of the letters of codes, by a random byte.
pub(super) fn letter(random: u8) -> u8 {
    LETTERS[usize::from(random % 32)]
}

/// The letters of a code as somebody typed it, and one more at the most than it has: with or without dashes, in either
/// case, and with what looks like another letter for that.
pub(super) fn typed_letters(typed: &str, len: usize) -> Vec<u8> {
    let letter = |c: char| match c.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        c => c,
    };
    let letters = typed.chars().filter(|c| !matches!(c, '-' | ' '));
    letters.map(|c| u8::try_from(letter(c)).unwrap_or(b'?')).take(len + 1).collect()
}

impl fmt::Display for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (index, letter) in self.0.iter().enumerate() {
            if index == CODE_LEN / 2 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*letter))?;
        }
        Ok(())
    }
}

impl fmt::Debug for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("ClaimCode(..)")
    }
}

/// What a cookie or an access token carries: 256 random bits, shown once and never stored.
pub struct Bearer([u8; 32]);

impl Bearer {
    /// A secret from random bytes.
    pub fn new(random: [u8; 32]) -> Bearer {
        Bearer(random)
    }

    /// Reads what [`Bearer::reveal`] wrote: exactly 64 lower-case hexadecimal digits, so that there is one spelling.
    pub fn parse(text: &str) -> Option<Bearer> {
        let digits = text.as_bytes();
        let digit = |c: u8| match c {
            b'0'..=b'9' => Some(c - b'0'),
            b'a'..=b'f' => Some(c - b'a' + 10),
            _ => None,
        };
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Bearer(bytes))
    }

    /// The secret in words that fit a header.
    pub fn reveal(&self) -> String {
        hex(&self.0)
    }

    /// What may be stored of it.
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.0).into())
    }
}

/// The SHA-256 of a [`Bearer`]: finds the session or token, and opens nothing when it is stolen.
///
/// It may be looked up in an ordinary map: to learn anything from the time that takes, one would need to choose
/// digests.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// That of a code which nobody can guess.
    pub(super) fn of(code: &[u8]) -> Digest {
        Digest(Sha256::digest(code).into())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        let bytes =
            Bearer::parse(&text).ok_or_else(|| serde::de::Error::custom("a digest is 64 hexadecimal digits"))?;
        Ok(Digest(bytes.0))
    }
}

/// Names a session where others may read it: it opens nothing, and nothing that opens the session follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct SessionId(String);

impl TryFrom<String> for SessionId {
    type Error = ();

    fn try_from(text: String) -> Result<SessionId, ()> {
        let fits = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        fits.then_some(SessionId(text)).ok_or(())
    }
}

impl SessionId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Digest {
    /// The public name of the session that has this digest.
    pub fn id(&self) -> SessionId {
        SessionId(hex(&Sha256::new().chain_update(b"session id").chain_update(self.0).finalize()[..8]))
    }
}

/// A number that is another for another text.
pub fn fingerprint(text: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hashes a password as a PHC string.
pub fn hash_password(password: &str, salt: [u8; 16]) -> String {
    let salt = SaltString::encode_b64(&salt).expect("16 bytes are a salt's recommended length");
    argon2().hash_password(password.as_bytes(), &salt).expect("parameters and salt are constant and valid").to_string()
}

/// A password's hash that somebody made elsewhere: Argon2id, as [`hash_password`] writes it or dearer, but not so dear
/// that a login would take memory or time from everybody else, nor so cheap that the hash gives the password away.
#[derive(Clone, PartialEq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct PasswordDigest(String);

impl TryFrom<String> for PasswordDigest {
    type Error = String;

    fn try_from(text: String) -> Result<PasswordDigest, String> {
        // The hash itself is not repeated: messages reach consoles and logs.
        let params = PasswordHash::new(&text).ok().filter(|hash| {
            hash.algorithm.as_str() == "argon2id"
                && hash.version == Some(Version::V0x13.into())
                && hash.salt.is_some()
                && hash.hash.is_some_and(|output| 16 <= output.len())
        });
        let fits = params.and_then(|hash| Params::try_from(&hash).ok()).is_some_and(|params| {
            MEMORY_KIB.contains(&params.m_cost())
                && PASSES.contains(&params.t_cost())
                && LANES.contains(&params.p_cost())
                && params.keyid().is_empty()
                && params.data().is_empty()
        });
        if fits {
            return Ok(PasswordDigest(text));
        }
        Err(format!(
            "password_hash must be Argon2id, version 19, with m={} to {}, t={} to {} and p={} to {}; \
             'farhand hash-password' makes one",
            MEMORY_KIB.start(),
            MEMORY_KIB.end(),
            PASSES.start(),
            PASSES.end(),
            LANES.start(),
            LANES.end()
        ))
    }
}

impl PasswordDigest {
    /// The PHC string, for the accounts.
    pub fn into_phc(self) -> String {
        self.0
    }
}

impl fmt::Debug for PasswordDigest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("PasswordDigest(..)")
    }
}

/// Checks a password. Without a hash, because nobody has that name, it works as long as with `dearest` and says no.
pub fn verify_password(password: &str, hash: Option<&str>, dearest: Option<&str>) -> bool {
    let fits = match work(hash, dearest) {
        Some(hash) => argon2().verify_password(password.as_bytes(), &hash).is_ok(),
        None => {
            hash_password(password, [0; 16]);
            false
        }
    };
    fits && work(hash, None).is_some()
}

/// The hash that a password is worked on with. One that does not parse is treated like none, so that a damaged file
/// costs an account, not the device.
fn work<'a>(hash: Option<&'a str>, dearest: Option<&'a str>) -> Option<PasswordHash<'a>> {
    [hash, dearest].into_iter().flatten().find_map(|hash| PasswordHash::new(hash).ok())
}

/// What checking a password against a hash costs, to be compared with another's; nothing, if it is none.
pub fn cost(hash: &str) -> u64 {
    let params = PasswordHash::new(hash).ok().and_then(|hash| Params::try_from(&hash).ok());
    params.map_or(0, |params| u64::from(params.m_cost()) * u64::from(params.t_cost()))
}

/// Argon2id with OWASP's second recommendation, 19 MiB and two passes: a quarter of a second on a Pi 4, and two at once
/// fit into its smallest memory with everything else.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("constant and within Argon2's ranges");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use crate::auth::secret::*;

    #[test]
    fn a_claim_code_is_recognised_however_it_is_typed() {
        let code = ClaimCode::new([0, 1, 10, 20, 31, 32, 255, 18]);
        let shown = code.to_string();
        assert_eq!("01AM-Z0ZJ", shown);
        for typed in ["01AM-Z0ZJ", "01amz0zj", "oiam z o z j", "OLAM-ZOZJ"] {
            assert!(code.matches(typed), "{typed}");
        }
        assert_eq!(Some(&code), ClaimCode::parse(&format!("{shown}\n")).as_ref());
        for damaged in
            ["", "01AM-Z0Z", "01AMZ0ZJ", "01am-z0zj", "01AM-Z0ZU", "01AM-Z0ZJ0", "01AM-Z0Zé", "\0\0\0\0-\0\0\0\0"]
        {
            assert_eq!(None, ClaimCode::parse(damaged), "{damaged:?}");
        }
        for typed in ["", "-", "01AM-Z0Z", "01AM-Z0ZJ0", "01AM-Z0ZK", "01AM-Z0Zé"] {
            assert!(!code.matches(typed), "{typed}");
        }
    }

    #[test]
    fn a_bearer_secret_has_one_spelling() {
        let bearer = Bearer::new([0xa5; 32]);
        let text = bearer.reveal();
        assert_eq!(Some(bearer.digest()), Bearer::parse(&text).map(|bearer| bearer.digest()));
        for length in 0..64 {
            assert!(Bearer::parse(&text[..length]).is_none(), "a prefix of {length}");
        }
        assert!(Bearer::parse(&text.to_uppercase()).is_none());
        assert!(Bearer::parse(&format!("{text}0")).is_none());
        assert!(Bearer::parse(&"é".repeat(32)).is_none());
    }

    #[test]
    fn only_the_right_password_opens() {
        let hash = hash_password("correct horse", [7; 16]);
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify_password("correct horse", Some(&hash), None));
        assert!(verify_password("correct horse", Some(&hash), Some("not a hash")));
        assert!(!verify_password("correct horsf", Some(&hash), None));
        assert!(!verify_password("", Some(&hash), None));
        assert!(!verify_password("correct horse", Some("not a hash"), None));
        assert!(!verify_password("correct horse", None, None));
        assert!(!verify_password("correct horse", None, Some(&hash)), "it is another's");
    }

    #[test]
    fn a_name_that_nobody_has_takes_as_long_as_the_dearest_that_somebody_has() {
        let usual = hash_password("correct horse", [7; 16]);
        let dear = usual.replace("m=19456,t=2", "m=65536,t=10");
        assert!(cost(&usual) < cost(&dear) && cost("not a hash") < cost(&usual));
        let params = |hash: Option<&str>| work(hash, Some(&dear)).map(|hash| hash.params.to_string());
        assert_eq!(Some("m=65536,t=10,p=1".to_string()), params(None));
        assert_eq!(Some("m=65536,t=10,p=1".to_string()), params(Some("not a hash")));
        assert_eq!(Some("m=19456,t=2,p=1".to_string()), params(Some(&usual)));
    }

    #[test]
    fn a_hash_from_elsewhere_has_bounds() {
        let good = hash_password("correct horse", [7; 16]);
        assert!(PasswordDigest::try_from(good.clone()).is_ok());
        for (from, to) in [
            ("m=19456", "m=1048576"),
            ("m=19456", "m=64"),
            ("t=2", "t=1000000"),
            ("t=2", "t=0"),
            ("p=1", "p=255"),
            ("p=1", "p=1,keyid=AAAA"),
            ("argon2id", "argon2i"),
            ("argon2id", "scrypt"),
            ("v=19", "v=16"),
            ("$v=19", ""),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(good, bad);
            let said = PasswordDigest::try_from(bad.clone()).unwrap_err();
            assert!(said.contains("hash-password") && !said.contains(&good[30..]), "{bad}: {said}");
        }
        for length in 0..good.len() - 36 {
            assert!(PasswordDigest::try_from(good[..length].to_string()).is_err(), "the first {length} characters");
        }
        assert!(PasswordDigest::try_from("correct horse".to_string()).is_err());
    }

    #[test]
    fn a_sessions_public_name_tells_nothing_of_what_opens_it() {
        let digest = Bearer::new([1; 32]).digest();
        let SessionId(id) = digest.id();
        assert_eq!(16, id.len());
        assert_eq!(digest.id(), Bearer::new([1; 32]).digest().id());
        assert!(SessionId::try_from(id.clone()).is_ok());
        for other in ["", &id[1..], &id.to_uppercase(), &format!("{id}0"), "0123456789abcdeg", "0123456789abcde\0"] {
            assert!(SessionId::try_from(other.to_string()).is_err() || *other == id, "{other:?}");
        }
        assert!(!hex(&digest.0).contains(&id) && !Bearer::new([1; 32]).reveal().contains(&id));
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        assert_eq!("ClaimCode(..)", format!("{:?}", ClaimCode::new([0; 8])));
        assert_eq!("Digest(..)", format!("{:?}", Bearer::new([0; 32]).digest()));
    }
}
