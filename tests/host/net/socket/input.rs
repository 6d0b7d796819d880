//! Keys, pointer and wheel on the WebSocket: what becomes of them, and who is told what does not.

use std::time::{Duration, Instant};

use farhand::auth::role::Role;
use farhand::base::usb::{Point, Report};
use serde_json::{Value, json};

use super::super::bench::{Bench, bearer};
use super::Socket;

#[tokio::test]
async fn keys_pointer_and_wheel_become_reports() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    socket.key("ShiftLeft", true).await;
    socket.key("KeyA", true).await;
    bench.machine.until_keys([2, 0, 4, 0, 0, 0, 0, 0]).await;
    socket.say(json!({"type": "release"})).await;
    bench.machine.until_keys([0; 8]).await;
    socket.say(json!({"type": "pointer", "x": 32767, "y": 1, "buttons": 2})).await;
    let there = Point { x: 32767, y: 1, buttons: 2, ..Point::default() };
    bench.machine.until("the pointer is there", |state| state.reports.contains(&Report::Point(there))).await;
    socket.say(json!({"type": "wheel", "dx": 0, "dy": -3})).await;
    let turned = Report::Point(Point { wheel: -3, ..there });
    bench.machine.until("the wheel has turned", |state| state.reports.contains(&turned)).await;
}

#[tokio::test]
async fn what_a_lost_viewer_holds_is_let_go_and_others_keep_theirs() {
    let bench = Bench::new().await;
    let (mut anna, mut bert) = (Socket::operator(&bench).await, Socket::operator(&bench).await);
    anna.key("KeyA", true).await;
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    bert.key("ControlLeft", true).await;
    bench.machine.until_keys([1, 0, 4, 0, 0, 0, 0, 0]).await;
    drop(bert);
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
    drop(anna);
    bench.machine.until_keys([0; 8]).await;
}

#[tokio::test]
async fn what_a_silent_viewer_holds_is_let_go() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    let begun = Instant::now();
    socket.key("ControlLeft", true).await;
    bench.machine.until_keys([1, 0, 0, 0, 0, 0, 0, 0]).await;
    bench.machine.until_keys([0; 8]).await;
    let silent = begun.elapsed();
    assert!(Duration::from_millis(1400) < silent, "{silent:?}");
    // The socket lives on.
    socket.key("KeyA", true).await;
    bench.machine.until_keys([0, 0, 4, 0, 0, 0, 0, 0]).await;
}

#[tokio::test]
async fn who_may_not_type_is_told_so_and_types_nothing() {
    let bench = Bench::new().await;
    let mut socket = Socket::open(&bench, &bearer(Role::Viewer)).await;
    socket.key("KeyA", true).await;
    assert_eq!("not-allowed", socket.event("refused").await["code"]);
    assert!(bench.machine.look(|state| state.reports.is_empty()));
}

#[tokio::test]
async fn an_unplugged_target_is_said() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    bench.machine.target(crate::machine::Target::Unplugged);
    bench.machine.udc("not attached");
    while socket.event("status").await["udc"]["state"] != "not attached" {}
    socket.key("KeyA", true).await;
    assert_eq!("usb-unplugged", socket.event("refused").await["code"]);
}

#[tokio::test]
async fn keys_that_a_hung_target_does_not_fetch_are_said_to_who_pressed_them() {
    let bench = Bench::new().await;
    let (mut typing, mut watching) = (Socket::operator(&bench).await, Socket::operator(&bench).await);
    bench.machine.target(crate::machine::Target::Ignores);
    typing.key("KeyA", true).await;
    typing.key("KeyA", false).await;
    let refused = typing.event("refused").await;
    assert_eq!("usb-unplugged", refused["code"]);
    assert!(refused["message"].as_str().unwrap().contains("asleep"), "{refused}");
    // The first refusal that the other one gets is of their own doing.
    watching.key("Nonsense", true).await;
    assert_eq!("unknown-key", watching.event("refused").await["code"]);
}

#[tokio::test]
async fn everyone_sees_who_types() {
    let bench = Bench::new().await;
    let (mut anna, mut bert) = (Socket::operator(&bench).await, Socket::operator(&bench).await);
    anna.say(json!({"type": "pointer", "x": 1, "y": 1, "buttons": 0})).await;
    let typing =
        |status: &Value| status["viewers"].as_array().unwrap().iter().filter(|viewer| viewer["typing"] == true).count();
    while typing(&bert.event("status").await) != 1 {}
    while typing(&bert.event("status").await) != 0 {}
}
