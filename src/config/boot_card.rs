//! Reads the configuration that an owner leaves on the card before the first boot.
//!
//! It is an ordinary one, and may also say who the owner is: a table `[claim]` with a name and a hashed password. That
//! table is no configuration. It counts once, and what is kept afterwards is the same text without it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::auth::accounts::Name;
use crate::auth::secret::PasswordDigest;

use super::check::{Finding, check};
use super::error::ConfigError;
use super::forward::Reading;
use super::{Config, layers};

/// What a card says.
#[derive(Debug, PartialEq)]
#[expect(missing_docs, reason = "`config` is described by its type")]
pub struct Card {
    pub config: Config,
    /// What of it is ignored, because a newer version knows it; see [`forward`](super::forward).
    pub warnings: Vec<String>,
    /// The file without `[claim]`, each line where it was.
    pub text: String,
    /// Who owns the device.
    pub claim: Option<Claim>,
}

/// The first administrator.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "`user` is described by its type")]
pub struct Claim {
    #[serde(deserialize_with = "in_paths")]
    pub user: Name,
    /// Their password, hashed where nobody else sees it.
    pub password_hash: PasswordDigest,
}

fn in_paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    Name::deserialize(deserializer)?.in_paths().map_err(D::Error::custom)
}

#[derive(Deserialize)]
struct Whole {
    claim: Option<Claim>,
}

impl Card {
    /// Parses a card's `farhand.toml`, and checks it as it will be in force: laid over that of the board.
    pub fn parse(board: &str, text: &str) -> Result<Card, ConfigError> {
        // Windows' editors put a byte order mark before the first line, which is then no header to who looks for one.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let Whole { claim } = toml::from_str(text)?;
        let mut table: toml::Table = toml::from_str(text)?;
        let kept = if table.remove("claim").is_some() { without_claim(text) } else { text.to_string() };
        // The text was cut by lines, which are not all that TOML knows: what is kept must say the same.
        if toml::from_str::<toml::Table>(&kept).ok() != Some(table) {
            let problem = "write it as a line [claim] with user and password_hash on the next two";
            return Err(ConfigError::conflict("claim", problem));
        }
        let Reading { config, warnings } = layers::read(board, &kept)?;
        match config.unusable().into_iter().next() {
            Some(error) => Err(error),
            None => Ok(Card { config, warnings, text: kept, claim }),
        }
    }
}

/// All that is wrong with the configuration in a card's text, apart from its `[claim]`.
pub fn findings(text: &str) -> Vec<Finding> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check("", &without_claim(text)).outcome.err().unwrap_or_default()
}

/// The text with the table's lines emptied, so that later messages count lines as the owner's editor does.
fn without_claim(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            let header: String = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            inside = header == "[claim]";
        }
        kept += if inside { "" } else { line };
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::secret::{hash_password, verify_password};

    fn hash() -> String {
        hash_password("correct horse", [7; 16])
    }

    #[test]
    fn a_card_names_its_owner_and_the_copy_does_not() {
        let text = format!(
            "# mine\n[network]\nhost = \"rack-7\"\n\n [claim] # me\nuser = \"anna\"\npassword_hash = \"{}\"\n[time]\nservers = []",
            hash()
        );
        let card = Card::parse("", &text).unwrap();
        assert_eq!("# mine\n[network]\nhost = \"rack-7\"\n\n\n\n\n[time]\nservers = []\n", card.text);
        assert_eq!(Config::parse("network.host = \"rack-7\"").unwrap(), card.config);
        let claim = card.claim.unwrap();
        assert_eq!("anna", claim.user.as_str());
        assert!(verify_password("correct horse", Some(&claim.password_hash.into_phc()), None));
    }

    #[test]
    fn a_byte_order_mark_before_the_first_line_is_none_of_the_text() {
        let text = format!("\u{feff}[claim]\r\nuser = \"anna\"\r\npassword_hash = \"{}\"\r\n", hash());
        let card = Card::parse("", &text).unwrap();
        assert_eq!(("\n\n\n", true), (card.text.as_str(), card.claim.is_some()));
        assert_eq!("network.mdns = true\n", Card::parse("", "\u{feff}network.mdns = true\n").unwrap().text);
    }

    #[test]
    fn a_card_need_not_name_an_owner() {
        let card = Card::parse("", "[network]\nhost = \"rack-7\"\n").unwrap();
        assert_eq!(("[network]\nhost = \"rack-7\"\n", None), (card.text.as_str(), card.claim));
    }

    #[test]
    fn a_claim_in_another_spelling_is_refused_rather_than_kept() {
        let hash = hash();
        for text in [
            format!("claim = {{ user = \"anna\", password_hash = \"{hash}\" }}\n"),
            format!("claim.user = \"anna\"\nclaim.password_hash = \"{hash}\"\n"),
            format!("[\"claim\"]\nuser = \"anna\"\npassword_hash = \"{hash}\"\n"),
            format!("[claim]\nuser = \"\"\"\n[network]\"\"\"\npassword_hash = \"{hash}\"\n"),
        ] {
            assert!(Card::parse("", &text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_without_the_hash() {
        let hash = hash();
        for (text, parts) in [
            (format!("[claim]\nuser = \"a b\"\npassword_hash = \"{hash}\""), ["line 2", "1 to 32"]),
            (format!("[claim]\nuser = \"..\"\npassword_hash = \"{hash}\""), ["line 2", "not dots alone"]),
            (
                "[claim]\nuser = \"anna\"\npassword_hash = \"correct horse\"".to_string(),
                ["line 3", "farhand hash-password"],
            ),
            (format!("[claim]\nuser = \"anna\"\npassword = \"{hash}\""), ["line 3", "password_hash"]),
            (
                format!("[claim]\nuser = \"anna\"\npassword_hash = \"{hash}\"\n[network]\nhots = \"\""),
                ["line 5", "hots"],
            ),
        ] {
            let said = Card::parse("", &text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
    }
}
