//! A board that writes down what is done to it, with a target behind it that fetches reports or does not.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use farhand::base::front_panel::{Contact, Lamps};
use farhand::base::usb::{Keys, Report, Udc};
use farhand::hid::descriptor::keyboard_report;
use farhand::ports::{Board, LampInputs, Offer, Relays, UsbEvent, UsbPort, WakeError};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// What the target does with reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Fetches,
    Ignores,
    /// Its bus is suspended, as on a Pi when the machine is off.
    Sleeps,
    Unplugged,
}

/// What stands at the other end of the ports: a target, and fingers that feel the relays.
#[derive(Debug, Clone)]
pub struct Machine {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
pub struct State {
    target: Target,
    pub reports: Vec<Report>,
    /// How many reports were offered.
    pub offers: usize,
    pub replugs: usize,
    blocked: bool,
    pub events: VecDeque<UsbEvent>,
    waker: Option<Waker>,
    pub relay: Result<(), io::ErrorKind>,
    moved: Vec<(Instant, Contact, bool)>,
    pub lamps: Lamps,
    /// Whether the target lets us wake it.
    pub armed: bool,
    /// How often it was signalled to.
    pub signals: u32,
}

impl Machine {
    pub fn new() -> Machine {
        let machine = Machine {
            state: Arc::new(Mutex::new(State {
                target: Target::Fetches,
                reports: Vec::new(),
                offers: 0,
                replugs: 0,
                blocked: false,
                events: VecDeque::new(),
                waker: None,
                relay: Ok(()),
                moved: Vec::new(),
                lamps: Lamps::default(),
                armed: true,
                signals: 0,
            })),
            changed: Arc::default(),
        };
        machine.udc("configured");
        machine
    }

    pub fn board(&self) -> Board {
        Board {
            usb: Box::new(self.clone()),
            wakes_by_key: true,
            relays: Box::new(self.clone()),
            lamps: Box::new(self.clone()),
        }
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap();
        let result = change(&mut state);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        self.changed.notify_waiters();
        result
    }

    /// What this contact did, in order: whether it was closed each time that this changed.
    pub fn moves(&self, contact: Contact) -> Vec<bool> {
        let state = self.state.lock().unwrap();
        let moves = state.moved.iter().filter(|(_, moved, _)| *moved == contact);
        let mut moves: Vec<bool> = moves.map(|(_, _, closed)| *closed).collect();
        moves.dedup();
        moves
    }

    pub fn target(&self, target: Target) {
        self.change(|state| {
            state.target = target;
            if std::mem::take(&mut state.blocked) {
                state.events.push_back(UsbEvent::Ready);
            }
        });
    }

    pub fn udc(&self, word: &str) {
        let udc = Udc { name: "udc.0".into(), state: word.into() };
        self.change(|state| state.events.push_back(UsbEvent::Udc(Some(udc))));
    }

    pub fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap())
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, so: impl Fn(&State) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if self.look(&so) {
                    return;
                }
                changed.await;
            }
        };
        if timeout(Duration::from_secs(20), wait).await.is_err() {
            panic!("not within 20 s: {what}; {:?}", self.state.lock().unwrap());
        }
    }

    pub async fn until_keys(&self, expected: [u8; 8]) {
        self.until(&format!("keys {expected:?}"), |state| state.keys() == expected).await;
    }

    pub async fn until_closed(&self, contact: Contact) {
        self.until("the relay is closed", |state| state.closed() == [contact]).await;
    }
}

/// These keys and no others.
pub fn down(modifiers: u8, usages: &[u8]) -> Report {
    let mut keys = Keys { modifiers, ..Keys::default() };
    keys.usages[..usages.len()].copy_from_slice(usages);
    Report::Keys(keys)
}

impl State {
    /// The last keyboard report that the target took.
    pub fn keys(&self) -> [u8; 8] {
        let keys = |report: &Report| if let Report::Keys(keys) = report { Some(keyboard_report(keys)) } else { None };
        self.reports.iter().rev().find_map(keys).unwrap_or_default()
    }

    pub fn buttons(&self) -> u8 {
        let buttons = |report: &Report| if let Report::Point(point) = report { Some(point.buttons) } else { None };
        self.reports.iter().rev().find_map(buttons).unwrap_or_default()
    }

    pub fn closed(&self) -> Vec<Contact> {
        [Contact::Power, Contact::Reset]
            .into_iter()
            .filter(|contact| {
                self.moved.iter().rev().find(|(_, moved, _)| moved == contact).is_some_and(|moved| moved.2)
            })
            .collect()
    }

    /// When the first press began and ended.
    pub fn press(&self) -> Duration {
        let begin = self.moved.iter().position(|(_, _, closed)| *closed).expect("nothing was pressed");
        let end = self.moved[begin..].iter().find(|(_, _, closed)| !closed).expect("nothing was let go");
        end.0 - self.moved[begin].0
    }
}

impl UsbPort for Machine {
    fn offer(&mut self, report: Report) -> Offer {
        self.change(|state| {
            state.offers += 1;
            match state.target {
                Target::Fetches => {
                    state.reports.push(report);
                    Offer::Taken
                }
                Target::Ignores => {
                    state.blocked = true;
                    Offer::Full
                }
                Target::Sleeps => Offer::Asleep,
                Target::Unplugged => Offer::Absent,
            }
        })
    }

    fn replug(&mut self) {
        self.change(|state| state.replugs += 1);
        self.udc("not attached");
        self.udc("configured");
    }

    fn wake(&mut self) -> Result<(), WakeError> {
        self.change(|state| {
            if !state.armed {
                return Err(WakeError::NotArmed);
            }
            state.signals += 1;
            Ok(())
        })
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<UsbEvent> {
        let mut state = self.state.lock().unwrap();
        match state.events.pop_front() {
            Some(event) => Poll::Ready(event),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Relays for Machine {
    fn set(&mut self, contact: Contact, closed: bool) -> io::Result<()> {
        self.change(|state| {
            if closed {
                state.relay?;
            }
            state.moved.push((Instant::now(), contact, closed));
            Ok(())
        })
    }
}

impl LampInputs for Machine {
    fn read(&mut self) -> Lamps {
        self.look(|state| state.lamps)
    }
}
