//! Shows that each fence bites, and lets through what the product needs.
//!
//! A process never gets out of its fence again, so each attempt is made by a process of its own: this binary once more,
//! which runs one test and finds in its environment what to try.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio, exit};
use std::sync::OnceLock;
use std::thread;

use farhand::appliance::upload::{self, Upload};
use farhand::auth::role::Role;
use farhand::base::launcher::{Launcher, Program};
use farhand::bus::SystemBus;
use farhand::config::Config;
use farhand::hands::appliance::spool;
use farhand::hw::condition;
use farhand::net::addresses;
use farhand::sandbox::fence::Fence;
use farhand::sandbox::table;
use farhand::update::slots::{Environment, Slot};
use farhand::update::{Machine, Phase, Progress, slots};
use nix::libc;

use crate::net::bench::{Client, Folders, bearer};

/// Who tries what, and in which folder.
const ATTEMPT: &str = "FARHAND_ATTEMPT";

/// Something that is tried behind a fence, in a folder whose `data` is the process's own.
type Attempt = fn(&Path) -> io::Result<()>;

/// What comes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Done,
    Refused(i32),
    /// The process is ended.
    Ended,
}

use Outcome::{Done, Ended, Refused};

/// A page on a port that nobody uses.
const PORT: u16 = 18443;

fn fence(name: &str, folder: &Path) -> Fence {
    let at = |name: &str| folder.join(name);
    match name {
        "serve" => table::serve(&at("data"), &at("run"), &at("logs"), &[([127, 0, 0, 1], PORT).into()]),
        "guard" => table::guard(&at("data"), &at("run"), ([127, 0, 0, 1], PORT).into()),
        "hands" => table::hands(&Config::default(), &at("run/hands.sock"), &at("data")),
        other => panic!("there is no process {other}"),
    }
}

/// A system call with these arguments.
fn call(number: i64, arguments: [i64; 5]) -> io::Result<()> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: none of those that are tried here writes to an address, for none gets a good one.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<()> {
    call(libc::SYS_socket, [family, kind, protocol, 0, 0].map(i64::from))
}

/// What everybody is refused, whoever it is.
const NOBODY: &[(&str, Attempt, Outcome)] = &[
    ("reads a file outside", |at| fs::read(at.join("secret")).map(drop), Refused(libc::EACCES)),
    ("lists a folder outside", |at| fs::read_dir(at).map(drop), Refused(libc::EACCES)),
    ("writes a file outside", |at| fs::write(at.join("new"), ""), Refused(libc::EACCES)),
    (
        "changes the system",
        |_| fs::OpenOptions::new().append(true).open("/etc/hostname").map(drop),
        Refused(libc::EACCES),
    ),
    ("moves a file out", |at| fs::rename(at.join("data/own"), at.join("own")), Refused(libc::EACCES)),
    ("runs a program", |_| Command::new("/bin/true").status().map(drop), Refused(libc::EPERM)),
    ("becomes a program", |_| Err(Command::new("/bin/true").exec()), Refused(libc::EPERM)),
    ("sees each packet", |_| socket(libc::AF_PACKET, libc::SOCK_RAW, 0), Refused(libc::EPERM)),
    ("makes packets", |_| socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP), Refused(libc::EPERM)),
    (
        "hears of devices",
        |_| socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT),
        Refused(libc::EPERM),
    ),
    ("talks to the host of a virtual machine", |_| socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0), Refused(libc::EPERM)),
    (
        "ends another process",
        |_| call(libc::SYS_kill, [i64::from(std::os::unix::process::parent_id()), 0, 0, 0, 0]),
        Refused(libc::EPERM),
    ),
    (
        "makes a process in namespaces of its own",
        |_| call(libc::SYS_clone, [libc::CLONE_NEWUSER.into(), 0, 0, 0, 0]),
        Refused(libc::EPERM),
    ),
    ("makes a process in a way that cannot be looked at", |_| call(libc::SYS_clone3, [0; 5]), Refused(libc::ENOSYS)),
    (
        "types into a terminal",
        |_| call(libc::SYS_ioctl, [0, libc::TIOCSTI.cast_signed(), 0, 0, 0]),
        Refused(libc::EPERM),
    ),
    ("becomes another user", |_| call(libc::SYS_setuid, [0; 5]), Refused(libc::EPERM)),
    ("sets the clock", |_| call(libc::SYS_clock_settime, [0; 5]), Refused(libc::EPERM)),
    (
        "makes a device",
        |at| {
            nix::sys::stat::mknod(
                &at.join("data/null"),
                nix::sys::stat::SFlag::S_IFCHR,
                nix::sys::stat::Mode::S_IRWXU,
                nix::sys::stat::makedev(1, 3),
            )
            .map_err(io::Error::from)
        },
        Refused(libc::EPERM),
    ),
    ("watches another process", |_| call(libc::SYS_ptrace, [libc::PTRACE_ATTACH.into(), 0, 0, 0, 0]), Ended),
    ("reads another process's memory", |_| call(libc::SYS_process_vm_readv, [1, 0, 0, 0, 0]), Ended),
    ("loads a module", |_| call(libc::SYS_init_module, [0; 5]), Ended),
    ("mounts", |_| call(libc::SYS_mount, [0; 5]), Ended),
    ("leaves for namespaces of its own", |_| call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0, 0]), Ended),
    ("gives the kernel a program", |_| call(libc::SYS_bpf, [0; 5]), Ended),
    ("asks for a ring", |_| call(libc::SYS_io_uring_setup, [1, 0, 0, 0, 0]), Ended),
    ("handles faults of memory", |_| call(libc::SYS_userfaultfd, [0; 5]), Ended),
    ("asks for keys", |_| call(libc::SYS_keyctl, [0; 5]), Ended),
    ("restarts the machine", |_| call(libc::SYS_reboot, [0; 5]), Ended),
];

