//! Builds every part of the daemon in order, and says what each is for.
//!
//! There are three processes on an appliance, and one in the simulation that runs the parts of two. Each function below
//! is one of them, from the first part to the last; what they have in common follows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use log::{error, info, warn};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::auth::authenticator::Authenticator;
use crate::auth::clock::{Clock as _, SystemClock};
use crate::base::error_chain::chain;
use crate::base::files;
use crate::base::heartbeat::Heartbeat;
use crate::base::launcher::{Launcher, Program};
use crate::base::log_pipe;
use crate::base::seat_id::SeatId;
use crate::base::tasks;
use crate::base::tasks::{Stop, Tasks};
use crate::bus::{FrameBus, SeatBus, StatusBus, SystemBus};
use crate::config::change::Part;
use crate::config::{Config, Controller, Redirect, Wake};
use crate::gadget::plan;
use crate::guard::{self, monitor};
use crate::hands::appliance::configuration::{self, Applier};
use crate::hands::appliance::{self, ApplianceClient};
use crate::hands::client::Hands;
use crate::hands::link::ServerSource;
use crate::hands::server::{self, ClientSource};
use crate::hands::silent_ports;
use crate::hw::configfs;
use crate::hw::hidg;
use crate::hw::lamps;
use crate::hw::relay;
use crate::hw::sensors::BoardSensors;
use crate::hw::v4l2::{Claims, V4l2Source};
use crate::net;
use crate::net::download;
use crate::net::serve::{self, ListenerKind};
use crate::net::site::{Folders, Mode, Site};
use crate::pipeline::{Pipeline, keep};
use crate::ports::{Board, CaptureSource};
use crate::sandbox::fence::{Fence, Right};
use crate::sandbox::table;
use crate::sim;
use crate::start::{SERVE_USER, StartError, cannot};
use crate::tls::TlsError;
use crate::tls::certificates::Certificates;

/// Where a daemon keeps things and listens, in addition to what its configuration says.
#[derive(Debug)]
pub struct Places {
    /// What survives a reboot: users, keys.
    pub data: PathBuf,
    /// What survives a restart only: sessions.
    pub run: PathBuf,
    /// The services' logs.
    pub logs: PathBuf,
    /// Where to serve without TLS, for measuring.
    pub plain: Option<SocketAddr>,
    /// What plays the appliance next to a simulated machine. Only a test has this.
    pub appliance: Option<appliance::Places>,
    /// The configuration, to show and to change it.
    pub configuration: configuration::Places,
    /// What counts in its place.
    pub overrides: Overrides,
}

/// What whoever starts the daemon says in place of the configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    /// Where the page is served.
    pub https: Option<SocketAddr>,
    /// From where plain HTTP is redirected.
    pub http: Option<Redirect>,
}

impl Overrides {
    /// Puts them in their places.
    pub fn apply(&self, config: &mut Config) {
        config.server.https = self.https.unwrap_or(config.server.https);
        config.server.http = self.http.unwrap_or(config.server.http);
    }
}

/// Serves page, API and pictures of this machine's capture devices; keys and relays are asked of the hands.
pub fn serve(config: Config, places: Places, hands: &Path) -> Result<(), StartError> {
    // Before there is anybody whom it could serve.
    serve_fence(&places, &table::pages(&config, places.plain)).enter("serve");
    run(async move |tasks, stop| {
        // One bus for each seat: what its capture thread fills and its viewers read.
        let seats = buses(&config);
        // One for the appliance: what the hands say of it, and what arrives to be installed.
        let system = SystemBus::default();

        // Keyboard and relays are in another process. While it is away, pictures go on and keys are refused in words.
        // What is asked of it goes over a line with a thread of its own, which nothing that strangers send can delay.
        let socket = ServerSource::Socket(hands.into());
        let (hands, link) = Hands::new(&seats, system.clone());
        link.start(socket, tasks, stop.clone()).map_err(cannot("start a thread"))?;

        // Each screen has a thread of its own, because a driver may keep it waiting: for ever, which costs the picture
        // and nothing else. Two of them do not take the same device.
        for warning in config.warnings() {
            log::warn!("{warning}");
        }
        let claims = Claims::new(config.seats.iter().map(|(seat, parts)| (seat, &parts.video.device)));
        // A dongle that stays silent needs its port switched, which only the hands may do.
        let (ports, asked) = silent_ports::channel();
        tasks.spawn("the ports of silent dongles", silent_ports::run(hands.clone(), asked, stop.clone()));
        for bus in &seats {
            let (seat, ports) = (bus.seat.clone(), ports.clone());
            let (video, claims) = (config.seats[&bus.seat].video.clone(), claims.clone());
            let source = move || -> Box<dyn CaptureSource> {
                Box::new(V4l2Source::new(seat.clone(), video.clone(), claims.clone(), ports.clone()))
            };
            tasks.spawn(format!("screen {}", bus.seat), keep::running(bus.clone(), source, stop.clone()));
        }
        listen(&config, &places, seats, (hands, system), tasks, &stop).await
    })
}

