//! What acts: carried out to its end, and written down, whoever hangs up meanwhile.

use farhand::auth::role::Role;
use farhand::base::front_panel::Contact;
use farhand::net::api::TABLE;
use farhand::net::http::endpoint::Access;

use super::bench::{Bench, bearer, keep_log, logged};

#[tokio::test]
async fn whoever_hangs_up_after_the_header_is_in_the_log_all_the_same() {
    keep_log();
    let bench = Bench::new().await;
    for row in TABLE.rows().filter(|row| row.semantics.acts) {
        let path = row.path.replace("{seat}", "main");
        let who = if row.access == Access::Public { "somebody" } else { "token Administrator" };
        // Of a body nothing comes.
        let body = row.accepts.media.map(|media| format!("Content-Type: {media}\r\nContent-Length: 2\r\n"));
        let lines = format!("{}{}", bearer(Role::Administrator), body.unwrap_or_default());
        let mut client = bench.connect().await;
        client.send(&bench.request(&format!("{} {path}", row.method), &lines, "")).await;
        let what = format!("{who} at 127.0.0.1: {} {path}", row.method);
        logged(&[&format!("{what} begins")]).await;
        drop(client);
        logged(&[&format!("{what}: ")]).await;
    }
}

/// Has somebody ask for something, and hang up once it has begun.
async fn abandoned(bench: &Bench, request: &str, lines: &str, body: &str) {
    let mut client = bench.connect().await;
    client.send(&bench.request(request, lines, body)).await;
    logged(&[&format!("{request} begins")]).await;
}

#[tokio::test]
async fn who_does_not_wait_for_their_login_is_logged_in_and_written_down() {
    keep_log();
    let bench = Bench::new().await;
    abandoned(&bench, "POST /api/v1/login", "", r#"{"user":"anna","password":"correct horse"}"#).await;
    // The password takes longer to be looked at than the end of a connection.
    logged(&["anna logged in from 127.0.0.1"]).await;
    logged(&["POST /api/v1/login: done (200)"]).await;
}

#[tokio::test]
async fn a_press_is_carried_out_and_written_down_though_its_client_hangs_up() {
    keep_log();
    let bench = Bench::new().await;
    let power = "POST /api/v1/seats/main/power";
    abandoned(&bench, power, &bearer(Role::Operator), r#"{"press":"reset"}"#).await;
    logged(&["token Operator", power, "done (202)"]).await;
    bench.machine.until_closed(Contact::Reset).await;
}

#[tokio::test]
async fn a_token_that_nobody_waited_for_is_made_and_written_down() {
    keep_log();
    let bench = Bench::new().await;
    let body = r#"{"name":"left-behind","role":"viewer","expires":null}"#;
    abandoned(&bench, "POST /api/v1/tokens", &bearer(Role::Administrator), body).await;
    logged(&["token Administrator", "POST /api/v1/tokens", "done (200)"]).await;
    let users = std::fs::read_to_string(bench.folders.data().join("users.json")).unwrap();
    assert!(users.contains("left-behind"));
}

#[tokio::test]
async fn typing_ends_with_its_client_and_is_written_down_when_it_begins() {
    keep_log();
    let bench = Bench::new().await;
    let body = format!(r#"{{"text":"{}"}}"#, "a".repeat(1024));
    let mut client = bench.connect().await;
    client.send(&bench.request("POST /api/v1/seats/main/keys", &bearer(Role::Operator), &body)).await;
    logged(&["token Operator at 127.0.0.1: POST /api/v1/seats/main/keys begins"]).await;
    drop(client);
    logged(&["token Operator at 127.0.0.1: POST /api/v1/seats/main/keys: broken off"]).await;
}

#[tokio::test]
async fn who_is_refused_is_written_down_with_the_reason() {
    keep_log();
    let bench = Bench::new().await;
    let answer = bench.ask("POST /api/v1/seats/main/power", &bearer(Role::Operator), r#"{"press":"squeeze"}"#).await;
    assert_eq!("malformed", answer.code());
    logged(&["POST /api/v1/seats/main/power: refused (malformed)"]).await;
}
