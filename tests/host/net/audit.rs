//! Who did what: that it is written down, whoever hangs up, and that nothing else is.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Instant;

use farhand::audit::folder::verify;
use farhand::auth::role::Role;
use farhand::base::front_panel::Contact;
use serde_json::{Value, json};

use super::bench::{Bench, Client, DEADLINE, Folders, bearer, soon};
use super::second_factor::set_up;

const ADMIN: Role = Role::Administrator;

async fn records(bench: &Bench, query: &str) -> Vec<Value> {
    let answer = bench.ask(&format!("GET /api/v1/audit{query}"), &bearer(ADMIN), "").await;
    assert_eq!(200, answer.status, "{}", answer.text());
    answer.json()["records"].as_array().unwrap().clone()
}

/// Waits until there is a record in which each of these is so, and gives it. Each look waits for what is being written.
async fn recorded(bench: &Bench, parts: &[(&str, &str)]) -> Value {
    let begun = Instant::now();
    loop {
        let all = records(bench, "?limit=500").await;
        let fits = |record: &&Value| parts.iter().all(|(key, value)| record[*key] == *value);
        if let Some(record) = all.iter().find(fits) {
            return record.clone();
        }
        assert!(begun.elapsed() < DEADLINE, "no record with {parts:?} in {all:#?}");
    }
}

/// Waits until there are this many records.
async fn counted(bench: &Bench, many: usize) {
    let begun = Instant::now();
    loop {
        let all = records(bench, "?limit=500").await;
        if all.len() == many {
            return;
        }
        assert!(begun.elapsed() < DEADLINE && all.len() < many, "{} records: {all:#?}", all.len());
    }
}

fn login(user: &str, password: &str) -> String {
    json!({ "user": user, "password": password }).to_string()
}

