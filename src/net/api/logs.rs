//! Shows the end of a service's log.
//!
//! The logs are in memory and bounded where they are written; here a request gets the last part of one. What is in them
//! comes also from outside (names, devices, the kernel), so that nothing but plain text leaves.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use hyper::Response;
use hyper::header::HeaderMap;
use tokio::task::spawn_blocking;

use crate::auth::role::Privilege;
use crate::net::http::accepts::Nothing;
use crate::net::http::answers::{Answered, Answers, labelled};
use crate::net::http::body::Body;
use crate::net::http::caller::Person;
use crate::net::http::codes::{self, Code};
use crate::net::http::endpoint::{Access, Context, Endpoint, Method, Query, Semantics};
use crate::net::http::problem::{ApiError, Problem};
use crate::net::http::row::Row;
use crate::net::site::Site;

/// This resource's part of the [table](super::TABLE).
pub const ROWS: &[Row] = &[Row::of::<ShowLog>()];

/// The most of a log that is shown: what svlogd keeps in one file, and a bit.
const MOST: u64 = 128 * 1024;

/// The services whose logs are shown. The name comes from outside, and none but these ever becomes a path.
const SERVICES: &[&str] = &["serve", "hands", "guard", "kernel"];

/// Why there is no log to show.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not one of ours.
    #[error("ask for one log: ?service={}", SERVICES.join(", ?service="))]
    Unknown,
    /// This machine keeps none.
    #[error("this machine keeps no log of {0}; where the daemon was started by hand, its log is on standard error")]
    None(&'static str),
}

impl ApiError for LogError {
    fn code(&self) -> &'static Code {
        match self {
            LogError::Unknown => codes::UNKNOWN_SERVICE,
            LogError::None(_) => codes::NO_LOG,
        }
    }
}

struct ShowLog;

/// The end of a log.
pub struct Text(String);

const PLAIN: &str = "text/plain; charset=utf-8";

impl Answers for Text {
    const ANSWERED: Answered = Answered::ok(PLAIN);

    fn give(self, _: &HeaderMap) -> Result<Response<Body>, Problem> {
        Ok(labelled(PLAIN, self.0))
    }
}

impl Endpoint for ShowLog {
    const AT: (Method, &'static str) = (Method::Get, "/api/v1/logs");
    const ACCESS: Access = Access::Needs(Privilege::Configure);
    const SEMANTICS: Semantics = Semantics::SHOWS;
    const SUMMARY: &'static str = "shows the end of a service's log";
    const QUERY: &'static [Query] = &[Query { name: "service", values: SERVICES }];
    const ERRORS: &'static [&'static Code] = &[codes::UNKNOWN_SERVICE, codes::NO_LOG];
    type Caller = Person;
    type Accepts = Nothing;
    type Answers = Text;

    async fn act(context: Context<Person>, _: Nothing) -> Result<Text, Problem> {
        Ok(Text(log(&context.site, context.head.uri.query()).await?))
    }
}

async fn log(site: &Site, query: Option<&str>) -> Result<String, LogError> {
    let asked = query.and_then(|query| query.strip_prefix("service="));
    let service = SERVICES.iter().find(|service| asked == Some(service)).ok_or(LogError::Unknown)?;
    let folder = site.folders().logs.join(service);
    let read = spawn_blocking(move || end(&folder, MOST)).await;
    let bytes = read.map_err(io::Error::from).flatten().map_err(|_| LogError::None(service))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(if *service == "kernel" { kernel(&text) } else { plain(&text) })
}

/// The last bytes of what svlogd keeps: the file that it writes, and as much as is wanted of those before.
fn end(folder: &Path, most: u64) -> io::Result<Vec<u8>> {
    let entries = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let is_old = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('@'));
    let mut files: Vec<_> = entries.filter(is_old).collect();
    // Their names are times.
    files.sort();
    files.push(folder.join("current"));
    let (mut end, mut first) = (Vec::new(), true);
    for file in files.iter().rev() {
        let left = most.saturating_sub(end.len() as u64);
        if left == 0 {
            break;
        }
        let mut bytes = Vec::new();
        match File::open(file) {
            Ok(mut file) => {
                let len = file.metadata()?.len();
                file.seek(SeekFrom::Start(len.saturating_sub(left)))?;
                file.take(left).read_to_end(&mut bytes)?;
            }
            // It may be moved away just now; but without any there is no log.
            Err(error) if first => return Err(error),
            Err(_) => (),
        }
        first = false;
        bytes.append(&mut end);
        end = bytes;
    }
    // A line whose beginning is missing is none.
    if end.len() as u64 == most {
        let start = end.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        end.drain(..start);
    }
    Ok(end)
}

/// Without what could move a terminal's cursor, or the eye of whoever reads.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// The kernel's records as `dmesg` shows them. One reads `TIME 6,339,5140900,-;text` behind svlogd's time; below it may
/// stand more about its device, indented.
fn kernel(text: &str) -> String {
    let mut lines = String::new();
    for line in plain(text).lines() {
        let Some((_, record)) = line.split_once(' ') else { continue };
        let Some((head, text)) = record.split_once(';') else { continue };
        let micros: Option<u64> = head.split(',').nth(2).and_then(|micros| micros.parse().ok());
        if let Some(micros) = micros {
            lines += &format!("[{:5}.{:06}] {text}\n", micros / 1_000_000, micros % 1_000_000);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &str)]) -> Folder {
            let path = std::env::temp_dir().join(format!("farhand-logs-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            files.iter().for_each(|(name, text)| fs::write(path.join(name), text).unwrap());
            Folder(path)
        }

        fn end(&self, most: u64) -> String {
            String::from_utf8(end(&self.0, most).unwrap()).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_end_of_a_log_is_whole_lines_from_as_many_files_as_needed() {
        let files = [("current", "5\n6\n"), ("@2.s", "3\n4\n"), ("@1.s", "1\n2\n"), ("lock", "x"), ("config", "s1")];
        let folder = Folder::new("files", &files);
        assert_eq!("1\n2\n3\n4\n5\n6\n", folder.end(100));
        assert_eq!("4\n5\n6\n", folder.end(7));
        assert_eq!("6\n", folder.end(3));
        assert_eq!("", folder.end(0));
    }

    #[test]
    fn without_a_log_there_is_none() {
        let folder = Folder::new("none", &[("config", "s1")]);
        assert!(end(&folder.0, 10).is_err());
        assert!(end(&folder.0.join("other"), 10).is_err());
    }

    #[test]
    fn what_moves_a_cursor_is_taken_out() {
        assert_eq!("a\u{fffd}[31mb\tc\nd\u{fffd}", plain("a\u{1b}[31mb\tc\nd\r"));
    }

    #[test]
    fn kernel_records_read_as_a_person_knows_them() {
        let text = "2026-11-22_14:36:47.12345 6,339,5140900,-;NET: Registered; PF_INET6\n\
                    2026-11-22_14:36:47.12346  SUBSYSTEM=usb\n\
                    2026-11-22_14:36:47.12347 4,340,65000001,c;out of tune\nodd\n";
        assert_eq!("[    5.140900] NET: Registered; PF_INET6\n[   65.000001] out of tune\n", kernel(text));
    }
}
