//! The messages between the network process and the hands, and the limits of their frames.
//!
//! A frame is a length of four bytes, big-endian, and as much JSON. The network process is the one that an attacker
//! would take over, so nothing it sends is believed: lengths are limited before anything is kept, and
//! [`ToHands::check`] repeats what the network process has checked already.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::coded::Coded;
use crate::base::front_panel::Contact;
use crate::base::seat_id::SeatId;
use crate::base::usb::HubPort;
use crate::bus::TargetStatus;
use crate::config::check;
use crate::hid::keyboard::{Owner, Usage};
use crate::hid::keymap;
use crate::hid::pointer::{BUTTONS, FAR};
use crate::hid::typing::{MOST_JOBS, Person};
use crate::update::{ApplianceError, LARGEST, Machine, Trial};

/// The longest body of a frame: a configuration, of which each character may take two.
pub const LONGEST: usize = 2 * check::LONGEST + 1024;

/// The longest name of who asks for a change: that of a token, and a word in front.
const LONGEST_NAME: usize = 128;

/// The longest text in one message, in strokes; the API allows as many characters.
pub const MOST_STROKES: usize = 1024;

/// The largest chord. Nobody's hands press more, and more than six would not fit a report.
pub const LARGEST_CHORD: usize = 14;

/// Something done with keyboard or pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the variants describe their fields")]
pub enum Input {
    /// A key went down or up.
    Key {
        usage: Usage,
        /// Whether it is down now.
        down: bool,
    },
    /// The pointer is this far from the left and the top (0 to 32767 across the picture) with these buttons down.
    Pointer {
        x: u16,
        y: u16,
        /// 1 left, 2 right, 4 middle, 8 back, 16 forward.
        buttons: u8,
    },
    /// The wheel turned by detents; positive is to the right (`dx`) and away from the user (`dy`).
    Wheel { dx: i8, dy: i8 },
    /// Release everything that this owner holds.
    Release,
}

impl Input {
    /// Whether it presses something, as a hand does to wake a machine; a mouse that is only moved does not.
    pub fn presses(self) -> bool {
        match self {
            Input::Key { down, .. } => down,
            Input::Pointer { buttons, .. } => buttons != 0,
            Input::Wheel { .. } | Input::Release => false,
        }
    }

    /// Whether it may press something. What only releases is sent even to a target that takes nothing.
    pub fn acts(self) -> bool {
        !matches!(self, Input::Key { down: false, .. } | Input::Release)
    }
}

/// What the network process asks for.
///
/// In each message, `seat` is the target, `owner` is who holds what it presses, `person` is whose share it takes, and
/// `id` is the number that the answer will name; in [`ToHands::Cancel`], that of the text or chord.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are described above")]
pub enum ToHands {
    /// "I am alive." Due several times a second, else the hands release everything.
    Beat,
    /// Something done with keyboard or pointer. There is no answer.
    Input { seat: SeatId, owner: Owner, input: Input },
    /// Type a text; answered when it has been fetched.
    Strokes {
        seat: SeatId,
        id: u64,
        owner: Owner,
        person: Person,
        /// Key and modifiers of each stroke: as pairs, since a text has many.
        strokes: Vec<(Usage, u8)>,
    },
    /// Press keys in order and release them; answered when that has been fetched.
    Chord { seat: SeatId, id: u64, owner: Owner, person: Person, usages: Vec<Usage> },
    /// Stop typing a text or chord that nobody waits for any more.
    Cancel { seat: SeatId, id: u64 },
    /// Close a contact for a time; answered once it is closed.
    Press { seat: SeatId, id: u64, contact: Contact, millis: u64 },
    /// Signal a target that sleeps to wake up; answered once that is done.
    Wake { seat: SeatId, id: u64 },
    /// Take over the file in the spool folder and install it; answered once the installer runs.
    Install {
        id: u64,
        /// How long the file is.
        len: u64,
    },
    /// Release everything and restart the appliance; answered once that has begun.
    Restart { id: u64 },
    /// Forget everything but what is installed, with a restart; answered once that has begun.
    FactoryReset { id: u64 },
    /// Switch the USB port of a capture device off and on; answered once that is done. Refused if what is plugged in
    /// there does not capture pictures.
    CyclePort { id: u64, port: HubPort },
    /// Have another configuration count; answered once it is stored.
    Configure {
        id: u64,
        /// The owner's whole text.
        text: String,
        /// The revision of the text that it is made of.
        expected: String,
        /// Who asks, for the history.
        who: String,
    },
    /// Keep the configuration that is tried, or take it back.
    Settle { id: u64, keep: bool },
}

