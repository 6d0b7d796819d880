//! Who is turned away, on every route there is.

use std::fs;

use farhand::auth::role::{Privilege, Role};
use farhand::net::api::TABLE;
use farhand::net::http::endpoint::{Access, Method};
use farhand::net::http::row::Row;
use farhand::net::http::table;
use tokio::time::Instant;

use super::bench::{Bench, Client, Folders, ROLES, bearer, path};

/// Asks for a row's endpoint, with this body.
fn request(row: &Row) -> String {
    format!("{} {}", row.method, path(row.path))
}

#[tokio::test]
async fn nobody_gets_past_the_public_routes_without_a_credential() {
    let bench = Bench::new().await;
    let almost = format!("{}0\r\n", bearer(Role::Administrator).trim_end());
    for credential in [
        "",
        "Authorization: Basic YW5uYTpjb3JyZWN0IGhvcnNl\r\n",
        "Authorization: Bearer \r\n",
        &almost,
        "Cookie: __Host-farhand=\r\n",
        "Cookie: __Host-farhand=0000000000000000000000000000000000000000000000000000000000000000\r\n",
        "X-Forwarded-User: anna\r\nX-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\n",
    ] {
        for row in TABLE.rows() {
            let answer = bench.ask(&request(row), credential, "").await;
            match row.access {
                // One that takes a body says that it misses it, and so was reached.
                Access::Public if row.accepts.media.is_some() => {
                    assert_eq!((415, "not-json".into()), (answer.status, answer.code()), "{row:?}");
                }
                Access::Public => assert_eq!(200, answer.status, "{row:?}: {}", answer.text()),
                _ => assert_eq!((401, "not-logged-in".into()), (answer.status, answer.code()), "{row:?}"),
            }
        }
    }
}

#[tokio::test]
async fn nothing_but_claiming_works_before_there_is_an_owner() {
    let bench = Bench::over(Folders::new()).await;
    for row in TABLE.rows().filter(|row| row.access != Access::Public) {
        let answer = bench.ask(&request(row), &bearer(Role::Administrator), "").await;
        assert_eq!((403, "unclaimed".into()), (answer.status, answer.code()), "{}", row.path);
    }
    let answer = bench.ask("POST /api/v1/login", "", r#"{"user":"anna","password":"correct horse"}"#).await;
    assert_eq!((403, "unclaimed".into()), (answer.status, answer.code()));
}

#[tokio::test]
async fn a_role_gets_what_it_includes_and_no_more() {
    let bench = Bench::new().await;
    bench.publish(&b"jpeg"[..]);
    for role in ROLES {
        for row in TABLE.rows() {
            let Access::Needs(privilege) = row.access else { continue };
            let answer = bench.ask(&request(row), &bearer(role), "").await;
            let refused = (answer.status, answer.line("content-type")) == (403, Some("application/json"));
            assert_eq!(!role.may(privilege), refused, "{role:?} {}: {}", row.path, answer.text());
        }
    }
    assert!(TABLE.rows().any(|row| row.access == Access::Needs(Privilege::Users)));
}

/// The rows that share this one's path.
fn siblings(row: &Row) -> impl Iterator<Item = &'static Row> {
    TABLE.rows().filter(|other| other.path == row.path)
}

