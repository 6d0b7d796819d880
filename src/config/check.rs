//! Says all that is wrong with a configuration's text, each with its place, as an editor can show it.
//!
//! Whether a text is good is what [`layers::read`] says, as at every start; in addition, nothing in it may be unusable,
//! which a start only warns of. Only what is wrong is explained here: the reader stops at the first mistake, so what it
//! objects to is taken away until it objects to something else.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize as _, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::error::ConfigError;
use super::{Config, forward, layers};

/// The longest text that is taken: ten times one with every key and its comment.
pub const LONGEST: usize = 64 * 1024;

/// The most keys that are taken. An owner with eight seats has two hundred.
pub const MOST_KEYS: usize = 2000;

/// More mistakes than an owner corrects at once.
const MOST_FINDINGS: usize = 20;

/// A value is shown up to here.
const LONGEST_VALUE: usize = 64;

/// A mistake in a configuration.
#[derive(schemars::JsonSchema, Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The key at fault, in full.
    pub key: Option<String>,
    /// Its value as it is written, or the first characters of it.
    pub value: Option<String>,
    /// What is wrong, in words.
    pub message: String,
    /// What would do, in words.
    pub accepted: Option<String>,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The character in that line, counted from 1.
    pub column: Option<usize>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// What there is to say about a text.
#[derive(Debug, PartialEq)]
#[expect(missing_docs, reason = "`warnings` are sentences for a person")]
pub struct Checked {
    /// What would count; or all that is wrong.
    pub outcome: Result<Config, Vec<Finding>>,
    pub warnings: Vec<String>,
}

/// Checks an owner's text as it would be in force: laid over that of the board.
pub fn check(board: &str, text: &str) -> Checked {
    if LONGEST < text.len() {
        return refused(None, format!("the text is {} bytes long, and {LONGEST} are taken", text.len()));
    }
    let number = DeTable::parse(text).map_or(0, |table| count(table.get_ref()));
    if MOST_KEYS < number {
        return refused(None, format!("there are {number} keys, and {MOST_KEYS} are taken"));
    }
    match layers::read(board, text) {
        Ok(reading) if !reading.config.unusable().is_empty() => {
            let table = DeTable::parse(text).ok();
            let table = table.as_ref().map(Spanned::get_ref);
            let found = reading.config.unusable().iter().map(|error| finding(text, table, error)).collect();
            Checked { outcome: Err(found), warnings: Vec::new() }
        }
        Ok(reading) => {
            let warnings = reading.warnings.into_iter().chain(reading.config.warnings()).collect();
            Checked { outcome: Ok(reading.config), warnings }
        }
        Err(error) => Checked { outcome: Err(findings(text, &error)), warnings: Vec::new() },
    }
}

fn refused(key: Option<String>, message: String) -> Checked {
    let finding = Finding { key, value: None, message, accepted: None, line: None, column: None };
    Checked { outcome: Err(vec![finding]), warnings: Vec::new() }
}

fn count(table: &DeTable) -> usize {
    table.iter().map(|(_, value)| 1 + count_in(value.get_ref())).sum()
}

fn count_in(value: &DeValue) -> usize {
    match value {
        DeValue::Table(table) => count(table),
        DeValue::Array(list) => list.iter().map(|value| count_in(value.get_ref())).sum(),
        _ => 0,
    }
}

/// All that is wrong with a text of which the reader says this.
fn findings(text: &str, first: &ConfigError) -> Vec<Finding> {
    let Ok(mut table) = DeTable::parse(text) else { return vec![finding(text, None, first)] };
    let mut found = Vec::new();
    while found.len() < MOST_FINDINGS && !forward::is_newer(text) {
        // What does not go together with another value may do so when that one is right. So it is no mistake yet.
        let Err(error) = Config::deserialize(Deserializer::from(table.clone())) else { break };
        let error = ConfigError::from(error);
        found.push(finding(text, Some(table.get_ref()), &error));
        let place = place(table.get_ref(), &error);
        if !place.is_some_and(|place| forward::remove(table.get_mut(), &place)) {
            break;
        }
    }
    if found.is_empty() {
        found.push(finding(text, Some(table.get_ref()), first));
    }
    found
}

