//! The configuration: shown, checked, changed, tried and taken back over HTTP, with the real files in a folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use farhand::auth::role::Role;
use farhand::config::change::Part;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::bench::{Answer, Bench, Client, Folders, bearer, keep_log, lines_kept, logged, soon};
use super::socket::Socket;

const CONFIG: &str = "/api/v1/config";

/// A change that nothing is tried for.
const SMALLER: &str = "schema = 2\n# mine\nseats.main.video.size = \"1280x720\"\n";

/// A change that could lock everybody out.
const RENAMED: &str = "schema = 2\nnetwork.host = \"rack-7\"\n";

async fn ask(bench: &Bench, request: &str, lines: &str, body: &str) -> Answer {
    bench.ask(request, &format!("{}{lines}", bearer(Role::Administrator)), body).await
}

async fn shown(bench: &Bench) -> Value {
    let answer = ask(bench, &format!("GET {CONFIG}"), "", "").await;
    assert_eq!(200, answer.status, "{}", answer.text());
    let shown = answer.json();
    assert_eq!(Some(format!("\"{}\"", shown["revision"].as_str().unwrap()).as_str()), answer.line("etag"));
    shown
}

/// Has a text count where this one of a revision does.
async fn put_at(bench: &Bench, revision: &str, text: &str) -> Answer {
    let body = json!({ "text": text }).to_string();
    ask(bench, &format!("PUT {CONFIG}"), &format!("If-Match: \"{revision}\"\r\n"), &body).await
}

/// Has a text count, whatever does now.
async fn put(bench: &Bench, text: &str) -> Answer {
    let revision = shown(bench).await["revision"].as_str().unwrap().to_string();
    put_at(bench, &revision, text).await
}

async fn check(bench: &Bench, text: &str) -> Value {
    let answer = ask(bench, &format!("POST {CONFIG}/check"), "", &json!({ "text": text }).to_string()).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    answer.json()
}

fn owners(folders: &Folders) -> Option<String> {
    fs::read_to_string(folders.data().join("farhand.toml")).ok()
}

/// Waits until something starts again, and says what.
async fn applied(bench: &mut Bench) -> Vec<Part> {
    let parts: BTreeSet<Part> = soon("something starts again", bench.applied.recv()).await.unwrap();
    parts.into_iter().collect()
}

#[tokio::test]
async fn the_configuration_is_shown_with_all_that_counts() {
    let bench = Bench::new().await;
    let shown = shown(&bench).await;
    assert_eq!((&json!(""), &json!([]), &json!(null)), (&shown["text"], &shown["history"], &shown["trial"]));
    let effective: toml::Table = shown["effective"].as_str().unwrap().parse().unwrap();
    assert_eq!((Some(17), Some(true)), {
        (effective["seats"]["main"]["power"]["power"].as_integer(), effective["network"]["mdns"].as_bool())
    });
}

#[tokio::test]
async fn a_text_is_checked_with_the_place_of_each_mistake_and_what_would_start_again() {
    let bench = Bench::new().await;
    let found = check(&bench, "[network]\nhost = \"a b\"\nmdns = 1\n").await;
    let errors = found["errors"].as_array().unwrap();
    assert_eq!((2, &json!([])), (errors.len(), &found["restarts"]), "{found}");
    let host = errors.iter().find(|error| error["key"] == "network.host").unwrap();
    assert_eq!((&json!(2), &json!(8), &json!("\"a b\"")), (&host["line"], &host["column"], &host["value"]));
    let good = check(&bench, RENAMED).await;
    assert_eq!((&json!([]), &json!(["network", "page"]), &json!(true)), {
        (&good["errors"], &good["restarts"], &good["on_trial"])
    });
    assert_eq!(json!([{"key": "network.host", "before": "", "after": "rack-7"}]), good["changes"]);
    assert_eq!(None, owners(&bench.folders));
}