/// What the hands say.
///
/// In each message, `seat` is the target, and `id` is the number of the request that it answers, which failed if there
/// is an `error`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are described above")]
pub enum FromHands {
    /// "I am alive."
    Beat,
    /// The answer to the request of this number.
    Done { seat: SeatId, id: u64, error: Option<HandsError> },
    /// Input that had been accepted was dropped, and what its owner held was released.
    Dropped { seat: SeatId, owner: Owner, error: HandsError },
    /// What is known of the target, at first and whenever it changes.
    Status { seat: SeatId, status: TargetStatus },
    /// What is known of the appliance itself, at first and whenever it changes.
    Machine { machine: Machine },
    /// What of the configuration is tried, whenever that changes.
    Trial { trial: Option<Trial> },
    /// The answer to a request that concerns the appliance itself.
    ApplianceDone { id: u64, error: Option<ApplianceError> },
}

impl ToHands {
    /// Which target it is for.
    pub fn seat(&self) -> Option<&SeatId> {
        match self {
            ToHands::Beat
            | ToHands::Install { .. }
            | ToHands::Restart { .. }
            | ToHands::FactoryReset { .. }
            | ToHands::CyclePort { .. }
            | ToHands::Configure { .. }
            | ToHands::Settle { .. } => None,
            ToHands::Input { seat, .. }
            | ToHands::Strokes { seat, .. }
            | ToHands::Chord { seat, .. }
            | ToHands::Cancel { seat, .. }
            | ToHands::Press { seat, .. }
            | ToHands::Wake { seat, .. } => Some(seat),
        }
    }

    /// The number under which it wants an answer.
    pub fn id(&self) -> Option<u64> {
        match self {
            ToHands::Strokes { id, .. }
            | ToHands::Chord { id, .. }
            | ToHands::Press { id, .. }
            | ToHands::Wake { id, .. } => Some(*id),
            ToHands::Install { id, .. }
            | ToHands::Restart { id }
            | ToHands::FactoryReset { id }
            | ToHands::CyclePort { id, .. } => Some(*id),
            ToHands::Configure { id, .. } | ToHands::Settle { id, .. } => Some(*id),
            ToHands::Beat | ToHands::Input { .. } | ToHands::Cancel { .. } => None,
        }
    }

    /// Whether an honest client would send it. The length of a press is left to the sequencer, which has an answer for
    /// it.
    pub fn check(&self) -> Result<(), FrameError> {
        let holds = |fine: bool, what| if fine { Ok(()) } else { Err(FrameError::Forbidden(what)) };
        match self {
            ToHands::Input { owner, input, .. } => {
                holds(!owner.is_reserved(), "a reserved owner")?;
                match *input {
                    Input::Key { usage, .. } => holds(keymap::knows(usage), "an unknown key"),
                    Input::Pointer { x, y, buttons } => {
                        holds(x <= FAR && y <= FAR && buttons <= BUTTONS, "a pointer outside the screen")
                    }
                    Input::Wheel { dx, dy } => holds(dx != i8::MIN && dy != i8::MIN, "a wheel turned too far"),
                    Input::Release => Ok(()),
                }
            }
            ToHands::Strokes { owner, person, strokes, .. } => {
                holds(!owner.is_reserved(), "a reserved owner")?;
                holds(person.fits(), "too long a name")?;
                holds(strokes.len() <= MOST_STROKES, "too long a text")?;
                holds(strokes.iter().all(|(usage, _)| keymap::knows(*usage)), "an unknown key")
            }
            ToHands::Chord { owner, person, usages, .. } => {
                holds(!owner.is_reserved(), "a reserved owner")?;
                holds(person.fits(), "too long a name")?;
                holds(usages.len() <= LARGEST_CHORD, "too large a chord")?;
                holds(usages.iter().all(|usage| keymap::knows(*usage)), "an unknown key")
            }
            ToHands::Install { len, .. } => holds((1..=LARGEST).contains(len), "an update of impossible length"),
            ToHands::Configure { text, expected, who, .. } => {
                holds(text.len() <= check::LONGEST, "too long a configuration")?;
                holds(expected.len() <= LONGEST_NAME && who.len() <= LONGEST_NAME, "too long a name")?;
                holds(!who.contains(char::is_control), "a name that nobody has")
            }
            ToHands::Settle { .. }
            | ToHands::Beat
            | ToHands::Cancel { .. }
            | ToHands::Press { .. }
            | ToHands::Wake { .. }
            | ToHands::Restart { .. }
            | ToHands::FactoryReset { .. }
            | ToHands::CyclePort { .. } => Ok(()),
        }
    }
}

