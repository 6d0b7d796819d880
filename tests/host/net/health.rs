//! Whether the daemon says so when a part of it hangs.

use std::fs;
use std::time::{Duration, Instant};

use farhand::auth::role::Role;
use farhand::base::heartbeat::Heartbeat;
use farhand::health::judge::Page;
use farhand::net::api::health;
use farhand::net::probe;

use super::bench::{Bench, Folders, bearer, soon};

const LATER: Duration = Duration::from_secs(11);

#[tokio::test]
async fn a_daemon_whose_parts_move_is_well() {
    let bench = Bench::new().await;
    let answer = bench.ask("GET /api/v1/health", "", "").await;
    assert_eq!((200, r#"{"ok":true}"#.to_string()), (answer.status, answer.text()));
}

#[tokio::test]
async fn a_hung_capture_thread_is_the_seats_matter_alone() {
    let folders = Folders::new();
    folders.claim();
    let bench = Bench::with(folders, Some(Heartbeat::new(Instant::now().checked_sub(LATER).unwrap()))).await;
    bench.site.seats().values().for_each(|bus| bus.check_pulse(Instant::now()));
    let answer = bench.ask("GET /api/v1/health", "", "").await;
    assert_eq!((200, r#"{"ok":true}"#.to_string()), (answer.status, answer.text()));
    let status = bench.ask("GET /api/v1/seats/main", &bearer(Role::Viewer), "").await.json();
    assert_eq!(("stuck", true), (status["signal"].as_str().unwrap(), status["mode"].is_null()));
    assert_eq!("the capture driver has not answered for 10 s", status["reason"]);
}

#[tokio::test]
async fn silent_hands_are_told_after_ten_seconds_and_not_before() {
    let bench = Bench::new().await;
    let now = Instant::now();
    assert!(health::health(&bench.site, now + Duration::from_secs(7)).is_ok());
    let unwell = health::health(&bench.site, now + LATER).unwrap_err().to_string();
    assert!(unwell.contains("keyboard and relays"), "{unwell}");
}

#[tokio::test]
async fn the_guard_hears_what_the_page_says() {
    let bench = Bench::new().await;
    let data = bench.folders.data();
    assert_eq!(Page::Well, soon("an answer", probe::ask(bench.https, &data)).await);
    let folders = Folders::new();
    folders.claim();
    let rescued = Bench::with(folders, None).await;
    let page = soon("an answer", probe::ask(rescued.https, &rescued.folders.data())).await;
    assert!(matches!(&page, Page::Unwell(why) if why.contains("rescue mode")), "{page:?}");
}

#[tokio::test]
async fn the_guard_knows_the_page_though_the_card_cannot_be_read_any_more() {
    let bench = Bench::new().await;
    let (data, mut probe) = (bench.folders.data(), probe::Probe::default());
    let certificate = data.join("tls/certificate.pem");
    let pem = fs::read(&certificate).unwrap();
    // A folder in its place is refused as an unreadable file is, to root as well.
    let unreadable = || {
        fs::remove_file(&certificate).unwrap();
        fs::create_dir(&certificate).unwrap();
    };
    unreadable();
    let page = soon("an answer", probe.ask(bench.https, &data)).await;
    assert!(matches!(&page, Page::Silent(why) if why.contains("cannot read its certificate")), "{page:?}");
    fs::remove_dir(&certificate).unwrap();
    fs::write(&certificate, pem).unwrap();
    assert_eq!(Page::Well, soon("an answer", probe.ask(bench.https, &data)).await);
    unreadable();
    assert_eq!(Page::Well, soon("an answer", probe.ask(bench.https, &data)).await);
    // One that was taken away is not remembered: another is being put in its place.
    fs::remove_dir(&certificate).unwrap();
    assert!(matches!(soon("an answer", probe.ask(bench.https, &data)).await, Page::Silent(_)));
}

#[tokio::test]
async fn the_guard_believes_no_page_but_ours() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    // As good a certificate, of another device.
    let page = soon("an answer", probe::ask(bench.https, &other.folders.data())).await;
    assert!(matches!(&page, Page::Silent(why) if why.contains("certificate")), "{page:?}");
    let data = bench.folders.data();
    assert!(matches!(soon("an answer", probe::ask(bench.plain, &data)).await, Page::Silent(_)), "without TLS");
}

#[tokio::test]
async fn in_rescue_mode_there_is_a_page_that_says_so_and_nothing_is_well() {
    let folders = Folders::new();
    folders.claim();
    let bench = Bench::with(folders, None).await;
    let page = bench.ask("GET /", "", "").await;
    assert_eq!(200, page.status);
    assert!(page.text().contains("<h1>Rescue mode</h1>"), "{}", page.text());
    // Everything it names is ours to give.
    let script = bench.ask("GET /rescue.js", "", "").await;
    assert_eq!((200, Some("text/javascript; charset=utf-8")), (script.status, script.line("content-type")));
    assert_eq!(404, bench.ask("GET /index.html", "", "").await.status);
    let health = bench.ask("GET /api/v1/health", "", "").await;
    assert!(health.status == 503 && health.text().contains("rescue mode"), "{health:?}");
    let cookie = bench.login().await;
    let seats = bench.ask("GET /api/v1/seats", &cookie, "").await;
    assert_eq!((200, r#"{"seats":[]}"#.to_string()), (seats.status, seats.text()));
    assert_eq!(404, bench.ask("GET /api/v1/seats/main", &cookie, "").await.status);
}
