//! Reads the board's sensors when it is time, and leaves word where the page finds it.

use std::path::Path;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};

use crate::base::tasks::Stop;
use crate::health::board::{BoardHealth, News, Report};
use crate::health::report_file;
use crate::ports::Sensors;

/// Sensors that have not answered for so long say nothing any more: what they said last would be shown for ever.
const UNKNOWN_AFTER: Duration = Duration::from_secs(60);

/// Reads and reports until told to stop.
pub async fn run(mut sensors: Box<dyn Sensors>, folder: impl AsRef<Path>, mut stop: Stop) {
    let folder = folder.as_ref();
    let now = || Instant::now().into_std();
    let mut told = report_file::read(folder);
    let mut health = BoardHealth::new(now(), &told.clone().unwrap_or_default());
    loop {
        tokio::select! {
            () = stop.requested() => return,
            () = sleep_until(health.deadline().into()) => (),
        }
        let wants_card = health.wants_card(now());
        // A driver may block, and another task of this process feeds the watchdog.
        let mut looked = spawn_blocking(move || {
            let (readings, card) = (sensors.read(), wants_card.then(|| sensors.card()));
            (sensors, readings, card)
        });
        let answer = match timeout(UNKNOWN_AFTER, &mut looked).await {
            Ok(answer) => answer,
            Err(_) => {
                health.lost();
                tell(&mut health, &mut told, folder);
                // There is one thread that reads, and it may come back.
                tokio::select! {
                    () = stop.requested() => return,
                    answer = looked => answer,
                }
            }
        };
        let (readings, card);
        match answer {
            Ok(answer) => (sensors, readings, card) = answer,
            Err(panic) => {
                log::error!("the board's sensors cannot be read: {panic}");
                health.lost();
                tell(&mut health, &mut told, folder);
                return stop.requested().await;
            }
        }
        health.read(now(), readings);
        if let Some(card) = card {
            health.looked_at_card(now(), card);
        }
        tell(&mut health, &mut told, folder);
    }
}

/// Logs what is news, and reports what has changed.
fn tell(health: &mut BoardHealth, told: &mut Option<Report>, folder: &Path) {
    while let Some(news) = health.poll() {
        match news {
            News::Warn(text) => log::warn!("{text}"),
            News::Note(text) => log::info!("{text}"),
        }
    }
    if told.as_ref() != Some(health.report()) {
        *told = Some(health.report().clone());
        if let Err(error) = report_file::write(folder, health.report()) {
            log::error!("cannot report how the board is: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::base::board::{CardState, Readings};
    use crate::base::tasks;

    /// Sensors that say what the test tells them to, one reading after another.
    struct Script(mpsc::Receiver<(Readings, Option<CardState>)>, Option<CardState>);

    impl Sensors for Script {
        fn read(&mut self) -> Readings {
            let (readings, card) = self.0.blocking_recv().expect("the test has more to say");
            self.1 = card;
            readings
        }

        fn card(&mut self) -> Option<CardState> {
            self.1
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_read_is_left_for_the_page_and_outlives_its_reader() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("rounds");
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(None, report_file::read(&folder));
        let low = |low| Readings { low_voltage: Some(low), celsius: Some(48.0), slowed: None };
        for (now, ever) in [(true, true), (false, true)] {
            let (say, heard) = mpsc::channel(1);
            let (stopper, stop) = tasks::stop();
            let rounds = tokio::spawn(run(Box::new(Script(heard, None)), folder.clone(), stop));
            say.send((low(now), Some(CardState::Good))).await.unwrap();
            // A second reading is asked for when the first has been told.
            say.send((low(now), None)).await.unwrap();
            say.reserve().await.unwrap();
            let report = report_file::read(&folder).unwrap();
            assert_eq!(Some((now, ever)), report.low_voltage.map(|trouble| (trouble.now, trouble.ever)));
            assert_eq!((Some(48), None, Some(CardState::Good)), (report.celsius, report.slowed, report.card));
            stopper.stop();
            drop(say);
            let ended = tokio::time::timeout(Duration::from_secs(20), rounds).await;
            ended.expect("it ends in time").unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_sensor_said_before_it_hung_is_not_shown_for_ever() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("hung");
        std::fs::create_dir_all(&folder).unwrap();
        let warm = Readings { low_voltage: Some(true), celsius: Some(48.0), slowed: None };
        let (say, heard) = mpsc::channel(1);
        let (stopper, stop) = tasks::stop();
        let monitor = tokio::spawn(run(Box::new(Script(heard, None)), folder.clone(), stop));
        say.send((warm, Some(CardState::Good))).await.unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        let report = async |wanted: fn(&Report) -> bool| {
            while !report_file::read(&folder).is_some_and(|report| wanted(&report)) {
                // A reading under way holds the clock still, so it is moved by hand.
                tokio::time::advance(Duration::from_secs(1)).await;
                tokio::task::yield_now().await;
                assert!(std::time::Instant::now() < deadline, "the report never said so");
            }
        };
        report(|report| report.celsius == Some(48)).await;
        report(|report| *report == Report::default()).await;
        // It comes back, and what was so once is remembered.
        say.send((Readings { low_voltage: Some(false), ..warm }, None)).await.unwrap();
        report(|report| report.celsius == Some(48) && report.low_voltage.is_some_and(|low| low.ever)).await;
        stopper.stop();
        drop(say);
        monitor.await.unwrap();
    }
}
