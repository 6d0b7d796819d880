//! Draws the picture that says why there is no picture, once for all who are to see it.
//!
//! When a signal goes, all its viewers ask at the same moment. One card is drawn, on a thread for such work, while the
//! others wait for it; and the last few are kept, since what is wrong stays or comes back.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::base::error_chain::chain;
use crate::base::signal::Signal;
use crate::video::encode::jpeg_from_rgb;
use crate::video::placeholder;

/// How many are kept, of a few tens of kilobytes each: a seat goes through two or three while its target starts.
const KEPT: usize = 8;

/// Held while a card is drawn, so that whoever wants the same waits for it instead of drawing another.
static CARDS: Mutex<VecDeque<Card>> = Mutex::const_new(VecDeque::new());

struct Card {
    signal: Signal,
    reason: Option<String>,
    jpeg: Bytes,
}

/// The card for a signal, with what exactly is wrong; none, and a line in the log, if it cannot be drawn.
pub async fn card(signal: Signal, reason: Option<String>) -> Option<Bytes> {
    let mut cards = CARDS.lock().await;
    if let Some(known) = cards.iter().find(|card| card.signal == signal && card.reason == reason) {
        return Some(known.jpeg.clone());
    }
    let words = reason.clone().unwrap_or_default();
    let drawn =
        spawn_blocking(move || jpeg_from_rgb(placeholder::SIZE, &placeholder::draw_with_reason(signal, &words)));
    match drawn.await {
        Ok(Ok(jpeg)) => {
            if cards.len() == KEPT {
                cards.pop_front();
            }
            cards.push_back(Card { signal, reason, jpeg: jpeg.clone() });
            Some(jpeg)
        }
        Ok(Err(error)) => {
            log::error!("no card for {signal:?}: {}", chain(&error));
            None
        }
        Err(error) => {
            log::error!("no card for {signal:?}: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::jpeg;

    #[tokio::test]
    async fn a_card_is_drawn_once_for_all_and_anew_for_another_reason() {
        let reason = |text: &str| Some(text.to_string());
        let ask = || card(Signal::Stalled, reason("one"));
        let (one, same) = tokio::join!(ask(), ask());
        let (one, same) = (one.unwrap(), same.unwrap());
        assert_eq!(one.as_ptr(), same.as_ptr());
        assert_ne!(one, card(Signal::Stalled, reason("two")).await.unwrap());
        assert_eq!(placeholder::SIZE, jpeg::inspect(&one).unwrap().size);
        for number in 0..KEPT {
            card(Signal::Stalled, reason(&number.to_string())).await.unwrap();
        }
        assert!(CARDS.lock().await.len() <= KEPT);
    }
}
