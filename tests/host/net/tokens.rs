//! What programs may do, and how that ends.

use std::time::{Duration, SystemTime};

use farhand::auth::role::Role;
use farhand::net::api::TABLE;
use farhand::net::http::endpoint::Access;
use serde_json::{Value, json};

use super::bench::{Answer, Bench, USER, bearer, path, soon};
use super::socket::Socket;

async fn make(bench: &Bench, by: &str, body: &Value) -> Answer {
    bench.ask("POST /api/v1/tokens", by, &body.to_string()).await
}

/// Has somebody make a token; gives the header line with which a program comes by it.
async fn made(bench: &Bench, by: &str, body: &Value) -> String {
    let answer = make(bench, by, body).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    format!("Authorization: Bearer {}\r\n", answer.json()["token"].as_str().unwrap())
}

async fn list(bench: &Bench) -> Vec<Value> {
    let answer = bench.ask("GET /api/v1/tokens", &bearer(Role::Administrator), "").await;
    assert_eq!(200, answer.status, "{}", answer.text());
    answer.json()["tokens"].as_array().unwrap().clone()
}

async fn listed(bench: &Bench, name: &str) -> Value {
    list(bench).await.into_iter().find(|token| token["name"] == name).unwrap()
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test]
async fn a_token_opens_what_its_scope_names_and_no_other_row() {
    let bench = Bench::new().await;
    bench.publish(&b"jpeg"[..]);
    let cookie = bench.login().await;
    for privileges in [&["view"][..], &["view", "configure"], &["input"], &["users"], &["power", "media"]] {
        for seats in [Value::Null, json!(["main"])] {
            let is_refused = !seats.is_null() && privileges.iter().any(|one| ["configure", "users"].contains(one));
            let body = json!({"name": "scoped", "privileges": privileges, "seats": seats});
            if is_refused {
                assert_eq!((400, "bad-scope".into()), refusal(&make(&bench, &cookie, &body).await), "{body}");
                continue;
            }
            let token = made(&bench, &cookie, &body).await;
            for row in TABLE.rows() {
                let Access::Needs(privilege) = row.access else { continue };
                let answer = bench.ask(&format!("{} {}", row.method, path(row.path)), &token, "").await;
                let refused = (answer.status, answer.line("content-type")) == (403, Some("application/json"));
                let named = format!("{privilege:?}").to_lowercase();
                assert_eq!(!privileges.contains(&&*named), refused, "{body} {row:?}: {}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn a_token_for_another_seat_opens_nothing_here() {
    let bench = Bench::new().await;
    let body = json!({"name": "there", "privileges": ["view", "input", "power"], "seats": ["main"]});
    let token = made(&bench, &bench.login().await, &body).await;
    let file = bench.folders.data().join("users.json");
    let folders = bench.end().await;
    // The seat that it is for has another name since.
    let text = std::fs::read_to_string(&file).unwrap();
    let mut users: Value = serde_json::from_str(&text).unwrap();
    users["tokens"]["there"]["scope"]["seats"] = json!(["other"]);
    std::fs::write(&file, users.to_string()).unwrap();
    let bench = Bench::over(folders).await;
    for row in TABLE.rows().filter(|row| matches!(row.access, Access::Needs(_))) {
        let answer = bench.ask(&format!("{} {}", row.method, path(row.path)), &token, "").await;
        assert_eq!((403, "not-allowed".into()), refusal(&answer), "{row:?}");
    }
}

#[tokio::test]
async fn nobody_makes_a_token_that_may_do_more_than_they() {
    let bench = Bench::new().await;
    let own = json!({"name": "hr", "privileges": ["users", "view"]});
    let token = made(&bench, &bench.login().await, &own).await;
    for more in [
        json!({"name": "x", "role": "administrator"}),
        json!({"name": "x", "role": "operator"}),
        json!({"name": "x", "privileges": ["view", "power"]}),
        json!({"name": "x", "privileges": ["input"], "seats": ["main"]}),
    ] {
        assert_eq!((403, "not-allowed".into()), refusal(&make(&bench, &token, &more).await), "{more}");
    }
    for less in
        [json!({"name": "x", "role": "viewer"}), json!({"name": "x", "privileges": ["view"], "seats": ["main"]})]
    {
        made(&bench, &token, &less).await;
        assert_eq!(USER, listed(&bench, "x").await["by"], "what a token makes is its maker's");
    }
}

#[tokio::test]
async fn what_a_token_cannot_be_for_is_refused_and_nothing_is_stored() {
    let bench = Bench::new().await;
    let admin = bearer(Role::Administrator);
    let file = bench.folders.data().join("users.json");
    let before = std::fs::read_to_string(&file).unwrap();
    for (body, status, code) in [
        (json!({"name": "x", "privileges": []}), 400, "bad-scope"),
        (json!({"name": "x", "privileges": ["view"], "seats": []}), 400, "bad-scope"),
        (json!({"name": "x", "privileges": ["view"], "seats": ["other"]}), 404, "unknown-seat"),
        (json!({"name": "x", "privileges": ["view"], "seats": ["MAIN"]}), 400, "malformed"),
        (json!({"name": "x", "privileges": ["levitate"]}), 400, "malformed"),
        (json!({"name": "x", "role": "viewer", "privileges": ["view"]}), 400, "malformed"),
        (json!({"name": "x", "role": "viewer", "seats": ["main"]}), 400, "malformed"),
        (json!({"name": "x"}), 400, "malformed"),
        (json!({"name": "x", "role": "viewer", "expires": "9999999999"}), 400, "malformed"),
        (json!({"name": "a b", "role": "viewer"}), 400, "bad-name"),
        (json!({"name": "..", "role": "viewer"}), 400, "bad-name"),
        (json!({"name": "x".repeat(10_000), "role": "viewer"}), 400, "bad-name"),
    ] {
        assert_eq!((status, code.into()), refusal(&make(&bench, &admin, &body).await), "{body}");
    }
    assert_eq!(before, std::fs::read_to_string(&file).unwrap());
}

#[tokio::test]
async fn the_list_says_what_each_token_is_for_and_not_what_opens() {
    let bench = Bench::new().await;
    let hour = Duration::from_secs(3600);
    let expires = humantime::format_rfc3339_seconds(SystemTime::now() + 3 * hour).to_string();
    let body = json!({"name": "backup", "privileges": ["power", "view"], "seats": ["main"], "expires": expires});
    let token = made(&bench, &bench.login().await, &body).await;
    let told = listed(&bench, "backup").await;
    let documented = include_str!("../../../docs/api.md").split("## TOKEN\n\n```json").nth(1).unwrap();
    let documented: Value = serde_json::from_str(documented.split("```").next().unwrap()).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&documented), keys(&told));
    let own = json!({"by": USER, "role": null, "privileges": ["view", "power"], "seats": ["main"], "used": null,
        "expires": expires, "expired": false});
    for (key, value) in own.as_object().unwrap() {
        assert_eq!(value, &told[key], "{key}");
    }
    let made = humantime::parse_rfc3339(told["made"].as_str().unwrap()).unwrap();
    assert!(made.elapsed().unwrap_or_default() < Duration::from_secs(60), "{told}");
    assert_eq!((json!("viewer"), json!(null)), {
        let viewer = listed(&bench, "Viewer").await;
        (viewer["role"].clone(), viewer["by"].clone())
    });
    let all = bench.ask("GET /api/v1/tokens", &bearer(Role::Administrator), "").await.text();
    let secret = token.trim_end().rsplit(' ').next().unwrap();
    assert!(!all.contains(secret) && !all.contains("secret"), "{all}");

    bench.advance(3 * hour);
    assert_eq!(401, bench.ask("GET /api/v1/seats", &token, "").await.status);
    assert_eq!(true, listed(&bench, "backup").await["expired"]);
}

#[tokio::test]
async fn when_a_token_was_used_is_told_to_the_hour_and_stored_once_in_it() {
    let bench = Bench::new().await;
    let token = made(&bench, &bench.login().await, &json!({"name": "ci", "role": "viewer"})).await;
    let file = bench.folders.data().join("users.json");
    let stored = || {
        let users: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        users["tokens"]["ci"]["used"].clone()
    };
    for _ in 0..3 {
        assert_eq!(200, bench.ask("GET /api/v1/seats", &token, "").await.status);
    }
    let used = humantime::parse_rfc3339(listed(&bench, "ci").await["used"].as_str().unwrap()).unwrap();
    let used = used.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(used.is_multiple_of(3600) && now - used < 3602, "{used}");
    bench.advance(Duration::from_secs(3600));
    soon("it is stored", async {
        while stored().is_null() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(json!(used), stored());
    let bench = bench.restart().await;
    assert!(!listed(&bench, "ci").await["used"].is_null());
}

#[tokio::test]
async fn deleting_a_token_ends_its_socket_and_its_stream_within_a_second() {
    let bench = Bench::new().await;
    let admin = bearer(Role::Administrator);
    let token = made(&bench, &admin, &json!({"name": "ci@home", "privileges": ["view"]})).await;
    let mut socket = Socket::open(&bench, &token).await;
    socket.event("status").await;
    bench.publish(vec![1; 8 << 20]);
    let mut client = bench.connect().await;
    client.send(&bench.request("GET /api/v1/seats/main/stream.mjpeg", &token, "")).await;
    assert_eq!(200, client.header().await.status);
    // As browsers encode it.
    assert_eq!(204, bench.ask("DELETE /api/v1/tokens/ci%40home", &admin, "").await.status);
    assert_eq!(Some(4401), socket.closed().await);
    assert_eq!(401, bench.ask("GET /api/v1/seats", &token, "").await.status);
    let mut audience = bench.frames.audience();
    // Time that nobody else uses passes at once, so a busy machine makes no difference.
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    soon("nobody watches", audience.wait_for(|count| *count == 0)).await.unwrap();
    assert!(begun.elapsed() <= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_token_that_there_is_not_cannot_be_deleted_and_one_that_has_expired_can() {
    let bench = Bench::new().await;
    let admin = bearer(Role::Administrator);
    let long = "x".repeat(7 << 10);
    for name in ["nobody", "%00", "Viewer%00", "viewer", "a%2Fb", "%", "%zz", &long] {
        let answer = bench.ask(&format!("DELETE /api/v1/tokens/{name}"), &admin, "").await;
        assert_eq!((404, "unknown-token".into()), refusal(&answer), "{name}");
    }
    assert_eq!(3, list(&bench).await.len());
    let expires = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(60)).to_string();
    made(&bench, &admin, &json!({"name": "short", "role": "viewer", "expires": expires})).await;
    bench.advance(Duration::from_secs(120));
    assert_eq!(true, listed(&bench, "short").await["expired"]);
    assert_eq!(204, bench.ask("DELETE /api/v1/tokens/short", &admin, "").await.status);
    assert_eq!(3, list(&bench).await.len());
    assert_eq!(204, bench.ask("DELETE /api/v1/tokens/Viewer", &admin, "").await.status);
    assert_eq!(401, bench.ask("GET /api/v1/seats", &bearer(Role::Viewer), "").await.status);
}
