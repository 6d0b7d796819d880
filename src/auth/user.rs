//! One person among the accounts, as stored: what they have been given, and whether they are let in.
//!
//! A release that knows only roles may read this after an update was taken back. It lets somebody in who has a `role`
//! next to their password, and nobody else. So whoever has rights at some seats alone, or is disabled, has none.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::auth::privileges::{Privileges, Rights};
use crate::auth::role::Role;
use crate::auth::totp::SecondFactor;
use crate::base::seat_id::SeatId;

/// Somebody as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct User {
    #[serde(flatten)]
    pub(super) standing: Standing,
    /// Argon2id as a PHC string.
    pub(super) password: String,
    /// How often what they may do has changed: it makes another epoch of each.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) changes: u64,
    /// Without one the password is enough. A release that knows none asks for nothing else than the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) second_factor: Option<SecondFactor>,
    #[serde(flatten)]
    pub(super) kept: Map<String, Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Standing {
    Role(Role),
    Seats(BTreeMap<SeatId, SeatRole>),
    Disabled(Assignment),
}

/// What somebody has been given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assignment {
    /// A role, at every seat and for the appliance.
    Role(Role),
    /// A role at each of these seats, and nothing elsewhere.
    Seats(BTreeMap<SeatId, SeatRole>),
}

/// What somebody is at a seat.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeatRole {
    /// Sees, touches nothing.
    Viewer,
    /// Works the target.
    Operator,
}

impl User {
    pub(super) fn new(assignment: Assignment, password: String) -> User {
        User { standing: assignment.into(), password, changes: 0, second_factor: None, kept: Map::new() }
    }

    pub(super) fn rights(&self) -> Option<Rights> {
        (!self.is_disabled()).then(|| self.assignment().rights())
    }

    pub(super) fn assignment(&self) -> Assignment {
        match self.standing.clone() {
            Standing::Role(role) => Assignment::Role(role),
            Standing::Seats(seats) => Assignment::Seats(seats),
            Standing::Disabled(assignment) => assignment,
        }
    }

    pub(super) fn is_disabled(&self) -> bool {
        matches!(self.standing, Standing::Disabled(_))
    }

    pub(super) fn is_administrator(&self) -> bool {
        self.standing == Standing::Role(Role::Administrator)
    }
}

impl Assignment {
    /// What it lets somebody do who is let in.
    pub fn rights(&self) -> Rights {
        match self {
            Assignment::Role(role) => Rights::everywhere(*role),
            Assignment::Seats(seats) => {
                Rights::at(seats.iter().map(|(seat, role)| (seat.clone(), Privileges::of((*role).into()))))
            }
        }
    }
}

impl From<Assignment> for Standing {
    fn from(assignment: Assignment) -> Standing {
        match assignment {
            Assignment::Role(role) => Standing::Role(role),
            Assignment::Seats(seats) => Standing::Seats(seats),
        }
    }
}

impl From<SeatRole> for Role {
    fn from(role: SeatRole) -> Role {
        match role {
            SeatRole::Viewer => Role::Viewer,
            SeatRole::Operator => Role::Operator,
        }
    }
}
