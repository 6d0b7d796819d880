//! Says how two configurations differ, what must start again for that to count, and whether it is tried first.
//!
//! One table has a rule for each key. What starts again costs somebody something: a picture for a second, or whatever
//! the keyboard holds. So nothing does that needs not.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{Config, Power};
use crate::base::seat_id::SeatId;

/// A part of the appliance that reads its configuration when it starts.
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The seats' pictures.
    Picture,
    /// Keyboard, pointer, relays and lamps.
    Keyboard,
    /// The appliance's address, routes and name servers.
    Network,
    /// What keeps the clock.
    Time,
    /// Page and API. Who watches is connected again within two seconds.
    Page,
    /// What judges the other parts, and feeds the watchdog.
    Guard,
}

impl Part {
    /// Every part.
    pub const ALL: [Part; 6] = [Part::Picture, Part::Keyboard, Part::Network, Part::Time, Part::Page, Part::Guard];
}

/// What follows from a change of the keys below a prefix.
struct Rule {
    /// The prefix, with `*` for the name of a seat.
    prefix: &'static str,
    restarts: &'static [Part],
    /// Whether a mistake could lock everybody out, so that the change has to be confirmed.
    on_trial: bool,
}

const fn rule(prefix: &'static str, restarts: &'static [Part], on_trial: bool) -> Rule {
    Rule { prefix, restarts, on_trial }
}

/// Every key there is. The longest prefix that fits counts.
const RULES: &[Rule] = &[
    rule("schema", &[], false),
    // The page has the name in its certificate and answers to it; a DHCP server hears it.
    rule("network.host", &[Part::Network, Part::Page], true),
    rule("network.address", &[Part::Network], true),
    rule("network.gateway", &[Part::Network], true),
    rule("network.dns", &[Part::Network], true),
    rule("network.mdns", &[Part::Page], true),
    rule("time.servers", &[Part::Time], false),
    // The guard asks the page how it is.
    rule("server.https", &[Part::Page, Part::Guard], true),
    rule("server.http", &[Part::Page], true),
    rule("server.names", &[Part::Page], true),
    rule("guard.watchdog", &[Part::Guard], false),
    rule("update", &[Part::Page], false),
    rule("seats.*.video", &[Part::Picture], false),
    // The guard confirms no release without a keyboard, if there is to be one.
    rule("seats.*.usb.controller", &[Part::Keyboard, Part::Guard], false),
    rule("seats.*.usb", &[Part::Keyboard], false),
    // Tried if it is another wiring: see `rewired`.
    rule("seats.*.power", &[Part::Keyboard], false),
];

/// A seat that comes or goes concerns whoever knows the seats.
const SEATS: &[Part] = &[Part::Picture, Part::Keyboard, Part::Page, Part::Guard];

/// A key whose value is another, or is there in one of two configurations only.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "`key` is the key, in full")]
pub struct Change {
    pub key: String,
    /// What it was.
    pub before: Option<Value>,
    /// What it is to be.
    pub after: Option<Value>,
}

impl Config {
    /// The whole configuration as a file has it, each key with what it is when it is left out.
    pub fn text(&self) -> String {
        self.table().to_string()
    }

    fn table(&self) -> Table {
        Table::try_from(self).expect("numbers, texts and lists of them are TOML, below keys that are texts")
    }

    fn keys(&self) -> BTreeMap<String, Value> {
        let mut keys = BTreeMap::new();
        flatten("", self.table(), &mut keys);
        keys
    }
}

fn flatten(prefix: &str, table: Table, keys: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, keys),
            value => _ = keys.insert(key, value),
        }
    }
}

/// The keys in which two configurations differ, by name.
pub fn changes(before: &Config, after: &Config) -> Vec<Change> {
    let (mut old, mut new) = (before.keys(), after.keys());
    let names: BTreeSet<String> = old.keys().chain(new.keys()).cloned().collect();
    let change = |key: String| {
        let (before, after) = (old.remove(&key), new.remove(&key));
        (before != after).then_some(Change { key, before, after })
    };
    names.into_iter().filter_map(change).collect()
}

