//! The folders and the clock of a device, which outlive its daemon.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use farhand::auth::accounts::{Accounts, Name, Token};
use farhand::auth::clock::{Clock, SystemClock};
use farhand::auth::role::Role;
use farhand::auth::secret::{Bearer, hash_password};
use farhand::hands::appliance::configuration;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{PASSWORD, USER};

/// This machine's clocks, which a test may put forward.
#[derive(Debug)]
pub struct TestClock(watch::Sender<Duration>);

impl TestClock {
    /// Lets this much time pass.
    pub fn advance(&self, time: Duration) {
        self.0.send_modify(|ahead| *ahead += time);
    }
}

impl Clock for TestClock {
    fn since_boot(&self) -> Duration {
        SystemClock.since_boot() + *self.0.borrow()
    }

    fn wall(&self) -> u64 {
        SystemClock.wall() + self.0.borrow().as_secs()
    }

    fn wait_for(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut ahead = self.0.subscribe();
        Box::pin(async move {
            let left = time.saturating_sub(self.since_boot());
            let _ = timeout(left, ahead.changed()).await;
        })
    }
}

/// Folders that are removed with the test, and the clock of the device that they belong to.
pub struct Folders(PathBuf, pub Arc<TestClock>);

impl Folders {
    pub fn new() -> Folders {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("farhand-net-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Folders(path, Arc::new(TestClock(watch::Sender::default())))
    }

    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The configuration, with a board that has relays.
    pub fn configuration(&self) -> configuration::Places {
        let board = "[seats.main.power]\ndriver = \"rppal\"\npower = 17\n".to_string();
        configuration::Places::simulated(board, self.data().join("farhand.toml"), &self.data(), &self.run())
    }

    /// The appliance around this data, once there is one.
    pub fn appliance(&self) -> PathBuf {
        self.0.join("appliance")
    }

    /// Puts a user and a token for each role in place, as an earlier run of the daemon would have.
    pub fn claim(&self) {
        static HASH: OnceLock<String> = OnceLock::new();
        let hash = HASH.get_or_init(|| hash_password(PASSWORD, [7; 16]));
        let mut accounts = Accounts::default();
        accounts.put_user(name(USER), Role::Administrator, hash.clone());
        for role in ROLES {
            let secret = secret(role).digest();
            accounts.put_token(0, 0, name(&format!("{role:?}")), Token::new(role, secret, None)).unwrap();
        }
        std::fs::create_dir_all(self.data()).unwrap();
        std::fs::write(self.data().join("users.json"), serde_json::to_string(&accounts).unwrap()).unwrap();
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub const ROLES: [Role; 3] = [Role::Viewer, Role::Operator, Role::Administrator];

fn name(text: &str) -> Name {
    Name::try_from(text.to_string()).unwrap()
}

fn secret(role: Role) -> Bearer {
    Bearer::new([role as u8 + 1; 32])
}

/// The header line with which a program of this role comes.
pub fn bearer(role: Role) -> String {
    format!("Authorization: Bearer {}\r\n", secret(role).reveal())
}
