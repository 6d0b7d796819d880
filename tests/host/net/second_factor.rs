//! The second factor: setting it up, the login with it, and what an administrator may demand.

use std::fs;
use std::time::Duration;

use farhand::auth::clock::Clock as _;
use farhand::auth::role::Role;
use farhand::auth::totp::TotpSecret;
use serde_json::{Value, json};

use super::bench::{Answer, Bench, PASSWORD, USER, bearer};
use super::people::add;
use super::socket::Socket;

/// Somebody's authenticator.
pub struct Authenticator(TotpSecret);

impl Authenticator {
    /// What it shows, by the appliance's clock.
    fn code(&self, bench: &Bench) -> String {
        self.0.code(bench.folders.1.wall())
    }
}

/// Shows somebody who is logged in a new secret.
async fn begin(bench: &Bench, user: &str, cookie: &str) -> Authenticator {
    let body = json!({"password": PASSWORD}).to_string();
    let answer = bench.ask(&format!("POST /api/v1/users/{user}/totp"), cookie, &body).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    let secret = answer.json()["secret"].as_str().unwrap().to_string();
    Authenticator(TotpSecret::try_from(secret).unwrap())
}

async fn confirm(bench: &Bench, user: &str, cookie: &str, code: &str) -> Answer {
    let body = json!({"code": code}).to_string();
    bench.ask(&format!("PUT /api/v1/users/{user}/totp"), cookie, &body).await
}

/// Sets a second factor up, and lets the step of the code pass that did it; gives the recovery codes.
pub async fn set_up(bench: &Bench, user: &str, cookie: &str) -> (Authenticator, Vec<String>) {
    let authenticator = begin(bench, user, cookie).await;
    let answer = confirm(bench, user, cookie, &authenticator.code(bench)).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    let codes = serde_json::from_value(answer.json()["recovery_codes"].clone()).unwrap();
    next_step(bench);
    (authenticator, codes)
}

fn next_step(bench: &Bench) {
    bench.advance(Duration::from_secs(30));
}

async fn login(bench: &Bench, user: &str, password: &str, otp: Option<&str>) -> Answer {
    let body = json!({"user": user, "password": password, "otp": otp}).to_string();
    bench.ask("POST /api/v1/login", "", &body).await
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test]
async fn who_has_a_second_factor_needs_it_after_the_password_and_each_code_opens_once() {
    let bench = Bench::new().await;
    let (cookie, elsewhere) = (bench.login().await, bench.login().await);
    let (phone, _) = set_up(&bench, USER, &cookie).await;
    let session = bench.ask("GET /api/v1/session", &cookie, "").await.json();
    assert_eq!((json!(10), json!("anna")), (session["recovery_codes"].clone(), session["user"].clone()));
    assert_eq!(401, bench.ask("GET /api/v1/seats", &elsewhere, "").await.status, "it began without");
    assert_eq!((401, "otp-needed".into()), refusal(&login(&bench, USER, PASSWORD, None).await));
    let wrong = login(&bench, USER, "wrong horse", Some(&phone.code(&bench))).await;
    assert_eq!((401, "wrong-password".into()), refusal(&wrong), "whoever does not know it learns no more");
    let code = phone.code(&bench);
    assert_eq!(200, login(&bench, USER, PASSWORD, Some(&code)).await.status);
    assert_eq!((401, "wrong-otp".into()), refusal(&login(&bench, USER, PASSWORD, Some(&code)).await));
    let bench = bench.restart().await;
    assert_eq!(
        (401, "wrong-otp".into()),
        refusal(&login(&bench, USER, PASSWORD, Some(&code)).await),
        "after a restart"
    );
    next_step(&bench);
    assert_eq!(200, login(&bench, USER, PASSWORD, Some(&phone.code(&bench))).await.status);
}

#[tokio::test]
async fn of_two_who_come_at_once_with_one_code_one_is_let_in() {
    let bench = Bench::new().await;
    let (phone, codes) = set_up(&bench, USER, &bench.login().await).await;
    for code in [&phone.code(&bench), &codes[0]] {
        let ask = || login(&bench, USER, PASSWORD, Some(code));
        let (first, second) = tokio::join!(ask(), ask());
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!([200, 401], statuses);
    }
}

#[tokio::test]
async fn a_recovery_code_opens_once_when_the_clock_is_wrong_by_a_day_and_the_error_says_what_it_is() {
    let bench = Bench::new().await;
    let (phone, codes) = set_up(&bench, USER, &bench.login().await).await;
    assert_eq!(10, codes.len());
    let stored = fs::read_to_string(bench.folders.data().join("users.json")).unwrap();
    assert!(codes.iter().all(|code| !stored.contains(code) && !stored.contains(&code.replace('-', ""))));
    let code = phone.code(&bench);
    bench.advance(Duration::from_secs(24 * 3600));
    let day = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_secs(bench.folders.1.wall()));
    let wrong = login(&bench, USER, PASSWORD, Some(&code)).await;
    assert_eq!((401, "wrong-otp".into()), refusal(&wrong));
    assert!(wrong.text().contains(&day.to_string()[..13]), "{}", wrong.text());
    let typed = codes[3].to_lowercase().replace('-', " ");
    let answer = login(&bench, USER, PASSWORD, Some(&typed)).await;
    assert_eq!((200, json!(9)), (answer.status, answer.json()["recovery_codes"].clone()));
    assert_eq!((401, "wrong-otp".into()), refusal(&login(&bench, USER, PASSWORD, Some(&codes[3])).await));
    let bench = bench.restart().await;
    assert_eq!((401, "wrong-otp".into()), refusal(&login(&bench, USER, PASSWORD, Some(&codes[3])).await));
}

