//! What cheap capture dongles do, and what is shown and said of it.

use farhand::base::signal::Size;
use farhand::video::encode::jpeg_from_rgb;

use serde_json::Value;

use crate::dongle::{Dongles, Field, Offer, Sent, Serve};

const SEAT: &str = "[seats.main.video]\ndevice = \"/dev/video0\"\n";
const RED: [u8; 3] = [200, 30, 40];
/// The size of a card that says what is wrong, and its background.
const CARD: (u16, u16) = (640, 360);
const CARD_COLOUR: [u8; 3] = [16, 20, 28];
const OFFERS: &[Offer] = &[Offer(b"MJPG", 640, 480, 30)];

/// A picture with some detail below its first rows, which are of one colour.
fn picture(width: u16, height: u16) -> Vec<u8> {
    let bytes = usize::from(width) * 3;
    let mut rgb = RED.repeat(usize::from(width) * 64);
    rgb.extend((rgb.len()..bytes * usize::from(height)).map(|i| ((i * i) >> 7) as u8));
    jpeg_from_rgb(Size { width, height }, &rgb).unwrap().to_vec()
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
        serve.shows("main", "the picture", (640, 480), RED).await;
        dongle.unplug();
        follower.signal("no-device").await;
    }
}

/// A dongle that sends these; what is shown of it, or why not.
struct Habit {
    name: &'static str,
    sends: Vec<Sent>,
    /// The signal that comes of it, and a part of the reason.
    signal: &'static str,
    reason: Option<&'static str>,
    size: (u16, u16),
}

/// How dongles send a picture, and what comes of it.
fn habits() -> Vec<Habit> {
    let file = picture(640, 480);
    let cut = file[..file.len() / 2].to_vec();
    let habit = |name, sends: Vec<Sent>| Habit { name, sends, signal: "ok", reason: None, size: (640, 480) };
    let bad = |name, sends, reason| Habit { signal: "damaged", reason: Some(reason), ..habit(name, sends) };
    let followed = |by: &[u8]| vec![[&file, by].concat().into()];
    let counted = |bytes_used| Sent { bytes_used, ..file.clone().into() };
    let flagged = |bytes: &Vec<u8>| Sent { damaged: true, ..bytes.clone().into() };
    let older = [&file, &file[file.len() - 512..]].concat();
    vec![
        habit("whole", followed(&[])),
        habit("zeros behind it", followed(&[0; 512])),
        habit("rubbish behind it", followed(&[0x5a; 7])),
        habit("a line feed behind it", followed(b"\r\n")),
        habit("64 times 0xff behind it", followed(&[0xff; 64])),
        habit("512 bytes of an older picture behind it", vec![older.into()]),
        habit("twice in one buffer", followed(&file)),
        habit("rubbish before it", vec![[&[0x5a; 12][..], &file].concat().into()]),
        habit("a byte of its end marker missing", vec![file[..file.len() - 1].to_vec().into()]),
        habit("its end marker missing", vec![file[..file.len() - 2].to_vec().into()]),
        habit("its end marker missing and zeros behind it", vec![[&file[..file.len() - 2], &[0; 99]].concat().into()]),
        habit("cut every second time", vec![file.clone().into(), cut.clone().into()]),
        habit("a length of zero every second time", vec![counted(0), file.clone().into()]),
        habit("a length beyond the buffer", vec![counted(usize::MAX >> 33)]),
        habit("a length of the whole buffer", vec![counted(4 << 20)]),
        habit("reported as damaged every time", vec![flagged(&file)]),
        habit("reported as damaged and cut every second time", vec![flagged(&cut), file.clone().into()]),
        Habit { size: (800, 600), ..habit("another size than was agreed", vec![picture(800, 600).into()]) },
        bad("a length of zero", vec![counted(0)], "without a picture"),
        bad("no start", vec![file[2..].to_vec().into()], "no start of image"),
        bad("a header only", vec![file[..100].to_vec().into()], "damaged header"),
        bad("no JPEG at all", vec![vec![0x5a; 50_000].into()], "no start of image"),
    ]
}