#[tokio::test]
async fn a_good_text_counts_is_kept_whole_and_starts_again_what_reads_it() {
    let mut bench = Bench::new().await;
    let answer = put(&bench, SMALLER).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    let told = answer.json();
    assert_eq!((&json!(["picture"]), &json!(null)), (&told["restarts"], &told["trial"]));
    assert_eq!(Some(SMALLER), owners(&bench.folders).as_deref());
    assert_eq!(vec![Part::Picture], applied(&mut bench).await);
    let shown = shown(&bench).await;
    assert_eq!((&json!(SMALLER), &told["revision"]), (&shown["text"], &shown["revision"]));
    let [version] = &shown["history"].as_array().unwrap()[..] else { panic!("{shown}") };
    assert_eq!((&json!(1), &json!("token Administrator"), &json!(SMALLER.len())), {
        (&version["n"], &version["who"], &version["size"])
    });
    assert!(version["when"].as_str().unwrap().starts_with("20"), "{version}");
}

#[tokio::test]
async fn what_counted_before_is_kept_and_can_count_again() {
    let mut bench = Bench::new().await;
    // As it came from the card, before anybody changed it here.
    fs::write(bench.folders.data().join("farhand.toml"), SMALLER).unwrap();
    assert_eq!(200, put(&bench, "seats.main.video.size = \"640x480\"\n").await.status);
    assert_eq!(vec![Part::Picture], applied(&mut bench).await);
    let listed = shown(&bench).await["history"].clone();
    assert_eq!((&json!(2), &json!(1), &json!(null)), (&listed[0]["n"], &listed[1]["n"], &listed[1]["who"]));
    let old = ask(&bench, &format!("GET {CONFIG}/history/1"), "", "").await;
    assert_eq!((200, SMALLER.to_string()), (old.status, old.text()));
    assert_eq!(200, put(&bench, &old.text()).await.status);
    assert_eq!(Some(SMALLER), owners(&bench.folders).as_deref());
    for number in ["0", "4", "x", "-1", "99999999999999999999999", "%00", "..%2f1"] {
        let answer = ask(&bench, &format!("GET {CONFIG}/history/{number}"), "", "").await;
        assert_eq!((404, "unknown-version".into()), (answer.status, answer.code()), "{number}");
    }
}

#[tokio::test]
async fn a_bad_text_is_refused_with_its_mistakes_and_nothing_is_stored() {
    let bench = Bench::new().await;
    for text in ["[network]\nhots = \"a\"\n", "seats.main.power.reset = 17\n", "x", "[seats.main.power]\npower = 45\n"]
    {
        let answer = put(&bench, text).await;
        assert_eq!((400, "bad-configuration".into()), (answer.status, answer.code()), "{text}");
        let error = &answer.json()["error"];
        assert!(error["detail"][0]["message"].is_string() && error["message"].as_str().unwrap().contains("line"));
    }
    assert_eq!((None, json!([])), (owners(&bench.folders), shown(&bench).await["history"].clone()));
}

#[tokio::test]
async fn a_text_that_is_too_long_or_has_too_many_keys_is_refused() {
    let bench = Bench::new().await;
    let long = format!("#{}", "\n".repeat(64 * 1024));
    let answers = [
        put(&bench, &long).await,
        ask(&bench, &format!("POST {CONFIG}/check"), "", &json!({ "text": long }).to_string()).await,
    ];
    for answer in answers {
        assert_eq!((413, "too-long".into()), (answer.status, answer.code()));
    }
    let fits = "\n".repeat(64 * 1024);
    assert_eq!(200, put(&bench, &fits).await.status, "twice as long in JSON");
    assert_eq!(Some(fits), owners(&bench.folders));
    let keys: String = (0..10_000).map(|number| format!("a{number}=1\n")).collect();
    let answer = put(&bench, &keys[..64 * 1024]).await;
    assert_eq!((400, "bad-configuration".into()), (answer.status, answer.code()));
}

#[tokio::test]
async fn a_change_names_what_it_changes() {
    let bench = Bench::new().await;
    let body = json!({ "text": SMALLER }).to_string();
    let answer = ask(&bench, &format!("PUT {CONFIG}"), "", &body).await;
    assert_eq!((428, "no-revision".into()), (answer.status, answer.code()));
    let revision = shown(&bench).await["revision"].as_str().unwrap().to_string();
    for stale in ["", "x", "*", &revision[1..]] {
        let answer = put_at(&bench, stale, SMALLER).await;
        assert_eq!((412, "changed".into()), (answer.status, answer.code()), "{stale}");
    }
    assert_eq!(None, owners(&bench.folders));
}

