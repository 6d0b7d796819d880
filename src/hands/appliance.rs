//! Updates, restarts and resets the appliance itself, on the network process's request.
//!
//! A task of its own, apart from the loop that opens relays, because all of this waits for a card. What the network
//! process has received is taken out of its reach before anybody looks at it, and what is wrong with it is the
//! installer's decision: that one checks the signature, the board and the version, and writes only where we do not run.

mod card;
pub mod configuration;
mod installer;
mod notes;
mod ports;
mod program;
pub mod spool;

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use log::{debug, error, info, warn};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::protocol::FromHands;
use crate::auth::clock::Clock;
use crate::base::blocking::Lane;
use crate::base::files;
use crate::base::launcher::{Launcher, Program};
use crate::base::tasks::{Stop, Tasks};
use crate::base::usb::HubPort;
use crate::hw::bootenv::BootEnv;
use crate::hw::restart::{REBOOT, Reason};
use crate::update::rauc::{self, Said};
use crate::update::slots::{self, Environment, Slot, Slots};
use crate::update::{ApplianceError, Machine, Outcome, Phase, Trial, Updater};
use card::Card;
use notes::Notes;
use program::finish;

/// Requests on their way. There is one person who makes them, and each is answered.
const MOST_WAITING: usize = 4;

/// How often to look whether the running system has been confirmed, until it has.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What reads a few sectors of the card, or tells init to go down, is done sooner than this.
const SOON: Duration = Duration::from_secs(10);

/// Where the parts of the appliance are. These are the image's own places; only a test has others.
#[derive(Debug, Clone)]
pub struct Places {
    /// Where the network process leaves a file to be installed.
    pub spool: PathBuf,
    /// Where only we can touch it. On the same file system as the spool.
    pub taken: PathBuf,
    /// Where notes for the next start are left.
    pub state: PathBuf,
    /// RAUC.
    pub installer: PathBuf,
    /// What RAUC has written where.
    pub status: PathBuf,
    /// The boot loader's variables.
    pub boot_env: BootEnv,
    /// Asks init to restart the machine.
    pub reboot: PathBuf,
    /// The kernel's command line, which names the slot that runs.
    pub cmdline: PathBuf,
    /// Our own program, which switches USB ports.
    pub own: PathBuf,
    /// Starts [`Places::programs`].
    pub launcher: Launcher,
}

impl Default for Places {
    fn default() -> Places {
        Places {
            spool: "/data/spool".into(),
            taken: "/data/install".into(),
            state: "/data/state".into(),
            installer: "/usr/libexec/install-bundle".into(),
            status: "/data/rauc/central.raucs".into(),
            boot_env: BootEnv::default(),
            reboot: REBOOT.into(),
            cmdline: "/proc/cmdline".into(),
            own: "/proc/self/exe".into(),
            launcher: Launcher::default(),
        }
    }
}

impl Places {
    /// Everything that is started to take care of the appliance.
    pub fn programs(&self) -> Vec<Program> {
        vec![self.install(), self.boot_env.reader(), self.restart(), ports::program(&self.own)]
    }

    /// The same places, with a launcher for them.
    pub fn with_launcher(mut self, launcher: Launcher) -> Places {
        self.boot_env.launcher = launcher.clone();
        Places { launcher, ..self }
    }

    fn install(&self) -> Program {
        Program::new([&self.installer, &spool::file(&self.taken)])
    }

    fn restart(&self) -> Program {
        Program::new([&self.reboot])
    }
}

/// Something that the appliance is to do to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Install what lies in the spool.
    Install {
        /// How long it is.
        len: u64,
    },
    /// Start again.
    Restart,
    /// Start again and forget everything but what is installed.
    FactoryReset,
}

/// Asks the task that takes care of the appliance, and hears what it has found out.
#[derive(Debug)]
pub struct ApplianceClient {
    machine: watch::Receiver<Machine>,
    channels: Option<Channels>,
    /// Who keeps the configuration, if anybody does.
    configuration: Option<configuration::Channels>,
}

#[derive(Debug)]
struct Channels {
    requests: mpsc::Sender<(u64, Request)>,
    ports: mpsc::Sender<(u64, HubPort)>,
    answers: mpsc::Receiver<(u64, Option<ApplianceError>)>,
}

