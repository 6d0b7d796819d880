//! The certificate: made once, kept, and refused when it is broken. And what happens to those who never finish a handshake.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use farhand::tls;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::bench::{Bench, Client, Folders, PASSWORD, USER, bearer, soon};
use farhand::auth::role::Role;

#[tokio::test]
async fn the_certificate_is_made_once_and_its_key_is_ours_alone() {
    let bench = Bench::new().await;
    let folder = bench.folders.data().join("tls");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let before = (read("key.pem"), read("certificate.pem"));
    for name in ["key.pem", "certificate.pem"] {
        assert_eq!(0o600, std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777, "{name}");
    }
    let bench = bench.restart().await;
    assert_eq!(before, (read("key.pem"), read("certificate.pem")));
    assert_eq!(200, bench.ask("GET /api/v1/health", "", "").await.status);
    let other = Bench::new().await;
    let others = std::fs::read_to_string(other.folders.data().join("tls/key.pem")).unwrap();
    assert_ne!(before.0, others, "two devices share a key");
}

#[test]
fn a_new_name_gets_a_certificate_of_ours_made_anew_but_nobody_elses() {
    let folders = Folders::new();
    let folder = folders.data().join("tls");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let start = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        tls::acceptor(&folder, &names).map(|_| ()).unwrap();
    };
    start(&["one.example"]);
    let (key, first) = (read("key.pem"), read("certificate.pem"));
    start(&["one.example", "two.example"]);
    let second = read("certificate.pem");
    assert_ne!(first, second);
    assert_eq!(key, read("key.pem"));
    // As an owner would put their own there, for the same key.
    std::fs::write(folder.join("certificate.pem"), &first).unwrap();
    start(&["three.example"]);
    assert_eq!(first, read("certificate.pem"));
}

#[test]
fn a_lost_certificate_is_made_again_for_the_same_key() {
    let folders = Folders::new();
    let folder = folders.data().join("tls");
    tls::acceptor(&folder, &[]).map(|_| ()).unwrap();
    let key = std::fs::read(folder.join("key.pem")).unwrap();
    std::fs::remove_file(folder.join("certificate.pem")).unwrap();
    tls::acceptor(&folder, &[]).map(|_| ()).unwrap();
    assert_eq!(key, std::fs::read(folder.join("key.pem")).unwrap());
}

#[test]
fn broken_files_are_named_and_kept() {
    let folders = Folders::new();
    let folder = folders.data().join("tls");
    tls::acceptor(&folder, &[]).map(|_| ()).unwrap();
    let good = std::fs::read_to_string(folder.join("key.pem")).unwrap();
    let other = Folders::new();
    tls::acceptor(&other.data().join("tls"), &[]).map(|_| ()).unwrap();
    let another_key = std::fs::read_to_string(other.data().join("tls/key.pem")).unwrap();
    let cut = &good[..good.len() / 2];
    for (name, text) in [
        ("key.pem", ""),
        ("key.pem", cut),
        ("key.pem", "nonsense"),
        ("certificate.pem", ""),
        ("certificate.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        let before = std::fs::read_to_string(folder.join(name)).unwrap();
        std::fs::write(folder.join(name), text).unwrap();
        let error = tls::acceptor(&folder, &[]).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("delete"), "{error}");
        assert_eq!(text, std::fs::read_to_string(folder.join(name)).unwrap(), "it was overwritten");
        std::fs::write(folder.join(name), before).unwrap();
    }
    std::fs::write(folder.join("key.pem"), another_key).unwrap();
    let error = tls::acceptor(&folder, &[]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("certificate for key.pem"), "{error}");
}

