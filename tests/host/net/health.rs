//! Whether the daemon says so when a part of it hangs.

use std::time::{Duration, Instant};

use farhand::net::entry;
use farhand::pulse::Pulse;

use super::bench::{Bench, Folders};

const LATER: Duration = Duration::from_secs(11);

#[tokio::test]
async fn a_daemon_whose_parts_move_is_well() {
    let bench = Bench::new().await;
    let answer = bench.ask("GET /api/v1/health", "", "").await;
    assert_eq!((200, r#"{"ok":true}"#.to_string()), (answer.status, answer.text()));
}

#[tokio::test]
async fn a_hung_capture_thread_is_told_to_anybody() {
    let folders = Folders::new();
    folders.claim();
    let bench = Bench::with(folders, Pulse::new(Instant::now().checked_sub(LATER).unwrap())).await;
    let answer = bench.ask("GET /api/v1/health", "", "").await;
    assert_eq!(503, answer.status);
    let text = answer.text();
    assert!(text.contains("\"unwell\"") && text.contains("capture thread of seat main"), "{text}");
}

#[tokio::test]
async fn silent_hands_are_told_after_ten_seconds_and_not_before() {
    let bench = Bench::new().await;
    let now = Instant::now();
    assert!(entry::health(&bench.site, now + Duration::from_secs(7)).is_ok());
    let unwell = entry::health(&bench.site, now + LATER).unwrap_err().to_string();
    assert!(unwell.contains("keyboard and relays"), "{unwell}");
}
