//! Serves one client at a time with the target's keyboard, pointer and relays.
//!
//! One loop owns everything and never waits for anybody. When the client's connection ends, or nothing has come over it
//! for a second, the same turn of the loop lets go of all keys and buttons and opens every relay. A press ends by the
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
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::appliance::{ApplianceClient, Request};
use super::client::HandsError;
use super::line::{Hangup, Line};
use super::message::{FromHands, ToHands};
use super::station::Station;
use crate::base::seat_id::SeatId;
use crate::base::tasks::Stop;
use crate::bus::TargetStatus;
use crate::ports::{Board, UsbEvent};
use crate::update::Machine;

/// How often the client hears that we are alive.
const BEAT: Duration = Duration::from_secs(1);

/// How long the end waits for the targets to fetch their last releases; they poll every few milliseconds.
const LAST_REPORTS: Duration = Duration::from_millis(100);

/// Where clients come from.
#[derive(Debug)]
pub enum Door {
    /// A socket at which these users may knock.
    Socket {
        /// See [`listen`].
        listener: UnixListener,
        /// Their user ids. A path's mode is a lock that an installation mistake leaves open; this is the second one.
        allowed: Vec<u32>,
    },
    /// The other end is in this process, and there will be no other.
    Stream(UnixStream),
}

/// Listens at a path to which, beside the owner, only a group may connect.
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

/// Serves until told to stop, then lets go of everything.
pub async fn run(door: Door, boards: BTreeMap<SeatId, Board>, appliance: ApplianceClient, mut stop: Stop) {
    let mut desk = Desk { stations: BTreeMap::new(), client: None, appliance };
    for (seat, board) in boards {
        desk.stations.insert(seat.clone(), Station::new(seat, board));
    }
    let door = match door {
        Door::Socket { listener, allowed } => Some((listener, allowed)),
        Door::Stream(stream) => {
            desk.welcome(stream);
            None
        }
    };
    loop {
        desk.turn();
        let wake = desk.deadline();
        tokio::select! {
            () = stop.requested() => break,
            stream = knock(&door) => desk.welcome(stream),
            (seat, event) = next_event(&mut desk.stations) => desk.event(&seat, event),
            ready = ready(&desk.client) => desk.hear(ready),
            answer = desk.appliance.next() => desk.appliance_done(answer),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => (),
        }
    }
    desk.let_go();
    let last_reports = async {
        while !desk.stations.values().all(Station::is_idle) {
            let (seat, event) = next_event(&mut desk.stations).await;
            desk.event(&seat, event);
            desk.turn();
        }
    };
    // A target that does not fetch them loses the keyboard in a moment, which releases its keys as well.
    let _ = timeout(LAST_REPORTS, last_reports).await;
}

