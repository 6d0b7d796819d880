//! The hands over the kernel's gadget: while the bus is suspended, as a Pi's is while its target sleeps or is off, and
//! when a host asks for a report.
//!
//! The kernel is played by `preload/hidg.c`, since no controller of a development machine refuses reports on a
//! suspended bus.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use farhand::hands::client::{Input, Person};
use farhand::hands::protocol::{FromHands, ToHands};
use tokio::net::UnixStream;
use tokio::time::{Instant, interval};

use super::bench::{A, ANNA, RawClient, seat, soon};

/// How often a node may be written to. Each question takes two writes, since a report may be fetched after the first.
const MOST_A_SECOND: u64 = 4;

/// The hands as a process, with a kernel of our own.
struct Hands {
    folder: tempfile::TempDir,
    process: Child,
}

impl Hands {
    fn start() -> Hands {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let controller = at("sys/class/udc/fe980000.usb");
        for made in [&at("sys/kernel/config/usb_gadget"), &controller] {
            fs::create_dir_all(made).unwrap();
        }
        fs::write(controller.join("state"), "suspended\n").unwrap();
        fs::write(at("farhand.toml"), "").unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_farhand"))
            .args(["hands", "--config"])
            .arg(at("farhand.toml"))
            .arg("--socket")
            .arg(at("hands.sock"))
            .env("LD_PRELOAD", build_preload(folder.path()))
            .env("FARHAND_KERNEL", folder.path())
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let is_ready = log.any(|line| line.unwrap().contains("hands.sock"));
        assert!(is_ready, "the hands end at their start");
        Hands { folder, process }
    }

    async fn connect(&self) -> RawClient {
        RawClient::new(UnixStream::connect(self.folder.path().join("hands.sock")).await.unwrap())
    }

    /// What the kernel was told to answer a host that asks for a report: each one's length and first bytes.
    fn answers(&self) -> Vec<(u8, [u8; 8])> {
        let told = fs::read(self.folder.path().join("answers")).unwrap_or_default();
        told.chunks_exact(72).map(|answer| (answer[2], answer[4..12].try_into().unwrap())).collect()
    }

    /// How many reports have been refused.
    fn refused(&self) -> u64 {
        fs::metadata(self.folder.path().join("refused")).map_or(0, |file| file.len())
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn build_preload(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host/preload/hidg.c");
    let library = folder.join("hidg.so");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    assert!(cc.status().unwrap().success(), "cc could not build {}", source.display());
    library
}

fn is_bound(message: &FromHands) -> bool {
    matches!(message, FromHands::Status { status, .. } if status.takes_keys())
}

/// Waits for a message, and beats meanwhile.
async fn hear(client: &mut RawClient, is_wanted: impl Fn(&FromHands) -> bool) {
    let mut beat = interval(Duration::from_millis(100));
    let wanted = async {
        loop {
            tokio::select! {
                _ = beat.tick() => client.say(&ToHands::Beat).await,
                message = client.hear() => if is_wanted(&message.expect("the hands hang up")) {
                    return;
                },
            }
        }
    };
    soon("the message", wanted).await;
}

#[tokio::test]
async fn the_kernel_can_answer_a_host_that_asks_for_the_current_report() {
    let hands = Hands::start();
    fs::write(hands.folder.path().join("awake"), "").unwrap();
    let mut client = hands.connect().await;
    hear(&mut client, is_bound).await;
    assert_eq!(vec![(8, [0; 8]), (7, [0; 8])], hands.answers(), "before the first report");
    let person = Person::new("anna");
    client.say(&ToHands::Chord { seat: seat(), id: 1, owner: ANNA, person, usages: vec![A] }).await;
    let done = FromHands::Done { seat: seat(), id: 1, error: None };
    hear(&mut client, |message| *message == done).await;
    let keys: Vec<_> = hands.answers()[2..].iter().map(|(len, report)| (*len, report[2])).collect();
    assert_eq!(vec![(8, 4), (8, 0), (8, 0)], keys, "after each report");
}

#[tokio::test]
async fn a_node_that_refuses_and_calls_itself_writable_is_seldom_asked() {
    let hands = Hands::start();
    let mut client = hands.connect().await;
    hear(&mut client, is_bound).await;
    let input = |input| ToHands::Input { seat: seat(), owner: ANNA, input };
    client.say(&input(Input::Key { usage: A, down: true })).await;
    let (begun, mut beats, mut x) = (Instant::now(), 0, 0);
    let mut moves = interval(Duration::from_millis(10));
    while beats < 4 {
        tokio::select! {
            _ = moves.tick() => {
                client.say(&ToHands::Beat).await;
                x += 1;
                client.say(&input(Input::Pointer { x, y: 0, buttons: 0 })).await;
            }
            message = client.hear() => beats += u64::from(message.expect("the hands hang up") == FromHands::Beat),
        }
    }
    let (refused, seconds) = (hands.refused(), begun.elapsed().as_secs());
    let most = MOST_A_SECOND * (seconds + 2);
    assert!((1..=most).contains(&refused), "{refused} writes in {seconds} s, more than {most}");
}
