//! The types of resources (RFC 7643 §6), and what names one of either as a member of a group.

use super::schema::{self, Attribute, GROUP, Schema, USER};

/// What kind of resource is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceType {
    /// A person (RFC 7643 §4.1).
    User,
    /// A group of people and groups (RFC 7643 §4.2).
    Group,
}

impl ResourceType {
    /// All of them, in the order in which a search at the root lists them.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// `User`, as in `meta.resourceType`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// `Users`, the path segment below the SCIM base.
    #[must_use]
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }

    /// The URN of its schema.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        match self {
            Self::User => USER,
            Self::Group => GROUP,
        }
    }

    /// Its schema as the RFC has it, without what the configuration adds.
    #[must_use]
    pub fn definition(self) -> &'static Schema {
        match self {
            Self::User => schema::user(),
            Self::Group => schema::group(),
        }
    }

    /// The core attribute of this name that a resource of this type has, without regard to case: of its schema, common to
    /// all (RFC 7643 §3.1), or added by the configuration.
    #[must_use]
    pub fn attribute(self, name: &str) -> Option<&'static Attribute> {
        let own = self.definition();
        own.attribute(name).or_else(|| schema::common_attribute(name)).or_else(|| schema::added(self, name))
    }

    /// The type with this URN, without regard to case.
    #[must_use]
    pub fn of_urn(urn: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.schema().eq_ignore_ascii_case(urn))
    }

    /// The type with this path segment, `Users` or `Groups`, without regard to case.
    #[must_use]
    pub fn of_endpoint(segment: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.endpoint().eq_ignore_ascii_case(segment))
    }

    /// The type with this name, `User` or `Group`, without regard to case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

/// A direct member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// The SCIM `id` of the member.
    pub key: String,
    /// What it is.
    pub kind: ResourceType,
}
