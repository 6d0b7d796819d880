//! Who is logged in from where, and how that ends.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use farhand::auth::accounts::{Accounts, Name};
use farhand::auth::role::Role;
use serde_json::Value;

use super::bench::{Answer, Bench, Client, Folders, PASSWORD, USER, bearer, soon};
use super::socket::Socket;

/// A device with a second person, who may only watch.
async fn bench_of_two() -> Bench {
    let folders = Folders::new();
    folders.claim();
    let file = folders.data().join("users.json");
    let mut accounts = Accounts::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let name = |text: &str| Name::try_from(text.to_string()).unwrap();
    let hash = accounts.password_hash(&name(USER)).unwrap().to_string();
    accounts.put_user(name("bert"), Role::Viewer, hash);
    std::fs::write(&file, serde_json::to_string(&accounts).unwrap()).unwrap();
    Bench::over(folders).await
}

/// Logs somebody in from this address with these header lines; gives their cookie.
async fn login_from(bench: &Bench, own: Ipv4Addr, user: &str, lines: &str) -> String {
    let body = format!(r#"{{"user":"{user}","password":"{PASSWORD}"}}"#);
    let answer = ask_from(bench, own, "POST /api/v1/login", lines, &body).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    answer.cookie()
}

async fn login(bench: &Bench, user: &str) -> String {
    login_from(bench, Ipv4Addr::LOCALHOST, user, "").await
}

async fn ask_from(bench: &Bench, own: Ipv4Addr, request: &str, lines: &str, body: &str) -> Answer {
    let mut client = Client::plain_from(own, bench.plain).await;
    client.send(&bench.request(request, lines, body).replace(&bench.https.to_string(), &bench.plain.to_string())).await;
    client.answer().await
}

async fn list(bench: &Bench, credential: &str) -> Vec<Value> {
    let answer = bench.ask("GET /api/v1/sessions", credential, "").await;
    assert_eq!(200, answer.status, "{}", answer.text());
    answer.json()["sessions"].as_array().unwrap().clone()
}

/// The session that this cookie is of.
async fn own(bench: &Bench, cookie: &str) -> Value {
    list(bench, cookie).await.into_iter().find(|session| session["own"] == true).unwrap()
}

async fn delete(bench: &Bench, id: &str, credential: &str) -> Answer {
    bench.ask(&format!("DELETE /api/v1/sessions/{id}"), credential, "").await
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

fn time(value: &Value) -> SystemTime {
    humantime::parse_rfc3339(value.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_session_says_since_when_from_where_and_with_what_it_is() {
    let bench = Bench::new().await;
    let [home, train] = [2, 3].map(|last| Ipv4Addr::new(127, 0, 0, last));
    let before = SystemTime::now() - Duration::from_secs(2);
    let cookie = login_from(&bench, home, USER, "User-Agent: Firefox \u{202e}<img>\t1\r\n").await;
    const TWENTY_MINUTES: Duration = Duration::from_secs(20 * 60);
    bench.advance(TWENTY_MINUTES);
    let answer = ask_from(&bench, train, "GET /api/v1/sessions", &cookie, "").await;
    let listed = answer.json();
    let [session] = &listed["sessions"].as_array().unwrap()[..] else { panic!("{listed}") };
    let told = ["user", "began_from", "used_from", "browser"].map(|key| session[key].as_str().unwrap());
    assert_eq!([USER, "127.0.0.2", "127.0.0.3", "Firefox <img>1"], told);
    assert_eq!((true, false), (session["own"] == true, session["watching"] == true));
    let (began, used) = (time(&session["began"]), time(&session["used"]));
    assert!(before <= began && began <= SystemTime::now() + Duration::from_secs(2), "{session}");
    let between = used.duration_since(began).unwrap();
    assert!((TWENTY_MINUTES - Duration::from_secs(2)..TWENTY_MINUTES + Duration::from_secs(60)).contains(&between));
    let documented = include_str!("../../../docs/api.md").split("## SESSION\n\n```json").nth(1).unwrap();
    let documented: Value = serde_json::from_str(documented.split("```").next().unwrap()).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&documented), keys(session));
    let secret = cookie.trim_end().rsplit('=').next().unwrap();
    assert!(!answer.text().contains(secret));

    let bench = bench.restart().await;
    let after = own(&bench, &cookie).await;
    assert_eq!(told[..2], ["user", "began_from"].map(|key| after[key].as_str().unwrap()), "a restart loses nothing");
    assert!(
        time(&after["began"]).duration_since(began).is_ok_and(|late| late.as_secs() < 3)
            || after["began"] == session["began"]
    );
}

#[tokio::test]
async fn everyone_sees_their_own_sessions_and_who_lets_others_in_sees_all() {
    let bench = bench_of_two().await;
    let (anna, bert, second) = (login(&bench, USER).await, login(&bench, "bert").await, login(&bench, "bert").await);
    let users = async |credential: &str| {
        let listed = list(&bench, credential).await;
        listed.iter().map(|session| session["user"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(["anna", "bert", "bert"].map(String::from).to_vec(), users(&anna).await);
    assert_eq!(["bert", "bert"].map(String::from).to_vec(), users(&second).await);
    assert_eq!(["anna", "bert", "bert"].map(String::from).to_vec(), users(&bearer(Role::Administrator)).await);
    for role in [Role::Viewer, Role::Operator] {
        assert_eq!(Vec::<String>::new(), users(&bearer(role)).await, "a token has none of its own");
    }
    assert_ne!(own(&bench, &bert).await["id"], own(&bench, &second).await["id"]);
}

#[tokio::test]
async fn a_session_of_somebody_else_is_as_unknown_as_one_that_there_is_not() {
    let bench = bench_of_two().await;
    let (anna, bert) = (login(&bench, USER).await, login(&bench, "bert").await);
    let (annas, long) = (own(&bench, &anna).await["id"].as_str().unwrap().to_string(), "0".repeat(7 << 10));
    let unknown = delete(&bench, "0123456789abcdef", &bert).await;
    let ids = [&*annas, "%00", "0123456789abcde%00", "..", "%2e%2e", "0123456789ABCDEF", "-", "*", "%", &long];
    for id in ids {
        let answer = delete(&bench, id, &bert).await;
        assert_eq!((404, "unknown-session".into()), refusal(&answer), "{id}");
        assert_eq!(unknown.text(), answer.text(), "{id}");
    }
    for id in ["", "a/b"] {
        assert_eq!((404, "not-found".into()), refusal(&delete(&bench, id, &bert).await), "{id}");
    }
    assert_eq!(431, delete(&bench, &"0".repeat(10_000), &bert).await.status, "that is no header any more");
    for credential in ["", &bearer(Role::Viewer)] {
        let answer = delete(&bench, &annas, credential).await;
        assert_eq!(if credential.is_empty() { 401 } else { 404 }, answer.status, "{}", answer.text());
    }
    assert_eq!(200, bench.ask("GET /api/v1/sessions", &anna, "").await.status, "it goes on");
}

#[tokio::test]
async fn a_session_is_ended_by_its_owner_and_by_who_lets_others_in() {
    let bench = bench_of_two().await;
    for by in [login(&bench, USER).await, login(&bench, "bert").await, bearer(Role::Administrator)] {
        let lost = login(&bench, "bert").await;
        let mut socket = Socket::open(&bench, &format!("{lost}{}", bench.origin())).await;
        socket.event("status").await;
        let session = own(&bench, &lost).await;
        assert_eq!(true, session["watching"]);
        let id = session["id"].as_str().unwrap();
        assert_eq!(204, delete(&bench, id, &by).await.status);
        assert_eq!(Some(4401), socket.closed().await);
        assert_eq!(401, bench.ask("GET /api/v1/seats", &lost, "").await.status);
        assert_eq!((404, "unknown-session".into()), refusal(&delete(&bench, id, &by).await));
        assert_eq!(200, bench.ask("GET /api/v1/sessions", &by, "").await.status, "who ended it goes on");
    }
}

#[tokio::test]
async fn all_other_sessions_of_ones_own_end_at_once_and_nobody_elses() {
    let bench = bench_of_two().await;
    let (anna, bert) = (login(&bench, USER).await, login(&bench, "bert").await);
    let (others, token) = ([login(&bench, USER).await, login(&bench, USER).await], bearer(Role::Administrator));
    let mut socket = Socket::open(&bench, &format!("{}{}", others[0], bench.origin())).await;
    socket.event("status").await;
    assert_eq!(204, bench.ask("DELETE /api/v1/sessions", &token, "").await.status, "a token has none");
    assert_eq!(4, list(&bench, &anna).await.len());
    assert_eq!(204, bench.ask("DELETE /api/v1/sessions", &anna, "").await.status);
    assert_eq!(Some(4401), socket.closed().await);
    for (credential, status) in [(&others[0], 401), (&others[1], 401), (&anna, 200), (&bert, 200), (&token, 200)] {
        assert_eq!(status, bench.ask("GET /api/v1/seats", credential, "").await.status);
    }
}

#[tokio::test]
async fn ending_a_session_ends_its_stream_within_a_second_though_nobody_reads() {
    let bench = Bench::new().await;
    let (cookie, other) = (bench.login().await, bench.login().await);
    bench.publish(vec![1; 8 << 20]);
    let mut client = bench.connect().await;
    client.send(&bench.request("GET /api/v1/seats/main/stream.mjpeg", &cookie, "")).await;
    assert_eq!(200, client.header().await.status);
    let mut audience = bench.frames.audience();
    soon("it watches", audience.wait_for(|count| *count == 1)).await.unwrap();
    let session = own(&bench, &cookie).await;
    assert_eq!(true, session["watching"]);
    assert_eq!(204, delete(&bench, session["id"].as_str().unwrap(), &other).await.status);
    // Time that nobody else uses passes at once, so a busy machine makes no difference.
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    soon("it has gone", audience.wait_for(|count| *count == 0)).await.unwrap();
    assert!(begun.elapsed() <= Duration::from_secs(1), "{:?}", begun.elapsed());
}
