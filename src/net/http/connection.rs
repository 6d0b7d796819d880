//! Speaks HTTP/1.1 on one connection.
//!
//! Everything that a stranger could use up has a bound here: time for a handshake, time and space for a header. A
//! connection ends with the session whose pictures it carries, whether or not the other end still reads.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use log::debug;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::body::Body;
use crate::base::tasks::Stop;
use crate::net::gate::accept::Guest;
use crate::net::gate::transport::{GRACE, Socket, Transport};
use crate::net::gate::unauthenticated::UnauthenticatedConnection;

/// A handshake, or a header, that takes longer is not meant to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest header, and at the same time hyper's smallest buffer: nobody needs more, and each connection holds one.
/// It also keeps hyper from taking the next picture of a stream before the last 8 KiB of the one before are leaving.
const HEADER: usize = 8 * 1024;

/// How many lines a header may have: browsers send twenty.
const HEADER_LINES: usize = 64;

/// How long an answer may take to leave once the session that it belongs to has ended. Who reads has it by then.
const AFTER_SESSION: Duration = Duration::from_millis(300);

/// What becomes of a request. It must be cheap to hold: each connection has it.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request, whatever it is.
    fn answer(
        self: Arc<Self>,
        connection: Arc<Connection>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// A future that somebody else made.
pub type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What is spoken on a connection after HTTP: it is given the transport, and what was read of it already.
pub type Upgrade = Box<dyn FnOnce(Transport, Bytes) -> Running<()> + Send>;

/// A connection as those who answer see it.
pub struct Connection {
    peer: IpAddr,
    scheme: &'static str,
    unauthenticated: UnauthenticatedConnection,
    stop: Stop,
    upgrade: Mutex<Option<Upgrade>>,
    end: Mutex<Option<Running<()>>>,
    has_end: Notify,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).field("scheme", &self.scheme).finish_non_exhaustive()
    }
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
        *lock(&self.upgrade) = Some(upgrade);
    }

    /// Has the connection end when `end` comes, whatever is under way by then.
    pub fn end_with(&self, end: impl Future<Output = ()> + Send + 'static) {
        *lock(&self.end) = Some(Box::pin(end));
        self.has_end.notify_one();
    }

    fn upgraded(&self) -> Option<Upgrade> {
        lock(&self.upgrade).take()
    }

    /// Waits for the end that was set last.
    async fn ended(&self) {
        let mut end: Option<Running<()>> = None;
        loop {
            tokio::select! {
                () = self.has_end.notified() => end = lock(&self.end).take(),
                () = async { if let Some(end) = &mut end { end.await } }, if end.is_some() => return,
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Whoever panicked has changed nothing by halves: each change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one connection until it ends: with TLS if there is an acceptor.
pub async fn serve(guest: Guest, tls: Option<TlsAcceptor>, handler: Arc<impl Handler>, stop: Stop) {
    let Guest { tcp, peer, unauthenticated, place } = guest;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let (upgrade, end, has_end) = (Mutex::default(), Mutex::default(), Notify::new());
    let connection = Arc::new(Connection { peer, scheme, unauthenticated, stop, upgrade, end, has_end });
    let ended = tokio::select! {
        ended = speak(tcp, tls, handler, &connection) => ended,
        () = connection.unauthenticated.evicted() => return debug!("{peer}: closed to make room"),
    };
    match ended {
        Ok(Some((transport, early, upgrade))) => upgrade(transport, early).await,
        Ok(None) => (),
        Err(error) => debug!("{peer}: {error}"),
    }
    drop(place);
}

type Ended = Result<Option<(Transport, Bytes, Upgrade)>, Box<dyn Error + Send + Sync>>;

/// Speaks HTTP until the connection ends, or is to be spoken otherwise.
async fn speak(
    tcp: TcpStream,
    tls: Option<TlsAcceptor>,
    handler: Arc<impl Handler>,
    connection: &Arc<Connection>,
) -> Ended {
    let socket = Socket::new(tcp)?;
    let transport = match tls {
        Some(tls) => Transport::Tls(Box::new(timeout(PATIENCE, tls.accept(socket)).await??)),
        None => Transport::Plain(socket),
    };
    let service = service_fn(|request| {
        let answer = handler.clone().answer(connection.clone(), request);
        Box::pin(async move { Ok::<_, Infallible>(answer.await) })
    });
    let mut http = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEADER)
        .max_headers(HEADER_LINES)
        .serve_connection(TokioIo::new(transport), service);
    let mut stop = connection.stop();
    let left = tokio::select! {
        spoken = poll_fn(|context| http.poll_without_shutdown(context)) => Err(spoken),
        () = stop.requested() => Ok(GRACE),
        () = connection.ended() => Ok(AFTER_SESSION),
    };
    let spoken = match left {
        Err(spoken) => spoken,
        Ok(left) => {
            Pin::new(&mut http).graceful_shutdown();
            match timeout(left, poll_fn(|context| http.poll_without_shutdown(context))).await {
                Ok(spoken) => spoken,
                Err(late) => {
                    // Who does not read would otherwise be sent what waits in the kernel, for as long as that takes.
                    http.into_parts().io.into_inner().cut();
                    return Err(late.into());
                }
            }
        }
    };
    let parts = http.into_parts();
    let mut transport = parts.io.into_inner();
    if let (Ok(()), Some(upgrade)) = (&spoken, connection.upgraded()) {
        return Ok(Some((transport, parts.read_buf, upgrade)));
    }
    transport.part().await?;
    Ok(spoken.map(|()| None)?)
}
