//! Writes what was measured: a table for people, JSON for programs.
//!
//! Only ratios within a run say anything about a server; the absolute figures depend on the machine.

use std::fmt::Write as _;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::load::Seen;
use crate::server::Subject;

/// The figures of one row.
pub struct Figures {
    subject: Subject,
    viewers: usize,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    cpu_ms: f64,
    rss_mb: f64,
    fps: f64,
    slowest_fps: f64,
    pictures: usize,
    missed: u64,
}

impl Figures {
    /// The figures of a server with so many viewers. `missed`: for how many pictures its device had no buffer.
    pub fn new(subject: Subject, viewers: usize, mut seen: Seen, missed: u64) -> Figures {
        seen.nanos.sort_unstable();
        let pictures = seen.nanos.len();
        let share = |percent: usize| match pictures {
            0 => f64::NAN,
            _ => seen.nanos[(pictures - 1) * percent / 100] as f64 / 1e6,
        };
        let seconds = seen.time.as_secs_f64();
        Figures {
            subject,
            viewers,
            p50_ms: share(50),
            p90_ms: share(90),
            p99_ms: share(99),
            cpu_ms: seen.cpu.as_secs_f64() * 1e3 / pictures as f64,
            rss_mb: seen.rss_bytes as f64 / 1e6,
            fps: pictures as f64 / viewers as f64 / seconds,
            slowest_fps: seen.fewest as f64 / seconds,
            pictures,
            missed,
        }
    }

    fn json(&self, rival: Option<&Figures>) -> Value {
        let ratios = rival.map(|rival| {
            json!({"p50": self.p50_ms / rival.p50_ms, "p99": self.p99_ms / rival.p99_ms, "cpu": self.cpu_ms / rival.cpu_ms})
        });
        json!({
            "server": self.subject.name(), "clients": self.viewers,
            "p50_ms": self.p50_ms, "p90_ms": self.p90_ms, "p99_ms": self.p99_ms,
            "cpu_ms_per_picture": self.cpu_ms, "rss_mb": self.rss_mb,
            "fps": self.fps, "fps_slowest_client": self.slowest_fps,
            "pictures": self.pictures, "missed_by_device": self.missed, "compared_with": self.subject.rival().map(Subject::name), "ratio": ratios,
        })
    }

    fn row(&self, rival: Option<&Figures>) -> String {
        let ratio = |of: fn(&Figures) -> f64| match rival {
            Some(rival) => fraction(of(self) / of(rival)),
            None => "–".to_string(),
        };
        format!(
            "| {} | {} | {:.2} | {:.2} | {:.2} | {:.3} | {:.1} | {:.1} | {} | {} | {} |",
            self.viewers,
            self.subject.name(),
            self.p50_ms,
            self.p90_ms,
            self.p99_ms,
            self.cpu_ms,
            self.rss_mb,
            self.fps,
            ratio(|figures| figures.p50_ms),
            ratio(|figures| figures.p99_ms),
            ratio(|figures| figures.cpu_ms),
        )
    }
}

/// A ratio as people write it: 1/9, or 1.5.
fn fraction(ratio: f64) -> String {
    if ratio < 0.95 { format!("1/{:.1}", 1.0 / ratio) } else { format!("{ratio:.1}") }
}

/// The circumstances of a run.
pub struct Run {
    /// Whether all ran under SCHED_RR.
    pub real_time: bool,
    /// The average size of a picture.
    pub picture_bytes: usize,
    /// The version of ustreamer.
    pub version: String,
}

/// The table, in Markdown, with a sentence on the circumstances.
pub fn table(run: &Run, all: &[Figures]) -> String {
    let scheduling = if run.real_time { "all under SCHED_RR" } else { "without SCHED_RR, which was not permitted" };
    let (machine, kernel, size) = (machine(), kernel(), run.picture_bytes / 1000);
    let mut text =
        format!("{machine}, Linux {kernel}; ustreamer {}; {size} kB a picture; {scheduling}.\n\n", run.version);
    text += "| clients | server | p50 ms | p90 | p99 | CPU ms a picture | RSS MB | fps | p50 ÷ | p99 ÷ | CPU ÷ |\n";
    text += "|---|---|---|---|---|---|---|---|---|---|---|\n";
    for figures in all {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", figures.row(rival_of(figures, all)));
    }
    text
}

/// The same as JSON.
pub fn json(run: &Run, all: &[Figures]) -> Value {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let results: Vec<Value> = all.iter().map(|figures| figures.json(rival_of(figures, all))).collect();
    json!({
        "unix_time": time, "machine": machine(), "kernel": kernel(), "ustreamer": run.version,
        "real_time": run.real_time, "picture_bytes": run.picture_bytes, "results": results,
    })
}

/// The figures, with as many clients, of what these are compared with.
fn rival_of<'a>(figures: &Figures, all: &'a [Figures]) -> Option<&'a Figures> {
    let rival = figures.subject.rival()?;
    all.iter().find(|other| other.subject == rival && other.viewers == figures.viewers)
}

fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores of {}", model.unwrap_or("an unnamed processor"))
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_string()
}
