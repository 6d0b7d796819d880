//! The appliance itself: updates, restarts, factory reset, logs.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use farhand::auth::role::Role;
use farhand::base::front_panel::Contact;
use farhand::update::Progress;
use serde_json::{Value, json};

use super::bench::{Answer, Bench, Folders, bearer};
use super::socket::Socket;

const ADMIN: Role = Role::Administrator;

/// The header of an upload of this length.
fn head(bench: &Bench, len: usize) -> String {
    let lines = format!("{}Content-Type: application/octet-stream\r\n", bearer(ADMIN));
    format!("POST /api/v1/update HTTP/1.1\r\n{}{lines}Content-Length: {len}\r\n\r\n", bench.host())
}

pub async fn upload(bench: &Bench, body: &str) -> Answer {
    let mut client = bench.connect().await;
    client.send(&(head(bench, body.len()) + body)).await;
    client.answer().await
}

pub async fn system(bench: &Bench) -> Value {
    let answer = bench.ask("GET /api/v1/system", &bearer(ADMIN), "").await;
    assert_eq!(200, answer.status, "{}", answer.text());
    answer.json()
}

/// Waits until the update is in one of these phases, and gives it.
pub async fn phase(bench: &Bench, phases: &[&str]) -> Value {
    let is_one = |update: &Progress| phases.iter().any(|phase| json!(update.phase) == *phase);
    bench.update_is(&format!("{phases:?}"), is_one).await;
    let update = system(bench).await["update"].clone();
    assert!(phases.iter().any(|phase| update["phase"] == *phase), "{update}");
    update
}

/// Follows the news of an update until it is in this phase.
pub async fn follow(admin: &mut Socket, seen: &mut Vec<Value>, phase: &str) {
    while seen.last().is_none_or(|update| update["phase"] != phase) {
        seen.push(admin.event("update").await);
    }
}

/// The phases in what was seen.
pub fn phases(seen: &[Value]) -> Vec<&str> {
    let mut phases: Vec<_> = seen.iter().map(|update| update["phase"].as_str().unwrap()).collect();
    phases.dedup();
    phases
}

/// Whatever is left of uploads.
pub fn left(folders: &Folders) -> Vec<PathBuf> {
    let folders = ["spool", "install"].map(|name| folders.data().join(name));
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok());
    entries.flatten().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn the_system_tells_of_its_slots_and_of_its_last_start() {
    let (bench, _appliance) = Bench::with_slots().await;
    fs::write(bench.folders.run().join("started.json"), r#"{"why":"fallback","detail":"B","since":1}"#).unwrap();
    let told = system(&bench).await;
    assert_eq!(json!(null), told["health"], "nobody has looked");
    assert_eq!((&json!("A"), &json!(true)), (&told["slot"], &told["confirmed"]));
    assert_eq!(json!({"version": env!("CARGO_PKG_VERSION"), "installed": null, "tries_left": 3}), told["slots"]["A"]);
    assert_eq!(json!({"why": "fallback", "detail": "B"}), told["started"]);
    assert_eq!(json!({"phase": "idle", "percent": 0, "message": ""}), told["update"]);
    let documented = include_str!("../../../docs/api.md").split("## SYSTEM\n\n```json").nth(1).unwrap();
    let documented: Value = serde_json::from_str(documented.split("```").next().unwrap()).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&documented), keys(&told));
    assert_eq!(keys(&documented["slots"]["B"]), keys(&told["slots"]["B"]));
    // What is documented is what the guard may say.
    fs::write(bench.folders.run().join("health.json"), documented["health"].to_string()).unwrap();
    assert_eq!(documented["health"], system(&bench).await["health"]);
}