#[tokio::test]
async fn of_two_changes_of_the_same_text_one_counts() {
    let bench = Bench::new().await;
    let revision = shown(&bench).await["revision"].as_str().unwrap().to_string();
    let other = "schema = 2\nseats.main.video.size = \"640x480\"\n";
    let (one, two) = tokio::join!(put_at(&bench, &revision, SMALLER), put_at(&bench, &revision, other));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!([200, 412], statuses);
    let counts = if one.status == 200 { SMALLER } else { other };
    assert_eq!(Some(counts), owners(&bench.folders).as_deref());
}

#[tokio::test]
async fn what_could_lock_everybody_out_is_tried_until_it_is_confirmed() {
    let mut bench = Bench::new().await;
    let answer = put(&bench, RENAMED).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    let trial = answer.json()["trial"].clone();
    assert_eq!(json!(["https://rack-7.local/"]), trial["addresses"]);
    let until = Duration::from_millis(trial["until_ms"].as_u64().unwrap());
    let left = until.saturating_sub(Duration::from_millis(bench.site.clock()));
    assert!((170..=180).contains(&left.as_secs()), "{left:?}");
    assert_eq!(vec![Part::Network, Part::Page], applied(&mut bench).await);
    let told = shown(&bench).await;
    assert_eq!((&json!(RENAMED), &trial, &json!([])), (&told["text"], &told["trial"], &told["history"]));
    assert_eq!(None, owners(&bench.folders), "a power cut takes it back");
    let answer = put(&bench, SMALLER).await;
    assert_eq!((409, "on-trial".into()), (answer.status, answer.code()));

    let confirm = format!("POST {CONFIG}/confirm");
    let answer = ask(&bench, &confirm, "", "").await;
    assert_eq!((409, "too-early".into()), (answer.status, answer.code()), "the old settings may still count");
    bench.advance(Duration::from_secs(5));
    assert_eq!(204, ask(&bench, &confirm, "", "").await.status);
    assert_eq!(Some(RENAMED), owners(&bench.folders).as_deref());
    let told = shown(&bench).await;
    assert_eq!((&json!(null), &json!("token Administrator")), (&told["trial"], &told["history"][0]["who"]));
    let answer = ask(&bench, &confirm, "", "").await;
    assert_eq!((409, "not-on-trial".into()), (answer.status, answer.code()));
    bench.advance(Duration::from_secs(181));
    assert_eq!(200, put(&bench, &format!("{SMALLER}network.host = \"rack-7\"\n")).await.status);
    assert_eq!(vec![Part::Picture], applied(&mut bench).await, "nothing was taken back");
}

#[tokio::test]
async fn what_nobody_confirms_is_taken_back() {
    let mut bench = Bench::new().await;
    assert_eq!(200, put(&bench, SMALLER).await.status);
    assert_eq!(vec![Part::Picture], applied(&mut bench).await);
    assert_eq!(200, put(&bench, RENAMED).await.status);
    let tried = vec![Part::Picture, Part::Network, Part::Page];
    assert_eq!(tried, applied(&mut bench).await);
    bench.advance(Duration::from_secs(181));
    assert_eq!(tried, applied(&mut bench).await);
    let told = shown(&bench).await;
    assert_eq!((&json!(SMALLER), &json!(null)), (&told["text"], &told["trial"]));
    assert_eq!(Some(SMALLER), owners(&bench.folders).as_deref());
}

