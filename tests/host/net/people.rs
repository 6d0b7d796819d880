//! Accounts: who is let in and as what, and that everything ends with a change of it.

use farhand::auth::role::Role;
use serde_json::{Value, json};

use super::bench::{Answer, Bench, Client, PASSWORD, USER, bearer};
use super::socket::Socket;

const ADMIN: Role = Role::Administrator;

/// Adds somebody with this role, or with rights at these seats.
pub async fn add(bench: &Bench, name: &str, role: Value) -> Answer {
    let what = if role.is_string() { "role" } else { "seats" };
    let body = json!({"name": name, what: role, "password": PASSWORD}).to_string();
    bench.ask("POST /api/v1/users", &bearer(ADMIN), &body).await
}

async fn change(bench: &Bench, name: &str, body: Value) -> Answer {
    bench.ask(&format!("PATCH /api/v1/users/{name}"), &bearer(ADMIN), &body.to_string()).await
}

fn user(name: &str, role: Value, seats: Value, disabled: bool) -> Value {
    json!({"name": name, "role": role, "seats": seats, "disabled": disabled, "second_factor": false})
}

#[tokio::test]
async fn an_administrator_adds_changes_and_deletes_people() {
    let bench = Bench::with_two_seats().await;
    let bert = add(&bench, "bert", json!("operator")).await;
    assert_eq!((200, user("bert", json!("operator"), Value::Null, false)), (bert.status, bert.json()));
    let seats = json!({"main": "viewer", "other": "operator"});
    let carl = add(&bench, "carl@example.org", seats.clone()).await;
    assert_eq!((200, user("carl@example.org", Value::Null, seats.clone(), false)), (carl.status, carl.json()));
    let disabled = change(&bench, "carl%40example.org", json!({"disabled": true})).await;
    assert_eq!(user("carl@example.org", Value::Null, seats, true), disabled.json());
    let changed = change(&bench, "carl@example.org", json!({"role": "viewer", "disabled": false})).await;
    assert_eq!(user("carl@example.org", json!("viewer"), Value::Null, false), changed.json());
    let all = bench.ask("GET /api/v1/users", &bearer(ADMIN), "").await.json();
    assert_eq!(
        json!([user(USER, json!("administrator"), Value::Null, false), bert.json(), changed.json()]),
        all["users"]
    );
    let bench = bench.restart().await;
    assert_eq!(all, bench.ask("GET /api/v1/users", &bearer(ADMIN), "").await.json(), "it was stored");
    assert_eq!(204, bench.ask("DELETE /api/v1/users/bert", &bearer(ADMIN), "").await.status);
    let again = bench.ask("DELETE /api/v1/users/bert", &bearer(ADMIN), "").await;
    assert_eq!((404, "unknown-user".into()), (again.status, again.code()));
}

