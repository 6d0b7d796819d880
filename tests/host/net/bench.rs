//! A site on this machine's loopback, and a client that says exactly what a test wants said.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use farhand::auth::accounts::{Accounts, Name};
use farhand::auth::clock::{Clock, SystemClock};
use farhand::auth::role::Role;
use farhand::auth::secret::{Bearer, hash_password};
use farhand::base::heartbeat::Heartbeat;
use farhand::base::seat_id::SeatId;
use farhand::base::signal::Size;
use farhand::base::tasks::{Stopper, Tasks, stop};
use farhand::bus::{FrameBus, SeatBus, StatusBus, SystemBus};
use farhand::config::update::Update;
use farhand::hands;
use farhand::hands::appliance::ApplianceClient;
use farhand::hands::client::Hands;
use farhand::hands::link::ServerSource;
use farhand::hands::server::ClientSource;
use farhand::net::api::TABLE;
use farhand::net::http::table::Found;
use farhand::net::serve::{self, ListenerKind};
use farhand::net::site::{self, Mode, Site};
use farhand::net::{self, download};
use farhand::tls::certificates::Certificates;
use farhand::update::{Progress, System};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::appliance::Appliance;
use crate::machine::Machine;

pub const USER: &str = "anna";
pub const PASSWORD: &str = "correct horse";
pub const SIZE: Size = Size { width: 640, height: 480 };

/// How long anything may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// This machine's clocks, which a test may put forward.
#[derive(Debug)]
pub struct TestClock(watch::Sender<Duration>);

impl TestClock {
    /// Lets this much time pass.
    pub fn advance(&self, time: Duration) {
        self.0.send_modify(|ahead| *ahead += time);
    }
}

impl Clock for TestClock {
    fn since_boot(&self) -> Duration {
        SystemClock.since_boot() + *self.0.borrow()
    }

    fn wall(&self) -> u64 {
        SystemClock.wall() + self.0.borrow().as_secs()
    }

    fn wait_for(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut ahead = self.0.subscribe();
        Box::pin(async move {
            let left = time.saturating_sub(self.since_boot());
            let _ = timeout(left, ahead.changed()).await;
        })
    }
}

/// Folders that are removed with the test, and the clock of the device that they belong to.
pub struct Folders(PathBuf, pub Arc<TestClock>);