#[tokio::test]
async fn the_system_tells_how_its_board_is_and_leaves_out_what_no_sensor_says() {
    let bench = Bench::new().await;
    let told = async |text: &str| {
        fs::write(bench.folders.run().join("health.json"), text).unwrap();
        system(&bench).await["health"].clone()
    };
    let nothing = json!({"low_voltage": null, "celsius": null, "slowed": null, "card": null});
    assert_eq!(nothing, told("{}").await);
    let low = told(r#"{"low_voltage":{"now":false,"ever":true},"card":"failing","of a later version":1}"#).await;
    assert_eq!((&json!({"now": false, "ever": true}), &json!("failing")), (&low["low_voltage"], &low["card"]));
    for nonsense in ["", "null", r#"{"celsius":"hot"}"#] {
        assert_eq!(json!(null), told(nonsense).await, "{nonsense:?}");
    }
}

#[tokio::test]
async fn a_simulation_has_nothing_to_update_restart_or_reset() {
    let bench = Bench::new().await;
    let told = system(&bench).await;
    assert_eq!((&json!("simulated"), &json!(null)), (&told["board"], &told["slots"]));
    let answer = upload(&bench, "good").await;
    assert_eq!((501, "simulated".into()), (answer.status, answer.code()));
    let reset = json!({"confirm": told["host"]}).to_string();
    for (request, body) in [("POST /api/v1/restart", ""), ("POST /api/v1/factory-reset", &reset)] {
        let answer = bench.ask(request, &bearer(ADMIN), body).await;
        assert_eq!((501, "simulated".into()), (answer.status, answer.code()), "{request}");
    }
}

#[tokio::test]
async fn a_machine_without_slots_says_so() {
    let (bench, appliance) = Bench::with_slots().await;
    appliance.write("cmdline", "root=/dev/vda\n");
    let bench = bench.restart().await;
    let answer = upload(&bench, "good").await;
    assert_eq!((501, "no-slots".into()), (answer.status, answer.code()));
    assert_eq!(json!(null), system(&bench).await["slot"]);
}

#[tokio::test]
async fn a_good_update_goes_from_the_first_byte_to_ready() {
    let (bench, appliance) = Bench::with_slots().await;
    let answer = upload(&bench, "good bundle").await;
    assert_eq!(202, answer.status, "{}", answer.text());
    let update = phase(&bench, &["ready", "failed"]).await;
    assert_eq!((&json!("ready"), &json!(100)), (&update["phase"], &update["percent"]));
    let given = fs::read_to_string(appliance.path("given")).unwrap();
    assert!(given.starts_with("400 1 ") && given.contains("/data/install/"), "out of the network's reach: {given}");
    assert_eq!(Vec::<PathBuf>::new(), left(&bench.folders));
}

#[tokio::test]
async fn progress_is_told_to_administrators_on_their_sockets() {
    let (bench, appliance) = Bench::with_slots().await;
    let mut admin = Socket::open(&bench, &bearer(ADMIN)).await;
    let mut operator = Socket::open(&bench, &bearer(Role::Operator)).await;
    let (body, mut client) = (format!("slow {}", "x".repeat(20_000)), bench.connect().await);
    client.send(&head(&bench, body.len())).await;
    client.send(&body[..10_000]).await;
    let update = admin.event("update").await;
    assert_eq!("receiving", update["phase"]);
    client.send(&body[10_000..]).await;
    assert_eq!(202, client.answer().await.status);
    let mut seen = vec![update];
    follow(&mut admin, &mut seen, "installing").await;
    appliance.write("go", "");
    follow(&mut admin, &mut seen, "ready").await;
    assert_eq!(vec!["receiving", "checking", "installing", "ready"], phases(&seen));
    // Whoever comes later learns what waits for a restart.
    assert_eq!("ready", Socket::open(&bench, &bearer(ADMIN)).await.event("update").await["phase"]);
    // A key is answered with a status; if there had been news of updates, they would have come before it.
    operator.say(json!({"type": "key", "code": "Nonsense", "down": true})).await;
    assert!(operator.until("refused").await.iter().all(|event| event["type"] != "update"));
}

#[tokio::test]
async fn a_refused_update_says_why_and_the_next_one_works() {
    let (bench, _appliance) = Bench::with_slots().await;
    for (body, part) in [
        ("other board", "another device"),
        ("unsigned bundle", "not signed by a key that this device trusts"),
        ("\u{7f}ELF something else", "not an update for Farhand"),
    ] {
        assert_eq!(202, upload(&bench, body).await.status);
        let update = phase(&bench, &["failed", "ready"]).await;
        assert_eq!("failed", update["phase"], "{body}");
        assert!(update["message"].as_str().unwrap().contains(part), "{update}");
        assert_eq!(Vec::<PathBuf>::new(), left(&bench.folders), "{body}");
    }
    assert_eq!(202, upload(&bench, "good at last").await.status);
    phase(&bench, &["ready"]).await;
}

#[tokio::test]
async fn two_at_once_do_not_get_in_each_others_way() {
    let (bench, appliance) = Bench::with_slots().await;
    // One arrives.
    let mut first = bench.connect().await;
    first.send(&(head(&bench, 9) + "slow")).await;
    phase(&bench, &["receiving"]).await;
    let answer = upload(&bench, "good").await;
    assert_eq!((409, "busy".into()), (answer.status, answer.code()), "while one arrives");
    let reset = json!({"confirm": system(&bench).await["host"]}).to_string();
    for (request, body) in [("POST /api/v1/restart", ""), ("POST /api/v1/factory-reset", &reset)] {
        let answer = bench.ask(request, &bearer(ADMIN), body).await;
        assert_eq!((409, "busy".into()), (answer.status, answer.code()), "{request} while one arrives");
    }
    first.send(" word").await;
    assert_eq!(202, first.answer().await.status);
    // It is installed.
    let restart = bench.ask("POST /api/v1/restart", &bearer(ADMIN), "").await;
    for answer in [restart, upload(&bench, "good").await] {
        assert_eq!((409, "busy".into()), (answer.status, answer.code()), "while one is installed");
    }
    assert!(!appliance.path("rebooted").exists());
    appliance.write("go", "");
    phase(&bench, &["ready"]).await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let (bench, appliance) = Bench::with_slots().await;
    for _ in 0..20 {
        let mut client = bench.connect().await;
        client.send(&(head(&bench, 1000) + "half of it")).await;
        bench.update_is("a part of it is there", |update| 0 < update.percent).await;
        assert_eq!(1, left(&bench.folders).len());
        drop(client);
        phase(&bench, &["idle"]).await;
        assert_eq!(Vec::<PathBuf>::new(), left(&bench.folders));
    }
    assert!(!appliance.path("given").exists());
}

#[tokio::test]
async fn what_an_earlier_life_left_is_removed() {
    let (bench, _appliance) = Bench::with_slots().await;
    assert_eq!(202, upload(&bench, "hangs").await.status);
    bench.update_is("the installer is at work", |update| 0 < update.percent).await;
    assert_eq!(1, left(&bench.folders).len());
    // The installer dies with the hands, and the next hands clear up.
    let bench = bench.restart().await;
    assert_eq!(Vec::<PathBuf>::new(), left(&bench.folders));
    assert_eq!("idle", system(&bench).await["update"]["phase"]);
    assert_eq!(202, upload(&bench, "good").await.status);
    phase(&bench, &["ready"]).await;
}

#[tokio::test]
async fn an_upload_ends_with_the_session_it_came_from() {
    let (bench, _appliance) = Bench::with_slots().await;
    let cookie = bench.login().await;
    let mut client = bench.connect().await;
    client.send(&(head(&bench, 1000).replace(&bearer(ADMIN), &cookie) + "half of it")).await;
    phase(&bench, &["receiving"]).await;
    assert_eq!(204, bench.ask("POST /api/v1/logout", &cookie, "").await.status);
    let answer = client.answer().await;
    assert_eq!((401, "not-logged-in".into()), (answer.status, answer.code()));
    phase(&bench, &["idle"]).await;
    assert_eq!(Vec::<PathBuf>::new(), left(&bench.folders));
}

#[tokio::test]
async fn an_upload_keeps_its_session_as_long_as_it_flows() {
    let (bench, _appliance) = Bench::with_slots().await;
    let cookie = bench.login().await;
    let mut client = bench.connect().await;
    client.send(&(head(&bench, 12).replace(&bearer(ADMIN), &cookie) + "good")).await;
    for (more, percent) in [(" ", 41), ("is", 58), (" it", 83)] {
        bench.advance(Duration::from_secs(20 * 60));
        client.send(more).await;
        bench.update_is(&format!("{percent} %"), |update| update.percent == percent).await;
    }
    client.send("!!").await;
    let answer = client.answer().await;
    assert_eq!(202, answer.status, "{}", answer.text());
}

#[tokio::test]
async fn an_upload_that_the_end_of_the_daemon_ends_says_so() {
    let (bench, _appliance) = Bench::with_slots().await;
    let mut client = bench.connect().await;
    client.send(&(head(&bench, 1000) + "half of it")).await;
    phase(&bench, &["receiving"]).await;
    bench.stopper.stop();
    let answer = client.answer().await;
    assert_eq!((503, "stopping".into()), (answer.status, answer.code()));
}

#[tokio::test]
async fn what_cannot_be_an_update_is_refused_before_its_first_byte() {
    let (bench, _appliance) = Bench::with_slots().await;
    let octets = "Content-Type: application/octet-stream\r\n";
    for (lines, status, code) in [
        (format!("{octets}Content-Length: {}\r\n", (64 << 20) + 1), 413, "too-long"),
        (format!("{octets}Content-Length: 9000000000000000000\r\n"), 413, "too-long"),
        (format!("{octets}Content-Length: 0\r\n"), 411, "no-length"),
        (format!("{octets}Transfer-Encoding: chunked\r\n"), 411, "no-length"),
        ("Content-Type: application/json\r\nContent-Length: 2\r\n".into(), 415, "not-octets"),
        ("Content-Length: 2\r\n".into(), 415, "not-octets"),
    ] {
        let mut client = bench.connect().await;
        let lines = format!("{}{lines}Expect: 100-continue\r\n", bearer(ADMIN));
        client.send(&format!("POST /api/v1/update HTTP/1.1\r\n{}{lines}\r\n", bench.host())).await;
        let answer = client.answer().await;
        assert_eq!((status, code.to_string()), (answer.status, answer.code()), "{lines}");
    }
    assert_eq!("idle", system(&bench).await["update"]["phase"]);
}

#[tokio::test]
async fn a_restart_leaves_word_of_why() {
    let (bench, appliance) = Bench::with_slots().await;
    assert_eq!(202, bench.ask("POST /api/v1/restart", &bearer(ADMIN), "").await.status);
    assert!(appliance.path("rebooted").exists());
    let note = || fs::read_to_string(bench.folders.data().join("state/restart")).unwrap();
    assert_eq!("person\n", note());
    let answer = bench.ask("POST /api/v1/restart", &bearer(ADMIN), "").await;
    assert_eq!((409, "restarting".into()), (answer.status, answer.code()));
    assert!(!bench.folders.data().join("state/factory-reset").exists());

    let (bench, _appliance) = Bench::with_slots().await;
    assert_eq!(202, upload(&bench, "good").await.status);
    phase(&bench, &["ready"]).await;
    assert_eq!(202, bench.ask("POST /api/v1/restart", &bearer(ADMIN), "").await.status);
    assert_eq!("update\n", fs::read_to_string(bench.folders.data().join("state/restart")).unwrap());
}

#[tokio::test]
async fn a_restart_needs_no_note_and_a_factory_reset_does() {
    let (bench, appliance) = Bench::with_slots().await;
    // As little can be written there as on a card that has turned read-only, by root neither.
    fs::write(bench.folders.data().join("state"), "").unwrap();
    let right = json!({"confirm": system(&bench).await["host"]}).to_string();
    let answer = bench.ask("POST /api/v1/factory-reset", &bearer(ADMIN), &right).await;
    assert_eq!((500, "not-stored".into()), (answer.status, answer.code()));
    assert!(!appliance.path("rebooted").exists());
    let answer = bench.ask("POST /api/v1/restart", &bearer(ADMIN), "").await;
    assert_eq!(202, answer.status, "{}", answer.text());
    assert!(appliance.path("rebooted").exists());
}

#[tokio::test]
async fn a_restart_lets_go_of_the_target_first() {
    let (bench, appliance) = Bench::with_slots().await;
    let hold = r#"{"press":"hold"}"#;
    assert_eq!(202, bench.ask("POST /api/v1/seats/main/power", &bearer(ADMIN), hold).await.status);
    assert_eq!(vec![false, true], bench.machine.moves(Contact::Power));
    assert_eq!(202, bench.ask("POST /api/v1/restart", &bearer(ADMIN), "").await.status);
    assert!(appliance.path("rebooted").exists());
    assert_eq!(vec![false, true, false], bench.machine.moves(Contact::Power));
}

#[tokio::test]
async fn a_factory_reset_must_be_confirmed_by_name() {
    let (bench, appliance) = Bench::with_slots().await;
    let marker = bench.folders.data().join("state/factory-reset");
    for wrong in [r#"{"confirm":""}"#, r#"{"confirm":"yes"}"#] {
        let answer = bench.ask("POST /api/v1/factory-reset", &bearer(ADMIN), wrong).await;
        assert_eq!((400, "not-confirmed".into()), (answer.status, answer.code()), "{wrong}");
    }
    assert!(!marker.exists() && !appliance.path("rebooted").exists());
    let right = json!({"confirm": system(&bench).await["host"]}).to_string();
    assert_eq!(202, bench.ask("POST /api/v1/factory-reset", &bearer(ADMIN), &right).await.status);
    assert!(marker.exists() && appliance.path("rebooted").exists());
}

#[tokio::test]
async fn a_reset_that_cannot_restart_does_not_come_days_later() {
    let (bench, appliance) = Bench::with_slots().await;
    appliance.write("reboot", "#!/bin/sh\necho no >&2\nexit 1\n");
    let right = json!({"confirm": system(&bench).await["host"]}).to_string();
    let answer = bench.ask("POST /api/v1/factory-reset", &bearer(ADMIN), &right).await;
    assert_eq!((500, "not-restarted".into()), (answer.status, answer.code()));
    assert!(fs::read_dir(bench.folders.data().join("state")).unwrap().next().is_none());
}

#[tokio::test]
async fn a_log_is_shown_to_administrators_and_nothing_else_is() {
    let bench = Bench::new().await;
    let folder = bench.folders.logs().join("hands");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("current"), "one\n\u{1b}[2Jtwo <img>\n").unwrap();
    let answer = bench.ask("GET /api/v1/logs?service=hands", &bearer(ADMIN), "").await;
    assert_eq!((200, "one\n\u{fffd}[2Jtwo <img>\n".into()), (answer.status, answer.text()));
    assert_eq!(Some("text/plain; charset=utf-8"), answer.line("content-type"));
    let answer = bench.ask("GET /api/v1/logs?service=serve", &bearer(ADMIN), "").await;
    assert_eq!((404, "no-log".into()), (answer.status, answer.code()));
    for query in
        ["", "?", "?service=", "?service=../hands", "?service=Hands", "?service=hands&x=1", "?x=1&service=hands"]
    {
        let answer = bench.ask(&format!("GET /api/v1/logs{query}"), &bearer(ADMIN), "").await;
        assert_eq!((400, "unknown-service".into()), (answer.status, answer.code()), "{query}");
    }
}
