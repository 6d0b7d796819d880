//! Changes the configuration, one request at a time, and has what is not confirmed taken back.
//!
//! A task of its own, since it waits for the card and for services. Whoever asked is answered before anything starts
//! again: it may be what carries the answer.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use log::{error, info, warn};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::applier::Applier;
use super::places::{Change, Current, Places, Request, TrialNote};
use super::trial::{TRIAL, Timer};
use crate::auth::clock::Clock;
use crate::base::error_chain::chain;
use crate::base::tasks::{Stop, Tasks};
use crate::config::Config;
use crate::config::change::{self, Part};
use crate::config::edit::with_schema;
use crate::hands::appliance::card::Card;
use crate::update::{ApplianceError, Trial};

/// Requests on their way. There is one person who makes them, and each is answered.
const MOST_WAITING: usize = 4;

/// How long the answer may take to reach whoever asked, before what carries it starts again.
const ANSWER: Duration = Duration::from_millis(300);

/// What to ask, and what is heard.
#[derive(Debug)]
pub struct Channels {
    pub requests: mpsc::Sender<(u64, Request)>,
    pub answers: mpsc::Receiver<(u64, Option<ApplianceError>)>,
    pub trial: watch::Receiver<Option<Trial>>,
}

/// Keeps the configuration of these places.
pub fn start(places: Places, applier: Applier, clock: Arc<dyn Clock>, tasks: &Tasks, stop: Stop) -> Channels {
    let (requests, asked) = mpsc::channel(MOST_WAITING);
    let (answer, answers) = mpsc::channel(MOST_WAITING);
    let shown = watch::Sender::new(None);
    let trial = shown.subscribe();
    let keeper =
        Keeper { places, applier, clock, card: Card::default(), timer: Timer::default(), owed: BTreeSet::new(), shown };
    tasks.spawn("the care of the configuration", keeper.run(asked, answer, stop));
    Channels { requests, answers, trial }
}

struct Keeper {
    places: Places,
    applier: Applier,
    clock: Arc<dyn Clock>,
    card: Card,
    timer: Timer,
    /// What has not started again yet with the configuration that counts again.
    owed: BTreeSet<Part>,
    shown: watch::Sender<Option<Trial>>,
}

/// What follows from something that has been stored.
#[derive(Debug)]
struct Plan {
    /// What starts again; `None` if nothing has changed.
    parts: Option<BTreeSet<Part>>,
    /// Where the page is, if it is tried.
    trial: Option<Vec<String>>,
}

