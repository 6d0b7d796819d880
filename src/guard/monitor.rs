//! Reads the board's sensors when it is time, and leaves word where the page finds it.

use std::path::Path;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::base::tasks::Stop;
use crate::health::board::{BoardHealth, News};
use crate::health::report_file;
use crate::ports::Sensors;

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
        // A driver may keep one waiting, and whoever else is in this process feeds a watchdog.
        let looked = spawn_blocking(move || {
            let (readings, card) = (sensors.read(), wants_card.then(|| sensors.card()));
            (sensors, readings, card)
        });
        let (readings, card);
        match looked.await {
            Ok(looked) => (sensors, readings, card) = looked,
            Err(panic) => {
                log::error!("the board's sensors cannot be read: {panic}");
                return stop.requested().await;
            }
        }
        health.read(now(), readings);
        if let Some(card) = card {
            health.looked_at_card(now(), card);
        }
        while let Some(news) = health.poll() {
            match news {
                News::Warn(text) => log::warn!("{text}"),
                News::Note(text) => log::info!("{text}"),
            }
        }
        if told.as_ref() != Some(health.report()) {
            told = Some(health.report().clone());
            if let Err(error) = report_file::write(folder, health.report()) {
                log::error!("cannot report how the board is: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        let folder = std::env::temp_dir().join(format!("farhand-rounds-{}", std::process::id()));
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
        std::fs::remove_dir_all(folder).unwrap();
    }
}