impl Folders {
    pub fn new() -> Folders {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("farhand-net-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Folders(path, Arc::new(TestClock(watch::Sender::default())))
    }

    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The appliance around this data, once there is one.
    pub fn appliance(&self) -> PathBuf {
        self.0.join("appliance")
    }

    /// Puts a user and a token for each role in place, as an earlier run of the daemon would have.
    pub fn claim(&self) {
        static HASH: OnceLock<String> = OnceLock::new();
        let hash = HASH.get_or_init(|| hash_password(PASSWORD, [7; 16]));
        let mut accounts = Accounts::default();
        accounts.put_user(name(USER), Role::Administrator, hash.clone());
        for role in ROLES {
            let secret = secret(role).digest();
            accounts.put_token(0, 0, name(&format!("{role:?}")), role, secret, None).unwrap();
        }
        std::fs::create_dir_all(self.data()).unwrap();
        std::fs::write(self.data().join("users.json"), serde_json::to_string(&accounts).unwrap()).unwrap();
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub const ROLES: [Role; 3] = [Role::Viewer, Role::Operator, Role::Administrator];

fn name(text: &str) -> Name {
    Name::try_from(text.to_string()).unwrap()
}

fn secret(role: Role) -> Bearer {
    Bearer::new([role as u8 + 1; 32])
}

/// The header line with which a program of this role comes.
pub fn bearer(role: Role) -> String {
    format!("Authorization: Bearer {}\r\n", secret(role).reveal())
}

pub struct Bench {
    pub folders: Folders,
    pub code: Option<String>,
    pub frames: FrameBus,
    pub status: StatusBus,
    pub machine: Machine,
    pub https: SocketAddr,
    pub plain: SocketAddr,
    pub redirect: SocketAddr,
    pub site: Arc<Site>,
    pub certificates: Arc<Certificates>,
    pub stopper: Stopper,
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
        (Bench::build(folders, Some(never_still()), source).await, appliance)
    }

    /// A device as the folders left it.
    pub async fn over(folders: Folders) -> Bench {
        Bench::with(folders, Some(never_still())).await
    }

    /// A device whose capture thread has this pulse; in rescue mode it has no thread, and no seat.
    pub async fn with(folders: Folders, heartbeat: Option<Heartbeat>) -> Bench {
        Bench::build(folders, heartbeat, &Update::default()).await
    }

    async fn build(folders: Folders, heartbeat: Option<Heartbeat>, source: &Update) -> Bench {
        let machine = Machine::new();
        let (stopper, stop) = stop();
        let tasks = Tasks::new(stop.clone());
        let (frames, status) = (FrameBus::default(), StatusBus::default());
        let seat = seat();
        let bus = |heartbeat| SeatBus { seat: seat.clone(), frames: frames.clone(), status: status.clone(), heartbeat };
        let buses: Vec<SeatBus> = heartbeat.map(bus).into_iter().collect();
        let mode = if buses.is_empty() { Mode::Rescue } else { Mode::Usual };
        let (server, clients) = mpsc::channel(1);
        let boards = buses.iter().map(|bus| (bus.seat.clone(), machine.board())).collect();
        let appliance = if folders.appliance().exists() {
            ApplianceClient::start(Appliance::at(&folders.appliance()).places(&folders.data()), &tasks, stop.clone())
        } else {
            ApplianceClient::simulated()
        };
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
        let keeping = certificates.clone().keep(folders.1.clone(), Vec::new, stop.clone());
        tasks.spawn("the certificate", keeping);
        let acceptor = certificates.acceptor().unwrap();
        let certificate = folders.data().join("tls/certificate.pem");
        let kept = site::Folders { data: folders.data(), run: folders.run(), logs: folders.logs() };
        let buses = buses.into_iter().map(|bus| (bus.seat.clone(), bus)).collect();
        let fetcher = download::source(source).unwrap().map(|(fetcher, downloader)| {
            tasks.spawn("the fetching of updates", downloader.run(hands.clone(), stop.clone()));
            fetcher
        });
        let (site, code) =
            Site::open(buses, hands, news, certificates.clone(), kept, mode, fetcher, folders.1.clone()).unwrap();
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
            https: https_at,
            plain: plain_at,
            redirect: redirect_at,
            site,
            certificates,
            stopper,
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
        let tcp = TcpStream::connect(self.https).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        Client { stream: Box::new(soon("a handshake", self.tls.connect(name, tcp)).await.unwrap()), held: Vec::new() }
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
        let body = format!(r#"{{"user":"{USER}","password":"{PASSWORD}"}}"#);
        let answer = self.ask("POST /api/v1/login", "", &body).await;
        assert_eq!(200, answer.status, "{}", answer.text());
        answer.cookie()
    }

    /// The header line by which a page of ours is known.
    pub fn origin(&self) -> String {
        format!("Origin: https://{}\r\n", self.https)
    }

    pub fn publish(&self, jpeg: impl Into<Bytes>) {
        self.frames.publish(Instant::now(), SIZE, jpeg.into());
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

thread_local! {
    /// What has been logged on this thread, which is this test's alone.
    static LOG: watch::Sender<Vec<String>> = watch::Sender::default();
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        // At its end a thread has none any more.
        let _ = LOG.try_with(|log| log.send_modify(|lines| lines.push(record.args().to_string())));
    }

    fn flush(&self) {}
}

/// Has what is logged from now on kept.
pub fn keep_log() {
    // Another test may have done so already.
    let _ = log::set_logger(&Logger);
    log::set_max_level(log::LevelFilter::Debug);
}

/// Waits until a line with all of these parts has been logged.
pub async fn logged(parts: &[&str]) {
    let mut log = LOG.with(watch::Sender::subscribe);
    let is_there = |lines: &Vec<String>| lines.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    soon(&format!("{parts:?} in the log"), log.wait_for(is_there)).await.unwrap();
}

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(DEADLINE, future).await {
        Ok(result) => result,
        Err(_) => panic!("not within {DEADLINE:?}: {what}"),
    }
}

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub struct Client {
    pub stream: Box<dyn Stream>,
    /// Read and not used yet.
    held: Vec<u8>,
}

impl Client {
    pub async fn plain(address: SocketAddr) -> Client {
        Client { stream: Box::new(TcpStream::connect(address).await.unwrap()), held: Vec::new() }
    }

    /// From another of this machine's loopback addresses.
    pub async fn plain_from(own: Ipv4Addr, address: SocketAddr) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((own, 0))).unwrap();
        Client { stream: Box::new(socket.connect(address).await.unwrap()), held: Vec::new() }
    }

    pub async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        soon("sending", self.stream.write_all(bytes)).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Reads on until `end` has come; gives what came before it.
    pub async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.held.windows(end.len()).position(|window| window == end) {
                let before = self.held[..at].to_vec();
                self.held.drain(..at + end.len());
                return before;
            }
            assert!(self.more().await, "the end came before {:?}", String::from_utf8_lossy(end));
        }
    }

    pub async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.held.len() < length {
            assert!(self.more().await, "the end came early");
        }
        self.held.drain(..length).collect()
    }

    /// Whether there is more to read.
    pub async fn more(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        let read = soon("something to read", self.stream.read(&mut piece)).await.unwrap_or(0);
        self.held.extend_from_slice(&piece[..read]);
        read != 0
    }

    pub async fn answer(&mut self) -> Answer {
        let mut answer = self.header().await;
        if let Some(length) = answer.line("content-length") {
            answer.body = self.exactly(length.parse().unwrap()).await;
        }
        answer
    }

    /// An answer without its body.
    pub async fn header(&mut self) -> Answer {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await).unwrap();
        let (status, lines) = head.split_once("\r\n").unwrap_or((&head, ""));
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let lines = lines.split("\r\n").filter(|line| !line.is_empty()).map(|line| line.split_once(": ").unwrap());
        let lines: Vec<_> = lines.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Answer { status, lines, body: Vec::new() }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub lines: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn line(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Checks that what went wrong is what the table says may go wrong with such a request.
    fn check(&self, request: &str) {
        let (method, path) = request.split_once(' ').unwrap();
        let path = path.split('?').next().unwrap();
        if let Ok(Found::Row(row, _)) = TABLE.find(&method.parse().unwrap(), path)
            && 400 <= self.status
            // What can be no header is refused before anybody looks for a row, and an answer to HEAD has no body.
            && !self.body.is_empty()
        {
            let code = self.code();
            let known = row.codes().iter().any(|known| (known.name, known.status.as_u16()) == (&*code, self.status));
            assert!(known, "{row:?} says nothing of {} {code}", self.status);
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The stable code of an error.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_string()
    }

    /// The cookie that was set, as a client sends it back.
    pub fn cookie(&self) -> String {
        let cookie = self.line("set-cookie").expect("a cookie").split(';').next().unwrap();
        format!("Cookie: {cookie}\r\n")
    }
}
