//! A site on this machine's loopback.

mod client;
mod folders;
mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use farhand::auth::clock::Clock;
use farhand::base::heartbeat::Heartbeat;
use farhand::base::seat_id::SeatId;
use farhand::base::signal::{Signal, Size};
use farhand::base::tasks::{Stopper, Tasks, stop};
use farhand::bus::{FrameBus, SeatBus, StatusBus, SystemBus};
use farhand::config::change::Part;
use farhand::config::update::Update;
use farhand::hands;
use farhand::hands::appliance::ApplianceClient;
use farhand::hands::appliance::configuration::Applier;
use farhand::hands::client::Hands;
use farhand::hands::link::ServerSource;
use farhand::hands::server::ClientSource;
use farhand::net::serve::{self, ListenerKind};
use farhand::net::site::{self, Mode, Site};
use farhand::net::{self, download};
use farhand::tls::certificates::Certificates;
use farhand::update::{Progress, System};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::appliance::Appliance;
use crate::machine::Machine;

pub use client::{Answer, Client, Stream};
pub use folders::{Folders, ROLES, bearer};
pub use log::{forget_log, keep_log, lines_kept, logged};

pub const USER: &str = "anna";
pub const PASSWORD: &str = "correct horse";
pub const SIZE: Size = Size { width: 640, height: 480 };

/// How long anything may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub struct Bench {
    pub folders: Folders,
    pub code: Option<String>,
    pub frames: FrameBus,
    pub status: StatusBus,
    pub machine: Machine,
    /// That of the other seat, where there are two.
    _other: Option<Machine>,
    pub other_frames: FrameBus,
    pub https: SocketAddr,
    pub plain: SocketAddr,
    pub redirect: SocketAddr,
    pub site: Arc<Site>,
    pub certificates: Arc<Certificates>,
    pub stopper: Stopper,
    /// What has started again for a change of the configuration.
    pub applied: mpsc::Receiver<BTreeSet<Part>>,
    system: watch::Receiver<System>,
    servers: Vec<JoinHandle<()>>,
    tls: tokio_rustls::TlsConnector,
    tasks: Tasks,
}

impl Bench {
    /// A device that has an owner.
    pub async fn new() -> Bench {
        let folders = Folders::new();
        folders.claim();
        Bench::over(folders).await
    }

    /// A device that has an owner and two slots.
    pub async fn with_slots() -> (Bench, Appliance) {
        let folders = Folders::new();
        folders.claim();
        let appliance = Appliance::new(&folders.appliance());
        (Bench::over(folders).await, appliance)
    }

    /// The same, which may fetch updates.
    pub async fn with_source(source: &Update) -> (Bench, Appliance) {
        let folders = Folders::new();
        folders.claim();
        let appliance = Appliance::new(&folders.appliance());
        (Bench::build(folders, Some(never_still()), source, None).await, appliance)
    }

    /// A device as the folders left it.
    pub async fn over(folders: Folders) -> Bench {
        Bench::with(folders, Some(never_still())).await
    }

    /// A device whose capture thread has this pulse; in rescue mode it has no thread, and no seat.
    pub async fn with(folders: Folders, heartbeat: Option<Heartbeat>) -> Bench {
        Bench::build(folders, heartbeat, &Update::default(), None).await
    }

    /// A device with a seat more, `other`.
    pub async fn with_two_seats() -> Bench {
        let folders = Folders::new();
        folders.claim();
        Bench::build(folders, Some(never_still()), &Update::default(), Some(Machine::new())).await
    }

