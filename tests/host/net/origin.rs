//! A web server from which updates are fetched, and which says exactly what a test wants said, true or not.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::bench::soon;

/// An authority of an owner's own.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(parameters, key) }
    }

    /// TLS for a server of this name or address, until that day.
    pub fn vouches(&self, name: &str, until: (i32, u8, u8)) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new([name.to_string()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

pub trait PictureSocket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> PictureSocket for S {}

/// The server. It ends with the test.
pub struct Origin {
    pub address: SocketAddr,
    asked: watch::Receiver<Vec<String>>,
    _server: JoinSet<()>,
}

impl Origin {
    /// Answers each request by `serve`, which is given the path and the connection. `at` is one of this machine's own
    /// addresses.
    pub async fn new<F, Served>(at: &str, tls: Option<TlsAcceptor>, serve: F) -> Origin
    where
        F: Fn(String, Box<dyn PictureSocket>) -> Served + Clone + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((at, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (notes, asked) = watch::channel(Vec::new());
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (tls, notes, serve) = (tls.clone(), notes.clone(), serve.clone());
                connections.spawn(async move {
                    let mut wire: Box<dyn PictureSocket> = match tls {
                        // Who does not believe the certificate ends the handshake.
                        Some(tls) => match tls.accept(tcp).await {
                            Ok(wire) => Box::new(wire),
                            Err(_) => return,
                        },
                        None => Box::new(tcp),
                    };
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        // Not everybody gets so far as to ask.
                        let Ok(byte) = wire.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).unwrap();
                    let path = head.split(' ').nth(1).unwrap().to_string();
                    notes.send_modify(|asked| asked.push(head));
                    serve(path, wire).await;
                });
            }
        });
        Origin { address, asked, _server: server }
    }

    /// One that sends the same to whoever asks, and then closes the connection.
    pub async fn saying(answer: impl Into<Vec<u8>>) -> Origin {
        let answer = answer.into();
        Origin::new("127.0.0.1", None, move |_, mut wire| {
            let answer = answer.clone();
            async move {
                // A client that gets more than it asked for may hang up earlier.
                let _ = wire.write_all(&answer).await;
                let _ = wire.shutdown().await;
            }
        })
        .await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The header of each request so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    /// Waits until somebody has asked.
    pub async fn wait_asked(&self) {
        let mut asked = self.asked.clone();
        soon("a request", asked.wait_for(|asked| !asked.is_empty())).await.unwrap();
    }
}

/// A whole answer with this body.
pub fn file(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub fn moved(status: u16, to: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}
