//! Keeps what a test's own thread logs, so that it can be waited for.

use tokio::sync::watch;

use super::soon;

thread_local! {
    /// What has been logged on this thread, which is this test's alone.
    static LOG: watch::Sender<Vec<(log::Level, String)>> = watch::Sender::default();
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        // At its end a thread has none any more.
        let _ = LOG.try_with(|log| log.send_modify(|lines| lines.push((record.level(), record.args().to_string()))));
    }

    fn flush(&self) {}
}

/// Has what is logged from now on kept.
pub fn keep_log() {
    // Another test may have done so already.
    let _ = log::set_logger(&Logger);
    log::set_max_level(log::LevelFilter::Debug);
}

/// How many lines with this part an appliance would have logged, which keeps none below `info`.
pub fn lines_kept(part: &str) -> usize {
    let is_kept = |(level, line): &&(log::Level, String)| *level <= log::Level::Info && line.contains(part);
    LOG.with(|log| log.borrow().iter().filter(is_kept).count())
}

/// Has what has been logged forgotten.
pub fn forget_log() {
    LOG.with(|log| log.send_modify(Vec::clear));
}

/// Waits until a line with all of these parts has been logged.
pub async fn logged(parts: &[&str]) {
    let mut log = LOG.with(watch::Sender::subscribe);
    let is_there =
        |lines: &Vec<_>| lines.iter().any(|(_, line): &(_, String)| parts.iter().all(|part| line.contains(part)));
    soon(&format!("{parts:?} in the log"), log.wait_for(is_there)).await.unwrap();
}