    async fn build(folders: Folders, heartbeat: Option<Heartbeat>, source: &Update, other: Option<Machine>) -> Bench {
        let machine = Machine::new();
        let (stopper, stop) = stop();
        let tasks = Tasks::new(stop.clone());
        let (frames, status) = (FrameBus::default(), StatusBus::default());
        let seat = seat();
        let bus = |heartbeat| SeatBus { seat: seat.clone(), frames: frames.clone(), status: status.clone(), heartbeat };
        let mut buses: Vec<SeatBus> = heartbeat.map(bus).into_iter().collect();
        let mode = if buses.is_empty() { Mode::Rescue } else { Mode::Usual };
        let (server, clients) = mpsc::channel(1);
        let mut boards: BTreeMap<_, _> = buses.iter().map(|bus| (bus.seat.clone(), machine.board())).collect();
        let other_frames = FrameBus::default();
        if let Some(other) = &other {
            let (seat, heartbeat) = (SeatId::try_from("other".to_string()).unwrap(), never_still());
            boards.insert(seat.clone(), other.board());
            buses.push(SeatBus { seat, frames: other_frames.clone(), status: StatusBus::default(), heartbeat });
        }
        let appliance = if folders.appliance().exists() {
            ApplianceClient::start(Appliance::at(&folders.appliance()).places(&folders.data()), &tasks, stop.clone())
        } else {
            ApplianceClient::simulated()
        };
        let (apply, applied) = mpsc::channel(16);
        let kept = folders.configuration();
        let appliance =
            appliance.with_configuration(kept.clone(), Applier::Inside(apply), folders.1.clone(), &tasks, stop.clone());
        tasks.spawn("hands", hands::server::run(ClientSource::Inside(clients), boards, appliance, stop.clone()));
        let news = SystemBus::default();
        let (hands, link) = Hands::new(&buses, news.clone());
        link.start(ServerSource::Inside(server), &tasks, stop.clone()).unwrap();
        if !buses.is_empty() {
            let mut known = status.watch();
            soon("the target is known", known.wait_for(|status| status.target.takes_keys())).await.unwrap();
        }
        let has_slots = std::fs::read_to_string(folders.appliance().join("cmdline"));
        let has_slots = has_slots.is_ok_and(|text| text.contains("rauc.slot="));
        let mut system = news.watch();
        let is_known =
            |system: &System| system.machine.as_ref().is_some_and(|machine| has_slots == machine.slots.is_some());
        soon("the machine is known", system.wait_for(is_known)).await.unwrap();

        let names = net::names("kvm", &["kvm.example.org".to_string()]);
        let certificates = Certificates::open(&folders.data().join("tls"), &names, folders.1.wall(), &[]).unwrap();
        let domain = folders.run().join("dhcp-domain");
        let names_now = move || names.iter().cloned().chain(net::domain::full_name("kvm", &domain)).collect();
        let keeping = certificates.clone().keep(folders.1.clone(), names_now, Vec::new, stop.clone());
        tasks.spawn("the certificate", keeping);
        let acceptor = certificates.acceptor().unwrap();
        let certificate = folders.data().join("tls/certificate.pem");
        let (data, run, logs) = (folders.data(), folders.run(), folders.logs());
        let kept = site::Folders { data, run, logs, configuration: kept };
        let buses = buses.into_iter().map(|bus| (bus.seat.clone(), bus)).collect();
        let fetcher = download::source(source).unwrap().map(|(fetcher, downloader)| {
            tasks.spawn("the fetching of updates", downloader.run(hands.clone(), stop.clone()));
            fetcher
        });
        let (site, code) =
            Site::open(buses, hands, news, certificates.clone(), kept, mode, fetcher, folders.1.clone()).unwrap();
        site.auth().trail().start(&tasks).unwrap();
        tasks.spawn("the clock of sessions and tokens", site.auth().clone().keep_time(stop.clone()));
        let (https, plain, redirect) = (listen().await, listen().await, listen().await);
        let address = |listener: &TcpListener| listener.local_addr().unwrap();
        let (https_at, plain_at, redirect_at) = (address(&https), address(&plain), address(&redirect));
        let fronts = [
            (https, ListenerKind::Tls(acceptor)),
            (plain, ListenerKind::Plain),
            (redirect, ListenerKind::Redirect(https_at.port())),
        ];
        let servers = fronts
            .into_iter()
            .map(|(listener, front)| tokio::spawn(serve::run(listener, front, site.clone(), stop.clone())))
            .collect();
        Bench {
            folders,
            code: code.map(|code| code.to_string()),
            frames,
            status,
            machine,
            _other: other,
            other_frames,
            https: https_at,
            plain: plain_at,
            redirect: redirect_at,
            site,
            certificates,
            stopper,
            applied,
            system,
            servers,
            tls: connector(&certificate),
            tasks,
        }
    }

