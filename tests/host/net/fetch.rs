//! Updates that are fetched: from where, how far a redirect may lead, and what a server may do to us.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use farhand::auth::role::Role;
use farhand::base::url::Url;
use farhand::config::update::Update;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep};

use super::bench::{Answer, Bench, bearer};
use super::origin::{Authority, Origin, file, moved};
use super::socket::Socket;
use super::system::{follow, left, phase, phases, system, upload};

const ADMIN: Role = Role::Administrator;
const DISTANT: (i32, u8, u8) = (2049, 12, 31);

fn from(url: &str) -> Update {
    Update { url: Some(Url::parse(url).unwrap()), ca: None }
}

async fn fetch(bench: &Bench) -> Answer {
    bench.ask("POST /api/v1/update/fetch", &bearer(ADMIN), "").await
}

/// Has an update fetched, and waits for what becomes of it.
async fn outcome(bench: &Bench) -> Value {
    let answer = fetch(bench).await;
    assert_eq!((202, &json!("fetching")), (answer.status, &answer.json()["phase"]), "{}", answer.text());
    phase(bench, &["ready", "failed"]).await
}

/// Checks that nothing can be fetched with this configuration, and that the error has each of `parts`.
async fn fails(source: &Update, parts: &[&str]) {
    let (bench, appliance) = Bench::with_source(source).await;
    let update = outcome(&bench).await;
    let said = update["message"].as_str().unwrap();
    assert_eq!("failed", update["phase"], "{parts:?}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    assert!(said.starts_with("The update was not fetched: ") && said.ends_with('.'), "{said}");
    assert_eq!(Vec::<PathBuf>::new(), left(&bench.folders));
    assert!(!appliance.path("given").exists());
}

#[tokio::test]
async fn nothing_is_fetched_unless_the_configuration_says_from_where() {
    let (bench, _appliance) = Bench::with_slots().await;
    for request in ["POST /api/v1/update/fetch", "POST /api/v1/update/cancel"] {
        let answer = bench.ask(request, &bearer(ADMIN), "").await;
        assert_eq!((404, "no-update-url".into()), (answer.status, answer.code()), "{request}");
    }
    let told = system(&bench).await;
    assert_eq!((&json!(null), &json!("idle")), (&told["update_from"], &told["update"]["phase"]));
}

#[tokio::test]
async fn an_update_is_fetched_and_installed_as_an_uploaded_one_is() {
    let origin = Origin::saying(file("good bundle")).await;
    let (bench, appliance) = Bench::with_source(&from(&origin.url("/farhand.raucb?x=1"))).await;
    assert_eq!(json!(origin.address.to_string()), system(&bench).await["update_from"]);
    assert_eq!(0, origin.asked().len(), "not before somebody says so");
    assert_eq!("ready", outcome(&bench).await["phase"]);
    let given = std::fs::read_to_string(appliance.path("given")).unwrap();
    assert!(given.starts_with("400 1 ") && given.contains("/data/install/"), "out of the network's reach: {given}");
    assert_eq!(Vec::<PathBuf>::new(), left(&bench.folders));
    let asked = origin.asked();
    assert_eq!(1, asked.len());
    let (line, lines) = asked[0].split_once("\r\n").unwrap();
    assert_eq!("GET /farhand.raucb?x=1 HTTP/1.1", line);
    // Neither a credential nor what would have it packed.
    let expected = format!("host: {}\r\nuser-agent: farhand\r\n\r\n", origin.address);
    assert_eq!(expected, lines.to_ascii_lowercase());
}

#[tokio::test]
async fn fetching_is_told_to_administrators_and_ends_in_words() {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let origin = Origin::new("127.0.0.1", None, move |_, mut wire| {
        let wait = wait.clone();
        async move {
            let body = format!("slow {}", "x".repeat(20_000));
            let answer = file(&body);
            let (one, other) = answer.split_at(answer.len() / 2);
            wire.write_all(one.as_bytes()).await.unwrap();
            wait.notified().await;
            wire.write_all(other.as_bytes()).await.unwrap();
        }
    })
    .await;
    let (bench, appliance) = Bench::with_source(&from(&origin.url("/"))).await;
    let mut admin = Socket::open(&bench, &bearer(ADMIN)).await;
    assert_eq!(202, fetch(&bench).await.status);
    let mut seen = vec![admin.event("update").await];
    while seen.last().unwrap()["percent"] == 0 {
        seen.push(admin.event("update").await);
    }
    assert!((40..=60).contains(&seen.last().unwrap()["percent"].as_u64().unwrap()), "{seen:?}");
    go.notify_one();
    follow(&mut admin, &mut seen, "installing").await;
    appliance.write("go", "");
    follow(&mut admin, &mut seen, "ready").await;
    assert_eq!(vec!["fetching", "checking", "installing", "ready"], phases(&seen));
}

#[tokio::test]
async fn what_is_no_file_of_ours_is_said_in_words() {
    let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngood";
    for (answer, part) in [
        (missing, "answered 404: there is no such file"),
        ("HTTP/1.1 500 x\r\nContent-Length: 4\r\n\r\ngood", "answered 500"),
        ("HTTP/1.1 206 x\r\nContent-Length: 4\r\n\r\ngood", "answered 206"),
        ("HTTP/1.1 204 x\r\n\r\n", "answered 204"),
        ("HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n", "answered 302"),
        ("HTTP/1.1 200 x\r\n\r\ngood", "did not say how long"),
        ("HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n", "did not say how long"),
        ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n", "did not say how long"),
        ("HTTP/1.1 200 x\r\nContent-Length: 67108865\r\n\r\ngood", "more than an update, which is 64 MiB at most"),
        ("HTTP/1.1 200 x\r\nContent-Length: 9000000000000000000\r\n\r\ngood", "more than an update"),
        ("HTTP/1.1 200 x\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\ngood", "does not speak HTTP"),
        ("HTTP/1.1 200 x\r\nContent-Length: -4\r\n\r\ngood", "does not speak HTTP"),
        ("HTTP/1.1 200 x\r\nContent-Length: 4\r\nContent-Encoding: gzip\r\n\r\ngood", "compressed"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        ("", "does not speak HTTP"),
        ("HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\ngood", "broke off"),
    ] {
        fails(&from(&Origin::saying(answer).await.url("/x")), &[part]).await;
    }
    let endless = format!("HTTP/1.1 200 x\r\nContent-Length: 4\r\nX: {}\r\n\r\ngood", "x".repeat(40_000));
    fails(&from(&Origin::saying(endless).await.url("/x")), &["does not speak HTTP"]).await;
}

#[tokio::test]
async fn what_comes_beyond_the_length_that_was_said_is_not_taken() {
    let origin =
        Origin::saying(format!("HTTP/1.1 200 x\r\nContent-Length: 4\r\n\r\ngood{}", "x".repeat(1 << 20))).await;
    let (bench, appliance) = Bench::with_source(&from(&origin.url("/x"))).await;
    // "good", and not "goodxxx..."; and the hands have found it as long as was said.
    assert_eq!("ready", outcome(&bench).await["phase"]);
    assert!(appliance.path("given").exists());
}

#[tokio::test]
async fn who_is_not_there_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    fails(&from(&format!("http://{closed}/")), &[&closed.to_string(), "does not answer"]).await;
    // RFC 6761: no name server knows it.
    fails(&from("https://updates.invalid/x"), &["updates.invalid", "not found"]).await;
    let mail = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/x", mail.local_addr().unwrap());
    let greet = async {
        let (mut tcp, _) = mail.accept().await.unwrap();
        tcp.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
        // Held open, so that it is the greeting that is not understood.
        std::future::pending().await
    };
    let source = from(&url);
    tokio::select! {
        () = fails(&source, &["does not speak TLS"]) => (),
        () = greet => (),
    }
}

#[tokio::test]
async fn a_few_redirects_are_followed_and_a_ring_is_not() {
    let serve = |path: String, mut wire: Box<dyn super::origin::PictureSocket>| async move {
        let answer = match path.as_str() {
            "/1" => moved(301, "/2"),
            "/2" => moved(302, "/3?x"),
            "/3?x" => moved(303, "/4#there"),
            "/4" => moved(307, "/5"),
            "/5" => moved(308, "/file"),
            "/file" => file("good"),
            ring => moved(302, ring),
        };
        wire.write_all(answer.as_bytes()).await.unwrap();
    };
    let origin = Origin::new("127.0.0.1", None, serve).await;
    let (bench, _appliance) = Bench::with_source(&from(&origin.url("/1"))).await;
    assert_eq!("ready", outcome(&bench).await["phase"]);
    assert_eq!(6, origin.asked().len());
    fails(&from(&origin.url("/ring")), &["redirects more than 5 times"]).await;
    assert_eq!(12, origin.asked().len());
}

#[tokio::test]
async fn a_redirect_does_not_lead_to_ourselves() {
    let victim = Origin::saying(file("good")).await;
    let port = victim.address.port();
    for (to, part) in [
        (format!("http://127.0.0.1:{port}/x"), "leads to 127.0.0.1, an address within"),
        (format!("http://[::ffff:127.0.0.1]:{port}/x"), "leads to ::ffff:127.0.0.1, an address within"),
        (format!("http://[::1]:{port}/x"), "leads to ::1, an address within"),
        (format!("http://0.0.0.0:{port}/x"), "leads to 0.0.0.0, an address within"),
        (format!("http://localhost:{port}/x"), "an address within"),
        (format!("//127.0.0.1:{port}/x"), "an address within"),
        ("http://169.254.169.254/latest".into(), "leads to 169.254.169.254, an address within"),
        ("http://[fe80::1]/x".into(), "leads to fe80::1, an address within"),
        (format!("http://2130706433:{port}/x"), "its host must be"),
        (format!("http://127.1:{port}/x"), "its host must be"),
        (format!("http://anna:pw@127.0.0.1:{port}/x"), "user name"),
        ("file:///etc/passwd".into(), "must begin with"),
        ("x".repeat(5000), "characters at most"),
    ] {
        let answer = moved(302, &to);
        // Another of our own addresses than those it leads to, named by the configuration, so that this one is meant.
        let origin = Origin::new("127.0.0.2", None, move |_, mut wire| {
            let answer = answer.clone();
            async move { wire.write_all(answer.as_bytes()).await.unwrap() }
        })
        .await;
        fails(&from(&origin.url("/x")), &[part]).await;
        assert_eq!(1, origin.asked().len());
    }
    assert_eq!(0, victim.asked().len());
}

#[tokio::test]
async fn a_name_does_not_lead_to_ourselves_either() {
    let victim = Origin::saying(file("good")).await;
    fails(&from(&format!("http://localhost:{}/x", victim.address.port())), &["localhost", "an address within"]).await;
    assert_eq!(0, victim.asked().len());
}

#[tokio::test]
async fn a_server_of_the_owners_own_is_believed_by_its_authority_and_no_other() {
    let (own, other) = (Authority::new(), Authority::new());
    let serve = |answer: String| {
        move |_, mut wire: Box<dyn super::origin::PictureSocket>| {
            let answer = answer.clone();
            async move { wire.write_all(answer.as_bytes()).await.unwrap() }
        }
    };
    let good = Origin::new("127.0.0.1", Some(own.vouches("127.0.0.1", DISTANT)), serve(file("good"))).await;
    let url = format!("https://{}/x", good.address);
    let with = |url: &str, ca: &Authority| Update { ca: Some(ca.pem.clone()), ..from(url) };
    let (bench, _appliance) = Bench::with_source(&with(&url, &own)).await;
    assert_eq!("ready", outcome(&bench).await["phase"]);
    fails(&from(&url), &["certificate", "is not trusted", "update.ca"]).await;
    fails(&with(&url, &other), &["is not trusted: nobody vouches for it"]).await;
    assert_eq!(1, good.asked().len(), "who is not believed is asked nothing");

    let late = Origin::new("127.0.0.1", Some(own.vouches("127.0.0.1", (2020, 1, 1))), serve(file("good"))).await;
    fails(&with(&format!("https://{}/x", late.address), &own), &["has expired, or this device's clock"]).await;
    let named = Origin::new("127.0.0.1", Some(own.vouches("a.example", DISTANT)), serve(file("good"))).await;
    fails(&with(&format!("https://{}/x", named.address), &own), &["it is for another name"]).await;
    let down = serve(moved(302, &format!("http://{}/x", good.address)));
    let down = Origin::new("127.0.0.1", Some(own.vouches("127.0.0.1", DISTANT)), down).await;
    fails(&with(&format!("https://{}/x", down.address), &own), &["leads from https to http"]).await;
}

#[tokio::test]
async fn one_update_arrives_at_a_time_and_a_fetch_can_be_stopped() {
    let origin = silent_after("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of it").await;
    let (bench, appliance) = Bench::with_source(&from(&origin.url("/x"))).await;
    let cancel = async || bench.ask("POST /api/v1/update/cancel", &bearer(ADMIN), "").await;
    let answer = cancel().await;
    assert_eq!((409, "not-fetching".into()), (answer.status, answer.code()));
    for _ in 0..5 {
        assert_eq!(202, fetch(&bench).await.status);
        bench.update_is("a part of it is there", |update| 0 < update.percent).await;
        assert_eq!(1, left(&bench.folders).len());
        for answer in [fetch(&bench).await, upload(&bench, "good").await] {
            assert_eq!((409, "busy".into()), (answer.status, answer.code()));
        }
        assert_eq!("fetching", system(&bench).await["update"]["phase"]);
        assert_eq!(202, cancel().await.status);
        phase(&bench, &["idle"]).await;
        assert_eq!(Vec::<PathBuf>::new(), left(&bench.folders));
    }
    assert!(!appliance.path("given").exists());
}

#[tokio::test]
async fn a_fetch_waits_for_nobodys_upload() {
    let origin = Origin::saying(file("good")).await;
    let (bench, _appliance) = Bench::with_source(&from(&origin.url("/x"))).await;
    let mut client = bench.connect().await;
    let lines = format!("{}Content-Type: application/octet-stream\r\nContent-Length: 9\r\n", bearer(ADMIN));
    client.send(&format!("POST /api/v1/update HTTP/1.1\r\n{}{lines}\r\ngood", bench.host())).await;
    phase(&bench, &["receiving"]).await;
    let answer = fetch(&bench).await;
    assert_eq!((409, "busy".into()), (answer.status, answer.code()));
    drop(client);
    phase(&bench, &["idle"]).await;
    assert_eq!("ready", outcome(&bench).await["phase"]);
}

#[tokio::test]
async fn a_fetch_ends_with_the_daemon_and_leaves_nothing() {
    let origin = silent_after("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of it").await;
    let (bench, appliance) = Bench::with_source(&from(&origin.url("/x"))).await;
    assert_eq!(202, fetch(&bench).await.status);
    bench.update_is("a part of it is there", |update| 0 < update.percent).await;
    assert_eq!(1, left(&bench.folders).len());
    let bench = bench.restart().await;
    assert_eq!(Vec::<PathBuf>::new(), left(&bench.folders));
    assert!(!appliance.path("given").exists());
}

#[tokio::test]
async fn after_a_failure_the_next_one_works_and_the_failure_is_forgotten() {
    let origin = Origin::saying("HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n").await;
    let (bench, _appliance) = Bench::with_source(&from(&origin.url("/x"))).await;
    for _ in 0..2 {
        assert_eq!("failed", outcome(&bench).await["phase"]);
    }
    let lines = format!("{}Content-Type: application/octet-stream\r\nContent-Length: 4\r\n", bearer(ADMIN));
    let mut client = bench.connect().await;
    client.send(&format!("POST /api/v1/update HTTP/1.1\r\n{}{lines}\r\ngood", bench.host())).await;
    assert_eq!(202, client.answer().await.status);
    phase(&bench, &["ready"]).await;
}

/// Has time pass quickly, in steps in which everybody who is to show signs of life does. By itself a clock that is held
/// does not go on while a thread waits for pieces to write.
async fn pass_time_until(done: impl Future<Output = ()>) {
    let mut done = std::pin::pin!(done);
    tokio::time::pause();
    loop {
        // As often as the runtime looks at its sockets, and once more for the answer.
        for _ in 0..200 {
            tokio::select! {
                biased;
                () = &mut done => return tokio::time::resume(),
                () = tokio::task::yield_now() => (),
            }
        }
        tokio::time::advance(Duration::from_millis(200)).await;
    }
}

/// A server that says this, and then nothing more.
async fn silent_after(words: &'static str) -> Origin {
    Origin::new("127.0.0.1", None, move |_, mut wire| async move {
        wire.write_all(words.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up_after_fifteen_seconds() {
    for (words, part) in [
        ("", "does not answer"),
        ("HTTP/1.1 200 OK\r\nContent-", "does not answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ngood", "nothing of the update arrived for 15 seconds"),
    ] {
        let origin = silent_after(words).await;
        let (bench, _appliance) = Bench::with_source(&from(&origin.url("/x"))).await;
        let mut admin = Socket::open(&bench, &bearer(ADMIN)).await;
        assert_eq!(202, fetch(&bench).await.status);
        origin.wait_asked().await;
        let begun = Instant::now();
        let failed = async { while admin.event("update").await["phase"] != "failed" {} };
        pass_time_until(failed).await;
        assert!((14..=17).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        let update = system(&bench).await["update"].clone();
        assert!(update["message"].as_str().unwrap().contains(part), "{update}");
        assert_eq!(Vec::<PathBuf>::new(), left(&bench.folders));
    }
}

#[tokio::test]
async fn a_server_that_sends_a_byte_now_and_then_is_given_up_after_an_hour() {
    let (hung_up, when) = oneshot::channel();
    let hung_up = Arc::new(std::sync::Mutex::new(Some(hung_up)));
    let origin = Origin::new("127.0.0.1", None, move |_, mut wire| {
        let hung_up = hung_up.clone();
        async move {
            wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n").await.unwrap();
            while wire.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(10)).await;
            }
            hung_up.lock().unwrap().take().unwrap().send(()).unwrap();
        }
    })
    .await;
    let (bench, _appliance) = Bench::with_source(&from(&origin.url("/x"))).await;
    assert_eq!(202, fetch(&bench).await.status);
    origin.wait_asked().await;
    let begun = Instant::now();
    pass_time_until(async { when.await.unwrap() }).await;
    // One byte goes out before the server can know, and one more tells it.
    assert!((3595..=3625).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let update = phase(&bench, &["failed"]).await;
    assert!(update["message"].as_str().unwrap().contains("did not arrive within 60 minutes"), "{update}");
    assert_eq!(Vec::<PathBuf>::new(), left(&bench.folders));
}

#[tokio::test]
async fn an_appliance_is_not_restarted_reset_or_updated_long_after_it_was_asked_for() {
    let origin = Origin::saying(file("good bundle")).await;
    let (bench, appliance) = Bench::with_source(&from(&origin.url("/farhand.raucb"))).await;
    let clock = bench.ask("GET /api/v1/seats/main", &bearer(ADMIN), "").await.json()["clock"].as_u64().unwrap();
    let host = system(&bench).await["host"].clone();
    bench.advance(Duration::from_millis(2001));
    for (request, body) in [
        ("POST /api/v1/restart", json!({"at": clock})),
        ("POST /api/v1/factory-reset", json!({"confirm": host, "at": clock})),
        ("POST /api/v1/update/fetch", json!({"at": clock})),
    ] {
        let answer = bench.ask(request, &bearer(ADMIN), &body.to_string()).await;
        assert_eq!((409, "late".into()), (answer.status, answer.code()), "{request}");
    }
    assert_eq!(0, origin.asked().len());
    assert!(!appliance.path("rebooted").exists());
    assert!(!bench.folders.data().join("state/factory-reset").exists());
    let in_time = json!({"at": clock + 2000}).to_string();
    assert_eq!(202, bench.ask("POST /api/v1/restart", &bearer(ADMIN), &in_time).await.status);
}