/// Why the hands did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandsError {
    /// The process with the hardware does not answer.
    #[error("the process that holds keyboard and relays is restarting; try again in a second")]
    Away,
    /// The target takes no reports.
    #[error(
        "the target does not take keys: USB is not plugged in, or the target is off; keys that you go on holding are \
         pressed when it takes them"
    )]
    Unplugged,
    /// The target has taken the keyboard, but fetches no reports.
    #[error(
        "the target did not fetch the keys for 2 seconds: it is off, asleep, unplugged or hung; they were dropped, and \
         those that you go on holding are pressed when it fetches again"
    )]
    Stale,
    /// More was sent than the target fetches.
    #[error(
        "the target is too slow for this much input; what was waiting of yours has been dropped and your keys released"
    )]
    Flooded,
    /// Somebody wants more typed at the same time than their share.
    #[error("at most {MOST_JOBS} texts or chords of one person wait to be typed; try again when one is done")]
    TooMany,
    /// More than fits into one request.
    #[error("a text has at most {MOST_STROKES} keys and a chord at most {LARGEST_CHORD}")]
    TooLong,
    /// A text did not come to its end.
    #[error("all keys were released before this was typed to its end; look what has arrived and send the rest")]
    CutShort,
    /// Another press lasts.
    #[error("the {0:?} contact is being pressed already")]
    Busy(Contact),
    /// Nothing to press with.
    #[error("no relay is configured for the {0:?} contact; see [seats.NAME.power] in the configuration")]
    NoRelay(Contact),
    /// A press outside its range.
    #[error("a press lasts 0.05 to 12 seconds")]
    Length,
    /// The relay did not move.
    #[error("the relay did not move: {0}")]
    Relay(String),
    /// There is nothing to wake.
    #[error("the target is awake")]
    Awake,
    /// The target has not armed the keyboard.
    #[error("the target does not let this keyboard wake it up; its firmware and its system have settings for that")]
    NotArmed,
    /// The controller did not signal.
    #[error("the USB controller cannot wake the target up: {0}")]
    CannotWake(String),
    /// Something that the appliance was to do to itself.
    #[error(transparent)]
    Appliance(#[from] ApplianceError),
}

impl Coded for HandsError {
    fn code_name(&self) -> &'static str {
        match self {
            HandsError::Away => "hands-away",
            HandsError::Unplugged | HandsError::Stale => "usb-unplugged",
            HandsError::Flooded | HandsError::TooMany | HandsError::CutShort => "flooded",
            HandsError::Busy(_) => "busy",
            HandsError::NoRelay(_) => "no-relay",
            HandsError::Length | HandsError::TooLong => "malformed",
            HandsError::Relay(_) => "relay-failed",
            HandsError::Awake => "not-asleep",
            HandsError::NotArmed | HandsError::CannotWake(_) => "cannot-wake",
            HandsError::Appliance(error) => error.code_name(),
        }
    }
}

/// Why what came over the socket cannot be used. There is no way on from there but to close it.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A frame longer than allowed.
    #[error("a frame of {0} bytes is over the limit of {LONGEST}")]
    TooLong(usize),
    /// Not a message.
    #[error("a frame holds no message")]
    Malformed(#[from] serde_json::Error),
    /// A message that an honest client does not send.
    #[error("the message asks for {0}")]
    Forbidden(&'static str),
}

/// Frames a message.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let len = frame.len() - 4;
    match u32::try_from(len) {
        Ok(header) if len <= LONGEST => frame[..4].copy_from_slice(&header.to_be_bytes()),
        _ => return Err(FrameError::TooLong(len)),
    }
    Ok(frame)
}

/// Puts frames together again from whatever pieces a socket gives.
#[derive(Debug, Default)]
pub struct Decoder(Vec<u8>);

