//! Status, power and keys, with the real hands behind them.

use std::time::Duration;

use farhand::auth::role::Role;
use farhand::base::front_panel::Contact;
use farhand::base::usb::Udc;
use farhand::bus::SeatStatus;

use super::bench::{Answer, Bench, bearer};
use crate::machine::{Target, down};

async fn post(bench: &Bench, what: &str, body: &str) -> Answer {
    bench.ask(&format!("POST /api/v1/seats/main/{what}"), &bearer(Role::Operator), body).await
}

#[tokio::test]
async fn the_seat_is_listed_with_its_status() {
    let bench = Bench::new().await;
    let one = bench.ask("GET /api/v1/seats/main", &bearer(Role::Viewer), "").await.json();
    assert_eq!("main", one["seat"]);
    assert_eq!("starting", one["signal"]);
    assert_eq!("configured", one["udc"]["state"]);
    let mut all = bench.ask("GET /api/v1/seats", &bearer(Role::Viewer), "").await.json();
    assert!(one["clock"].as_u64() <= all["seats"][0]["clock"].as_u64(), "{all}");
    all["seats"][0]["clock"] = one["clock"].clone();
    assert_eq!(serde_json::json!({ "seats": [one] }), all);
}

#[tokio::test]
async fn a_tap_closes_the_relay_for_half_a_second() {
    let bench = Bench::new().await;
    let answer = post(&bench, "power", r#"{"press":"tap"}"#).await;
    assert_eq!(202, answer.status, "{}", answer.text());
    assert_eq!(serde_json::json!({"press": "tap", "seconds": 0.5}), answer.json());
    let busy = post(&bench, "power", r#"{"press":"reset"}"#).await;
    bench.machine.until("the relay is open again", |state| state.closed().is_empty()).await;
    assert_eq!((409, "busy".into()), (busy.status, busy.code()));
    let press = bench.machine.look(|state| state.press());
    assert!((450..700).contains(&press.as_millis()), "{press:?}");
}

#[tokio::test]
async fn reset_is_the_other_contact() {
    let bench = Bench::new().await;
    assert_eq!(202, post(&bench, "power", r#"{"press":"reset"}"#).await.status);
    bench.machine.until_closed(Contact::Reset).await;
}

#[tokio::test]
async fn only_sensible_presses_are_taken() {
    let bench = Bench::new().await;
    for body in [
        r#"{"press":"tap","seconds":1}"#,
        r#"{"press":"hold","seconds":0.5}"#,
        r#"{"press":"hold","seconds":12.5}"#,
        r#"{"press":"hold","seconds":-1}"#,
        r#"{"press":"hold","seconds":1e999}"#,
        r#"{"press":"hold","seconds":"5"}"#,
        r#"{"press":"squeeze"}"#,
        r#"{}"#,
    ] {
        let answer = post(&bench, "power", body).await;
        assert_eq!((400, "malformed".into()), (answer.status, answer.code()), "{body}");
    }
    assert!(bench.machine.look(|state| state.closed().is_empty()));
}

#[tokio::test]
async fn a_missing_relay_is_said() {
    let bench = Bench::new().await;
    bench.machine.change(|state| state.relay = Err(std::io::ErrorKind::Unsupported));
    let answer = post(&bench, "power", r#"{"press":"tap"}"#).await;
    assert_eq!((503, "no-relay".into()), (answer.status, answer.code()));
    bench.machine.change(|state| state.relay = Err(std::io::ErrorKind::PermissionDenied));
    let answer = post(&bench, "power", r#"{"press":"tap"}"#).await;
    assert_eq!((500, "relay-failed".into()), (answer.status, answer.code()));
}

#[tokio::test]
async fn a_text_is_typed_and_everything_let_go() {
    let bench = Bench::new().await;
    let answer = post(&bench, "keys", r#"{"text":"aB\n"}"#).await;
    assert_eq!((200, 3.into()), (answer.status, answer.json()["typed"].clone()));
    assert_eq!([0; 8], bench.machine.look(|state| state.keys()));
    let answer = post(&bench, "keys", r#"{"chord":["ControlLeft","AltLeft","Delete"]}"#).await;
    assert_eq!((200, 3.into()), (answer.status, answer.json()["typed"].clone()));
    let pressed = bench.machine.look(|state| state.reports.clone());
    let all_three = down(0b101, &[0x4C]);
    assert!(pressed.contains(&all_three), "{pressed:?}");
    assert_eq!([0; 8], bench.machine.look(|state| state.keys()));
}

#[tokio::test]
async fn what_cannot_be_typed_is_named() {
    let bench = Bench::new().await;
    let answer = post(&bench, "keys", r#"{"text":"aé"}"#).await;
    assert_eq!((400, "cannot-type".into()), (answer.status, answer.code()));
    assert!(answer.text().contains('é'), "{}", answer.text());
    let answer = post(&bench, "keys", r#"{"chord":["KeyA","Any"]}"#).await;
    assert_eq!((400, "cannot-type".into()), (answer.status, answer.code()));
    assert!(answer.text().contains("Any"), "{}", answer.text());
    let long = format!(r#"{{"text":"{}"}}"#, "a".repeat(1025));
    for body in [r#"{"text":""}"#, r#"{"chord":[]}"#, "{}", r#"{"text":"a","chord":["KeyA"]}"#, &long] {
        let answer = post(&bench, "keys", body).await;
        assert_eq!((400, "malformed".into()), (answer.status, answer.code()), "{body}");
    }
    assert!(bench.machine.look(|state| state.reports.is_empty()), "nothing was typed in part");
}

#[tokio::test]
async fn a_text_is_checked_whole_without_being_typed() {
    let bench = Bench::new().await;
    let long = "a".repeat(200_000);
    let answer = post(&bench, "keys", &format!(r#"{{"text":"{long}","check":true}}"#)).await;
    assert_eq!((200, serde_json::json!(0)), (answer.status, answer.json()["typed"].clone()));
    let wrong = post(&bench, "keys", &format!(r#"{{"text":"{long}\n\u00a0é","check":true}}"#)).await;
    assert_eq!((400, "cannot-type".into()), (wrong.status, wrong.code()));
    assert!(wrong.text().contains("no-break space (line 2, column 1), 'é' (line 2, column 2)"), "{}", wrong.text());
    assert_eq!(200, post(&bench, "keys", r#"{"chord":["KeyA"],"check":true}"#).await.status);
    assert_eq!(400, post(&bench, "keys", r#"{"chord":["Any"],"check":true}"#).await.status);
    assert_eq!("malformed", post(&bench, "keys", r#"{"text":"","check":true}"#).await.code());
    let viewer = bench.ask("POST /api/v1/seats/main/keys", &bearer(Role::Viewer), r#"{"text":"a","check":true}"#).await;
    assert_eq!("not-allowed", viewer.code());
    assert!(bench.machine.look(|state| state.reports.is_empty()), "nothing was typed");
}

#[tokio::test]
async fn what_was_asked_for_too_long_ago_is_not_done() {
    let bench = Bench::new().await;
    let seat = "GET /api/v1/seats/main";
    let clock = async || bench.ask(seat, &bearer(Role::Viewer), "").await.json()["clock"].as_u64().unwrap();
    let at = clock().await;
    bench.advance(Duration::from_millis(2001));
    for (what, act) in [("keys", r#""text":"a""#), ("keys", r#""chord":["KeyA"]"#), ("power", r#""press":"reset""#)] {
        let answer = post(&bench, what, &format!(r#"{{{act},"at":{at}}}"#)).await;
        assert_eq!((409, "late".into()), (answer.status, answer.code()), "{act}");
    }
    let answer = post(&bench, "wake", &format!(r#"{{"at":{at}}}"#)).await;
    assert_eq!((409, "late".into()), (answer.status, answer.code()), "wake");
    assert!(bench.machine.look(|state| state.reports.is_empty() && state.closed().is_empty() && state.signals == 0));
    for body in ["", "{}", &format!(r#"{{"at":{}}}"#, clock().await)] {
        assert_eq!("not-asleep", post(&bench, "wake", body).await.code(), "in time: {body}");
    }
    assert_eq!("malformed", post(&bench, "wake", r#"{"when":1}"#).await.code());
    // From a clock that began before the device started again, by the newest one, and without one.
    let fresh = clock().await + 60_000;
    for at in [format!(r#","at":{}"#, u64::MAX), format!(r#","at":{fresh}"#), String::new()] {
        let answer = post(&bench, "keys", &format!(r#"{{"text":"a"{at}}}"#)).await;
        assert_eq!(200, answer.status, "{}", answer.text());
        assert!(Some(fresh - 60_000) <= answer.json()["clock"].as_u64());
    }
    let answer = post(&bench, "power", &format!(r#"{{"press":"reset","at":{fresh}}}"#)).await;
    assert_eq!(202, answer.status, "{}", answer.text());
}

#[tokio::test]
async fn an_unplugged_target_is_said() {
    let bench = Bench::new().await;
    bench.machine.target(Target::Unplugged);
    bench.machine.udc("not attached");
    let mut status = bench.status.watch();
    super::bench::soon("it is known", status.wait_for(|status| !status.target.takes_keys())).await.unwrap();
    let answer = post(&bench, "keys", r#"{"text":"a"}"#).await;
    assert_eq!((503, "usb-unplugged".into()), (answer.status, answer.code()));
}

#[tokio::test]
async fn a_target_that_sleeps_is_woken_and_one_that_does_not_is_said() {
    let bench = Bench::new().await;
    let awake = post(&bench, "wake", "").await;
    assert_eq!((409, "not-asleep".into()), (awake.status, awake.code()));
    bench.machine.udc("suspended");
    let mut status = bench.status.watch();
    let sleeps = |status: &SeatStatus| status.target.udc.as_ref().is_some_and(Udc::is_suspended);
    super::bench::soon("it is known", status.wait_for(sleeps)).await.unwrap();
    let woken = post(&bench, "wake", "").await;
    assert_eq!((202, serde_json::json!({})), (woken.status, woken.json()));
    assert_eq!(1, bench.machine.look(|state| state.signals));
    bench.machine.change(|state| state.armed = false);
    let forbidden = post(&bench, "wake", "").await;
    assert_eq!((409, "cannot-wake".into()), (forbidden.status, forbidden.code()));
}

#[tokio::test]
async fn whoever_hangs_up_while_typing_leaves_nothing_pressed() {
    let bench = Bench::new().await;
    let body = format!(r#"{{"text":"{}"}}"#, "a".repeat(1024));
    let mut client = bench.connect().await;
    client.send(&bench.request("POST /api/v1/seats/main/keys", &bearer(Role::Operator), &body)).await;
    bench.machine.until("typing has begun", |state| !state.reports.is_empty()).await;
    drop(client);
    // Texts are typed one after another, so when this one is done, nothing of the other is left.
    let answer = post(&bench, "keys", r#"{"text":"b"}"#).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    let (keys, reports) = bench.machine.look(|state| (state.keys(), state.reports.len()));
    assert_eq!([0; 8], keys);
    assert!(reports < 2 * 1024, "all of it was typed: {reports} reports");
}
