//! Changes single keys of an owner's text, and leaves everything else in it as it is: comments, order, blank lines.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::SCHEMA;

/// Why a key cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are keys, and named in the messages")]
pub enum EditError {
    /// The text has to be corrected first.
    #[error("the configuration is no TOML, so its keys cannot be changed one by one: {0}")]
    Text(String),
    /// Not how a key is written.
    #[error("{0:?} must be a key in full, such as \"network.host\"")]
    Key(String),
    /// A key below one that has a value.
    #[error("{key}: {value} has a value, so nothing can be below it")]
    NotATable { key: String, value: String },
    /// A key that has others below it.
    #[error("{0} is a table: name a key in it")]
    Table(String),
    /// Nothing that the file can hold.
    #[error(
        "{0} must be a text, a whole number, true, false or a list of them; to take a key away, name it in \"unset\""
    )]
    Value(String),
}

/// The text with these keys set to values, and these taken away. A key that is not there need not be taken away.
pub fn edit(text: &str, set: &BTreeMap<String, Json>, unset: &[String]) -> Result<String, EditError> {
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| EditError::Text(error.message().to_string()))?;
    for key in unset {
        take_away(document.as_table_mut(), key)?;
    }
    for (key, value) in set {
        put(document.as_table_mut(), key, toml(key, value)?)?;
    }
    Ok(document.to_string())
}

/// The text with our schema at its top, unless it has that or a newer one: an older release reads what it knows of a
/// text that says to be newer, and refuses any other that has a key it does not know. What has no key needs none.
pub fn with_schema(text: &str) -> String {
    let Ok(mut document) = text.parse::<DocumentMut>() else { return text.into() };
    if document.is_empty() {
        return text.into();
    }
    match document.get_mut("schema") {
        None => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            format!("schema = {SCHEMA}\n{text}")
        }
        Some(Item::Value(old)) if old.as_integer().is_some_and(|schema| (0..i64::from(SCHEMA)).contains(&schema)) => {
            let decor = old.decor().clone();
            *old = i64::from(SCHEMA).into();
            *old.decor_mut() = decor;
            document.to_string()
        }
        // Newer, or a mistake that whoever checks it names.
        Some(_) => text.into(),
    }
}

fn parts(key: &str) -> Result<Vec<&str>, EditError> {
    let is_bare = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let parts: Vec<&str> = key.split('.').collect();
    if parts.len() <= 8 && parts.iter().all(|part| is_bare(part)) { Ok(parts) } else { Err(EditError::Key(key.into())) }
}

fn take_away(table: &mut dyn TableLike, key: &str) -> Result<(), EditError> {
    let parts = parts(key)?;
    let Some((last, above)) = parts.split_last() else { return Ok(()) };
    let mut table = table;
    for part in above {
        match table.get_mut(part).and_then(Item::as_table_like_mut) {
            Some(inner) => table = inner,
            None => return Ok(()),
        }
    }
    table.remove(last);
    Ok(())
}

