//! Knows how the board itself is: its supply, its heat, its card.
//!
//! Each wears a machine down while everything of ours runs, and each is mended by a person's hands, so it is shown for
//! as long as it matters and logged when it changes, not at every reading. [`BoardHealth`] does no I/O and reads no
//! clock: the caller reads the sensors at [`BoardHealth::deadline`] and hands the [`Readings`] in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::base::board::{CardState, Readings};

/// The firmware is asked for the voltage every two seconds, and what the kernel says of it holds until the next time.
const VOLTAGE: Duration = Duration::from_secs(1);
/// Between two looks at the heat, which comes slowly.
const HEAT: Duration = Duration::from_secs(10);
/// Between two looks at the card, and for sensors that have not been there yet.
const CARD: Duration = Duration::from_secs(15);
/// How long a trouble must be over to count as over: a weak supply gives way for a moment, again and again.
const CALM: Duration = Duration::from_secs(60);
/// How long the log says nothing more of a trouble that comes again.
const QUIET: Duration = Duration::from_secs(3600);

/// How the board is; `None` for what it cannot say.
#[derive(schemars::JsonSchema)]
#[schemars(rename = "BoardHealth")]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Whether the supply gives too little.
    pub low_voltage: Option<Trouble>,
    /// How warm the processor is.
    pub celsius: Option<i32>,
    /// Whether the kernel holds the processor's clock down for its heat.
    pub slowed: Option<Trouble>,
    /// What has become of the card.
    pub card: Option<CardState>,
}

/// Something that comes and goes.
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Trouble {
    /// It is so, or was within the last minute.
    pub now: bool,
    /// It has been so since the machine started.
    pub ever: bool,
}

/// What is to be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Something is wrong.
    Warn(String),
    /// It is not any more.
    Note(String),
}

/// Follows the board's sensors through one boot of the machine.
#[derive(Debug)]
pub struct BoardHealth {
    report: Report,
    low_voltage: Spell,
    slowed: Spell,
    look: Instant,
    card_due: Instant,
    news: VecDeque<News>,
}

impl BoardHealth {
    /// Begins to follow them. `before`: what was reported last in this boot of the machine, if we have begun before.
    pub fn new(now: Instant, before: &Report) -> BoardHealth {
        let spell = |trouble: Option<Trouble>| Spell { ever: trouble.unwrap_or_default().ever, ..Spell::default() };
        BoardHealth {
            report: Report::default(),
            low_voltage: spell(before.low_voltage),
            slowed: spell(before.slowed),
            look: now,
            card_due: now,
            news: VecDeque::new(),
        }
    }

    /// When to read the sensors next.
    pub fn deadline(&self) -> Instant {
        self.look.min(self.card_due)
    }

    /// Whether to look at the card as well.
    pub fn wants_card(&self, now: Instant) -> bool {
        self.card_due <= now
    }

    /// Takes in what the sensors say.
    pub fn read(&mut self, now: Instant, readings: Readings) {
        let Readings { low_voltage, celsius, slowed } = readings;
        self.look = now
            + match (low_voltage, celsius.is_some() || slowed.is_some()) {
                (Some(_), _) => VOLTAGE,
                (None, true) => HEAT,
                (None, false) => CARD,
            };
        // To whole degrees, and not back and forth between two of them.
        let near = |celsius: f32| self.report.celsius.filter(|told| (celsius - *told as f32).abs() < 1.0);
        self.report.celsius = celsius.map(|celsius| near(celsius).unwrap_or(celsius.round() as i32));
        self.report.low_voltage = low_voltage.map(|raised| {
            match self.low_voltage.hear(now, raised) {
                Some(true) => self.news.push_back(News::Warn(
                    "the supply's voltage is too low: it takes a better supply, or a thicker and shorter cable".into(),
                )),
                Some(false) => self.news.push_back(News::Note("the supply's voltage is right again".into())),
                None => (),
            }
            self.low_voltage.trouble()
        });
        self.report.slowed = slowed.map(|raised| {
            match self.slowed.hear(now, raised) {
                Some(true) => {
                    let heat = self.report.celsius.map_or(String::new(), |celsius| format!(" at {celsius} °C"));
                    self.news.push_back(News::Warn(format!("the processor is slowed down for its heat{heat}")));
                }
                Some(false) => self.news.push_back(News::Note("the processor may run at its full clock again".into())),
                None => (),
            }
            self.slowed.trouble()
        });
    }

    /// Takes in what has become of the card.
    pub fn looked_at_card(&mut self, now: Instant, card: Option<CardState>) {
        self.card_due = now + CARD;
        if card == Some(CardState::Failing) && self.report.card != card {
            self.news.push_back(News::Warn(
                "the card is failing: its file system has met errors; a restart repairs what can be repaired, and \
                 another card is due"
                    .into(),
            ));
        }
        self.report.card = card;
    }

    /// Takes in that the sensors have not answered for a long time, so that nothing of what they said need be so any
    /// more.
    pub fn lost(&mut self) {
        self.report = Report::default();
        self.news.push_back(News::Warn("the board's sensors do not answer".into()));
    }

