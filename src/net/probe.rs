//! Asks our own page how it is, as a browser would: over TLS, from outside the process.
//!
//! The certificate is compared with the one in our folder, and the one by which the page answered last, byte by byte,
//! so that nothing but this device's own page can answer. The request is three lines and the answer one object, for
//! which a client library would be a lot.

use std::io;
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

use crate::base::blocking::Lane;
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

/// How long the certificate may take to be read, of that time. The card may hang, and the page is there all the same.
const CERTIFICATE_TIMEOUT: Duration = Duration::from_secs(1);

/// Asks our page again and again, and remembers by what it is known.
#[derive(Debug)]
pub struct Probe {
    /// The certificate as it was last read.
    pem: String,
    /// The certificate by which the page answered last. A renewed one is in its file before the page offers it.
    answered: Option<CertificateDer<'static>>,
    /// Reads it, off a thread that may not wait.
    card: Lane,
}

impl Default for Probe {
    fn default() -> Probe {
        Probe { pem: String::new(), answered: None, card: Lane::new(CERTIFICATE_TIMEOUT) }
    }
}

impl Probe {
    /// Asks the page that listens at `address`, whose certificate is below `data`.
    pub async fn ask(&mut self, address: SocketAddr, data: &Path) -> Page {
        let path = data.join("tls/certificate.pem");
        let asked = async {
            self.read_certificate(move || files::read(&path)).await?;
            let certificate = CertificateDer::from_pem_slice(self.pem.as_bytes())
                .map_err(|error| format!("cannot read its certificate: {error}"))?;
            let ours = self.answered.iter().cloned().chain([certificate]).collect();
            exchange(loopback_twin(address), ours).await.map_err(|error| error.to_string())
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok((answer, certificate))) => {
                self.answered = certificate;
                read(&answer)
            }
            Ok(Err(why)) => Page::Silent(why),
            Err(_) => Page::Silent(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    /// Reads it every time: the daemon makes it at its first start, and an owner may put another in its place.
    async fn read_certificate(
        &mut self,
        read: impl FnOnce() -> io::Result<Option<String>> + Send + 'static,
    ) -> Result<(), String> {
        let read = self.card.run(read).await.map_err(io::Error::other).flatten();
        match read {
            Ok(pem) => self.pem = pem.unwrap_or_default(),
            // A card that cannot be read any more is no reason to stop the page that tells its owner so.
            Err(_) if !self.pem.is_empty() => (),
            Err(error) => return Err(format!("cannot read its certificate: {error}")),
        }
        Ok(())
    }
}

/// What the page says, and the one of `ours` by which it is known.
async fn exchange(
    address: SocketAddr,
    ours: Vec<CertificateDer<'static>>,
) -> Result<(String, Option<CertificateDer<'static>>), Box<dyn std::error::Error + Send + Sync>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Pinned { ours, provider: provider.clone() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let tcp = TcpStream::connect(address).await?;
    let mut tls = TlsConnector::from(Arc::new(config)).connect(ServerName::from(address.ip()), tcp).await?;
    let request = format!("GET /api/v1/health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    tls.write_all(request.as_bytes()).await?;
    let certificate = tls.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|one| one.clone().into_owned());
    let mut answer = String::new();
    tls.take(LONGEST).read_to_string(&mut answer).await?;
    Ok((answer, certificate))
}

/// What an answer of the daemon says of its page.
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

/// Trusts our own certificates, for whatever name and time.
#[derive(Debug)]
struct Pinned {
    ours: Vec<CertificateDer<'static>>,
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
        if self.ours.contains(end_entity) {
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

    #[tokio::test]
    async fn a_card_that_hangs_keeps_the_guard_for_a_moment_and_the_page_known() {
        let mut probe = Probe { card: Lane::new(Duration::from_millis(1)), ..Probe::default() };
        let (_wake, hangs) = std::sync::mpsc::channel::<()>();
        let hang = move || {
            let _ = hangs.recv();
            Ok(None)
        };
        let why = probe.read_certificate(hang).await.unwrap_err();
        assert!(why.contains("cannot read its certificate: storage does not answer"), "{why}");
        probe.pem = "read before".into();
        assert_eq!(Ok(()), probe.read_certificate(|| unreachable!("one read hangs already")).await);
        assert_eq!("read before", probe.pem);
    }

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
