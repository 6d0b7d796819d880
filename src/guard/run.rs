//! Carries out what the guard decides: asks, feeds, writes, and restarts.
//!
//! Nothing in here ends it, and nothing keeps it from feeding for longer than the watchdog's timeout: what may hang (a
//! card that does not answer, a command) has a thread of its own and a time limit.

use std::fs;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use crate::base::blocking::{Lane, LaneError};
use crate::base::files;
use crate::base::launcher::{Launcher, Program};
use crate::base::tasks::Stop;
use crate::config;
use crate::health::judge::{APART, Action, Depth, Guard, Mark, Observation, ReadBack};
use crate::health::needs::{Fault, Needs};
use crate::health::reset_reason::{Evidence, ResetReason};
use crate::hw::bootenv::BootEnv;
use crate::hw::condition;
use crate::hw::restart::{self, Reason};
use crate::hw::traces::{self, Traces};
use crate::hw::watchdog::{self, Watchdog};
use crate::net::probe::{self, Probe};
use crate::update::slots::{Environment, Slot};

/// How long storage or a command may take.
const PATIENCE: Duration = Duration::from_secs(3);

// A machine whose page and storage are slow is not to be reset for it. The longest gap between two feeds is: the page's
// answer, the examination, a confirmation written, and crashes forgiven or the time kept; or a pause, a mark, and the
// page's answer.
const _: () = assert!(probe::PATIENCE.as_secs() + 3 * PATIENCE.as_secs() < watchdog::TIMEOUT_SECS as u64);
const _: () = assert!(APART.as_secs() + PATIENCE.as_secs() + probe::PATIENCE.as_secs() < watchdog::TIMEOUT_SECS as u64);

/// What the guard must know of the machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the page listens.
    pub page: SocketAddr,
    /// What survives a reboot.
    pub data: PathBuf,
    /// What a rescue page has in place of that, if it cannot use it.
    pub stand_in: PathBuf,
    /// What the daemon's processes share until then.
    pub run: PathBuf,
    /// Which watchdog to feed.
    pub watchdog: config::Watchdog,
    /// Whether some seat has a keyboard.
    pub wants_gadget: bool,
    /// Starts [`programs`].
    pub launcher: Launcher,
}

/// What the guard has started: what reads and writes the boot loader's memory, restarts the machine, and changes to
/// rescue mode.
pub fn programs() -> Vec<Program> {
    let memory = BootEnv::default();
    vec![memory.reader(), memory.writer(), restart::program(), services()]
}

