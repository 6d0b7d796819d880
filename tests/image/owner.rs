//! Works an appliance as its owner's programs do: by its network interface, with curl.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::patience;

/// An answer takes so long at most, on an emulated network.
const ANSWER: Duration = Duration::from_secs(30);

/// A release, in seconds, on the slowest emulated network: USB, as a Pi has it.
const UPLOAD: &str = "400";

/// From the first instruction to the page, beside a busy build.
const PAGE: Duration = Duration::from_secs(120);

/// Who claims it.
pub const USER: &str = "anna";
pub const PASSWORD: &str = "correct horse battery";

/// What was answered: the HTTP status, and the JSON or text that came with it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

/// Somebody at the network, who has logged in if he has claimed the appliance.
#[derive(Debug)]
pub struct Owner {
    url: String,
    key: Key,
}

/// What lets somebody in.
#[derive(Debug)]
enum Key {
    /// Where a browser keeps what it was given at the login.
    Cookies(PathBuf),
    Token(String),
}

impl Owner {
    /// Claims an appliance that has no owner, once it serves its page at this port, with the code that its console
    /// says.
    #[track_caller]
    pub fn claim(port: u16, folder: &Path, code: &str) -> Owner {
        let owner = Owner::at(port, folder);
        owner.wait_page(PAGE);
        let claim = json!({ "code": code, "user": USER, "password": PASSWORD });
        let answer = owner.post("/api/v1/claim", &claim);
        assert_eq!(200, answer.status, "{answer:?}");
        owner
    }

    /// Somebody who has not logged in, at an appliance that may have an owner.
    pub fn at(port: u16, folder: &Path) -> Owner {
        let cookies = folder.join("cookies");
        let _ = std::fs::remove_file(&cookies);
        Owner { url: url(port), key: Key::Cookies(cookies) }
    }

    /// A program of the owner's.
    pub fn program(port: u16, token: &str) -> Owner {
        Owner { url: url(port), key: Key::Token(token.to_owned()) }
    }

    /// Makes a token with which a program may do everything, for ever.
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
        // QEMU takes every connection and then drops those that the guest does not want, so nothing is refused.
        retry.push("--retry-all-errors");
        let (complaint, status) = self.curl(&retry, "/api/v1/health");
        assert_eq!("200", status, "no page within {within:?}: {complaint}");
    }

    /// Waits until something is answered with this status; it may be that nothing answers yet.
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

    /// Uploads an update that is taken to be installed.
    #[track_caller]
    pub fn uploads(&self, bundle: &Path) {
        let answer = self.upload(bundle);
        assert_eq!(202, answer.status, "{answer:?}");
    }

    /// What the appliance says of itself at a JSON pointer; null, too, if it says nothing.
    #[track_caller]
    pub fn system(&self, pointer: &str) -> Value {
        self.get("/api/v1/system").body.pointer(pointer).cloned().unwrap_or_default()
    }

    /// Whether it lets a browser call it by this name.
    #[track_caller]
    pub fn answers_to(&self, name: &str) -> bool {
        let answer = self.answer(&["-H", &format!("Host: {name}")], "/api/v1/health");
        assert!([200, 421, 503].contains(&answer.status), "{answer:?}");
        answer.status != 421
    }

    /// As [`Owner::post`], tried again for as long as the answer is that it does not work at the moment (503).
    #[track_caller]
    pub fn insist(&self, path: &str, body: &Value, within: Duration) -> Answer {
        let (retry, body) = (retry(within), body.to_string());
        let mut more: Vec<&str> = retry.iter().map(String::as_str).collect();
        more.extend(["-H", "Content-Type: application/json", "--data-raw", &body]);
        self.answer(&more, path)
    }

    /// Asks until something is so.
    #[track_caller]
    pub fn until(&self, what: &str, within: Duration, so: impl Fn() -> bool) {
        patience::until(what, within, || so().then_some(()));
    }

    #[track_caller]
    fn answer(&self, more: &[&str], path: &str) -> Answer {
        let (body, status) = self.curl(more, path);
        let status = status.parse().unwrap_or_default();
        assert_ne!(0, status, "{path}: no answer: {body}");
        Answer { status, body: serde_json::from_str(&body).unwrap_or(Value::String(body)) }
    }

    /// The body, and the status as curl writes it: 000 for none, and then the body is the complaint.
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

/// Makes curl try again each second while the answer is that it does not work at the moment.
fn retry(within: Duration) -> Vec<String> {
    let seconds = within.as_secs().to_string();
    ["--retry", "1000", "--retry-delay", "1", "--retry-max-time", &seconds].map(str::to_owned).into()
}