/// What everybody may do.
const EVERYBODY: &[(&str, Attempt, Outcome)] = &[
    ("writes a file of its own", |at| fs::write(at.join("data/state/new"), "x"), Done),
    ("starts a thread", |_| thread::Builder::new().spawn(|| ()).map(|thread| thread.join().unwrap()), Done),
    (
        "has nothing left to give back",
        |_| {
            let status = fs::read_to_string("/proc/self/status")?;
            for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapInh:\t0000000000000000"] {
                assert!(status.contains(line), "{status}");
            }
            Ok(())
        },
        Done,
    ),
];

/// What `serve` may and may not.
const SERVE: &[(&str, Attempt, Outcome)] = &[
    ("listens where it should", |_| TcpListener::bind(("127.0.0.1", PORT)).map(drop), Done),
    ("listens elsewhere", |_| TcpListener::bind(("127.0.0.1", PORT + 1)).map(drop), Refused(libc::EACCES)),
    ("looks up a name", |_| ("localhost", 80).to_socket_addrs().map(drop), Done),
    ("sends a packet by UDP", |_| UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", ("127.0.0.1", PORT)).map(drop), Done),
    (
        "asks for the addresses of this machine",
        |_| {
            assert!(!addresses::own().is_empty() || nix::ifaddrs::getifaddrs()?.next().is_some());
            Ok(())
        },
        Done,
    ),
    ("reaches the hands", |at| UnixStream::connect(at.join("run/hands.sock")).map(drop), Done),
    ("looks for a dongle", |_| fs::read_dir("/dev").map(drop), Done),
    ("stores an update", |at| store(&at.join("data")), Done),
    (
        "starts a process of its own",
        |_| call(libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0, 0, 0]),
        Refused(libc::EPERM),
    ),
];

