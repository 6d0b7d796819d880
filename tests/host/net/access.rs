//! Who gets to what: every row of the table, asked for by everybody that there is.

use farhand::auth::role::{Privilege, Role};
use farhand::net::api::TABLE;
use farhand::net::http::endpoint::Access;
use farhand::net::http::row::Row;
use serde_json::json;

use super::bench::{Bench, USER, bearer, path};
use super::people::add;

/// Somebody who asks.
#[derive(Debug, Clone, Copy)]
enum Who {
    Nobody,
    /// With the cookie of a session that has ended.
    Ended,
    /// With a session of a role that holds everywhere.
    Session(Role),
    /// With a token of such a role.
    Token(Role),
    /// With rights at the seat `other` alone.
    Elsewhere(Role),
    /// An administrator who has to set a second factor up.
    Enrolling,
}

use Who::{Elsewhere, Ended, Enrolling, Nobody, Session, Token};

/// The code by which a row's access refuses somebody at this seat, or nothing.
fn refusal(row: &Row, who: Who, seat: &str) -> Option<&'static str> {
    let has = |privilege: Privilege| match who {
        Nobody | Ended | Enrolling => false,
        Session(role) | Token(role) => role.may(privilege),
        // A path without a seat asks for what holds everywhere.
        Elsewhere(role) => row.path.contains("{seat}") && seat == "other" && role.may(privilege),
    };
    match (row.access, who) {
        (Access::Public, _) => None,
        (_, Nobody | Ended) => Some("not-logged-in"),
        (Access::Enrolling, _) => None,
        (_, Enrolling) => Some("no-second-factor"),
        (Access::Session, _) => None,
        (Access::Needs(privilege), _) => (!has(privilege)).then_some("not-allowed"),
    }
}

/// Asks for every row as somebody, with a body that no row takes, and compares with what their access says.
async fn walk(bench: &Bench, who: Who, lines: &str) -> usize {
    // Last what ends the session that the others are asked with.
    let mut rows: Vec<&Row> = TABLE.rows().collect();
    rows.sort_by_key(|row| row.path == "/api/v1/logout");
    let mut asked = 0;
    for row in rows {
        let seats: &[&str] = if row.path.contains("{seat}") { &["main", "other"] } else { &["main"] };
        for seat in seats {
            let request = format!("{} {}", row.method, path(row.path).replace("/main", &format!("/{seat}")));
            let lines = format!("{lines}{}", bench.origin());
            let mut client = bench.connect().await;
            client.send(&bench.request(&request, &lines, "")).await;
            // A stream has no end, and a picture may not come: the header tells enough where all is well.
            let mut answer = client.header().await;
            if let Some(length) = answer.line("content-length") {
                answer.body = client.exactly(length.parse().unwrap()).await;
            }
            let is_error = 400 <= answer.status && answer.line("content-type") == Some("application/json");
            let code = if is_error { answer.code() } else { String::new() };
            match refusal(row, who, seat) {
                Some(expected) => assert_eq!(expected, code, "{who:?} {request}"),
                None => assert!(
                    !["not-logged-in", "not-allowed", "no-second-factor"].contains(&&*code)
                        || is_refused_by_itself(row, &code),
                    "{who:?} {request}: {}",
                    answer.text()
                ),
            }
            asked += 1;
        }
    }
    asked
}

/// What a row that anybody with a session may ask for finds out by itself: it is somebody else's.
fn is_refused_by_itself(row: &Row, code: &str) -> bool {
    code == "not-allowed" && row.path.starts_with("/api/v1/users/{user}/")
}

#[tokio::test]
async fn everybody_gets_to_what_they_may_and_to_nothing_else() {
    let bench = Bench::with_two_seats().await;
    bench.publish(&b"jpeg"[..]);
    for (name, role) in [("vera", "viewer"), ("otto", "operator")] {
        assert_eq!(200, add(&bench, name, json!(role)).await.status);
    }
    for (name, role) in [("nele", "viewer"), ("olaf", "operator")] {
        assert_eq!(200, add(&bench, name, json!({"other": role})).await.status);
    }
    let ended = bench.login().await;
    assert_eq!(204, bench.ask("POST /api/v1/logout", &ended, "").await.status);
    let mut all = vec![(Nobody, String::new()), (Ended, ended)];
    for (name, role) in [("vera", Role::Viewer), ("otto", Role::Operator), (USER, Role::Administrator)] {
        all.push((Session(role), bench.login_as(name).await));
        all.push((Token(role), bearer(role)));
    }
    for (name, role) in [("nele", Role::Viewer), ("olaf", Role::Operator)] {
        all.push((Elsewhere(role), bench.login_as(name).await));
    }
    let mut asked = 0;
    for (who, lines) in all {
        asked += walk(&bench, who, &lines).await;
    }
    assert!(10 * TABLE.rows().count() < asked, "{asked}");
}

#[tokio::test]
async fn who_must_set_a_second_factor_up_gets_to_that_alone() {
    let bench = Bench::with_two_seats().await;
    bench.publish(&b"jpeg"[..]);
    add(&bench, "dora", json!("administrator")).await;
    let (anna, dora) = (bench.login().await, bench.login_as("dora").await);
    super::second_factor::set_up(&bench, USER, &anna).await;
    let answer = bench.ask("PATCH /api/v1/users", &anna, r#"{"demand_second_factor":true}"#).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    walk(&bench, Enrolling, &dora).await;
}
