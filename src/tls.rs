//! Speaks TLS: with which certificate, with which ciphers, and believing whom.

pub mod authorities;
mod authority;
pub mod certificates;

use std::io;
use std::path::PathBuf;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{}: cannot {op}", path.display())]
    File { path: PathBuf, op: &'static str, source: io::Error },
    /// A file is there and is not what it should be.
    #[error("{}: not a usable {what}; delete {} to have new ones made", path.display(), remedy.display())]
    Broken { path: PathBuf, what: &'static str, remedy: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// The library that makes certificates failed.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// The library that speaks TLS failed.
    #[error("cannot speak TLS")]
    Speak(#[from] rustls::Error),
    #[error("the kernel gives no random numbers")]
    Random(#[from] getrandom::Error),
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
