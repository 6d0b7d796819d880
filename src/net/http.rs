//! Accepts connections, applies the limits that hold before anyone is known, and speaks HTTP/1.1.
//!
//! Everything that a stranger could use up has a bound here: connections, time for a handshake, time and space for a header.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use log::{debug, warn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::tasks::Stop;

use super::socket::{self, Takeover};
use super::strangers::Stranger;
use super::transport::{Socket, Transport};
use super::{Site, api, redirect};

/// Connections in all, on one listener. Beyond this, new ones are closed at once; strangers alone never get this far.
const CONNECTIONS: usize = 768;

/// A handshake, or a header, that takes longer is not meant to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest header, and at the same time hyper's smallest buffer: nobody needs more, and each connection holds one. It also
/// keeps hyper from taking the next picture of a stream before the last 8 KiB of the one before are leaving.
const HEADER: usize = 8 * 1024;

/// How many lines a header may have: browsers send twenty.
const HEADER_LINES: usize = 64;

/// How long an answer may take to leave after we, or the connection, are to end.
const GRACE: Duration = Duration::from_secs(1);

/// How a listener speaks.
#[derive(Clone)]
pub enum Front {
    /// Page, API and pictures over TLS.
    Tls(TlsAcceptor),
    /// The same without TLS: for this machine only.
    Plain,
    /// Nothing but the way to the port given here.
    Redirect(u16),
}

/// One connection, as its requests see it.
#[derive(Debug)]
pub struct Connection {
    peer: IpAddr,
    scheme: &'static str,
    stranger: Stranger,
    stop: Stop,
    takeover: Mutex<Option<Takeover>>,
}

impl Connection {
    /// The address at the other end, which no header can change.
    pub fn peer(&self) -> IpAddr {
        self.peer
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Whether there is TLS.
    pub fn is_secure(&self) -> bool {
        self.scheme == "https"
    }

    /// What tells that the daemon is to end.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Notes that a request on this connection came with a good credential.
    pub fn is_known(&self) {
        self.stranger.is_known();
    }

    /// Asks to have the connection once the answer under way has left.
    pub fn take_over(&self, takeover: Takeover) {
        *self.takeover.lock().unwrap_or_else(PoisonError::into_inner) = Some(takeover);
    }

    fn taken_over(&self) -> Option<Takeover> {
        self.takeover.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Serves a listener until told to stop, and then for as long as open answers need, up to a second.
pub async fn run(listener: TcpListener, front: Front, site: Arc<Site>, mut stop: Stop) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut clock = pin!(site.people.keep_time());
    loop {
        let accepted = tokio::select! {
            () = stop.requested() => break,
            Some(_) = connections.join_next() => continue,
            () = &mut clock => continue,
            accepted = listener.accept() => accepted,
        };
        match (accepted, places.clone().try_acquire_owned()) {
            (Ok((tcp, peer)), Ok(place)) => {
                connections.spawn(serve(tcp, peer, place, front.clone(), site.clone(), stop.clone()));
            }
            (Ok(_), Err(_)) => debug!("closed a new connection: there are {CONNECTIONS} already"),
            (Err(error), _) => {
                // Out of file descriptors, most likely: without a pause this would spin until one is closed.
                warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(2 * GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

async fn serve(
    tcp: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    front: Front,
    site: Arc<Site>,
    stop: Stop,
) {
    let peer = peer.ip().to_canonical();
    let scheme = if matches!(front, Front::Tls(_)) { "https" } else { "http" };
    let stranger = site.strangers.enter(peer);
    let connection = Arc::new(Connection { peer, scheme, stranger, stop, takeover: Mutex::new(None) });
    let ended = tokio::select! {
        ended = speak(tcp, &front, &site, &connection) => ended,
        () = connection.stranger.evicted() => return debug!("{peer}: closed to make room"),
    };
    match ended {
        Ok(Some((transport, early, takeover))) => {
            socket::run(transport, early, takeover, &site, connection.stop()).await
        }
        Ok(None) => (),
        Err(error) => debug!("{peer}: {error}"),
    }
    drop(place);
}

type Ended = Result<Option<(Transport, bytes::Bytes, Takeover)>, Box<dyn std::error::Error + Send + Sync>>;

/// Speaks HTTP until the connection ends, or is to be spoken otherwise.
async fn speak(tcp: TcpStream, front: &Front, site: &Arc<Site>, connection: &Arc<Connection>) -> Ended {
    let socket = Socket::new(tcp)?;
    let transport = match front {
        Front::Tls(acceptor) => Transport::Tls(Box::new(timeout(PATIENCE, acceptor.accept(socket)).await??)),
        Front::Plain | Front::Redirect(_) => Transport::Plain(socket),
    };
    let service = service_fn(|request| {
        let (site, connection, front) = (site.clone(), connection.clone(), front.clone());
        Box::pin(async move {
            let response = match front {
                Front::Redirect(port) => redirect::answer(&site, port, &request),
                _ => api::answer(&site, &connection, request).await,
            };
            Ok::<_, std::convert::Infallible>(response)
        })
    });
    let mut http = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEADER)
        .max_headers(HEADER_LINES)
        .serve_connection(TokioIo::new(transport), service);
    let mut stop = connection.stop();
    let spoken = tokio::select! {
        spoken = poll_fn(|context| http.poll_without_shutdown(context)) => Some(spoken),
        () = stop.requested() => None,
    };
    let spoken = match spoken {
        Some(spoken) => spoken,
        None => {
            Pin::new(&mut http).graceful_shutdown();
            timeout(GRACE, poll_fn(|context| http.poll_without_shutdown(context))).await?
        }
    };
    let parts = http.into_parts();
    let mut transport = parts.io.into_inner();
    if let (Ok(()), Some(takeover)) = (&spoken, connection.taken_over()) {
        return Ok(Some((transport, parts.read_buf, takeover)));
    }
    part(&mut transport).await?;
    Ok(spoken.map(|()| None)?)
}

/// Closes a connection so that what was sent last arrives: closing with unread bytes would make the kernel send a reset, which
/// overtakes it. How much is read and how long is bounded, since the other end may go on for ever.
pub async fn part(transport: &mut Transport) -> io::Result<()> {
    let mut sink = [0; 4096];
    let parting = async {
        transport.shutdown().await?;
        for _ in 0..64 {
            if transport.read(&mut sink).await? == 0 {
                break;
            }
        }
        Ok(())
    };
    timeout(GRACE, parting).await.unwrap_or(Ok(()))
}
