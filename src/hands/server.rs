//! Serves one client at a time with the target's keyboard, pointer and relays.
//!
//! One loop owns everything and never waits for anybody. When the client's connection ends, or nothing has come over it
//! for a second, the same turn of the loop releases all keys and buttons and opens every relay. A press ends by the
//! loop's own clock, whatever the client does.

use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::task::Poll;
use std::time::Duration;

use nix::unistd::{Gid, chown};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::appliance::configuration::{self, Change};
use super::appliance::{ApplianceClient, Request};
use super::connection::{Connection, Disconnect};
use super::protocol::{FromHands, HandsError, ToHands};
use super::seat::SeatDevices;
use crate::base::seat_id::SeatId;
use crate::base::tasks::Stop;
use crate::bus::TargetStatus;
use crate::hid::typing::Requester;
use crate::ports::{Board, UsbEvent};
use crate::update::{Machine, Trial};

/// How often the client hears that we are alive.
const BEAT: Duration = Duration::from_secs(1);

/// How long the end waits for the targets to fetch their last releases; they poll every few milliseconds.
const LAST_REPORTS: Duration = Duration::from_millis(100);

/// Where clients come from.
#[derive(Debug)]
pub enum ClientSource {
    /// A socket to which these users may connect.
    Socket {
        /// Made by [`listen`].
        listener: UnixListener,
        /// Their user ids. A path's mode is a lock that an installation mistake leaves open; this is the second one.
        allowed: Vec<u32>,
    },
    /// The other end is in this process, and sends the server's half of each pair that it makes.
    Inside(mpsc::Receiver<std::os::unix::net::UnixStream>),
}

/// Listens at a path to which only the owner and a group may connect.
pub fn listen(path: &Path, group: Option<u32>) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        // Left there by a process that died.
        Ok(metadata) if metadata.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something other than a socket is there")),
        Err(_) => (),
    }
    let listener = UnixListener::bind(path)?;
    chown(path, None, group.map(Gid::from_raw))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o660))?;
    Ok(listener)
}

/// Serves until told to stop, then releases everything.
pub async fn run(
    mut source: ClientSource,
    boards: BTreeMap<SeatId, Board>,
    appliance: ApplianceClient,
    mut stop: Stop,
) {
    let mut server = Server { seats: BTreeMap::new(), client: None, appliance };
    for (seat, board) in boards {
        server.seats.insert(seat.clone(), SeatDevices::new(seat, board));
    }
    loop {
        server.turn();
        let wake = server.deadline();
        tokio::select! {
            () = stop.requested() => break,
            stream = source.accept() => server.welcome(stream),
            (seat, event) = next_event(&mut server.seats) => server.event(&seat, event),
            ready = ready(&server.client) => server.check(ready.map_err(Disconnect::from)),
            answer = server.appliance.next() => server.appliance_done(answer),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => (),
        }
    }
    server.client = None;
    server.let_go();
    let last_reports = async {
        while !server.seats.values().all(SeatDevices::is_idle) {
            let (seat, event) = next_event(&mut server.seats).await;
            server.event(&seat, event);
            server.turn();
        }
    };
    // A target that does not fetch them loses the keyboard in a moment, which releases its keys as well.
    let _ = timeout(LAST_REPORTS, last_reports).await;
}

impl ClientSource {
    /// Waits for a client that may come in.
    async fn accept(&mut self) -> UnixStream {
        loop {
            let error = match self.next().await {
                Ok(stream) => return stream,
                Err(error) => error,
            };
            log::warn!("hands: cannot accept a connection: {error}");
            if error.kind() != io::ErrorKind::PermissionDenied {
                // Likely out of descriptors: trying again at once would only burn the processor.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn next(&mut self) -> io::Result<UnixStream> {
        match self {
            ClientSource::Socket { listener, allowed } => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred()?.uid();
                if !allowed.contains(&uid) {
                    let error = format!("user {uid} may not use this socket");
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, error));
                }
                Ok(stream)
            }
            ClientSource::Inside(streams) => {
                // When the other end is gone for good nobody comes any more, and the server waits for its own end.
                let Some(stream) = streams.recv().await else { pending().await };
                stream.set_nonblocking(true)?;
                UnixStream::from_std(stream)
            }
        }
    }
}

