//! Accepts connections, as many as there is room for.
//!
//! What is spoken on them is decided above. The bounds here hold before anything has been said.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use log::{debug, warn};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::base::tasks::Stop;
use crate::net::gate::unauthenticated::{ConnectionLimiter, UnauthenticatedConnection};

/// Connections in all, on one listener. Beyond this, new ones are closed at once; strangers alone never get this far.
const CONNECTIONS: usize = 768;

/// Connections from this machine beyond that: the guard must get its answer, however many have logged in, or it would
/// restart the machine.
const SPARE: usize = 8;

/// How long open connections may take to end once they have been told to.
const GRACE: Duration = Duration::from_secs(2);

/// A connection that has been accepted, with its place.
#[derive(Debug)]
#[expect(missing_docs, reason = "`tcp` is described by its type")]
pub struct Guest {
    pub tcp: TcpStream,
    /// The address at the other end.
    pub peer: IpAddr,
    /// Its place among those of whom nobody is known yet.
    pub unauthenticated: UnauthenticatedConnection,
    /// Its place among all. It is given back when this is dropped.
    pub place: OwnedSemaphorePermit,
}

/// Serves a listener until told to stop, and then for as long as open connections need, up to two seconds.
pub async fn run<F>(listener: TcpListener, limiter: Arc<ConnectionLimiter>, serve: impl Fn(Guest) -> F, mut stop: Stop)
where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Places::new(CONNECTIONS, SPARE);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.requested() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted.map(|(tcp, peer)| (tcp, address(peer), places.take(peer.ip()))) {
            Ok((tcp, peer, Some(place))) => {
                let unauthenticated = limiter.enter(peer);
                connections.spawn(serve(Guest { tcp, peer, unauthenticated, place }));
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
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

fn address(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
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
