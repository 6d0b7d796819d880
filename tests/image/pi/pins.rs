//! Records when a relay's pin would have closed its relay.
//!
//! Edges catch a glitch of a microsecond; samples catch what makes no edge, such as a pin that was set before it became
//! an output, or one that a reset released.

use std::time::Duration;

use super::qtest::Edge;

/// The relays' pins by their BCM numbers, as in docs/hardware.md.
pub const POWER: u8 = 17;
pub const RESET: u8 = 27;
const RELAYS: [u8; 2] = [POWER, RESET];

const INPUT: u32 = 0;
const OUTPUT: u32 = 1;

/// How a pin was set at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// GPFSEL1 and GPFSEL2: three bits for each of the pins 10 to 29.
    pub functions: [u32; 2],
    /// GPLEV0: a bit for each of the pins 0 to 31.
    pub levels: u32,
}

/// When something happened, as an interval: between the last sample that did not show it and the first that did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub after: Duration,
    pub by: Duration,
}

/// A time during which a relay was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    pub pin: u8,
    pub start: Moment,
    /// `None` while it lasts.
    pub end: Option<Moment>,
}

impl Pulse {
    /// Its shortest and longest possible length.
    pub fn length(&self) -> (Duration, Duration) {
        let end = self.end.expect("the pulse has ended");
        (end.after.saturating_sub(self.start.by), end.by - self.start.after)
    }
}

/// All pulses of all relays since the machine was made.
#[derive(Debug, Default)]
pub struct Pins {
    pulses: Vec<Pulse>,
    samples: u64,
    outputs: bool,
}

impl Pins {
    pub fn edge(&mut self, when: Moment, edge: Edge) {
        if RELAYS.contains(&edge.line) {
            self.set(when, edge.line, edge.high);
        }
    }

    pub fn sample(&mut self, when: Moment, sample: &Sample) {
        self.samples += 1;
        self.outputs = RELAYS.into_iter().all(|pin| function(sample, pin) == OUTPUT);
        for pin in RELAYS {
            self.set(when, pin, is_active(sample, pin));
        }
    }

    pub fn pulses(&self) -> &[Pulse] {
        &self.pulses
    }

    /// How often the pins were sampled. Without samples, no pulses proves nothing.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Whether the relays' pins are driven, instead of left to their resistors.
    pub fn are_outputs(&self) -> bool {
        self.outputs
    }

    fn set(&mut self, when: Moment, pin: u8, active: bool) {
        let open = self.pulses.iter_mut().rev().find(|pulse| pulse.pin == pin && pulse.end.is_none());
        match (open, active) {
            (None, true) => self.pulses.push(Pulse { pin, start: when, end: None }),
            (Some(pulse), false) => pulse.end = Some(when),
            _ => (),
        }
    }
}

/// Whether the relay at this pin would be closed. An input leaves it to the relay board's own resistor, which opens it.
fn is_active(sample: &Sample, pin: u8) -> bool {
    match function(sample, pin) {
        INPUT => false,
        OUTPUT => sample.levels >> pin & 1 == 1,
        // A clock or data line of some controller, which may do anything.
        _ => true,
    }
}

fn function(sample: &Sample, pin: u8) -> u32 {
    let (register, shift) = (usize::from(pin / 10) - 1, u32::from(pin % 10) * 3);
    sample.functions[register] >> shift & 7
}

#[test]
fn a_pulse_is_known_no_better_than_its_edges() {
    let moment = |after, by| Moment { after: Duration::from_millis(after), by: Duration::from_millis(by) };
    let length = |start, end| Pulse { pin: POWER, start, end: Some(end) }.length();
    assert_eq!((Duration::from_millis(6), Duration::from_millis(13)), length(moment(10, 14), moment(20, 23)));
    let at_once = length(moment(10, 14), moment(10, 14));
    assert_eq!((Duration::ZERO, Duration::from_millis(4)), at_once, "both edges were heard of together");
}