impl ApplianceClient {
    /// Takes care of this machine.
    pub fn start(places: Places, tasks: &Tasks, stop: Stop) -> ApplianceClient {
        let (requests, received) = mpsc::channel(MOST_WAITING);
        let (answer, answers) = mpsc::channel(MOST_WAITING);
        let (ports, cycled) = mpsc::channel(1);
        tasks.spawn(
            "the USB ports",
            ports::run(places.launcher.clone(), ports::program(&places.own), cycled, answer.clone(), stop.clone()),
        );
        let known = watch::Sender::new(Machine { real: true, ..Machine::default() });
        let machine = known.subscribe();
        let task = ApplianceTask {
            notes: Notes::new(places.state.clone()),
            card: Card::default(),
            memory: Lane::new(SOON),
            places,
            updater: Updater::default(),
            slots: None,
            known,
            is_leaving: false,
            installs: None,
        };
        tasks.spawn("the care of the machine", task.run(received, answer, stop));
        ApplianceClient { machine, channels: Some(Channels { requests, ports, answers }), configuration: None }
    }

    /// Takes care of nothing: the targets are played, and the machine underneath is somebody's laptop.
    pub fn simulated() -> ApplianceClient {
        ApplianceClient { machine: watch::Sender::default().subscribe(), channels: None, configuration: None }
    }

    /// The same, but keeps the configuration, too: that of a simulation is as real as any.
    #[must_use]
    pub fn with_configuration(
        self,
        places: configuration::Places,
        applier: configuration::Applier,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
        stop: Stop,
    ) -> ApplianceClient {
        let configuration = Some(configuration::start(places, applier, clock, tasks, stop));
        ApplianceClient { configuration, ..self }
    }

    /// What is known of the machine.
    pub fn machine(&self) -> watch::Ref<'_, Machine> {
        self.machine.borrow()
    }

    /// Asks for something; gives the answer if there is one at once.
    pub fn request(&self, id: u64, request: Request) -> Option<FromHands> {
        let error = match &self.channels {
            None => ApplianceError::Simulated,
            Some(channels) if channels.requests.try_send((id, request)).is_err() => ApplianceError::Busy,
            Some(_) => return None,
        };
        Some(FromHands::ApplianceDone { id, error: Some(error) })
    }

    /// Asks for a USB port to be switched off and on, as [`ApplianceClient::request`] asks.
    pub fn cycle_port(&self, id: u64, port: HubPort) -> Option<FromHands> {
        let error = match &self.channels {
            None => ApplianceError::Simulated,
            Some(channels) if channels.ports.try_send((id, port)).is_err() => {
                ApplianceError::Port("others are being switched".into())
            }
            Some(_) => return None,
        };
        Some(FromHands::ApplianceDone { id, error: Some(error) })
    }

    /// What of the configuration is tried.
    pub fn trial(&self) -> Option<Trial> {
        self.configuration.as_ref().and_then(|channels| channels.trial.borrow().clone())
    }

    /// Asks for something about the configuration; gives the answer if there is one at once.
    pub fn configure(&self, id: u64, request: configuration::Request) -> Option<FromHands> {
        let error = match &self.configuration {
            None => ApplianceError::Simulated,
            Some(channels) if channels.requests.try_send((id, request)).is_err() => ApplianceError::Busy,
            Some(_) => return None,
        };
        Some(FromHands::ApplianceDone { id, error: Some(error) })
    }

    /// Waits until there is something to tell: an answer, or that something about the machine has changed.
    pub async fn next(&mut self) -> Option<FromHands> {
        let ApplianceClient { machine, channels, configuration } = self;
        let (trial, configured) = match configuration {
            Some(configuration) => (Some(&mut configuration.trial), Some(&mut configuration.answers)),
            None => (None, None),
        };
        // Without the tasks nothing changes; and if one has ended, the whole process does.
        tokio::select! {
            biased;
            // First, so that whoever has the answer does not find the state of before.
            () = changed(Some(machine)) => None,
            () = changed(trial) => None,
            (id, error) = received(channels.as_mut().map(|channels| &mut channels.answers)) => {
                Some(FromHands::ApplianceDone { id, error })
            }
            (id, error) = received(configured) => Some(FromHands::ApplianceDone { id, error }),
        }
    }
}

