//! The messages of a viewer's WebSocket, as `docs/api.md` describes them.
//!
//! What comes in is parsed strictly: an unknown message, key or value is an error, because a page that is misunderstood
//! could hold a key down.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::base::front_panel::Lamps;
use crate::base::seat_id::SeatId;
use crate::base::signal::{Signal, Size};
use crate::base::usb::{KeyboardLeds, Udc};
use crate::bus::{ListedViewer, SeatStatus};
use crate::hid::pointer::{BUTTONS, FAR};
use crate::update::{Progress, Trial};
use crate::video::encode::Range;
use crate::video::placeholder;

use crate::auth::role::{Privilege, Role};

/// The longest message that is taken. The longest that makes sense is under 100 bytes.
pub const LONGEST: usize = 4096;

/// What a page says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum ToDaemon {
    /// A physical key, by its UI Events `code`.
    Key {
        /// Such as `KeyA`.
        code: String,
        /// Whether it is down now.
        down: bool,
        /// When it was sent, in milliseconds by the page's clock, from any moment on that stays the same.
        t: Option<u64>,
    },
    /// The pointer's place as a share of the picture, and its buttons.
    Pointer {
        /// 0 to 32767 from the left.
        x: u16,
        /// 0 to 32767 from the top.
        y: u16,
        /// The sum of 1 left, 2 right, 4 middle, 8 back, 16 forward.
        buttons: u8,
        /// As of a key.
        t: Option<u64>,
    },
    /// Detents of the wheel.
    Wheel {
        /// To the right.
        dx: i8,
        /// Away from the user.
        dy: i8,
        /// As of a key.
        t: Option<u64>,
    },
    /// Release everything.
    Release {},
    /// Still holding.
    Held {
        /// As of a key.
        t: Option<u64>,
    },
    /// This picture is on the screen.
    Shown {
        /// Its number.
        seq: u64,
        /// As of a key.
        t: Option<u64>,
    },
    /// The answer to a beat.
    Beat {
        /// As of a key.
        t: Option<u64>,
    },
    /// Whether pictures are wanted.
    Pictures {
        /// Not while the page is hidden.
        on: bool,
    },
}

impl ToDaemon {
    /// Parses one text message.
    pub fn parse(text: &str) -> Result<ToDaemon, String> {
        let message = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match message {
            ToDaemon::Key { code, .. } if code.len() > 32 => Err("code is longer than 32 characters".into()),
            ToDaemon::Pointer { x, y, .. } if x > FAR || y > FAR => Err(format!("x and y must be 0 to {FAR}")),
            ToDaemon::Pointer { buttons, .. } if buttons > BUTTONS => Err(format!("buttons must be 0 to {BUTTONS}")),
            ToDaemon::Wheel { dx: i8::MIN, .. } | ToDaemon::Wheel { dy: i8::MIN, .. } => {
                Err("dx and dy must be -127 to 127".into())
            }
            message => Ok(message),
        }
    }
}

/// What the daemon says, pictures apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FromDaemon<'a> {
    /// The first message: who you are.
    Hello {
        /// Which seat.
        seat: &'a SeatId,
        /// Yours in `viewers`.
        id: u64,
        /// Your name.
        user: &'a str,
        /// What you are at this seat, if a role is all that you may do there.
        role: Option<Role>,
        /// What you may do at this seat.
        privileges: Vec<Privilege>,
        /// As in a status.
        clock: u64,
    },
    /// Everything there is to show in addition to the picture.
    Status(Status),
    /// How old a picture is when it is seen.
    Latency {
        /// From capture to `shown`, in milliseconds.
        ms: f64,
        /// As in a status.
        clock: u64,
    },
    /// The connection lives, and there is nothing to say.
    Beat {
        /// As in a status.
        clock: u64,
    },
    /// How an update of the appliance is going; for administrators.
    Update(&'a Progress),
    /// What of the configuration is tried; for administrators.
    Trial {
        /// Nothing any more, if there is none.
        trial: Option<&'a Trial>,
    },
    /// A message was understood and not carried out.
    Refused {
        /// Stable.
        code: &'a str,
        /// For people.
        message: &'a str,
    },
}

impl FromDaemon<'_> {
    /// The message as text.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("every message is plain data with string keys")
    }
}