#[tokio::test]
async fn what_makes_no_sense_is_said_in_words_and_changes_nothing() {
    let bench = Bench::new().await;
    let before = bench.ask("GET /api/v1/users", &bearer(ADMIN), "").await.text();
    let add = async |name: &str, more: &str| {
        let body = format!(r#"{{"name":"{name}",{more}"password":"{PASSWORD}"}}"#);
        bench.ask("POST /api/v1/users", &bearer(ADMIN), &body).await
    };
    for (name, more, code) in [
        ("bert", "", "malformed"),
        ("bert", r#""role":"king","#, "malformed"),
        ("bert", r#""role":"viewer","seats":{"main":"viewer"},"#, "malformed"),
        ("bert", r#""seats":{},"#, "malformed"),
        ("bert", r#""seats":{"main":"administrator"},"#, "malformed"),
        ("bert", r#""seats":{"MAIN":"viewer"},"#, "malformed"),
        ("bert", r#""seats":{"other":"viewer"},"#, "unknown-seat"),
        ("bert", r#""role":"viewer","more":1,"#, "malformed"),
        ("b t", r#""role":"viewer","#, "bad-name"),
        ("..", r#""role":"viewer","#, "bad-name"),
        (USER, r#""role":"viewer","#, "user-exists"),
    ] {
        assert_eq!(code, add(name, more).await.code(), "{name} {more}");
    }
    for password in ["short", "Password1", "bert-bert", "abababab"] {
        let body = json!({"name": "bert", "role": "viewer", "password": password}).to_string();
        let answer = bench.ask("POST /api/v1/users", &bearer(ADMIN), &body).await;
        assert_eq!((400, "weak-password".into()), (answer.status, answer.code()), "{password}");
    }
    for (body, code) in [
        (json!({}), "malformed"),
        (json!({"role": null}), "malformed"),
        (json!({"name": "bert"}), "malformed"),
        (json!({"seats": {"other": "viewer"}}), "unknown-seat"),
        (json!({"disabled": "yes"}), "malformed"),
    ] {
        assert_eq!(code, change(&bench, USER, body.clone()).await.code(), "{body}");
    }
    let anna = bench.login().await;
    let short = bench.ask("PUT /api/v1/users/bert/password", &anna, r#"{"password":"short"}"#).await;
    assert_eq!((400, "weak-password".into()), (short.status, short.code()));
    let nobody = bench.ask("PUT /api/v1/users/nobody/password", &anna, r#"{"password":"long enough"}"#).await;
    assert_eq!((404, "unknown-user".into()), (nobody.status, nobody.code()));
    assert_eq!(before, bench.ask("GET /api/v1/users", &bearer(ADMIN), "").await.text());
}

#[tokio::test]
async fn the_last_administrator_cannot_be_lost() {
    let bench = Bench::new().await;
    add(&bench, "bert", json!("operator")).await;
    for body in [json!({"role": "operator"}), json!({"seats": {"main": "operator"}}), json!({"disabled": true})] {
        let answer = change(&bench, USER, body.clone()).await;
        assert_eq!((409, "last-administrator".into()), (answer.status, answer.code()), "{body}");
    }
    let cookie = bench.login().await;
    let answer = bench.ask("DELETE /api/v1/users/anna", &cookie, "").await;
    assert_eq!((409, "last-administrator".into()), (answer.status, answer.code()));
    assert_eq!(200, change(&bench, "bert", json!({"role": "administrator"})).await.status);
    assert_eq!(204, bench.ask("DELETE /api/v1/users/anna", &cookie, "").await.status, "another one stays");
    let gone = bench.ask("GET /api/v1/seats", &cookie, "").await;
    assert_eq!((401, "not-logged-in".into()), (gone.status, gone.code()));
}

#[tokio::test]
async fn of_two_administrators_who_demote_each_other_at_once_one_stays() {
    let bench = Bench::new().await;
    add(&bench, "bert", json!("administrator")).await;
    let (anna, bert) = (bench.login().await, bench.login_as("bert").await);
    // Both have been admitted before either is carried out: the rest of their bodies comes later.
    let body = r#"{"role":"viewer"}"#;
    let mut clients = Vec::new();
    for (who, cookie) in [("bert", &anna), (USER, &bert)] {
        let mut client = bench.connect().await;
        let request = bench.request(&format!("PATCH /api/v1/users/{who}"), cookie, body);
        client.send(&request[..request.len() - 1]).await;
        clients.push(client);
    }
    for client in &mut clients {
        client.send("}").await;
    }
    let mut statuses = Vec::new();
    for client in &mut clients {
        statuses.push(client.answer().await.status);
    }
    statuses.sort_unstable();
    assert_eq!(200, statuses[0]);
    assert!([401, 403, 409].contains(&statuses[1]), "{statuses:?}");
    let users = bench.ask("GET /api/v1/users", &bearer(ADMIN), "").await.json();
    let administrators = users["users"].as_array().unwrap().iter().filter(|user| user["role"] == "administrator");
    assert_eq!(1, administrators.count());
}

#[tokio::test]
async fn whatever_changes_in_an_account_ends_its_sessions_sockets_and_streams() {
    let bench = Bench::new().await;
    bench.publish(&b"jpeg"[..]);
    let anna = bench.login().await;
    let own = json!({"password": "another horse", "old": PASSWORD});
    let changes = [
        ("PATCH", "", json!({"role": "viewer"})),
        ("PATCH", "", json!({"seats": {"main": "operator"}})),
        ("PATCH", "", json!({"disabled": true})),
        ("PUT", "/password", json!({"password": "another horse"})),
        ("PUT", "/password", own.clone()),
        ("DELETE", "", Value::Null),
    ];
    for (n, (method, path, body)) in changes.into_iter().enumerate() {
        let name = format!("bert{n}");
        add(&bench, &name, json!("operator")).await;
        let cookie = bench.login_as(&name).await;
        let mut socket = Socket::open(&bench, &format!("{cookie}{}", bench.origin())).await;
        socket.key("KeyA", true).await;
        bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
        let mut unread = Client::plain(bench.plain).await;
        let stream = format!("GET /api/v1/seats/main/stream.mjpeg HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n");
        unread.send(&stream).await;
        assert_eq!(200, unread.header().await.status);
        let by = if body == own { cookie.clone() } else { anna.clone() };
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let ending = async {
            let answer = bench.ask(&format!("{method} /api/v1/users/{name}{path}"), &by, &text).await;
            assert!([200, 204].contains(&answer.status), "{method} {body}: {}", answer.text());
            bench.machine.until_keys([0; 8]).await;
        };
        // The end does not wait for a client that floods, nor for one that reads nothing.
        let mut flooding = Socket::open(&bench, &format!("{cookie}{}", bench.origin())).await;
        tokio::join!(ending, flooding.flood());
        assert_eq!(Some(4401), socket.closed().await, "{method} {body}");
        while unread.more().await {}
        assert_eq!(401, bench.ask("GET /api/v1/seats", &cookie, "").await.status, "{method} {body}");
    }
}

#[tokio::test]
async fn the_tokens_that_somebody_made_end_with_a_change_of_their_account() {
    let bench = Bench::new().await;
    add(&bench, "dora", json!("administrator")).await;
    let body = json!({"name": "ci", "role": "viewer", "expires": null}).to_string();
    let made = bench.ask("POST /api/v1/tokens", &bench.login_as("dora").await, &body).await.json();
    let token = format!("Authorization: Bearer {}\r\n", made["token"].as_str().unwrap());
    let mut socket = Socket::open(&bench, &token).await;
    assert_eq!(200, change(&bench, "dora", json!({"role": "operator"})).await.status);
    assert_eq!(Some(4401), socket.closed().await);
    assert_eq!(401, bench.ask("GET /api/v1/seats", &token, "").await.status);
    assert_eq!(200, bench.ask("GET /api/v1/seats", &bearer(Role::Viewer), "").await.status, "another's stays");
}

#[tokio::test]
async fn everybody_changes_their_own_password_with_the_old_one() {
    let bench = Bench::new().await;
    add(&bench, "vera", json!("viewer")).await;
    let cookie = bench.login_as("vera").await;
    let put = async |lines: &str, user: &str, body: Value| {
        bench.ask(&format!("PUT /api/v1/users/{user}/password"), lines, &body.to_string()).await
    };
    let new = "a better horse";
    let missing = put(&cookie, "vera", json!({"password": new})).await;
    assert_eq!((400, "malformed".into()), (missing.status, missing.code()));
    let others = put(&cookie, USER, json!({"password": new, "old": PASSWORD})).await;
    assert_eq!((403, "not-allowed".into()), (others.status, others.code()));
    let token = put(&bearer(Role::Viewer), "Viewer", json!({"password": new, "old": PASSWORD})).await;
    assert_eq!((403, "not-allowed".into()), (token.status, token.code()), "a token is nobody, whatever its name");
    let wrong = put(&cookie, "vera", json!({"password": new, "old": "wrong horse"})).await;
    assert_eq!((403, "not-your-password".into()), (wrong.status, wrong.code()));
    assert_eq!(204, put(&cookie, "vera", json!({"password": new, "old": PASSWORD})).await.status);
    let old = bench.ask("POST /api/v1/login", "", &json!({"user": "vera", "password": PASSWORD}).to_string()).await;
    assert_eq!((401, "wrong-password".into()), (old.status, old.code()));
    assert_eq!(
        200,
        bench.ask("POST /api/v1/login", "", &json!({"user": "vera", "password": new}).to_string()).await.status
    );
}

#[tokio::test]
async fn who_guesses_the_password_of_an_open_session_is_slowed_down_like_at_the_login() {
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    let body = json!({"password": "a better horse", "old": "wrong horse"}).to_string();
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(bench.ask("PUT /api/v1/users/anna/password", &cookie, &body).await.status);
        if statuses.ends_with(&[429]) {
            break;
        }
    }
    assert_eq!(Some(&429), statuses.last(), "{statuses:?}");
    let login = json!({"user": USER, "password": PASSWORD}).to_string();
    assert_eq!(429, bench.ask("POST /api/v1/login", "", &login).await.status, "it is one count");
}

#[tokio::test]
async fn who_is_disabled_looks_like_nobody() {
    let bench = Bench::new().await;
    add(&bench, "bert", json!("operator")).await;
    change(&bench, "bert", json!({"disabled": true})).await;
    let login = async |user: &str| {
        bench.ask("POST /api/v1/login", "", &json!({"user": user, "password": PASSWORD}).to_string()).await
    };
    let (disabled, unknown) = (login("bert").await, login("nobody").await);
    assert_eq!((401, "wrong-password".into()), (disabled.status, disabled.code()));
    assert_eq!(unknown.text(), disabled.text());
    change(&bench, "bert", json!({"disabled": false})).await;
    assert_eq!(200, login("bert").await.status);
}

#[tokio::test]
async fn rights_at_one_seat_show_nothing_of_another() {
    let bench = Bench::with_two_seats().await;
    add(&bench, "nele", json!({"other": "operator"})).await;
    let cookie = bench.login_as("nele").await;
    let session = bench.ask("GET /api/v1/session", &cookie, "").await.json();
    let operator = json!(["view", "input", "media", "power"]);
    assert_eq!(
        json!([Value::Null, [], {"other": operator}]),
        json!([session["role"], session["privileges"], session["seats"]])
    );
    let seats = bench.ask("GET /api/v1/seats", &cookie, "").await.json();
    let listed: Vec<&Value> = seats["seats"].as_array().unwrap().iter().map(|seat| &seat["seat"]).collect();
    assert_eq!(vec!["other"], listed);
    for (seat, status) in [("other", 200), ("main", 403), ("nowhere", 403), ("MAIN", 403)] {
        assert_eq!(status, bench.ask(&format!("GET /api/v1/seats/{seat}"), &cookie, "").await.status, "{seat}");
    }
    let mut socket = Socket::at(
        bench.connect().await,
        &bench.https.to_string(),
        "/api/v1/seats/other/socket",
        &format!("{cookie}{}", bench.origin()),
    )
    .await;
    let hello = socket.event("hello").await;
    assert_eq!((json!("operator"), operator), (hello["role"].clone(), hello["privileges"].clone()));
    let chord = r#"{"chord":["KeyA"]}"#;
    let answer = bench.ask("POST /api/v1/seats/main/keys", &cookie, chord).await;
    assert_eq!((403, "not-allowed".into()), (answer.status, answer.code()));
}

/// Lets somebody make a token with this scope.
async fn token(bench: &Bench, cookie: &str, name: &str, privileges: Value) -> String {
    let body = json!({"name": name, "privileges": privileges, "expires": null}).to_string();
    let made = bench.ask("POST /api/v1/tokens", cookie, &body).await;
    assert_eq!(200, made.status, "{}", made.text());
    format!("Authorization: Bearer {}\r\n", made.json()["token"].as_str().unwrap())
}

#[tokio::test]
async fn a_token_for_users_adds_and_changes_nobody_who_may_do_more_than_it() {
    let bench = Bench::new().await;
    let anna = bench.login().await;
    for (name, role) in [("vera", "viewer"), ("otto", "operator")] {
        add(&bench, name, json!(role)).await;
    }
    change(&bench, "otto", json!({"disabled": true})).await;
    let before = bench.ask("GET /api/v1/users", &anna, "").await.text();
    let users = token(&bench, &anna, "users", json!(["users"])).await;
    let viewers = token(&bench, &anna, "viewers", json!(["view", "users"])).await;
    let new = |role: &str| json!({"name": "mallory", "role": role, "password": PASSWORD}).to_string();
    for (request, by, body) in [
        ("POST /api/v1/users", &users, new("administrator")),
        ("POST /api/v1/users", &users, new("viewer")),
        ("POST /api/v1/users", &viewers, new("operator")),
        ("PATCH /api/v1/users/vera", &viewers, json!({"role": "operator"}).to_string()),
        ("PATCH /api/v1/users/vera", &users, json!({"disabled": true}).to_string()),
        ("PATCH /api/v1/users/otto", &viewers, json!({"disabled": false}).to_string()),
        ("PATCH /api/v1/users/otto", &viewers, json!({"role": "viewer"}).to_string()),
        ("DELETE /api/v1/users/anna", &viewers, String::new()),
    ] {
        let answer = bench.ask(request, by, &body).await;
        assert_eq!((403, "not-allowed".into()), (answer.status, answer.code()), "{request} {body}");
    }
    assert_eq!(before, bench.ask("GET /api/v1/users", &anna, "").await.text());
    assert_eq!(200, bench.ask("POST /api/v1/users", &viewers, &new("viewer")).await.status, "no more than it may");
    assert_eq!(204, bench.ask("DELETE /api/v1/users/mallory", &viewers, "").await.status);
}

#[tokio::test]
async fn no_token_changes_a_password_or_a_second_factor() {
    let bench = Bench::new().await;
    add(&bench, "vera", json!("viewer")).await;
    for (request, body) in [
        ("PUT /api/v1/users/vera/password", json!({"password": "a better horse"})),
        ("PUT /api/v1/users/anna/password", json!({"password": "a better horse"})),
        ("DELETE /api/v1/users/vera/totp", json!({})),
        ("PATCH /api/v1/users", json!({"demand_second_factor": false})),
    ] {
        let answer = bench.ask(request, &bearer(ADMIN), &body.to_string()).await;
        assert_eq!((403, "not-allowed".into()), (answer.status, answer.code()), "{request}");
    }
    bench.login_as("vera").await;
    bench.login().await;
}
