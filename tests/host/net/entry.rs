//! Claiming, logging in and out, tokens.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use farhand::auth::authenticator::Authenticator;
use farhand::auth::clock::SystemClock;
use farhand::auth::role::Role;

use super::bench::{Bench, Client, Folders, PASSWORD, USER, bearer, soon};

fn claim(code: &str, password: &str) -> String {
    format!(r#"{{"code":"{code}","user":"{USER}","password":"{password}"}}"#)
}

fn login(password: &str) -> String {
    format!(r#"{{"user":"{USER}","password":"{password}"}}"#)
}

#[tokio::test]
async fn a_fresh_device_is_claimed_once_with_its_code() {
    let bench = Bench::over(Folders::new()).await;
    let code = bench.code.clone().unwrap();
    let answer = bench.ask("GET /api/v1/session", "", "").await;
    let stranger = serde_json::json!({"claimed": false, "user": null, "role": null, "privileges": [], "seats": {}, "needs_second_factor": false, "recovery_codes": null});
    assert_eq!(stranger, answer.json());

    for wrong in ["", "AAAA-AAAA", &code[1..]] {
        let answer = bench.ask("POST /api/v1/claim", "", &claim(wrong, PASSWORD)).await;
        assert_eq!((403, "wrong-code".into()), (answer.status, answer.code()), "{wrong}");
    }
    let answer = bench.ask("POST /api/v1/claim", "", &claim(&code, "short")).await;
    assert_eq!((400, "weak-password".into()), (answer.status, answer.code()));
    let answer = bench.ask("POST /api/v1/claim", "", &claim(&code.to_lowercase().replace('-', ""), PASSWORD)).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    let cookie = answer.line("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-farhand=") && cookie.ends_with("; Secure; HttpOnly; SameSite=Strict; Path=/"));
    let session = bench.ask("GET /api/v1/session", &answer.cookie(), "").await;
    let privileges = ["view", "input", "media", "power", "configure", "users"];
    let seats = serde_json::json!({"main": privileges});
    let owner = serde_json::json!({
        "claimed": true, "user": USER, "role": "administrator", "privileges": privileges, "seats": seats, "needs_second_factor": false, "recovery_codes": null,
    });
    assert_eq!((&owner, &owner), (&answer.json(), &session.json()));

    let answer = bench.ask("POST /api/v1/claim", "", &claim(&code, PASSWORD)).await;
    assert_eq!((409, "claimed".into()), (answer.status, answer.code()), "the same code again");
    let users = std::fs::metadata(bench.folders.data().join("users.json")).unwrap();
    assert_eq!(0o600, users.permissions().mode() & 0o777);

    let bench = bench.restart().await;
    assert_eq!(None, bench.code, "a claimed device shows no code");
    let answer = bench.ask("POST /api/v1/claim", "", &claim(&code, PASSWORD)).await;
    assert_eq!((409, "claimed".into()), (answer.status, answer.code()), "after a restart");
    bench.login().await;
}

#[tokio::test]
async fn a_code_is_good_until_there_is_an_owner() {
    let bench = Bench::over(Folders::new()).await;
    let file = bench.folders.data().join("claim-code");
    let first = bench.code.clone().unwrap();
    let bench = bench.restart().await;
    assert_eq!(Some(&first), bench.code.as_ref(), "it was read from the card while the device was off");
    std::fs::write(&file, "01AM").unwrap();
    let bench = bench.restart().await;
    let second = bench.code.clone().unwrap();
    assert_ne!(first, second, "a damaged one is replaced");
    let answer = bench.ask("POST /api/v1/claim", "", &claim(&first, PASSWORD)).await;
    assert_eq!((403, "wrong-code".into()), (answer.status, answer.code()));
    let answer = bench.ask("POST /api/v1/claim", "", &claim(&second, PASSWORD)).await;
    assert_eq!(200, answer.status);
    assert!(!file.exists(), "it has done its duty");
}

#[tokio::test]
async fn two_cannot_claim_at_once() {
    let bench = Bench::over(Folders::new()).await;
    let body = claim(bench.code.as_ref().unwrap(), PASSWORD);
    let ask = || bench.ask("POST /api/v1/claim", "", &body);
    let (first, second) = tokio::join!(ask(), ask());
    let mut statuses = [first.status, second.status];
    statuses.sort();
    assert_eq!([200, 409], statuses);
}

#[tokio::test]
async fn only_the_right_password_logs_in_and_wrong_names_look_the_same() {
    let bench = Bench::new().await;
    let wrong = bench.ask("POST /api/v1/login", "", &login("wrong horse")).await;
    assert_eq!((401, "wrong-password".into()), (wrong.status, wrong.code()));
    assert!(wrong.line("set-cookie").is_none());
    let unknown = bench.ask("POST /api/v1/login", "", r#"{"user":"bert","password":"correct horse"}"#).await;
    assert_eq!((wrong.status, wrong.body), (unknown.status, unknown.body));
    let cookie = bench.login().await;
    assert_eq!(200, bench.ask("GET /api/v1/seats", &cookie, "").await.status);
}

#[tokio::test]
async fn a_name_that_nobody_can_have_is_said_to_be_one_and_costs_no_try() {
    let bench = Bench::new().await;
    for user in ["anna ", " anna", "anna\t", "anna\u{a0}", "", "é"] {
        for _ in 0..3 {
            let body = serde_json::json!({"user": user, "password": PASSWORD}).to_string();
            let answer = bench.ask("POST /api/v1/login", "", &body).await;
            assert_eq!((400, "bad-name".into()), (answer.status, answer.code()), "{user:?}");
        }
    }
    bench.login().await;
    let bench = Bench::over(Folders::new()).await;
    for user in ["anna ", "."].repeat(10) {
        let body = serde_json::json!({"code": "AAAA-AAAA", "user": user, "password": PASSWORD}).to_string();
        let answer = bench.ask("POST /api/v1/claim", "", &body).await;
        assert_eq!((400, "bad-name".into()), (answer.status, answer.code()));
    }
    let answer = bench.ask("POST /api/v1/claim", "", &claim(bench.code.as_ref().unwrap(), PASSWORD)).await;
    assert_eq!(200, answer.status, "{}", answer.text());
}

#[tokio::test]
async fn whoever_guesses_is_slowed_down() {
    let bench = Bench::new().await;
    let mut limited = None;
    for _ in 0..20 {
        let answer = bench.ask("POST /api/v1/login", "", &login("wrong horse")).await;
        if answer.status == 429 {
            assert_eq!("too-many-tries", answer.code());
            assert!(answer.line("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
            limited = Some(answer);
            break;
        }
    }
    assert!(limited.is_some());
    // The right password has to wait as well, from this address; a token that is right was not guessed.
    assert_eq!(429, bench.ask("POST /api/v1/login", "", &login(PASSWORD)).await.status);
    assert_eq!(200, bench.ask("GET /api/v1/seats", &bearer(Role::Viewer), "").await.status);
}

#[tokio::test]
async fn a_flood_of_strangers_keeps_nobody_out_of_where_they_have_logged_in_even_after_a_restart() {
    let bench = Bench::new().await;
    bench.login().await;
    let file = bench.folders.data().join("known-places.json");
    let bench = bench.restart().await;
    assert_eq!(0o600, std::fs::metadata(&file).unwrap().permissions().mode() & 0o777);
    let try_from = async |last: u8, password: &str| {
        let mut client = Client::plain_from([127, 0, 0, last].into(), bench.plain).await;
        client.send(&bench.request("POST /api/v1/login", "", &login(password))).await;
        client.answer().await.status
    };
    // Each from an address of its own, until there is nothing left for strangers, whether they know the password or
    // not. On a busy machine a try may come back in between.
    let mut strangers = 2..100;
    loop {
        let (one, two) = (strangers.next().expect("a flood is slowed down"), strangers.next().unwrap());
        if try_from(one, "wrong horse").await == 429 && try_from(two, PASSWORD).await == 429 {
            break;
        }
    }
    bench.login().await;
}

#[tokio::test]
async fn a_script_with_an_expired_token_keeps_nobody_at_its_address_out() {
    let bench = Bench::new().await;
    let expired = format!("Authorization: Bearer {}\r\n", "0".repeat(64));
    for _ in 0..20 {
        let answer = bench.ask("GET /api/v1/seats", &expired, "").await;
        assert_eq!((401, "not-logged-in".into()), (answer.status, answer.code()));
    }
    bench.login().await;
}

#[tokio::test]
async fn a_crowd_at_the_login_is_asked_to_come_back() {
    let bench = Bench::new().await;
    let body = login(PASSWORD);
    let mut crowd = Vec::new();
    // Each from an address of its own, so that it is the queue that is full and not anybody's patience.
    for last in 1..=10 {
        crowd.push(Client::plain_from([127, 0, 0, last].into(), bench.plain).await);
    }
    for client in &mut crowd {
        client.send(&bench.request("POST /api/v1/login", "", &body)).await;
    }
    let mut statuses = Vec::new();
    for client in &mut crowd {
        let answer = client.answer().await;
        assert!(answer.status == 200 || answer.line("retry-after").is_some(), "{}", answer.text());
        statuses.push(answer.status);
    }
    let served = statuses.iter().filter(|status| **status == 200).count();
    // Six at once; a few more if hashes were done before the last had asked.
    assert!((6..10).contains(&served), "{statuses:?}");
}

#[tokio::test]
async fn a_session_outlives_the_daemon_but_not_the_boot() {
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    let bench = bench.restart().await;
    assert_eq!(200, bench.ask("GET /api/v1/seats", &cookie, "").await.status);

    let file = bench.folders.run().join("sessions.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let secret = cookie.trim_end().rsplit('=').next().unwrap();
    assert!(!text.contains(secret), "the secret itself is stored");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert!(text.contains(boot.trim()));
    std::fs::write(&file, text.replace(boot.trim(), "another boot")).unwrap();
    let bench = bench.restart().await;
    assert_eq!(401, bench.ask("GET /api/v1/seats", &cookie, "").await.status);
}

#[tokio::test]
async fn logging_out_ends_the_session() {
    let bench = Bench::new().await;
    let (cookie, other) = (bench.login().await, bench.login().await);
    let answer = bench.ask("POST /api/v1/logout", &format!("{cookie}{}", bench.origin()), "").await;
    assert_eq!(204, answer.status);
    assert!(answer.line("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(401, bench.ask("GET /api/v1/seats", &cookie, "").await.status);
    assert_eq!(200, bench.ask("GET /api/v1/seats", &other, "").await.status);
}

#[tokio::test]
async fn a_login_never_continues_a_session_that_was_there_before() {
    let bench = Bench::new().await;
    let before = bench.login().await;
    let answer = bench.ask("POST /api/v1/login", &before, &login(PASSWORD)).await;
    assert_eq!(200, answer.status);
    assert_ne!(before, answer.cookie());
    assert_eq!(401, bench.ask("GET /api/v1/seats", &before, "").await.status);
}

#[tokio::test]
async fn what_acts_prolongs_a_session_and_what_shows_does_not() {
    const TWENTY_MINUTES: Duration = Duration::from_secs(20 * 60);
    let bench = Bench::new().await;
    let (acts, shows) = (bench.login().await, bench.login().await);
    bench.advance(TWENTY_MINUTES);
    let tap = bench.ask("POST /api/v1/seats/main/power", &acts, r#"{"press":"tap"}"#).await;
    assert_eq!(202, tap.status, "{}", tap.text());
    assert_eq!(200, bench.ask("GET /api/v1/seats/main", &shows, "").await.status);
    assert_eq!(USER, bench.ask("GET /api/v1/session", &shows, "").await.json()["user"]);
    bench.advance(TWENTY_MINUTES);
    assert_eq!(200, bench.ask("GET /api/v1/seats", &acts, "").await.status);
    assert_eq!(401, bench.ask("GET /api/v1/seats", &shows, "").await.status);
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_however_it_is_used() {
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    for quarter in 1..12 * 4 {
        bench.advance(Duration::from_secs(15 * 60));
        let body = r#"{"name":"ci","role":"viewer","expires":null}"#;
        assert_eq!(200, bench.ask("POST /api/v1/tokens", &cookie, body).await.status, "{quarter}");
    }
    bench.advance(Duration::from_secs(15 * 60));
    assert_eq!(401, bench.ask("GET /api/v1/seats", &cookie, "").await.status);
}

#[tokio::test]
async fn two_cookies_are_none() {
    let bench = Bench::new().await;
    let good = bench.login().await;
    let good = good.trim_end().strip_prefix("Cookie: ").unwrap();
    let bad = "__Host-farhand=0";
    for cookies in [format!("{good}; {bad}"), format!("{bad}; {good}"), format!("{good}; {good}")] {
        assert_eq!(
            401,
            bench.ask("GET /api/v1/seats", &format!("Cookie: {cookies}\r\n"), "").await.status,
            "{cookies}"
        );
    }
}

#[tokio::test]
async fn a_token_opens_what_its_role_includes_until_it_expires() {
    let bench = Bench::new().await;
    let admin = bearer(Role::Administrator);
    let make = async |expires: Option<SystemTime>| {
        let expires = expires.map(|time| humantime::format_rfc3339_seconds(time).to_string());
        let body = serde_json::json!({"name": "ci", "role": "viewer", "expires": expires}).to_string();
        bench.ask("POST /api/v1/tokens", &admin, &body).await
    };
    let hour = Duration::from_secs(3600);
    let answer = make(Some(SystemTime::now() - hour)).await;
    assert_eq!((400, "bad-time".into()), (answer.status, answer.code()));
    let line = |answer: &super::bench::Answer| {
        format!("Authorization: Bearer {}\r\n", answer.json()["token"].as_str().unwrap())
    };
    let first = line(&make(Some(SystemTime::now() + hour)).await);
    assert_eq!(200, bench.ask("GET /api/v1/seats", &first, "").await.status);
    assert_eq!(403, bench.ask("POST /api/v1/seats/main/power", &first, r#"{"press":"tap"}"#).await.status);
    let second = line(&make(None).await);
    assert_eq!(401, bench.ask("GET /api/v1/seats", &first, "").await.status, "replaced by one of the same name");
    let bench = bench.restart().await;
    assert_eq!(200, bench.ask("GET /api/v1/seats", &second, "").await.status);
    let body = r#"{"name":"x","role":"viewer","expires":"tomorrow"}"#;
    let answer = bench.ask("POST /api/v1/tokens", &admin, body).await;
    assert_eq!((400, "malformed".into()), (answer.status, answer.code()));
}

#[tokio::test]
async fn a_token_does_not_pass_for_the_person_of_its_name() {
    let bench = Bench::new().await;
    let body = format!(r#"{{"name":"{USER}","role":"viewer","expires":null}}"#);
    let answer = bench.ask("POST /api/v1/tokens", &bearer(Role::Administrator), &body).await;
    let token = format!("Authorization: Bearer {}\r\n", answer.json()["token"].as_str().unwrap());
    let shown = async |credential: &str| bench.ask("GET /api/v1/session", credential, "").await.json()["user"].clone();
    assert_eq!(format!("token {USER}"), shown(&token).await);
    assert_eq!(USER, shown(&bench.login().await).await);
}

#[tokio::test]
async fn a_token_stays_expired_when_the_clock_starts_again() {
    let bench = Bench::new().await;
    let hour = SystemTime::now() + Duration::from_secs(3600);
    let expires = humantime::format_rfc3339_seconds(hour).to_string();
    let body = serde_json::json!({"name": "ci", "role": "viewer", "expires": expires}).to_string();
    let answer = bench.ask("POST /api/v1/tokens", &bearer(Role::Administrator), &body).await;
    let token = format!("Authorization: Bearer {}\r\n", answer.json()["token"].as_str().unwrap());
    assert_eq!(200, bench.ask("GET /api/v1/seats", &token, "").await.status);

    let file = bench.folders.data().join("users.json");
    let read = || serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let is_seen = || read()["seen"].as_u64().is_some_and(|seen| now - 60 <= seen);
    assert!(!is_seen(), "what the clock says is kept once it has said so for an hour: {}", read());

    // A run that found no time noted notes it by itself.
    let store = |seen: u64| {
        let mut users = read();
        users["seen"] = serde_json::json!(seen);
        std::fs::write(&file, users.to_string()).unwrap();
    };
    store(0);
    let bench = bench.restart().await;
    assert_eq!(200, bench.ask("GET /api/v1/seats", &token, "").await.status);
    bench.advance(Duration::from_secs(3599));
    bench.advance(Duration::from_secs(1));
    soon("the time is noted", async {
        while !is_seen() {
            tokio::task::yield_now().await;
        }
    })
    .await;

    // A run that went on for two hours, after which the clock went back to now.
    store(now + 7200);
    let bench = bench.restart().await;
    assert_eq!(401, bench.ask("GET /api/v1/seats", &token, "").await.status);
    let answer = bench.ask("POST /api/v1/tokens", &bearer(Role::Administrator), &body).await;
    assert_eq!((400, "bad-time".into()), (answer.status, answer.code()));
}

#[tokio::test]
async fn a_time_that_cannot_be_right_does_not_end_tokens_for_ever() {
    let bench = Bench::new().await;
    let hour = SystemTime::now() + Duration::from_secs(3600);
    let expires = humantime::format_rfc3339_seconds(hour).to_string();
    let body = serde_json::json!({"name": "ci", "role": "viewer", "expires": expires}).to_string();
    assert_eq!(200, bench.ask("POST /api/v1/tokens", &bearer(Role::Administrator), &body).await.status);
    let folders = bench.end().await;
    let file = folders.data().join("users.json");
    let mut users: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    // The end of NTP's first era and of 32 bits: what a server says that is wrong.
    users["seen"] = u32::MAX.into();
    std::fs::write(&file, users.to_string()).unwrap();
    let bench = Bench::over(folders).await;
    let answer = bench.ask("POST /api/v1/tokens", &bearer(Role::Administrator), &body).await;
    assert_eq!(200, answer.status, "{}", answer.text());
}

#[tokio::test]
async fn what_a_newer_version_knows_of_people_outlives_a_return_to_this_one() {
    let folders = Folders::new();
    folders.claim();
    let file = folders.data().join("users.json");
    let read = || serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let factor = serde_json::json!({ "kind": "totp" });
    let mut newer = read();
    newer["schema"] = 3.into();
    newer["audit"] = factor.clone();
    newer["users"][USER]["passkeys"] = factor.clone();
    newer["tokens"]["Viewer"]["seats"] = factor.clone();
    newer["tokens"]["scoped"] = factor.clone();
    std::fs::write(&file, newer.to_string()).unwrap();

    let bench = Bench::over(folders).await;
    assert_eq!(200, bench.ask("POST /api/v1/login", "", &login(PASSWORD)).await.status);
    let viewer = bearer(Role::Viewer);
    assert_eq!(200, bench.ask("GET /api/v1/seats", &viewer, "").await.status);
    // So that the file is written by the older version.
    let body = r#"{"name":"made-since","role":"viewer","expires":null}"#;
    let answer = bench.ask("POST /api/v1/tokens", &bearer(Role::Administrator), body).await;
    assert_eq!(200, answer.status, "{}", answer.json());
    let written = read();
    assert!(written["tokens"]["made-since"].is_object(), "{written}");
    for place in ["/schema", "/audit", "/users/anna/passkeys", "/tokens/Viewer/seats", "/tokens/scoped"] {
        assert_eq!(newer.pointer(place), written.pointer(place), "{place}");
    }
    let bench = bench.restart().await;
    assert_eq!(200, bench.ask("GET /api/v1/seats", &viewer, "").await.status);
}

#[tokio::test]
async fn damaged_accounts_are_named_and_never_make_the_device_claimable() {
    let folders = Folders::new();
    folders.claim();
    let file = folders.data().join("users.json");
    let good = std::fs::read_to_string(&file).unwrap();
    for text in ["", "{", &good[..good.len() / 2], "[]", r#"{"users":{}}"#, r#"{"users":{},"tokens":{},"more":1}"#] {
        std::fs::write(&file, text).unwrap();
        let error = Authenticator::open(&folders.data(), &folders.run(), Arc::new(SystemClock));
        let error = error.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("users.json") && error.contains("restore"), "{error}");
        assert_eq!(text, std::fs::read_to_string(&file).unwrap());
    }
}
