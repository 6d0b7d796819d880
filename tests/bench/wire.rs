//! Connects to a server, plainly or over TLS, and sends it one request.
//!
//! Clients share the machine with the server, so they must cost little: bytes that need not be looked at are discarded
//! in the kernel.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::sys::socket::{MsgFlags, recv};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest head of an answer, and of a part in it, that is accepted.
const LONGEST_HEAD: usize = 8192;

/// Where a server listens, and how.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    pub socket: SocketAddr,
    /// Whether it speaks TLS there.
    pub tls: bool,
}

pub enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    pub async fn connect(address: Address) -> io::Result<Connection> {
        let tcp = TcpStream::connect(address.socket).await?;
        tcp.set_nodelay(true)?;
        if !address.tls {
            return Ok(Connection::Plain(tcp));
        }
        let connector = TlsConnector::from(Arc::new(client_config()?));
        let tls = connector.connect(ServerName::from(address.socket.ip()), tcp).await?;
        Ok(Connection::Tls(Box::new(tls)))
    }

    /// Waits for some bytes. None means that the other side has closed.
    pub async fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Connection::Plain(tcp) => tcp.read(bytes).await,
            Connection::Tls(tls) => tls.read(bytes).await,
        }
    }

    /// Waits for some bytes, at most as many as `scratch` holds, and discards them.
    pub async fn discard(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        match self {
            // With this flag, TCP discards the bytes without copying them: tcp(7).
            Connection::Plain(tcp) => loop {
                tcp.readable().await?;
                let fd = tcp.as_raw_fd();
                let mut discard = || recv(fd, scratch, MsgFlags::MSG_TRUNC).map_err(io::Error::from);
                match tcp.try_io(Interest::READABLE, &mut discard) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                    result => return result,
                }
            },
            Connection::Tls(tls) => tls.read(scratch).await,
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Connection::Plain(tcp) => tcp.write_all(bytes).await,
            Connection::Tls(tls) => {
                tls.write_all(bytes).await?;
                tls.flush().await
            }
        }
    }
}

/// Sends a request and reads the head of the answer, which must have this status. Bytes after it are returned too.
pub async fn request(wire: &mut Connection, request: &str, status: u16) -> Result<(String, Vec<u8>), Box<dyn Error>> {
    wire.write(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    loop {
        let mut more = [0; 1024];
        let got = wire.read(&mut more).await?;
        bytes.extend_from_slice(&more[..got]);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let rest = bytes.split_off(end + 4);
            let head = String::from_utf8(bytes)?;
            let line = head.lines().next().unwrap_or_default();
            if line.split(' ').nth(1) != Some(&status.to_string()) {
                let asked = request.lines().next().unwrap_or_default();
                return Err(format!("{asked}: {line}: {}", String::from_utf8_lossy(&rest)).into());
            }
            return Ok((head, rest));
        }
        if got == 0 || LONGEST_HEAD < bytes.len() {
            return Err("the server did not answer in HTTP".into());
        }
    }
}

/// Trusts every certificate: the server has just made its own, on this machine.
fn client_config() -> io::Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let verifier = Arc::new(Trusting(provider));
    let builder = builder.map_err(io::Error::other)?.dangerous().with_custom_certificate_verifier(verifier);
    Ok(builder.with_no_client_auth())
}

#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer,
        _: &[CertificateDer],
        _: &ServerName,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
