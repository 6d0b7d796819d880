//! Gathers privileges into roles.
//!
//! Routes and messages ask for a privilege, never for a role, so that a role can be cut differently later without
//! looking for every place that named it.

use serde::{Deserialize, Serialize};

/// One thing that somebody may be allowed to do.
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privilege {
    /// See the target's screen and status.
    View,
    /// Type and point.
    Input,
    /// Put media in the target's drive.
    Media,
    /// Press the target's buttons.
    Power,
    /// Change the appliance itself.
    Configure,
    /// Let others in.
    Users,
}

/// What somebody is.
#[derive(schemars::JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees, touches nothing.
    Viewer,
    /// Works the target.
    Operator,
    /// Works the target and the appliance.
    Administrator,
}

impl Privilege {
    /// Every one, in the order in which they are listed.
    pub const ALL: [Privilege; 6] = {
        use Privilege::*;
        [View, Input, Media, Power, Configure, Users]
    };
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
    use crate::auth::privileges::Privileges;
    use crate::auth::role::Privilege::*;
    use crate::auth::role::*;

    #[test]
    fn each_role_has_exactly_its_privileges() {
        assert_eq!(vec![View], Privileges::of(Role::Viewer).list());
        assert_eq!(vec![View, Input, Media, Power], Privileges::of(Role::Operator).list());
        assert_eq!(vec![View, Input, Media, Power, Configure, Users], Privileges::of(Role::Administrator).list());
    }
}