#[tokio::test]
async fn whoever_is_silent_is_cut_off_after_ten_seconds() {
    let bench = Bench::new().await;
    let mut silent = [
        TcpStream::connect(bench.https).await.unwrap(),
        TcpStream::connect(bench.plain).await.unwrap(),
        TcpStream::connect(bench.redirect).await.unwrap(),
    ];
    let mut half = Client::plain(bench.plain).await;
    half.send("GET /api/v1/health HTTP/1.1\r\nHost: local").await;
    tokio::time::pause();
    let begun = Instant::now();
    for stream in &mut silent {
        // Time that nobody else uses passes at once, so this is exact and takes no time.
        let read = timeout(Duration::from_secs(15), stream.read(&mut [0; 16])).await.expect("cut off");
        assert_eq!(0, read.unwrap_or(0));
    }
    let read = timeout(Duration::from_secs(15), half.stream.read(&mut [0; 16])).await.expect("cut off");
    assert_eq!(0, read.unwrap_or(0));
    assert!((9..=12).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn whoever_stops_reading_is_cut_off_after_thirty_seconds() {
    let bench = Bench::new().await;
    let mut client = Client::plain(bench.plain).await;
    let token = bearer(Role::Viewer);
    client.send(&format!("GET /api/v1/seats/main/stream.mjpeg HTTP/1.1\r\nHost: localhost\r\n{token}\r\n")).await;
    assert_eq!(200, client.answer().await.status);
    struct Held(#[allow(dead_code, reason = "it is only held")] std::sync::Arc<()>, Vec<u8>);
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.1
        }
    }
    let alive = std::sync::Arc::new(());
    let picture = bytes::Bytes::from_owner(Held(alive.clone(), vec![0; 64 << 20]));
    bench.publish(picture);
    // Once another is the newest, this one is held by its being on its way alone.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    bench.publish("newest");
    assert_eq!(2, std::sync::Arc::strong_count(&alive));
    tokio::time::pause();
    let begun = Instant::now();
    while std::sync::Arc::strong_count(&alive) == 2 && begun.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!((29..=32).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_crowd_of_strangers_does_not_keep_anybody_out() {
    let bench = Bench::new().await;
    let mut crowd = Vec::new();
    for _ in 0..600 {
        crowd.push(TcpStream::connect(bench.https).await.unwrap());
        let answer = (crowd.len() % 200 == 0).then(|| bench.ask("GET /api/v1/health", "", ""));
        if let Some(answer) = answer {
            assert_eq!(200, answer.await.status);
        }
    }
    // The first of them has been cut off long before its ten seconds.
    let read = timeout(Duration::from_secs(5), crowd[0].read(&mut [0; 16])).await.expect("cut off");
    assert_eq!(0, read.unwrap_or(0));
}

#[tokio::test]
async fn whoever_has_shown_who_they_are_makes_no_room_for_a_crowd() {
    // Logging in, and showing the cookie to a route that anybody may ask, are as good as asking for something.
    for logs_in in [true, false] {
        let bench = Bench::new().await;
        let cookie = bench.login().await;
        let mut client = Client::plain(bench.plain).await;
        let body = format!(r#"{{"user":"{USER}","password":"{PASSWORD}"}}"#);
        let request = match logs_in {
            true => bench.request("POST /api/v1/login", "", &body),
            false => bench.request("GET /api/v1/session", &cookie, ""),
        };
        client.send(&request).await;
        assert_eq!(200, client.answer().await.status);
        let mut crowd = Vec::new();
        for _ in 0..70 {
            crowd.push(TcpStream::connect(bench.plain).await.unwrap());
        }
        let read = soon("the first of them is cut off", crowd[0].read(&mut [0; 16])).await;
        assert_eq!(0, read.unwrap_or(0));
        client.send(&bench.request("GET /api/v1/health", "", "")).await;
        assert_eq!(200, client.answer().await.status, "logs in: {logs_in}");
    }
}

#[tokio::test]
async fn a_connection_is_closed_in_the_words_of_tls() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    client.send(&bench.request("GET /api/v1/health", "Connection: close\r\n", "")).await;
    assert_eq!(200, client.answer().await.status);
    // Without the closing alert this would be an error, since anybody could have cut the connection.
    let read = soon("the end", client.stream.read(&mut [0; 16])).await;
    assert_eq!(Some(0), read.ok());
}
