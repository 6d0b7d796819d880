//! Makes, keeps and offers the certificate of this device.
//!
//! Every device makes its own key at its first start, so that no two share one and no image contains one. The certificate
//! signs itself: whoever wants their browser's blessing puts their own two files in its place. When the names by which we
//! answer change, a certificate of ours is made anew for the same key; one that somebody else put there is left alone.

pub mod authorities;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;

use crate::base::files;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{}: cannot {op}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        op: &'static str,
        /// Why it did not work.
        source: io::Error,
    },
    /// A file is there and is not what it should be.
    #[error("{}: not a usable {what}; delete {} to have new ones made", path.display(), remedy.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What to delete.
        remedy: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The library that makes certificates failed.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
}

/// Reads key and certificate from `folder`, makes what is missing, and gets ready to speak TLS with them.
pub fn acceptor(folder: &Path, names: &[String]) -> Result<TlsAcceptor, TlsError> {
    let (key_path, certificate_path) = (folder.join("key.pem"), folder.join("certificate.pem"));
    files::create_folder(folder).map_err(|source| file(folder, "create", source))?;
    // First the key, then the certificate: a power cut between the two leaves a key without a certificate, which is fine.
    if !exists(&key_path)? {
        let key = KeyPair::generate()?;
        files::write_whole(&key_path, key.serialize_pem().as_bytes())
            .map_err(|source| file(&key_path, "write", source))?;
    }
    let broken = |path: &Path, what, source| TlsError::Broken {
        path: path.to_path_buf(),
        what,
        remedy: folder.to_path_buf(),
        source,
    };
    let made_path = folder.join("made.json");
    if !exists(&certificate_path)? || is_outdated(&certificate_path, &made_path, names)? {
        let text = fs::read_to_string(&key_path).map_err(|source| file(&key_path, "read", source))?;
        let key = KeyPair::from_pem(&text).map_err(|error| broken(&key_path, "private key", error.into()))?;
        let certificate = parameters(names)?.self_signed(&key)?;
        files::write_whole(&certificate_path, certificate.pem().as_bytes())
            .map_err(|source| file(&certificate_path, "write", source))?;
        let made = Made { names: names.to_vec(), sha256: digest(certificate.pem().as_bytes()) };
        let made = serde_json::to_vec(&made).expect("names and digits are plain data with string keys");
        files::write_whole(&made_path, &made).map_err(|source| file(&made_path, "write", source))?;
    }

    let key =
        PrivateKeyDer::from_pem_file(&key_path).map_err(|error| broken(&key_path, "private key", error.into()))?;
    let chain: Vec<CertificateDer> = CertificateDer::pem_file_iter(&certificate_path)
        .and_then(|certificates| certificates.collect())
        .map_err(|error| broken(&certificate_path, "certificate", error.into()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider(has_aes())))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| broken(&certificate_path, "certificate for key.pem", error.into()))?;
    // The client's order fits the client's processor. It is ours that has to encrypt thirty pictures a second.
    config.ignore_client_order = true;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What we remember of the certificate that we made last.
#[derive(Serialize, Deserialize)]
struct Made {
    /// For these names.
    names: Vec<String>,
    /// Its file's hash, by which we know it from one that somebody else put in its place.
    sha256: String,
}

/// Whether the certificate is ours and for other names than we now have.
fn is_outdated(certificate: &Path, made: &Path, names: &[String]) -> Result<bool, TlsError> {
    let text = files::read(made).map_err(|source| file(made, "read", source))?;
    // Damaged is as good as missing: then nothing proves that it is ours.
    let Some(made) = text.and_then(|text| serde_json::from_str::<Made>(&text).ok()) else { return Ok(false) };
    let bytes = fs::read(certificate).map_err(|source| file(certificate, "read", source))?;
    Ok(made.sha256 == digest(&bytes) && made.names != names)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn exists(path: &Path) -> Result<bool, TlsError> {
    path.try_exists().map_err(|source| file(path, "look for", source))
}

fn file(path: &Path, op: &'static str, source: io::Error) -> TlsError {
    TlsError::File { path: path.to_path_buf(), op, source }
}

fn parameters(names: &[String]) -> Result<CertificateParams, TlsError> {
    let mut subjects = names.to_vec();
    subjects.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
    let mut parameters = CertificateParams::new(subjects)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, names.first().map_or("farhand", String::as_str));
    parameters.distinguished_name = name;
    // A Pi has no clock of its own and may think that it is 1970 when it makes this. The far end is the last year that
    // X.509 can write in two digits.
    parameters.not_before = rcgen::date_time_ymd(1970, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2049, 12, 31);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(parameters)
}

/// The cipher suites in the order in which they are fast here.
pub fn provider(has_aes: bool) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    // Stable: among equals the library's own order stays. AES in software is slower than ChaCha20, and leaks by timing.
    provider.cipher_suites.sort_by_key(|suite| {
        let chacha = format!("{:?}", suite.suite()).contains("CHACHA20");
        let light = format!("{:?}", suite.suite()).contains("AES_128");
        (chacha == has_aes, !light)
    });
    provider
}

/// Whether the processor has instructions for AES; that of a Pi 4 has none.
pub fn has_aes() -> bool {
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use crate::tls::*;

    fn first_suite(has_aes: bool) -> String {
        format!("{:?}", provider(has_aes).cipher_suites[0].suite())
    }

    #[test]
    fn the_fastest_suite_comes_first() {
        assert_eq!("TLS13_CHACHA20_POLY1305_SHA256", first_suite(false));
        assert_eq!("TLS13_AES_128_GCM_SHA256", first_suite(true));
        let suites = provider(false).cipher_suites;
        assert_eq!(aws_lc_rs::default_provider().cipher_suites.len(), suites.len());
        assert!(format!("{:?}", suites[1].suite()).contains("CHACHA20"), "with TLS 1.2 too");
    }
}
