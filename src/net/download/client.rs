//! Asks a web server for one file.
//!
//! No more of HTTP than that needs: one request on a connection of its own, without a cookie, a password or a cache.
//! The address that was checked is the one that is connected to, whatever its name means a moment later.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::Builder;
use hyper::header::{CONTENT_ENCODING, HOST, HeaderMap, LOCATION, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::base::url::{Host, Url};
use crate::net::download::error::FetchError;
use crate::net::download::reach::Way;
use crate::net::gate::transport::Socket;
use crate::tls::authorities;
use crate::update::LARGEST;

/// How long a name, a connection, a handshake, or an answer's header may each take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The longest header that is read. Those of big hosts are 6 KiB, of security policies mostly.
const HEADER: usize = 32 * 1024;

/// What a server has to say.
pub(super) enum Reply {
    /// A redirect to this address.
    Elsewhere(Url),
    /// The file that was asked for.
    File(Download),
}

/// A file that comes. Dropped, its connection is closed.
pub(super) struct Download {
    pub len: u64,
    pub body: Incoming,
    _line: JoinSet<()>,
}

/// Asks for what is at `url`.
pub(super) async fn ask(url: &Url, way: &mut Way<'_>, tls: &Arc<ClientConfig>) -> Result<Reply, FetchError> {
    let tcp = connect(url, way).await?;
    if !url.is_secure() {
        return speak(url, tcp).await;
    }
    let silent = || FetchError::Silent(url.authority());
    let name = match url.host() {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| silent())?,
        Host::Address(address) => ServerName::from(*address),
    };
    let stream = timeout(PATIENCE, TlsConnector::from(tls.clone()).connect(name, tcp)).await.map_err(|_| silent())?;
    let stream = stream.map_err(|error| match authorities::distrust(&error) {
        Some(why) => FetchError::Distrusted { host: url.authority(), why },
        None => FetchError::NoTls { host: url.authority(), source: error },
    })?;
    speak(url, stream).await
}

/// Connects to the first of the server's addresses that may be and answers.
async fn connect(url: &Url, way: &mut Way<'_>) -> Result<Socket, FetchError> {
    let host = url.authority();
    let found: Vec<SocketAddr> = match url.host() {
        Host::Address(address) => vec![SocketAddr::new(*address, url.port())],
        Host::Name(name) => {
            let unknown = || FetchError::Unknown(host.clone());
            let found = timeout(PATIENCE, lookup_host((name.as_str(), url.port()))).await.map_err(|_| unknown())?;
            found.map_err(|_| unknown())?.collect()
        }
    };
    let mut outcome = Err(FetchError::Unknown(host.clone()));
    for address in found {
        if !way.leads_to(url, address.ip()) {
            outcome = Err(FetchError::Inward { host: host.clone(), address: address.ip() });
            continue;
        }
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            // Whoever answers at an address of ours is ourselves.
            Ok(Ok(tcp)) if !way.is_meant(url) && is_ours(&tcp) => {
                outcome = Err(FetchError::Inward { host: host.clone(), address: address.ip() });
                continue;
            }
            Ok(Ok(tcp)) => {
                way.went_to(address.ip());
                return Socket::new(tcp).map_err(|_| FetchError::Silent(host));
            }
            Ok(Err(error)) => log::info!("{host}, {address}: {error}"),
            Err(_) => log::info!("{host}, {address}: no connection within {} s", PATIENCE.as_secs()),
        }
        outcome = Err(FetchError::Silent(host.clone()));
    }
    outcome
}

fn is_ours(tcp: &TcpStream) -> bool {
    let ends = (tcp.local_addr(), tcp.peer_addr());
    matches!(ends, (Ok(ours), Ok(theirs)) if ours.ip() == theirs.ip())
}

/// Sends the request, and reads the answer's header.
async fn speak<S>(url: &Url, stream: S) -> Result<Reply, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let host = url.authority();
    let nonsense = |source| FetchError::Nonsense { host: host.clone(), source };
    // No Accept-Encoding, so that what comes is as long as the header says.
    let request =
        Request::get(url.path()).header(HOST, &host).header(USER_AGENT, "farhand").body(Empty::<Bytes>::new());
    let request = request.map_err(|_| FetchError::Silent(host.clone()))?;
    let (mut sender, line) = Builder::new()
        .max_header_size(HEADER)
        .max_buf_size(HEADER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(nonsense)?;
    let mut lines = JoinSet::new();
    lines.spawn(async move {
        // Its end shows where the answer is read.
        let _ = line.await;
    });
    let answer = timeout(PATIENCE, sender.send_request(request)).await;
    read(url, answer.map_err(|_| FetchError::Silent(host.clone()))?.map_err(nonsense)?, lines)
}

/// Tells a redirect from a file, and from what is of no use.
fn read(url: &Url, answer: Response<Incoming>, line: JoinSet<()>) -> Result<Reply, FetchError> {
    let host = url.authority();
    let status = answer.status();
    if let (301 | 302 | 303 | 307 | 308, Some(location)) = (status.as_u16(), text(answer.headers(), LOCATION)) {
        let to = url.follow(location).map_err(|why| {
            // Enough to find it by.
            let to = location.chars().take(100).collect();
            FetchError::Misled { host, to, why }
        })?;
        return Ok(Reply::Elsewhere(to));
    }
    if status != 200 {
        return Err(FetchError::Answered { host, status: status.as_u16() });
    }
    if text(answer.headers(), CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(FetchError::Packed(host));
    }
    match answer.body().size_hint().exact() {
        None | Some(0) => Err(FetchError::NoLength(host)),
        Some(len) if LARGEST < len => Err(FetchError::TooLong { host }),
        Some(len) => Ok(Reply::File(Download { len, body: answer.into_body(), _line: line })),
    }
}

fn text(headers: &HeaderMap, name: hyper::header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use crate::net::download::client::*;

    #[tokio::test]
    async fn whoever_has_our_own_address_is_ourselves() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(is_ours(&TcpStream::connect(address).await.unwrap()));
        let elsewhere = TcpSocket::new_v4().unwrap();
        elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        assert!(!is_ours(&elsewhere.connect(address).await.unwrap()));
    }
}
