//! Tests of the thread that writes, and of those who wait for it.

use std::fs;
use std::sync::atomic::AtomicU64;

use tempfile::TempDir;

use super::super::folder::{VerifyError, verify};
use super::super::reading::{LONGEST_PAGE, Page, Wanted, Whole, page};
use super::*;
use crate::base::tasks::{Stopper, stop};

struct Bench {
    trail: Trail,
    tasks: Tasks,
    clock: Arc<AtomicU64>,
    /// Whoever holds it keeps the writer waiting, as a card does.
    card: Arc<Mutex<()>>,
    path: PathBuf,
    _temporary: TempDir,
    _stopper: Stopper,
}

impl Bench {
    fn new() -> Bench {
        // Whatever a busy machine takes.
        Bench::with(Duration::from_secs(20))
    }

    fn with(patience: Duration) -> Bench {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("audit");
        let (stopper, stop) = stop();
        let tasks = Tasks::new(stop);
        let (clock, card) = (Arc::new(AtomicU64::new(1)), Arc::new(Mutex::new(())));
        let (now, busy) = (clock.clone(), card.clone());
        let trail = Trail::with_patience(
            patience,
            path.clone(),
            "0123abcd".into(),
            Box::new(move || {
                if std::thread::current().name() == Some("the audit log") {
                    drop(lock(&busy));
                }
                let up = Duration::from_secs(now.load(Ordering::SeqCst));
                Stamp { wall: 1_800_000_000 + up.as_secs(), up }
            }),
        );
        Bench { trail, tasks, clock, card, path, _temporary: temporary, _stopper: stopper }
    }

    fn started() -> Bench {
        let bench = Bench::new();
        bench.trail.start(&bench.tasks).unwrap();
        bench
    }

    fn page(&self) -> Page {
        page(&self.path, &Wanted { before: None, limit: 100, search: None }).unwrap()
    }

    /// The outcomes and details, the oldest first.
    fn told(&self) -> Vec<String> {
        let page = self.page().records;
        page.iter().rev().map(|record| format!("{} {} {}", record.what, record.outcome, record.detail)).collect()
    }

    async fn end(self) -> (PathBuf, TempDir) {
        let Bench { trail, mut tasks, path, _temporary, .. } = self;
        drop(trail);
        tasks.first_end().await;
        (path, _temporary)
    }
}

fn press() -> Entry {
    Entry::new(What::Press, "press Power").by(Some("anna"), Some([192, 0, 2, 7].into()))
}

#[tokio::test]
async fn what_begins_is_on_the_card_before_it_is_done() {
    let bench = Bench::started();
    let record = bench.trail.begin(Class::Lasting, press()).await;
    assert_eq!(["press begun press Power"], bench.told()[..]);
    record.end(Ok(()));
    let record = bench.trail.begin(Class::Lasting, press()).await;
    record.end(Err("busy"));
    drop(bench.trail.begin(Class::Lasting, press()).await);
    bench.trail.flush().await;
    let outcomes = bench.page().records.into_iter().rev().map(|record| record.outcome).collect::<Vec<_>>();
    assert_eq!(["begun", "done", "begun", "not-done", "begun", "left"], outcomes[..]);
    assert_eq!(Some("busy"), bench.page().records[2].error.as_deref());
    assert_eq!(Some("192.0.2.7"), bench.page().records[2].from.as_deref());
    verify(&bench.path).unwrap();
}

#[tokio::test]
async fn what_nobody_waits_for_is_written_when_the_daemon_ends() {
    let bench = Bench::started();
    let typing = bench.trail.type_on(Subject { who: "anna".into(), from: None, what: What::Typing, seat: None });
    bench.trail.write(Class::Frequent, press().ended(Err("not-allowed")));
    drop(typing);
    let (path, _temporary) = bench.end().await;
    let summary = verify(&path).unwrap();
    assert_eq!(3, summary.last, "that somebody began to type, was refused, and no longer types");
}