/// Guards until told to stop.
pub async fn run(settings: Settings, mut stop: Stop) {
    let slot = fs::read_to_string("/proc/cmdline").ok().and_then(|line| Slot::running(&line));
    let (traces, probe, feeder) = (Traces::new(&settings.data), Probe::default(), Feeder::default());
    let mut shell = Shell { traces, probe, feeder, settings, slot, lanes: Lanes::default() };
    // A card that takes its time must not cost the owner the reason; and nobody waits for it with the watchdog.
    // A guard that starts again within the same boot finds the traces taken already.
    let mut gathering = (!shell.has_said()).then(|| shell.gather());
    let mut recalling = Some(shell.recall());
    let mut guard = Guard::new(now(), slot);
    loop {
        guard.tick(now());
        while let Some(action) = guard.poll() {
            shell.carry_out(action, &mut guard).await;
        }
        tokio::select! {
            () = stop.requested() => return,
            () = sleep_until(guard.deadline().into()) => (),
            gathered = until_done(&mut gathering) => shell.report(gathered),
            recalled = until_done(&mut recalling) => match recalled {
                Ok(noted) => guard.recall(noted),
                Err(panic) => log::error!("cannot find out what this machine had: {panic}"),
            },
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

struct Shell {
    settings: Settings,
    slot: Option<Slot>,
    traces: Traces,
    probe: Probe,
    feeder: Feeder,
    lanes: Lanes,
}

impl Shell {
    /// Collects what the previous run of the machine left.
    fn gather(&self) -> JoinHandle<Evidence> {
        let (traces, slot, memory) = (self.traces.clone(), self.slot, self.memory());
        spawn_blocking(move || {
            let environment = slot.map(|_| memory.read()).and_then(|environment| {
                environment.map_err(|error| log::warn!("cannot read the boot loader's memory: {error}")).ok()
            });
            let (panic_log, note) = (traces.take_panic_log(), traces::noted());
            let (watchdog_reset, reset_status) = (watchdog::caused_reset(), watchdog::reset_status());
            Evidence { slot, environment, panic_log, note, watchdog_reset, reset_status }
        })
    }

    /// Whether this boot's start has been explained, and by us: others, too, can make files there.
    fn has_said(&self) -> bool {
        fs::symlink_metadata(self.explanation()).is_ok_and(|file| file.is_file() && file.uid() == geteuid().as_raw())
    }

    /// The boot loader's.
    fn memory(&self) -> BootEnv {
        BootEnv { launcher: self.settings.launcher.clone(), ..BootEnv::default() }
    }

    /// Where one start leaves notes for the next.
    fn state(&self) -> PathBuf {
        self.settings.data.join("state")
    }

    fn explanation(&self) -> PathBuf {
        self.settings.run.join("started.json")
    }

    /// Takes up what a confirmed release had.
    fn recall(&self) -> JoinHandle<Option<Needs>> {
        let traces = self.traces.clone();
        spawn_blocking(move || traces.needs())
    }

    /// Says why the machine has started, once and for all.
    fn report(&mut self, gathered: Result<Evidence, JoinError>) {
        match gathered {
            Ok(mut evidence) => {
                // A watchdog may have come meanwhile.
                evidence.watchdog_reset |= watchdog::caused_reset();
                self.say(&evidence);
                self.feeder.evidence = Some(evidence);
            }
            Err(panic) => log::error!("cannot find out why the machine has started: {panic}"),
        }
    }

    /// Puts it where the page finds it.
    fn say(&self, evidence: &Evidence) {
        let started = evidence.conclusion();
        match (started.why, started.detail.as_str()) {
            (why @ (ResetReason::Power | ResetReason::Update | ResetReason::Restart), detail) => {
                log::info!("started after {why:?}: {detail}")
            }
            (why, detail) => log::warn!("started after {why:?}: {detail}"),
        }
        let text = serde_json::to_vec(&started).expect("two strings are plain data");
        let path = self.explanation();
        if let Err(error) = files::write_with_mode(&path, &text, 0o640) {
            log::error!("cannot write {}: {error}", path.display());
        }
    }

    async fn carry_out(&mut self, action: Action, guard: &mut Guard) {
        match action {
            Action::Look(depth) => {
                let seen = self.look(depth).await;
                guard.saw(now(), seen);
            }
            Action::Feed => {
                if let Some(evidence) = self.feeder.feed(&self.settings.watchdog, self.slot.is_some()) {
                    self.say(&evidence);
                }
            }
            Action::Confirm(slot) => {
                let memory = self.memory();
                let confirmed = self.lanes.memory.run(move || memory.confirm(slot)).await;
                let confirmed = said(confirmed);
                let outcome = confirmed.map(|back| back.map_or(ReadBack::Busy, ReadBack::Environment));
                guard.confirmed(now(), slot, outcome);
            }
            Action::Remember(needs) => {
                let traces = self.traces.clone();
                let kept = self.lanes.notes.run(move || traces.remember(needs)).await;
                guard.remembered(needs, said(kept));
            }
            Action::Forgive => {
                let traces = self.traces.clone();
                // Whether it hangs makes no difference: the next examination finds out.
                let _ = self.lanes.notes.run(move || traces.forgive()).await;
            }
            Action::Mark => {
                let traces = self.traces.clone();
                let marked = self.lanes.notes.run(move || traces.mark()).await;
                guard.marked(match said(marked) {
                    Ok(true) => Mark::Set,
                    Ok(false) => Mark::Earlier,
                    Err(why) => Mark::Failed(why),
                });
            }
            Action::GiveUp { reason, restart } => {
                log::error!("giving up: {reason}");
                let (state, reason) = (self.state(), Reason::Watchdog(reason));
                let noted = self.lanes.notes.run(move || restart::note(&state, &reason)).await;
                if let Err(why) = said(noted) {
                    log::error!("cannot note that down: {why}");
                }
                if restart {
                    // If that hangs, the watchdog, which is not fed any more, does not wait for it.
                    let launcher = self.settings.launcher.clone();
                    let restarted = self.lanes.init.run(move || restart::restart(&launcher)).await;
                    if let Err(why) = said(restarted) {
                        log::error!("cannot restart: {why}");
                    }
                }
            }
            Action::TakeBack => {
                let state = self.state();
                let taken = self.lanes.notes.run(move || restart::take_back(&state)).await;
                if let Err(why) = said(taken) {
                    log::warn!("cannot take back the note of why the machine restarts: {why}");
                }
            }
            Action::Rescue => {
                if let Err(error) = files::write_with_mode(&self.settings.run.join("rescue"), b"", traces::MODE) {
                    log::error!("cannot change to rescue mode: {error}");
                }
                let launcher = self.settings.launcher.clone();
                if let Err(why) = self.lanes.init.run(move || restart_services(&launcher)).await {
                    log::error!("restarting the services: {why}");
                }
            }
            Action::Warn(text) => log::warn!("{text}"),
            Action::Note(text) => log::info!("{text}"),
        }
    }

    async fn look(&mut self, depth: Depth) -> Observation {
        let rescue = self.settings.run.join("rescue").exists();
        // A rescue page that cannot use what survives a reboot has a key of its own making.
        let stands_in = rescue && self.settings.stand_in.exists();
        let folder = if stands_in { &self.settings.stand_in } else { &self.settings.data };
        let page = self.probe.ask(self.settings.page, folder).await;
        let (faults, environment) = match self.slot {
            Some(_) => self.examine(depth).await,
            None => (Vec::new(), None),
        };
        Observation { page, rescue, faults, environment }
    }

    async fn examine(&mut self, depth: Depth) -> (Vec<Fault>, Option<Result<Environment, String>>) {
        let asks_memory = depth != Depth::Quick;
        let (data, wants_gadget, memory) = (self.settings.data.clone(), self.settings.wants_gadget, self.memory());
        let examined = self.lanes.looks.run(move || {
            let mut faults = condition::faults(wants_gadget);
            if depth == Depth::Whole {
                faults.extend(condition::storage_fault(&data));
            }
            (faults, asks_memory.then(|| memory.read().map_err(|error| error.to_string())))
        });
        // Nobody knows then what else is missing.
        let hung =
            |why: String| (vec![Fault { lacks: Needs::ALL, text: why.clone() }], asks_memory.then_some(Err(why)));
        examined.await.unwrap_or_else(|error| hung(error.to_string()))
    }
}

/// What may hang, by what it waits for.
struct Lanes {
    looks: Lane,
    memory: Lane,
    notes: Lane,
    init: Lane,
}

impl Default for Lanes {
    fn default() -> Lanes {
        let lane = || Lane::new(PATIENCE);
        Lanes { looks: lane(), memory: lane(), notes: lane(), init: lane() }
    }
}

/// The result, or why there is none, in words.
fn said<T>(done: Result<io::Result<T>, LaneError>) -> Result<T, String> {
    done.map_err(io::Error::other).flatten().map_err(|error| error.to_string())
}

/// Waits for what goes on, and never ends once that is over.
async fn until_done<T>(work: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    let Some(handle) = work else { return pending().await };
    let done = handle.await;
    *work = None;
    done
}

/// What has init start again what is to run in rescue mode. By force: a process that hangs ends at no polite request.
fn services() -> Program {
    Program::new(["sv", "-w", "2", "force-restart", "/etc/sv/serve", "/etc/sv/hands"]).outliving()
}

/// Has init start them again.
fn restart_services(launcher: &Launcher) {
    match launcher.output(&services(), b"").map(|output| output.status) {
        Ok(status) if status.success() => (),
        // It waits until they are up again, which may take longer than it does.
        Ok(status) => log::warn!("restarting the services: sv ended with {status}"),
        Err(error) => log::error!("cannot restart the services: {error}"),
    }
}

/// The watchdog, as far as there is one: its driver may be loaded after us.
#[derive(Debug, Default)]
struct Feeder {
    open: Option<Watchdog>,
    /// What was last wrong with it, so that it is logged once.
    wrong: String,
    /// What the start was judged by, until a watchdog that came later has been heard.
    evidence: Option<Evidence>,
}

impl Feeder {
    /// Feeds the watchdog. Returns the evidence again, once, if a watchdog that has just come adds to it.
    ///
    /// A machine with slots was started by U-Boot, which starts the watchdog, too.
    fn feed(&mut self, which: &config::Watchdog, has_slots: bool) -> Option<Evidence> {
        if let Some(watchdog) = &self.open {
            if let Err(error) = watchdog.feed() {
                self.complain(format!("cannot feed {}: {error}", watchdog.name));
                self.open = None;
            }
            return None;
        }
        match Watchdog::open(which, has_slots) {
            Ok(watchdog) => {
                log::info!("feeding {}", watchdog.name);
                self.wrong.clear();
                // Opening starts it with a full time.
                self.open = Some(watchdog);
                let mut evidence = self.evidence.take().filter(|evidence| !evidence.watchdog_reset)?;
                evidence.watchdog_reset = watchdog::caused_reset();
                evidence.watchdog_reset.then_some(evidence)
            }
            Err(error) => {
                if *which != config::Watchdog::None || has_slots {
                    self.complain(format!("no watchdog: {error}"));
                }
                None
            }
        }
    }

    fn complain(&mut self, text: String) {
        if text != self.wrong {
            log::warn!("{text}");
            self.wrong = text;
        }
    }
}
