//! Plays capture dongles to a real `farhand serve`, and reads what it says of them.
//!
//! The daemon's side is preload/dongle.c, built here and preloaded into it. What the two share is a file of words,
//! which the daemon's side maps: [`Field`] has their order.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use farhand::auth::role::Role;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::net::bench::{Answer, Client, DEADLINE, Folders, bearer, soon};
use crate::net::socket::Socket;

/// Words of one dongle's structure.
const WORDS: u64 = 212;
/// Where the first dongle's pictures lie in the file, and how far the second's are behind them.
const PICTURES: u64 = 1 << 20;
const ROOM: u64 = 16 << 20;
/// About as much as a dongle of today allots for 1080p, in whole pages.
const BUFFER_BYTES: u32 = 4 << 20;

/// A word of a dongle's structure in preload/dongle.c.
#[derive(Debug, Clone, Copy)]
pub enum Field {
    Plugged = 0,
    Number = 1,
    Busy = 2,
    Silent = 3,
    Hangs = 4,
    FramesPerSecond = 5,
    BufferBytes = 6,
    Refusal = 7,
    AllowedPixels = 8,
    OffRefusal = 9,
    Colorspace = 10,
    Encoding = 11,
    Quantization = 12,
    Offers = 13,
    Pictures = 78,
    Started = 208,
    Refusals = 211,
}

/// A format in a size, as a dongle lists it.
#[derive(Debug, Clone, Copy)]
pub struct Offer(pub &'static [u8; 4], pub u16, pub u16, pub u32);

/// What a dongle puts into a buffer.
#[derive(Debug, Clone)]
pub struct Sent {
    pub bytes: Vec<u8>,
    /// How many bytes it says that these are.
    pub bytes_used: usize,
    /// Whether the driver flags it.
    pub damaged: bool,
}

impl From<Vec<u8>> for Sent {
    fn from(bytes: Vec<u8>) -> Sent {
        Sent { bytes_used: bytes.len(), bytes, damaged: false }
    }
}

/// The bus that dongles are plugged into.
pub struct Dongles {
    folder: TempDir,
    file: File,
}

impl Dongles {
    /// Two dongles, neither of them plugged in.
    pub fn new() -> Dongles {
        let folder = tempfile::tempdir().unwrap();
        for part in ["dev", "sys"] {
            fs::create_dir(folder.path().join(part)).unwrap();
        }
        let file = File::options().read(true).write(true).create_new(true).open(folder.path().join("control")).unwrap();
        file.set_len(PICTURES + 2 * ROOM).unwrap();
        Dongles { folder, file }
    }

    /// One that offers this and sends that, and is not plugged in yet.
    pub fn dongle(&self, index: u64, offers: &[Offer], pictures: &[Sent]) -> Dongle<'_> {
        let dongle = Dongle { bus: self, index };
        dongle.set(Field::FramesPerSecond, 30);
        dongle.set(Field::BufferBytes, BUFFER_BYTES);
        dongle.offer(offers);
        dongle.send(pictures);
        dongle
    }
}

/// One of the bus's dongles.
#[derive(Clone, Copy)]
pub struct Dongle<'a> {
    bus: &'a Dongles,
    index: u64,
}

