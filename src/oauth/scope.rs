//! Scopes (RFC 6749 §3.3): reading people and changing people, nothing finer.

use std::fmt;

/// One thing that may be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `scim.read`: read and find people.
    Read,
    /// `scim.write`: create, change, disable and delete people.
    Write,
}

impl Scope {
    /// Every scope, in the order they are written.
    pub const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "scim.read",
            Self::Write => "scim.write",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
        }
    }
}

/// A set of scopes. Prints as the `scope` parameter is written: names with a space between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    /// Nothing at all.
    pub const NONE: Self = Self(0);
    /// Everything there is.
    pub const ALL: Self = Self(3);

    /// Reads a `scope` parameter; names may repeat. `None` if it names something that does not exist.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.split(' ').filter(|name| !name.is_empty()).try_fold(Self::NONE, |set, name| {
            Scope::ALL.into_iter().find(|scope| scope.as_str() == name).map(|scope| set.with(scope))
        })
    }

    /// The scopes a client is registered for; names that mean nothing here are passed over.
    #[must_use]
    pub fn registered(names: &[String]) -> Self {
        names.iter().filter_map(|name| Self::parse(name)).fold(Self::NONE, |set, more| Self(set.0 | more.0))
    }

    /// This set and `scope`.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// Whether `scope` is in it.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether all of this set is in `other`.
    #[must_use]
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// A number below 4 that tells this set from every other.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (text, expected) in [
            ("", Some("")),
            ("scim.read", Some("scim.read")),
            ("scim.write scim.read", Some("scim.read scim.write")),
            (" scim.read  scim.read ", Some("scim.read")),
            ("scim.admin", None),
            ("scim.read scim.admin", None),
            ("SCIM.READ", None),
            ("scim.read\tscim.write", None),
        ] {
            assert_eq!(Scopes::parse(text).map(|scopes| scopes.to_string()).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn sets_compare() {
        let read = Scopes::NONE.with(Scope::Read);
        assert!(read.within(Scopes::ALL) && !Scopes::ALL.within(read));
        assert!(read.has(Scope::Read) && !read.has(Scope::Write));
        assert_eq!(Scopes::registered(&["scim.write".into(), "openid".into()]).to_string(), "scim.write");
    }
}