/// Serves a simulated machine for each seat, with both ends of the talk between the two processes in this one. It
/// begins again when a change of its configuration wants that.
pub fn serve_sim(mut config: Config, mut places: Places) -> Result<(), StartError> {
    // What an appliance has started, another process starts: this one may not, once it is fenced in.
    if let Some(appliance) = places.appliance.take() {
        let launcher = leave_launcher(appliance.programs())?;
        places.appliance = Some(appliance.with_launcher(launcher));
    }
    // It may begin again on other ports, and it keeps the configuration itself.
    let mut fence = serve_fence(&places, &[]);
    fence.paths.extend(places.appliance.iter().map(|appliance| (appliance.cmdline.clone(), Right::Read)));
    let folder = places.configuration.owner.parent().filter(|folder| !folder.as_os_str().is_empty());
    fence.paths.push((folder.unwrap_or(Path::new(".")).into(), Right::Keep));
    fence.enter("serve");
    while simulate(&config, &places)? == End::Again {
        match places.configuration.current().map(|current| current.config()) {
            Ok(Some(next)) => config = next,
            // It was good when it was stored.
            _ => error!("the configuration cannot be used any more; going on with the one before"),
        }
        places.overrides.apply(&mut config);
    }
    Ok(())
}

fn simulate(config: &Config, places: &Places) -> Result<End, StartError> {
    let (apply, applied) = mpsc::channel(1);
    run_until(begins_again(applied), async move |tasks, stop| {
        let (seats, system) = (buses(config), SystemBus::default());

        // The same server, the same client and the same messages as on an appliance: only the hardware is played.
        let (server, clients) = mpsc::channel(1);
        let mut boards = BTreeMap::new();
        for bus in &seats {
            let (board, screen) = sim::ports::machine();
            boards.insert(bus.seat.clone(), board);
            watch(bus.clone(), Box::new(screen), tasks)?;
        }
        let appliance = match places.appliance.clone() {
            Some(places) => ApplianceClient::start(places, tasks, stop.clone()),
            None => ApplianceClient::simulated(),
        };
        let (kept, clock) = (places.configuration.clone(), Arc::new(SystemClock));
        let appliance = appliance.with_configuration(kept, Applier::Inside(apply), clock, tasks, stop.clone());
        tasks.spawn("hands", server::run(ClientSource::Inside(clients), boards, appliance, stop.clone()));
        let (hands, link) = Hands::new(&seats, system.clone());
        link.start(ServerSource::Inside(server), tasks, stop.clone()).map_err(cannot("start a thread"))?;
        listen(config, places, seats, (hands, system), tasks, &stop).await
    })
}

/// Waits for a change of what runs in this process. A simulation has no network, clock or guard of its own.
async fn begins_again(mut applied: mpsc::Receiver<BTreeSet<Part>>) {
    let ours = [Part::Page, Part::Picture, Part::Keyboard];
    while let Some(parts) = applied.recv().await {
        if ours.iter().any(|part| parts.contains(part)) {
            return;
        }
    }
    std::future::pending().await
}

