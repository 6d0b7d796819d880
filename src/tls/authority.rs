//! Vouches for this device's own certificates.
//!
//! A browser that has been told to trust the authority believes every certificate that it issues, so these may be
//! short-lived and change with names and addresses, and nobody is asked again. The authority may issue certificates for
//! servers and for no further authority. Its key is made at the first start and never leaves the data folder.

use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SerialNumber,
};
use serde::{Deserialize, Serialize};

use super::TlsError;

/// How long an authority lasts: about as long as the device.
const AUTHORITY_DAYS: u64 = 3653;

/// How long a certificate lasts: what Apple's devices accept of an authority that their owner trusts. Without a time
/// server it begins at the day of the build, and a shorter one would have ended by the browser's clock sooner.
const CERTIFICATE_DAYS: u64 = 825;

/// How long before now either begins, for clients whose clocks are behind.
const SLACK: u64 = DAY;

/// We renew one that is valid for no longer than this.
const RENEWAL: u64 = 30 * DAY;

/// Seconds in a day.
const DAY: u64 = 24 * 3600;

/// No time before this is right: a board without a battery may think that it is 1970. 2026-01-01.
const EARLIEST: u64 = 1_767_225_600;

/// From when to when something is valid, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Validity {
    from: u64,
    until: u64,
}

impl Validity {
    fn new(now: u64, days: u64) -> Validity {
        let from = now.max(EARLIEST) - SLACK;
        Validity { from, until: from + days * DAY }
    }

    /// Whether it is time for another: soon over, or not begun, because the clock has been put right.
    pub(super) fn needs_renewal(self, now: u64) -> bool {
        let now = now.max(EARLIEST);
        now < self.from || self.until.saturating_sub(RENEWAL) <= now
    }

    fn set(self, parameters: &mut CertificateParams) {
        let time = |seconds| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        (parameters.not_before, parameters.not_after) = (time(self.from), time(self.until));
    }
}

/// The authority, as it is stored: whole in one file, so that no power cut leaves half of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Authority {
    schema: u32,
    name: String,
    validity: Validity,
    certificate: String,
    key: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Authority").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes one for the device of this name.
    pub(super) fn new(device: &str, now: u64) -> Result<Authority, TlsError> {
        // Two of the same name and different keys confuse browsers, such as before and after a factory reset.
        let number: String = random::<4>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        Authority::made(format!("{device} authority {number}"), KeyPair::generate()?, now)
    }

    fn made(name: String, key: KeyPair, now: u64) -> Result<Authority, TlsError> {
        let validity = Validity::new(now, AUTHORITY_DAYS);
        let certificate = parameters(&name, validity)?.self_signed(&key)?.pem();
        Ok(Authority { schema: 1, name, validity, certificate, key: key.serialize_pem() })
    }

    /// Reads what is stored; `None` if that cannot be used.
    pub(super) fn parse(text: &str) -> Option<Authority> {
        let authority: Authority = serde_json::from_str(text).ok()?;
        KeyPair::from_pem(&authority.key).is_ok().then_some(authority)
    }

    /// What [`Authority::parse`] reads.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("names, numbers and PEM are plain data with string keys")
    }

    /// Another for the same key and name, if this one's time comes to its end.
    pub(super) fn renewed(&self, now: u64) -> Result<Option<Authority>, TlsError> {
        if !self.validity.needs_renewal(now) {
            return Ok(None);
        }
        Authority::made(self.name.clone(), KeyPair::from_pem(&self.key)?, now).map(Some)
    }

    /// Its certificate, which opens nothing.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Issues a certificate to a key, for names and addresses.
    pub(super) fn issue(
        &self,
        key: &KeyPair,
        subjects: &[String],
        now: u64,
    ) -> Result<(Certificate, Validity), TlsError> {
        let mut validity = Validity::new(now, CERTIFICATE_DAYS);
        validity.until = validity.until.min(self.validity.until);
        let mut leaf = CertificateParams::new(subjects)?;
        leaf.distinguished_name = name(subjects.first().map_or("farhand", String::as_str));
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        leaf.serial_number = Some(serial()?);
        validity.set(&mut leaf);
        let issuer = Issuer::new(parameters(&self.name, self.validity)?, KeyPair::from_pem(&self.key)?);
        Ok((leaf.signed_by(key, &issuer)?, validity))
    }
}

fn parameters(own_name: &str, validity: Validity) -> Result<CertificateParams, TlsError> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = name(own_name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.serial_number = Some(serial()?);
    validity.set(&mut parameters);
    Ok(parameters)
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// A number that no other certificate of the same issuer has; browsers refuse a second one. The library would make it
/// from the key, which stays the same.
fn serial() -> Result<SerialNumber, TlsError> {
    let mut bytes = random::<16>()?;
    // RFC 5280 section 4.1.2.2: positive, and not zero.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from(bytes.to_vec()))
}

fn random<const N: usize>() -> Result<[u8; N], TlsError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = EARLIEST + 1000 * DAY;

    #[test]
    fn a_certificate_is_renewed_before_it_ends_and_when_the_clock_is_put_right() {
        let validity = Validity::new(NOW, CERTIFICATE_DAYS);
        assert!(validity.until - validity.from <= 825 * DAY);
        assert!(!validity.needs_renewal(NOW) && !validity.needs_renewal(NOW + 793 * DAY));
        assert!(validity.needs_renewal(NOW + 794 * DAY));
        assert!(validity.needs_renewal(NOW - 2 * DAY), "made by a clock that was ahead");
        let early = Validity::new(0, CERTIFICATE_DAYS);
        assert!(!early.needs_renewal(0) && early.needs_renewal(NOW), "made in 1970");
    }

    #[test]
    fn an_authority_reads_back_and_is_renewed_for_the_same_key() {
        let authority = Authority::new("kvm", NOW).unwrap();
        let read = Authority::parse(&authority.to_text()).unwrap();
        assert_eq!((&authority.name, &authority.certificate), (&read.name, &read.certificate));
        assert!(read.renewed(NOW + 3600 * DAY).unwrap().is_none());
        let next = read.renewed(NOW + 3640 * DAY).unwrap().unwrap();
        assert_eq!((&authority.name, &authority.key), (&next.name, &next.key));
        assert_ne!(authority.certificate, next.certificate);
        assert!(!format!("{authority:?}").contains("PRIVATE"));
        for damaged in ["", "{}", &authority.to_text().replace("BEGIN PRIVATE", "PRIVATE")] {
            assert!(Authority::parse(damaged).is_none(), "{damaged}");
        }
    }

    #[test]
    fn no_certificate_outlives_its_authority() {
        let authority = Authority::new("kvm", NOW).unwrap();
        let key = KeyPair::generate().unwrap();
        let (_, validity) = authority.issue(&key, &["kvm".to_string()], NOW + 3600 * DAY).unwrap();
        assert_eq!(authority.validity.until, validity.until);
    }
}