#[tokio::test]
async fn who_knows_the_password_alone_cannot_try_codes_for_ever() {
    let bench = Bench::new().await;
    set_up(&bench, USER, &bench.login().await).await;
    let mut last = 0;
    for n in 0..20 {
        // That the password is right forgives no wrong code.
        last = login(&bench, USER, PASSWORD, (n % 2 == 0).then_some("000000")).await.status;
        if last == 429 {
            break;
        }
        assert_eq!(401, last);
    }
    assert_eq!(429, last);
}

#[tokio::test]
async fn one_sets_up_ones_own_with_the_password_and_a_first_code() {
    let bench = Bench::new().await;
    add(&bench, "vera", json!("viewer")).await;
    let cookie = bench.login_as("vera").await;
    let right = json!({"password": PASSWORD}).to_string();
    for lines in [&bearer(Role::Administrator), &bench.login().await] {
        let answer = bench.ask("POST /api/v1/users/vera/totp", lines, &right).await;
        assert_eq!((403, "not-allowed".into()), refusal(&answer), "nobody does that for another");
    }
    let wrong = bench.ask("POST /api/v1/users/vera/totp", &cookie, r#"{"password":"wrong horse"}"#).await;
    assert_eq!((403, "not-your-password".into()), refusal(&wrong));
    assert_eq!((409, "totp-not-begun".into()), refusal(&confirm(&bench, "vera", &cookie, "123456").await));
    let begun = bench.ask("POST /api/v1/users/vera/totp", &cookie, &right).await.json();
    let (secret, uri) = (begun["secret"].as_str().unwrap(), begun["uri"].as_str().unwrap());
    assert!(uri.starts_with("otpauth://totp/Farhand%20") && uri.contains(&format!(":vera?secret={secret}&")), "{uri}");
    assert!(begun["svg"].as_str().unwrap().contains("<svg"), "{begun}");
    let phone = begin(&bench, "vera", &cookie).await;
    let before = Authenticator(TotpSecret::try_from(secret.to_string()).unwrap()).code(&bench);
    if before != phone.code(&bench) {
        assert_eq!(
            (401, "wrong-otp".into()),
            refusal(&confirm(&bench, "vera", &cookie, &before).await),
            "shown before"
        );
    }
    assert_eq!(200, login(&bench, "vera", PASSWORD, None).await.status, "it is not in force yet");
    let answer = confirm(&bench, "vera", &cookie, &phone.code(&bench)).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    assert_eq!((409, "totp-not-begun".into()), refusal(&confirm(&bench, "vera", &cookie, "123456").await));
    assert_eq!((401, "otp-needed".into()), refusal(&login(&bench, "vera", PASSWORD, None).await));
}

#[tokio::test]
async fn a_second_factor_is_removed_with_the_password_or_by_an_administrator() {
    let bench = Bench::new().await;
    add(&bench, "vera", json!("viewer")).await;
    let cookie = bench.login_as("vera").await;
    let remove = async |lines: &str, body: &str| bench.ask("DELETE /api/v1/users/vera/totp", lines, body).await;
    let (phone, _) = set_up(&bench, "vera", &cookie).await;
    assert_eq!((400, "malformed".into()), refusal(&remove(&cookie, "{}").await));
    let wrong = remove(&cookie, r#"{"password":"wrong horse"}"#).await;
    assert_eq!((403, "not-your-password".into()), refusal(&wrong));
    assert_eq!((403, "not-allowed".into()), refusal(&remove(&bearer(Role::Operator), "{}").await));
    let right = json!({"password": PASSWORD, "otp": phone.code(&bench)}).to_string();
    assert_eq!(204, remove(&cookie, &right).await.status);
    assert_eq!(200, login(&bench, "vera", PASSWORD, None).await.status);
    set_up(&bench, "vera", &cookie).await;
    assert_eq!((401, "wrong-otp".into()), refusal(&login(&bench, "vera", PASSWORD, Some(&phone.code(&bench))).await));
    assert_eq!(204, remove(&bench.login().await, "{}").await.status);
    assert_eq!(401, bench.ask("GET /api/v1/seats", &cookie, "").await.status, "somebody has lost something");
    assert_eq!(200, login(&bench, "vera", PASSWORD, None).await.status);
}

#[tokio::test]
async fn a_second_factor_is_replaced_or_removed_with_a_code_of_it() {
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    let (phone, codes) = set_up(&bench, USER, &cookie).await;
    for method in ["POST", "DELETE"] {
        let ask = async |otp: Option<&str>| {
            let body = json!({"password": PASSWORD, "otp": otp}).to_string();
            bench.ask(&format!("{method} /api/v1/users/anna/totp"), &cookie, &body).await
        };
        assert_eq!((401, "otp-needed".into()), refusal(&ask(None).await), "{method}");
        assert_eq!((401, "wrong-otp".into()), refusal(&ask(Some("000000")).await), "{method}");
    }
    let begin = json!({"password": PASSWORD, "otp": codes[0]}).to_string();
    let begun = bench.ask("POST /api/v1/users/anna/totp", &cookie, &begin).await;
    assert_eq!(200, begun.status, "{}", begun.text());
    let body = json!({"password": PASSWORD, "otp": phone.code(&bench)}).to_string();
    assert_eq!(204, bench.ask("DELETE /api/v1/users/anna/totp", &cookie, &body).await.status);
    assert_eq!(200, bench.ask("GET /api/v1/seats", &cookie, "").await.status, "one's own session goes on");
    assert_eq!(200, login(&bench, USER, PASSWORD, None).await.status);
}

#[tokio::test]
async fn where_a_second_factor_is_demanded_who_has_none_may_set_one_up_and_nothing_else() {
    let bench = Bench::new().await;
    add(&bench, "otto", json!("operator")).await;
    let (anna, otto) = (bench.login().await, bench.login_as("otto").await);
    let demand = async |bench: &Bench, lines: &str, is_demanded: bool| {
        let body = json!({"demand_second_factor": is_demanded}).to_string();
        bench.ask("PATCH /api/v1/users", lines, &body).await
    };
    for lines in [&anna, &bearer(Role::Administrator)] {
        let answer = demand(&bench, lines, true).await;
        assert_eq!((403, "no-second-factor".into()), refusal(&answer), "who demands it has one");
    }
    set_up(&bench, USER, &anna).await;
    let mut socket = Socket::open(&bench, &format!("{otto}{}", bench.origin())).await;
    let answer = demand(&bench, &anna, true).await;
    assert_eq!((200, json!(true)), (answer.status, answer.json()["demand_second_factor"].clone()));
    assert_eq!(Some(4401), socket.closed().await);
    let bench = bench.restart().await;
    for request in ["GET /api/v1/seats", "GET /api/v1/seats/main", "GET /api/v1/sessions", "POST /api/v1/restart"] {
        assert_eq!((403, "no-second-factor".into()), refusal(&bench.ask(request, &otto, "").await), "{request}");
    }
    let session = bench.ask("GET /api/v1/session", &otto, "").await.json();
    assert_eq!(
        json!([true, null, [], {}]),
        json!([session["needs_second_factor"], session["role"], session["privileges"], session["seats"]])
    );
    let again = login(&bench, "otto", PASSWORD, None).await;
    assert_eq!((200, json!(true)), (again.status, again.json()["needs_second_factor"].clone()));
    set_up(&bench, "otto", &otto).await;
    let session = bench.ask("GET /api/v1/session", &otto, "").await.json();
    assert_eq!((json!(false), json!("operator")), (session["needs_second_factor"].clone(), session["role"].clone()));
    assert_eq!(200, bench.ask("GET /api/v1/seats/main", &otto, "").await.status);
    assert_eq!(200, demand(&bench, &anna, false).await.status);
}

#[tokio::test]
async fn a_card_that_takes_no_writes_keeps_nobody_out_who_has_an_authenticator() {
    let bench = Bench::new().await;
    let (phone, codes) = set_up(&bench, USER, &bench.login().await).await;
    let (data, away) = (bench.folders.data(), bench.folders.run().join("away"));
    fs::rename(&data, &away).unwrap();
    let code = phone.code(&bench);
    assert_eq!((500, "not-stored".into()), refusal(&login(&bench, USER, PASSWORD, Some(&codes[0])).await));
    assert_eq!(200, login(&bench, USER, PASSWORD, Some(&code)).await.status);
    assert_eq!((401, "wrong-otp".into()), refusal(&login(&bench, USER, PASSWORD, Some(&code)).await), "not twice");
    fs::rename(&away, &data).unwrap();
    assert_eq!(200, login(&bench, USER, PASSWORD, Some(&codes[0])).await.status, "it was not used up");
}

#[tokio::test]
async fn no_secret_of_a_second_factor_is_logged() {
    super::bench::keep_log();
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    let (phone, codes) = set_up(&bench, USER, &cookie).await;
    login(&bench, USER, PASSWORD, Some(&codes[0])).await;
    let code = phone.code(&bench);
    login(&bench, USER, PASSWORD, Some(&code)).await;
    for secret in [&*codes[0], &code, &phone.0.reveal(), PASSWORD] {
        assert_eq!(0, super::bench::lines_kept(secret), "{secret}");
    }
    assert_eq!(1, super::bench::lines_kept("used a recovery code"));
    let users = bench.ask("GET /api/v1/users", &bearer(Role::Administrator), "").await.json();
    assert_eq!(
        (Value::Bool(true), false),
        (users["users"][0]["second_factor"].clone(), users.to_string().contains("secret"))
    );
}