/// Waits until something is another, if anybody may still change it.
async fn changed<T>(value: Option<&mut watch::Receiver<T>>) {
    if let Some(value) = value
        && value.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Waits for what somebody sends, if anybody may still send something.
async fn received<T>(receiver: Option<&mut mpsc::Receiver<T>>) -> T {
    if let Some(receiver) = receiver
        && let Some(value) = receiver.recv().await
    {
        return value;
    }
    std::future::pending().await
}

struct ApplianceTask {
    places: Places,
    notes: Notes,
    card: Card,
    /// Reads the boot loader's memory.
    memory: Lane,
    updater: Updater,
    slots: Option<Slots>,
    known: watch::Sender<Machine>,
    is_leaving: bool,
    installs: Option<Install>,
}

/// An installer that runs. It is killed when this is dropped.
struct Install {
    lines: mpsc::Receiver<String>,
    outcome: JoinSet<Outcome>,
}

enum News {
    Line(String),
    End(Outcome),
}

impl ApplianceTask {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<(u64, Request)>,
        answers: mpsc::Sender<(u64, Option<ApplianceError>)>,
        mut stop: Stop,
    ) {
        // What an earlier run was installing when it died is of no use any more.
        self.clear().await;
        self.look().await;
        let mut look = pin!(sleep_until(Instant::now() + LOOK_AGAIN));
        loop {
            self.publish();
            let late = self.updater.deadline().map(Instant::from_std);
            tokio::select! {
                () = stop.requested() => return,
                Some((id, request)) = requests.recv() => {
                    let error = self.carry_out(request).await.err();
                    // Whoever has the answer must not find the state of before.
                    self.publish();
                    if let Some(error) = &error {
                        warn!("{request:?} was not carried out: {error}");
                    }
                    if answers.send((id, error)).await.is_err() {
                        return;
                    }
                }
                news = news(&mut self.installs) => match news {
                    News::Line(line) => self.hear(&line),
                    News::End(outcome) => self.end(outcome).await,
                },
                () = &mut look => {
                    self.look().await;
                    look.set(sleep_until(Instant::now() + look_again(self.slots.as_ref())));
                }
                () = sleep_until(late.unwrap_or_else(Instant::now)), if late.is_some() => {
                    if self.updater.tick(Instant::now().into_std()) {
                        error!("the installer has hung and is killed");
                        self.clear().await;
                    }
                }
            }
        }
    }

    fn publish(&self) {
        let machine = Machine { real: true, slots: self.slots.clone(), update: self.updater.progress().clone() };
        self.known.send_if_modified(|known| {
            let changed = *known != machine;
            *known = machine;
            changed
        });
    }

    async fn carry_out(&mut self, request: Request) -> Result<(), ApplianceError> {
        if self.is_leaving {
            return Err(ApplianceError::Restarting);
        }
        if self.updater.progress().phase.is_busy() {
            return Err(ApplianceError::Busy);
        }
        match request {
            Request::Install { len } => self.install(len).await,
            Request::Restart => self.leave(false).await,
            Request::FactoryReset => self.leave(true).await,
        }
    }

    async fn install(&mut self, len: u64) -> Result<(), ApplianceError> {
        if self.slots.is_none() {
            return Err(ApplianceError::NoSlots);
        }
        let (spool, taken) = (self.places.spool.clone(), self.places.taken.clone());
        let took = self.card.run(move || spool::upgrade_with(&spool, &taken, len), |late| files::forget(&late)).await;
        took.map_err(|error| ApplianceError::Spool(error.to_string()))?;
        self.updater.begin(Instant::now().into_std())?;
        info!("installing an update of {len} bytes");
        let (say, lines) = mpsc::channel(16);
        let mut outcome = JoinSet::new();
        outcome.spawn(installer::run(self.places.launcher.clone(), self.places.install(), say));
        self.installs = Some(Install { lines, outcome });
        Ok(())
    }

    fn hear(&mut self, line: &str) {
        if matches!(rauc::hear(line), Said::Percent(_)) {
            debug!("installer: {line}");
        } else {
            info!("installer: {line}");
        }
        self.updater.hear(line);
    }

    async fn end(&mut self, outcome: Outcome) {
        self.clear().await;
        self.updater.end(outcome);
        let progress = self.updater.progress();
        match progress.phase {
            Phase::Ready => info!("an update is installed and waits for a restart"),
            _ => warn!("an update was not installed: {}", progress.message),
        }
        self.look().await;
    }

    /// Ends the installer if it still runs, and removes what it was given.
    async fn clear(&mut self) {
        if let Some(mut install) = self.installs.take() {
            install.outcome.shutdown().await;
        }
        let file = spool::file(&self.places.taken);
        if let Err(error) = self.card.run(move || files::remove(&file), drop).await {
            error!("cannot remove the installed file: {error}");
        }
    }

    /// Finds out what is in the slots.
    async fn look(&mut self) {
        let places = self.places.clone();
        let read = move || {
            let read = |path: &Path| files::read(path).ok().flatten().unwrap_or_default();
            Ok((read(&places.cmdline), read(&places.status)))
        };
        let (cmdline, status) = match self.card.run(read, drop).await {
            Ok(texts) => texts,
            Err(error) => return warn!("cannot look at what is installed: {error}"),
        };
        let Some(running) = Slot::running(&cmdline) else { return };
        let boot_env = self.places.boot_env.clone();
        let environment = match self.memory.run(move || boot_env.read()).await.map_err(io::Error::other).flatten() {
            Ok(environment) => environment,
            Err(error) => {
                debug!("the boot loader's variables cannot be read: {error}");
                Environment::default()
            }
        };
        self.slots = Some(slots::read(running, env!("CARGO_PKG_VERSION"), &environment, &status));
    }

    /// Leaves a note of why, and tells init to restart the machine.
    async fn leave(&mut self, forget: bool) -> Result<(), ApplianceError> {
        let reason = if self.updater.progress().phase == Phase::Ready { Reason::Update } else { Reason::Person };
        match self.notes.leave(reason.clone(), forget).await {
            Ok(()) => (),
            Err(error) if forget => {
                self.notes.withdraw().await;
                return Err(ApplianceError::Store(error.to_string()));
            }
            // It only says why. A card that has turned read-only is what a restart may mend.
            Err(error) => warn!("restarting without a note of why: {error}"),
        }
        info!("restarting: {}", if forget { "factory reset".into() } else { format!("{reason:?}") });
        if let Err(error) = finish(&self.places.launcher, &self.places.restart(), SOON).await {
            self.notes.withdraw().await;
            return Err(ApplianceError::Restart(error));
        }
        self.is_leaving = true;
        Ok(())
    }
}