#[tokio::test]
async fn what_a_browser_could_show_is_shown_and_else_the_cause_is_said() {
    let dongles = Dongles::new();
    let dongle = dongles.dongle(0, OFFERS, &[]);
    let serve = Serve::start(&dongles, SEAT).await;
    let mut follower = serve.follow("main").await;
    for Habit { name, sends, signal, reason, size } in habits() {
        follower.signal("no-device").await;
        dongle.send(&sends);
        dongle.plug(0, "1-1.3");
        let status = follower.until(name, |status| status["signal"] == signal).await;
        let said = status["reason"].as_str();
        assert!(
            said.is_some() == reason.is_some() && said.unwrap_or("").contains(reason.unwrap_or("")),
            "{name}: {said:?}"
        );
        let (size, colour) = if signal == "ok" { (size, RED) } else { (CARD, CARD_COLOUR) };
        serve.shows("main", name, size, colour).await;
        dongle.unplug();
    }
}

/// A raw picture that is red, in each format that is not JPEG.
fn raw(fourcc: &[u8; 4]) -> Vec<u8> {
    raw_of(fourcc, [81, 90, 240])
}

fn raw_of(fourcc: &[u8; 4], [y, u, v]: [u8; 3]) -> Vec<u8> {
    let pixels = 640 * 480;
    match fourcc {
        b"YUYV" => [y, u, y, v].repeat(pixels / 2),
        b"UYVY" => [u, y, v, y].repeat(pixels / 2),
        b"NV12" => [vec![y; pixels], [u, v].repeat(pixels / 4)].concat(),
        b"YU12" => [vec![y; pixels], vec![u; pixels / 4], vec![v; pixels / 4]].concat(),
        b"GREY" => vec![y; pixels],
        b"BGR3" => [0, 0, 254].repeat(pixels),
        _ => [254, 0, 0].repeat(pixels),
    }
}

#[tokio::test]
async fn raw_pictures_of_every_known_format_are_shown_to_who_asks() {
    let dongles = Dongles::new();
    let dongle = dongles.dongle(0, &[], &[]);
    let serve = Serve::start(&dongles, SEAT).await;
    let mut follower = serve.follow("main").await;
    for fourcc in [b"YUYV", b"UYVY", b"NV12", b"YU12", b"RGB3", b"BGR3", b"GREY"] {
        follower.signal("no-device").await;
        dongle.offer(&[Offer(fourcc, 640, 480, 30)]);
        dongle.send(&[raw(fourcc).into()]);
        dongle.plug(0, "1-1.3");
        let status = follower.signal("ok").await;
        let name = String::from_utf8_lossy(fourcc);
        assert_eq!(format!("Cheap dongle (uvcvideo), 640x480 {name}"), status["device"]);
        let colour = if fourcc == b"GREY" { [76; 3] } else { [254, 0, 0] };
        serve.shows("main", &name, (640, 480), colour).await;
        dongle.unplug();
    }
}

#[tokio::test]
async fn colours_are_what_the_driver_says_that_they_are() {
    let (red, green) = ([254, 0, 0], [0, 255, 1]);
    let (rec709, jpeg, encoding_709, full_range) = (3, 7, 2, 1);
    let dongles = Dongles::new();
    let dongle = dongles.dongle(0, &[Offer(b"YUYV", 640, 480, 30)], &[]);
    let serve = Serve::start(&dongles, SEAT).await;
    let mut follower = serve.follow("main").await;
    for (colorspace, encoding, quantization, yuv, expected) in [
        (0, 0, 0, [81, 90, 240], red),
        (0, 0, full_range, [76, 85, 255], red),
        (jpeg, 0, 0, [76, 85, 255], red),
        (0, encoding_709, 0, [173, 42, 26], green),
        (rec709, 0, 0, [173, 42, 26], green),
        (rec709, 0, full_range, [54, 99, 255], red),
    ] {
        follower.signal("no-device").await;
        dongle.set(Field::Colorspace, colorspace);
        dongle.set(Field::Encoding, encoding);
        dongle.set(Field::Quantization, quantization);
        dongle.send(&[raw_of(b"YUYV", yuv).into()]);
        dongle.plug(0, "1-1.3");
        follower.signal("ok").await;
        serve.shows("main", &format!("{colorspace} {encoding} {quantization}"), (640, 480), expected).await;
        dongle.unplug();
    }
}

