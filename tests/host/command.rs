//! Runs the binary as a person would, and reads what it says.

use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use farhand::audit::folder::Folder;
use farhand::audit::record::{Entry, Stamp, What};

fn farhand(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_farhand")).args(arguments).output().unwrap()
}

/// Runs a command that must fail, and checks that it says each of `parts`.
#[track_caller]
fn refuses(arguments: &[&str], parts: &[&str]) {
    let output = farhand(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert!(!said.contains("panicked"), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

#[test]
fn a_good_configuration_is_called_good() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/overlay/etc/farhand.toml");
    let output = farhand(&["check", shipped]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("good"));
}

#[test]
fn a_configuration_of_the_next_version_is_good_and_what_is_passed_over_is_said() {
    let output = farhand(&["check", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/farhand-next.toml")]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for part in ["newer schema", "audit is passed over", "seats.main.video.codec is passed over", ": good"] {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

#[test]
fn a_bad_configuration_is_called_bad_with_the_place_of_each_mistake() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("bad.toml");
    fs::write(&file, "[claim]\nuser = \"anna\"\n[network]\nhost = \"a b\"\nmdns = 1\n").unwrap();
    refuses(&["check", file.to_str().unwrap()], &["bad.toml:4:8: network.host: host", "bad.toml:5:8: network.mdns: "]);
}

#[test]
fn two_configurations_are_compared_with_what_follows() {
    let temporary = tempfile::tempdir().unwrap();
    let (before, after) = (temporary.path().join("a.toml"), temporary.path().join("b.toml"));
    fs::write(&before, "[network]\nhost = \"a\"\n").unwrap();
    fs::write(&after, "[network]\nhost = \"b\"\n[seats.main.video]\nsize = \"1280x720\"\n").unwrap();
    let output = farhand(&["diff", before.to_str().unwrap(), after.to_str().unwrap()]);
    let expected = "network.host: \"a\" -> \"b\"\nseats.main.video.size: \"auto\" -> \"1280x720\"\n\
                    starts again: picture, network, page\nis tried first, and taken back unless it is confirmed\n";
    assert_eq!(expected, String::from_utf8_lossy(&output.stdout));
    let same = farhand(&["diff", before.to_str().unwrap(), before.to_str().unwrap()]);
    assert!(same.status.success() && same.stdout.is_empty());
}

#[test]
fn seats_that_may_exchange_their_dongles_are_warned_of() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("two.toml");
    fs::write(&file, "[seats.one.usb]\n[seats.two.usb]\ncontroller = \"none\"\n").unwrap();
    let output = farhand(&["check", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(": good"), "{said}");
    assert!(said.contains("two.toml: the seats one, two each look for a dongle"), "{said}");
}

#[test]
fn a_bad_configuration_is_refused_by_every_job_before_it_touches_anything() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("command");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("bad.toml");
    fs::write(&file, "[seats.main.power]\ndriver = \"rppal\"\npower = 45\n").unwrap();
    let file = file.to_str().unwrap();
    for job in [["check", file].as_slice(), &["serve", "--config", file], &["hands", "--config", file]] {
        refuses(job, &["bad.toml", "seats.main.power.power", "45", "2 to 27"]);
    }
}

#[test]
fn a_source_of_updates_is_checked_with_the_certificates_that_vouch_for_it() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("source");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("source.toml");
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
    let write = |ca: &str| {
        let text = format!("[update]\nurl = \"https://nas.example:8443/x.raucb\"\nca = \"\"\"\n{ca}\"\"\"\n");
        fs::write(&file, text).unwrap();
    };
    write(&pem);
    let output = farhand(&["check", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for broken in [pem.replace("MI", "MM"), pem.replace("-----END CERTIFICATE-----", ""), key.serialize_pem()] {
        write(&broken);
        refuses(&["check", file.to_str().unwrap()], &["source.toml", "update.ca", "-----BEGIN", "certificates in PEM"]);
    }
}

#[test]
fn the_rescue_page_comes_in_spite_of_a_bad_configuration() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("rescue");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("bad.toml");
    fs::write(&file, "[seats.main.power]\ndriver = \"rppal\"\npower = 45\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_farhand"));
    command.args(["serve", "--rescue", "--https", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    command.arg("--config").arg(&file).arg("--data").arg(folder.join("data")).arg("--hands").arg(folder.join("hands"));
    let mut serve = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let address = BufReader::new(serve.stdout.take().unwrap()).lines().map(Result::unwrap).next();
    serve.kill().unwrap();
    let said = serve.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(address.is_some_and(|address| address.starts_with("address: https://127.0.0.1:")), "{said}");
    assert!(said.contains("seats.main.power.power") && said.contains("going on with the defaults"), "{said}");
}

#[test]
fn the_rescue_page_comes_without_storage_and_lets_nobody_in() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("stranded");
    fs::create_dir_all(&folder).unwrap();
    // No folder can be made in it, by nobody.
    fs::write(folder.join("data"), "").unwrap();
    fs::write(folder.join("empty.toml"), "").unwrap();
    let plain = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_farhand"));
    command.args(["serve", "--rescue", "--https", "127.0.0.1:0", "--http", "127.0.0.1:0", "--plain"]);
    command.arg(plain.to_string()).arg("--config").arg(folder.join("empty.toml")).arg("--hands");
    command.arg(folder.join("hands")).arg("--data").arg(folder.join("data")).arg("--run").arg(folder.join("run"));
    let mut serve = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(serve.stdout.take().unwrap()).lines().map(Result::unwrap).take(2).collect::<Vec<_>>();
    let ask = |request: &str, body: &str| {
        let mut stream = TcpStream::connect(plain).unwrap();
        let origin = format!("Host: {plain}\r\nOrigin: http://{plain}\r\nConnection: close");
        let kind = format!("Content-Type: application/json\r\nContent-Length: {}", body.len());
        write!(stream, "{request} HTTP/1.1\r\n{origin}\r\n{kind}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    // The first line is the address, and no line the code.
    let answers = if said.len() == 2 {
        let code = fs::read_to_string(folder.join("run/stand-in/claim-code")).unwrap();
        let claim = format!(r#"{{"code":"{}","user":"eve","password":"long enough, eve"}}"#, code.trim());
        vec![
            ask("GET /", ""),
            ask("GET /api/v1/health", ""),
            ask("GET /api/v1/session", ""),
            ask("POST /api/v1/login", r#"{"user":"eve","password":"x"}"#),
            ask("POST /api/v1/claim", &claim),
        ]
    } else {
        Vec::new()
    };
    serve.kill().unwrap();
    let log = serve.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&log.stderr).into_owned();
    assert!(said.len() == 2 && said[1].starts_with("storage cannot be read"), "{said:?} {log}");
    assert!(log.contains("going on without what is stored"), "{log}");
    assert!(answers[0].contains("<h1>Rescue mode</h1>"), "{}", answers[0]);
    for answer in &answers[1..] {
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("storage cannot be read"), "{answer}");
        // What stands where, and what the kernel says of it, is nobody's business.
        let told = answer.split("\r\n\r\n").nth(1).unwrap();
        assert!(!told.contains(&*folder.to_string_lossy()) && !told.contains("os error"), "{told}");
    }
}

/// Two seats, each with relays on a chip that is not there.
const NO_CHIPS: &str = r#"
[seats.one]
usb.controller = "none"
video.device = "/dev/video0"
power = { driver = "gpiocdev", chip = "/dev/no-chip-one", power = 1, reset = 2 }
[seats.two]
usb.controller = "none"
video.device = "/dev/video2"
power = { driver = "gpiocdev", chip = "/dev/no-chip-two", power = 1, power_led = 3 }
"#;

#[test]
fn the_failsafe_tries_every_seat_and_tells_every_error() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("failsafe");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("no-chips.toml");
    fs::write(&file, NO_CHIPS).unwrap();
    refuses(&["failsafe", "--config", file.to_str().unwrap()], &["/dev/no-chip-one", "/dev/no-chip-two", "seat one"]);
}

#[test]
fn a_log_that_nobody_reads_holds_no_process_up_that_has_relays_to_open() {
    let temporary = tempfile::tempdir().unwrap();
    let (file, nowhere) = (temporary.path().join("no-chips.toml"), temporary.path().join("none/hands.sock"));
    fs::write(&file, NO_CHIPS).unwrap();
    let listens_nowhere = ["--socket", nowhere.to_str().unwrap()];
    // Each complains of its relays and ends by itself, if it is not held up.
    for (job, rest) in [("failsafe", &[][..]), ("hands", &listens_nowhere)] {
        let (_unread, mut log) = std::io::pipe().unwrap();
        // A pipe holds 64 KiB where nobody has changed that.
        log.write_all(&[b'\n'; 65536]).unwrap();
        let mut command = Command::new("timeout");
        command.arg("60").arg(env!("CARGO_BIN_EXE_farhand")).args([job, "--config"]).arg(&file).args(rest);
        assert_eq!(Some(1), command.stderr(log).status().unwrap().code(), "{job}");
    }
}

#[test]
fn hands_without_their_relays_serve_all_the_same_and_say_so_once() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("no-chips");
    fs::create_dir_all(&folder).unwrap();
    let (file, socket) = (folder.join("no-chips.toml"), folder.join("hands.sock"));
    fs::write(&file, NO_CHIPS).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_farhand"));
    command.arg("hands").arg("--config").arg(&file).arg("--socket").arg(&socket).env("RUST_LOG", "info");
    let mut hands = command.stderr(Stdio::piped()).spawn().unwrap();
    // It says what it holds once it listens; a process that fails to start ends the lines instead.
    let mut lines = BufReader::new(hands.stderr.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<_> = lines.by_ref().take_while(|line| !line.contains("holding one, two")).collect();
    let answered = UnixStream::connect(&socket);
    hands.kill().unwrap();
    hands.wait().unwrap();
    assert!(answered.is_ok(), "{said:?}");
    for chip in ["/dev/no-chip-one", "/dev/no-chip-two"] {
        assert_eq!(2, said.iter().filter(|line| line.contains(chip)).count(), "once for each line: {said:?}");
    }
}

#[test]
fn a_page_at_an_address_that_has_not_come_yet_is_served_within_the_machine_meanwhile() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("early");
    let mut command = Command::new(env!("CARGO_BIN_EXE_farhand"));
    // For documentation, RFC 5737: no machine has it.
    command.args(["serve", "--board", "sim", "--https", "192.0.2.1:0", "--data"]).arg(&folder);
    let mut serve = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(serve.stdout.take().unwrap()).lines().map(Result::unwrap).next();
    let port = said.as_deref().and_then(|said| said.strip_prefix("address: https://192.0.2.1:")?.parse().ok());
    let answered = port.map(|port: u16| TcpStream::connect(("127.0.0.1", port)).map(drop));
    serve.kill().unwrap();
    let log = serve.wait_with_output().unwrap();
    let log = String::from_utf8_lossy(&log.stderr).into_owned();
    assert!(matches!(answered, Some(Ok(()))), "{said:?}: {answered:?} {log}");
    assert!(log.contains("192.0.2.1 is no address of this machine yet"), "{log}");
}

#[test]
fn what_a_windows_editor_writes_is_read_or_said_to_be_saved_otherwise() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("encoding");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("windows.toml");
    fs::write(&file, "\u{feff}[network]\r\nhost = \"rack-7\"\r\n").unwrap();
    let output = farhand(&["check", file.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let wide: Vec<u8> = "\u{feff}[network]".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(&file, wide).unwrap();
    refuses(&["check", file.to_str().unwrap()], &["windows.toml", "UTF-16", "save it as UTF-8"]);
}

#[test]
fn a_redirect_is_given_on_the_command_line_as_in_the_configuration() {
    refuses(&["serve", "--board", "sim", "--http", "80"], &["--http", "none", "[::]:80"]);
    // Taken, so that what is complained of is the configuration.
    for address in ["none", "127.0.0.1:0"] {
        refuses(&["serve", "--http", address, "--config", "/nowhere/farhand.toml"], &["/nowhere/farhand.toml"]);
    }
}

#[test]
fn a_missing_configuration_is_named() {
    refuses(&["check", "/no/such/file.toml"], &["/no/such/file.toml", "No such file"]);
}

#[test]
fn plain_http_is_refused_on_any_address_but_loopback() {
    for address in ["0.0.0.0:8080", "192.168.1.5:8080", "[::1]:8080", "127.0.0.2:8080", "localhost:8080"] {
        refuses(&["serve", "--board", "sim", "--plain", address], &["127.0.0.1:PORT"]);
    }
}

#[test]
fn an_audit_log_is_printed_and_verified_and_the_first_wrong_line_is_named() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("audit");
    let (mut folder, _) = Folder::open(&path, "0123abcd").unwrap();
    for text in ["first", "second", "third"] {
        let stamp = Stamp { wall: 1_800_000_000, up: Duration::from_secs(1) };
        folder.add(&[(stamp, Entry::new(What::Press, text))]).unwrap();
    }
    let path = path.to_str().unwrap();
    let output = farhand(&["audit", path]);
    assert_eq!(3, String::from_utf8(output.stdout).unwrap().lines().count());
    let output = farhand(&["audit", "--verify", path]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.starts_with("records 1 to 3 are as they were written\n"), "{said}");
    let file = temporary.path().join("audit/00000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("second", "2nd")).unwrap();
    refuses(&["audit", "--verify", path], &["not as it was written", "00000001.jsonl, line 2: this has been changed"]);
    refuses(&["audit", "--verify", file.to_str().unwrap()], &["line 2: this has been changed"]);
    refuses(&["audit", "--verify", "/nowhere"], &["cannot read /nowhere"]);
}
