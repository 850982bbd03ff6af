//! What a process does.

use crate::wire::{DecodeError, Field, Input};
use std::fmt;
use std::str::FromStr;

/// One thing that a process can do for the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Serves S3.
    Gateway,
    /// Keeps partitions of the index.
    Index,
    /// Keeps disks with shards.
    Chunkstore,
    /// Plans background work and carries it out.
    Scheduler,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [
        Self::Gateway,
        Self::Index,
        Self::Chunkstore,
        Self::Scheduler,
    ];

    fn bit(self) -> u8 {
        match self {
            Self::Gateway => 1,
            Self::Index => 2,
            Self::Chunkstore => 4,
            Self::Scheduler => 8,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Index => "index",
            Self::Chunkstore => "chunkstore",
            Self::Scheduler => "scheduler",
        })
    }
}

/// A name that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role: the roles are gateway, index, chunkstore and scheduler")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.to_string() == name);
        found.ok_or_else(|| UnknownRole(name.to_owned()))
    }
}

/// A set of roles. Bits that this binary does not know are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    /// The set of all roles.
    #[must_use]
    pub fn all() -> Self {
        Role::ALL.into_iter().collect()
    }

    /// True when the role is in the set.
    #[must_use]
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// The roles of the set.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<T: IntoIterator<Item = Role>>(roles: T) -> Self {
        Self(roles.into_iter().fold(0, |set, role| set | role.bit()))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.iter().map(|role| role.to_string()).collect();
        f.write_str(&names.join(","))
    }
}

impl Field for Roles {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
        match &*bytes {
            [bits] => Ok(Self(*bits)),
            _ => Err(DecodeError::BadValue { what: "roles" }),
        }
    }
    fn is_default(&self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_set_says_what_is_in_it_and_keeps_bits_of_newer_binaries() {
        let roles: Roles = [Role::Index, Role::Gateway].into_iter().collect();
        assert!(roles.has(Role::Index) && !roles.has(Role::Scheduler));
        assert_eq!(roles.to_string(), "gateway,index");
        let newer = Bytes::from_static(&[0x82]);
        let read = Roles::take(Input::of(&newer)).expect("one byte");
        let mut written = Vec::new();
        read.put(&mut written);
        assert_eq!(written, newer);
        assert_eq!(read.to_string(), "index");
    }

    #[test]
    fn names_are_read_back_and_others_are_refused() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        let refused = "disk".parse::<Role>().expect_err("no role");
        assert!(refused.to_string().contains("gateway, index"));
    }
}