#[tokio::test]
async fn the_configuration_knows_better_which_numbers_mean_black_and_white() {
    let dongles = Dongles::new();
    let dongle = dongles.dongle(0, &[], &[]);
    let as_coded = picture(640, 480);
    for (range, fourcc, sent, expected, told) in [
        ("full", b"YUYV", raw_of(b"YUYV", [76, 85, 255]), [254, 0, 0], "full"),
        ("limited", b"YUYV", raw_of(b"YUYV", [81, 90, 240]), [254, 0, 0], "full"),
        // These are passed on as they are, and whoever shows them can do better.
        ("limited", b"MJPG", as_coded.clone(), RED, "limited"),
        ("auto", b"MJPG", as_coded, RED, "full"),
    ] {
        dongle.offer(&[Offer(fourcc, 640, 480, 30)]);
        // What the driver says is wrong.
        dongle.set(Field::Quantization, if range == "limited" { 1 } else { 2 });
        dongle.send(&[sent.into()]);
        let serve = Serve::start(&dongles, &format!("{SEAT}range = \"{range}\"\n")).await;
        dongle.plug(0, "1-1.3");
        let status = serve.follow("main").await.signal("ok").await;
        assert_eq!(told, status["range"], "{range}");
        serve.shows("main", range, (640, 480), expected).await;
        dongle.unplug();
    }
}

#[tokio::test]
async fn a_device_without_a_known_format_is_named_with_what_it_offers() {
    let dongles = Dongles::new();
    let dongle = dongles.dongle(0, &[Offer(b"H264", 1920, 1080, 30), Offer(b"NV16", 640, 480, 30)], &[]);
    dongle.plug(0, "1-1.3");
    for device in ["auto", "/dev/video0", "usb:1-1.3"] {
        let serve = Serve::start(&dongles, &format!("[seats.main.video]\ndevice = \"{device}\"\n")).await;
        let status = serve.follow("main").await.signal("unsupported").await;
        assert_eq!("Cheap dongle (uvcvideo)", status["device"]);
        let reason = status["reason"].as_str().unwrap();
        assert!(reason.contains("offers H264, NV16 only") && reason.contains("known are MJPG, JPEG, YUYV"), "{reason}");
    }
}

const THREE: &[Offer] = &[Offer(b"MJPG", 1920, 1080, 30), Offer(b"MJPG", 1280, 720, 30), Offer(b"MJPG", 640, 480, 30)];

#[tokio::test]
async fn a_mode_that_usb_has_no_room_for_is_said_and_a_smaller_one_taken() {
    let dongles = Dongles::new();
    let dongle = dongles.dongle(0, THREE, &[picture(1280, 720).into()]);
    let serve = Serve::start(&dongles, SEAT).await;
    let mut follower = serve.follow("main").await;
    for (errno, words) in [
        (28, ": No space left on device"),
        (5, ", or a transfer failed: Input/output error"),
        (32, ", or a transfer failed: Broken pipe"),
    ] {
        follower.signal("no-device").await;
        dongle.set(Field::Refusal, errno);
        dongle.set(Field::AllowedPixels, 1280 * 720);
        dongle.plug(0, "1-1.3");
        let status = follower.signal("ok").await;
        assert_eq!("Cheap dongle (uvcvideo), 1280x720 MJPG", status["device"]);
        let choice = status["choice"].as_str().unwrap();
        let expected = format!("1280x720 MJPG at 30: USB has no room for 1920x1080 MJPG at 30{words}");
        assert!(choice.starts_with(&expected), "{choice}");
        dongle.unplug();
    }
    follower.signal("no-device").await;
    dongle.set(Field::AllowedPixels, 0);
    dongle.plug(0, "1-1.3");
    let status = follower.signal("no-bandwidth").await;
    let reason = status["reason"].as_str().unwrap();
    let expected = "640x480 MJPG at 30 of /dev/video0, or a transfer failed: Broken pipe";
    assert!(reason.contains(expected), "{reason}");
    // Another device has gone from the bus.
    dongle.set(Field::Refusal, 0);
    let status = follower.signal("ok").await;
    assert_eq!(
        ("Cheap dongle (uvcvideo), 1920x1080 MJPG", true),
        (status["device"].as_str().unwrap(), status["reason"].is_null())
    );
}