impl Dongle<'_> {
    pub fn set(&self, field: Field, value: u32) {
        self.write(field as u64, &[value]);
    }

    pub fn word(&self, field: Field) -> u32 {
        let mut bytes = [0; 4];
        self.bus.file.read_exact_at(&mut bytes, (self.index * WORDS + field as u64) * 4).unwrap();
        u32::from_ne_bytes(bytes)
    }

    fn write(&self, word: u64, values: &[u32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        self.bus.file.write_all_at(&bytes, (self.index * WORDS + word) * 4).unwrap();
    }

    pub fn offer(&self, offers: &[Offer]) {
        for (Offer(fourcc, width, height, fps), at) in offers.iter().zip(0..) {
            let words = [u32::from_le_bytes(**fourcc), (*width).into(), (*height).into(), *fps];
            self.write(Field::Offers as u64 + 1 + at * 4, &words);
        }
        self.set(Field::Offers, offers.len() as u32);
    }

    /// Sends these in turn from now on.
    pub fn send(&self, pictures: &[Sent]) {
        self.set(Field::Pictures, 0);
        let mut place = PICTURES + self.index * ROOM;
        for (picture, at) in pictures.iter().zip(0..) {
            self.bus.file.write_all_at(&picture.bytes, place).unwrap();
            let words =
                [place as u32, picture.bytes.len() as u32, picture.bytes_used as u32, u32::from(picture.damaged)];
            self.write(Field::Pictures as u64 + 1 + at * 4, &words);
            place += picture.bytes.len() as u64;
        }
        assert!(place <= PICTURES + (self.index + 1) * ROOM, "too many bytes");
        self.set(Field::Pictures, pictures.len() as u32);
    }

    /// Plugs it into a USB port, as `/dev/videoNUMBER`.
    pub fn plug(&self, number: u32, port: &str) {
        let name = format!("video{number}");
        fs::write(self.bus.folder.path().join("dev").join(&name), "").unwrap();
        let link = format!("../../devices/platform/usb/usb1/1-1/{port}/{port}:1.0/video4linux/{name}");
        symlink(link, self.bus.folder.path().join("sys").join(&name)).unwrap();
        self.set(Field::Number, number);
        self.set(Field::Plugged, 1);
    }

    pub fn unplug(&self) {
        self.set(Field::Plugged, 0);
        let name = format!("video{}", self.word(Field::Number));
        for part in ["dev", "sys"] {
            fs::remove_file(self.bus.folder.path().join(part).join(&name)).unwrap();
        }
    }
}

/// The library that is preloaded; built once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("dongle.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host/preload/dongle.c");
        let options = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", "-o"];
        let built = Command::new("cc").args(options).arg(&library).arg(source).status().unwrap();
        assert!(built.success(), "cc cannot build the dongle");
        (folder, library)
    });
    library
}

/// A daemon that sees the dongles, until dropped.
pub struct Serve {
    child: Child,
    folders: Folders,
    address: SocketAddr,
    log: watch::Sender<Vec<String>>,
}

