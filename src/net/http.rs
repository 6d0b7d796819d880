//! Accepts connections, applies the limits that hold before anyone is known, and speaks HTTP/1.1.
//!
//! Everything that a stranger could use up has a bound here: connections, time for a handshake, time and space for a header.

pub mod codes;
pub mod problem;

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
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

use crate::base::tasks::Stop;

use super::{Site, api, redirect};
use crate::net::gate::transport::{Socket, Transport};
use crate::net::gate::unauthenticated::UnauthenticatedConnection;
use crate::net::ws::socket;
use crate::net::ws::socket::Upgrade;

/// Connections in all, on one listener. Beyond this, new ones are closed at once; strangers alone never get this far.
const CONNECTIONS: usize = 768;

/// Connections from this machine beyond that: the guard must get its answer, however many have logged in, or it would restart
/// the machine.
const SPARE: usize = 8;

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
pub enum ListenerKind {
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
    unauthenticated: UnauthenticatedConnection,
    stop: Stop,
    upgrade: Mutex<Option<Upgrade>>,
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
    pub fn mark_authenticated(&self) {
        self.unauthenticated.mark_authenticated();
    }

    /// Asks to have the connection once the answer under way has left.
    pub fn upgrade_with(&self, upgrade: Upgrade) {
        *self.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
    }

    fn upgraded(&self) -> Option<Upgrade> {
        self.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The connections that there is room for.
struct Places {
    all: Arc<Semaphore>,
    spare: Arc<Semaphore>,
}

impl Places {
    fn new(all: usize, spare: usize) -> Places {
        Places { all: Arc::new(Semaphore::new(all)), spare: Arc::new(Semaphore::new(spare)) }
    }

    /// A place for a connection from this address, until it is dropped.
    fn take(&self, peer: IpAddr) -> Option<OwnedSemaphorePermit> {
        let usual = self.all.clone().try_acquire_owned().ok();
        usual.or_else(|| {
            let is_ours = peer.to_canonical().is_loopback();
            is_ours.then(|| self.spare.clone().try_acquire_owned().ok()).flatten()
        })
    }
}

/// Serves a listener until told to stop, and then for as long as open answers need, up to a second.
pub async fn run(listener: TcpListener, front: ListenerKind, site: Arc<Site>, mut stop: Stop) {
    let places = Places::new(CONNECTIONS, SPARE);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.requested() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted.map(|(tcp, peer)| (tcp, peer, places.take(peer.ip()))) {
            Ok((tcp, peer, Some(place))) => {
                connections.spawn(serve(tcp, peer, place, front.clone(), site.clone(), stop.clone()));
            }
            Ok((_, _, None)) => debug!("closed a new connection: there are {CONNECTIONS} already"),
            Err(error) => {
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
    front: ListenerKind,
    site: Arc<Site>,
    stop: Stop,
) {
    let peer = peer.ip().to_canonical();
    let scheme = if matches!(front, ListenerKind::Tls(_)) { "https" } else { "http" };
    let unauthenticated = site.limiter.enter(peer);
    let connection = Arc::new(Connection { peer, scheme, unauthenticated, stop, upgrade: Mutex::new(None) });
    let ended = tokio::select! {
        ended = speak(tcp, &front, &site, &connection) => ended,
        () = connection.unauthenticated.evicted() => return debug!("{peer}: closed to make room"),
    };
    match ended {
        Ok(Some((transport, early, upgrade))) => socket::run(transport, early, upgrade, &site, connection.stop()).await,
        Ok(None) => (),
        Err(error) => debug!("{peer}: {error}"),
    }
    drop(place);
}

type Ended = Result<Option<(Transport, bytes::Bytes, Upgrade)>, Box<dyn std::error::Error + Send + Sync>>;

/// Speaks HTTP until the connection ends, or is to be spoken otherwise.
async fn speak(tcp: TcpStream, front: &ListenerKind, site: &Arc<Site>, connection: &Arc<Connection>) -> Ended {
    let socket = Socket::new(tcp)?;
    let transport = match front {
        ListenerKind::Tls(acceptor) => Transport::Tls(Box::new(timeout(PATIENCE, acceptor.accept(socket)).await??)),
        ListenerKind::Plain | ListenerKind::Redirect(_) => Transport::Plain(socket),
    };
    let service = service_fn(|request| {
        let (site, connection, front) = (site.clone(), connection.clone(), front.clone());
        Box::pin(async move {
            let response = match front {
                ListenerKind::Redirect(port) => redirect::answer(&site, port, &request),
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
    if let (Ok(()), Some(upgrade)) = (&spoken, connection.upgraded()) {
        return Ok(Some((transport, parts.read_buf, upgrade)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_finds_a_place_when_there_is_none_left_for_others() {
        let places = Places::new(2, 1);
        let (outside, inside) = (IpAddr::from([192, 0, 2, 1]), "::ffff:127.0.0.1".parse().unwrap());
        let held = [places.take(outside), places.take(outside)];
        assert!(held.iter().all(Option::is_some) && places.take(outside).is_none());
        let guard = places.take(inside);
        assert!(guard.is_some() && places.take(inside).is_none(), "a few, and not without end");
        drop(guard);
        assert!(places.take(inside).is_some() && places.take(outside).is_none());
    }
}