#[tokio::test]
async fn a_transfer_that_fails_once_does_not_lower_the_picture() {
    let dongles = Dongles::new();
    let dongle = dongles.dongle(0, THREE, &[picture(1920, 1080).into()]);
    let serve = Serve::start(&dongles, SEAT).await;
    let mut follower = serve.follow("main").await;
    for errno in [5, 32] {
        follower.signal("no-device").await;
        dongle.set(Field::Refusal, errno);
        dongle.set(Field::Refusals, 1);
        dongle.plug(0, "1-1.3");
        let status = follower.signal("ok").await;
        assert_eq!("1920x1080 MJPG at 30: the largest", status["choice"], "{errno}");
        assert_eq!(0, dongle.word(Field::Refusals));
        dongle.unplug();
    }
}

#[tokio::test]
async fn a_mode_that_is_a_lie_is_given_up_for_the_next() {
    let dongles = Dongles::new();
    let offers = [Offer(b"YUYV", 1280, 720, 30), Offer(b"YUYV", 640, 480, 30)];
    // Whatever it is asked for, it sends the smaller one.
    let dongle = dongles.dongle(0, &offers, &[raw(b"YUYV").into()]);
    dongle.plug(0, "1-1.3");
    let serve = Serve::start(&dongles, SEAT).await;
    let mut follower = serve.follow("main").await;
    let status = follower.signal("damaged").await;
    assert_eq!("picture of 1280x720 needs 1843200 bytes and has 614400", status["reason"]);
    let status = follower.signal("ok").await;
    assert_eq!("Cheap dongle (uvcvideo), 640x480 YUYV", status["device"]);
    let choice = status["choice"].as_str().unwrap();
    assert!(choice.starts_with("640x480 YUYV at 30: nothing could be shown in 1280x720 YUYV at 30"), "{choice}");
}

#[tokio::test]
async fn what_one_dongle_does_badly_is_not_held_against_the_next() {
    let dongles = Dongles::new();
    let bad = dongles.dongle(0, THREE, &[vec![0x5a; 50_000].into()]);
    let good = dongles.dongle(1, THREE, &[picture(1920, 1080).into()]);
    bad.plug(0, "1-1.3");
    let serve = Serve::start(&dongles, "").await;
    let mut follower = serve.follow("main").await;
    let given_up = |status: &Value| status["choice"].as_str().is_some_and(|choice| choice.contains("nothing could be"));
    let dropped = follower.until("the next mode", given_up).await["dropped"].as_u64().unwrap();
    // More than can come late from the mode before.
    follower.until("bad pictures", |status| dropped + 60 < status["dropped"].as_u64().unwrap()).await;
    bad.unplug();
    follower.signal("no-device").await;
    good.plug(1, "1-1.4");
    assert_eq!("Cheap dongle (uvcvideo), 1920x1080 MJPG", follower.signal("ok").await["device"]);
}

#[tokio::test]
async fn legible_comes_first_and_the_reason_is_said() {
    let dongles = Dongles::new();
    let offers = [Offer(b"MJPG", 640, 480, 60), Offer(b"MJPG", 1280, 720, 30), Offer(b"MJPG", 1920, 1080, 30)];
    let dongle = dongles.dongle(0, &offers, &[picture(1920, 1080).into()]);
    dongle.plug(0, "1-1.3");
    let serve = Serve::start(&dongles, "").await;
    let status = serve.follow("main").await.signal("ok").await;
    assert_eq!("1920x1080 MJPG at 30: more legible than 640x480 MJPG at 60", status["choice"]);
}

#[tokio::test]
async fn a_configured_size_comes_before_jpeg_and_what_is_given_instead_is_said() {
    let dongles = Dongles::new();
    let (jpeg, full) = (Offer(b"MJPG", 1280, 720, 30), Offer(b"MJPG", 1920, 1080, 30));
    let dongle = dongles.dongle(0, &[jpeg, Offer(b"YUYV", 640, 480, 30)], &[raw(b"YUYV").into()]);
    dongle.plug(0, "1-1.3");
    let serve = Serve::start(&dongles, &format!("{SEAT}size = \"640x480\"\n")).await;
    let mut follower = serve.follow("main").await;
    assert_eq!("640x480 YUYV at 30: as configured", follower.signal("ok").await["choice"]);
    dongle.unplug();
    follower.signal("no-device").await;
    dongle.offer(&[full]);
    dongle.send(&[picture(1920, 1080).into()]);
    dongle.plug(0, "1-1.3");
    let expected = "640x480 MJPG: the device gives 1920x1080, not the configured 640x480";
    assert_eq!(expected, follower.signal("ok").await["choice"]);
}