    /// Stops the daemon, and waits until all of it has ended.
    pub async fn end(self) -> Folders {
        self.stopper.stop();
        for server in self.servers {
            soon("the listener ends", server).await.unwrap();
        }
        // The audit log ends when nobody is left who could have something to write down.
        drop(self.site);
        self.tasks.all_ended().await;
        self.folders
    }

    /// Stops the daemon, and starts another over the same folders.
    pub async fn restart(self) -> Bench {
        Bench::over(self.end().await).await
    }

    /// Waits until an update, as the daemon itself knows it, is so.
    pub async fn update_is(&self, what: &str, so: impl Fn(&Progress) -> bool) {
        let mut system = self.system.clone();
        soon(what, system.wait_for(|system| so(&system.update()))).await.unwrap();
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        self.folders.1.advance(time);
    }

    pub async fn connect(&self) -> Client {
        self.connect_by("127.0.0.1").await
    }

    /// Comes in by the name or address given, which the certificate has to have.
    pub async fn connect_by(&self, name: &str) -> Client {
        let tcp = TcpStream::connect(self.https).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        Client::over(soon("a handshake", self.tls.connect(name, tcp)).await.unwrap())
    }

    pub fn host(&self) -> String {
        format!("Host: {}\r\n", self.https)
    }

    /// Sends one request, with our host and whatever header lines are given, and reads the answer.
    pub async fn ask(&self, request: &str, lines: &str, body: &str) -> Answer {
        let mut client = self.connect().await;
        client.send(&self.request(request, lines, body)).await;
        let answer = client.answer().await;
        answer.check(request);
        answer
    }

    pub fn request(&self, request: &str, lines: &str, body: &str) -> String {
        let host = self.host();
        let body_lines = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
        };
        format!("{request} HTTP/1.1\r\n{host}{lines}{body_lines}\r\n{body}")
    }

    /// Logs in; gives the cookie as a header line.
    pub async fn login(&self) -> String {
        self.login_as(USER).await
    }

    /// Logs somebody in whose password is that of all.
    pub async fn login_as(&self, user: &str) -> String {
        let body = format!(r#"{{"user":"{user}","password":"{PASSWORD}"}}"#);
        let answer = self.ask("POST /api/v1/login", "", &body).await;
        assert_eq!(200, answer.status, "{}", answer.text());
        answer.cookie()
    }

    /// The header line by which a page of ours is known.
    pub fn origin(&self) -> String {
        format!("Origin: https://{}\r\n", self.https)
    }

    pub fn publish(&self, jpeg: impl Into<Bytes>) {
        let jpeg = jpeg.into();
        self.frames.publish(Instant::now(), SIZE, jpeg.clone());
        self.other_frames.publish(Instant::now(), SIZE, jpeg);
    }
}

impl Bench {
    /// What a screen does that has lost its signal, or found it again.
    pub fn report(&self, signal: Signal, reason: Option<&str>) {
        let (seat, frames, status, heartbeat) = (seat(), self.frames.clone(), self.status.clone(), never_still());
        let bus = SeatBus { seat, frames, status, heartbeat };
        bus.report(Instant::now(), |screen| (screen.signal, screen.reason) = (signal, reason.map(str::to_string)));
    }
}

/// The pulse of a capture thread. None paints here, so nobody beats: for an hour that is none too long.
fn never_still() -> Heartbeat {
    Heartbeat::new(Instant::now() + Duration::from_secs(3600))
}

fn seat() -> SeatId {
    SeatId::try_from("main".to_string()).unwrap()
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// A path of the table with something in place of its braces: the seat there is, or else what nobody is called.
pub fn path(template: &str) -> String {
    let Some((before, rest)) = template.split_once('{') else { return template.to_string() };
    let (name, after) = rest.split_once('}').unwrap();
    let named = match name {
        "seat" => "main",
        "session" => "0123456789abcdef",
        "version" => "1",
        _ => "nobody",
    };
    format!("{before}{named}{after}")
}

/// A client that trusts the last of these certificates, which is the authority's if there is one.
fn connector(certificate: &Path) -> tokio_rustls::TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate).unwrap().collect::<Result<_, _>>().unwrap();
    roots.add(chain.last().unwrap().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(Arc::new(config))
}

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, future).await {
        Ok(result) => result,
        Err(_) => panic!("not within {DEADLINE:?}: {what}"),
    }
}
