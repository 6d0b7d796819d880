//! Codes raw pictures on a thread of its own, the newest first and only.
//!
//! Coding may take longer than the time between two pictures, and must keep neither driver nor source waiting. So one
//! picture waits at most, and a newer one takes its place. What was ordered before the screen was seen to change is not
//! shown after it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use bytes::Bytes;

use crate::base::error_chain::chain;
use crate::bus::SeatBus;
use crate::video::encode::{EncodeError, Encoder, Layout};

/// A picture to be coded.
pub struct Order {
    /// When it was complete.
    pub at: Instant,
    pub pixels: Bytes,
    pub layout: Layout,
}

/// The coding thread. It ends when this is dropped, and with it its buffers.
pub struct Coder {
    desk: Arc<Desk>,
    thread: JoinHandle<()>,
}

impl Coder {
    pub fn start(bus: &SeatBus) -> io::Result<Coder> {
        let (desk, bus) = (Arc::new(Desk::default()), bus.clone());
        let thread = thread::Builder::new().name(format!("coder {}", bus.seat)).spawn({
            let desk = desk.clone();
            move || code(&desk, &bus)
        })?;
        Ok(Coder { desk, thread })
    }

    /// Has a picture coded and shown. Returns one that will not be, because it has waited until now.
    pub fn order(&self, order: Order) -> Option<Order> {
        let replaced = self.desk.lock().waiting.replace(order);
        self.desk.news.notify_one();
        replaced
    }

    /// Shows nothing of what was ordered before.
    pub fn forget(&self) {
        let mut state = self.desk.lock();
        state.waiting = None;
        state.forgotten += 1;
    }

    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Drop for Coder {
    fn drop(&mut self) {
        self.forget();
        self.desk.lock().ended = true;
        self.desk.news.notify_one();
    }
}

/// What source and coding thread have in common.
#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    /// Notified of an order, and of the end.
    news: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Option<Order>,
    /// Grows when what was ordered before is not to be shown any more.
    forgotten: u64,
    ended: bool,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for an order, and says what was forgotten until then. `None`: it is time to end.
    fn next(&self) -> Option<(Order, u64)> {
        let idle = |state: &mut State| state.waiting.is_none() && !state.ended;
        let mut state = self.news.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        state.waiting.take().filter(|_| !state.ended).map(|order| (order, state.forgotten))
    }

    /// Shows a picture, unless it was forgotten meanwhile. Under the lock, so that nothing can come in between.
    fn show(&self, forgotten: u64, show: impl FnOnce()) {
        let state = self.lock();
        if state.forgotten == forgotten {
            show();
        }
    }
}

fn code(desk: &Desk, bus: &SeatBus) {
    let (mut encoder, mut failures) = (None, 0u64);
    while let Some((Order { at, pixels, layout }, forgotten)) = desk.next() {
        let file = coded(&mut encoder, &pixels, layout);
        // The driver may have its buffer back.
        drop(pixels);
        match file {
            Ok(file) => desk.show(forgotten, || bus.frames.publish(at, layout.size, file)),
            Err(error) => {
                failures += 1;
                if failures.is_power_of_two() {
                    log::error!("seat {}: {failures} pictures not coded, the last: {}", bus.seat, chain(&error));
                }
            }
        }
    }
}

fn coded(encoder: &mut Option<Encoder>, pixels: &[u8], layout: Layout) -> Result<Bytes, EncodeError> {
    let encoder = match encoder {
        Some(encoder) => encoder,
        none => none.insert(Encoder::new()?),
    };
    encoder.encode(&layout.of(pixels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::heartbeat::Heartbeat;
    use crate::base::signal::Size;
    use crate::bus::{FrameBus, StatusBus};
    use crate::video::encode::{Colour, PixelFormat};

    const SIZE: Size = Size { width: 64, height: 32 };

    /// A picture of one grey.
    fn order(grey: u8) -> Order {
        let layout = Layout { size: SIZE, format: PixelFormat::Grey, colour: Colour::JPEG, stride: 64 };
        Order { at: Instant::now(), pixels: vec![grey; 64 * 32].into(), layout }
    }

    fn bus() -> SeatBus {
        let seat = "main".to_string().try_into().unwrap();
        let (frames, status) = (FrameBus::default(), StatusBus::default());
        SeatBus { seat, frames, status, heartbeat: Heartbeat::new(Instant::now()) }
    }

    #[test]
    fn one_picture_waits_and_it_is_the_newest() {
        let desk = Desk::default();
        assert!(desk.lock().waiting.replace(order(1)).is_none());
        let replaced = desk.lock().waiting.replace(order(2)).unwrap();
        assert_eq!(1, replaced.pixels[0]);
        assert_eq!(Some(2), desk.next().map(|(order, _)| order.pixels[0]));
        assert!(desk.lock().waiting.is_none());
    }

    #[test]
    fn nothing_that_was_ordered_before_a_change_is_shown_after_it() {
        let coder = Coder { desk: Arc::default(), thread: thread::spawn(|| ()) };
        coder.order(order(1));
        let (_, forgotten) = coder.desk.next().unwrap();
        coder.order(order(2));
        coder.forget();
        assert!(coder.desk.lock().waiting.is_none());
        coder.desk.show(forgotten, || panic!("it is being coded, and out of date"));
        coder.order(order(3));
        let (_, forgotten) = coder.desk.next().unwrap();
        let mut shown = false;
        coder.desk.show(forgotten, || shown = true);
        assert!(shown);
    }

    #[tokio::test]
    async fn its_thread_ends_with_it() {
        let (bus, desk) = (bus(), Arc::<Desk>::default());
        let thread = thread::spawn({
            let (desk, bus) = (desk.clone(), bus.clone());
            move || code(&desk, &bus)
        });
        let coder = Coder { desk, thread: thread::spawn(|| ()) };
        let mut frames = bus.frames.watch();
        coder.order(order(200));
        let file = frames.wait_for(Option::is_some).await.unwrap().as_ref().unwrap().jpeg.clone();
        let seen = turbojpeg::decompress(&file, turbojpeg::PixelFormat::GRAY).unwrap().pixels;
        assert!(seen[0].abs_diff(200) < 3 && seen.len() == 64 * 32);
        drop(coder);
        thread.join().unwrap();
    }
}
