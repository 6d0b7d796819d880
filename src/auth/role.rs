//! Gathers privileges into roles.
//!
//! Routes and messages ask for a privilege, never for a role, so that a role can be cut differently later without looking
//! for every place that named it.

use serde::{Deserialize, Serialize};

/// One thing that somebody may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// See the target's screen and status.
    View,
    /// Type and point.
    Input,
    /// Put discs in the target's drive.
    Media,
    /// Press the target's buttons.
    Power,
    /// Change the appliance itself.
    Configure,
    /// Let others in.
    Users,
}

/// What somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees, touches nothing.
    Viewer,
    /// Works the target.
    Operator,
    /// Works the target and the appliance.
    Administrator,
}

impl Role {
    /// Whether this role includes a privilege.
    pub fn may(self, privilege: Privilege) -> bool {
        use Privilege::*;
        match self {
            Role::Viewer => matches!(privilege, View),
            Role::Operator => matches!(privilege, View | Input | Media | Power),
            Role::Administrator => matches!(privilege, View | Input | Media | Power | Configure | Users),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::role::Privilege::*;
    use crate::auth::role::*;

    #[test]
    fn each_role_has_exactly_its_privileges() {
        let all = [View, Input, Media, Power, Configure, Users];
        let of = |role: Role| all.into_iter().filter(|privilege| role.may(*privilege)).collect::<Vec<_>>();
        assert_eq!(vec![View], of(Role::Viewer));
        assert_eq!(vec![View, Input, Media, Power], of(Role::Operator));
        assert_eq!(all.to_vec(), of(Role::Administrator));
    }
}
