//! Checks second factors: codes that an authenticator shows, and recovery codes for when it is lost.
//!
//! The codes are those of RFC 6238 as every authenticator makes them: SHA-1, six digits, steps of thirty seconds. None
//! opens twice: the step that opened last is stored, and no step up to it opens any more. A recovery code needs no
//! clock, opens once, and is stored hashed.

use serde::{Deserialize, Serialize};
use totp_rs::{Builder, Secret, Totp};

use crate::auth::secret::{self, Digest};

/// RFC 6238 section 5.2: a step before and after, for clocks that differ and people who type.
const STEPS_AROUND: u16 = 1;

/// Recovery codes that are given out at once.
pub const RECOVERY_CODES: usize = 10;

/// Letters of a recovery code: 80 bits, so that a hash of it gives nothing away to who tries them all.
const RECOVERY_LEN: usize = 16;

/// What an authenticator and we know.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TotpSecret(Secret);

impl TotpSecret {
    /// A secret from random bytes: RFC 4226 section 4 recommends 160 bits.
    pub fn new(random: [u8; 20]) -> TotpSecret {
        TotpSecret(Secret::from(random))
    }

    /// The secret as people type it, in base 32.
    pub fn reveal(&self) -> String {
        self.0.to_base32()
    }

    /// The address by which an authenticator takes the secret over. Neither name may need encoding, but for spaces.
    pub fn uri(&self, issuer: &str, account: &str) -> String {
        let issuer = issuer.replace(' ', "%20");
        format!("otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}", self.reveal())
    }

    fn totp(&self) -> Totp {
        // Digits and steps are those of the standard unless others are asked for.
        Builder::new().with_secret(self.0.clone()).with_skew(STEPS_AROUND).build_noncompliant()
    }

    /// The code that is shown at this time.
    pub fn code(&self, now: u64) -> String {
        self.totp().generate(now).to_string()
    }

    /// The step of which this is the code, around this time.
    fn step(&self, now: u64, code: &str) -> Option<u64> {
        let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        self.totp().check(&digits, now)
    }
}

impl TryFrom<String> for TotpSecret {
    type Error = String;

    fn try_from(text: String) -> Result<TotpSecret, String> {
        // The secret is not repeated: messages reach consoles and logs.
        let secret = Secret::try_from_base32(&text).ok().filter(|secret| 16 <= secret.as_bytes().len());
        secret.map(TotpSecret).ok_or_else(|| "a secret is 128 bits or more in base 32".to_string())
    }
}

impl From<TotpSecret> for String {
    fn from(secret: TotpSecret) -> String {
        secret.reveal()
    }
}

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

/// A code that opens once, whatever the time.
pub struct RecoveryCode([u8; RECOVERY_LEN]);

impl RecoveryCode {
    /// A code from random bytes.
    pub fn new(random: [u8; RECOVERY_LEN]) -> RecoveryCode {
        RecoveryCode(random.map(secret::letter))
    }

    /// The code as people write it down.
    pub fn reveal(&self) -> String {
        let groups = self.0.chunks(4).map(|group| group.iter().map(|letter| char::from(*letter)).collect::<String>());
        groups.collect::<Vec<_>>().join("-")
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

/// Somebody's second factor as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondFactor {
    secret: TotpSecret,
    /// The step that opened last.
    used: u64,
    /// Those that have not been used.
    recovery: Vec<Digest>,
}

/// What opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// A code of an authenticator.
    Code,
    /// A recovery code; so many are left.
    Recovery(usize),
}

impl SecondFactor {
    /// One that is in force from now on, if this is the code that the authenticator shows.
    pub fn new(secret: TotpSecret, now: u64, code: &str, recovery: &[RecoveryCode]) -> Option<SecondFactor> {
        let used = secret.step(now, code)?;
        Some(SecondFactor { secret, used, recovery: recovery.iter().map(RecoveryCode::digest).collect() })
    }

    /// Opens with a code that has not been used, which is used by that.
    pub fn open(&mut self, now: u64, code: &str) -> Option<Opened> {
        if let Some(step) = self.secret.step(now, code) {
            if step <= self.used {
                return None;
            }
            self.used = step;
            return Some(Opened::Code);
        }
        let digest = Digest::of(&secret::typed_letters(code, RECOVERY_LEN));
        let before = self.recovery.len();
        self.recovery.retain(|recovery| *recovery != digest);
        (self.recovery.len() < before).then_some(Opened::Recovery(self.recovery.len()))
    }

