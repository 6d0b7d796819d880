//! Simulates the network that the appliance is plugged into: gives addresses, tells the time, asks for names.
//!
//! QEMU's own network forwards no multicast, and its DHCP server names no NTP servers. So the guest's second card is
//! wired to a socket, and what crosses it are Ethernet frames: a test sees what any machine on the cable would see.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// The only other machine: router, DHCP server and NTP server.
pub const US: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// The address that the appliance gets.
pub const GUEST: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 77);
/// The time in this network: a day in May 2031, later than any build until this test is rewritten.
pub const TODAY: (&str, u32) = ("2031-05-05", 1_935_748_800);

const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const ALL: [u8; 6] = [0xff; 6];
const MULTICAST_DNS: (Ipv4Addr, [u8; 6], u16) = (Ipv4Addr::new(224, 0, 0, 251), [1, 0, 0x5e, 0, 0, 0xfb], 5353);
/// Seconds from 1900, where NTP begins, to 1970.
const NTP_EPOCH: u32 = 2_208_988_800;
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a question is repeated, because the guest may not have received it.
const REPEAT_INTERVAL: Duration = Duration::from_secs(1);

/// A cable with a guest at its other end.
pub struct Lan {
    socket: UnixStream,
    inbox: Arc<Inbox>,
}

/// What the guest has sent, and a signal for when there is more.
#[derive(Debug, Default)]
struct Inbox {
    received: Mutex<Received>,
    more: Condvar,
}

/// What the guest has sent.
#[derive(Debug, Default)]
struct Received {
    /// DHCP requests, from their options on.
    dhcp: Vec<Vec<u8>>,
    /// Multicast DNS messages.
    names: Vec<Vec<u8>>,
}

/// The path of the cable's socket, and QEMU's arguments for it.
pub fn plan(name: &str) -> (PathBuf, Vec<String>) {
    let socket = std::env::temp_dir().join(format!("farhand-lan-{}-{name}", std::process::id()));
    let network = format!("stream,id=lan,server=on,addr.type=unix,addr.path={}", socket.display());
    // An address of its own: QEMU gives both cards the same first three bytes, and the appliance is named by the last
    // two.
    let card = "virtio-net-pci,netdev=lan,romfile=,mac=52:54:00:12:be:ef";
    (socket, ["-netdev", &network, "-device", card].map(String::from).into())
}

impl Inbox {
    fn note(&self, which: impl Fn(&mut Received) -> &mut Vec<Vec<u8>>, said: &[u8]) {
        which(&mut self.received.lock().unwrap()).push(said.to_vec());
        self.more.notify_all();
    }
}

impl Lan {
    /// Plugs in the cable.
    #[track_caller]
    pub fn plug(socket: &Path) -> Lan {
        let stream = UnixStream::connect(socket).expect("QEMU listens before the guest runs");
        // Both sides have it open now; the name is not needed any more.
        let _ = std::fs::remove_file(socket);
        let inbox = Arc::new(Inbox::default());
        let (mut from, mut to) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
        let noted = Arc::clone(&inbox);
        thread::spawn(move || {
            // The connection ends with the machine, which the test notices by itself.
            while let Some(frame) = receive(&mut from) {
                if let Some(reply) = answer(&frame, &noted) {
                    send(&mut to, &reply);
                }
            }
        });
        Lan { socket: stream, inbox }
    }

    /// Waits for a DHCP request that contains this.
    #[track_caller]
    pub fn wait_dhcp(&self, part: &[u8]) {
        self.wait("a DHCP request", part, |received| &received.dhcp, || ());
    }

    /// Asks for a name by multicast DNS until an answer contains this.
    #[track_caller]
    pub fn ask(&self, name: &str, kind: u16, part: &[u8]) {
        let mut socket = self.socket.try_clone().unwrap();
        let header = [0u8, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let question = [&header[..], &labels(name), &kind.to_be_bytes(), &1u16.to_be_bytes()].concat();
        let (group, mac, port) = MULTICAST_DNS;
        let frame = udp(mac, (US, port), (group, port), &question);
        self.wait(name, part, |received| &received.names, || send(&mut socket, &frame));
    }

    #[track_caller]
    fn wait(&self, what: &str, part: &[u8], which: impl Fn(&Received) -> &Vec<Vec<u8>>, mut ask: impl FnMut()) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        let mut ask_at = Instant::now();
        let mut received = self.inbox.received.lock().unwrap();
        loop {
            if ask_at <= Instant::now() {
                // The receiving thread needs this lock too.
                drop(received);
                ask();
                ask_at = Instant::now() + REPEAT_INTERVAL;
                received = self.inbox.received.lock().unwrap();
            }
            if which(&received).iter().any(|said| said.windows(part.len()).any(|window| window == part)) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: nothing contained {part:x?}; received {:x?}", which(&received));
            let silence = ask_at.saturating_duration_since(Instant::now());
            received = self.inbox.more.wait_timeout(received, silence).unwrap().0;
        }
    }
}