/// What must start again so that `after` counts where `before` did.
pub fn restarts(before: &Config, after: &Config) -> BTreeSet<Part> {
    let changes = changes(before, after);
    let by_rule = changes.iter().filter_map(|change| rule_of(&change.key)).flat_map(|rule| rule.restarts);
    let seats: &[Part] = if before.seats.keys().eq(after.seats.keys()) { &[] } else { SEATS };
    by_rule.chain(seats).copied().collect()
}

/// Whether `after` is tried first where `before` counts, because a mistake in it could lock everybody out, or close a
/// relay for good.
pub fn needs_trial(before: &Config, after: &Config) -> bool {
    let locks_out = changes(before, after).iter().filter_map(|change| rule_of(&change.key)).any(|rule| rule.on_trial);
    locks_out || !rewired(before, after).is_empty()
}

/// The seats whose relays are driven otherwise: with another line or polarity, "open" may close one for good. A seat
/// that is not there has none.
pub fn rewired(before: &Config, after: &Config) -> BTreeSet<SeatId> {
    let none = Power::default();
    let power = |config: &Config, id| config.seats.get(id).map_or(none.clone(), |seat| seat.power.clone());
    let seats = before.seats.keys().chain(after.seats.keys());
    seats.filter(|id| power(before, id) != power(after, id)).cloned().collect()
}

fn rule_of(key: &str) -> Option<&'static Rule> {
    RULES.iter().filter(|rule| fits(rule.prefix, key)).max_by_key(|rule| rule.prefix.len())
}

