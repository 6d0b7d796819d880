//! What acts: carried out to its end, and written down, whoever hangs up meanwhile.

use std::time::Duration;

use farhand::auth::role::Role;
use farhand::base::front_panel::Contact;
use farhand::net::api::TABLE;
use farhand::net::http::endpoint::Access;

use super::bench::{Bench, Client, bearer, keep_log, lines_kept, logged, path};

#[tokio::test]
async fn whoever_hangs_up_after_the_header_is_in_the_log_all_the_same() {
    keep_log();
    let bench = Bench::new().await;
    for row in TABLE.rows().filter(|row| row.semantics.acts) {
        let path = path(row.path);
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

/// Has an operator's program ask for the same many times over one connection.
async fn thirty_times(bench: &Bench, what: &str, body: &str, status: u16) {
    let mut client = Client::plain(bench.plain).await;
    for _ in 0..30 {
        let request = format!("POST /api/v1/seats/main/{what}");
        client.send(&bench.request(&request, &bearer(Role::Operator), body)).await;
        assert_eq!(status, client.answer().await.status);
    }
}

#[tokio::test]
async fn a_script_does_not_fill_the_log_and_how_much_is_left_out_is_told() {
    keep_log();
    let bench = Bench::new().await;
    thirty_times(&bench, "power", r#"{"press":"squeeze"}"#, 400).await;
    assert_eq!(20, lines_kept("power: refused (malformed)"));
    thirty_times(&bench, "keys", r#"{"chord":["KeyA"]}"#, 200).await;
    assert_eq!(0, lines_kept("press a chord"), "they share the bound");
    bench.advance(Duration::from_secs(60));
    logged(&["left out: 40 more lines of token Operator within 60 s"]).await;
    thirty_times(&bench, "keys", r#"{"chord":["KeyA"]}"#, 200).await;
    assert_eq!([20, 20], ["begins to press a chord", "done: token Operator asked to press a chord"].map(lines_kept));
    let other = bench.ask("POST /api/v1/seats/main/power", &bearer(Role::Administrator), "{}").await;
    assert_eq!((400, 21), (other.status, lines_kept("power: refused (malformed)")), "another's bound is their own");
}

#[tokio::test]
async fn no_line_of_an_act_that_lasts_is_left_out() {
    keep_log();
    let bench = Bench::new().await;
    thirty_times(&bench, "power", r#"{"press":"squeeze"}"#, 400).await;
    bench.ask("POST /api/v1/seats/main/power", &bearer(Role::Operator), r#"{"press":"reset"}"#).await;
    for part in ["token Operator begins to press Reset", "done: token Operator asked to press Reset"] {
        assert_eq!(1, lines_kept(part), "{part}");
    }
    bench.end().await;
    assert_eq!(1, lines_kept("left out: 10 more lines of token Operator"), "at the daemon's end, too");
}