impl Keeper {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<(u64, Request)>,
        answers: mpsc::Sender<(u64, Option<ApplianceError>)>,
        mut stop: Stop,
    ) {
        self.resume().await;
        loop {
            let deadline = self.timer.deadline();
            let clock = self.clock.clone();
            tokio::select! {
                () = stop.requested() => return,
                Some((id, request)) = requests.recv() => {
                    let (error, parts) = match self.carry_out(request).await {
                        Ok(parts) => (None, parts),
                        Err(error) => (Some(error), None),
                    };
                    if answers.send((id, error)).await.is_err() {
                        return;
                    }
                    if let Some(parts) = parts {
                        sleep(ANSWER).await;
                        self.apply(parts).await;
                    }
                }
                // It may come early.
                () = clock.wait_for(deadline.unwrap_or_default()), if deadline.is_some() => {
                    if self.timer.tick(self.clock.since_boot()) {
                        warn!("nobody has confirmed the configuration that was tried: the one before counts again");
                        self.take_back_and_apply().await;
                    }
                }
            }
        }
    }

    /// Has what is stored start again. What is tried and does not is taken back, and that is done again until it works.
    async fn apply(&mut self, parts: BTreeSet<Part>) {
        match self.applier.apply(parts.clone()).await {
            Ok(()) if self.timer.is_over() => {
                self.owed.clear();
                self.timer.end();
            }
            Ok(()) => (),
            Err(error) if self.timer.check_running().is_ok() => {
                error!("a configuration does not count, and the one before is to, in a moment: {}", chain(&error));
                self.owed = parts;
                self.timer.give_up(self.clock.since_boot());
            }
            Err(error) => error!("the configuration counts from the next start on: {}", chain(&error)),
        }
    }

    /// Goes on with what an earlier run of ours has begun to try.
    async fn resume(&mut self) {
        let places = self.places.clone();
        let read = move || {
            let is_tried = places.is_tried()?;
            Ok(is_tried.then(|| (places.trial_note(), places.tried().as_ref().map(addresses).unwrap_or_default())))
        };
        let found: io::Result<_> = spawn_blocking(read).await.map_err(io::Error::from).flatten();
        match found {
            Ok(None) => (),
            Err(error) => {
                error!("cannot read whether a configuration is tried, so none is: {error}");
                self.timer.give_up(self.clock.since_boot());
            }
            Ok(Some((Some(note), addresses))) => {
                let until = self.timer.resume(self.clock.since_boot(), Duration::from_millis(note.until_ms));
                self.show(until, addresses);
            }
            Ok(Some((None, _))) => {
                warn!("nobody knows until when a configuration is tried: the one before counts again");
                self.timer.give_up(self.clock.since_boot());
                self.take_back_and_apply().await;
            }
        }
    }

    /// Does what is asked. What is to start again does so after the answer.
    async fn carry_out(&mut self, request: Request) -> Result<Option<BTreeSet<Part>>, ApplianceError> {
        match request {
            Request::Change(change) => self.change(change).await,
            Request::Settle { keep: true } => self.keep().await.map(|()| None),
            Request::Settle { keep: false } => {
                self.timer.check_running()?;
                let parts = self.take_back().await?;
                self.timer.give_up(self.clock.since_boot());
                Ok(Some(parts))
            }
        }
    }

    async fn change(&mut self, change: Change) -> Result<Option<BTreeSet<Part>>, ApplianceError> {
        self.timer.check_free()?;
        let (places, when) = (self.places.clone(), self.clock.wall());
        let now = self.clock.since_boot();
        let until = now + TRIAL;
        let who = change.who.clone();
        let store = move || Ok(places.change(&change, when, until));
        // What a card does late counts: it was asked for, and the next start reads it.
        let plan = self.card.run(store, drop).await.map_err(unstored)??;
        if let Some(addresses) = plan.trial {
            let until = self.timer.begin(now);
            self.show(until, addresses);
            info!("{who} has another configuration tried");
        } else if plan.parts.is_some() {
            info!("{who} has changed the configuration");
        }
        Ok(plan.parts)
    }

    async fn keep(&mut self) -> Result<(), ApplianceError> {
        self.timer.check_confirmed(self.clock.since_boot())?;
        let (places, when) = (self.places.clone(), self.clock.wall());
        let keep = move || {
            let who = places.trial_note().map(|note| note.who).unwrap_or_default();
            let current = places.current()?;
            if current.on_trial {
                places.store(&current.text, &who, when)?;
            }
            places.end_trial()
        };
        self.card.run(keep, drop).await.map_err(unstored)?;
        self.timer.end();
        self.shown.send_replace(None);
        info!("the configuration that was tried has been confirmed");
        Ok(())
    }

    /// Has the stored configuration be the one to count, and gives what must start again for that: everything, if
    /// nobody knows.
    async fn take_back(&mut self) -> Result<BTreeSet<Part>, ApplianceError> {
        let places = self.places.clone();
        let end = move || {
            let tried = places.tried();
            places.end_trial().map(|()| tried)
        };
        // These files are in RAM, so no card that hangs or cannot be read keeps them there.
        let tried = spawn_blocking(end).await.map_err(io::Error::from).flatten().map_err(unstored)?;
        self.shown.send_replace(None);
        let Some(tried) = tried else {
            return Ok(if self.owed.is_empty() { Part::ALL.into() } else { self.owed.clone() });
        };
        let places = self.places.clone();
        let differ = self.card.run(move || Ok(parts(&tried, &places.current()?)), drop).await;
        Ok(differ.unwrap_or_else(|error| {
            warn!("everything starts again, since the configuration cannot be read: {error}");
            Part::ALL.into()
        }))
    }

    async fn take_back_and_apply(&mut self) {
        match self.take_back().await {
            Ok(parts) => self.apply(parts).await,
            Err(error) => error!("cannot take the configuration back, and try again in a moment: {error}"),
        }
    }

    fn show(&self, until: Duration, addresses: Vec<String>) {
        let until_ms = until.as_millis().try_into().unwrap_or(u64::MAX);
        self.shown.send_replace(Some(Trial { until_ms, addresses }));
    }
}

