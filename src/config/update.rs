//! Where an update may be fetched from, if an owner wants that at all.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use crate::base::url::Url;
use crate::tls::authorities;

/// More than a handful of certificates.
const LONGEST: usize = 64 * 1024;

/// From where the appliance fetches an update when an administrator asks it to; by itself it never does.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Update {
    /// The address of the bundle.
    pub url: Option<Url>,
    /// The certificates, as PEM, of who vouches for that server in the place of the web's usual authorities.
    pub ca: Option<String>,
}

impl Update {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let conflict = |problem: String| Err(ConfigError::conflict("update.ca", problem));
        let Some(pem) = &self.ca else { return Ok(()) };
        if self.url.is_none() {
            return conflict("needs url = \"https://...\" beside it".into());
        }
        let accepted = format!(
            "must be one or more certificates in PEM, {LONGEST} bytes at most, each from a line \
             \"-----BEGIN CERTIFICATE-----\" to a line \"-----END CERTIFICATE-----\""
        );
        let begin: String = pem.trim().chars().take(40).collect();
        match authorities::roots(Some(pem)) {
            Ok(_) if pem.len() <= LONGEST => Ok(()),
            Ok(_) => conflict(format!("is {} bytes long: it {accepted}", pem.len())),
            Err(error) => conflict(format!("{begin:?}... {accepted}: {error}")),
        }
    }
}
