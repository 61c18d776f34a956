//! The schemas of RFC 7643 as static data, and the way to find an attribute in them by name without regard to case.
//!
//! Lookups are short linear scans over static tables: a table holds some twenty names, and comparing lengths first settles
//! nearly all of them. The discovery documents made from these tables are in `documents`.

mod declare;
#[cfg(test)]
mod declared_tests;
mod definitions;
mod documents;

pub use super::resource_type::ResourceType;
pub use declare::{Before, DeclareError, Declared, DeclaredAttribute, Selection, check, declare};
pub(super) use declare::{added, additions, extensions};
pub use documents::{Capabilities, Offer, resource_types, schema, schemas, service_provider_config};

/// Schema of a user (RFC 7643 §4.1).
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// Enterprise extension of a user (RFC 7643 §4.3).
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// Schema of a group (RFC 7643 §4.2).
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// Message: answer to a query (RFC 7644 §3.4.2).
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// Message: a query by POST (RFC 7644 §3.4.3).
pub const SEARCH_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// Message: PATCH (RFC 7644 §3.5.2).
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// Message: bulk request (RFC 7644 §3.7).
pub const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// Message: answer to a bulk request (RFC 7644 §3.7).
pub const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// Message: error (RFC 7644 §3.12).
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The most resources that one answer holds; announced as `filter.maxResults`.
pub const MAX_RESULTS: u64 = 1000;
/// How many resources a page holds if the client does not say; announced as `pagination.defaultPageSize`.
pub const DEFAULT_RESULTS: u64 = 100;
/// The most operations that a bulk request may hold; announced as `bulk.maxOperations`.
pub const MAX_OPERATIONS: u64 = 1000;
/// The most bytes that a bulk request may have; announced as `bulk.maxPayloadSize`.
pub const MAX_PAYLOAD: u64 = 1024 * 1024;

/// Data type of an attribute (RFC 7643 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// A number that may have a fraction.
    Decimal,
    /// A whole number.
    Integer,
    /// A point in time, RFC 3339.
    DateTime,
    /// A URI.
    Reference,
    /// Base64 text.
    Binary,
    /// A set of sub-attributes.
    Complex,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::String,
        Self::Boolean,
        Self::Decimal,
        Self::Integer,
        Self::DateTime,
        Self::Reference,
        Self::Binary,
        Self::Complex,
    ];

    /// The name in a schema document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Decimal => "decimal",
            Self::Integer => "integer",
            Self::DateTime => "dateTime",
            Self::Reference => "reference",
            Self::Binary => "binary",
            Self::Complex => "complex",
        }
    }
}

/// Who may change an attribute (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutability {
    /// Nobody but the server.
    ReadOnly,
    /// Clients.
    ReadWrite,
    /// Clients, once.
    Immutable,
    /// Clients, and nobody reads it back.
    WriteOnly,
}

impl Mutability {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ReadOnly, Self::ReadWrite, Self::Immutable, Self::WriteOnly];

    /// The name in a schema document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnly",
            Self::ReadWrite => "readWrite",
            Self::Immutable => "immutable",
            Self::WriteOnly => "writeOnly",
        }
    }
}

/// When an attribute is part of an answer (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// In every answer, whatever was asked for.
    Always,
    /// Never.
    Never,
    /// Unless something else was asked for.
    Default,
    /// Only when it is asked for by name.
    Request,
}

impl Returned {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Always, Self::Never, Self::Default, Self::Request];

    /// The name in a schema document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Default => "default",
            Self::Request => "request",
        }
    }
}

/// How far a value must be unique (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uniqueness {
    /// Not at all.
    None,
    /// Within the tenant.
    Server,
    /// Everywhere; kept as within the tenant, beyond which nothing is known.
    Global,
}

impl Uniqueness {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Server, Self::Global];

    /// The name in a schema document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Server => "server",
            Self::Global => "global",
        }
    }
}

/// What a schema says of one attribute or sub-attribute (RFC 7643 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Canonical name.
    pub name: &'static str,
    /// Data type.
    pub kind: Kind,
    /// Whether it holds a list.
    pub multi_valued: bool,
    /// Whether a resource cannot be without it.
    pub required: bool,
    /// Whether its text is compared with regard to case.
    pub case_exact: bool,
    /// Who may change it.
    pub mutability: Mutability,
    /// When it is part of an answer.
    pub returned: Returned,
    /// How far it must be unique.
    pub uniqueness: Uniqueness,
    /// What it is, for a human.
    pub description: &'static str,
    /// Values that the RFC suggests, such as `work` and `home`.
    pub canonical_values: &'static [&'static str],
    /// What a reference may point at.
    pub reference_types: &'static [&'static str],
    /// Parts of a complex attribute.
    pub sub_attributes: &'static [Attribute],
}