impl Places {
    /// Stores a change, or begins to try it, if it is a good one. Nobody else's word is believed for that.
    fn change(&self, change: &Change, when: u64, until: Duration) -> Result<Plan, ApplianceError> {
        let current = self.current().map_err(unstored)?;
        if current.revision() != change.expected {
            return Err(ApplianceError::Changed);
        }
        let text = with_schema(&change.text);
        if current.text == text {
            return Ok(Plan { parts: None, trial: None });
        }
        let next = Current { text: text.clone(), ..current.clone() };
        let after = next.check().outcome.map_err(|found| {
            let first = found.into_iter().next();
            ApplianceError::BadConfiguration(first.map(|finding| finding.message).unwrap_or_default())
        })?;
        let before = current.config().unwrap_or_default();
        let parts = Some(parts(&current, &next));
        if change::needs_trial(&before, &after) {
            let until_ms = until.as_millis().try_into().unwrap_or(u64::MAX);
            self.begin_trial(&text, &TrialNote { who: change.who.clone(), until_ms }).map_err(unstored)?;
            return Ok(Plan { parts, trial: Some(after.addresses()) });
        }
        self.store(&text, &change.who, when).map_err(unstored)?;
        Ok(Plan { parts, trial: None })
    }
}

/// What starts again when the second counts where the first did: everything, if nobody could run on the first.
fn parts(before: &Current, after: &Current) -> BTreeSet<Part> {
    let after = after.config().unwrap_or_default();
    match before.config() {
        Some(before) => change::restarts(&before, &after),
        None => Part::ALL.into(),
    }
}

fn addresses(current: &Current) -> Vec<String> {
    current.config().as_ref().map(Config::addresses).unwrap_or_default()
}

fn unstored(error: io::Error) -> ApplianceError {
    ApplianceError::Configuration(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::Pin;

    use super::*;
    use crate::base::launcher::Launcher;
    use crate::base::tasks::stop;
    use crate::hands::appliance::configuration::trial::RETRY;

    /// A clock that stands until it is put forward.
    #[derive(Debug)]
    struct Stands(watch::Sender<Duration>);

    impl Clock for Stands {
        fn since_boot(&self) -> Duration {
            *self.0.borrow()
        }

        fn wall(&self) -> u64 {
            1
        }

        fn wait_for(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            let mut now = self.0.subscribe();
            Box::pin(async move {
                if now.wait_for(|now| time <= *now).await.is_err() {
                    pending::<()>().await;
                }
            })
        }
    }

    #[tokio::test]
    async fn what_cannot_count_while_it_is_tried_is_taken_back() {
        let temporary = tempfile::tempdir().unwrap();
        let data = temporary.path();
        let places = Places::simulated(String::new(), data.join("farhand.toml"), data, data);
        let (stopper, stop) = stop();
        let tasks = Tasks::new(stop.clone());
        let clock = Arc::new(Stands(watch::Sender::new(Duration::from_secs(100))));
        // The system's own program, which this machine has not.
        let applier = Applier::Program(Launcher::default());
        let mut channels = start(places.clone(), applier, clock.clone(), &tasks, stop);
        let change =
            Change { text: "network.host = \"a\"".into(), expected: super::super::revision(""), who: "anna".into() };
        channels.requests.send((1, Request::Change(change))).await.unwrap();
        assert_eq!(Some((1, None)), channels.answers.recv().await);
        assert!(channels.trial.wait_for(Option::is_some).await.unwrap().is_some());
        // It answers again once it has tried to apply that.
        channels.requests.send((2, Request::Settle { keep: true })).await.unwrap();
        assert_eq!(Some((2, Some(ApplianceError::NotOnTrial))), channels.answers.recv().await);
        clock.0.send_modify(|now| *now += RETRY);
        assert!(channels.trial.wait_for(Option::is_none).await.unwrap().is_none());
        assert!(!places.is_tried().unwrap());
        stopper.stop();
    }
}
