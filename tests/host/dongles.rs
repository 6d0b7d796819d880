//! What cheap capture dongles do, and what is shown and said of it.

use farhand::base::signal::Size;
use farhand::video::encode::jpeg_from_rgb;

use crate::dongle::{Dongles, Field, Offer, Serve};

const SEAT: &str = "[seats.main.video]\ndevice = \"/dev/video0\"\n";
const RED: [u8; 3] = [200, 30, 40];
const OFFERS: &[Offer] = &[Offer(b"MJPG", 640, 480, 30)];

/// A picture with some detail below its first rows, which are of one colour.
fn picture(width: u16, height: u16) -> Vec<u8> {
    let bytes = usize::from(width) * 3;
    let mut rgb = RED.repeat(usize::from(width) * 64);
    rgb.extend((rgb.len()..bytes * usize::from(height)).map(|i| ((i * i) >> 7) as u8));
    jpeg_from_rgb(Size { width, height }, &rgb).unwrap().to_vec()
}

#[track_caller]
fn is_red(seen: [u8; 3]) {
    assert!(seen.iter().zip(RED).all(|(is, should)| is.abs_diff(should) < 10), "{seen:?}");
}

#[tokio::test]
async fn a_whole_picture_is_shown_and_a_pulled_plug_is_seen() {
    let dongles = Dongles::new();
    let dongle = dongles.dongle(0, OFFERS, &[picture(640, 480).into()]);
    let serve = Serve::start(&dongles, SEAT).await;
    let mut follower = serve.follow("main").await;
    follower.signal("no-device").await;
    for _ in 0..2 {
        dongle.plug(0, "1-1.3");
        let status = follower.signal("ok").await;
        assert_eq!("Cheap dongle (uvcvideo), 640x480 MJPG", status["device"]);
        let (width, height, seen) = serve.snapshot("main").await;
        assert_eq!((640, 480), (width, height));
        is_red(seen);
        dongle.unplug();
        follower.signal("no-device").await;
    }
    assert_eq!(2, dongle.word(Field::Started));
}
