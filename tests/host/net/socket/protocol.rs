//! What is against the protocol closes a WebSocket, with the code that says so.

use farhand::base::usb::{Point, Report};
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

use super::super::bench::Bench;
use super::Socket;
use crate::machine::down;

#[tokio::test]
async fn nonsense_closes_the_socket_with_the_right_code() {
    let bench = Bench::new().await;
    let long = format!(r#"{{"type":"key","code":"{}","down":true}}"#, "A".repeat(4096));
    for (message, code) in [
        (Message::text("{"), 1007),
        (Message::text(r#"{"type":"nonsense"}"#), 1007),
        (Message::text(r#"{"type":"pointer","x":40000,"y":0,"buttons":0}"#), 1007),
        (Message::binary(vec![0; 10]), 1003),
        (Message::text(long), 1009),
        (Message::binary(vec![0; 1 << 20]), 1009),
    ] {
        let mut socket = Socket::operator(&bench).await;
        // It may be closed while this is being sent.
        let _ = socket.socket.send(message.clone()).await;
        assert_eq!(Some(code), socket.closed().await, "{}", &message.to_string().chars().take(50).collect::<String>());
    }
    assert_eq!(200, bench.ask("GET /api/v1/health", "", "").await.status);
}

#[tokio::test]
async fn frames_against_the_protocol_close_the_socket() {
    let bench = Bench::new().await;
    let mask = [0; 4];
    let masked = |head: &[u8], payload: &[u8]| [head, &mask, payload].concat();
    for (what, frame, code) in [
        ("unmasked", vec![0x81, 0x02, b'{', b'}'], 1002),
        ("2^63 bytes", vec![0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009),
        ("invalid UTF-8", masked(&[0x81, 0x82], &[0xFF, 0xFF]), 1007),
        ("a reserved bit", masked(&[0xC1, 0x82], b"{}"), 1002),
        ("a reserved opcode", masked(&[0x83, 0x82], b"{}"), 1002),
        ("a ping of 126 bytes", masked(&[0x89, 0xFE, 0, 126], &[0; 126]), 1002),
        ("a ping in fragments", masked(&[0x09, 0x80], &[]), 1002),
        ("a continuation of nothing", masked(&[0x80, 0x82], b"{}"), 1002),
    ] {
        let mut socket = Socket::operator(&bench).await;
        let stream = socket.socket.get_mut();
        tokio::io::AsyncWriteExt::write_all(stream, &frame).await.unwrap();
        tokio::io::AsyncWriteExt::flush(stream).await.unwrap();
        assert_eq!(Some(code), socket.closed().await, "{what}");
    }
}

#[tokio::test]
async fn fragments_may_not_add_up_to_more_than_a_message() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    let stream = socket.socket.get_mut();
    let fragment = |first: u8| [&[first, 0xFE, 0x04, 0x00, 0, 0, 0, 0][..], &[b' '; 1024]].concat();
    let fragments: Vec<u8> = (0..8).flat_map(|n| fragment(if n == 0 { 0x01 } else { 0x00 })).collect();
    tokio::io::AsyncWriteExt::write_all(stream, &fragments).await.unwrap();
    tokio::io::AsyncWriteExt::flush(stream).await.unwrap();
    assert_eq!(Some(1009), socket.closed().await);
}

#[tokio::test]
async fn what_came_before_nonsense_is_still_done() {
    let bench = Bench::new().await;
    let mut socket = Socket::operator(&bench).await;
    let frame = |text: &str| [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat();
    let moves: Vec<u8> =
        (0..9).flat_map(|x| frame(&format!(r#"{{"type":"pointer","x":{x},"y":7,"buttons":0}}"#))).collect();
    let at_once = [frame(r#"{"type":"key","code":"KeyA","down":true}"#), moves, frame("{")].concat();
    let stream = socket.socket.get_mut();
    tokio::io::AsyncWriteExt::write_all(stream, &at_once).await.unwrap();
    tokio::io::AsyncWriteExt::flush(stream).await.unwrap();
    assert_eq!(Some(1007), socket.closed().await);
    let (key, there) = (down(0, &[4]), Report::Point(Point { x: 8, y: 7, ..Point::default() }));
    bench
        .machine
        .until("key and pointer came", |state| state.reports.contains(&key) && state.reports.contains(&there))
        .await;
    bench.machine.until_keys([0; 8]).await;
}
