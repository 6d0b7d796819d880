//! Says what a token is for: a role, or privileges at some seats.
//!
//! A release that knows only roles may read the accounts after an update was taken back. It lets a token in that has a
//! `role`, with all of it, and no other. So one with a scope has none.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::auth::privileges::{Privileges, Rights};
use crate::auth::role::{Privilege, Role};
use crate::base::seat_id::SeatId;

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// All that a role includes, everywhere.
    Role(Role),
    /// Some privileges, perhaps at some seats alone.
    Scope(Scope),
}

/// Some privileges, everywhere or at some seats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    privileges: Vec<Privilege>,
    /// Nothing stands for every seat there is and will be.
    seats: Option<BTreeSet<SeatId>>,
}

impl From<Role> for Extent {
    fn from(role: Role) -> Extent {
        Extent::Role(role)
    }
}

impl Extent {
    /// These privileges, everywhere or at these seats. Nothing, if there is none of either, or if they concern the
    /// appliance, which is at no seat.
    pub fn scope(privileges: &[Privilege], seats: Option<BTreeSet<SeatId>>) -> Option<Extent> {
        let asked: Privileges = privileges.iter().copied().collect();
        let fits = seats.as_ref().is_none_or(|seats| !seats.is_empty() && asked.and(Privileges::OF_SEATS) == asked);
        if asked.is_empty() || !fits {
            return None;
        }
        Some(Extent::Scope(Scope { privileges: asked.list(), seats }))
    }

    /// What it lets a program do.
    pub fn rights(&self) -> Rights {
        match self {
            Extent::Role(role) => Rights::everywhere(*role),
            Extent::Scope(Scope { privileges, seats }) => {
                let privileges: Privileges = privileges.iter().copied().collect();
                match seats {
                    None => Rights::of(privileges),
                    Some(seats) => Rights::at(seats.iter().map(|seat| (seat.clone(), privileges))),
                }
            }
        }
    }

    /// The role that it is, or nothing.
    pub fn role(&self) -> Option<Role> {
        if let Extent::Role(role) = self { Some(*role) } else { None }
    }

    /// The privileges in it, wherever they hold.
    pub fn privileges(&self) -> Vec<Privilege> {
        match self {
            Extent::Role(role) => Privileges::of(*role).list(),
            Extent::Scope(scope) => scope.privileges.clone(),
        }
    }

    /// The seats at which they hold, or nothing for all.
    pub fn seats(&self) -> Option<&BTreeSet<SeatId>> {
        if let Extent::Scope(Scope { seats: Some(seats), .. }) = self { Some(seats) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::extent::*;

    fn seats(names: &[&str]) -> Option<BTreeSet<SeatId>> {
        Some(names.iter().map(|name| SeatId::try_from(name.to_string()).unwrap()).collect())
    }

    #[test]
    fn a_scope_is_what_was_asked_for_and_no_more() {
        let main = SeatId::try_from("main".to_string()).unwrap();
        let other = SeatId::try_from("other".to_string()).unwrap();
        let everywhere = Extent::scope(&[Privilege::View, Privilege::Configure], None).unwrap().rights();
        assert!(everywhere.may(Privilege::View, Some(&main)) && everywhere.may(Privilege::Configure, None));
        assert!(!everywhere.may(Privilege::Input, Some(&main)) && !everywhere.may(Privilege::Users, None));
        let there = Extent::scope(&[Privilege::Power, Privilege::Power], seats(&["main"])).unwrap();
        assert_eq!((vec![Privilege::Power], None), (there.privileges(), there.role()), "each once");
        assert!(there.rights().may(Privilege::Power, Some(&main)));
        assert!(!there.rights().may(Privilege::Power, Some(&other)) && !there.rights().may(Privilege::Power, None));
    }

    #[test]
    fn a_scope_of_nothing_and_one_of_the_appliance_at_a_seat_are_refused() {
        for (privileges, seats) in [
            (&[][..], None),
            (&[][..], seats(&["main"])),
            (&[Privilege::View][..], seats(&[])),
            (&[Privilege::View, Privilege::Configure][..], seats(&["main"])),
            (&[Privilege::Users][..], seats(&["main"])),
        ] {
            assert_eq!(None, Extent::scope(privileges, seats), "{privileges:?}");
        }
    }
}