    /// Counts as used what opened another state of the same.
    pub fn keep_used(&mut self, other: &SecondFactor) {
        if self.secret == other.secret {
            self.used = self.used.max(other.used);
        }
    }

    /// How many recovery codes are left.
    pub fn recovery_left(&self) -> usize {
        self.recovery.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_900_000_020;

    fn secret() -> TotpSecret {
        TotpSecret::new(*b"12345678901234567890")
    }

    fn recovery(byte: u8) -> RecoveryCode {
        RecoveryCode::new([byte; 16])
    }

    fn factor() -> SecondFactor {
        SecondFactor::new(secret(), NOW - 300, &secret().code(NOW - 300), &[recovery(1), recovery(2)]).unwrap()
    }

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        // Appendix B, of whose eight digits an authenticator shows the last six.
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code, secret().code(time), "{time}");
        }
    }

    #[test]
    fn a_step_before_and_one_after_are_near_enough_and_a_day_is_not() {
        for near in [NOW - 30, NOW, NOW + 30] {
            assert_eq!(Some(Opened::Code), factor().open(NOW, &secret().code(near)), "{near}");
        }
        for far in [NOW - 60, NOW + 60, NOW - 86_400, NOW + 86_400] {
            assert_eq!(None, factor().open(NOW, &secret().code(far)), "{far}");
        }
    }

    #[test]
    fn no_code_opens_twice_nor_one_from_before_it() {
        let mut factor = factor();
        assert_eq!(Some(Opened::Code), factor.open(NOW, &secret().code(NOW)));
        for used in [NOW, NOW - 30] {
            assert_eq!(None, factor.open(NOW, &secret().code(used)));
            assert_eq!(None, factor.open(NOW + 29, &secret().code(used)));
        }
        let stored = serde_json::to_string(&factor).unwrap();
        let mut factor: SecondFactor = serde_json::from_str(&stored).unwrap();
        assert_eq!(None, factor.open(NOW, &secret().code(NOW)), "after a restart");
        assert_eq!(Some(Opened::Code), factor.open(NOW, &secret().code(NOW + 30)));
    }

    #[test]
    fn the_code_that_set_it_up_opens_nothing_more() {
        let code = secret().code(NOW);
        assert_eq!(None, SecondFactor::new(secret(), NOW, &code, &[]).unwrap().open(NOW, &code));
        assert!(SecondFactor::new(secret(), NOW, "000000", &[]).is_none());
    }

    #[test]
    fn a_recovery_code_opens_once_whatever_the_time_and_however_it_is_typed() {
        let mut factor = factor();
        let (first, second) = (recovery(1).reveal(), recovery(2).reveal());
        assert_eq!("1111-1111-1111-1111", first);
        assert_eq!(
            Some(Opened::Recovery(1)),
            factor.open(0, &first.to_lowercase().replace('-', " ").replace('1', "l"))
        );
        assert_eq!(None, factor.open(NOW, &first));
        assert_eq!(Some(Opened::Recovery(0)), factor.open(u64::MAX / 2, &second));
        assert_eq!(0, factor.recovery_left());
    }

    #[test]
    fn what_is_no_code_opens_nothing() {
        let code = secret().code(NOW);
        for bad in
            ["", " ", &code[..5], &format!("{code}0"), "+12345", "١٢٣٤٥٦", "1111-1111-1111-111", &"1".repeat(10_000)]
        {
            assert_eq!(None, factor().open(NOW, bad), "{bad:?}");
        }
        assert_eq!(Some(Opened::Code), factor().open(NOW, &format!(" {} {}\n", &code[..3], &code[3..])));
    }

    #[test]
    fn what_is_stored_gives_no_recovery_code_away_and_debug_output_nothing() {
        let text = serde_json::to_string(&factor()).unwrap();
        assert!(!text.contains("1111"), "{text}");
        assert!(!format!("{:?}", factor()).contains(&secret().reveal()));
        assert!(TotpSecret::try_from("GEZDGNBV".to_string()).is_err(), "too short");
        assert!(TotpSecret::try_from("not base 32!".to_string()).is_err());
    }

    #[test]
    fn an_authenticator_is_told_who_and_where() {
        let uri = secret().uri("Farhand kvm", "anna@example.org");
        let expected = "otpauth://totp/Farhand%20kvm:anna@example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
                        &issuer=Farhand%20kvm";
        assert_eq!(expected, uri);
    }
}