#[tokio::test]
async fn a_stream_that_cannot_be_stopped_gives_its_buffers_back_all_the_same() {
    let dongles = Dongles::new();
    let dongle = dongles.dongle(0, OFFERS, &[picture(640, 480).into()]);
    dongle.plug(0, "1-1.3");
    let serve = Serve::start(&dongles, SEAT).await;
    let mut follower = serve.follow("main").await;
    follower.signal("ok").await;
    let (io_error, no_space) = (5, 28);
    dongle.set(Field::OffRefusal, io_error);
    dongle.set(Field::Refusal, no_space);
    dongle.set(Field::Silent, 1);
    // It is closed, and opened again: who did not give the buffers back would find it busy.
    follower.signal("no-bandwidth").await;
    dongle.set(Field::Refusal, 0);
    dongle.set(Field::Silent, 0);
    let after = follower.until("anything else", |status| status["signal"] != "no-bandwidth").await;
    assert_ne!("busy", after["signal"], "{after}");
    follower.signal_from(after, "ok").await;
}

/// How many bytes of dongles' buffers a process may read.
fn mapped(pid: u32) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let bytes = |line: &str| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        u64::from_str_radix(end, 16).unwrap() - u64::from_str_radix(start, 16).unwrap()
    };
    // What the dongle itself maps it can write, too.
    maps.lines().filter(|line| line.contains("memfd:dongle") && line.contains(" r--s ")).map(bytes).sum()
}

#[tokio::test]
async fn stalled_viewers_pin_no_more_than_one_streams_buffers() {
    let dongles = Dongles::new();
    let noise: Vec<u8> = (0..1920 * 1080 * 3u64).map(|i| (i.wrapping_mul(i * 2_654_435_761) >> 13) as u8).collect();
    let large = jpeg_from_rgb(Size { width: 1920, height: 1080 }, &noise).unwrap().to_vec();
    assert!(1 << 20 < large.len(), "it must not fit into a socket's buffers");
    let dongle = dongles.dongle(0, &[Offer(b"MJPG", 1920, 1080, 30)], &[large.into()]);
    let serve = Serve::start(&dongles, SEAT).await;
    let mut follower = serve.follow("main").await;
    let (mut viewers, stream) = (Vec::new(), 6 * (4 << 20));
    for round in 0..9 {
        follower.signal("no-device").await;
        assert!(mapped(serve.pid()) <= stream / 2, "{round}: {} of {stream}", mapped(serve.pid()));
        dongle.plug(0, "1-1.3");
        follower.signal("ok").await;
        assert!(mapped(serve.pid()) <= stream + stream / 2, "{round}: {} of {stream}", mapped(serve.pid()));
        if round < 8 {
            viewers.push(serve.stalled_viewer("main").await);
        }
        dongle.unplug();
    }
}

#[tokio::test]
async fn a_dongle_that_comes_back_under_another_number_is_found_by_its_port() {
    let dongles = Dongles::new();
    let dongle = dongles.dongle(0, OFFERS, &[picture(640, 480).into()]);
    let other = dongles.dongle(1, OFFERS, &[picture(640, 480).into()]);
    other.plug(1, "1-1.30");
    let serve = Serve::start(&dongles, "[seats.main.video]\ndevice = \"usb:1-1.3\"\n").await;
    let mut follower = serve.follow("main").await;
    for number in [0, 2, 7] {
        let missing = |status: &Value| status["reason"] == "no capture device at USB port 1-1.3";
        assert_eq!("no-device", follower.until("its absence", missing).await["signal"]);
        dongle.plug(number, "1-1.3");
        follower.signal("ok").await;
        dongle.unplug();
    }
    assert_eq!(0, other.word(Field::Started));
}

#[tokio::test]
async fn two_seats_that_look_for_themselves_take_a_dongle_each() {
    let dongles = Dongles::new();
    let pictures = [picture(640, 480).into()];
    let [one, two] = [0, 1].map(|index| dongles.dongle(index, OFFERS, &pictures));
    one.plug(0, "1-1.3");
    two.plug(1, "1-1.4");
    let serve = Serve::start(&dongles, "[seats.one.usb]\n[seats.two.usb]\ncontroller = \"none\"\n").await;
    for seat in ["one", "two"] {
        serve.follow(seat).await.signal("ok").await;
    }
    assert!(0 < one.word(Field::Started) && 0 < two.word(Field::Started));
}