#[tokio::test]
async fn typing_has_a_beginning_and_an_end() {
    let bench = Bench::started();
    let subject = Subject { who: "anna".into(), from: None, what: What::Typing, seat: Some("main".into()) };
    for _ in 0..5 {
        drop(bench.trail.type_on(subject.clone()));
        bench.clock.fetch_add(10, Ordering::SeqCst);
    }
    bench.trail.flush().await;
    assert_eq!(["typing begun "], bench.told()[..]);
    bench.clock.fetch_add(300, Ordering::SeqCst);
    bench.trail.flush().await;
    assert_eq!(["typing begun ", "typing done until 2027-01-15T08:00:41Z"], bench.told()[..]);
    assert_eq!(Some(5), bench.page().records[0].times);
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "that is how a card is played that does not answer")]
async fn a_card_that_does_not_answer_holds_up_one_act_for_a_while_and_no_other() {
    let bench = Bench::started();
    drop(bench.trail.begin(Class::Lasting, press()).await);
    bench.trail.flush().await;
    let card = bench.card.clone();
    let held = lock(&card);
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let first = bench.trail.begin(Class::Lasting, press()).await;
    assert_eq!(20, begun.elapsed().as_secs());
    assert!(bench.trail.status().reason.is_some());
    for _ in 0..50 {
        bench.trail.begin(Class::Lasting, press()).await.end(Ok(()));
    }
    assert_eq!(20, begun.elapsed().as_secs(), "nobody waits in vain twice");
    drop(held);
    first.end(Ok(()));
    // The time of the test stands still while the thread works.
    tokio::time::resume();
    bench.trail.flush().await;
    assert_eq!(Status { reason: None, lost: 0 }, bench.trail.status());
    assert_eq!(2 + 2 * 51, verify(&bench.path).unwrap().last);
}

#[tokio::test]
async fn what_could_not_be_written_is_counted_and_told_by_the_next_that_could() {
    let bench = Bench::started();
    bench.trail.write_now(Class::Lasting, press()).await;
    fs::remove_dir_all(&bench.path).unwrap();
    fs::write(&bench.path, "").unwrap();
    for _ in 0..3 {
        bench.trail.write_now(Class::Lasting, press()).await;
    }
    let status = bench.trail.status();
    assert_eq!((3, true), (status.lost, status.reason.is_some()), "{status:?}");
    fs::remove_file(&bench.path).unwrap();
    bench.trail.write_now(Class::Lasting, press()).await;
    assert_eq!(Status { reason: None, lost: 3 }, bench.trail.status());
    let gap = bench.page().records.into_iter().find(|record| record.error.as_deref() == Some("gap")).unwrap();
    assert_eq!(Some(3), gap.times);
    verify(&bench.path).unwrap();
}

#[tokio::test]
async fn a_queue_that_is_full_costs_records_and_keeps_nobody_waiting() {
    let bench = Bench::new();
    let many = QUEUE as u64 + 40;
    for n in 0..many {
        bench.trail.put(press().times(n), None);
    }
    assert_eq!(40, bench.trail.status().lost);
    bench.trail.start(&bench.tasks).unwrap();
    let (path, _temporary) = bench.end().await;
    let told = page(&path, &Wanted { before: None, limit: LONGEST_PAGE, search: Some("gap".into()) }).unwrap();
    assert_eq!(Some(40), told.records[0].times);
    assert_eq!(QUEUE as u64 + 1, verify(&path).unwrap().last);
}

#[tokio::test]
async fn pages_lead_back_to_the_first_record_and_a_copy_is_as_good_as_the_log() {
    let bench = Bench::started();
    for n in 0..25 {
        let who = if n % 2 == 0 { "anna" } else { "bert" };
        let entry = Entry::new(What::Users, format!("number {n}")).by(Some(who), None);
        bench.trail.write(Class::Lasting, entry.ended(Ok(())));
    }
    bench.trail.flush().await;
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let part = page(&bench.path, &Wanted { before, limit: 4, search: None }).unwrap();
        seen.extend(part.records.iter().map(|record| record.seq));
        before = part.before;
        if before.is_none() {
            break;
        }
    }
    assert_eq!((1..=25).rev().collect::<Vec<u64>>(), seen);
    let found = page(&bench.path, &Wanted { before: Some(20), limit: 100, search: Some("BERT".into()) }).unwrap();
    assert_eq!((9, None), (found.records.len(), found.before));

    let (mut whole, mut copy) = (Whole::open(&bench.path).unwrap(), Vec::new());
    while let Some(part) = whole.part().unwrap() {
        copy.extend(part);
    }
    let file = bench.path.with_extension("copy");
    fs::write(&file, &copy).unwrap();
    assert_eq!(25, verify(&file).unwrap().last);
    copy[100] ^= 1;
    fs::write(&file, &copy).unwrap();
    assert!(matches!(verify(&file), Err(VerifyError::Fault(_))));
}
