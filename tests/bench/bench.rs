//! Measures the video path against Debian's ustreamer, on the same pictures and in the same run.
//!
//! A device in shared memory (device.rs, and device.c in the server) stamps each picture; viewers read the stamp back
//! when the last byte has arrived. Servers take turns, round by round, so that other load slows all of them down.
//! docs/performance.md says what the figures mean.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum as _};

use device::Device;
use load::Seen;
use server::{Bench, Subject};

mod device;
mod link;
mod load;
mod pictures;
mod report;
mod schedule;
mod server;
mod viewer;
mod wire;

/// Measure the video path against Debian's ustreamer.
#[derive(Debug, Parser)]
struct Options {
    /// One round of two seconds instead of three of three
    #[arg(long)]
    quick: bool,
    /// Numbers of clients
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    clients: Vec<usize>,
    /// Servers to compare
    #[arg(long, value_delimiter = ',', value_enum)]
    servers: Vec<Subject>,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// One row of the table before it is measured.
struct Case {
    viewers: usize,
    subject: Subject,
    seen: Seen,
    missed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut options = Options::parse();
    if options.servers.is_empty() {
        options.servers = Subject::value_variants().to_vec();
    }
    let (rounds, time) = if options.quick { (1, Duration::from_secs(2)) } else { (3, Duration::from_secs(3)) };
    // Before any thread or child is created, because they inherit it.
    let real_time = schedule::round_robin(schedule::ALL);
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("out");
    let folder = out.join("bench");
    fs::create_dir_all(&folder)?;

    let pictures = Arc::new(pictures::all()?);
    let picture_bytes = pictures.iter().map(Vec::len).sum::<usize>() / pictures.len();
    let mut bench = Bench::new(&folder, device::build_preload(&folder)?)?;
    let mut cases = Vec::new();
    for &viewers in &options.clients {
        let case = |&subject| Case { viewers, subject, seen: Seen::default(), missed: 0 };
        // What the way's length does to one client, it does to each.
        let near_or_alone = |subject: &&Subject| viewers == 1 || subject.way().is_zero();
        cases.extend(options.servers.iter().filter(near_or_alone).map(case));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for round in 1..=rounds {
        for case in &mut cases {
            eprintln!("round {round} of {rounds}, clients: {}, {}", case.viewers, case.subject.name());
            let device = Device::new(pictures.clone())?;
            let server = runtime.block_on(bench.start(case.subject, &device))?;
            let seen = runtime
                .block_on(load::watch(case.viewers, &server.stream, time, server.pid()))
                .map_err(|error| format!("{}: {error}", case.subject.name()))?;
            case.seen.add(seen);
            case.missed += device.missed();
        }
    }
    let figures: Vec<_> = cases
        .into_iter()
        .map(|case| report::Figures::new(case.subject, case.viewers, case.seen, case.missed))
        .collect();
    let run = report::Run { real_time, picture_bytes, version: ustreamer_version()? };
    fs::write(out.join("bench.json"), format!("{:#}\n", report::json(&run, &figures)))?;
    println!("{}", report::table(&run, &figures));
    Ok(())
}

fn ustreamer_version() -> Result<String, Box<dyn Error>> {
    let output = Command::new("ustreamer").arg("--version").output().map_err(|error| format!("ustreamer: {error}"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_string())
}
