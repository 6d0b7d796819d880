//! Starts the servers that are compared, each as in normal use.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::device::Device;
use crate::pictures::{HEIGHT, WIDTH};
use crate::viewer::Stream;
use crate::wire::{self, Address, Connection};

/// The longest time for a server's start, and for its end.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to check for conditions that send no event.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A server, and the way to its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// Debian's ustreamer, which passes MJPEG on.
    Ustreamer,
    /// Ours, as multipart.
    Multipart,
    /// Ours, as multipart over TLS.
    Tls,
    /// Ours, on a WebSocket that acknowledges each picture.
    Socket,
    /// The same over TLS, which is how every browser comes.
    SocketTls,
    /// The same, with a round trip of 100 ms.
    Far,
    /// The same, with a round trip of 200 ms.
    Farther,
}

impl Subject {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Ustreamer => "ustreamer",
            Subject::Multipart => "farhand, multipart",
            Subject::Tls => "farhand, multipart over TLS",
            Subject::Socket => "farhand, WebSocket",
            Subject::SocketTls => "farhand, WebSocket over TLS",
            Subject::Far => "the same, round trip 100 ms",
            Subject::Farther => "the same, round trip 200 ms",
        }
    }

    /// How long anything is on its way there, or back.
    pub fn way(self) -> Duration {
        match self {
            Subject::Far => Duration::from_millis(50),
            Subject::Farther => Duration::from_millis(100),
            _ => Duration::ZERO,
        }
    }

    /// What it is compared with.
    pub fn rival(self) -> Option<Subject> {
        match self {
            Subject::Ustreamer => None,
            Subject::Far | Subject::Farther => Some(Subject::SocketTls),
            _ => Some(Subject::Ustreamer),
        }
    }
}

/// What all servers share, and what ours keeps from one start to the next.
pub struct Bench {
    folder: PathBuf,
    preload: PathBuf,
    tokens: Vec<String>,
}

/// Tokens that the viewers share: one opens eight streams at most, and 64 viewers are the most that are measured.
const TOKENS: usize = 8;

impl Bench {
    /// Uses this folder for logs and our server's data.
    pub fn new(folder: &Path, preload: PathBuf) -> Result<Bench, Box<dyn Error>> {
        let data = folder.join("data");
        if data.exists() {
            // From the last run, whose tokens are not known any more.
            fs::remove_dir_all(&data)?;
        }
        fs::create_dir_all(&data)?;
        let config = "[server]\nhttp = \"none\"\n[seats.main.video]\ndevice = \"/dev/video0\"\n";
        fs::write(folder.join("farhand.toml"), config)?;
        Ok(Bench { folder: folder.into(), preload, tokens: Vec::new() })
    }

    /// Starts a server on a device, and waits until it serves pictures.
    pub async fn start(&mut self, subject: Subject, device: &Device) -> Result<Running, Box<dyn Error>> {
        let (plain, tls) = (free_address()?, free_address()?);
        let mut command = match subject {
            Subject::Ustreamer => ustreamer(plain),
            _ => self.farhand(plain, tls),
        };
        device.lend_to(&mut command, &self.preload);
        let log = self.folder.join(if subject == Subject::Ustreamer { "ustreamer.log" } else { "farhand.log" });
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let child = command.spawn().map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
        let mut running = Running { child, stream: stream(subject, plain, tls), log };
        let said = running.lines();
        let ready = match subject {
            Subject::Ustreamer => running.wait_until_connectable(plain),
            _ => self.meet(&said, &mut running, tls).await,
        };
        ready.map_err(|error| format!("{}: {error}; its log is {}", subject.name(), running.log.display()))?;
        Ok(running)
    }