#[tokio::test]
async fn two_dongles_that_reset_themselves_come_back_to_their_own_seats() {
    let dongles = Dongles::new();
    let [one, two] = [(0, 640, 480), (1, 800, 600)].map(|(index, width, height)| {
        dongles.dongle(index, &[Offer(b"MJPG", width, height, 30)], &[picture(width, height).into()])
    });
    one.plug(0, "1-1.3");
    two.plug(1, "1-1.4");
    let serve = Serve::start(&dongles, "[seats.a.usb]\n[seats.b.usb]\ncontroller = \"none\"\n").await;
    let (mut first, mut second) = (serve.follow("a").await, serve.follow("b").await);
    let (of_first, of_second) = (mode(&first.signal("ok").await), mode(&second.signal("ok").await));
    assert_ne!(of_first, of_second);
    if of_first != "640x480" {
        (first, second) = (second, first);
    }
    one.unplug();
    two.unplug();
    first.signal("no-device").await;
    second.signal("no-device").await;
    // The second's comes back first, and both under the other one's number.
    two.plug(0, "1-1.4");
    assert_eq!("800x600", mode(&second.signal("ok").await));
    one.plug(1, "1-1.3");
    assert_eq!("640x480", mode(&first.signal("ok").await));
}

fn mode(status: &Value) -> String {
    format!("{}x{}", status["mode"]["width"], status["mode"]["height"])
}

#[tokio::test]
async fn a_dongle_that_is_busy_or_another_seats_is_passed_over_for_the_next() {
    let dongles = Dongles::new();
    let pictures = [picture(640, 480).into()];
    let [one, two] = [0, 1].map(|index| dongles.dongle(index, OFFERS, &pictures));
    one.plug(0, "1-1.3");
    one.set(Field::Busy, 1);
    two.plug(1, "1-1.4");
    let serve = Serve::start(&dongles, "").await;
    let mut follower = serve.follow("main").await;
    follower.signal("ok").await;
    let started = two.word(Field::Started);
    assert!(one.word(Field::Started) == 0 && 0 < started);
    drop(follower);
    drop(serve);
    one.set(Field::Busy, 0);
    let named = "[seats.a.usb]\n[seats.b.usb]\ncontroller = \"none\"\n[seats.b.video]\ndevice = \"usb:1-1.3\"\n";
    let serve = Serve::start(&dongles, named).await;
    for seat in ["a", "b"] {
        serve.follow(seat).await.signal("ok").await;
    }
    assert!(0 < one.word(Field::Started) && started < two.word(Field::Started));
}

#[tokio::test]
async fn a_dongle_that_two_seats_name_is_whose_names_its_port() {
    let dongles = Dongles::new();
    let dongle = dongles.dongle(0, OFFERS, &[picture(640, 480).into()]);
    dongle.plug(0, "1-1.3");
    let second = "[seats.b.usb]\ncontroller = \"none\"\n[seats.b.video]\ndevice = \"usb:1-1.3\"\n";
    let serve = Serve::start(&dongles, &format!("[seats.a.video]\ndevice = \"/dev/video0\"\n{second}")).await;
    serve.follow("b").await.signal("ok").await;
    let status = serve.follow("a").await.signal("busy").await;
    assert_eq!("/dev/video0 is another seat's: name another device, or its USB port", status["reason"]);
}

#[tokio::test]
async fn a_driver_that_hangs_costs_the_picture_alone_and_may_come_back() {
    let dongles = Dongles::new();
    let dongle = dongles.dongle(0, OFFERS, &[picture(640, 480).into()]);
    let serve = Serve::start(&dongles, SEAT).await;
    let mut follower = serve.follow("main").await;
    follower.signal("no-device").await;
    dongle.set(Field::Hangs, 1);
    dongle.plug(0, "1-1.3");
    let status = follower.signal("stuck").await;
    assert_eq!("the capture driver has not answered for 10 s", status["reason"]);
    // Here there are no hands, so it is not well; but not for this reason.
    let health = serve.ask("GET /api/v1/health").await.text();
    assert!(!health.contains("capture"), "{health}");
    dongle.set(Field::Hangs, 0);
    follower.signal("ok").await;
    serve.shows("main", "the picture", (640, 480), RED).await;
}
