//! Finds the first line of an audit log that is not as it was written.
//!
//! It sees one line after the other, in order, so that a log of any length can be looked at. A line that was changed
//! shows in the next one, which holds the hash of what it was; which of the two was changed, the one after that tells.

use std::fmt;

use super::chain::{Link, Mark, hash, nothing};
use super::record::Record;

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// Counted from one; zero is the file itself.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.file) } else { write!(f, "{}, line {}", self.file, self.line) }
    }
}

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum Why {
    /// It has been changed, or was cut off by a power cut and not repaired since.
    #[error("this is no whole record")]
    NoRecord,
    /// Lines are missing, or have been exchanged.
    #[error("this is record {found}, and {expected} should stand here: records were taken out, put in or exchanged")]
    Number { expected: u64, found: u64 },
    /// Its hash is not the one that the next line holds.
    #[error("this has been changed: its hash is not the one that was written down after it")]
    Changed,
    /// The first line there is names one before it.
    #[error("the first record of all names one before it")]
    NotFirst,
    /// A whole file is missing.
    #[error("this file is missing, though there are later ones")]
    NoFile,
    /// The beginning is missing.
    #[error("the log begins with record {found}, and {expected} was still there: older ones were taken away")]
    Beginning { expected: u64, found: u64 },
    /// The end is missing.
    #[error("the log ends with record {found}, and {expected} had been written: the end was cut off")]
    End { expected: u64, found: u64 },
    /// There is no mark of the end, or it is damaged.
    #[error("this mark of the log's end is missing or has been changed")]
    Mark,
}

/// The first thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What.
    pub why: Why,
}

/// What is there to say of a log in which nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// The first record.
    pub first: u64,
    /// The last record.
    pub last: u64,
    /// Its hash, by which a copy can be compared.
    pub hash: String,
    /// Records in which the trail tells of something that is missing or was repaired.
    pub gaps: u64,
}

/// Looks at one line after the other.
#[derive(Debug)]
pub struct Verifier {
    mark: Option<Mark>,
    summary: Summary,
    last: Option<(Place, u64)>,
    /// Whether a file began with the first line that the mark names.
    has_first: bool,
    /// Two lines of which one has been changed.
    suspects: Option<(Place, Place)>,
}

impl Verifier {
    /// One that has seen nothing. A copy has no mark, so that nobody knows where it should end.
    pub fn new(mark: Option<Mark>) -> Verifier {
        Verifier { mark, summary: Summary::default(), last: None, has_first: false, suspects: None }
    }

    /// Looks at the next line, given without its end.
    pub fn feed(&mut self, place: Place, line: &[u8]) -> Result<(), Fault> {
        let fault = |place: &Place, why| Err(Fault { place: place.clone(), why });
        // There is no record zero.
        let Some(Link { seq, prev }) = serde_json::from_slice::<Link>(line).ok().filter(|link| 0 < link.seq) else {
            return self.settle(false).and(fault(&place, Why::NoRecord));
        };
        self.settle(prev == self.summary.hash)?;
        match &self.last {
            Some((_, last)) if seq != last + 1 => {
                return fault(&place, Why::Number { expected: last + 1, found: seq });
            }
            Some((before, _)) if prev != self.summary.hash => self.suspects = Some((before.clone(), place.clone())),
            Some(_) => (),
            None => {
                if seq == 1 && prev != nothing() {
                    return fault(&place, Why::NotFirst);
                }
                if let Some(expected) = self.mark.as_ref().map(|mark| mark.first).filter(|first| *first < seq) {
                    return fault(&place, Why::Beginning { expected, found: seq });
                }
                self.summary.first = seq;
            }
        }
        self.has_first |= place.line == 1 && self.mark.as_ref().is_some_and(|mark| mark.first == seq);
        let hash = hash(line);
        if self.mark.as_ref().is_some_and(|mark| mark.seq == seq && mark.hash != hash) {
            return self.settle(false).and(fault(&place, Why::Changed));
        }
        if serde_json::from_slice::<Record>(line).is_ok_and(|record| record.what == "trail") {
            self.summary.gaps += 1;
        }
        self.summary = Summary { last: seq, hash, ..std::mem::take(&mut self.summary) };
        self.last = Some((place, seq));
        Ok(())
    }

    /// Says what there is to say when there are no more lines; `file` is that of the mark.
    pub fn end(mut self, file: &str) -> Result<Summary, Fault> {
        let is_sure = self.mark.as_ref().is_none_or(|mark| mark.hash == self.summary.hash);
        self.settle(is_sure)?;
        match &self.mark {
            Some(mark) if self.summary.last < mark.seq => {
                let place = self.last.map_or(Place { file: file.into(), line: 0 }, |(place, _)| place);
                Err(Fault { place, why: Why::End { expected: mark.seq, found: self.summary.last } })
            }
            Some(_) if !self.has_first => Err(Fault { place: Place { file: file.into(), line: 0 }, why: Why::Mark }),
            _ => Ok(self.summary),
        }
    }