/// Waits for the first target that has something to say.
async fn next_event(seats: &mut BTreeMap<SeatId, SeatDevices>) -> (SeatId, UsbEvent) {
    poll_fn(|context| {
        for (seat, devices) in seats.iter_mut() {
            if let Poll::Ready(event) = devices.poll_event(context) {
                return Poll::Ready((seat.clone(), event));
            }
        }
        Poll::Pending
    })
    .await
}

async fn ready(client: &Option<Client>) -> io::Result<()> {
    match client {
        Some(client) => client.connection.ready().await,
        None => pending().await,
    }
}

/// The client, and what it has been told.
struct Client {
    connection: Connection,
    told: BTreeMap<SeatId, TargetStatus>,
    told_machine: Option<Machine>,
    told_trial: Option<Trial>,
    beaten: Option<std::time::Instant>,
}

/// All targets, and whoever works them.
struct Server {
    seats: BTreeMap<SeatId, SeatDevices>,
    client: Option<Client>,
    appliance: ApplianceClient,
}

impl Server {
    fn welcome(&mut self, stream: UnixStream) {
        if self.client.is_some() {
            // It is alive, or it would have been dropped. A newcomer tries again, and gets in once that changes.
            log::warn!("hands: a second client is turned away while the first is alive");
            return;
        }
        log::info!("hands: a client has come");
        let connection = Connection::new(stream, now());
        self.client =
            Some(Client { connection, told: BTreeMap::new(), told_machine: None, told_trial: None, beaten: None });
        self.seats.values_mut().for_each(|devices| devices.read_lamps(now()));
    }