/// All that is stored of the audit log.
fn stored(bench: &Bench) -> String {
    let files = fs::read_dir(bench.folders.data().join("audit")).unwrap();
    files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

#[tokio::test]
async fn a_refused_login_is_written_down_with_its_address_and_without_what_was_typed() {
    let bench = Bench::new().await;
    let mut client = Client::plain_from(Ipv4Addr::new(127, 0, 0, 7), bench.plain).await;
    for (user, password) in [("anna", "canary-one"), ("canary-two", "x")] {
        client.send(&bench.request("POST /api/v1/login", "", &login(user, password))).await;
        assert_eq!(401, client.answer().await.status);
    }
    let from = [("what", "login"), ("outcome", "not-done"), ("error", "wrong-password"), ("from", "127.0.0.7")];
    let known = recorded(&bench, &[&from[..], &[("detail", "as anna")]].concat()).await;
    assert_eq!(json!(null), known["who"], "nobody has shown who they are");
    recorded(&bench, &[&from[..], &[("detail", "as nobody that there is")]].concat()).await;
    assert!(!stored(&bench).contains("canary"));
}

#[tokio::test]
async fn a_right_password_without_a_code_is_written_down() {
    let bench = Bench::new().await;
    set_up(&bench, "anna", &bench.login().await).await;
    assert_eq!(401, bench.ask("POST /api/v1/login", "", &login("anna", "correct horse")).await.status);
    recorded(&bench, &[("what", "login"), ("outcome", "not-done"), ("error", "otp-needed"), ("detail", "as anna")])
        .await;
}

#[tokio::test]
async fn logging_in_and_out_is_written_down_with_name_and_address() {
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    recorded(&bench, &[("what", "login"), ("outcome", "done"), ("who", "anna"), ("from", "127.0.0.1")]).await;
    bench.ask("POST /api/v1/logout", &format!("{cookie}{}", bench.origin()), "").await;
    recorded(&bench, &[("what", "logout"), ("outcome", "done"), ("who", "anna"), ("from", "127.0.0.1")]).await;
}

#[tokio::test]
async fn a_claim_is_written_down_and_so_is_a_wrong_code() {
    let bench = Bench::over(Folders::new()).await;
    let claim = |code: &str| json!({ "code": code, "user": "anna", "password": "correct horse" }).to_string();
    bench.ask("POST /api/v1/claim", "", &claim("CANA-RYCO")).await;
    let code = bench.code.clone().unwrap();
    let answer = bench.ask("POST /api/v1/claim", "", &claim(&code)).await;
    let cookie = answer.cookie();
    let begun = Instant::now();
    let shown = loop {
        let shown = bench.ask("GET /api/v1/audit", &cookie, "").await.json();
        if 3 <= shown["records"].as_array().unwrap().len() {
            break shown;
        }
        assert!(begun.elapsed() < DEADLINE, "{shown:#}");
    };
    let told: Vec<_> = shown["records"].as_array().unwrap().iter().map(|one| (&one["outcome"], &one["who"])).collect();
    let anna = json!("anna");
    let (done, begun, refused, nobody) = (json!("done"), json!("begun"), json!("not-done"), json!(null));
    assert_eq!([(&done, &anna), (&begun, &anna), (&refused, &nobody)], told[..]);
    let stored = stored(&bench);
    assert!(!stored.contains("CANA") && !stored.contains(&code));
}

#[tokio::test]
async fn an_act_whose_client_hangs_up_has_a_record_before_and_one_after() {
    let bench = Bench::new().await;
    let mut client = bench.connect().await;
    let power = "POST /api/v1/seats/main/power";
    client.send(&bench.request(power, &bearer(Role::Operator), r#"{"press":"reset"}"#)).await;
    bench.machine.until_closed(Contact::Reset).await;
    drop(client);
    for outcome in ["begun", "done"] {
        let parts = [("what", "press"), ("outcome", outcome), ("who", "token Operator"), ("seat", "main")];
        let record = recorded(&bench, &parts).await;
        assert_eq!(
            (&json!("127.0.0.1"), &json!("press Reset of main for 0.5 s")),
            (&record["from"], &record["detail"])
        );
    }
    let answer = bench.ask(power, &bearer(Role::Operator), r#"{"press":"reset"}"#).await;
    assert_eq!("busy", answer.code());
    recorded(&bench, &[("what", "press"), ("outcome", "not-done"), ("error", "busy")]).await;
}

#[tokio::test]
async fn what_no_front_writes_down_itself_is_written_down_at_the_door() {
    let bench = Bench::new().await;
    bench.ask("POST /api/v1/update/cancel", &bearer(ADMIN), "").await;
    recorded(&bench, &[("what", "update"), ("outcome", "begun"), ("detail", "POST /api/v1/update/cancel")]).await;
    recorded(&bench, &[("what", "update"), ("outcome", "not-done"), ("error", "no-update-url")]).await;
    bench.ask("POST /api/v1/restart", &bearer(Role::Viewer), "").await;
    recorded(&bench, &[("what", "restart"), ("who", "token Viewer"), ("error", "not-allowed")]).await;
}

#[tokio::test]
async fn a_configuration_that_is_only_checked_is_in_no_record() {
    let bench = Bench::new().await;
    for _ in 0..3 {
        bench.ask("POST /api/v1/config/check", &bearer(ADMIN), r#"{"text":"schema = 1"}"#).await;
    }
    bench.ask("POST /api/v1/update/cancel", &bearer(ADMIN), "").await;
    counted(&bench, 2).await;
}

#[tokio::test]
async fn that_somebody_types_is_written_down_and_never_what() {
    let bench = Bench::new().await;
    let keys = "POST /api/v1/seats/main/keys";
    for body in [r#"{"text":"canary"}"#, r#"{"text":"canaries sing"}"#, r#"{"chord":["ControlLeft","KeyC"]}"#] {
        assert_eq!(200, bench.ask(keys, &bearer(Role::Operator), body).await.status);
    }
    for what in ["typing", "chord"] {
        recorded(&bench, &[("what", what), ("outcome", "begun"), ("who", "token Operator"), ("seat", "main")]).await;
    }
    assert_eq!(2, records(&bench, "").await.len(), "one of each");
    let folders = bench.end().await;
    let file = fs::read_to_string(folders.data().join("audit/00000001.jsonl")).unwrap();
    assert!(file.contains(r#""outcome":"done","times":2"#), "{file}");
    for secret in ["canar", "ControlLeft", "KeyC"] {
        assert!(!file.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn no_token_is_in_it_and_whose_it_is_is() {
    let bench = Bench::new().await;
    let body = r#"{"name":"ci","role":"viewer","expires":null}"#;
    let token = bench.ask("POST /api/v1/tokens", &bearer(ADMIN), body).await.json()["token"].clone();
    recorded(&bench, &[("what", "tokens"), ("outcome", "done"), ("detail", "made the token ci")]).await;
    let cookie = bench.login().await;
    let secret = cookie.trim().rsplit('=').next().unwrap();
    recorded(&bench, &[("what", "login")]).await;
    let stored = stored(&bench);
    for secret in [token.as_str().unwrap(), secret, bearer(ADMIN).trim().rsplit(' ').next().unwrap()] {
        assert!(64 == secret.len() && !stored.contains(secret));
    }
}

#[tokio::test]
async fn a_flood_of_guesses_is_some_lines_and_a_count() {
    let bench = Bench::new().await;
    let mut client = Client::plain(bench.plain).await;
    for _ in 0..60 {
        client.send(&bench.request("POST /api/v1/login", "", &login("anna", "wrong horse"))).await;
        assert!([401, 429].contains(&client.answer().await.status));
    }
    let begun = Instant::now();
    while !records(&bench, "?search=only+counted").await.iter().any(|record| record["what"] == "login") {
        assert!(begun.elapsed() < DEADLINE);
    }
    let all = records(&bench, "").await;
    assert_eq!(20, all.iter().filter(|record| record["from"] == "127.0.0.1").count());
}

#[tokio::test]
async fn pages_are_asked_for_by_number_and_a_question_that_makes_no_sense_is_refused() {
    let bench = Bench::new().await;
    for _ in 0..5 {
        bench.ask("POST /api/v1/update/cancel", &bearer(ADMIN), "").await;
    }
    counted(&bench, 10).await;
    let page = bench.ask("GET /api/v1/audit?limit=3", &bearer(ADMIN), "").await.json();
    let seqs =
        |page: &Value| page["records"].as_array().unwrap().iter().map(|one| one["seq"].as_u64()).collect::<Vec<_>>();
    let newest = seqs(&page)[0].unwrap();
    assert_eq!([newest, newest - 1, newest - 2].map(Some), seqs(&page)[..]);
    let before = page["before"].as_u64().unwrap();
    let next = bench.ask(&format!("GET /api/v1/audit?limit=2&before={before}"), &bearer(ADMIN), "").await.json();
    assert_eq!([before - 1, before - 2].map(Some), seqs(&next)[..]);
    assert_eq!(0, records(&bench, "?search=nowhere").await.len());
    assert!(!records(&bench, "?search=UPDATE%2fcancel").await.is_empty());
    let long = format!("search={}", "x".repeat(101));
    for bad in [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=",
        "before=x",
        "before=-1",
        "x=1",
        "limit=1&limit=2",
        "search=%ff",
        "search=%0",
        &long,
    ] {
        let answer = bench.ask(&format!("GET /api/v1/audit?{bad}"), &bearer(ADMIN), "").await;
        assert_eq!((400, "bad-query".into()), (answer.status, answer.code()), "{bad}");
    }
}

#[tokio::test]
async fn a_download_is_the_log_as_it_is_stored_and_can_be_verified() {
    let bench = Bench::new().await;
    let empty = bench.ask("GET /api/v1/audit?download", &bearer(ADMIN), "").await;
    assert_eq!((200, 0), (empty.status, empty.body.len()));
    for _ in 0..50 {
        bench.ask("POST /api/v1/update/cancel", &bearer(ADMIN), "").await;
    }
    counted(&bench, 100).await;
    let accept = format!("{}Accept: application/jsonl\r\n", bearer(ADMIN));
    for (path, lines) in [("?download", &bearer(ADMIN)), ("", &accept)] {
        let answer = bench.ask(&format!("GET /api/v1/audit{path}"), lines, "").await;
        assert_eq!((200, Some("application/jsonl")), (answer.status, answer.line("content-type")));
        let copy = bench.folders.run().join("copy.jsonl");
        fs::write(&copy, &answer.body).unwrap();
        let summary = verify(&copy).unwrap();
        assert!(summary.first == 1 && summary.last == 100, "{summary:?}");
    }
}

#[tokio::test]
async fn a_full_card_refuses_no_act_and_the_gap_is_told_in_status_and_log() {
    let bench = Bench::new().await;
    bench.login().await;
    recorded(&bench, &[("what", "login")]).await;
    let folder = bench.folders.data().join("audit");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    let power = "POST /api/v1/seats/main/power";
    assert_eq!(202, bench.ask(power, &bearer(Role::Operator), r#"{"press":"reset"}"#).await.status);
    let begun = Instant::now();
    let status = loop {
        let status = bench.ask("GET /api/v1/system", &bearer(ADMIN), "").await.json()["audit"].clone();
        if status["reason"] != json!(null) {
            break status;
        }
        assert!(begun.elapsed() < DEADLINE, "{status}");
    };
    assert!(1 <= status["lost"].as_u64().unwrap(), "{status}");
    assert_eq!(503, bench.ask("GET /api/v1/audit", &bearer(ADMIN), "").await.status);
    fs::remove_file(&folder).unwrap();
    bench.login().await;
    let gap = recorded(&bench, &[("what", "trail"), ("error", "gap")]).await;
    assert!(1 <= gap["times"].as_u64().unwrap());
    verify(&folder).unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart_and_the_chain_goes_on() {
    let bench = Bench::new().await;
    bench.login().await;
    let bench = soon("a restart", bench.restart()).await;
    bench.login().await;
    let begun = Instant::now();
    while records(&bench, "?search=login").await.len() < 2 {
        assert!(begun.elapsed() < DEADLINE);
    }
    assert_eq!(0, verify(&bench.folders.data().join("audit")).unwrap().gaps);
}