/// What the guard may and may not.
const GUARD: &[(&str, Attempt, Outcome)] = &[
    (
        "writes for the next start",
        |at| condition::storage_fault(&at.join("data")).map_or(Ok(()), |fault| panic!("{}", fault.text)),
        Done,
    ),
    ("writes what is not its own", |at| fs::write(at.join("data/own"), "x"), Refused(libc::EACCES)),
    ("tells the page why the machine started", |at| fs::write(at.join("run/started.json"), "{}"), Done),
    ("asks whether the network is up", |_| nix::ifaddrs::getifaddrs().map(drop).map_err(io::Error::from), Done),
    ("has a program started that was named before", start, Done),
    ("asks the page", |_| refused_by_nobody(PORT), Done),
    ("connects elsewhere", |_| TcpStream::connect(("127.0.0.1", PORT + 1)).map(drop), Refused(libc::EACCES)),
    ("listens", |_| TcpListener::bind("127.0.0.1:0").map(drop), Refused(libc::EACCES)),
    ("reaches the hands", |at| UnixStream::connect(at.join("run/hands.sock")).map(drop), Refused(libc::EPERM)),
];

/// What starts programs for the process that makes an attempt.
static LAUNCHER: OnceLock<Launcher> = OnceLock::new();

/// The one program that it starts, which reads what nobody behind a fence may read.
fn reader(folder: &Path) -> Program {
    Program::new(["cat".into(), folder.join("secret")])
}

/// Has it started.
fn start(folder: &Path) -> io::Result<()> {
    let output = LAUNCHER.get().unwrap().output(&reader(folder), b"")?;
    assert_eq!((true, &b"x"[..]), (output.status.success(), &*output.stdout));
    Ok(())
}

/// Connects, and takes it for a success that nobody listens there.
fn refused_by_nobody(port: u16) -> io::Result<()> {
    match TcpStream::connect(("127.0.0.1", port)) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => Err(error),
        _ => Ok(()),
    }
}

/// What the hands may and may not.
const HANDS: &[(&str, Attempt, Outcome)] = &[
    (
        "takes an update out of the spool",
        |at| {
            let (spool, taken) = (at.join("data/spool"), at.join("data/install"));
            fs::create_dir(&spool)?;
            fs::write(spool::file(&spool), "bundle")?;
            spool::upgrade_with(&spool, &taken, 6)?;
            fs::remove_dir_all(spool)?;
            fs::remove_dir_all(taken)
        },
        Done,
    ),
    (
        "makes its socket",
        |at| UnixListener::bind(at.join("run/other.sock")).and_then(|_| fs::remove_file(at.join("run/other.sock"))),
        Done,
    ),
    ("makes a TCP socket", |_| socket(libc::AF_INET, libc::SOCK_STREAM, 0), Refused(libc::EPERM)),
    ("makes a UDP socket", |_| socket(libc::AF_INET6, libc::SOCK_DGRAM, 0), Refused(libc::EPERM)),
    (
        "asks for the addresses of this machine",
        |_| socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE),
        Refused(libc::EPERM),
    ),
    ("has a program started that was named before", start, Done),
    ("looks for gadgets and lines", |_| fs::read_dir("/dev").map(drop), Done),
];

/// Stores an upload as a request does.
fn store(data: &Path) -> io::Result<()> {
    let bus = SystemBus::default();
    let slots = slots::read(Slot::A, "1.0.0", &Environment::default(), "");
    bus.update(|system| {
        system.machine = Some(Machine { real: true, slots: Some(slots), update: Progress::default() });
        true
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let upload = Upload::begin(&bus, data, Phase::Receiving).map_err(io::Error::other)?;
        let body = futures_util::stream::iter([Ok::<_, io::Error>(bytes::Bytes::from_static(b"bundle"))]);
        upload.store(6, body, || ()).await.map_err(io::Error::other)?;
        upload.end();
        io::Result::Ok(())
    })?;
    upload::clear(data);
    Ok(())
}

fn attempts(name: &str) -> impl Iterator<Item = &'static (&'static str, Attempt, Outcome)> {
    let own = match name {
        "serve" => SERVE,
        "guard" => GUARD,
        "hands" => HANDS,
        other => panic!("there is no process {other}"),
    };
    NOBODY.iter().chain(EVERYBODY).chain(own)
}

