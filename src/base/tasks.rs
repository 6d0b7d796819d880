//! Starts every long-lived task and thread by name, and ends the program when the first of them ends.
//!
//! A daemon with a dead part is worse than one that restarts: it answers, and does nothing. So nothing is detached:
//! what ends, for whatever reason, takes the program down with its name in the log, and init starts it again whole.

use std::future::Future;
use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// How long the end may take: init would kill us soon after.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tells long-lived work that it is time to end. Dropping every [`Stopper`] tells it too.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// The other end of a [`Stop`].
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// A stop for tasks to wait for, and the end that requests it.
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks everyone to end.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits until it is time to end.
    pub async fn requested(&mut self) {
        // An error means that the sender is gone, which says the same.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether it is time to end.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// The program's long-lived work.
#[derive(Debug)]
pub struct Tasks {
    // One place is enough: the first end is all that anyone waits for, and later senders may fail.
    ended: (mpsc::Sender<String>, mpsc::Receiver<String>),
    stop: Stop,
}

impl Tasks {
    /// No work yet; `stop` is what each thread will be given.
    pub fn new(stop: Stop) -> Tasks {
        Tasks { ended: mpsc::channel(1), stop }
    }

    /// Runs a future on this thread's runtime until it ends.
    pub fn spawn(&self, name: impl Into<String>, work: impl Future<Output = ()> + Send + 'static) {
        let end = End { name: name.into(), ended: self.ended.0.clone() };
        tokio::spawn(async move {
            work.await;
            drop(end);
        });
    }

    /// Runs a function on a thread of its own until it returns.
    pub fn thread(&self, name: impl Into<String>, work: impl FnOnce(Stop) + Send + 'static) -> io::Result<()> {
        let name = name.into();
        let (end, stop) = (End { name: name.clone(), ended: self.ended.0.clone() }, self.stop.clone());
        thread::Builder::new().name(name).spawn(move || {
            work(stop);
            drop(end);
        })?;
        Ok(())
    }

    /// Waits for the first task to end, and names it.
    pub async fn first_end(&mut self) -> String {
        // We hold a sender ourselves, so this cannot be None.
        self.ended.1.recv().await.unwrap_or_default()
    }

    /// Waits for every task to end, once they have been told to; but no longer than a person would.
    pub async fn all_ended(self) {
        let (sender, mut receiver) = self.ended;
        drop(sender);
        let all = async { while receiver.recv().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }
}

/// Reports the end of its task when dropped, so that a panic is reported like a return.
struct End {
    name: String,
    ended: mpsc::Sender<String>,
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.ended.try_send(std::mem::take(&mut self.name));
    }
}

#[cfg(test)]
mod tests {
    use crate::base::tasks::*;

    #[tokio::test]
    async fn the_first_task_to_end_is_named() {
        let (_stopper, stop) = stop();
        let mut tasks = Tasks::new(stop);
        tasks.spawn("for ever", std::future::pending());
        tasks.spawn("short", async {});
        assert_eq!("short", tasks.first_end().await);
    }

    #[tokio::test]
    async fn a_panicking_thread_is_named() {
        let (_stopper, stop) = stop();
        let mut tasks = Tasks::new(stop);
        tasks.thread("clumsy", |_| panic!("as a test must")).unwrap();
        assert_eq!("clumsy", tasks.first_end().await);
    }

    #[tokio::test]
    async fn the_end_waits_for_all() {
        let (stopper, stop) = stop();
        let tasks = Tasks::new(stop.clone());
        let done = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        for _ in 0..3 {
            let (mut stop, done) = (stop.clone(), done.clone());
            tasks.spawn("orderly", async move {
                stop.requested().await;
                done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            });
        }
        stopper.stop();
        tasks.all_ended().await;
        assert_eq!(3, done.load(std::sync::atomic::Ordering::Relaxed));
    }

    #[tokio::test]
    async fn losing_the_stopper_stops() {
        let (stopper, mut stop) = stop();
        assert!(!stop.is_requested());
        drop(stopper);
        stop.requested().await;
        assert!(stop.is_requested());
    }
}
