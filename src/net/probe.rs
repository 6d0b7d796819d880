//! Asks our own page how it is, as a browser would: over TLS, from outside the process.
//!
//! The certificate is compared with the one in our folder, byte by byte, so that nothing but this device's own page can
//! answer. The request is three lines and the answer one object, for which a client library would be a lot.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::base::files;
use crate::health::judge::Page;

use crate::net::gate::listen::loopback_twin;

/// How long an answer may take. A page slower than this is of no use to a person either.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// More than any answer to this request has.
const LONGEST: u64 = 16 * 1024;

/// Asks the page that listens at `address`, whose certificate is below `data`.
pub async fn ask(address: SocketAddr, data: &Path) -> Page {
    Probe::default().ask(address, data).await
}

/// Asks our page again and again, and remembers by what it is known.
#[derive(Debug, Default)]
pub struct Probe {
    /// The certificate as it was last read.
    pem: String,
}

impl Probe {
    /// Asks the page that listens at `address`, whose certificate is below `data`.
    pub async fn ask(&mut self, address: SocketAddr, data: &Path) -> Page {
        // Read every time: the daemon makes it at its first start, and an owner may put another in its place.
        match files::read(&data.join("tls/certificate.pem")) {
            Ok(pem) => self.pem = pem.unwrap_or_default(),
            // A card that cannot be read any more is no reason to give up the page that tells its owner so.
            Err(_) if !self.pem.is_empty() => (),
            Err(error) => return Page::Silent(format!("cannot read its certificate: {error}")),
        }
        match timeout(PATIENCE, exchange(loopback_twin(address), &self.pem)).await {
            Ok(Ok(answer)) => read(&answer),
            Ok(Err(error)) => Page::Silent(error.to_string()),
            Err(_) => Page::Silent(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }
}

async fn exchange(address: SocketAddr, pem: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| format!("cannot read its certificate: {error}"))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Pinned { certificate, provider: provider.clone() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let tcp = TcpStream::connect(address).await?;
    let mut tls = TlsConnector::from(Arc::new(config)).connect(ServerName::from(address.ip()), tcp).await?;
    let request = format!("GET /api/v1/health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    tls.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    tls.take(LONGEST).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Reads an answer.
fn read(answer: &str) -> Page {
    #[derive(Deserialize)]
    struct Outer {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        message: String,
    }
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    match status {
        "200" => Page::Well,
        "503" => match serde_json::from_str::<Outer>(body) {
            Ok(outer) => Page::Unwell(outer.error.message),
            Err(_) => Page::Silent("it answers nonsense".into()),
        },
        _ => Page::Silent(format!("it answers with status {status:?}")),
    }
}

/// Trusts one certificate, for whatever name and time: it is our own.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_its_status_says() {
        assert_eq!(Page::Well, read("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"ok\":true}"));
        let unwell = "HTTP/1.1 503 Service Unavailable\r\n\r\n{\"error\":{\"code\":\"unwell\",\"message\":\"hung\"}}";
        assert_eq!(Page::Unwell("hung".into()), read(unwell));
        for other in ["", "HTTP/1.1", "HTTP/1.1 200", "HTTP/1.1 307 x\r\n\r\n", "HTTP/1.1 503 x\r\n\r\n<html>"] {
            assert_eq!(other == "HTTP/1.1 200", read(other) == Page::Well, "{other}");
        }
    }
}