fn finding(text: &str, table: Option<&DeTable>, error: &ConfigError) -> Finding {
    let place = table.and_then(|table| place(table, error));
    let stands = table.zip(place.as_deref()).and_then(|(table, place)| span_of(table, place));
    let (message, start) = match error {
        ConfigError::Parse(parse) => (parse.message().to_string(), parse.span().map(|span| span.start)),
        ConfigError::Conflict { problem, .. } => (problem.clone(), stands.as_ref().map(|span| span.start)),
    };
    let value = stands.and_then(|span| text.get(span)).map(|value| value.chars().take(LONGEST_VALUE).collect());
    let (line, column) = start.map(|start| position(text, start)).unzip();
    let accepted = accepted(&message);
    let key = place.map(|place| place.join("."));
    // Numbers have names in Rust that mean nothing to an owner.
    let message = NUMBERS.iter().fold(message, |text, (name, range)| text.replace(&format!("expected {name}"), range));
    Finding { key, value, message, accepted, line, column }
}

/// The key at fault. That of values which do not go together is named in full, and may not be in this text.
fn place(table: &DeTable, error: &ConfigError) -> Option<forward::Place> {
    match error {
        ConfigError::Parse(parse) => forward::place_of(table, &parse.span()?),
        ConfigError::Conflict { key, .. } => Some(key.split('.').map(String::from).collect()),
    }
}

/// Where the value of a key stands; of one that is missing, the table that it would be in.
fn span_of(table: &DeTable, place: &[String]) -> Option<Range<usize>> {
    let (key, rest) = place.split_first()?;
    let value: &Spanned<DeValue> = table.get(key.as_str())?;
    match value.get_ref() {
        DeValue::Table(inner) if !rest.is_empty() => span_of(inner, rest).or(Some(value.span())),
        _ => Some(value.span()),
    }
}

/// Line and column of a place, both counted from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// What Rust calls a range, and what it is.
const NUMBERS: &[(&str, &str)] = &[("u16", "must be 0 to 65535"), ("u32", "must be 0 to 4294967295")];

/// What would do where the library names none, by what it says.
const SYNTAXES: &[(&str, &str)] = &[
    ("invalid IP address syntax", "an IPv4 or IPv6 address, such as \"192.0.2.1\""),
    ("invalid socket address syntax", "an address and a port, such as \"[::]:443\""),
    ("a boolean", "true or false"),
];