    /// Of two lines that do not fit, names the one that was changed: the first, if the second is as it was written.
    fn settle(&mut self, second_is_sound: bool) -> Result<(), Fault> {
        let Some((first, second)) = self.suspects.take() else { return Ok(()) };
        Err(Fault { place: if second_is_sound { first } else { second }, why: Why::Changed })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::chain::Chain;
    use super::super::record::{Entry, Stamp, What};
    use super::*;

    /// A log, with its mark.
    fn log(lines: u64) -> (Vec<Vec<u8>>, Mark) {
        let mut chain = Chain::default();
        let line = |n| {
            let stamp = Stamp { wall: 1_800_000_000 + n, up: Duration::from_secs(n) };
            let line = chain.add("0123abcd", stamp, &Entry::new(What::Press, "press Power").by(Some("anna"), None));
            line.trim_end().as_bytes().to_vec()
        };
        let lines: Vec<_> = (0..lines).map(line).collect();
        let mark = Mark { first: 1, seq: chain.seq(), hash: chain.hash().into() };
        (lines, mark)
    }

    fn look(lines: &[Vec<u8>], mark: Option<Mark>) -> Result<Summary, Fault> {
        let mut verifier = Verifier::new(mark);
        for (at, line) in lines.iter().enumerate() {
            verifier.feed(Place { file: "log".into(), line: at as u64 + 1 }, line)?;
        }
        verifier.end("end")
    }

    fn fault(lines: &[Vec<u8>], mark: &Mark) -> (u64, Why) {
        let Fault { place, why } = look(lines, Some(mark.clone())).unwrap_err();
        (place.line, why)
    }

    #[test]
    fn a_log_as_it_was_written_is_whole() {
        let (lines, mark) = log(5);
        let hash = mark.hash.clone();
        assert_eq!(Ok(Summary { first: 1, last: 5, hash, gaps: 0 }), look(&lines, Some(mark)));
        let later = look(&lines[2..], None).unwrap();
        assert_eq!((3, 5), (later.first, later.last), "a copy of what is left");
        assert_eq!(Ok(Summary::default()), look(&[], None));
    }

    #[test]
    fn every_byte_that_is_changed_is_found_in_its_line() {
        let (lines, mark) = log(4);
        for at in 0..lines.len() {
            for byte in 0..lines[at].len() {
                for bit in 0..8 {
                    let mut changed = lines.clone();
                    changed[at][byte] ^= 1 << bit;
                    let (line, why) = fault(&changed, &mark);
                    assert_eq!(at as u64 + 1, line, "bit {bit} of byte {byte}: {why}");
                }
            }
        }
    }

    #[test]
    fn lines_taken_out_put_in_or_exchanged_are_found_where_it_happened() {
        let (lines, mark) = log(6);
        for at in 1..5 {
            let mut fewer = lines.clone();
            fewer.remove(at);
            let number = |expected: usize, found: usize| Why::Number { expected: expected as u64, found: found as u64 };
            assert_eq!((at as u64 + 1, number(at + 1, at + 2)), fault(&fewer, &mark));
            let mut more = lines.clone();
            more.insert(at, lines[at].clone());
            assert_eq!((at as u64 + 2, number(at + 2, at + 1)), fault(&more, &mark));
            let mut exchanged = lines.clone();
            exchanged.swap(at, at + 1);
            assert_eq!((at as u64 + 1, number(at + 1, at + 2)), fault(&exchanged, &mark));
        }
    }

    #[test]
    fn a_beginning_or_an_end_that_is_missing_is_found() {
        let (lines, mark) = log(6);
        for left in 1..6 {
            let end = Why::End { expected: 6, found: left as u64 };
            assert_eq!((left as u64, end), fault(&lines[..left], &mark));
            let beginning = Why::Beginning { expected: 1, found: left as u64 + 1 };
            assert_eq!((1, beginning), fault(&lines[left..], &mark));
        }
        assert_eq!((0, Why::End { expected: 6, found: 0 }), fault(&[], &mark));
    }

    #[test]
    fn a_line_written_again_with_its_hash_shows_in_the_next() {
        let (mut lines, mark) = log(4);
        let text = String::from_utf8(lines[1].clone()).unwrap().replace("anna", "bert");
        lines[1] = text.into_bytes();
        assert_eq!((2, Why::Changed), fault(&lines, &mark));
        let text = String::from_utf8(lines[2].clone()).unwrap();
        let prev = serde_json::from_str::<Link>(&text).unwrap().prev;
        lines[2] = text.replace(&prev, &hash(&lines[1])).into_bytes();
        assert_eq!((3, Why::Changed), fault(&lines, &mark), "then that one does not fit the one after it");
    }
}
