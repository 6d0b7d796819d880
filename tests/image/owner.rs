//! Uses an appliance as its owner's programs do: by its network interface, with curl.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::poll;

/// The longest time for an answer, on an emulated network.
const ANSWER: Duration = Duration::from_secs(30);

/// The longest time for the upload of a release, in seconds, on the slowest emulated network: USB, as on a Pi.
const UPLOAD: &str = "400";

/// From the first instruction to the page, while a build keeps the host busy.
const PAGE: Duration = Duration::from_secs(120);

/// The name of the owner.
pub const USER: &str = "anna";
pub const PASSWORD: &str = "correct horse battery";

/// An answer: the HTTP status, and the JSON or text of its body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

/// A client of the appliance, logged in if it has claimed it.
#[derive(Debug)]
pub struct Owner {
    url: String,
    key: Key,
}

/// A client's credentials.
#[derive(Debug)]
enum Key {
    /// The file with the cookies of a login.
    Cookies(PathBuf),
    Token(String),
}

impl Owner {
    /// Claims an appliance that has no owner, once it serves the page at this port, with the code from its console.
    #[track_caller]
    pub fn claim(port: u16, folder: &Path, code: &str) -> Owner {
        let owner = Owner::at(port, folder);
        owner.wait_page(PAGE);
        let claim = json!({ "code": code, "user": USER, "password": PASSWORD });
        let answer = owner.post("/api/v1/claim", &claim);
        assert_eq!(200, answer.status, "{answer:?}");
        owner
    }

    /// A client that has not logged in.
    pub fn at(port: u16, folder: &Path) -> Owner {
        let cookies = folder.join("cookies");
        let _ = std::fs::remove_file(&cookies);
        Owner { url: url(port), key: Key::Cookies(cookies) }
    }

    /// A client with a token of the owner's.
    pub fn program(port: u16, token: &str) -> Owner {
        Owner { url: url(port), key: Key::Token(token.to_owned()) }
    }

    /// Makes a token with all rights and no end.
    #[track_caller]
    pub fn make_token(&self, name: &str) -> String {
        let wanted = json!({ "name": name, "role": "administrator", "expires": null });
        let answer = self.post("/api/v1/tokens", &wanted);
        answer.body["token"].as_str().unwrap_or_else(|| panic!("no token: {answer:?}")).to_owned()
    }

    /// Waits until the page is served.
    #[track_caller]
    pub fn wait_page(&self, within: Duration) {
        let retry = retry(within);
        let mut retry: Vec<&str> = retry.iter().map(String::as_str).collect();
        // QEMU accepts every connection and then drops those that the guest refuses, so curl sees no refusal.
        retry.push("--retry-all-errors");
        let (complaint, status) = self.curl(&retry, "/api/v1/health");
        assert_eq!("200", status, "no page within {within:?}: {complaint}");
    }

    /// Waits until a request is answered with this status; there may be no answer at first.
    #[track_caller]
    pub fn wait_status(&self, path: &str, status: u16, within: Duration) {
        let status = status.to_string();
        self.until(&format!("{path} gives {status}"), within, || self.curl(&[], path).1 == status);
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.answer(&[], path)
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.answer(&["-H", "Content-Type: application/json", "--data-raw", &body.to_string()], path)
    }

    /// Uploads an update.
    #[track_caller]
    pub fn upload(&self, bundle: &Path) -> Answer {
        let body = format!("@{}", bundle.display());
        let more = ["-H", "Content-Type: application/octet-stream", "--data-binary", &body, "-m", UPLOAD];
        self.answer(&more, "/api/v1/update")
    }

    /// Uploads an update, which must be accepted.
    #[track_caller]
    pub fn uploads(&self, bundle: &Path) {
        let answer = self.upload(bundle);
        assert_eq!(202, answer.status, "{answer:?}");
    }

    /// The value at a JSON pointer in the appliance's own description; null if there is none.
    #[track_caller]
    pub fn system(&self, pointer: &str) -> Value {
        self.get("/api/v1/system").body.pointer(pointer).cloned().unwrap_or_default()
    }

    /// Whether it accepts this name from a browser.
    #[track_caller]
    pub fn answers_to(&self, name: &str) -> bool {
        let answer = self.answer(&["-H", &format!("Host: {name}")], "/api/v1/health");
        assert!([200, 421, 503].contains(&answer.status), "{answer:?}");
        answer.status != 421
    }

    /// Like [`Owner::post`], repeated while the answer is 503.
    #[track_caller]
    pub fn insist(&self, path: &str, body: &Value, within: Duration) -> Answer {
        let (retry, body) = (retry(within), body.to_string());
        let mut more: Vec<&str> = retry.iter().map(String::as_str).collect();
        more.extend(["-H", "Content-Type: application/json", "--data-raw", &body]);
        self.answer(&more, path)
    }

    /// Repeats a request until its answer is as wanted.
    #[track_caller]
    pub fn until(&self, what: &str, within: Duration, so: impl Fn() -> bool) {
        poll::until(what, within, || so().then_some(()));
    }

    #[track_caller]
    fn answer(&self, more: &[&str], path: &str) -> Answer {
        let (body, status) = self.curl(more, path);
        let status = status.parse().unwrap_or_default();
        assert_ne!(0, status, "{path}: no answer: {body}");
        Answer { status, body: serde_json::from_str(&body).unwrap_or(Value::String(body)) }
    }

    /// The body, and the status as curl writes it: 000 for none, and then the body is curl's error.
    #[track_caller]
    fn curl(&self, more: &[&str], path: &str) -> (String, String) {
        let mut curl = Command::new("curl");
        // The certificate is the appliance's own.
        curl.args(["-s", "-S", "-k", "-w", "\n%{http_code}", "-m", &ANSWER.as_secs().to_string()])
            .args(more)
            .arg(format!("{}{path}", self.url));
        match &self.key {
            Key::Cookies(file) => curl.arg("-b").arg(file).arg("-c").arg(file),
            Key::Token(token) => curl.arg("-H").arg(format!("Authorization: Bearer {token}")),
        };
        let output = curl.output().expect("curl is installed: run 'image/need.sh curl'");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = said.rsplit_once('\n').unwrap_or(("", "000"));
        let complaint = String::from_utf8_lossy(&output.stderr);
        let body = if status == "000" { complaint.as_ref() } else { body };
        (body.to_owned(), status.to_owned())
    }
}

fn url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

/// Arguments that make curl try again each second while the answer is 503.
fn retry(within: Duration) -> Vec<String> {
    let seconds = within.as_secs().to_string();
    ["--retry", "1000", "--retry-delay", "1", "--retry-max-time", &seconds].map(str::to_owned).into()
}