/// A name as DNS spells it.
pub fn labels(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat();
    name.split('.').flat_map(label).chain([0]).collect()
}

fn receive(socket: &mut UnixStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(length).try_into().ok()?];
    socket.read_exact(&mut frame).ok()?;
    Some(frame)
}

fn send(socket: &mut UnixStream, frame: &[u8]) {
    let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
    // One write, so that two threads' frames do not mix.
    let _ = socket.write_all(&[&length, frame].concat());
}

/// Notes what the guest sends, and answers requests to us.
fn answer(frame: &[u8], inbox: &Inbox) -> Option<Vec<u8>> {
    let sender: [u8; 6] = frame.get(6..12)?.try_into().ok()?;
    match frame.get(12..14)? {
        // ARP: who has our address?
        [8, 6] if frame.get(20..22)? == [0, 1] && frame.get(38..42)? == US.octets() => {
            let packet = [&frame[14..20], &[0, 2], &OUR_MAC, &US.octets(), &frame[22..32]].concat();
            Some([&sender[..], &OUR_MAC, &[8, 6], &packet].concat())
        }
        // IPv4 without options, UDP.
        [8, 0] if frame.get(14)? == &0x45 && frame.get(23)? == &17 => {
            let from: [u8; 4] = frame.get(26..30)?.try_into().ok()?;
            let port = |at: usize| Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?));
            let (source, payload) = (port(34)?, frame.get(42..)?);
            match port(36)? {
                67 => {
                    inbox.note(|received| &mut received.dhcp, payload.get(240..)?);
                    Some(udp(ALL, (US, 67), (Ipv4Addr::BROADCAST, 68), &lease(payload)?))
                }
                123 => Some(udp(sender, (US, 123), (from.into(), source), &time(payload)?)),
                5353 => {
                    inbox.note(|received| &mut received.names, payload);
                    None
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// Offers an address, or confirms it (RFC 2131), with ourselves as router, name server and clock (RFC 2132).
fn lease(request: &[u8]) -> Option<Vec<u8>> {
    // BusyBox puts the message type first.
    let kind = if request.get(240..243)? == [53, 1, 1] { 2 } else { 5 };
    let mut reply = vec![0; 236];
    reply[..4].copy_from_slice(&[2, 1, 6, 0]);
    reply[4..8].copy_from_slice(&request[4..8]);
    reply[16..20].copy_from_slice(&GUEST.octets());
    reply[20..24].copy_from_slice(&US.octets());
    reply[28..44].copy_from_slice(&request[28..44]);
    reply.extend([99, 130, 83, 99, 53, 1, kind, 51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0]);
    for option in [54, 3, 6, 42] {
        reply.extend([option, 4]);
        reply.extend(US.octets());
    }
    reply.push(255);
    Some(reply)
}

/// Answers with the time (RFC 5905): always noon, which is precise enough to check the date.
fn time(request: &[u8]) -> Option<Vec<u8>> {
    let now = [&(TODAY.1 + NTP_EPOCH).to_be_bytes()[..], &[0; 4]].concat();
    // A server, of the second stratum, precise to a microsecond, with no delay or dispersion.
    let mut reply = vec![0x24, 2, 6, 0xec, 0, 0, 0, 0, 0, 0, 0, 0];
    reply.extend(US.octets());
    // Reference, originate, receive and transmit timestamp.
    for stamp in [&now[..], request.get(40..48)?, &now, &now] {
        reply.extend(stamp);
    }
    Some(reply)
}

fn udp(to: [u8; 6], source: (Ipv4Addr, u16), target: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut header = [&[0x45, 0][..], &(20 + length).to_be_bytes(), &[0, 0, 0, 0, 255, 17, 0, 0]].concat();
    header.extend(source.0.octets());
    header.extend(target.0.octets());
    let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    header[10..12].copy_from_slice(&(!u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap()).to_be_bytes());
    // A checksum of 0 means that there is none, which IPv4 allows.
    let ports = [source.1.to_be_bytes(), target.1.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
    [&to[..], &OUR_MAC, &[8, 0], &header, &ports, payload].concat()
}