/// Makes one attempt, if that is what this process was started for.
#[test]
fn an_attempt_has_a_process_of_its_own() {
    let Ok(asked) = std::env::var(ATTEMPT) else { return };
    let [name, what, folder] = asked.split('|').collect::<Vec<_>>()[..] else { panic!("{asked}") };
    let (_, attempt, _) = attempts(name).find(|(of, ..)| *of == what).unwrap();
    let folder = Path::new(folder);
    LAUNCHER.set(Launcher::leave(vec![reader(folder)]).unwrap()).unwrap();
    fence(name, folder).enter(name);
    exit(match attempt(folder) {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or_else(|| panic!("{error}")),
    });
}

fn outcome(status: ExitStatus) -> Option<Outcome> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Some(Done),
        (None, Some(libc::SIGSYS)) => Some(Ended),
        // What a test exits with that has panicked.
        (Some(101), _) | (None, _) => None,
        (Some(error), _) => Some(Refused(error)),
    }
}

/// Makes every attempt behind the fence of a process.
fn check(name: &str) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    for made in ["data/state", "run", "logs"] {
        fs::create_dir_all(folder.join(made)).unwrap();
    }
    for file in ["secret", "data/own"] {
        fs::write(folder.join(file), "x").unwrap();
    }
    let _hands = UnixListener::bind(folder.join("run/hands.sock")).unwrap();
    let mut wrong = Vec::new();
    for (what, _, expected) in attempts(name) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["sandbox::an_attempt_has_a_process_of_its_own", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(ATTEMPT, format!("{name}|{what}|{}", folder.display())).stdin(Stdio::null());
        let output = command.output().unwrap();
        if outcome(output.status) != Some(*expected) {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            wrong.push(format!("{what}: {}, not {expected:?}: {said}", output.status));
        }
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

#[test]
fn serve_does_its_work_behind_its_fence_and_nothing_else() {
    check("serve");
}

#[test]
fn the_guard_does_its_work_behind_its_fence_and_nothing_else() {
    check("guard");
}

#[test]
fn the_hands_do_their_work_behind_their_fence_and_nothing_else() {
    check("hands");
}

/// Whether the kernel says that a process is fenced in.
fn is_fenced(process: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    ["NoNewPrivs:\t1", "Seccomp:\t2"].iter().all(|line| status.contains(line))
}

#[tokio::test]
async fn a_fenced_page_answers_and_shows_a_picture_and_a_fenced_guard_finds_it_well() {
    let folders = Folders::new();
    folders.claim();
    let mut command = Command::new(env!("CARGO_BIN_EXE_farhand"));
    command.args(["serve", "--board", "sim", "--https", "127.0.0.1:0", "--http", "none"]);
    command.arg("--data").arg(folders.data()).arg("--run").arg(folders.run());
    let mut serve = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(serve.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.find_map(|line| line.strip_prefix("address: https://").map(str::to_string)).unwrap();
    let mut answers = Vec::new();
    for request in ["GET /api/v1/system", "GET /api/v1/seats/main", "GET /api/v1/seats/main/snapshot.jpg"] {
        let tcp = tokio::net::TcpStream::connect(&address).await.unwrap();
        let mut client = Client::tls(tcp, &folders.data().join("tls/certificate.pem")).await;
        let lines = format!("Host: {address}\r\n{}", bearer(Role::Administrator));
        client.send(&format!("{request} HTTP/1.1\r\n{lines}\r\n")).await;
        let answer = client.answer().await;
        answers.push((request, answer.status, answer.body.len()));
    }

    let config = folders.run().join("farhand.toml");
    fs::write(&config, format!("[server]\nhttps = \"{address}\"\n[guard]\nwatchdog = \"none\"\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_farhand"));
    command.arg("guard").arg("--config").arg(config).arg("--data").arg(folders.data());
    let mut guard = command.arg("--run").arg(folders.run()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(guard.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<_> = lines.by_ref().take_while(|line| !line.contains("all is well")).collect();
    let fenced = [is_fenced(&serve), is_fenced(&guard)];
    for mut process in [serve, guard] {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    // What started programs for the guard ends with it: nobody writes to its log any more.
    lines.for_each(drop);
    assert_eq!([true, true], fenced, "{said:?}");
    for (request, status, len) in answers {
        assert!(status == 200 && 0 < len, "{request}: {status}");
    }
}