#[tokio::test]
async fn a_card_that_cannot_be_read_keeps_no_trial_going() {
    let mut bench = Bench::new().await;
    assert_eq!(200, put(&bench, RENAMED).await.status);
    applied(&mut bench).await;
    fs::create_dir(bench.folders.data().join("farhand.toml")).unwrap();
    bench.advance(Duration::from_secs(181));
    assert_eq!(Part::ALL.to_vec(), applied(&mut bench).await, "nobody knows what must start again");
    assert!(!bench.folders.run().join("trial.toml").exists());
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_taken_back_later() {
    keep_log();
    let mut bench = Bench::new().await;
    assert_eq!(200, put(&bench, RENAMED).await.status);
    applied(&mut bench).await;
    let trial = bench.folders.run().join("trial.toml");
    fs::remove_file(&trial).unwrap();
    fs::create_dir_all(trial.join("in the way")).unwrap();
    bench.advance(Duration::from_secs(181));
    logged(&["cannot take the configuration back, and try again in a moment"]).await;
    let answer = ask(&bench, &format!("POST {CONFIG}/confirm"), "", "").await;
    assert_eq!((409, "not-on-trial".into()), (answer.status, answer.code()));
    fs::remove_dir_all(&trial).unwrap();
    bench.advance(Duration::from_secs(6));
    assert_eq!(Part::ALL.to_vec(), applied(&mut bench).await);
    assert_eq!(json!(null), shown(&bench).await["trial"]);
    assert_eq!(200, put(&bench, SMALLER).await.status);
}

#[tokio::test]
async fn what_is_tried_can_be_taken_back_at_once() {
    let mut bench = Bench::new().await;
    let revert = format!("POST {CONFIG}/revert");
    let answer = ask(&bench, &revert, "", "").await;
    assert_eq!((409, "not-on-trial".into()), (answer.status, answer.code()));
    assert_eq!(200, put(&bench, RENAMED).await.status);
    applied(&mut bench).await;
    assert_eq!(204, ask(&bench, &revert, "", "").await.status);
    assert_eq!(vec![Part::Network, Part::Page], applied(&mut bench).await);
    assert_eq!(json!(""), shown(&bench).await["text"]);
}

#[tokio::test]
async fn a_trial_goes_on_when_the_hands_start_again_and_ends_with_a_boot() {
    let mut bench = Bench::new().await;
    let trial = put(&bench, RENAMED).await.json()["trial"].clone();
    applied(&mut bench).await;
    let mut bench = bench.restart().await;
    let told = shown(&bench).await;
    assert_eq!((&json!(RENAMED), &trial), (&told["text"], &told["trial"]));
    bench.advance(Duration::from_secs(181));
    assert_eq!(vec![Part::Network, Part::Page], applied(&mut bench).await);

    assert_eq!(200, put(&bench, RENAMED).await.status);
    let folders = bench.end().await;
    fs::remove_dir_all(folders.run()).unwrap();
    let bench = Bench::over(folders).await;
    let told = shown(&bench).await;
    assert_eq!((&json!(""), &json!(null)), (&told["text"], &told["trial"]));
}

#[tokio::test]
async fn a_trial_of_which_nobody_knows_the_end_is_taken_back() {
    let folders = Folders::new();
    folders.claim();
    fs::create_dir_all(folders.run()).unwrap();
    fs::write(folders.run().join("trial.toml"), RENAMED).unwrap();
    let mut bench = Bench::over(folders).await;
    assert_eq!(vec![Part::Network, Part::Page], applied(&mut bench).await);
    assert_eq!(json!(""), shown(&bench).await["text"]);
}

#[tokio::test]
async fn a_comment_starts_nothing_again() {
    let mut bench = Bench::new().await;
    assert_eq!(json!([]), put(&bench, "# mine\n").await.json()["restarts"]);
    assert_eq!(Vec::<Part>::new(), applied(&mut bench).await);
    assert_eq!(200, put(&bench, "# mine\n").await.status);
    assert_eq!(1, shown(&bench).await["history"].as_array().unwrap().len(), "nothing has changed");
}

/// Sets and takes away keys.
async fn patch(bench: &Bench, keys: Value) -> Answer {
    let revision = format!("If-Match: \"{}\"\r\n", shown(bench).await["revision"].as_str().unwrap());
    ask(bench, &format!("PATCH {CONFIG}"), &revision, &keys.to_string()).await
}

#[tokio::test]
async fn keys_are_changed_and_comments_stay() {
    let bench = Bench::new().await;
    let text =
        "schema = 2\n# Mine.\n[seats.main.video]\nsize = \"640x480\" # small\n\n[seats.main.usb]\nname = \"Mine\"\n";
    assert_eq!(200, put(&bench, text).await.status);
    let answer =
        patch(&bench, json!({"set": {"seats.main.video.size": "1280x720"}, "unset": ["seats.main.usb.name"]})).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    let told = answer.json();
    assert_eq!(json!(["picture", "keyboard"]), told["restarts"]);
    let expected = "schema = 2\n# Mine.\n[seats.main.video]\nsize = \"1280x720\" # small\n\n[seats.main.usb]\n";
    assert_eq!(Some(expected), owners(&bench.folders).as_deref());
    assert_eq!(told["revision"], shown(&bench).await["revision"]);

    let answer = patch(&bench, json!({"set": {"seats.main.video.size": "1x1"}})).await;
    assert_eq!((400, "bad-configuration".into()), (answer.status, answer.code()));
    assert_eq!(json!("seats.main.video.size"), answer.json()["error"]["detail"][0]["key"]);
    for keys in
        [json!({"set": {"seats..x": 1}}), json!({"set": {"seats": 1}}), json!({"set": {"a": null}}), json!({"x": 1})]
    {
        let answer = patch(&bench, keys).await;
        assert_eq!((400, "malformed".into()), (answer.status, answer.code()), "{}", answer.text());
    }
    let answer = ask(&bench, &format!("PATCH {CONFIG}"), "", "{}").await;
    assert_eq!((428, "no-revision".into()), (answer.status, answer.code()));
    let answer = ask(&bench, &format!("PATCH {CONFIG}"), "If-Match: \"x\"\r\n", "{}").await;
    assert_eq!((412, "changed".into()), (answer.status, answer.code()));
    assert_eq!(Some(expected), owners(&bench.folders).as_deref());
}

#[tokio::test]
async fn what_is_stored_says_of_which_schema_it_is() {
    let bench = Bench::new().await;
    let told = put(&bench, "# mine\nseats.main.video.range = \"full\"\n").await.json();
    let stored = "schema = 2\n# mine\nseats.main.video.range = \"full\"\n";
    assert_eq!(Some(stored), owners(&bench.folders).as_deref());
    assert_eq!(told["revision"], shown(&bench).await["revision"]);
    assert_eq!(200, put(&bench, "schema = 1 # old\n").await.status);
    assert_eq!(200, patch(&bench, json!({"set": {"seats.main.video.range": "full"}})).await.status);
    assert!(owners(&bench.folders).unwrap().starts_with("schema = 2 # old\n"));
}

#[tokio::test]
async fn whoever_may_configure_hears_of_a_trial_and_of_its_end() {
    let mut bench = Bench::new().await;
    let mut admin = Socket::open(&bench, &bearer(Role::Administrator)).await;
    let trial = put(&bench, RENAMED).await.json()["trial"].clone();
    assert_eq!(trial, admin.event("trial").await["trial"]);
    applied(&mut bench).await;
    assert_eq!(trial, ask(&bench, "GET /api/v1/system", "", "").await.json()["trial"]);
    // Whoever comes later learns of it.
    let mut later = Socket::open(&bench, &bearer(Role::Administrator)).await;
    assert_eq!(trial, later.event("trial").await["trial"]);
    let mut operator = Socket::open(&bench, &bearer(Role::Operator)).await;
    bench.advance(Duration::from_secs(5));
    assert_eq!(204, ask(&bench, &format!("POST {CONFIG}/confirm"), "", "").await.status);
    assert_eq!(json!(null), admin.event("trial").await["trial"]);
    operator.say(json!({"type": "key", "code": "Nonsense", "down": true})).await;
    assert!(operator.until("refused").await.iter().all(|event| event["type"] != "trial"));
}

#[tokio::test]
async fn who_changes_it_is_in_the_log_and_what_they_wrote_is_not() {
    keep_log();
    let bench = Bench::new().await;
    assert_eq!(200, put(&bench, "# canary-in-a-comment\nseats.main.usb.name = \"canary\"\n").await.status);
    assert_eq!(400, put(&bench, "network.host = \"canary in a value\"\n").await.status);
    logged(&["done: token Administrator asked to change the configuration: seats.main.usb.name"]).await;
    assert_eq!(0, lines_kept("canary"));
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_half_stored() {
    let bench = Bench::new().await;
    // As little can be written there as on a full card, by root neither.
    fs::create_dir_all(bench.folders.data().join("farhand.new/x")).unwrap();
    let answer = put(&bench, SMALLER).await;
    assert_eq!((500, "not-stored".into()), (answer.status, answer.code()));
    let told = shown(&bench).await;
    assert_eq!((&json!(""), &json!([])), (&told["text"], &told["history"]));
}

#[tokio::test]
async fn whoever_changes_how_relays_are_driven_may_press_them_and_has_it_tried() {
    let mut bench = Bench::new().await;
    let admin = bench.login().await;
    let token = async |name: &str, privileges: Value| {
        let body = json!({"name": name, "privileges": privileges}).to_string();
        let answer = bench.ask("POST /api/v1/tokens", &admin, &body).await;
        assert_eq!(200, answer.status, "{}", answer.text());
        format!("Authorization: Bearer {}\r\n", answer.json()["token"].as_str().unwrap())
    };
    let (configures, presses) =
        (token("a", json!(["configure"])).await, token("b", json!(["configure", "power"])).await);
    let revision = format!("If-Match: \"{}\"\r\n", shown(&bench).await["revision"].as_str().unwrap());
    let keys = json!({"set": {"seats.main.power.active_low": true}}).to_string();
    let change = async |by: &str| bench.ask(&format!("PATCH {CONFIG}"), &format!("{by}{revision}"), &keys).await;
    let answer = change(&configures).await;
    assert_eq!((403, "not-allowed".into()), (answer.status, answer.code()));
    assert_eq!(json!(""), shown(&bench).await["text"]);
    let answer = change(&presses).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    assert_eq!((&json!(true), false), (&answer.json()["on_trial"], answer.json()["trial"].is_null()));
    assert_eq!(vec![Part::Keyboard], applied(&mut bench).await);
    bench.advance(Duration::from_secs(181));
    assert_eq!(vec![Part::Keyboard], applied(&mut bench).await);
    assert_eq!((json!(""), None), (shown(&bench).await["text"].clone(), owners(&bench.folders)));
}

#[tokio::test]
async fn nothing_is_stored_through_a_link_in_the_place_of_the_history() {
    let bench = Bench::new().await;
    let elsewhere = bench.folders.run().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, bench.folders.data().join("config")).unwrap();
    let answer = put(&bench, SMALLER).await;
    assert_eq!((500, "not-stored".into()), (answer.status, answer.code()));
    assert!(answer.text().contains("must be a folder of user"), "{}", answer.text());
    assert_eq!((None, 0), (owners(&bench.folders), fs::read_dir(&elsewhere).unwrap().count()));
}

/// Asks another process, with a session of its.
async fn ask_process(address: &str, data: &Path, lines: &str, request: &str, body: &Value) -> Answer {
    let tcp = TcpStream::connect(address).await.unwrap();
    let mut client = Client::tls(tcp, &data.join("tls/certificate.pem")).await;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    client.send(&format!("{request} HTTP/1.1\r\nHost: {address}\r\n{lines}{length}\r\n{body}")).await;
    client.answer().await
}

#[tokio::test]
async fn a_simulation_begins_again_with_what_was_changed_and_sessions_go_on() {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("data");
    let mut command = Command::new(env!("CARGO_BIN_EXE_farhand"));
    command.args(["serve", "--board", "sim", "--https", "127.0.0.1:0", "--data"]).arg(&data);
    let mut serve = command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut said = BufReader::new(serve.stdout.take().unwrap()).lines();
    let mut next = async |word: &str| loop {
        let line = soon(word, said.next_line()).await.unwrap().expect("it goes on");
        if let Some(rest) = line.strip_prefix(word) {
            return rest.to_string();
        }
    };
    let address = next("address: https://").await;
    let claim = json!({"code": next("claim code: ").await, "user": "anna", "password": "correct horse"});
    let answer = ask_process(&address, &data, "", "POST /api/v1/claim", &claim).await;
    assert_eq!(200, answer.status, "{}", answer.text());
    let cookie = answer.cookie();

    let shown = ask_process(&address, &data, &cookie, "GET /api/v1/config", &json!(null)).await.json();
    assert!(shown["effective"].as_str().unwrap().contains("127.0.0.1:8443"), "{shown}");
    let lines = format!("{cookie}If-Match: \"{}\"\r\n", shown["revision"].as_str().unwrap());
    let text = "schema = 2\n[seats.main.usb]\nname = \"Mine\"\n[seats.second.usb]\ncontroller = \"none\"\n";
    let answer = ask_process(&address, &data, &lines, "PUT /api/v1/config", &json!({ "text": text })).await;
    assert_eq!(200, answer.status, "{}", answer.text());

    let address = next("address: https://").await;
    let seats = ask_process(&address, &data, &cookie, "GET /api/v1/seats", &json!(null)).await;
    assert!(seats.status == 200 && seats.text().contains("second"), "{}", seats.text());
    assert_eq!(text, fs::read_to_string(data.join("farhand.toml")).unwrap());
    serve.kill().await.unwrap();
}