impl Serve {
    /// Starts one with these tables of the configuration.
    pub async fn start(dongles: &Dongles, tables: &str) -> Serve {
        let folders = Folders::new();
        folders.claim();
        let config = dongles.folder.path().join("farhand.toml");
        fs::write(&config, format!("[network]\nmdns = false\n{tables}")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_farhand"));
        command.args(["serve", "--https", "127.0.0.1:0", "--http", "none", "--config"]).arg(config);
        // The daemon's side opens our files in place of the kernel's, so they are where the daemon may open files.
        command.arg("--data").arg(folders.data()).arg("--run").arg(dongles.folder.path());
        command.arg("--hands").arg(dongles.folder.path().join("no-hands"));
        command.env("LD_PRELOAD", library()).env("FARHAND_DONGLE", dongles.folder.path().join("control"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (said, log) = (watch::Sender::default(), watch::Sender::default());
        keep(child.stdout.take().unwrap(), &said);
        keep(child.stderr.take().unwrap(), &log);
        let address = |line: &String| line.strip_prefix("address: https://").map(|address| address.parse().unwrap());
        let mut lines = said.subscribe();
        let wait = lines.wait_for(|lines| lines.iter().find_map(address).is_some());
        let address = soon("the address", wait).await.unwrap().iter().find_map(address).unwrap();
        Serve { child, folders, address, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.borrow().join("\n")
    }

    async fn client(&self) -> Client {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        Client::tls(tcp, &self.folders.data().join("tls/certificate.pem")).await
    }

    /// Follows a seat without looking at its pictures.
    pub async fn follow(&self, seat: &str) -> Follower<'_> {
        let path = format!("/api/v1/seats/{seat}/socket");
        let mut socket =
            Socket::at(self.client().await, &self.address.to_string(), &path, &bearer(Role::Operator)).await;
        socket.say(json!({"type": "pictures", "on": false})).await;
        Follower { serve: self, socket }
    }

    pub async fn ask(&self, request: &str) -> Answer {
        let mut client = self.client().await;
        let lines = format!("Host: {}\r\n{}", self.address, bearer(Role::Operator));
        client.send(&format!("{request} HTTP/1.1\r\n{lines}\r\n")).await;
        client.answer().await
    }

    /// Watches until a picture of this size is shown with this colour in its first pixel.
    pub async fn shows(&self, seat: &str, what: &str, size: (u16, u16), colour: [u8; 3]) {
        let mut last = None;
        let wait = async {
            let mut client = self.client().await;
            // In this version, pictures come without anything between them but their headers.
            let lines = format!("Host: {}\r\n{}", self.address, bearer(Role::Viewer));
            client.send(&format!("GET /api/v1/seats/{seat}/stream.mjpeg HTTP/1.0\r\n{lines}\r\n")).await;
            loop {
                client.until(b"Content-Length: ").await;
                let length = String::from_utf8(client.until(b"\r\n").await).unwrap();
                client.until(b"\r\n\r\n").await;
                let file = client.exactly(length.parse().unwrap()).await;
                let image = turbojpeg::decompress(&file, turbojpeg::PixelFormat::RGB).unwrap();
                let seen = [image.pixels[0], image.pixels[1], image.pixels[2]];
                let near = seen.iter().zip(colour).all(|(is, should)| is.abs_diff(should) < 6);
                if near && size == (image.width as u16, image.height as u16) {
                    return;
                }
                last = Some((image.width, image.height, seen));
            }
        };
        if tokio::time::timeout(DEADLINE, wait).await.is_err() {
            panic!("not shown: {what}: {size:?} {colour:?}; last {last:?}");
        }
    }

    /// A reader of all pictures who stops reading after the first one's header.
    pub async fn stalled_viewer(&self, seat: &str) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        // So small that no picture fits.
        socket.set_recv_buffer_size(4096).unwrap();
        let tcp = socket.connect(self.address).await.unwrap();
        let mut client = Client::tls(tcp, &self.folders.data().join("tls/certificate.pem")).await;
        let lines = format!("Host: {}\r\n{}", self.address, bearer(Role::Viewer));
        client.send(&format!("GET /api/v1/seats/{seat}/stream.mjpeg HTTP/1.1\r\n{lines}\r\n")).await;
        client.until(b"X-Timestamp").await;
        client
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.log());
        }
        // One that has ended by itself has been noticed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps each line of what is said.
fn keep(said: impl std::io::Read + Send + 'static, lines: &watch::Sender<Vec<String>>) {
    let lines = lines.clone();
    thread::spawn(move || {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            lines.send_modify(|lines| lines.push(line));
        }
    });
}

/// Reads a seat's status as it changes.
pub struct Follower<'a> {
    serve: &'a Serve,
    socket: Socket,
}

impl Follower<'_> {
    /// The next status that is so.
    pub async fn until(&mut self, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let wait = async {
            loop {
                last = self.socket.event("status").await;
                if is_so(&last) {
                    return;
                }
            }
        };
        if tokio::time::timeout(DEADLINE, wait).await.is_err() {
            panic!("not in time: {what}; last {last}\n{}", self.serve.log());
        }
        last
    }

    /// Waits for a signal, which may be that of the status seen last.
    pub async fn signal_from(&mut self, last: Value, signal: &str) {
        if last["signal"] != signal {
            self.signal(signal).await;
        }
    }

    pub async fn signal(&mut self, signal: &str) -> Value {
        self.until(signal, |status| status["signal"] == signal).await
    }
}