    fn event(&mut self, seat: &SeatId, event: UsbEvent) {
        if let Some(devices) = self.seats.get_mut(seat) {
            devices.event(now(), event);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let seats = self.seats.values().filter_map(SeatDevices::deadline);
        seats.chain(self.client.as_ref().map(|client| client.connection.deadline())).min().map(Instant::from_std)
    }

    /// Does all that is due, and tells the client what came of it.
    fn turn(&mut self) {
        let checked = self.carry_out();
        self.check(checked);
        let checked = self.client.as_ref().map_or(Ok(()), |client| client.connection.tick(now()));
        self.check(checked);
        for devices in self.seats.values_mut() {
            devices.turn(now());
        }
        let told = self.report();
        self.check(told);
    }

    fn report(&mut self) -> Result<(), Disconnect> {
        for (seat, devices) in &mut self.seats {
            while let Some((id, error)) = devices.poll() {
                if let Some(client) = &mut self.client {
                    client.connection.tell(&FromHands::Done { seat: seat.clone(), id, error })?;
                }
            }
            while let Some((owner, error)) = devices.dropped() {
                if let Some(client) = &mut self.client {
                    client.connection.tell(&FromHands::Dropped { seat: seat.clone(), owner, error })?;
                }
            }
            let status = devices.status();
            if let Some(client) = &mut self.client
                && client.told.get(seat) != Some(status)
            {
                client.told.insert(seat.clone(), status.clone());
                client.connection.tell(&FromHands::Status { seat: seat.clone(), status: status.clone() })?;
            }
        }
        if let Some(client) = &mut self.client
            && client.told_machine.as_ref() != Some(&*self.appliance.machine())
        {
            let machine = self.appliance.machine().clone();
            client.told_machine = Some(machine.clone());
            client.connection.tell(&FromHands::Machine { machine })?;
        }
        let trial = self.appliance.trial();
        if let Some(client) = &mut self.client
            && client.told_trial != trial
        {
            client.told_trial.clone_from(&trial);
            client.connection.tell(&FromHands::Trial { trial })?;
        }
        if let Some(client) = &mut self.client
            && client.beaten.is_none_or(|beaten| beaten + BEAT <= now())
        {
            client.beaten = Some(now());
            client.connection.tell(&FromHands::Beat)?;
        }
        Ok(())
    }

    /// Does what has arrived. First of all: if this loop has stood still for a while, the silence was its own.
    fn carry_out(&mut self) -> Result<(), Disconnect> {
        let Some(client) = &mut self.client else { return Ok(()) };
        client.connection.exchange(now())?;
        while let Some(message) = client.connection.poll()? {
            let answer = match message {
                ToHands::Install { id, len } => self.appliance.request(id, Request::Install { len }),
                ToHands::Restart { id } => take_leave(&mut self.seats, &self.appliance, id, Request::Restart),
                ToHands::FactoryReset { id } => take_leave(&mut self.seats, &self.appliance, id, Request::FactoryReset),
                ToHands::CyclePort { id, port } => self.appliance.cycle_port(id, port),
                ToHands::Configure { id, text, expected, who } => {
                    self.appliance.configure(id, configuration::Request::Change(Change { text, expected, who }))
                }
                ToHands::Settle { id, keep } => self.appliance.configure(id, configuration::Request::Settle { keep }),
                message => carry_out(&mut self.seats, message),
            };
            if let Some(answer) = answer {
                client.connection.tell(&answer)?;
            }
        }
        Ok(())
    }

    /// Passes on what became of a request. What became of the machine goes out with the next report.
    fn appliance_done(&mut self, answer: Option<FromHands>) {
        if let (Some(answer), Some(client)) = (answer, &mut self.client) {
            let told = client.connection.tell(&answer);
            self.check(told);
        }
    }

    /// Drops a client with which something is wrong, and with it all that it held.
    fn check(&mut self, outcome: Result<(), Disconnect>) {
        if let Err(disconnect) = outcome {
            log::warn!("hands: the client is gone ({disconnect}): everything is let go");
            self.client = None;
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        let_go(&mut self.seats);
        for devices in self.seats.values_mut() {
            // What was being typed has been cancelled, and nobody is left to be told.
            while devices.poll().is_some() {}
            while devices.dropped().is_some() {}
        }
    }
}

fn let_go(seats: &mut BTreeMap<SeatId, SeatDevices>) {
    for devices in seats.values_mut() {
        devices.release_all(now());
        devices.let_go(now());
        devices.turn(now());
    }
}

/// Passes on an request to restart. Relays and keys first: nothing may be held by a machine that is on its way down.
fn take_leave(
    seats: &mut BTreeMap<SeatId, SeatDevices>,
    appliance: &ApplianceClient,
    id: u64,
    request: Request,
) -> Option<FromHands> {
    if appliance.machine().real {
        let_go(seats);
    }
    appliance.request(id, request)
}

/// Does what one message asks, and says what to answer at once.
fn carry_out(seats: &mut BTreeMap<SeatId, SeatDevices>, message: ToHands) -> Option<FromHands> {
    let now = now();
    let Some(seat) = message.seat().cloned() else {
        // A beat. Lamps are read with it, so that they cost nothing while nobody looks.
        seats.values_mut().for_each(|devices| devices.read_lamps(now));
        return None;
    };
    let Some(devices) = seats.get_mut(&seat) else {
        log::warn!("hands: the client asks for seat {seat}, which is not in our configuration");
        return message.id().map(|id| FromHands::Done { seat, id, error: Some(HandsError::Away) });
    };
    match message {
        // These have no seat, and are done by now.
        ToHands::Beat
        | ToHands::Install { .. }
        | ToHands::Restart { .. }
        | ToHands::FactoryReset { .. }
        | ToHands::CyclePort { .. }
        | ToHands::Configure { .. }
        | ToHands::Settle { .. } => None,
        ToHands::Input { owner, input, .. } => {
            devices.input(now, owner, input).err().map(|error| FromHands::Dropped { seat, owner, error })
        }
        ToHands::Cancel { id, .. } => {
            devices.cancel(now, id);
            None
        }
        ToHands::Strokes { id, owner, person, strokes, .. } => {
            devices.strokes(now, id, Requester { owner, person }, &strokes);
            None
        }
        ToHands::Chord { id, owner, person, usages, .. } => {
            devices.chord(now, id, Requester { owner, person }, &usages);
            None
        }
        ToHands::Press { id, contact, millis, .. } => {
            let error = devices.press(now, contact, Duration::from_millis(millis)).err();
            Some(FromHands::Done { seat, id, error })
        }
        ToHands::Wake { id, .. } => {
            let error = devices.wake().err();
            Some(FromHands::Done { seat, id, error })
        }
    }
}

/// Tokio's clock, which a test may hold still, in the type that the pure modules know.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