/// Holds keyboard, pointer and relays, and releases them when `serve` dies or falls silent.
pub fn hands(config: &Config, socket: &Path) -> Result<(), StartError> {
    log_pipe::never_wait();
    // A keyboard of an earlier run may still hold a key. Relays we do not release here only to take them again: in
    // between a line would float, and taking it opens its contact anyway.
    unplug();
    // What installs updates is started by another process, which needs what this one renounces.
    let places = appliance::Places::default();
    let launcher = leave_launcher(places.programs().into_iter().chain([Applier::program()]).collect())?;
    let places = places.with_launcher(launcher.clone());
    table::hands(config, socket, Path::new("/data")).enter("hands");
    run(async move |tasks, stop| {
        let mut boards = BTreeMap::new();
        for (seat, parts) in &config.seats {
            let board = Board {
                // The gadget may come later than we do, and go while we run; it is looked for as long as it is away.
                usb: hidg::open(plan::name(seat), &parts.usb, hidg::Places::default()),
                wakes_by_key: parts.usb.wake == Wake::Key,
                relays: relay::open(&parts.power),
                lamps: lamps::open(&parts.power),
            };
            boards.insert(seat.clone(), board);
        }
        let (listener, allowed) = private_socket(socket).map_err(cannot(format!("listen at {}", socket.display())))?;
        let appliance = ApplianceClient::start(places, tasks, stop.clone());
        let (kept, applier) = (configuration::Places::default(), Applier::Program(launcher));
        let appliance = appliance.with_configuration(kept, applier, Arc::new(SystemClock), tasks, stop.clone());
        tasks.spawn("hands", server::run(ClientSource::Socket { listener, allowed }, boards, appliance, stop.clone()));
        info!("holding {} for {}", seat_names(config), socket.display());
        Ok(())
    })
}

/// Judges the machine's health from outside the other processes, and acts on it.
pub fn guard(config: &Config, data: PathBuf, run_folder: PathBuf) -> Result<(), StartError> {
    let wants_gadget = config.seats.values().any(|seat| seat.usb.controller != Controller::None);
    let (page, watchdog) = (config.server.https, config.guard.watchdog.clone());
    let stand_in = run_folder.join(STAND_IN);
    let launcher = leave_launcher(guard::run::programs())?;
    table::guard(&data, &run_folder, page).enter("guard");
    let settings = guard::run::Settings { page, data, stand_in, run: run_folder, watchdog, wants_gadget, launcher };
    run(async move |tasks, stop| {
        let sensors = Box::new(BoardSensors::new("/sys", settings.data.clone()));
        tasks.spawn("the board's health", monitor::run(sensors, settings.run.clone(), stop.clone()));
        tasks.spawn("guard", guard::run::run(settings, stop));
        Ok(())
    })
}

/// Serves a page that can take an update and restart the machine, and nothing else: no picture, no keys.
pub fn serve_rescue(config: Config, places: Places, hands: &Path) -> Result<(), StartError> {
    warn!("rescue mode: a part kept on crashing, or hung; the page takes an update, and says so");
    // Without seats there is nothing to capture, and nothing for the hands to hold.
    serve(Config { seats: BTreeMap::new(), ..config }, places, hands)
}

/// Opens every relay that the configuration names, and unplugs a keyboard that nobody serves any more.
pub fn failsafe(config: &Config) -> Result<(), StartError> {
    log_pipe::never_wait();
    let mut outcome = Ok(());
    // One that cannot be opened is no reason to leave another closed.
    for (seat, parts) in &config.seats {
        for source in relay::failsafe(&parts.power) {
            error!("seat {seat}: {}", chain(&source));
            outcome = outcome.and(Err(StartError::Relay { seat: seat.clone(), source }));
        }
    }
    // After the relays: a held power button switches the target off in seconds, a held key does not.
    unplug();
    outcome
}

/// Takes down every gadget of ours: it outlives its process, and the target would go on seeing the last key held.
fn unplug() {
    if let Err(error) = configfs::clear_all(Path::new(configfs::GADGETS)) {
        // No reason to leave a relay closed.
        error!("cannot unplug the keyboard: {error}");
    }
}

/// Leaves a process behind that starts these.
fn leave_launcher(programs: Vec<Program>) -> Result<Launcher, StartError> {
    Launcher::leave(programs).map_err(cannot("leave a process behind"))
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// For good.
    Stopped,
    /// To begin again.
    Again,
}

/// What `serve` may do, once it listens at these addresses.
fn serve_fence(places: &Places, listens: &[SocketAddr]) -> Fence {
    for folder in [&places.data, &places.run] {
        // Rights are given to what is there. If it cannot be made, whoever needs it says why.
        let _ = files::create_folder(folder);
    }
    table::serve(&places.data, &places.run, &places.logs, listens)
}

