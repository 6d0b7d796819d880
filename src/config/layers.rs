//! Lays an owner's configuration over that of their board.
//!
//! A board's own says which pins its relays hang on. An owner who wants a host name writes that and nothing else, and
//! must not lose the relays by it. So tables are joined, key by key, and of a key that both have the owner's value
//! counts.

use toml::{Table, Value};

use super::error::ConfigError;
use super::forward::{self, Reading};

/// Reads what `text` makes of `base`, as [`forward::read`] does.
pub fn read(base: &str, text: &str) -> Result<Reading, ConfigError> {
    match forward::read_known(text) {
        // Said with its line, as the owner's editor counts.
        Err(error @ ConfigError::Parse(_)) => Err(error),
        // It may go together with what the board says.
        alone => {
            let config = forward::read_known(&join(base, text)?)?.config;
            let warnings = alone.map(|reading| reading.warnings).unwrap_or_default();
            Ok(Reading { config, warnings }.with_unusable())
        }
    }
}

/// The text of both together.
pub fn join(base: &str, text: &str) -> Result<String, ConfigError> {
    let (mut table, over): (Table, Table) = (toml::from_str(base)?, toml::from_str(text)?);
    // An owner who names the seats names all of them: a board's own must not stay next to one of another name.
    if let (Some(Value::Table(below)), Some(Value::Table(over))) = (table.get_mut("seats"), over.get("seats")) {
        below.retain(|seat, _| over.contains_key(seat));
    }
    lay(&mut table, over);
    Ok(table.to_string())
}

fn lay(table: &mut Table, over: Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(over)) => lay(below, over),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::edit::with_schema;
    use crate::config::{Config, SCHEMA};

    const BOARD: &str = include_str!("../../board/rpi4/overlay/etc/farhand.toml");

    #[test]
    fn a_host_name_costs_no_relay() {
        let mine = read(BOARD, "[network]\nhost = \"rack-7\"\n").unwrap().config;
        let board = Config::parse(BOARD).unwrap();
        assert_eq!(board.seats, mine.seats);
        assert_eq!(Config::parse("network.host = \"rack-7\"").unwrap().network, mine.network);
    }

    #[test]
    fn an_owner_moves_one_line_and_keeps_the_others() {
        let power = |config: &Config| config.seats.values().next().unwrap().power.clone();
        let board = power(&Config::parse(BOARD).unwrap());
        let mine = power(&read(BOARD, "[seats.main.power]\nreset = 5\n").unwrap().config);
        assert_eq!((board.power, Some(5)), (mine.power, mine.reset.map(|line| line.0)));
        assert_eq!(board.driver, mine.driver);
        assert!(Config::parse("[seats.main.power]\nreset = 5\n").is_err(), "alone it has no driver");
    }

    #[test]
    fn an_owner_takes_away_a_line_that_the_board_names() {
        let power = |config: &Config| config.seats.values().next().unwrap().power.clone();
        let board = power(&Config::parse(BOARD).unwrap());
        assert!(board.reset.is_some() && board.disk_led.is_some());
        let text = "[seats.main.power]\nreset = \"none\"\ndisk_led = \"none\"\n";
        let mine = power(&read(BOARD, text).unwrap().config);
        assert_eq!((board.power, None, None), (mine.power, mine.reset, mine.disk_led));
        let error = read(BOARD, "[seats.main.power]\nreset = \"off\"\n").unwrap_err().to_string();
        assert!(error.contains("\"off\"") && error.contains("\"none\""), "{error}");
    }

    #[test]
    fn a_list_is_replaced_as_a_whole() {
        let mine = read("[time]\nservers = [\"a\", \"b\"]\n", "[time]\nservers = []\n").unwrap().config;
        assert_eq!(Config::default().time, mine.time);
    }

    #[test]
    fn a_seat_of_another_name_takes_the_place_of_the_boards() {
        let mine = read(BOARD, "[seats.rack-7.video]\ndevice = \"/dev/video2\"\n").unwrap().config;
        assert_eq!(["rack-7"], mine.seats.keys().map(ToString::to_string).collect::<Vec<_>>()[..]);
    }

    #[test]
    fn a_misspelt_key_is_said_with_the_owners_line() {
        let error = read(BOARD, "\n\n[network]\nhots = \"rack-7\"\n").unwrap_err().to_string();
        assert!(error.contains("line 4"), "{error}");
    }

    #[test]
    fn what_does_not_go_together_is_refused_together() {
        let error = read(BOARD, "[seats.main.power]\nreset = 17\n").unwrap_err().to_string();
        assert!(error.contains("17"), "{error}");
    }

    #[test]
    fn the_owners_schema_says_how_both_are_read() {
        for (board, text, schema) in
            [("schema = 1", "schema = 3", 3), ("schema = 2", "schema = 1", 1), ("", "schema = 3", 3)]
        {
            let joined: Table = join(board, text).unwrap().parse().unwrap();
            assert_eq!(Some(schema), joined["schema"].as_integer(), "{board} {text}");
        }
        let joined: Table = join(BOARD, &with_schema("network.host = \"a\"")).unwrap().parse().unwrap();
        assert_eq!(Some(i64::from(SCHEMA)), joined["schema"].as_integer());
    }

    #[test]
    fn a_newer_file_is_passed_over_where_it_is_unknown() {
        let reading = read(BOARD, "schema = 3\n[network]\nhost = \"rack-7\"\nvlan = 5\n").unwrap();
        assert!(reading.warnings.join("\n").contains("network.vlan"), "{:?}", reading.warnings);
        assert!(Config::parse(BOARD).unwrap().seats == reading.config.seats);
    }
}