fn fits(prefix: &str, key: &str) -> bool {
    let mut words = key.split('.');
    prefix.split('.').all(|wanted| words.next().is_some_and(|word| wanted == "*" || wanted == word))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every key that the reader knows, for one seat: it lists them itself when it refuses one that it does not know.
    pub fn every_key() -> Vec<String> {
        let mut keys = Vec::new();
        walk("", &mut keys);
        keys
    }

    fn walk(table: &str, keys: &mut Vec<String>) {
        let unknown = format!("{table}{}zzz = 1", if table.is_empty() { "" } else { "." });
        let error = Config::parse(&unknown).unwrap_err().to_string();
        let Some((_, names)) = error.split_once("unknown field `zzz`, expected ") else {
            match table {
                // Its keys are the seats' names.
                "seats" => walk("seats.main", keys),
                key => keys.push(key.into()),
            }
            return;
        };
        let names: Vec<&str> = names.lines().next().unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{error}");
        for name in names {
            walk(&if table.is_empty() { name.to_string() } else { format!("{table}.{name}") }, keys);
        }
    }

    fn config(text: &str) -> Config {
        Config::parse(text).unwrap()
    }

    #[test]
    fn every_key_has_a_rule_and_every_rule_a_key() {
        let keys = every_key();
        assert!(25 < keys.len() && keys.iter().any(|key| key == "seats.main.power.chip"), "{keys:?}");
        for key in &keys {
            assert!(rule_of(key).is_some(), "{key}: say in RULES what must start again when it changes");
        }
        for rule in RULES {
            assert!(keys.iter().any(|key| rule_of(key).is_some_and(|of| of.prefix == rule.prefix)), "{}", rule.prefix);
        }
    }

    #[test]
    fn every_key_is_written_and_read_again() {
        let text = "network = {host = \"a\", address = \"192.0.2.10/24\", gateway = \"192.0.2.1\", dns = [\"::1:2\"]}\n\
                    update.url = \"https://a/b\"\ntime.servers = [\"ntp.example.org\"]\nserver.http = \"none\"\n\
                    [seats.main.power]\ndriver = \"gpiocdev\"\nchip = \"/dev/gpiochip4\"\npower = 3\n\
                    [seats.main.video]\ndevice = \"usb:1-1.3\"\nsize = \"1280x720\"\n";
        for text in [text, "", "guard.watchdog = \"/dev/watchdog1\"\nseats.a.usb.controller = \"x.usb\""] {
            let config = config(text);
            assert_eq!(config, Config::parse(&config.text()).unwrap());
        }
        let written = config(text).keys();
        // A certificate is checked with what it is for; it is a text like others.
        let missing: Vec<_> = every_key().into_iter().filter(|key| !written.contains_key(key)).collect();
        assert_eq!(["update.ca"], missing[..]);
    }

    #[test]
    fn nothing_starts_again_that_needs_not() {
        let before = config("");
        for (text, parts, on_trial) in [
            ("# nothing but a comment", vec![], false),
            ("network.host = \"\"", vec![], false),
            ("network.host = \"rack-7\"", vec![Part::Network, Part::Page], true),
            ("network.address = \"192.0.2.10/24\"", vec![Part::Network], true),
            ("time.servers = [\"ntp.example.org\"]", vec![Part::Time], false),
            ("server.https = \"[::]:8443\"", vec![Part::Page, Part::Guard], true),
            ("seats.main.video.size = \"1280x720\"", vec![Part::Picture], false),
            ("seats.main.usb.name = \"Keyboard\"", vec![Part::Keyboard], false),
            ("seats.main.usb.controller = \"none\"", vec![Part::Keyboard, Part::Guard], false),
            ("seats.main.power = {driver = \"rppal\", power = 17}", vec![Part::Keyboard], true),
            ("seats.rack-7.video.size = \"auto\"", SEATS.to_vec(), false),
        ] {
            let after = config(text);
            assert_eq!(parts, restarts(&before, &after).into_iter().collect::<Vec<_>>(), "{text}");
            assert_eq!(restarts(&before, &after), restarts(&after, &before), "{text}");
            assert_eq!(on_trial, needs_trial(&before, &after), "{text}");
        }
    }

    #[test]
    fn another_wiring_of_relays_is_known_by_its_seat() {
        let wired =
            "[seats.main.power]\ndriver = \"gpiocdev\"\nchip = \"/dev/gpiochip0\"\npower = 17\nactive_low = true\n";
        let seats = |before: &str, after: &str| {
            let seats = rewired(&config(before), &config(after));
            assert!(seats.is_empty() || needs_trial(&config(before), &config(after)));
            seats.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for (from, to) in [("17", "18"), ("= true", "= false"), ("chip0", "chip1"), ("power = 17", "reset = 17")] {
            assert_eq!(["main"], seats(wired, &wired.replace(from, to))[..], "{to}");
        }
        assert_eq!(["main"], seats("", wired)[..]);
        assert_eq!(["main"], seats(wired, "[seats.other]")[..]);
        assert_eq!(["main", "other"], seats(wired, &wired.replace("main", "other"))[..]);
        for (before, after) in [("", "[seats.other]"), (wired, &format!("{wired}[seats.main.usb]\nname = \"A\"\n"))] {
            assert!(seats(before, after).is_empty(), "{after}");
        }
    }

    #[test]
    fn a_difference_is_said_key_by_key() {
        let (before, after) = (
            config("seats.main.usb.name = \"A\""),
            config(
                "network.gateway = \"192.0.2.1\"\n\
            network.address = \"192.0.2.10/24\"\nseats.main.usb.name = \"B\"",
            ),
        );
        let changed: Vec<String> = changes(&before, &after).into_iter().map(|change| change.key).collect();
        assert_eq!(["network.address", "network.gateway", "seats.main.usb.name"], changed[..]);
        let gateway = changes(&before, &after).remove(1);
        assert_eq!((None, Some(Value::String("192.0.2.1".into()))), (gateway.before, gateway.after));
    }
}
