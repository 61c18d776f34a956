//! The attributes rehearse maps: their PATCH paths (RFC 7644 §3.5.2) and where they sit in a resource (RFC 7643 §4).

use serde_json::{Map, Value, json};

/// The enterprise extension (RFC 7643 §4.3).
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// An attribute a person may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    UserName,
    WorkEmail,
    GivenName,
    FamilyName,
    DisplayName,
    ExternalId,
    Title,
    Department,
    WorkPhone,
    MobilePhone,
    Country,
    Region,
    Locality,
    PostalCode,
    StreetAddress,
}

impl Attribute {
    pub const ALL: [Self; 15] = [
        Self::UserName,
        Self::WorkEmail,
        Self::GivenName,
        Self::FamilyName,
        Self::DisplayName,
        Self::ExternalId,
        Self::Title,
        Self::Department,
        Self::WorkPhone,
        Self::MobilePhone,
        Self::Country,
        Self::Region,
        Self::Locality,
        Self::PostalCode,
        Self::StreetAddress,
    ];

    /// The attribute as a PATCH path (RFC 7644 §3.5.2).
    pub const fn path(self) -> &'static str {
        match self {
            Self::UserName => "userName",
            Self::WorkEmail => "emails[type eq \"work\"].value",
            Self::GivenName => "name.givenName",
            Self::FamilyName => "name.familyName",
            Self::DisplayName => "displayName",
            Self::ExternalId => "externalId",
            Self::Title => "title",
            Self::Department => "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            Self::WorkPhone => "phoneNumbers[type eq \"work\"].value",
            Self::MobilePhone => "phoneNumbers[type eq \"mobile\"].value",
            Self::Country => "addresses[type eq \"work\"].country",
            Self::Region => "addresses[type eq \"work\"].region",
            Self::Locality => "addresses[type eq \"work\"].locality",
            Self::PostalCode => "addresses[type eq \"work\"].postalCode",
            Self::StreetAddress => "addresses[type eq \"work\"].streetAddress",
        }
    }

    /// Whether every system must keep it: without these five nothing can be provisioned.
    pub const fn core(self) -> bool {
        matches!(self, Self::UserName | Self::WorkEmail | Self::GivenName | Self::FamilyName)
    }

    /// Whether it is set only by the first change, so that adding where nothing was is rehearsed too.
    pub const fn added_later(self) -> bool {
        matches!(self, Self::Title | Self::WorkPhone | Self::MobilePhone)
    }

    pub const fn place(self) -> Place {
        match self {
            Self::UserName => Place::Top("userName"),
            Self::DisplayName => Place::Top("displayName"),
            Self::ExternalId => Place::Top("externalId"),
            Self::Title => Place::Top("title"),
            Self::GivenName => Place::Inside("name", "givenName"),
            Self::FamilyName => Place::Inside("name", "familyName"),
            Self::Department => Place::Inside(ENTERPRISE, "department"),
            Self::WorkEmail => Place::Entry("emails", "work", "value"),
            Self::WorkPhone => Place::Entry("phoneNumbers", "work", "value"),
            Self::MobilePhone => Place::Entry("phoneNumbers", "mobile", "value"),
            Self::Country => Place::Entry("addresses", "work", "country"),
            Self::Region => Place::Entry("addresses", "work", "region"),
            Self::Locality => Place::Entry("addresses", "work", "locality"),
            Self::PostalCode => Place::Entry("addresses", "work", "postalCode"),
            Self::StreetAddress => Place::Entry("addresses", "work", "streetAddress"),
        }
    }

    /// Its value in a resource, if it is there.
    pub fn read(self, resource: &Value) -> Option<&str> {
        match self.place() {
            Place::Top(name) => resource.get(name),
            Place::Inside(parent, name) => resource.get(parent)?.get(name),
            Place::Entry(list, kind, name) => {
                let mut entries = resource.get(list)?.as_array()?.iter();
                let is_kind = |entry: &&Value| {
                    entry.get("type").and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(kind))
                };
                entries.find(is_kind)?.get(name)
            }
        }?
        .as_str()
    }

    /// Puts a value in, with the parent or the entry it needs.
    pub fn write(self, resource: &mut Map<String, Value>, value: &str) {
        match self.place() {
            Place::Top(name) => {
                resource.insert(name.into(), value.into());
            }
            Place::Inside(parent, name) => resource.entry(parent).or_insert_with(|| json!({}))[name] = value.into(),
            Place::Entry(list, kind, name) => {
                let entries = resource.entry(list).or_insert_with(|| json!([]));
                let Value::Array(entries) = entries else { return };
                let at = entries.iter().position(|entry| entry["type"] == kind).unwrap_or_else(|| {
                    entries.push(json!({"type": kind, "primary": entries.is_empty()}));
                    entries.len() - 1
                });
                entries[at][name] = value.into();
            }
        }
    }
}

/// Where an attribute sits in a resource.
pub(super) enum Place {
    Top(&'static str),
    Inside(&'static str, &'static str),
    Entry(&'static str, &'static str, &'static str),
}