/// What would do, as far as the message names it.
fn accepted(message: &str) -> Option<String> {
    if let Some((_, what)) = SYNTAXES.iter().find(|(said, _)| message.contains(said)) {
        return Some((*what).into());
    }
    let number = NUMBERS.iter().find(|(name, _)| message.ends_with(&format!("expected {name}")));
    if let Some((_, range)) = number {
        return Some(range.trim_start_matches("must be ").into());
    }
    let (_, accepted) = message.split_once(" must be ").or_else(|| message.split_once(" expected "))?;
    Some(accepted.trim_start_matches("one of ").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<Finding> {
        check("", text).outcome.unwrap_err()
    }

    #[track_caller]
    fn finds(text: &str, key: &str, value: Option<&str>, accepted: &str, place: (usize, usize)) {
        let found = errors(text);
        let [finding] = &found[..] else { panic!("{found:?}") };
        assert_eq!((Some(key), value), (finding.key.as_deref(), finding.value.as_deref()), "{finding:?}");
        assert!(finding.accepted.as_deref().is_some_and(|said| said.contains(accepted)), "{finding:?}");
        assert_eq!(Some(place), finding.line.zip(finding.column), "{finding:?}");
    }

    #[test]
    fn a_mistake_is_said_with_key_value_range_and_place() {
        finds("\n[network]\nhost = \"a b\"", "network.host", Some("\"a b\""), "1 to 63", (3, 8));
        finds("network = { hots = \"a\" }", "network.hots", Some("\"a\""), "`host`", (1, 13));
        finds("[seats.main.usb]\nvendor = 70000", "seats.main.usb.vendor", Some("70000"), "0 to 65535", (2, 10));
        finds("network.mdns = 1", "network.mdns", Some("1"), "true or false", (1, 16));
        finds("network.dns = [\"::1\", \"x\"]", "network.dns", Some("[\"::1\", \"x\"]"), "192.0.2.1", (1, 23));
        finds("server.https = \"443\"", "server.https", Some("\"443\""), "[::]:443", (1, 16));
        let two = "[seats.main.power]\ndriver = \"rppal\"\n# \u{e4}\npower = 45";
        finds(two, "seats.main.power.power", Some("45"), "2 to 27", (4, 9));
    }

    #[test]
    fn all_mistakes_are_said_at_once() {
        let text =
            "[network]\nhost = \"a b\"\ngateway = \"192.0.2.1\"\naddress = \"x\"\n[guard]\nwatchdoc = \"auto\"\n";
        let keys: Vec<_> = errors(text).into_iter().map(|finding| finding.key.unwrap()).collect();
        // The gateway is none: it would need the address that is wrong.
        let mut sorted = keys.clone();
        sorted.sort();
        assert_eq!(["guard.watchdoc", "network.address", "network.host"], sorted[..], "{keys:?}");
        let many: String = (0..100).map(|number| format!("a{number} = 1\n")).collect();
        assert_eq!(MOST_FINDINGS, errors(&many).len());
    }

    #[test]
    fn what_is_no_toml_is_said_with_its_place() {
        let found = errors("[network]\nhost = \n");
        assert_eq!((1, Some(2)), (found.len(), found[0].line), "{found:?}");
    }

    #[test]
    fn what_does_not_go_together_with_the_board_is_said_without_a_place_in_it() {
        let board = "[seats.main.power]\ndriver = \"rppal\"\npower = 17\n";
        let found = check(board, "[seats.main.power]\nreset = 17").outcome.unwrap_err();
        assert_eq!((Some("seats.main.power.reset"), Some(2)), (found[0].key.as_deref(), found[0].line));
        let found = check("[network]\ngateway = \"192.0.2.1\"", "guard.watchdog = \"none\"").outcome.unwrap_err();
        assert_eq!((Some("network.gateway"), None), (found[0].key.as_deref(), found[0].line));
    }

    #[test]
    fn a_text_has_an_end() {
        let long = format!("#{}", "x".repeat(LONGEST));
        assert!(errors(&long)[0].message.contains("65536"));
        let keys: String = (0..=MOST_KEYS).map(|number| format!("a{number}=1\n")).collect();
        assert!(errors(&keys)[0].message.contains("2000"));
        let nested = format!("a = [{}]", "{b=1},".repeat(MOST_KEYS));
        assert!(errors(&nested)[0].message.contains("2001 keys"));
        let deep = "a=".to_string() + &"[".repeat(30_000);
        assert_eq!(1, errors(&deep).len());
    }

    #[test]
    fn what_is_found_good_is_what_every_process_starts_with() {
        let values = [
            "true",
            "false",
            "0",
            "2",
            "17",
            "27",
            "45",
            "-1",
            "70000",
            "1.5",
            "{}",
            "[]",
            "\"\"",
            "\"auto\"",
            "\"none\"",
            "\"dhcp\"",
            "\"192.0.2.10/24\"",
            "\"192.0.2.0/24\"",
            "\"192.0.2.1\"",
            "[\"192.0.2.1\"]",
            "[\"a b\"]",
            "\"rppal\"",
            "\"gpiocdev\"",
            "\"/dev/gpiochip0\"",
            "\"1280x720\"",
            "\"[::]:443\"",
            "\"[::]:0\"",
            "\"https://a/b\"",
            "\"rack-7\"",
            "\"a b\"",
            "\"key\"",
            "\"usb:1-1.3\"",
            "\"/dev/watchdog0\"",
            "x",
        ];
        let mut keys = super::super::change::tests::every_key();
        keys.push("network.hots".into());
        let (mut state, mut good, mut bad) = (0x2545_f491_4f6c_dd1d_u64, 0, 0);
        let mut draw = |most: usize| {
            // Xorshift: the same draw in each run.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % u64::try_from(most).unwrap()).unwrap()
        };
        for round in 0..2000 {
            let mut text = String::new();
            for _ in 0..1 + draw(3) {
                let key = &keys[draw(keys.len())];
                if !text.contains(key.as_str()) {
                    text += &format!("{key} = {}\n", values[draw(values.len())]);
                }
            }
            let starts = forward::read(&text);
            match check("", &text).outcome {
                Ok(config) => {
                    assert_eq!(config, starts.unwrap().config, "round {round}:\n{text}");
                    good += 1;
                }
                Err(found) => {
                    let is_refused = starts.map_or(true, |reading| !reading.config.unusable().is_empty());
                    assert!(is_refused && !found.is_empty(), "round {round}:\n{text}");
                    assert!(found.iter().all(|finding| finding.line.is_some()), "{found:?}\n{text}");
                    bad += 1;
                }
            }
        }
        assert!(100 < good && 100 < bad, "{good} good and {bad} bad");
    }

    #[test]
    fn what_surprises_is_a_warning() {
        let checked =
            check("", "schema = 3\nnew = 1\nseats.a.video.size = \"auto\"\nseats.b.usb.controller = \"none\"");
        assert!(checked.outcome.is_ok(), "{checked:?}");
        let said = checked.warnings.join("\n");
        assert!(said.contains("new is passed over") && said.contains("look for a dongle"), "{said}");
    }
}