impl Decoder {
    /// Adds bytes as they came. Call [`Decoder::poll`] until it has no more before adding others.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Takes the next whole message.
    pub fn poll<M: DeserializeOwned>(&mut self) -> Result<Option<M>, FrameError> {
        let Some((header, rest)) = self.0.split_first_chunk::<4>() else { return Ok(None) };
        let len = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        if LONGEST < len {
            return Err(FrameError::TooLong(len));
        }
        let Some(body) = rest.get(..len) else { return Ok(None) };
        let message = serde_json::from_slice(body)?;
        self.0.drain(..4 + len);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::front_panel::Lamps;
    use crate::base::usb::{KeyboardLeds, Udc};
    use crate::bus::TargetStatus;
    use crate::hid::keyboard::{NOBODY, TYPING};
    use crate::update::{Phase, Progress, slots};

    fn seat() -> SeatId {
        SeatId::try_from("main".to_string()).unwrap()
    }

    #[test]
    fn a_mouse_that_is_only_moved_presses_nothing() {
        let (usage, x, y) = (Usage(4), 1, 1);
        assert!(Input::Key { usage, down: true }.presses());
        assert!(Input::Pointer { x, y, buttons: 1 }.presses());
        for input in [Input::Pointer { x, y, buttons: 0 }, Input::Wheel { dx: 0, dy: 1 }, Input::Release] {
            assert!(!input.presses(), "{input:?}");
        }
        assert!(!Input::Key { usage, down: false }.presses());
    }

    fn person() -> Person {
        Person::new(&"x".repeat(64))
    }

    fn every_message() -> Vec<ToHands> {
        let (seat, owner) = (seat(), Owner(u64::MAX - 2));
        let input = |input| ToHands::Input { seat: seat.clone(), owner, input };
        vec![
            ToHands::Beat,
            input(Input::Key { usage: Usage(4), down: true }),
            input(Input::Pointer { x: FAR, y: 0, buttons: BUTTONS }),
            input(Input::Wheel { dx: -127, dy: 127 }),
            input(Input::Release),
            ToHands::Strokes {
                seat: seat.clone(),
                id: 1,
                owner,
                person: person(),
                strokes: vec![(Usage(0xE7), 0xFF); MOST_STROKES],
            },
            ToHands::Chord {
                seat: seat.clone(),
                id: 2,
                owner,
                person: person(),
                usages: vec![Usage(0xE0), Usage(0x4C)],
            },
            ToHands::Cancel { seat: seat.clone(), id: u64::MAX },
            ToHands::Press { seat: seat.clone(), id: 3, contact: Contact::Reset, millis: 500 },
            ToHands::Wake { seat: seat.clone(), id: 7 },
            ToHands::Install { id: 4, len: LARGEST },
            ToHands::Restart { id: 5 },
            ToHands::FactoryReset { id: 6 },
            ToHands::CyclePort { id: 8, port: HubPort::try_from("1-1.3".to_string()).unwrap() },
        ]
    }

    fn recorded() -> Vec<u8> {
        every_message().iter().flat_map(|message| encode(message).unwrap()).collect()
    }

    fn decode(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Vec<ToHands>, FrameError> {
        let (mut decoder, mut messages) = (Decoder::default(), Vec::new());
        for piece in pieces {
            decoder.feed(piece.as_ref());
            while let Some(message) = decoder.poll()? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    #[test]
    fn every_message_survives_the_way_whole_and_byte_by_byte() {
        assert_eq!(every_message(), decode([recorded()]).unwrap());
        assert_eq!(every_message(), decode(recorded().iter().map(|byte| [*byte])).unwrap());
        assert!(every_message().iter().all(|message| message.check().is_ok()));
    }

    #[test]
    fn every_answer_survives_the_way() {
        let status = TargetStatus {
            lamps: Lamps { power: Some(true), disk: None },
            keyboard_leds: KeyboardLeds { num: true, ..KeyboardLeds::default() },
            udc: Some(Udc { name: "dummy_udc.0".into(), state: "not attached".into() }),
            asleep: true,
        };
        let update = Progress { phase: Phase::Failed, percent: 40, message: "damaged".into() };
        let variables = slots::Environment::parse("CONFIRMED=A");
        let machine = Machine { real: true, slots: Some(slots::read(slots::Slot::B, "1.0.0", &variables, "")), update };
        let answers = [
            FromHands::Beat,
            FromHands::Done { seat: seat(), id: 1, error: None },
            FromHands::Done { seat: seat(), id: 2, error: Some(HandsError::Busy(Contact::Power)) },
            FromHands::Done { seat: seat(), id: 3, error: Some(HandsError::Relay("no such chip".into())) },
            FromHands::Dropped { seat: seat(), owner: Owner(7), error: HandsError::Stale },
            FromHands::Status { seat: seat(), status },
            FromHands::Machine { machine },
            FromHands::ApplianceDone { id: 4, error: Some(ApplianceError::Spool("gone".into())) },
        ];
        let mut decoder = Decoder::default();
        for answer in answers {
            decoder.feed(&encode(&answer).unwrap());
            assert_eq!(Some(answer), decoder.poll().unwrap());
        }
    }

    #[test]
    fn a_cut_stream_gives_whole_messages_only() {
        let (recorded, whole) = (recorded(), every_message());
        for len in 0..recorded.len() {
            let messages = decode([&recorded[..len]]).unwrap();
            assert!(messages.len() < whole.len());
            assert_eq!(whole[..messages.len()], messages);
        }
    }

    #[test]
    fn a_flipped_bit_is_refused_or_means_something_else() {
        // Without the long text, which would only repeat itself a thousand times.
        let short: Vec<_> =
            every_message().iter().filter(|message| !matches!(message, ToHands::Strokes { .. })).cloned().collect();
        let recorded: Vec<u8> = short.iter().flat_map(|message| encode(message).unwrap()).collect();
        for at in 0..8 * recorded.len() {
            let mut flipped = recorded.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            if let Ok(messages) = decode([flipped]) {
                assert_ne!(short, messages, "bit {at} has no meaning");
            }
        }
    }

    #[test]
    fn a_long_frame_is_refused_by_its_header_alone() {
        let header = u32::try_from(LONGEST + 1).unwrap().to_be_bytes();
        assert!(matches!(decode([header]), Err(FrameError::TooLong(len)) if len == LONGEST + 1));
        assert!(matches!(encode(&"x".repeat(LONGEST)), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn what_an_honest_client_does_not_send_is_refused() {
        let (seat, owner) = (seat(), Owner(1));
        let input = |owner, input| ToHands::Input { seat: seat.clone(), owner, input };
        for message in [
            input(TYPING, Input::Release),
            input(NOBODY, Input::Release),
            input(owner, Input::Key { usage: Usage(0x66), down: true }),
            input(owner, Input::Pointer { x: FAR + 1, y: 0, buttons: 0 }),
            input(owner, Input::Pointer { x: 0, y: 0, buttons: BUTTONS + 1 }),
            input(owner, Input::Wheel { dx: 0, dy: i8::MIN }),
            ToHands::Strokes {
                seat: seat.clone(),
                id: 1,
                owner,
                person: person(),
                strokes: vec![(Usage(4), 0); MOST_STROKES + 1],
            },
            ToHands::Strokes { seat: seat.clone(), id: 1, owner, person: person(), strokes: vec![(Usage(1), 0)] },
            ToHands::Chord { seat: seat.clone(), id: 1, owner: TYPING, person: person(), usages: vec![] },
            ToHands::Chord {
                seat: seat.clone(),
                id: 1,
                owner,
                person: person(),
                usages: vec![Usage(4); LARGEST_CHORD + 1],
            },
            ToHands::Chord { seat: seat.clone(), id: 1, owner, person: Person::new(&"x".repeat(65)), usages: vec![] },
            ToHands::Install { id: 1, len: 0 },
            ToHands::Install { id: 1, len: LARGEST + 1 },
        ] {
            assert!(message.check().is_err(), "{message:?}");
        }
    }

    #[test]
    fn unknown_words_are_refused() {
        let bad_port = "{\"type\":\"cycle-port\",\"id\":1,\"port\":\"../1-1\"}";
        let bad_seat = "{\"type\":\"wake\",\"id\":1,\"seat\":\"../x\"}";
        for body in ["{}", "[]", "{\"type\":\"reboot\"}", bad_seat, bad_port, "", "null"] {
            let frame = [&u32::try_from(body.len()).unwrap().to_be_bytes(), body.as_bytes()].concat();
            assert!(matches!(decode([frame]), Err(FrameError::Malformed(_))), "{body}");
        }
    }
}