/// Starts the parts, then runs until a signal asks for the end or the first part ends by itself.
fn run(start: impl AsyncFnOnce(&Tasks, Stop) -> Result<(), StartError>) -> Result<(), StartError> {
    run_until(std::future::pending(), start).map(drop)
}

/// The same, but until something says that all is to begin again, too.
fn run_until(
    again: impl Future<Output = ()>,
    start: impl AsyncFnOnce(&Tasks, Stop) -> Result<(), StartError>,
) -> Result<End, StartError> {
    // One thread is enough for sockets: the work is in the kernel, and what is not (capture, passwords) has threads.
    let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot("start the runtime"))?;
    let ended = runtime.block_on(async {
        let (stopper, stop) = tasks::stop();
        let mut tasks = Tasks::new(stop.clone());
        start(&tasks, stop).await?;
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot("wait for signals"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot("wait for signals"))?;
        let end = tokio::select! {
            _ = terminate.recv() => End::Stopped,
            _ = interrupt.recv() => End::Stopped,
            () = again => End::Again,
            name = tasks.first_end() => return Err(StartError::Ended(name)),
        };
        info!("stopping");
        stopper.stop();
        // The tasks themselves release keys and close sockets; the first to finish must not cut off the rest.
        tasks.all_ended().await;
        Ok(end)
    });
    // A thread that waits for a device need not be waited for: the kernel closes what it holds.
    runtime.shutdown_background();
    ended
}

fn buses(config: &Config) -> Vec<SeatBus> {
    let bus = |seat: &SeatId| SeatBus {
        seat: seat.clone(),
        frames: FrameBus::default(),
        status: StatusBus::default(),
        heartbeat: Heartbeat::new(Instant::now()),
    };
    config.seats.keys().map(bus).collect()
}

fn seat_names(config: &Config) -> String {
    config.seats.keys().map(SeatId::as_str).collect::<Vec<_>>().join(", ")
}

/// Gives a screen its thread.
fn watch(bus: SeatBus, screen: Box<dyn CaptureSource>, tasks: &Tasks) -> Result<(), StartError> {
    let name = format!("screen {}", bus.seat);
    tasks.thread(name, |stop| screen.run(Box::new(Pipeline::new(bus)), stop)).map_err(cannot("start a thread"))
}

