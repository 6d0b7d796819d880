//! The table: what each process may do, and why.
//!
//! Read it as a list of everything that a process could still do if somebody else had taken it over. The paths are
//! folders where something in them comes and goes: a dongle is plugged in later, an update's folder is made when the
//! first update arrives, and a file that is written whole is another file each time.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::calls::{FILES, LIFE, SOCKETS, WAITING};
use super::fence::{Capability, Family, Fence, Right};
use crate::config::{Config, Redirect, RelayDriver};

/// What every process reads.
const COMMON: &[(&str, Right)] = &[
    // The C library: names of hosts and users, time zones, and its own parts that it loads when it first needs them.
    ("/etc", Right::Read),
    ("/usr", Right::Read),
    ("/lib", Right::Read),
    ("/lib64", Right::Read),
    // The C library and the runtime ask for the number of processors and for memory; and of ourselves: which boot this
    // is, the kernel's command line. What is another process's there, the kernel keeps from us as it would from a
    // debugger.
    ("/proc", Right::Read),
    // The board's name and its reset's reason, the network's carrier, the controllers, the sensors, the dongles' ports.
    ("/sys/class", Right::Read),
    ("/sys/devices", Right::Read),
    ("/sys/bus", Right::Read),
    ("/sys/dev", Right::Read),
    ("/sys/firmware/devicetree", Right::Read),
    // What DHCP brings, among it the servers for names, and what the processes tell each other.
    ("/run", Right::Read),
];

/// What anybody may write to.
const NOWHERE: (&str, Right) = ("/dev/null", Right::Write);

/// The process that strangers talk to.
///
/// It runs no program, makes no process, and reaches no process but by the line to the hands, which has its own checks.
/// `listens` is where it will listen, if that is known.
pub fn serve(data: &Path, run: &Path, logs: &Path, listens: &[SocketAddr]) -> Fence {
    let mut paths = common();
    paths.extend([
        // Accounts, keys, certificates, the spool. What of it is root's alone is kept from us by its owner.
        (data.into(), Right::Keep),
        // Sessions, and what stands in for the data.
        (run.into(), Right::Keep),
        // The services' logs, for the page.
        (logs.into(), Right::Read),
        // Capture devices, whenever they are plugged in. Of the others none is open to our user.
        ("/dev".into(), Right::Device),
    ]);
    // A port that the kernel chooses is not.
    let ports: Vec<u16> = listens.iter().map(SocketAddr::port).collect();
    Fence {
        paths,
        listens: (!ports.is_empty() && !ports.contains(&0)).then_some(ports),
        // An update's server, and redirects from it, have any port; which addresses, `net::download::reach` decides.
        connects: None,
        // Pages, DNS, multicast DNS; the line to the hands; which addresses are ours.
        families: &[Family::Unix, Family::Internet, Family::Route],
        calls: &[LIFE, WAITING, FILES, SOCKETS],
        // It has none on the appliance. Who tries it out as root may want the usual ports.
        keeps: vec![Capability::CAP_NET_BIND_SERVICE],
    }
}

/// Where pages are to be served; without TLS at `plain`.
pub fn pages(config: &Config, plain: Option<SocketAddr>) -> Vec<SocketAddr> {
    let redirect = match config.server.http {
        Redirect::At(address) => Some(address),
        Redirect::None => None,
    };
    [config.server.https].into_iter().chain(redirect).chain(plain).collect()
}

/// The process that judges the others.
///
/// `page` is where the page listens that it asks. What it has started (`guard::run::programs`) is another process's
/// work: the boot loader's memory is on the card, which the guard itself cannot open where its watchdog was there
/// before it.
pub fn guard(data: &Path, run: &Path, page: SocketAddr) -> Fence {
    let mut paths = common();
    paths.extend([
        // By the page's certificate it is known. Its folder is made by `serve`, at its first start.
        (data.into(), Right::Read),
        // What one start leaves for the next, and whether the card can be written.
        (data.join("state"), Right::Keep),
        // By this lock, which rcS has made, it confirms a slot while nobody installs.
        ("/run/install-bundle.lock".into(), Right::Write),
        // Why the machine started, how the board is, and rescue mode.
        (run.into(), Right::Keep),
        // What a kernel that panicked kept, which is taken from there.
        ("/sys/fs/pstore".into(), Right::Keep),
        // Whether the card's file system has had errors, and whether the keyboard is bound.
        ("/sys/fs/ext4".into(), Right::Read),
        ("/sys/kernel/config".into(), Right::Read),
    ]);
    paths.extend(watchdogs());
    Fence {
        paths,
        listens: Some(Vec::new()),
        connects: Some(vec![page.port()]),
        // The page, and whether some interface has an address. No datagrams, which no rule holds to a port.
        families: &[Family::Stream, Family::Route],
        calls: &[LIFE, WAITING, FILES, SOCKETS],
        // The certificate is in a folder that only `serve` may enter; the kernel's log is for who may read it.
        keeps: vec![Capability::CAP_DAC_READ_SEARCH, Capability::CAP_SYSLOG],
    }
}

/// The watchdogs that there are; without any, the folder in which one may appear when its driver is loaded.
fn watchdogs() -> Vec<(PathBuf, Right)> {
    let nodes = fs::read_dir("/dev").into_iter().flatten().flatten().map(|entry| entry.path());
    let is_watchdog =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("watchdog"));
    let found: Vec<_> = nodes.filter(is_watchdog).map(|path| (path, Right::Device)).collect();
    if found.is_empty() { vec![("/dev".into(), Right::Device)] } else { found }
}

/// The process that holds keyboard and relays and takes care of the appliance.
///
/// `socket` is where it listens. What it has started (`hands::appliance::Places::programs`) is another process's work:
/// the installer, and what it starts, need most of what a machine can do.
pub fn hands(config: &Config, socket: &Path, data: &Path) -> Fence {
    let mut paths = common();
    paths.extend([
        // Takes an update out of the spool, which `serve` makes when it needs it; notes for the next start; and what
        // RAUC has written where.
        (data.into(), Right::Keep),
        // The configuration that is tried, in RAM. Nothing else of /run: root's scripts read settings there as shell.
        ("/run/trial".into(), Right::Keep),
        // The gadget, which is there when its driver has been loaded.
        ("/sys/kernel/config".into(), Right::Keep),
        // Through a controller's own file its host is woken.
        ("/sys/devices".into(), Right::Write),
        // The keyboard's and pointer's nodes, which come with each gadget, and relays' lines. As root's, other devices
        // can be opened, too: what comes later can be given by folder only.
        ("/dev".into(), Right::Device),
    ]);
    // Makes its own socket there, in place of one that was left.
    paths.extend(socket.parent().map(|folder| (folder.into(), Right::Keep)));
    let mut keeps = vec![
        // Takes a file out of a folder that only `serve` may enter, makes it its own, and gives its socket to a group.
        Capability::CAP_DAC_OVERRIDE,
        Capability::CAP_CHOWN,
    ];
    if config.seats.values().any(|seat| seat.power.driver == RelayDriver::Rppal) {
        // A Pi's registers, by way of /dev/mem.
        keeps.push(Capability::CAP_SYS_RAWIO);
    }
    Fence {
        paths,
        listens: Some(Vec::new()),
        connects: Some(Vec::new()),
        // No network of any kind.
        families: &[Family::Unix],
        calls: &[LIFE, WAITING, FILES, SOCKETS],
        keeps,
    }
}

fn common() -> Vec<(PathBuf, Right)> {
    COMMON.iter().chain([&NOWHERE]).map(|(path, right)| (path.into(), *right)).collect()
}