    /// Takes the next line for the log; drain this after every call that takes `now`.
    pub fn poll(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// How the board is.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

/// A trouble's comings and goings.
#[derive(Debug, Default)]
struct Spell {
    /// When it is over, unless it comes again before.
    until: Option<Instant>,
    ever: bool,
    /// When the log was last told that it is there, and whether it is still to be told that it is over.
    said: Option<Instant>,
    owed: bool,
}

impl Spell {
    /// Whether to say that it has come, or gone.
    fn hear(&mut self, now: Instant, raised: bool) -> Option<bool> {
        if raised {
            self.ever = true;
            self.until = Some(now + CALM);
        }
        self.until = self.until.filter(|until| now < *until);
        match (self.until.is_some(), self.owed) {
            (true, false) if self.said.is_none_or(|said| said + QUIET <= now) => {
                (self.said, self.owed) = (Some(now), true);
                Some(true)
            }
            (false, true) => {
                self.owed = false;
                Some(false)
            }
            _ => None,
        }
    }

    fn trouble(&self) -> Trouble {
        Trouble { now: self.until.is_some(), ever: self.ever }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A board that is read when it is due.
    struct Test {
        now: Instant,
        health: BoardHealth,
        said: Vec<News>,
    }

    impl Test {
        fn new() -> Test {
            let now = Instant::now();
            Test { now, health: BoardHealth::new(now, &Report::default()), said: Vec::new() }
        }

        /// Lets some seconds pass; gives how often the sensors were read.
        fn pass(&mut self, seconds: u64, readings: Readings) -> usize {
            let (end, mut reads) = (self.now + Duration::from_secs(seconds), 0);
            while self.health.deadline() < end {
                self.now = self.health.deadline();
                self.health.read(self.now, readings);
                if self.health.wants_card(self.now) {
                    self.health.looked_at_card(self.now, None);
                }
                self.said.extend(std::iter::from_fn(|| self.health.poll()));
                reads += 1;
            }
            self.now = end;
            reads
        }

        fn warnings(&self) -> usize {
            self.said.iter().filter(|news| matches!(news, News::Warn(_))).count()
        }
    }

    fn voltage(low: bool) -> Readings {
        Readings { low_voltage: Some(low), ..Readings::default() }
    }

    #[test]
    fn a_board_without_sensors_says_nothing_and_is_left_alone() {
        let mut test = Test::new();
        assert_eq!(40, test.pass(600, Readings::default()));
        assert_eq!((&Report::default(), 0), (test.health.report(), test.said.len()));
        let text = serde_json::to_value(test.health.report()).unwrap();
        assert!(text.as_object().unwrap().values().all(serde_json::Value::is_null), "{text}");
    }

    #[test]
    fn no_dip_of_the_voltage_is_missed_or_forgotten() {
        let mut test = Test::new();
        assert!(60 <= test.pass(60, voltage(false)), "more often than the kernel asks the firmware");
        assert_eq!(Some(Trouble { now: false, ever: false }), test.health.report().low_voltage);
        test.pass(1, voltage(true));
        assert_eq!(Some(Trouble { now: true, ever: true }), test.health.report().low_voltage);
        test.pass(62, voltage(false));
        assert_eq!(Some(Trouble { now: false, ever: true }), test.health.report().low_voltage);
        assert!(
            matches!(&test.said[..], [News::Warn(low), News::Note(right)]
            if low.contains("thicker") && right.contains("right again")),
            "{:?}",
            test.said
        );
        // Whoever follows it is started again, and the machine is not.
        let again = BoardHealth::new(test.now, test.health.report());
        assert!(again.low_voltage.ever && !again.slowed.ever);
    }

    #[test]
    fn a_supply_that_gives_way_again_and_again_is_logged_twice_an_hour() {
        for calm in [1, 59, 61, 600] {
            let mut test = Test::new();
            for _ in 0..3 * 3600 / (calm + 1) {
                test.pass(1, voltage(true));
                test.pass(calm, voltage(false));
            }
            assert!((1..=3).contains(&test.warnings()) && test.said.len() <= 6, "{calm} s: {:?}", test.said);
            assert_eq!(Some(true), test.health.report().low_voltage.map(|trouble| trouble.ever));
        }
    }

    #[test]
    fn heat_is_told_in_whole_degrees_and_a_slow_clock_once() {
        let mut test = Test::new();
        let hot = |celsius, slowed| Readings { low_voltage: None, celsius: Some(celsius), slowed: Some(slowed) };
        assert!((6..=8).contains(&test.pass(60, hot(48.4, false))), "now and then, with the looks at the card between");
        for celsius in [48.9, 47.1, 48.9] {
            test.pass(10, hot(celsius, false));
            assert_eq!(Some(48), test.health.report().celsius, "{celsius}");
        }
        test.pass(300, hot(82.6, true));
        assert_eq!(Some(83), test.health.report().celsius);
        test.pass(300, hot(70.0, false));
        assert_eq!(Some(Trouble { now: false, ever: true }), test.health.report().slowed);
        assert!(matches!(&test.said[..], [News::Warn(hot), News::Note(_)] if hot.contains("83 °C")), "{:?}", test.said);
    }

    #[test]
    fn a_sensor_that_goes_away_is_not_told_as_it_was() {
        let mut test = Test::new();
        test.pass(2, Readings { low_voltage: Some(true), celsius: Some(50.0), slowed: Some(false) });
        test.pass(62, Readings::default());
        assert_eq!(&Report::default(), test.health.report());
    }

    #[test]
    fn a_card_that_fails_is_told_of_once() {
        let mut test = Test::new();
        for round in 0..5 {
            let now = test.now + round * CARD;
            assert!(test.health.wants_card(now) && test.health.deadline() <= now);
            test.health.looked_at_card(now, Some(if round < 2 { CardState::Good } else { CardState::Failing }));
            assert!(!test.health.wants_card(now + CARD - Duration::from_millis(1)));
            test.said.extend(std::iter::from_fn(|| test.health.poll()));
        }
        assert_eq!(Some(CardState::Failing), test.health.report().card);
        assert!(
            matches!(&test.said[..], [News::Warn(said)] if said.contains("the card is failing")),
            "{:?}",
            test.said
        );
    }
}
