//! Asks the hands to switch USB ports off and on, for capture devices that have fallen silent.
//!
//! The process that captures has no right to do it. One port is switched at a time; what is asked meanwhile is asked
//! again if the device stays silent.

use log::{Level, info, log};
use tokio::sync::mpsc;

use super::client::Hands;
use crate::base::error_chain::chain;
use crate::base::seat_id::SeatId;
use crate::base::tasks::Stop;
use crate::base::usb::HubPort;

/// Ports that wait to be switched: there are hardly more capture devices.
const MOST_WAITING: usize = 4;

/// What a seat's screen asks by. One that is full is no reason to wait.
pub type Asked = mpsc::Receiver<(SeatId, HubPort)>;

/// A way to ask, and what is asked.
pub fn channel() -> (mpsc::Sender<(SeatId, HubPort)>, Asked) {
    mpsc::channel(MOST_WAITING)
}

/// Asks for each port in turn.
pub async fn run(hands: Hands, mut asked: Asked, mut stop: Stop) {
    let mut refusal = String::new();
    loop {
        let (seat, port) = tokio::select! {
            () = stop.requested() => return,
            Some(next) = asked.recv() => next,
        };
        let outcome = tokio::select! {
            () = stop.requested() => return,
            outcome = hands.cycle_port(port.clone()) => outcome,
        };
        match outcome {
            Ok(()) => {
                refusal.clear();
                info!("seat {seat}: nothing came from USB port {port}, which has been switched off and on");
            }
            Err(error) => {
                // What a kernel lacks it lacks each time.
                let words = chain(&error);
                let level = if words == refusal { Level::Debug } else { Level::Warn };
                log!(level, "seat {seat}: nothing comes from USB port {port}: {words}");
                refusal = words;
            }
        }
    }
}
