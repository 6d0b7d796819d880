//! Asks whether somebody may do something at a seat, for each thing that they do.
//!
//! A session may end, and a role may change, while a socket is open. So nobody is asked once and believed from then on.

use super::error::ControlError;
use crate::auth::principal::Principal;
use crate::auth::role::Privilege;
use crate::base::seat_id::SeatId;

/// Whether somebody may do this here and now. That they do it prolongs their session.
pub fn check(principal: &Principal, privilege: Privilege, seat: &SeatId) -> Result<(), ControlError> {
    if principal.lease().is_over() {
        return Err(ControlError::Ended);
    }
    if !principal.may(privilege, Some(seat)) {
        return Err(ControlError::NotAllowed);
    }
    principal.lease().touch();
    Ok(())
}