/// Waits for a client that may come in.
async fn knock(door: &Option<(UnixListener, Vec<u32>)>) -> UnixStream {
    let Some((listener, allowed)) = door else { return pending().await };
    loop {
        match listener.accept().await.and_then(|(stream, _)| Ok((stream.peer_cred()?.uid(), stream))) {
            Ok((uid, stream)) if allowed.contains(&uid) => return stream,
            Ok((uid, _)) => log::warn!("hands: user {uid} may not use this socket"),
            Err(error) => {
                log::warn!("hands: cannot accept a connection: {error}");
                // Likely out of descriptors: trying again at once would only burn the processor.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Waits for the first target that has something to say.
async fn next_event(stations: &mut BTreeMap<SeatId, Station>) -> (SeatId, UsbEvent) {
    poll_fn(|context| {
        for (seat, station) in stations.iter_mut() {
            if let Poll::Ready(event) = station.poll_event(context) {
                return Poll::Ready((seat.clone(), event));
            }
        }
        Poll::Pending
    })
    .await
}

async fn ready(client: &Option<Client>) -> io::Result<()> {
    match client {
        Some(client) => client.line.ready().await,
        None => pending().await,
    }
}

/// The client, and what it has been told.
struct Client {
    line: Line,
    told: BTreeMap<SeatId, TargetStatus>,
    told_machine: Option<Machine>,
    beaten: Option<std::time::Instant>,
}

/// All targets, and whoever works them.
struct Desk {
    stations: BTreeMap<SeatId, Station>,
    client: Option<Client>,
    appliance: ApplianceClient,
}

impl Desk {
    fn welcome(&mut self, stream: UnixStream) {
        if self.client.is_some() {
            // It is alive, or it would have been dropped. A newcomer tries again, and gets in once that changes.
            log::warn!("hands: a second client is turned away while the first is alive");
            return;
        }
        log::info!("hands: a client has come");
        let line = Line::new(stream, now());
        self.client = Some(Client { line, told: BTreeMap::new(), told_machine: None, beaten: None });
        self.stations.values_mut().for_each(|station| station.read_lamps(now()));
    }

    fn event(&mut self, seat: &SeatId, event: UsbEvent) {
        if let Some(station) = self.stations.get_mut(seat) {
            station.event(now(), event);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let stations = self.stations.values().filter_map(Station::deadline);
        stations.chain(self.client.as_ref().map(|client| client.line.deadline())).min().map(Instant::from_std)
    }

    /// Does all that is due, and tells the client what came of it.
    fn turn(&mut self) {
        let checked = self.client.as_ref().map_or(Ok(()), |client| client.line.tick(now()));
        self.check(checked);
        for station in self.stations.values_mut() {
            station.turn(now());
        }
        let told = self.report();
        self.check(told);
    }

    fn report(&mut self) -> Result<(), Hangup> {
        for (seat, station) in &mut self.stations {
            while let Some((id, error)) = station.poll() {
                if let Some(client) = &mut self.client {
                    client.line.tell(&FromHands::Done { seat: seat.clone(), id, error })?;
                }
            }
            if let Some(error) = station.dropped()
                && let Some(client) = &mut self.client
            {
                client.line.tell(&FromHands::Dropped { seat: seat.clone(), error })?;
            }
            let status = station.status();
            if let Some(client) = &mut self.client
                && client.told.get(seat) != Some(status)
            {
                client.told.insert(seat.clone(), status.clone());
                client.line.tell(&FromHands::Status { seat: seat.clone(), status: status.clone() })?;
            }
        }
        if let Some(client) = &mut self.client
            && client.told_machine.as_ref() != Some(&*self.appliance.machine())
        {
            let machine = self.appliance.machine().clone();
            client.told_machine = Some(machine.clone());
            client.line.tell(&FromHands::Machine { machine })?;
        }
        if let Some(client) = &mut self.client
            && client.beaten.is_none_or(|beaten| beaten + BEAT <= now())
        {
            client.beaten = Some(now());
            client.line.tell(&FromHands::Beat)?;
        }
        Ok(())
    }

    fn hear(&mut self, ready: io::Result<()>) {
        let heard = ready.map_err(Hangup::from).and_then(|()| self.carry_out());
        self.check(heard);
    }

    fn carry_out(&mut self) -> Result<(), Hangup> {
        let Some(client) = &mut self.client else { return Ok(()) };
        client.line.exchange(now())?;
        while let Some(message) = client.line.poll()? {
            let answer = match message {
                ToHands::Install { id, len } => self.appliance.request(id, Request::Install { len }),
                ToHands::Restart { id } => take_leave(&mut self.stations, &self.appliance, id, Request::Restart),
                ToHands::FactoryReset { id } => {
                    take_leave(&mut self.stations, &self.appliance, id, Request::FactoryReset)
                }
                message => carry_out(&mut self.stations, message),
            };
            if let Some(answer) = answer {
                client.line.tell(&answer)?;
            }
        }
        Ok(())
    }

    /// Passes on what became of a request. What became of the machine goes out with the next report.
    fn appliance_done(&mut self, answer: Option<FromHands>) {
        if let (Some(answer), Some(client)) = (answer, &mut self.client) {
            let told = client.line.tell(&answer);
            self.check(told);
        }
    }

    /// Drops a client with which something is wrong, and with it all that it held.
    fn check(&mut self, outcome: Result<(), Hangup>) {
        if let Err(hangup) = outcome {
            log::warn!("hands: the client is gone ({hangup}): everything is let go");
            self.client = None;
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        let_go(&mut self.stations);
        for station in self.stations.values_mut() {
            // What was being typed has been cancelled, and nobody is left to be told.
            while station.poll().is_some() {}
            station.dropped();
        }
    }
}

fn let_go(stations: &mut BTreeMap<SeatId, Station>) {
    for station in stations.values_mut() {
        station.release_all(now());
        station.let_go(now());
        station.turn(now());
    }
}

/// Passes on a request to restart. Relays and keys first: nothing may be held by a machine that is on its way down.
fn take_leave(
    stations: &mut BTreeMap<SeatId, Station>,
    appliance: &ApplianceClient,
    id: u64,
    request: Request,
) -> Option<FromHands> {
    if appliance.machine().real {
        let_go(stations);
    }
    appliance.request(id, request)
}

/// Does what one message asks, and says what to answer at once.
fn carry_out(stations: &mut BTreeMap<SeatId, Station>, message: ToHands) -> Option<FromHands> {
    let now = now();
    let Some(seat) = message.seat().cloned() else {
        // A beat. Lamps are read with it, so that they cost nothing while nobody looks.
        stations.values_mut().for_each(|station| station.read_lamps(now));
        return None;
    };
    let Some(station) = stations.get_mut(&seat) else {
        log::warn!("hands: the client asks for seat {seat}, which is not in our configuration");
        return message.id().map(|id| FromHands::Done { seat, id, error: Some(HandsError::Away) });
    };
    let dropped = |outcome: Result<(), _>, seat| outcome.err().map(|error| FromHands::Dropped { seat, error });
    match message {
        // These have no seat, and are done by now.
        ToHands::Beat | ToHands::Install { .. } | ToHands::Restart { .. } | ToHands::FactoryReset { .. } => None,
        ToHands::Input { owner, input, .. } => dropped(station.input(now, owner, input), seat),
        ToHands::Cancel { id, .. } => dropped(station.cancel(now, id), seat),
        ToHands::Strokes { id, owner, strokes, .. } => {
            station.strokes(now, id, owner, &strokes);
            None
        }
        ToHands::Chord { id, owner, usages, .. } => {
            station.chord(now, id, owner, &usages);
            None
        }
        ToHands::Press { id, contact, millis, .. } => {
            let error = station.press(now, contact, Duration::from_millis(millis)).err();
            Some(FromHands::Done { seat, id, error })
        }
        ToHands::LetGo { .. } => {
            station.let_go(now);
            None
        }
    }
}

/// Tokio's clock, which a test may hold still, in the type that the pure modules know.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
