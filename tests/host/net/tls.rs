//! The certificate: made, renewed, offered, and refused when it is broken.

use std::future::Future;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use farhand::auth::clock::{Clock, SystemClock};
use farhand::health::judge::Page;
use farhand::net::probe;
use farhand::tls::TlsError;
use farhand::tls::certificates::Certificates;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::Notify;

use super::bench::{Bench, Folders, keep_log, lines_kept, soon};

const DAY: u64 = 24 * 3600;

/// Some time in 2027.
const NOW: u64 = 1_800_000_000;

/// A device's folder of keys and certificates.
struct Folder(Folders);

impl Folder {
    fn new() -> Folder {
        Folder(Folders::new())
    }

    fn path(&self) -> PathBuf {
        self.0.data().join("tls")
    }

    fn open_with(&self, names: &[&str], now: u64, addresses: &[IpAddr]) -> Result<Arc<Certificates>, TlsError> {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        Certificates::open(&self.path(), &names, now, addresses)
    }

    fn open(&self, names: &[&str]) -> Arc<Certificates> {
        self.open_with(names, NOW, &[]).unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path()).unwrap();
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// What openssl says.
    fn openssl(&self, arguments: &[&str]) -> String {
        let output = Command::new("openssl").current_dir(self.path()).args(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        format!("{}{}", output.status, String::from_utf8_lossy(&said))
    }

    /// A field of the certificate as openssl prints it.
    fn field(&self, field: &str) -> String {
        self.openssl(&["x509", "-in", "certificate.pem", "-noout", field])
    }
}

/// A certificate that signs itself, as the release before made it and as owners make their own.
fn self_signed(key: &str, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let key = rcgen::KeyPair::from_pem(key).unwrap();
    rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem()
}

fn key() -> String {
    rcgen::KeyPair::generate().unwrap().serialize_pem()
}

/// Takes the certificate of our own making out of a folder, and puts somebody else's there.
fn put_own(folder: &Path) {
    let key = key();
    std::fs::write(folder.join("certificate.pem"), self_signed(&key, &["kvm.example.org", "127.0.0.1"])).unwrap();
    std::fs::write(folder.join("key.pem"), key).unwrap();
}

#[tokio::test]
async fn the_certificate_is_made_once_and_its_keys_are_ours_alone() {
    let bench = Bench::new().await;
    let folder = bench.folders.data().join("tls");
    let names = ["key.pem", "certificate.pem", "authority.json"];
    let read = || names.map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
    let before = read();
    for name in names {
        assert_eq!(0o600, std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777, "{name}");
    }
    let offered = bench.ask("GET /api/v1/authority.crt", "", "").await.text();
    assert_eq!(offered, std::fs::read_to_string(folder.join("authority.crt")).unwrap());
    let bench = bench.restart().await;
    assert_eq!(before, read());
    assert_eq!(200, bench.ask("GET /api/v1/health", "", "").await.status);
    let other = Bench::new().await;
    for name in names {
        let others = std::fs::read_to_string(other.folders.data().join("tls").join(name)).unwrap();
        assert!(!before.contains(&others), "two devices share {name}");
    }
}

#[test]
fn openssl_believes_the_certificate_for_every_name_and_address_and_no_other() {
    let folder = Folder::new();
    let addresses = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
    let certificates = folder.open_with(&["kvm", "kvm.local", "kvm.example.org"], NOW, &addresses).unwrap();
    folder.write("ca.pem", &certificates.authority().unwrap());
    let at = NOW.to_string();
    let verify = |more: &[&str]| {
        let usual = ["verify", "-x509_strict", "-purpose", "sslserver", "-attime", &at, "-CAfile", "ca.pem"];
        folder.openssl(&[&usual[..], more, &["certificate.pem"]].concat())
    };
    for name in ["kvm", "kvm.local", "kvm.example.org", "localhost"] {
        let said = verify(&["-verify_hostname", name]);
        assert!(said.contains("certificate.pem: OK"), "{name}: {said}");
    }
    for address in ["192.0.2.7", "2001:db8::7", "127.0.0.1", "::1"] {
        let said = verify(&["-verify_ip", address]);
        assert!(said.contains("certificate.pem: OK"), "{address}: {said}");
    }
    assert!(verify(&["-verify_hostname", "evil.example"]).contains("hostname mismatch"));
    assert!(verify(&["-verify_ip", "192.0.2.8"]).contains("IP address mismatch"));

    let leaf = folder.openssl(&["x509", "-in", "certificate.pem", "-noout", "-text"]);
    for said in ["CA:FALSE", "TLS Web Server Authentication", "Digital Signature", "Authority Key Identifier"] {
        assert!(leaf.contains(said), "{said}: {leaf}");
    }
    let authority = folder.openssl(&["x509", "-in", "ca.pem", "-noout", "-text"]);
    for said in ["CA:TRUE, pathlen:0", "Certificate Sign", "Subject Key Identifier"] {
        assert!(authority.contains(said), "{said}: {authority}");
    }
}

#[test]
fn a_certificate_lasts_for_825_days_at_most_and_is_renewed_under_the_same_authority_before_they_end() {
    let folder = Folder::new();
    let certificates = folder.open(&["kvm"]);
    let (first, authority, number) =
        (folder.read("certificate.pem"), certificates.authority(), folder.field("-serial"));
    let ends_within = |days: u64| {
        let seconds = (NOW + days * DAY).saturating_sub(now()).to_string();
        folder.openssl(&["x509", "-in", "certificate.pem", "-noout", "-checkend", &seconds]).contains("will expire")
    };
    assert!(ends_within(825) && !ends_within(818));
    assert!(!certificates.renew(NOW + 790 * DAY, &[]).unwrap());
    assert_eq!(first, folder.read("certificate.pem"));
    assert!(certificates.renew(NOW + 795 * DAY, &[]).unwrap());
    assert_eq!(authority, certificates.authority());
    assert!(ends_within(795 + 825) && !ends_within(795 + 818));
    assert_ne!(number, folder.field("-serial"), "browsers refuse a number that they have seen");
}

#[test]
fn a_certificate_that_a_wrong_clock_made_is_replaced_when_the_clock_is_right() {
    let folder = Folder::new();
    let certificates = folder.open_with(&["kvm"], 0, &[]).unwrap();
    assert!(!certificates.renew(3600, &[]).unwrap(), "in 1970, where a board without a battery begins");
    assert!(certificates.renew(NOW + 500 * DAY, &[]).unwrap());
    let ahead = Folder::new();
    let certificates = ahead.open_with(&["kvm"], NOW + 3000 * DAY, &[]).unwrap();
    assert!(certificates.renew(NOW, &[]).unwrap());
}

#[test]
fn a_new_address_gets_a_certificate_and_one_that_is_gone_does_not() {
    let folder = Folder::new();
    let (one, two): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let certificates = folder.open(&["kvm"]);
    assert!(certificates.renew(NOW, &[one]).unwrap());
    assert!(certificates.renew(NOW, &[one, two]).unwrap());
    assert!(!certificates.renew(NOW, &[two]).unwrap(), "it may come back, and each certificate is a write");
    assert!(!certificates.renew(NOW, &[]).unwrap());
    let said = folder.openssl(&["x509", "-in", "certificate.pem", "-noout", "-ext", "subjectAltName"]);
    assert!(said.contains("IP Address:192.0.2.1") && said.contains("IP Address:192.0.2.2"), "{said}");
}

#[test]
fn a_new_name_gets_a_certificate_of_ours_made_anew_but_nobody_elses() {
    let folder = Folder::new();
    let authority = folder.open(&["one.example"]).authority();
    let (key, first) = (folder.read("key.pem"), folder.read("certificate.pem"));
    assert_eq!(authority, folder.open(&["one.example", "two.example"]).authority());
    let second = folder.read("certificate.pem");
    assert_ne!(first, second);
    folder.open(&["one.example"]);
    assert_eq!(second, folder.read("certificate.pem"), "a name that is away for a moment is no reason");
    assert_eq!(key, folder.read("key.pem"));
    // As an owner would put their own there, for the same key.
    let own = self_signed(&key, &["one.example"]);
    folder.write("certificate.pem", &own);
    let certificates = folder.open(&["three.example"]);
    assert_eq!((own, None), (folder.read("certificate.pem"), certificates.authority()));
}

#[test]
fn a_certificate_of_ours_is_known_by_its_authority_when_the_note_of_it_is_lost() {
    let folder = Folder::new();
    let authority = folder.open(&["kvm"]).authority();
    for lost in ["", "{"] {
        folder.write("made.json", lost);
        let certificates = folder.open(&["kvm"]);
        assert_eq!((true, &authority), (authority.is_some(), &certificates.authority()));
        assert!(folder.read("made.json").contains("sha256"), "it is written again");
    }
}

#[test]
fn the_certificate_of_the_release_before_is_taken_over_with_its_key() {
    let folder = Folder::new();
    let key = key();
    let before = self_signed(&key, &["kvm", "localhost"]);
    folder.write("key.pem", &key);
    folder.write("certificate.pem", &before);
    folder.write("made.json", &format!(r#"{{"names":["kvm"],"sha256":"{}"}}"#, sha256(&before)));
    let certificates = folder.open(&["kvm"]);
    assert_eq!(key, folder.read("key.pem"));
    folder.write("ca.pem", &certificates.authority().unwrap());
    let said = folder.openssl(&["verify", "-attime", &NOW.to_string(), "-CAfile", "ca.pem", "certificate.pem"]);
    assert!(said.contains("certificate.pem: OK"), "{said}");
}

#[test]
fn the_release_before_can_start_with_what_we_leave_and_we_with_what_it_leaves() {
    let folder = Folder::new();
    let authority = folder.open(&["kvm"]).authority();
    // It knows a certificate of ours by these two, and then serves it with the key next to it, whole.
    let made: serde_json::Value = serde_json::from_str(&folder.read("made.json")).unwrap();
    assert_eq!(serde_json::json!(["kvm"]), made["names"]);
    assert_eq!(sha256(&folder.read("certificate.pem")), made["sha256"]);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(folder.read("certificate.pem").as_bytes()).flatten().collect();
    let key = PrivateKeyDer::from_pem_slice(folder.read("key.pem").as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    assert!(builder.with_no_client_auth().with_single_cert(chain, key).is_ok());
    // For another name it makes one that signs itself, and forgets what it does not know.
    let before = self_signed(&folder.read("key.pem"), &["other"]);
    folder.write("certificate.pem", &before);
    folder.write("made.json", &format!(r#"{{"names":["other"],"sha256":"{}"}}"#, sha256(&before)));
    assert_eq!(authority, folder.open(&["other"]).authority(), "nobody has to trust another authority");
}

#[test]
fn a_power_cut_between_two_writes_does_not_make_our_certificate_somebody_elses() {
    let folder = Folder::new();
    folder.open(&["one.example"]);
    let first = folder.read("certificate.pem");
    folder.open(&["two.example"]);
    folder.write("certificate.pem", &first);
    assert!(folder.open(&["two.example"]).authority().is_some());
    assert_ne!(first, folder.read("certificate.pem"));
}

#[test]
fn a_lost_certificate_is_made_again_for_the_same_key() {
    let folder = Folder::new();
    let authority = folder.open(&[]).authority();
    let key = folder.read("key.pem");
    std::fs::remove_file(folder.path().join("certificate.pem")).unwrap();
    assert_eq!(authority, folder.open(&[]).authority());
    assert_eq!(key, folder.read("key.pem"));
}

#[test]
fn a_card_that_takes_no_more_writes_leaves_the_certificate_that_there_is() {
    let folder = Folder::new();
    let authority = folder.open(&["one.example"]).authority();
    let first = folder.read("certificate.pem");
    // A folder in its place is written to by nobody, root included.
    let made = folder.path().join("made.json");
    let text = folder.read("made.json");
    std::fs::create_dir(folder.path().join("made.new")).unwrap();
    let certificates = folder.open(&["two.example"]);
    assert_eq!((first, authority), (folder.read("certificate.pem"), certificates.authority()));
    assert_eq!(text, std::fs::read_to_string(made).unwrap());
}

#[test]
fn a_damaged_authority_that_cannot_be_replaced_is_told_once_for_each_damage() {
    keep_log();
    let folder = Folder::new();
    let certificates = folder.open(&["kvm"]);
    // A folder in its place is written to by nobody, root included.
    std::fs::create_dir(folder.path().join("authority.new")).unwrap();
    for (damage, told) in [("half", 1), ("half", 1), ("another", 2), ("another", 2)] {
        folder.write("authority.json", damage);
        for _ in 0..3 {
            certificates.renew(NOW, &[]).unwrap_err();
        }
        assert_eq!(told, lines_kept("authority.json is damaged"), "{damage}");
    }
}

#[test]
fn broken_files_are_named_and_kept() {
    let folder = Folder::new();
    folder.open(&[]);
    let good = folder.read("key.pem");
    let cut = &good[..good.len() / 2];
    for (name, text) in [
        ("key.pem", ""),
        ("key.pem", cut),
        ("key.pem", "nonsense"),
        ("certificate.pem", ""),
        ("certificate.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        let before = folder.read(name);
        folder.write(name, text);
        let error = folder.open_with(&[], NOW, &[]).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("delete"), "{error}");
        assert_eq!(text, folder.read(name), "it was overwritten");
        folder.write(name, &before);
    }
    folder.write("key.pem", &key());
    let error = folder.open_with(&[], NOW, &[]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("certificate for key.pem"), "{error}");
}

/// The certificate that a new connection is shown.
async fn shown(certificates: &Certificates) -> CertificateDer<'static> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificates.authority().unwrap().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let time = Arc::new(At(Duration::from_secs(NOW + 200 * DAY)));
    let config = rustls::ClientConfig::builder_with_details(provider, time)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = tokio_rustls::TlsConnector::from(Arc::new(config));
    let (acceptor, name) = (certificates.acceptor().unwrap(), "kvm".try_into().unwrap());
    let (server, client) = tokio::join!(acceptor.accept(near), client.connect(name, far));
    server.unwrap();
    client.unwrap().get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// A time that does not pass.
#[derive(Debug)]
struct At(Duration);

impl rustls::time_provider::TimeProvider for At {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(rustls::pki_types::UnixTime::since_unix_epoch(self.0))
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let folder = Folder::new();
    let certificates = folder.open(&["kvm"]);
    let first = shown(&certificates).await;
    assert_eq!(first, shown(&certificates).await);
    certificates.renew(NOW, &["192.0.2.1".parse().unwrap()]).unwrap();
    assert_ne!(first, shown(&certificates).await);
}

/// A clock whose waits end when a test says so, one for each word.
#[derive(Debug, Default)]
struct Rounds {
    wall: AtomicU64,
    go: Notify,
}

impl Clock for Rounds {
    fn since_boot(&self) -> Duration {
        Duration::ZERO
    }

    fn wall(&self) -> u64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn wait_for(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.go.notified())
    }
}

#[tokio::test]
async fn the_daemon_looks_at_times_and_addresses_by_itself() {
    let folder = Folder::new();
    let certificates = folder.open(&["kvm"]);
    let first = folder.read("certificate.pem");
    let clock = Arc::new(Rounds::default());
    let (stopper, stop) = farhand::base::tasks::stop();
    let (asked, mut rounds) = tokio::sync::mpsc::unbounded_channel();
    let addresses = move || {
        asked.send(()).unwrap();
        Vec::new()
    };
    let names = || vec!["kvm".to_string()];
    let keeping = tokio::spawn(certificates.keep(clock.clone(), names, addresses, stop));
    for (days, is_first) in [(300, true), (800, false)] {
        clock.wall.store(NOW + days * DAY, Ordering::SeqCst);
        // A round is over when the next one begins, and the one under way may have seen the time before.
        for _ in 0..3 {
            clock.go.notify_one();
            soon("a round", rounds.recv()).await;
        }
        assert_eq!(is_first, first == folder.read("certificate.pem"), "after {days} days");
    }
    stopper.stop();
    soon("the end", keeping).await.unwrap();
}

#[tokio::test]
async fn curl_believes_us_by_address_once_it_has_the_authority() {
    let bench = Bench::new().await;
    let answer = bench.ask("GET /api/v1/authority.crt", "", "").await;
    assert_eq!((200, Some("application/x-x509-ca-cert")), (answer.status, answer.line("content-type")));
    let file = bench.folders.run().join("authority.crt");
    std::fs::write(&file, &answer.body).unwrap();
    let curl = async |more: &[&str]| {
        let url = format!("https://{}/api/v1/health", bench.https);
        let output =
            tokio::process::Command::new("curl").args(["-s", "-w", "%{http_code}"]).args(more).arg(url).output();
        let output = soon("curl", output).await.unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let believed = curl(&["--cacert", file.to_str().unwrap()]).await;
    assert_eq!((Some(0), "{\"ok\":true}200".to_string()), believed);
    assert_eq!(Some(60), curl(&[]).await.0, "nobody else vouches for us");
}

#[tokio::test]
async fn browsers_may_insist_on_nothing_but_an_owners_own_certificate() {
    let hsts = async |bench: &Bench| {
        let answer = bench.ask("GET /api/v1/session", "", "").await;
        answer.line("strict-transport-security").unwrap().to_string()
    };
    let bench = Bench::new().await;
    assert_eq!("max-age=0", hsts(&bench).await, "what was promised before is taken back");
    let folders = bench.end().await;
    put_own(&folders.data().join("tls"));
    let bench = Bench::over(folders).await;
    assert_eq!("max-age=86400", hsts(&bench).await);
    let answer = bench.ask("GET /api/v1/authority.crt", "", "").await;
    assert_eq!((404, "no-authority".into()), (answer.status, answer.code()));
    let bench = Bench::with(bench.end().await, None).await;
    assert_eq!("max-age=0", hsts(&bench).await, "in rescue mode");
}

#[tokio::test]
async fn the_guard_knows_the_page_by_a_renewed_certificate() {
    let bench = Bench::new().await;
    let (data, mut probe) = (bench.folders.data(), probe::Probe::default());
    assert_eq!(Page::Well, soon("an answer", probe.ask(bench.https, &data)).await);
    bench.certificates.renew(now(), &["192.0.2.1".parse().unwrap()]).unwrap();
    assert_eq!(Page::Well, soon("an answer", probe.ask(bench.https, &data)).await);
    put_own(&data.join("tls"));
    bench.certificates.renew(now(), &[]).unwrap();
    assert_eq!(Page::Well, soon("an answer", probe.ask(bench.https, &data)).await);
}

#[tokio::test]
async fn the_guard_knows_the_page_before_it_offers_a_renewed_certificate() {
    let bench = Bench::new().await;
    let (data, mut probe) = (bench.folders.data(), probe::Probe::default());
    assert_eq!(Page::Well, soon("an answer", probe.ask(bench.https, &data)).await);
    put_own(&data.join("tls"));
    for _ in 0..2 {
        assert_eq!(Page::Well, soon("an answer", probe.ask(bench.https, &data)).await);
    }
    // A guard that has not seen the page yet knows it by the file alone.
    assert!(matches!(soon("an answer", probe::ask(bench.https, &data)).await, Page::Silent(_)));
    bench.certificates.renew(now(), &[]).unwrap();
    assert_eq!(Page::Well, soon("an answer", probe.ask(bench.https, &data)).await);
}

fn now() -> u64 {
    SystemClock.wall()
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
