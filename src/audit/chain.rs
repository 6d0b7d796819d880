//! Binds each line of the audit log to the one before, and notes how far it has come.
//!
//! Whoever changes, exchanges or removes a line has to write all that follow again. What that leaves is the end, for
//! which there is a [`Mark`]: it says which line was written last. Somebody who may write the folder can write a whole
//! log of their own; only what has left the appliance before, a download or a syslog server's copy, shows that.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::record::{Entry, Record, Stamp};

/// Where a chain has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    seq: u64,
    hash: String,
}

/// The parts of a line by which it is bound to another.
#[derive(Debug, Deserialize)]
pub struct Link {
    /// Its number.
    pub seq: u64,
    /// The hash of the line before.
    pub prev: String,
}

/// Which lines there are. It is written in place, in one sector, after the lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The first line that must still be there. Those before went with the oldest file.
    pub first: u64,
    /// The last line.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

/// The hash of a line without its end.
pub fn hash(line: &[u8]) -> String {
    Sha256::digest(line).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What stands where the hash of a line before the first would.
pub fn nothing() -> String {
    "0".repeat(64)
}

impl Default for Chain {
    fn default() -> Chain {
        Chain { seq: 0, hash: nothing() }
    }
}

impl Chain {
    /// A chain whose last line is this one.
    pub fn after(seq: u64, hash: String) -> Chain {
        Chain { seq, hash }
    }

    /// The number of the last line.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The hash of the last line.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Makes the next line, with its end.
    pub fn add(&mut self, boot: &str, stamp: Stamp, entry: &Entry) -> String {
        let record = Record::new(self.seq + 1, std::mem::take(&mut self.hash), boot, stamp, entry);
        let mut line = serde_json::to_string(&record).expect("a record is plain data with string keys");
        *self = Chain { seq: record.seq, hash: hash(line.as_bytes()) };
        line.push('\n');
        line
    }
}

impl Mark {
    /// How long a stored mark is: less than the smallest sector.
    pub const LEN: usize = 256;

    /// As it is stored: of the same length whatever it says.
    pub fn encode(&self) -> String {
        let text = serde_json::to_string(self).expect("a mark is plain data with string keys");
        format!("{text:<width$}\n", width = Mark::LEN - 1)
    }

    /// Reads what [`Mark::encode`] gives, and nothing else.
    pub fn decode(text: &[u8]) -> Option<Mark> {
        let mark: Mark = serde_json::from_slice(text).ok()?;
        (mark.encode().as_bytes() == text).then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_whole_or_not_at_all() {
        let mark = Mark { first: 1, seq: u64::MAX, hash: "f".repeat(64) };
        let text = mark.encode();
        assert_eq!((Mark::LEN, Some(mark)), (text.len(), Mark::decode(text.as_bytes())));
        for at in 0..text.len() {
            assert_eq!(None, Mark::decode(&text.as_bytes()[..at]), "cut at {at}");
            for bit in 0..8 {
                let mut changed = text.clone().into_bytes();
                changed[at] ^= 1 << bit;
                assert_ne!(Mark::decode(text.as_bytes()), Mark::decode(&changed), "bit {bit} of byte {at}");
            }
        }
    }
}