fn put(table: &mut dyn TableLike, key: &str, mut value: Value) -> Result<(), EditError> {
    let parts = parts(key)?;
    let Some((last, above)) = parts.split_last() else { return Ok(()) };
    let (mut table, mut in_line) = (table, false);
    for (at, part) in above.iter().enumerate() {
        if table.get(part).is_none() {
            table.insert(part, new_table(in_line, at + 1 < above.len()));
        }
        let below = || EditError::NotATable { key: key.into(), value: above[..=at].join(".") };
        let item = table.get_mut(part).ok_or_else(below)?;
        in_line = item.is_inline_table();
        table = item.as_table_like_mut().ok_or_else(below)?;
    }
    match table.get_mut(last) {
        Some(Item::Value(old)) if !old.is_inline_table() => {
            // What stands around it is the owner's: blanks, and a comment behind it.
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        Some(Item::None) | None => _ = table.insert(last, Item::Value(value)),
        Some(_) => return Err(EditError::Table(key.into())),
    }
    Ok(())
}

/// A table for keys to come. One that only holds another table needs no header.
fn new_table(in_line: bool, holds_tables: bool) -> Item {
    if in_line {
        return Item::Value(Value::InlineTable(InlineTable::new()));
    }
    let mut table = Table::new();
    table.set_implicit(holds_tables);
    Item::Table(table)
}

fn toml(key: &str, value: &Json) -> Result<Value, EditError> {
    match value {
        Json::Bool(value) => Ok((*value).into()),
        Json::String(text) => Ok(text.as_str().into()),
        Json::Number(number) => number.as_i64().map(Value::from).ok_or_else(|| EditError::Value(key.into())),
        Json::Array(list) => {
            let values: Result<Array, EditError> = list.iter().map(|value| toml(key, value)).collect();
            Ok(values?.into())
        }
        Json::Null | Json::Object(_) => Err(EditError::Value(key.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use serde_json::json;

    fn edited(text: &str, set: Json, unset: &[&str]) -> Result<String, EditError> {
        let set = set.as_object().unwrap().clone().into_iter().collect();
        edit(text, &set, &unset.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn comments_and_order_survive() {
        let text = "# The rack in the cellar.\n[network]\nmdns = false   # noisy\nhost  =  \"a\"  # its label\n\n[time]\n\
                    servers = [ \"x\" ]\n";
        let expected = "# The rack in the cellar.\n[network]\nmdns = false   # noisy\nhost  =  \"rack-7\"  # its label\n\
                        gateway = \"192.0.2.1\"\n\n[time]\nservers = [ \"x\" ]\n";
        let set = json!({"network.host": "rack-7", "network.gateway": "192.0.2.1"});
        assert_eq!(expected, edited(text, set, &[]).unwrap());
        assert_eq!(text, edited(text, json!({}), &["network.dns", "server.https", "a.b.c"]).unwrap());
        let without = edited(text, json!({}), &["network.mdns"]).unwrap();
        assert_eq!(
            "# The rack in the cellar.\n[network]\nhost  =  \"a\"  # its label\n\n[time]\nservers = [ \"x\" ]\n",
            without
        );
    }

    #[test]
    fn a_key_is_put_where_its_table_is_however_that_is_written() {
        let set = || json!({"network.host": "rack-7"});
        for (text, expected) in [
            ("", "[network]\nhost = \"rack-7\"\n"),
            ("network.mdns = true\n[time]\n", "network.mdns = true\nnetwork.host = \"rack-7\"\n[time]\n"),
            ("network = {mdns = true}\n", "network = {mdns = true, host = \"rack-7\" }\n"),
            ("[network]\n[time]\n", "[network]\nhost = \"rack-7\"\n[time]\n"),
        ] {
            let text = edited(text, set(), &[]).unwrap();
            assert_eq!("rack-7", Config::parse(&text).unwrap().network.host.as_str(), "{text}");
            let squeezed = |text: &str| text.replace(' ', "");
            assert_eq!(squeezed(expected), squeezed(&text));
        }
        let text = edited("", json!({"seats.main.video.size": "1280x720", "seats.main.usb.vendor": 1}), &[]).unwrap();
        assert_eq!("[seats.main.usb]\nvendor = 1\n\n[seats.main.video]\nsize = \"1280x720\"\n", text);
    }

    #[test]
    fn a_text_says_of_which_schema_it_is() {
        for (text, expected) in [
            ("# mine\n[network]\nmdns = true # noisy\n", "schema = 2\n# mine\n[network]\nmdns = true # noisy\n"),
            ("# mine\nschema = 1 # old\nnetwork.mdns = true\n", "# mine\nschema = 2 # old\nnetwork.mdns = true\n"),
            ("\u{feff}network.mdns = true", "schema = 2\nnetwork.mdns = true"),
        ] {
            assert_eq!(expected, with_schema(text));
            assert_eq!(expected, with_schema(expected));
        }
        for text in ["", "# mine\n", "schema = 2", "schema = 3\nnew = 1", "schema = \"x\"", "schema = -1", "x"] {
            assert_eq!(text, with_schema(text));
        }
    }

    #[test]
    fn lists_and_whole_tables_are_changed() {
        let text = edited("[time]\nservers = [\"a\"]\n", json!({"time.servers": ["b", "c"]}), &[]).unwrap();
        assert_eq!("[time]\nservers = [\"b\", \"c\"]\n", text);
        let two = "[seats.a.video]\nsize = \"auto\"\n[seats.b.video]\nsize = \"auto\"\n";
        assert_eq!("[seats.a.video]\nsize = \"auto\"\n", edited(two, json!({}), &["seats.b"]).unwrap());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, key, value, part) in [
            ("[network]\nhost = \"a\"", "network.host.x", json!("b"), "network.host has a value"),
            ("[network]\n", "network", json!("b"), "is a table"),
            ("network = {}\n", "network", json!("b"), "is a table"),
            ("", "network..host", json!("b"), "in full"),
            ("", "", json!("b"), "in full"),
            ("", "a b", json!("b"), "in full"),
            ("", "a\n[b]\nc", json!("b"), "in full"),
            ("", "network.host", json!(null), "unset"),
            ("", "network.host", json!({"a": 1}), "unset"),
            ("", "network.host", json!(0.5), "whole number"),
            ("x", "network.host", json!("b"), "no TOML"),
        ] {
            let mut set = serde_json::Map::new();
            set.insert(key.into(), value);
            let error = edited(text, Json::Object(set), &[]).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_text_that_is_set_stays_one_value() {
        let odd = "\"\n[guard]\nwatchdog = \"none\" # \u{0} ''' \"\"\"";
        let text = edited("# mine\n", json!({"seats.main.usb.name": odd}), &[]).unwrap();
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(Some(odd), table["seats"]["main"]["usb"]["name"].as_str());
        assert_eq!(1, table.len());
    }
}