#[tokio::test]
async fn a_wrong_method_is_answered_with_the_right_ones() {
    let bench = Bench::new().await;
    for row in TABLE.rows() {
        let right = table::allow(siblings(row).map(|row| row.method));
        let own: Vec<&str> = right.split(", ").collect();
        assert!(own.contains(&"OPTIONS") && own.contains(&"GET") == own.contains(&"HEAD"), "{right}");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "FAKEMETHOD"] {
            if !own.contains(&method) {
                let answer = bench.ask(&format!("{method} {}", path(row.path)), "", "").await;
                assert_eq!((405, "wrong-method".into()), (answer.status, answer.code()), "{method} {}", row.path);
                assert_eq!(Some(&*right), answer.line("allow"));
            }
        }
        let answer = bench.ask(&format!("OPTIONS {}", path(row.path)), "", "").await;
        assert_eq!((204, Some(&*right)), (answer.status, answer.line("allow")), "{}", row.path);
        assert_eq!(None, answer.line("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn head_is_answered_as_get_is_but_for_the_body() {
    let bench = Bench::new().await;
    bench.publish(&b"jpeg"[..]);
    fs::create_dir_all(bench.folders.logs().join("serve")).unwrap();
    fs::write(bench.folders.logs().join("serve/current"), "line\n").unwrap();
    fs::create_dir_all(bench.folders.data().join("config")).unwrap();
    fs::write(bench.folders.data().join("config/1"), r#"{"who":null,"when":0,"text":"one"}"#).unwrap();
    for row in TABLE.rows().filter(|row| row.method == Method::Get && !row.accepts.handshake) {
        let query = if row.path.ends_with("/logs") { "?service=serve" } else { "" };
        let mut client = bench.connect().await;
        client.send(&bench.request(&format!("HEAD {}{query}", path(row.path)), &bearer(Role::Administrator), "")).await;
        let head = client.header().await;
        assert_eq!(
            (row.answers.status.as_u16(), row.answers.media),
            (head.status, head.line("content-type")),
            "{row:?}"
        );
        // The next answer follows at once, so there was no body.
        client.send(&bench.request("GET /api/v1/health", "", "")).await;
        assert_eq!(r#"{"ok":true}"#, client.answer().await.text(), "{row:?}");
    }
}

#[tokio::test]
async fn odd_paths_lead_nowhere() {
    let bench = Bench::new().await;
    for path in [
        "//api/v1/seats",
        "/api/v1/seats/",
        "/API/v1/seats",
        "/api/..;/v1/seats",
        "/api/v1/%2e%2e/v1/seats",
        "/api%2fv1%2fseats",
        "/api/v1/seats;x",
        "/api/v1/seats%00",
        "/api/v2/seats",
        "/../etc/passwd",
        "/assets/../index.html",
    ] {
        let answer = bench.ask(&format!("GET {path}"), &bearer(Role::Administrator), "").await;
        assert_eq!((404, "not-found".into()), (answer.status, answer.code()), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_seat_is_named_as_such_to_those_who_may_know() {
    let bench = Bench::new().await;
    for row in TABLE.rows().filter(|row| row.path.contains("{seat}")) {
        for seat in ["other", "MAIN", "main%20", "..", "-"] {
            let request = format!("{} {}", row.method, row.path.replace("{seat}", seat));
            let answer = bench.ask(&request, &bearer(Role::Administrator), "").await;
            assert_eq!((404, "unknown-seat".into()), (answer.status, answer.code()), "{request}");
            let answer = bench.ask(&request, "", "").await;
            assert_eq!(401, answer.status, "{request}");
        }
    }
}

#[tokio::test]
async fn a_foreign_page_cannot_make_a_browser_act() {
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    let port = bench.https.port();
    let foreign = [
        "Origin: null".to_string(),
        "Origin: https://evil".into(),
        format!("Origin: https://evil:{port}"),
        format!("Origin: http://127.0.0.1:{port}"),
        format!("Origin: https://127.0.0.1:{}", port ^ 1),
        format!("Origin: https://127.0.0.1:{port}@evil"),
        format!("Origin: https://127.0.0.1:{port}\r\nOrigin: https://evil"),
        "Sec-Fetch-Site: cross-site".into(),
        "Sec-Fetch-Site: same-site".into(),
    ];
    // Logout last: it ends the session that the others are asked with.
    let mut guarded: Vec<_> = TABLE.rows().filter(|row| row.semantics.acts || row.accepts.handshake).collect();
    guarded.sort_by_key(|row| row.path == "/api/v1/logout");
    for row in guarded {
        let request = request(row);
        for line in &foreign {
            let answer = bench.ask(&request, &format!("{cookie}{line}\r\n"), "").await;
            assert_eq!((403, "foreign-origin".into()), (answer.status, answer.code()), "{request} {line}");
        }
        let answer = bench.ask(&request, &format!("{cookie}{}", bench.origin()), "").await;
        assert!(![401, 403].contains(&answer.status), "{request}: {}", answer.text());
    }
    assert_eq!(401, bench.ask("GET /api/v1/seats", &cookie, "").await.status, "logout was reached");
}

#[tokio::test]
async fn we_do_not_answer_to_other_names() {
    let bench = Bench::new().await;
    for (host, status) in [
        ("127.0.0.1", 200),
        ("[::1]:8443", 200),
        ("localhost", 200),
        ("kvm", 200),
        ("KVM.local:1", 200),
        ("kvm.local.", 200),
        ("localhost.:8443", 200),
        ("kvm.example.org", 200),
        ("evil", 421),
        ("evil:443", 421),
        ("kvm.example.org.evil", 421),
        ("a@127.0.0.1", 421),
        ("", 421),
    ] {
        let mut client = bench.connect().await;
        client.send(&format!("GET /api/v1/health HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(status, client.answer().await.status, "{host}");
    }
    for head in ["GET /api/v1/health HTTP/1.1\r\n", "GET https://evil/api/v1/health HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut client = bench.connect().await;
        client.send(&format!("{head}\r\n")).await;
        let answer = client.answer().await;
        assert_eq!((421, "unknown-host".into()), (answer.status, answer.code()), "{head}");
    }
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let bench = Bench::new().await;
    for request in ["GET /", "GET /api/v1/health", "GET /nothing", "GET /api/v1/seats", "PUT /api/v1/login"] {
        let answer = bench.ask(request, "", "").await;
        let csp = answer.line("content-security-policy").unwrap();
        assert!(csp.starts_with("default-src 'none';") && !csp.contains("unsafe"), "{csp}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(Some(value), answer.line(name), "{request}");
        }
        assert!(answer.line("strict-transport-security").is_some(), "{request}");
        assert!(answer.line("access-control-allow-origin").is_none(), "{request}");
        if request.contains("api") {
            assert_eq!(Some("no-store"), answer.line("cache-control"), "{request}");
        }
    }
}

#[tokio::test]
async fn a_body_too_long_is_refused_before_it_is_sent() {
    let bench = Bench::new().await;
    let token = bearer(Role::Administrator);
    for row in TABLE.rows() {
        let Some(media) = row.accepts.media else { continue };
        let (line, host, most) = (request(row), bench.host(), row.accepts.most);
        let head = format!("{line} HTTP/1.1\r\n{host}{token}Content-Type: {media}\r\nExpect: 100-continue\r\n");
        for length in [most + 1, 9_000_000_000_000_000_000] {
            let mut client = bench.connect().await;
            client.send(&format!("{head}Content-Length: {length}\r\n\r\n")).await;
            let answer = client.answer().await;
            assert_eq!((413, "too-long".into()), (answer.status, answer.code()), "{row:?} {length}");
        }
        let mut client = bench.connect().await;
        client.send(&format!("{head}Transfer-Encoding: chunked\r\n\r\n")).await;
        if media != "application/json" {
            // Space could not be asked for.
            let answer = client.answer().await;
            assert_eq!((411, "no-length".into()), (answer.status, answer.code()), "{row:?}");
            continue;
        }
        // In chunks nothing is announced: it is refused with the byte that is one too many.
        assert_eq!(100, client.header().await.status, "{row:?}");
        let most = usize::try_from(most).unwrap();
        client.send(&format!("{most:x}\r\n{}\r\n1\r\n \r\n", " ".repeat(most))).await;
        let answer = client.answer().await;
        assert_eq!((413, "too-long".into()), (answer.status, answer.code()), "{row:?}");
    }
}

#[tokio::test]
async fn a_body_of_the_longest_length_is_read() {
    let bench = Bench::new().await;
    for row in TABLE.rows().filter(|row| row.accepts.media == Some("application/json")) {
        let body = " ".repeat(usize::try_from(row.accepts.most).unwrap());
        let answer = bench.ask(&request(row), &bearer(Role::Administrator), &body).await;
        assert_eq!((400, "malformed".into()), (answer.status, answer.code()), "{row:?}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_waited_for_for_fifteen_seconds() {
    let bench = Bench::new().await;
    let mut client = Client::plain(bench.plain).await;
    let head = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    client.send(&format!("{head}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n")).await;
    assert_eq!(100, client.header().await.status);
    client.send("{").await;
    // Time that nobody else uses passes at once.
    tokio::time::pause();
    let begun = Instant::now();
    let answer = client.answer().await;
    assert_eq!((408, "too-slow".into()), (answer.status, answer.code()));
    assert!((14..=16).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_byte_order_mark_before_the_body_is_passed_over() {
    let bench = Bench::new().await;
    let body = "\u{feff}{\"user\":\"anna\",\"password\":\"correct horse\"}";
    let answer = bench.ask("POST /api/v1/login", "", body).await;
    assert_eq!(200, answer.status, "{}", answer.text());
}

#[tokio::test]
async fn what_is_said_to_a_proxy_before_us_does_not_hide_the_cookie() {
    let bench = Bench::new().await;
    let cookie = bench.login().await;
    let basic = format!("Authorization: Basic YWxpY2U6cHc=\r\n{cookie}");
    assert_eq!(200, bench.ask("GET /api/v1/seats", &basic, "").await.status);
    let token = bearer(Role::Viewer).replace("Bearer", "bEARER ");
    assert_eq!(200, bench.ask("GET /api/v1/seats", &token, "").await.status);
    let both = format!("{}{cookie}", bearer(Role::Viewer).replace("Bearer", "Bearer 0"));
    assert_eq!(401, bench.ask("GET /api/v1/seats", &both, "").await.status, "a token that is wrong is not passed over");
}

#[tokio::test]
async fn a_body_must_be_the_json_that_the_route_takes() {
    let bench = Bench::new().await;
    let deep = format!(r#"{{"user":{}1{},"password":"b"}}"#, "[".repeat(10), "]".repeat(10));
    for body in [
        "{",
        "[]",
        "null",
        r#"{"user":1,"password":""}"#,
        r#"{"user":"a"}"#,
        r#"{"user":"a","password":"b","c":1}"#,
        &deep,
    ] {
        let answer = bench.ask("POST /api/v1/login", "", body).await;
        assert_eq!((400, "malformed".into()), (answer.status, answer.code()), "{body}");
        assert_eq!(body == deep, answer.text().contains("nest 10 deep"), "{}", answer.text());
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let mut client = bench.connect().await;
        let host = bench.host();
        client
            .send(&format!(
                "POST /api/v1/login HTTP/1.1\r\n{host}Content-Type: {kind}\r\nContent-Length: 2\r\n\r\n{{}}"
            ))
            .await;
        assert_eq!(415, client.answer().await.status, "{kind}");
    }
}

#[tokio::test]
async fn a_header_too_long_is_refused() {
    let bench = Bench::new().await;
    let long = format!("X-Long: {}\r\n", "x".repeat(9 << 10));
    let many = "X-Many: x\r\n".repeat(200);
    for lines in [long, many] {
        let answer = bench.ask("GET /api/v1/health", &lines, "").await;
        assert_eq!((431, Some("close")), (answer.status, answer.line("connection")));
        assert_eq!((Some("0"), ""), (answer.line("content-length"), &*answer.text()));
    }
    let answer = bench.ask(&format!("GET /{}", "x".repeat(9 << 10)), "", "").await;
    assert_eq!(431, answer.status, "the request line is part of it");
}

#[tokio::test]
async fn without_tls_there_is_only_the_way_to_tls() {
    let bench = Bench::new().await;
    let ask = async |text: String| {
        let mut client = Client::plain(bench.redirect).await;
        client.send(&text).await;
        client.answer().await
    };
    let port = bench.https.port();
    for host in ["127.0.0.1", "127.0.0.1:80", "kvm.example.org", "[::1]:80"] {
        let answer = ask(format!("GET /a/b?c=d HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        let name = host.trim_end_matches(":80");
        // Not one that browsers keep for ever: the port may be another tomorrow.
        assert_eq!((307, Some(&*format!("https://{name}:{port}/a/b?c=d"))), (answer.status, answer.line("location")));
        assert_eq!(
            (Some("no-store"), Some("nosniff")),
            (answer.line("cache-control"), answer.line("x-content-type-options"))
        );
        assert_eq!(None, answer.line("strict-transport-security"), "it counts over TLS only");
    }
    let answer = ask("GET / HTTP/1.1\r\nHost: evil\r\n\r\n".into()).await;
    assert_eq!((421, "unknown-host".into()), (answer.status, answer.code()));
    assert_eq!(Some("DENY"), answer.line("x-frame-options"));
    let token = bearer(Role::Administrator);
    let answer = ask(format!("GET /api/v1/seats HTTP/1.1\r\nHost: localhost\r\n{token}\r\n")).await;
    assert_eq!(307, answer.status);
    let answer =
        ask(format!("POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{token}\r\n")).await;
    assert_eq!((405, "wrong-method".into()), (answer.status, answer.code()));
    assert_eq!((Some("GET, HEAD"), Some("DENY")), (answer.line("allow"), answer.line("x-frame-options")));
}