    fn farhand(&self, plain: SocketAddr, tls: SocketAddr) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_farhand"));
        command.args(["serve", "--plain", &plain.to_string(), "--https", &tls.to_string()]);
        command.arg("--data").arg(self.folder.join("data"));
        command.arg("--config").arg(self.folder.join("farhand.toml"));
        command
    }

    /// Claims a new server, and gets the tokens that the viewers use, also after its later starts.
    async fn meet(
        &mut self,
        said: &Receiver<String>,
        running: &mut Running,
        tls: SocketAddr,
    ) -> Result<(), Box<dyn Error>> {
        said_after("address: ", said)?;
        if self.tokens.is_empty() {
            let code = said_after("claim code: ", said)?;
            let address = Address { socket: tls, tls: true };
            let claim = json!({"code": code, "user": "bench", "password": "correct horse battery staple"});
            let (head, _) = post(address, "/api/v1/claim", "", &claim).await?;
            let cookie =
                head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).ok_or("claim gave no cookie")?;
            let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap_or_default());
            for number in 0..TOKENS {
                let wish = json!({"name": format!("bench-{number}"), "role": "viewer", "expires": null});
                let (_, answer) = post(address, "/api/v1/tokens", &cookie, &wish).await?;
                self.tokens.push(answer["token"].as_str().ok_or("there was no token in the answer")?.into());
            }
        }
        running.stream.bearers = self.tokens.clone();
        Ok(())
    }
}

fn ustreamer(address: SocketAddr) -> Command {
    let mut command = Command::new("ustreamer");
    command.args(["--device", "/dev/video0", "--format", "MJPEG", "--encoder", "HW", "--tcp-nodelay"]);
    command.args(["--resolution", &format!("{WIDTH}x{HEIGHT}")]);
    command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
    command
}

fn stream(subject: Subject, plain: SocketAddr, tls: SocketAddr) -> Stream {
    let socket = matches!(subject, Subject::Socket | Subject::SocketTls | Subject::Far | Subject::Farther);
    let path = match subject {
        Subject::Ustreamer => "/stream",
        _ if socket => "/api/v1/seats/main/socket",
        _ => "/api/v1/seats/main/stream.mjpeg",
    };
    let over_tls = !matches!(subject, Subject::Ustreamer | Subject::Multipart | Subject::Socket);
    let address = Address { socket: if over_tls { tls } else { plain }, tls: over_tls };
    Stream { address, path, bearers: Vec::new(), socket, way: subject.way() }
}

/// Sends JSON, and returns the head and the JSON of the answer.
async fn post(address: Address, path: &str, headers: &str, body: &Value) -> Result<(String, Value), Box<dyn Error>> {
    let body = body.to_string();
    let host = address.socket;
    let mut text = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}");
    text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut wire = Connection::connect(address).await?;
    let (head, mut answer) = wire::request(&mut wire, &text, 200).await?;
    let mut more = [0; 1024];
    while let got @ 1.. = wire.read(&mut more).await? {
        answer.extend_from_slice(&more[..got]);
    }
    Ok((head, serde_json::from_slice(&answer)?))
}

/// A port that is free at this moment.
fn free_address() -> Result<SocketAddr, Box<dyn Error>> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The text after `start` on the next line that contains it.
fn said_after(start: &str, said: &Receiver<String>) -> Result<String, Box<dyn Error>> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let line = said
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .map_err(|_| format!("it did not say \"{start}\""))?;
        if let Some(rest) = line.strip_prefix(start) {
            return Ok(rest.trim().to_string());
        }
    }
}

/// A server that runs until this is dropped.
pub struct Running {
    child: Child,
    /// The way to its pictures.
    pub stream: Stream,
    log: PathBuf,
}

impl Running {
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// The lines of its standard output, which must be read so that it does not block; lines beyond the queue's limit
    /// are dropped.
    fn lines(&mut self) -> Receiver<String> {
        let (sender, receiver) = sync_channel(64);
        if let Some(output) = self.child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = sender.try_send(line);
                }
            });
        }
        receiver
    }

    fn wait_until_connectable(&mut self, address: SocketAddr) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended with {status}").into());
            }
            if deadline < Instant::now() {
                return Err("it does not listen".into());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let deadline = Instant::now() + START_TIMEOUT;
        // It may have ended by itself.
        let _ = kill(self.pid(), Signal::SIGTERM);
        while let Ok(None) = self.child.try_wait() {
            if deadline < Instant::now() {
                let _ = self.child.kill();
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}
