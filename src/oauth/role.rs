//! What an administrator of a tenant may do in the gateway: approve an Access Request, look at the console.
//!
//! The words are RingCentral's (Super Admin, account administrator) made neutral; whether a role is enough for a given act is
//! decided where the act is, not here.

use std::fmt;
use std::str::FromStr;

/// An administrator's role within one tenant, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// May do everything, approving an Access Request among it.
    SuperUser,
    /// May manage the account; whether that includes approving is the dialect's word.
    AccountAdmin,
    /// May look, not approve.
    Viewer,
}

impl Role {
    /// Every role, strongest first.
    pub const ALL: [Self; 3] = [Self::SuperUser, Self::AccountAdmin, Self::Viewer];

    /// The name in state, configuration and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SuperUser => "super_user",
            Self::AccountAdmin => "account_admin",
            Self::Viewer => "viewer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text named no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role; the roles are super_user, account_admin and viewer")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_found_by_its_name() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!("Super_User".parse::<Role>(), Err(UnknownRole));
    }
}
