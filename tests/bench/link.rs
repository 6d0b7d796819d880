//! Makes the way to a server long: everything arrives later than it was sent, both ways.
//!
//! It has all the bandwidth of this machine, and the kernel's acknowledgements do not pass through it; so it shows what
//! a server does that waits for its client, and nothing of what TCP does.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How much is taken at a time.
const PIECE_BYTES: usize = 1 << 16;

/// An address from which one connection is passed on, with this time on its way there, and again on its way back.
pub fn to(server: SocketAddr, way: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("link".into()).spawn(move || pass_on(&listener, server, way))?;
    Ok(address)
}

fn pass_on(listener: &TcpListener, server: SocketAddr, way: Duration) -> io::Result<()> {
    let (near, _) = listener.accept()?;
    let far = TcpStream::connect(server)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    carry(near.try_clone()?, far.try_clone()?, way)?;
    carry(far, near, way)
}

/// Carries one direction, until either end closes.
fn carry(mut from: TcpStream, mut to: TcpStream, way: Duration) -> io::Result<()> {
    // As long as the way is: what is on it has no bound of its own, but the server bounds it.
    let (put, take) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::Builder::new().name("link in".into()).spawn(move || {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(got @ 1..) = from.read(&mut piece) {
            if put.send((Instant::now() + way, piece[..got].to_vec())).is_err() {
                return;
            }
        }
    })?;
    thread::Builder::new().name("link out".into()).spawn(move || {
        for (due, piece) in take {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        // The other end may have gone already.
        let _ = to.shutdown(Shutdown::Both);
    })?;
    Ok(())
}
