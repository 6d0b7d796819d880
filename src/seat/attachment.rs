//! Keeps somebody joined to a seat: listed among its viewers, able to work it, and gone without trace when they leave.
//!
//! However a front ends (its connection breaks, its task is dropped), what it leaves behind is undone here: nobody
//! stays on the list, and nothing stays held.

use std::time::{Duration, Instant};

use log::{Level, log};

use super::error::ControlError;
use crate::audit::record::What;
use crate::audit::trail::Typing;
use crate::auth::principal::Principal;
use crate::auth::rights;
use crate::auth::role::Privilege;
use crate::bus::{self, SeatBus};
use crate::hands::client::InputQueue;
use crate::hands::protocol::Input;

/// How long somebody must have done nothing before the log says again that they type. Whoever works at a target pauses
/// all the time, and a line for each pause would push everything else out of the log.
const BREAK: Duration = Duration::from_mins(15);

/// Somebody at a seat, until it is dropped.
#[derive(Debug)]
pub struct Attachment {
    principal: Principal,
    // Dropped with us, it releases all that they hold.
    queue: InputQueue,
    listed: ViewerGuard,
    typing: TypingLog,
    /// Dropped with us or when they pause, it is written down that they have stopped.
    record: Option<Typing>,
}

impl Attachment {
    pub(super) fn new(bus: &SeatBus, id: u64, principal: Principal, queue: InputQueue) -> Attachment {
        let viewer = bus::ListedViewer { id, user: principal.name.as_str().to_string(), typing: false };
        bus.status.update(|status| status.viewers.push(viewer));
        Attachment {
            principal,
            queue,
            listed: ViewerGuard { bus: bus.clone(), id },
            typing: TypingLog::default(),
            record: None,
        }
    }

    /// Whether [`Attachment::input`] would find a place for another one.
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Waits until there is room.
    pub async fn room(&self) {
        self.queue.room().await;
    }

    /// Passes one input on, if they may still do that. Only when there [is room](Attachment::has_room).
    pub fn input(&self, input: Input) -> Result<(), ControlError> {
        // A release needs no permission.
        if input.acts() {
            rights::check(&self.principal, Privilege::Input, Some(&self.listed.bus.seat))?;
        }
        Ok(self.queue.send(input)?)
    }

    /// Tells the others, and the log, whether they type.
    pub fn typing(&mut self, now: Instant, typing: bool) {
        let ViewerGuard { bus, id } = &self.listed;
        let subject = || self.principal.subject(What::Typing, Some(&bus.seat));
        self.record = typing.then(|| self.principal.trail().type_on(subject())).flatten();
        let level = match self.typing.level(now, typing) {
            Level::Info => self.principal.level(),
            level => level,
        };
        log!(level, "{} {} at {}", self.principal, if typing { "types" } else { "has stopped typing" }, bus.seat);
        bus.status.update(|status| {
            status.viewers.iter_mut().filter(|viewer| viewer.id == *id).for_each(|viewer| viewer.typing = typing);
        });
    }
}

/// Decides which of somebody's starts and stops the log shows.
#[derive(Debug, Default)]
struct TypingLog {
    last: Option<Instant>,
}

impl TypingLog {
    fn level(&mut self, now: Instant, typing: bool) -> Level {
        let is_new = self.last.replace(now).is_none_or(|last| last + BREAK <= now);
        if typing && is_new { Level::Info } else { Level::Debug }
    }
}

/// Takes a viewer off the list when dropped.
#[derive(Debug)]
struct ViewerGuard {
    bus: SeatBus,
    id: u64,
}

impl Drop for ViewerGuard {
    fn drop(&mut self) {
        self.bus.status.update(|status| status.viewers.retain(|viewer| viewer.id != self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_shows_who_begins_to_type_and_no_pause_of_theirs() {
        let (mut log, now) = (TypingLog::default(), Instant::now());
        let mut level = |secs, typing| log.level(now + Duration::from_secs(secs), typing);
        assert_eq!(Level::Info, level(0, true));
        for at in (3..3600).step_by(6) {
            assert_eq!((Level::Debug, Level::Debug), (level(at, false), level(at + 3, true)));
        }
        assert_eq!(Level::Debug, level(3606, false));
        assert_eq!(Level::Debug, level(3606 + 899, true), "a break of not quite a quarter of an hour");
        assert_eq!(Level::Debug, level(3606 + 902, false));
        assert_eq!(Level::Info, level(3606 + 902 + 900, true));
    }
}
