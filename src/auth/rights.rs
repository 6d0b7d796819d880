//! Asks whether somebody may do something, for each thing that they do.
//!
//! A session may end, and a role may change, while a socket is open. So nobody is asked once and believed from then on.

use super::principal::Principal;
use super::role::Privilege;
use crate::base::coded::Coded;
use crate::base::seat_id::SeatId;

/// Why somebody may not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// They may watch, or something else, but not this.
    #[error("your role does not include this; ask an administrator")]
    NotAllowed,
    /// Their session or token has ended.
    #[error("the session has ended; log in again")]
    Ended,
}

impl Coded for Denied {
    fn code_name(&self) -> &'static str {
        match self {
            Denied::NotAllowed => "not-allowed",
            Denied::Ended => "not-logged-in",
        }
    }
}

/// Whether somebody may do this now, at a seat or, without one, to the appliance. That they do it prolongs their
/// session.
pub fn check(principal: &Principal, privilege: Privilege, seat: Option<&SeatId>) -> Result<(), Denied> {
    if principal.lease().is_over() {
        return Err(Denied::Ended);
    }
    if !principal.may(privilege, seat) {
        return Err(Denied::NotAllowed);
    }
    principal.lease().touch();
    Ok(())
}
