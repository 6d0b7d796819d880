//! Reads a configuration that a newer version has written, as far as this one understands it.
//!
//! After an update was taken back, the older version meets a file with keys it has never heard of. To refuse it would
//! leave the owner without a page at the moment they need it most. So what is not understood is ignored, and reported.
//! A file of our own time is read strictly all the same: there an unknown key is a misspelt one.
//!
//! ```toml
//! schema = 3                 # newer than ours, so this file is read for what we know
//! [server]
//! http3 = "[::]:443"         # ignored: no such key; server.http and the others count
//! [seats.main.video]
//! size = "native"            # ignored: no such value; the default counts
//! [seats.main.power]         # ignored whole: half of what is known of a relay is worse than nothing
//! driver = "rppal"
//! power = 17
//! debounce = 5
//! ```

use std::ops::Range;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::error::ConfigError;
use super::{Config, SCHEMA};

/// How many bytes are read in all. Each thing that is ignored costs another reading of the whole file: thousands in one
/// of a kilobyte, and dozens in one of a megabyte, which no owner writes.
const MOST_READ: usize = 16 << 20;

/// A configuration, with what was ignored to get it.
#[derive(Debug, PartialEq)]
pub struct Reading {
    /// What counts.
    pub config: Config,
    /// What does not, each as a sentence for a person; empty unless the file is of a newer schema.
    pub warnings: Vec<String>,
}

/// Reads a configuration file's text: strictly, unless it says that it is of a schema newer than ours.
pub fn read(text: &str) -> Result<Reading, ConfigError> {
    read_known(text).map(Reading::with_unusable)
}

impl Reading {
    /// The same, with what counts and cannot be as it is named.
    pub(super) fn with_unusable(mut self) -> Reading {
        self.warnings.extend(self.config.unusable().iter().map(|error| format!("{error}; it counts as it is")));
        self
    }
}

pub(super) fn read_known(text: &str) -> Result<Reading, ConfigError> {
    match Config::parse(text) {
        Ok(config) if config.schema <= SCHEMA => Ok(Reading { config, warnings: Vec::new() }),
        Err(error) if !is_newer(text) => Err(error),
        _ => pass_over(text, SCHEMA, |table| {
            let read = Config::deserialize(Deserializer::from(table.clone()));
            read.map_err(ConfigError::from).and_then(Config::checked)
        })
        .map(|(config, warnings)| Reading { config, warnings }),
    }
}

pub(super) fn is_newer(text: &str) -> bool {
    is_newer_than(SCHEMA, text)
}

fn is_newer_than(known: u32, text: &str) -> bool {
    let Ok(table) = DeTable::parse(text) else { return false };
    let schema = table.get_ref().get("schema").and_then(|value| value.get_ref().as_integer()?.as_str().parse().ok());
    schema.is_some_and(|schema: u64| u64::from(known) < schema)
}

/// Takes away what the strict reader objects to until it objects no more. Each round takes something, so there is an
/// end.
fn pass_over<T>(
    text: &str,
    known: u32,
    strict: impl Fn(&Spanned<DeTable>) -> Result<T, ConfigError>,
) -> Result<(T, Vec<String>), ConfigError> {
    let mut table = DeTable::parse(text)?;
    let newer = format!("this file is of a newer schema than {known}, which this version knows");
    let mut warnings = vec![newer];
    for _ in 0..MOST_READ / text.len().max(1) {
        let error = match strict(&table) {
            Ok(config) => return Ok((config, warnings)),
            Err(error) => error,
        };
        let (place, reason) = match &error {
            ConfigError::Parse(parse) => {
                (parse.span().and_then(|span| place_of(table.get_ref(), &span)), parse.message().to_string())
            }
            ConfigError::Conflict { key, problem } => {
                (Some(key.split('.').map(String::from).collect()), problem.clone())
            }
        };
        let place = place.map(whole_relay);
        match place.filter(|place| remove(table.get_mut(), place)) {
            Some(place) => warnings.push(format!("{} is passed over: {reason}", place.join("."))),
            None => return Err(error),
        }
    }
    let problem = "is of a newer version, and too much of this file is unknown to this one for a file of its length";
    Err(ConfigError::conflict("schema", problem))
}

/// A key after those of the tables that it is in. A key may have a dot in it.
pub(super) type Place = Vec<String>;