/// A seat's status as the API shows it.
#[derive(schemars::JsonSchema, Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    seat: SeatId,
    signal: Signal,
    mode: Option<Size>,
    fps: f32,
    device: String,
    /// Why it gives pictures in the size and rate that it does.
    choice: Option<String>,
    /// What exactly is wrong with the device or its pictures.
    reason: Option<String>,
    /// For how long there has been no live picture, in milliseconds; absent while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_ms: Option<u64>,
    /// What to do about that, in words for people; empty while there is one.
    advice: String,
    /// Which numbers mean black and white in a picture; whoever shows a limited one has to stretch it.
    range: Range,
    /// How many pictures were too damaged to be shown, since the start.
    dropped: u64,
    power: Power,
    leds: Lamps,
    keyboard_leds: KeyboardLeds,
    udc: Option<Udc>,
    /// Whether the target fetched nothing when it was last asked, since its bus is suspended: it is asleep, off or
    /// unplugged.
    asleep: bool,
    viewers: Vec<ListedViewer>,
    /// When this was told, in milliseconds by our clock. It goes on steadily until the device starts again.
    clock: u64,
}

/// Whether the target has power, as far as its lamp tells.
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Power {
    On,
    Off,
    Unknown,
}

impl Status {
    /// One seat's status now.
    pub fn new(seat: &SeatId, status: SeatStatus, now: Instant, clock: u64) -> Status {
        let SeatStatus { screen, lost, target, viewers } = status;
        let screen = screen.shown();
        let lost = lost.map(|since| now.saturating_duration_since(since));
        Status {
            seat: seat.clone(),
            signal: screen.signal,
            mode: screen.mode,
            // More digits would only make every status differ from the last.
            fps: (screen.fps * 10.0).round() / 10.0,
            device: screen.device,
            choice: screen.choice,
            reason: screen.reason,
            lost_ms: lost.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            advice: lost.map(|_| placeholder::advice(screen.signal)).unwrap_or_default(),
            range: screen.range,
            dropped: screen.dropped,
            power: match target.lamps.power {
                Some(true) => Power::On,
                Some(false) => Power::Off,
                None => Power::Unknown,
            },
            leds: target.lamps,
            keyboard_leds: target.keyboard_leds,
            udc: target.udc,
            asleep: target.asleep,
            viewers,
            clock,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::bus::{ScreenStatus, TargetStatus};
    use crate::net::ws::messages::*;

    const GOOD: &[&str] = &[
        r#"{"type":"key","code":"KeyA","down":true,"t":12345}"#,
        r#"{"type":"pointer","x":0,"y":32767,"buttons":31}"#,
        r#"{"type":"wheel","dx":-127,"dy":127}"#,
        r#"{"type":"release"}"#,
        r#"{"type":"held"}"#,
        r#"{"type":"shown","seq":17}"#,
        r#"{"type":"beat","t":12345}"#,
        r#"{"type":"pictures","on":false}"#,
    ];

    #[test]
    fn every_documented_message_parses() {
        let documented = include_str!("../../../docs/api.md");
        for text in GOOD {
            ToDaemon::parse(text).unwrap();
            let kind = text.split(['{', ',', '}']).nth(1).unwrap();
            assert!(documented.contains(kind), "{kind} is not in docs/api.md");
        }
        assert_eq!(
            ToDaemon::Key { code: "KeyA".into(), down: true, t: Some(12345) },
            ToDaemon::parse(GOOD[0]).unwrap()
        );
        assert_eq!(ToDaemon::Pointer { x: 0, y: 32767, buttons: 31, t: None }, ToDaemon::parse(GOOD[1]).unwrap());
    }

    #[test]
    fn what_is_not_documented_is_refused() {
        for text in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"type":"kex"}"#,
            r#"{"type":"release","x":1}"#,
            r#"{"type":"key","code":"KeyA"}"#,
            r#"{"type":"key","code":"KeyA","down":1}"#,
            r#"{"type":"key","code":"KeyA","down":true,"down":false}"#,
            r#"{"type":"pointer","x":32768,"y":0,"buttons":0}"#,
            r#"{"type":"pointer","x":-1,"y":0,"buttons":0}"#,
            r#"{"type":"pointer","x":1e999,"y":0,"buttons":0}"#,
            r#"{"type":"pointer","x":0,"y":0,"buttons":32}"#,
            r#"{"type":"wheel","dx":-128,"dy":0}"#,
            r#"{"type":"wheel","dx":0,"dy":128}"#,
            r#"{"type":"held"} {"type":"held"}"#,
            r#"{"type":"held","t":-1}"#,
            r#"{"type":"held","t":1.5}"#,
            r#"{"type":"held","t":18446744073709551616}"#,
        ] {
            assert!(ToDaemon::parse(text).is_err(), "{text}");
        }
        assert!(ToDaemon::parse(&format!(r#"{{"type":"key","code":"{}","down":true}}"#, "A".repeat(33))).is_err());
        assert!(ToDaemon::parse(&"[".repeat(LONGEST)).is_err(), "nesting is bounded");
    }

    #[test]
    fn a_message_cut_anywhere_is_refused() {
        for text in GOOD {
            for length in 0..text.len() {
                assert!(ToDaemon::parse(&text[..length]).is_err(), "{}", &text[..length]);
            }
        }
    }

    #[test]
    fn a_message_with_any_bit_flipped_does_not_panic() {
        for text in GOOD {
            for bit in 0..text.len() * 8 {
                let mut bytes = text.as_bytes().to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                if let Ok(text) = std::str::from_utf8(&bytes) {
                    let _ = ToDaemon::parse(text);
                }
            }
        }
    }

    #[test]
    fn a_status_reads_as_documented() {
        let seat = SeatId::try_from("main".to_string()).unwrap();
        let status = SeatStatus {
            screen: ScreenStatus {
                signal: Signal::Ok,
                mode: Some(Size { width: 1920, height: 1080 }),
                fps: 29.9,
                device: "USB Video (uvcvideo), 1920x1080 MJPG".into(),
                choice: Some("1920x1080 MJPG at 30: more legible than 640x480 MJPG at 60".into()),
                reason: None,
                range: Range::Full,
                dropped: 2,
                stuck: false,
            },
            lost: None,
            target: TargetStatus {
                lamps: Lamps { power: Some(true), disk: Some(false) },
                keyboard_leds: KeyboardLeds { num: true, caps: false, scroll: false },
                udc: Some(Udc { name: "fe980000.usb".into(), state: "configured".into() }),
                asleep: false,
            },
            viewers: vec![ListedViewer { id: 3, user: "anna".into(), typing: true }],
        };
        let documented = include_str!("../../../docs/api.md");
        let example = documented.split("## STATUS\n\n```json").nth(1).unwrap().split("```").next().unwrap();
        let example: serde_json::Value = serde_json::from_str(example).unwrap();
        let text = serde_json::to_string(&Status::new(&seat, status, Instant::now(), 81_234_567)).unwrap();
        assert_eq!(example, serde_json::from_str::<serde_json::Value>(&text).unwrap());
    }

    #[test]
    fn a_status_message_carries_its_type_beside_its_fields() {
        let seat = SeatId::try_from("main".to_string()).unwrap();
        let text = FromDaemon::Status(Status::new(&seat, SeatStatus::default(), Instant::now(), 0)).to_text();
        assert!(text.starts_with(r#"{"type":"status","seat":"main","signal":"starting","mode":null"#), "{text}");
    }

    #[test]
    fn a_status_says_for_how_long_there_is_no_picture_and_what_to_do() {
        let seat = SeatId::try_from("main".to_string()).unwrap();
        let since = Instant::now();
        let screen = ScreenStatus { signal: Signal::NoSignal, ..ScreenStatus::default() };
        let status = |screen, lost| {
            let status = SeatStatus { screen, lost, ..SeatStatus::default() };
            serde_json::to_value(Status::new(&seat, status, since + Duration::from_millis(1500), 0)).unwrap()
        };
        let told = |status: &serde_json::Value, key: &str| status[key].clone();
        let lost = status(screen.clone(), Some(since));
        assert_eq!(
            (1500.into(), placeholder::advice(Signal::NoSignal).into()),
            (told(&lost, "lost_ms"), told(&lost, "advice"))
        );
        let stuck = status(ScreenStatus { stuck: true, ..screen }, Some(since));
        assert_eq!(
            ("stuck".into(), placeholder::advice(Signal::Stuck).into()),
            (told(&stuck, "signal"), told(&stuck, "advice"))
        );
        let live = status(ScreenStatus { signal: Signal::Ok, ..ScreenStatus::default() }, None);
        assert_eq!((None, "".into()), (live.get("lost_ms"), told(&live, "advice")));
    }
}
