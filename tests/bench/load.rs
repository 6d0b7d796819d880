//! Lets many viewers watch at once, and adds up what they saw and what it cost the server.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fs;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use tokio::task::JoinSet;

use crate::viewer::{Stream, Viewer};

/// Time for the server to settle after the last viewer's first picture.
const WARM_UP: Duration = Duration::from_secs(1);
/// The longest time until every viewer has its first picture.
const FIRST_PICTURE_TIMEOUT: Duration = Duration::from_secs(15);

/// What a number of viewers saw of one server.
#[derive(Debug, Default)]
pub struct Seen {
    /// The time from the device to the last byte, of each picture at each viewer.
    pub nanos: Vec<u64>,
    /// How long was measured, in all.
    pub time: Duration,
    /// The server's processor time.
    pub cpu: Duration,
    /// The server's memory at the end, without the device's buffers.
    pub rss_bytes: u64,
    /// The number of pictures at the slowest viewer.
    pub fewest: u64,
}

impl Seen {
    /// Adds what was seen in another round.
    pub fn add(&mut self, mut other: Seen) {
        self.nanos.append(&mut other.nanos);
        self.time += other.time;
        self.cpu += other.cpu;
        self.rss_bytes = self.rss_bytes.max(other.rss_bytes);
        self.fewest += other.fewest;
    }
}

/// Watches for a time, once every viewer has had its first picture.
pub async fn watch(viewers: usize, stream: &Stream, time: Duration, server: Pid) -> Result<Seen, Box<dyn Error>> {
    let shared = Rc::new(Shared::default());
    let tasks = tokio::task::LocalSet::new();
    let mut all = JoinSet::new();
    for number in 0..viewers {
        let (stream, shared) = (stream.clone(), shared.clone());
        let view = async move { view(&stream, number, &shared).await.map_err(|error| error.to_string()) };
        all.spawn_local_on(view, &tasks);
    }
    let plan = async {
        let everyone = async {
            while shared.ready.get() < viewers {
                shared.progress.notified().await;
            }
        };
        if tokio::time::timeout(FIRST_PICTURE_TIMEOUT, everyone).await.is_err() {
            return Err(format!("only {} of {viewers} viewers got a picture", shared.ready.get()).into());
        }
        // A server needs some round trips to learn how long the way is.
        tokio::time::sleep(WARM_UP + stream.way * 20).await;
        let (cpu, from) = (cpu_time(server)?, Instant::now());
        shared.recording.set(true);
        tokio::time::sleep(time).await;
        shared.recording.set(false);
        let (cpu, time) = (cpu_time(server)? - cpu, from.elapsed());
        let rss_bytes = rss_bytes(server)?;
        Ok((cpu, time, rss_bytes))
    };
    let failed = async {
        match all.join_next().await {
            Some(Ok(Err(reason))) => reason,
            _ => "a viewer stopped".to_string(),
        }
    };
    let (cpu, time, rss_bytes) = tasks
        .run_until(async {
            tokio::select! {
                done = plan => done,
                reason = failed => Err(Box::<dyn Error>::from(reason)),
            }
        })
        .await?;
    drop(all);
    let per_viewer = shared.per_viewer.take();
    let fewest = per_viewer.iter().map(|seen| seen.len() as u64).min().unwrap_or(0);
    Ok(Seen { nanos: per_viewer.concat(), time, cpu, rss_bytes, fewest })
}

#[derive(Default)]
struct Shared {
    ready: Cell<usize>,
    progress: tokio::sync::Notify,
    recording: Cell<bool>,
    per_viewer: RefCell<Vec<Vec<u64>>>,
}

async fn view(stream: &Stream, number: usize, shared: &Shared) -> Result<(), Box<dyn Error>> {
    let mut viewer = Viewer::open(stream, number).await?;
    let mut last = loop {
        match viewer.next().await? {
            Some(arrival) => break arrival.stamp,
            None => continue,
        }
    };
    let place = shared.per_viewer.borrow().len();
    shared.per_viewer.borrow_mut().push(Vec::new());
    shared.ready.set(shared.ready.get() + 1);
    shared.progress.notify_one();
    loop {
        let arrival = viewer.next().await?.ok_or("the server lost the device")?;
        // A picture that is sent twice counts once.
        if arrival.stamp != last && shared.recording.get() {
            shared.per_viewer.borrow_mut()[place].push(arrival.nanos);
        }
        last = arrival.stamp;
    }
}

/// The processor time of all of a process's threads, also of those that have ended.
fn cpu_time(process: Pid) -> Result<Duration, Box<dyn Error>> {
    Ok(clock_gettime(ClockId::pid_cpu_clock_id(process)?)?.into())
}

/// Memory without shared memory, which is the device's; with a real device it would be the kernel's.
fn rss_bytes(process: Pid) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kilobytes = |key: &str| -> Option<u64> {
        let value = status.lines().find_map(|line| line.strip_prefix(key))?;
        value.trim().strip_suffix(" kB")?.parse().ok()
    };
    let sum = kilobytes("RssAnon:").zip(kilobytes("RssFile:")).map(|(anonymous, file)| anonymous + file);
    Ok(sum.ok_or("/proc does not tell how much memory the server has")? * 1024)
}
