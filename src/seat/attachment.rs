//! Keeps somebody joined to a seat: listed among its viewers, able to work it, and gone without trace when they leave.
//!
//! However a front ends (its connection breaks, its task is dropped), what it leaves behind is undone here: nobody
//! stays on the list, and nothing stays held.

use log::info;

use super::error::ControlError;
use super::rights::check;
use crate::auth::principal::Principal;
use crate::auth::role::Privilege;
use crate::bus::{self, SeatBus};
use crate::hands::client::InputQueue;
use crate::hands::protocol::Input;

/// Somebody at a seat, until it is dropped.
#[derive(Debug)]
pub struct Attachment {
    principal: Principal,
    // Dropped with us, it releases all that they hold.
    queue: InputQueue,
    listed: ViewerGuard,
}

impl Attachment {
    pub(super) fn new(bus: &SeatBus, id: u64, principal: Principal, queue: InputQueue) -> Attachment {
        let viewer = bus::ListedViewer { id, user: principal.name.as_str().to_string(), typing: false };
        bus.status.update(|status| status.viewers.push(viewer));
        Attachment { principal, queue, listed: ViewerGuard { bus: bus.clone(), id } }
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
            check(&self.principal, Privilege::Input, &self.listed.bus.seat)?;
        }
        Ok(self.queue.send(input)?)
    }

    /// Tells the others, and the log, whether they type.
    pub fn typing(&self, typing: bool) {
        let ViewerGuard { bus, id } = &self.listed;
        info!("{} {} at {}", self.principal, if typing { "types" } else { "has stopped typing" }, bus.seat);
        bus.status.update(|status| {
            status.viewers.iter_mut().filter(|viewer| viewer.id == *id).for_each(|viewer| viewer.typing = typing);
        });
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