/// When to look at the slots again.
fn look_again(slots: Option<&Slots>) -> Duration {
    match slots.map(|slots| slots.confirmed) {
        Some(Some(false)) => LOOK_AGAIN,
        // The boot loader's memory cannot be read, and that seldom changes.
        Some(None) => Duration::from_secs(60),
        Some(Some(true)) | None => Duration::from_secs(86400),
    }
}

async fn news(install: &mut Option<Install>) -> News {
    let Some(Install { lines, outcome }) = install else { return std::future::pending().await };
    // Everything that was said comes before the end.
    if let Some(line) = lines.recv().await {
        return News::Line(line);
    }
    let outcome = outcome.join_next().await.and_then(Result::ok);
    News::End(outcome.unwrap_or(Outcome::Failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_that_cannot_be_read_is_not_asked_every_few_seconds_for_ever() {
        let slots = |environment: &str| slots::read(Slot::A, "1.0.0", &Environment::parse(environment), "");
        assert_eq!(LOOK_AGAIN, look_again(Some(&slots("CONFIRMED=B\n"))), "it may be confirmed any moment");
        assert_eq!(Duration::from_secs(60), look_again(Some(&slots(""))));
        let seldom = [look_again(Some(&slots("CONFIRMED=A\n"))), look_again(None)];
        assert_eq!([Duration::from_secs(86400); 2], seldom);
    }
}