/// The whole table of a seat's relays for any key in it. Half of a relay's keys are worse than none: with its polarity
/// unknown, we would close it in order to open it.
fn whole_relay(mut place: Place) -> Place {
    if place.first().is_some_and(|key| key == "seats") && place.get(2).is_some_and(|key| key == "power") {
        place.truncate(3);
    }
    place
}

/// The key that stands there in the text, or whose value does.
pub(super) fn place_of(table: &DeTable, span: &Range<usize>) -> Option<Place> {
    let found = table.iter().find(|(key, value)| {
        let (name, content) = (key.span(), value.span());
        let is_leaf = value.get_ref().as_table().is_none();
        name == *span || content == *span || (is_leaf && content.start <= span.start && span.end <= content.end)
    });
    if let Some((key, _)) = found {
        return Some(vec![key.get_ref().to_string()]);
    }
    // A table's own place is its header alone, so those inside it stand elsewhere.
    table.iter().find_map(|(key, value)| {
        let mut place = place_of(value.get_ref().as_table()?, span)?;
        place.insert(0, key.get_ref().to_string());
        Some(place)
    })
}

/// Takes away what stands there. False: there is no such thing.
pub(super) fn remove(table: &mut DeTable, place: &[String]) -> bool {
    match place {
        [] => false,
        [key] => table.remove(key.as_str()).is_some(),
        [key, rest @ ..] => match table.get_mut(key.as_str()).map(Spanned::get_mut) {
            Some(DeValue::Table(inner)) => remove(inner, rest),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::edit::with_schema;
    use crate::config::{RelayDriver, Seat};

    /// As the next version may write it: new tables, new keys in old tables, and a new value for an old key.
    const NEXT: &str = include_str!("../../tests/data/farhand-next.toml");

    #[test]
    fn a_file_of_the_next_version_is_read_for_what_we_know() {
        let Reading { config, warnings } = read(NEXT).unwrap();
        assert_eq!(["kvm.example.org"].as_slice(), config.server.names);
        let seat: &Seat = config.seats.values().next().unwrap();
        assert_eq!((Some(17), "Anna's"), (seat.power.power.map(|line| line.0), seat.usb.name.as_str()));
        assert_eq!(RelayDriver::Rppal, seat.power.driver);
        let said = warnings.join("\n");
        for name in ["audit", "server.http3", "seats.main.video.codec", "seats.main.video.size", "seats.main.audio"] {
            assert!(said.contains(&format!("{name} is passed over")), "{name} is not in:\n{said}");
        }
        assert_eq!(6, warnings.len(), "the schema, and five things: {said}");
    }

    /// The reader of the release before pictures had a range, as strict as it was with a file of its own schema.
    mod older {
        use super::super::*;
        use std::collections::BTreeMap;

        const SCHEMA: u32 = 1;

        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Config {
            #[serde(rename = "schema")]
            _schema: Option<u32>,
            #[serde(default)]
            seats: BTreeMap<String, Seat>,
        }

        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Seat {
            video: Video,
        }

        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Video {
            size: String,
        }

        /// The size of the seat's picture, and the warnings.
        pub fn read(text: &str) -> Result<(String, Vec<String>), ConfigError> {
            let strict = |table: &Spanned<DeTable>| Ok(Config::deserialize(Deserializer::from(table.clone()))?);
            let read = match strict(&DeTable::parse(text)?) {
                Err(_) if is_newer_than(SCHEMA, text) => pass_over(text, SCHEMA, strict),
                read => read.map(|config| (config, Vec::new())),
            };
            read.map(|(config, warnings)| (config.seats["main"].video.size.clone(), warnings))
        }
    }

    #[test]
    fn what_an_earlier_version_took_counts_as_it_is_and_is_warned_of() {
        let fixed = "network.address = \"192.0.2.2/24\"\nserver.https = \"192.0.2.3:443\"";
        for text in ["network.dns = [\"127.0.0.1\"]", "server.http = \"[::]:0\"", fixed, "server.https = \"[::]:79\""] {
            let Reading { config, warnings } = read(text).unwrap();
            assert_ne!(Config::default(), config);
            assert!(warnings.len() == 1 && warnings[0].contains("must be"), "{warnings:?}");
            let over = crate::config::layers::read("guard.watchdog = \"none\"", text).unwrap();
            assert_eq!((&warnings, &config.server), (&over.warnings, &over.config.server));
            assert!(crate::config::check::check("", text).outcome.is_err(), "{text}");
            assert!(crate::config::boot_card::Card::parse("", text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_we_store_the_release_before_reads_as_far_as_it_knows_it() {
        let text = "# mine\n[seats.main.video]\nsize = \"1280x720\"\nrange = \"full\"\n";
        assert!(read(text).unwrap().warnings.is_empty(), "a text without a schema is read strictly, and we know all");
        assert!(older::read(text).is_err(), "it would start in rescue mode");
        for text in [text.to_string(), format!("schema = 1\n{text}")] {
            let stored = with_schema(&text);
            assert!(read(&stored).unwrap().warnings.is_empty() && stored.contains("# mine"), "{stored}");
            let (size, warnings) = older::read(&stored).unwrap();
            assert_eq!(("1280x720", 2), (size.as_str(), warnings.len()), "{warnings:?}");
            assert!(warnings[1].starts_with("seats.main.video.range is passed over"), "{warnings:?}");
        }
    }

    #[test]
    fn a_text_of_the_schema_before_is_read_strictly() {
        let good = read("schema = 1\nseats.main.video.range = \"full\"").unwrap();
        assert_eq!((Vec::<String>::new(), 1), (good.warnings, good.config.schema));
        assert!(read("schema = 1\nnew = 1").is_err());
    }

    #[test]
    fn the_same_file_without_its_schema_is_refused() {
        let ours = NEXT.replace("schema = 3", "schema = 2");
        assert_ne!(NEXT, ours);
        assert!(read(&ours).is_err());
        assert!(read(&NEXT.replace("schema = 3", "")).is_err());
    }

    #[test]
    fn what_we_wrote_reads_without_a_word() {
        for text in ["", "schema = 2", include_str!("../../overlay/etc/farhand.toml")] {
            assert_eq!(Reading { config: Config::default(), warnings: vec![] }, read(text).unwrap());
        }
        let good = read("schema = 3\n[server]\nnames = [\"kvm\"]").unwrap();
        assert_eq!((1, 3), (good.warnings.len(), good.config.schema), "nothing was passed over, and its age is said");
    }

    #[test]
    fn a_driver_that_we_do_not_know_takes_its_lines_with_it() {
        let text = "schema = 9\n[seats.main.power]\ndriver = \"pcf8574\"\npower = 3\nreset = 4\n";
        let Reading { config, warnings } = read(text).unwrap();
        let power = &config.seats.values().next().unwrap().power;
        assert_eq!((RelayDriver::None, None, None), (power.driver, power.power, power.reset));
        assert_eq!(2, warnings.len(), "{warnings:?}");
    }

    #[test]
    fn a_relay_of_which_we_do_not_know_everything_is_none() {
        for half in ["active_low = \"auto\"", "debounce = 5"] {
            let text = format!("schema = 3\n[seats.main.power]\ndriver = \"rppal\"\npower = 17\n{half}\n");
            let power = &read(&text).unwrap().config.seats.values().next().unwrap().power.clone();
            assert_eq!((RelayDriver::None, None), (power.driver, power.power), "{half}");
        }
    }

    #[test]
    fn a_key_with_a_dot_in_it_is_one_key() {
        let Reading { config, warnings } = read("schema = 3\n\"a.b\" = 1\n[server]\n\"c.d\" = 2\n").unwrap();
        assert_eq!((&Config::default().server, 3), (&config.server, warnings.len()), "{warnings:?}");
        assert!(warnings[1].starts_with("a.b is") && warnings[2].starts_with("server.c.d is"), "{warnings:?}");
    }

    #[test]
    fn a_long_file_of_which_nothing_is_known_is_refused() {
        let unknown = |number: usize| (0..number).map(|key| format!("unknown-{key} = 1\n")).collect::<String>();
        let error = read(&format!("schema = 3\n{}", unknown(50_000))).unwrap_err().to_string();
        assert!(error.contains("schema") && error.contains("too much"), "{error}");
        let some = read(&format!("schema = 3\n{}", unknown(200))).unwrap();
        assert_eq!(201, some.warnings.len());
    }

    #[test]
    fn a_file_that_is_no_toml_is_refused_at_any_age() {
        assert!(read("schema = 3\n[server").is_err());
        assert!(read("schema = \"3\"").is_err());
        assert!(read("schema = -1").is_err());
    }
}