/// Opens every listener, and says where.
async fn listen(
    config: &Config,
    places: &Places,
    seats: Vec<SeatBus>,
    (hands, system): (Hands, SystemBus),
    tasks: &Tasks,
    stop: &Stop,
) -> Result<(), StartError> {
    let hostname = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let names = {
        let (hostname, configured) = (hostname.clone(), config.server.names.clone());
        move || {
            let full = net::domain::full_name(&hostname, Path::new(net::domain::DOMAIN));
            net::names(&hostname, &configured.iter().cloned().chain(full).collect::<Vec<_>>())
        }
    };
    let is_rescue = seats.is_empty();
    let seats = seats.into_iter().map(|bus| (bus.seat.clone(), bus)).collect();

    // Each viewer is a descriptor, and the usual soft limit is lower than what we let in.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, most, most) {
        warn!("cannot raise the limit of open files: {error}");
    }

    let (data, run, logs) = (places.data.clone(), places.run.clone(), places.logs.clone());
    let mut folders = Folders { data, run, logs, configuration: places.configuration.clone() };
    let mode = if is_rescue { stand_in(&mut folders, &names()) } else { Mode::Usual };
    let is_readable = mode != Mode::RescueWithoutStorage;

    // The key is made here, at the first start, and never leaves.
    let certificates = certificates(&folders, &names())?;
    let keeping = certificates.clone().keep(Arc::new(SystemClock), names, net::addresses::own, stop.clone());
    tasks.spawn("the certificate", keeping);

    // We fetch updates when an administrator asks, and from nowhere unless it is configured. The rescue page takes them
    // by hand.
    let source = if is_rescue { None } else { download::source(&config.update)? };
    let fetcher = source.map(|(fetcher, downloader)| {
        tasks.spawn("the fetching of updates", downloader.run(hands.clone(), stop.clone()));
        fetcher
    });

    // Who there is, and for a device without an owner the code that its first one must know.
    let (site, code) =
        Site::open(seats, hands, system, certificates.clone(), folders, mode, fetcher, Arc::new(SystemClock))?;
    site.auth().trail().start(tasks).map_err(cannot("start a thread"))?;
    tasks.spawn("the clock of sessions and tokens", site.auth().clone().keep_time(stop.clone()));

    let tls = certificates.acceptor()?;
    let https = bind(config.server.https)?;
    let address = https.local_addr().map_err(cannot("read our own address"))?;
    serve_on("https", https, ListenerKind::Tls(tls.clone()), &site, tasks, stop);
    let inner = net::gate::listen::loopback_twin(address);
    if !address.ip().is_unspecified() && inner != address {
        // The guard must find the page while the one address that it listens on is away, or it would give the machine
        // up.
        serve_on("https within", bind(inner)?, ListenerKind::Tls(tls), &site, tasks, stop);
    }

    // An address that only this machine reaches is nothing to tell others of.
    if config.network.mdns && !hostname.is_empty() && !address.ip().is_loopback() {
        tasks.spawn("nearby", net::mdns::run(hostname, address.port(), stop.clone()));
    }

    if let Redirect::At(http) = config.server.http {
        serve_on("http", bind(http)?, ListenerKind::Redirect(address.port()), &site, tasks, stop);
    }
    if let Some(plain) = places.plain {
        serve_on("plain", bind(plain)?, ListenerKind::Plain, &site, tasks, stop);
    }

    // Standard output is for the person at the console, and for programs that start us; the log goes elsewhere.
    say(&format!("address: https://{address}"));
    if !is_readable {
        say("storage cannot be read, so nobody can log in: see the log of serve");
        return Ok(());
    }
    let Some(code) = code else {
        say(OWNED);
        return Ok(());
    };
    say(&format!("claim code: {code}"));
    // Whoever wrote the code down for the owner can throw it away now.
    let mut stop = stop.clone();
    tasks.spawn("owner", async move {
        tokio::select! {
            () = site.owned() => say(OWNED),
            () = stop.requested() => (),
        }
        stop.requested().await;
    });
    Ok(())
}

/// The certificate for this machine's names and addresses.
fn certificates(folders: &Folders, names: &[String]) -> Result<Arc<Certificates>, TlsError> {
    Certificates::open(&folders.data.join("tls"), names, SystemClock.wall(), &net::addresses::own())
}

/// The folder below the run folder that stands in for what survives a reboot.
const STAND_IN: &str = "stand-in";

/// Gives a rescue page another folder if it cannot use the one that survives a reboot, and says why. A key that is made
/// there serves to say so. Nobody can log in: there is no account, and nobody learns the code for the first one.
fn stand_in(folders: &mut Folders, names: &[String]) -> Mode {
    let people =
        Authenticator::open(&folders.data, &folders.run, Arc::new(SystemClock)).map(drop).map_err(StartError::from);
    let tried = people.and_then(|()| Ok(certificates(folders, names).map(drop)?));
    let folder = folders.run.join(STAND_IN);
    let Err(error) = tried else {
        // The guard takes its being there for a sign.
        let _ = std::fs::remove_dir_all(folder);
        return Mode::Rescue;
    };
    error!("going on without what is stored: {}", chain(&error));
    folders.data = folder;
    Mode::RescueWithoutStorage
}

/// Init's script `show-claim` waits for these words.
const OWNED: &str = "claimed: this device has an owner";

fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    // Nobody need be listening.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

fn serve_on(name: &str, listener: TcpListener, front: ListenerKind, site: &Arc<Site>, tasks: &Tasks, stop: &Stop) {
    tasks.spawn(name, serve::run(listener, front, site.clone(), stop.clone()));
}

fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    net::gate::listen::bind(address).map_err(cannot(format!("listen on {address}")))
}

/// Listens where only `serve`'s user may ask, and tells who that is.
fn private_socket(path: &Path) -> io::Result<(UnixListener, Vec<u32>)> {
    let user = nix::unistd::User::from_name(SERVE_USER)?;
    // Ourselves, for a person who tries it by hand; and the user that init starts serve as, where there is one.
    let own = nix::unistd::geteuid().as_raw();
    let allowed = user.iter().map(|user| user.uid.as_raw()).chain([own]).collect();
    Ok((server::listen(path, user.map(|user| user.gid.as_raw()))?, allowed))
}