impl Attribute {
    /// The sub-attribute of this name, without regard to case.
    #[must_use]
    pub fn sub(&self, name: &str) -> Option<&'static Attribute> {
        find(self.sub_attributes, name)
    }

    /// What stands for a part of an entry in a value path: the sub-attribute, or in a list of plain values `value` for the
    /// entry itself, as in `tags[value eq "x"]`.
    #[must_use]
    pub fn part(&'static self, name: &str) -> Option<(&'static str, &'static Attribute)> {
        if self.kind != Kind::Complex {
            return name.eq_ignore_ascii_case("value").then_some(("value", self));
        }
        self.sub(name).map(|sub| (sub.name, sub))
    }

    /// Whether it, or a part of it, can be set only once.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        let frozen = |attribute: &Self| attribute.mutability == Mutability::Immutable;
        frozen(self) || self.sub_attributes.iter().any(frozen)
    }
}

/// A schema: an URN and its attributes.
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    /// The URN.
    pub id: &'static str,
    /// Short name.
    pub name: &'static str,
    /// What it describes.
    pub description: &'static str,
    /// The attributes in the order in which answers carry them.
    pub attributes: &'static [Attribute],
}

impl Schema {
    /// The attribute of this name, without regard to case.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(self.attributes, name)
    }
}

/// The user schema.
#[must_use]
pub fn user() -> &'static Schema {
    &definitions::USER_SCHEMA
}

/// The enterprise extension.
#[must_use]
pub fn enterprise() -> &'static Schema {
    &definitions::ENTERPRISE_SCHEMA
}

/// The group schema.
#[must_use]
pub fn group() -> &'static Schema {
    &definitions::GROUP_SCHEMA
}

/// The attributes that every resource has: `schemas`, `id`, `externalId`, `meta` (RFC 7643 §3.1).
#[must_use]
pub fn common() -> &'static [Attribute] {
    &definitions::COMMON
}

/// The attribute of this name that every resource has.
pub(super) fn common_attribute(name: &str) -> Option<&'static Attribute> {
    find(common(), name)
}

/// The attribute of this name that belongs to no extension; where both types have it, a user's.
#[must_use]
pub fn core(name: &str) -> Option<&'static Attribute> {
    find(user().attributes, name)
        .or_else(|| common_attribute(name))
        .or_else(|| find(group().attributes, name))
        .or_else(|| ResourceType::ALL.into_iter().find_map(|kind| declare::added(kind, name)))
}

/// The extension with this URN, without regard to case: the enterprise extension, or one that was declared.
#[must_use]
pub fn extension(urn: &str) -> Option<&'static Schema> {
    if urn.eq_ignore_ascii_case(ENTERPRISE) { Some(enterprise()) } else { declare::extension(urn) }
}

/// The type of resource that the extension with this URN extends.
#[must_use]
pub fn extended(urn: &str) -> Option<ResourceType> {
    if urn.eq_ignore_ascii_case(ENTERPRISE) { Some(ResourceType::User) } else { declare::extended(urn) }
}

/// The URN of this schema in canonical spelling, if it is one of ours.
#[must_use]
pub fn known_urn(urn: &str) -> Option<&'static str> {
    let known = [USER, ENTERPRISE, GROUP].into_iter().find(|known| known.eq_ignore_ascii_case(urn));
    known.or_else(|| declare::extension(urn).map(|schema| schema.id))
}

/// Whether `urn` is the schema of a resource itself rather than of an extension.
#[must_use]
pub fn is_core(urn: &str) -> bool {
    urn.eq_ignore_ascii_case(USER) || urn.eq_ignore_ascii_case(GROUP)
}

/// All attributes that may be named without a URN.
pub(super) fn plain_names() -> impl Iterator<Item = &'static Attribute> {
    let declared = ResourceType::ALL.into_iter().flat_map(|kind| additions(kind));
    user().attributes.iter().chain(common()).chain(group().attributes).chain(enterprise().attributes).chain(declared)
}

/// The attribute whose name is nearest to a misspelt one, among `candidates`; `None` if none is near.
pub(super) fn nearest(name: &str, candidates: impl Iterator<Item = &'static Attribute>) -> Option<&'static str> {
    if name.len() > 40 {
        return None;
    }
    candidates
        .map(|attribute| (distance(name, attribute.name), attribute.name))
        .filter(|&(distance, candidate)| distance <= 1 + candidate.len() / 5)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// Levenshtein distance without regard to ASCII case.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(!x.eq_ignore_ascii_case(&y));
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_without_regard_to_case() {
        for (name, canonical) in [("USERNAME", "userName"), ("Id", "id"), ("members", "members")] {
            assert_eq!(core(name).map(|attribute| attribute.name), Some(canonical));
        }
        assert_eq!(core("department"), None);
        assert_eq!(enterprise().attribute("Department").map(|attribute| attribute.name), Some("department"));
        assert_eq!(core("emails").and_then(|emails| emails.sub("VALUE")).map(|value| value.name), Some("value"));
    }

    #[test]
    fn misspelt_names_have_a_nearest() {
        for (misspelt, meant) in [
            ("userNme", Some("userName")),
            ("usrname", Some("userName")),
            ("phoneNumer", Some("phoneNumbers")),
            ("shoeSize", None),
            ("x", None),
        ] {
            assert_eq!(nearest(misspelt, user().attributes.iter()), meant, "{misspelt}");
        }
    }
}
