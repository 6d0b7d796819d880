//! Says what somebody may do, and where: everywhere, or at some seats alone.
//!
//! What concerns the appliance itself comes from rights that hold everywhere. A right at a seat never reaches beyond
//! that seat, whatever it is called.

use std::collections::BTreeMap;
use std::fmt;

use crate::auth::role::{Privilege, Role};
use crate::base::seat_id::SeatId;

/// Several privileges.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Privileges(u8);

impl Privileges {
    /// Those that there are at a seat; the others concern the appliance.
    pub const OF_SEATS: Privileges = {
        use Privilege::*;
        Privileges(bit(View) | bit(Input) | bit(Media) | bit(Power))
    };

    /// Those that a role includes.
    pub fn of(role: Role) -> Privileges {
        Privilege::ALL.into_iter().filter(|privilege| role.may(*privilege)).collect()
    }

    /// Whether this is one of them.
    pub fn contain(self, privilege: Privilege) -> bool {
        self.0 & bit(privilege) != 0
    }

    /// Those that are among others, too.
    pub fn and(self, others: Privileges) -> Privileges {
        Privileges(self.0 & others.0)
    }

    /// Those that are here or there.
    pub fn or(self, others: Privileges) -> Privileges {
        Privileges(self.0 | others.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order in which they are listed.
    pub fn list(self) -> Vec<Privilege> {
        Privilege::ALL.into_iter().filter(|privilege| self.contain(*privilege)).collect()
    }

    /// The role that is exactly these, if there is one.
    pub fn role(self) -> Option<Role> {
        [Role::Viewer, Role::Operator, Role::Administrator].into_iter().find(|role| Privileges::of(*role) == self)
    }
}

const fn bit(privilege: Privilege) -> u8 {
    1 << privilege as u8
}

impl FromIterator<Privilege> for Privileges {
    fn from_iter<I: IntoIterator<Item = Privilege>>(privileges: I) -> Privileges {
        Privileges(privileges.into_iter().fold(0, |bits, privilege| bits | bit(privilege)))
    }
}

impl fmt::Debug for Privileges {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_set().entries(self.list()).finish()
    }
}

/// What somebody may do, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rights {
    everywhere: Privileges,
    seats: BTreeMap<SeatId, Privileges>,
}

impl Rights {
    /// What this role includes, at every seat and for the appliance.
    pub fn everywhere(role: Role) -> Rights {
        Rights::of(Privileges::of(role))
    }

    /// These, at every seat and for the appliance.
    pub fn of(everywhere: Privileges) -> Rights {
        Rights { everywhere, seats: BTreeMap::new() }
    }

    /// These at these seats, and nothing elsewhere. What concerns the appliance is left out: no seat has it.
    pub fn at(seats: impl IntoIterator<Item = (SeatId, Privileges)>) -> Rights {
        let seats = seats.into_iter().map(|(seat, privileges)| (seat, privileges.and(Privileges::OF_SEATS)));
        Rights { everywhere: Privileges::default(), seats: seats.collect() }
    }

    /// Whether they include something at a seat or, without one, for the appliance and at every seat there is.
    pub fn may(&self, privilege: Privilege, seat: Option<&SeatId>) -> bool {
        self.privileges(seat).contain(privilege)
    }

    /// What they include at a seat or, without one, everywhere.
    pub fn privileges(&self, seat: Option<&SeatId>) -> Privileges {
        let here = seat.and_then(|seat| self.seats.get(seat)).copied().unwrap_or_default();
        self.everywhere.or(here)
    }

    /// Whether these include all of others.
    pub fn include(&self, others: &Rights) -> bool {
        others.within(self) == *others
    }

    /// What is included in others, too: the rights of somebody who acts by leave of another.
    pub fn within(&self, others: &Rights) -> Rights {
        let named = self.seats.keys().chain(others.seats.keys());
        let both = |seat: &SeatId| self.privileges(Some(seat)).and(others.privileges(Some(seat)));
        let seats = named.map(|seat| (seat.clone(), both(seat))).filter(|(_, both)| !both.is_empty());
        Rights { everywhere: self.everywhere.and(others.everywhere), seats: seats.collect() }
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::privileges::*;

    fn seat(name: &str) -> SeatId {
        SeatId::try_from(name.to_string()).unwrap()
    }

    fn at(name: &str, role: Role) -> Rights {
        Rights::at([(seat(name), Privileges::of(role))])
    }

    #[test]
    fn a_right_at_a_seat_holds_there_alone() {
        let rights = at("main", Role::Operator);
        assert!(rights.may(Privilege::Power, Some(&seat("main"))));
        assert!(!rights.may(Privilege::View, Some(&seat("other"))) && !rights.may(Privilege::View, None));
        assert_eq!(Some(Role::Operator), rights.privileges(Some(&seat("main"))).role());
        assert_eq!(Privileges::default(), rights.privileges(None));
    }

    #[test]
    fn no_right_at_a_seat_concerns_the_appliance() {
        let rights = at("main", Role::Administrator);
        for place in [Some(&seat("main")), None] {
            assert!(!rights.may(Privilege::Users, place) && !rights.may(Privilege::Configure, place));
        }
    }

    #[test]
    fn a_role_holds_at_every_seat() {
        for role in [Role::Viewer, Role::Operator, Role::Administrator] {
            for privilege in Privilege::ALL {
                for place in [Some(&seat("main")), None] {
                    assert_eq!(role.may(privilege), Rights::everywhere(role).may(privilege, place), "{role:?}");
                }
            }
            assert_eq!(Some(role), Privileges::of(role).role());
        }
    }

    #[test]
    fn rights_include_what_is_no_more_than_they_are() {
        let operator = Rights::everywhere(Role::Operator);
        for less in [operator.clone(), Rights::everywhere(Role::Viewer), at("main", Role::Operator), Rights::default()]
        {
            assert!(operator.include(&less), "{less:?}");
        }
        assert!(!operator.include(&Rights::everywhere(Role::Administrator)));
        assert!(!at("main", Role::Operator).include(&Rights::everywhere(Role::Viewer)));
        assert!(!at("main", Role::Viewer).include(&at("main", Role::Operator)));
        assert!(!at("main", Role::Viewer).include(&at("other", Role::Viewer)));
        assert!(!operator.include(&Rights::of([Privilege::View, Privilege::Users].into_iter().collect())));
    }

    #[test]
    fn who_acts_by_leave_of_another_has_what_both_have() {
        let operator = Rights::everywhere(Role::Operator);
        assert_eq!(at("main", Role::Viewer), operator.within(&at("main", Role::Viewer)));
        assert_eq!(at("main", Role::Viewer), at("main", Role::Viewer).within(&operator));
        assert_eq!(Rights::default(), at("main", Role::Viewer).within(&at("other", Role::Viewer)));
        assert_eq!(operator, operator.within(&Rights::everywhere(Role::Administrator)));
        assert_eq!(Rights::default(), operator.within(&Rights::default()));
    }
}
