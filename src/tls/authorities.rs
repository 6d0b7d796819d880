//! Decides which certificates show that a server is the one that an update is fetched from.
//!
//! The bundle's own signature protects the appliance. This keeps those on the way from holding an update back, or from
//! seeing what is fetched. Checking cannot be switched off; an owner with a server of their own names who vouches for
//! it.

use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};

use crate::tls;

/// Why there is nobody to believe.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// No certificate stands there.
    #[error("there is no certificate in it")]
    None,
    /// What stands there is not written as it should be.
    #[error("{0}")]
    Pem(#[from] pem::Error),
    /// It is not one.
    #[error("{0}")]
    Certificate(#[from] Error),
}

/// Those who are believed: the owners of these certificates, or Mozilla's list.
pub fn roots(pem: Option<&str>) -> Result<RootCertStore, TrustError> {
    let Some(pem) = pem else { return Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()) };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() { Err(TrustError::None) } else { Ok(roots) }
}

/// How to speak TLS as a client.
pub fn client(pem: Option<&str>) -> Result<Arc<ClientConfig>, TrustError> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(tls::provider(tls::has_aes())))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots(pem)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Why a server's certificate was not believed, for its owner; `None` if that is not what was wrong.
pub fn distrust(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let Error::InvalidCertificate(error) = error else { return None };
    Some(match error {
        // The second, where somebody has the name of one that it knows.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "nobody vouches for it whom this device knows; if the server is your own, name its authority in update.ca"
                .into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired, or this device's clock is wrong".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet, or this device's clock is wrong".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name".into()
        }
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use crate::tls::authorities::*;

    #[test]
    fn an_owner_names_one_authority_or_gets_the_usual_ones() {
        assert!(100 < roots(None).unwrap().len());
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
        assert_eq!(1, roots(Some(&pem)).unwrap().len());
        assert_eq!(2, roots(Some(&pem.repeat(2))).unwrap().len());
        assert!(matches!(roots(Some("")), Err(TrustError::None)));
        assert!(matches!(roots(Some(&key.serialize_pem())), Err(TrustError::None)), "a key is no certificate");
        assert!(roots(Some(&pem.replace("-----END", "---END"))).is_err());
        assert!(roots(Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")).is_err());
    }
}
