//! Does work that may hang on a thread of its own, for as long as its caller can wait.
//!
//! A card that does not answer keeps a thread for minutes, and no time limit can interrupt it. So a [`Lane`] has one
//! job at a time: while one hangs, the next is refused at once, and a caller who asks again and again leaves no thread
//! behind each time.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// Jobs that wait for the same thing, one at a time.
#[derive(Debug)]
pub struct Lane {
    limit: Duration,
    running: Option<JoinHandle<()>>,
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// It takes longer than the caller can wait, and goes on.
    #[error("storage does not answer within {} s", .0.as_secs_f32())]
    Hung(Duration),
    /// An earlier job goes on still, so this one has not begun.
    #[error("storage does not answer: an earlier attempt hangs still")]
    Occupied,
    /// It panicked.
    #[error("the attempt ended in a panic")]
    Panicked,
}

impl Lane {
    /// A lane whose jobs may take this long.
    pub fn new(limit: Duration) -> Lane {
        Lane { limit, running: None }
    }

    /// Does one job.
    pub async fn run<T: Send + 'static>(&mut self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, LaneError> {
        if self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return Err(LaneError::Occupied);
        }
        let (done, result) = oneshot::channel();
        let running = self.running.insert(spawn_blocking(move || drop(done.send(work()))));
        match timeout(self.limit, &mut *running).await {
            Ok(_) => {
                self.running = None;
                result.await.map_err(|_| LaneError::Panicked)
            }
            Err(_) => Err(LaneError::Hung(self.limit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_hangs_costs_one_thread_however_often_it_is_asked_for() {
        let mut lane = Lane::new(Duration::from_millis(1));
        let (wake, hangs) = std::sync::mpsc::channel::<()>();
        assert_eq!(Err(LaneError::Hung(lane.limit)), lane.run(move || _ = hangs.recv()).await);
        for _ in 0..3 {
            assert_eq!(Err(LaneError::Occupied), lane.run(|| unreachable!("it must not begin")).await);
        }
        drop(wake);
        lane.running.take().unwrap().await.unwrap();
        let mut lane = Lane::new(Duration::from_secs(60));
        assert_eq!(Ok(7), lane.run(|| 7).await);
        assert_eq!(
            Err(LaneError::Panicked),
            lane.run(|| if true {
                panic!("as a test must")
            })
            .await
        );
        assert_eq!(Ok(8), lane.run(|| 8).await);
    }
}
