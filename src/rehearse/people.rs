//! The people a rehearsal provisions: made up from a seed and an index, so that none need be remembered.
//!
//! Their values suit every system the project has met: a user name that is the work e-mail, 6 to 50 characters of
//! `A-Za-z0-9.@-`; names of 1 to 45 characters without spaces; phones in E.164; an American address with its state.
//! Only a `wide` cast has the names that stricter systems refuse. Which attributes a person carries beyond the five that
//! every system has is decided by what `/Schemas` announces (RFC 7643 §7), as an administrator's mapping would be.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::attribute::{Attribute, ENTERPRISE, Place};
use crate::types::Digest;

const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Which attributes the people carry, besides the core ones and `externalId`, which Entra always maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub display_name: bool,
    pub title: bool,
    pub department: bool,
    pub work_phone: bool,
    pub mobile_phone: bool,
    pub address: bool,
}

impl Mapping {
    /// What is sent to a system that does not tell what it has.
    pub const UNTOLD: Self = Self {
        display_name: true,
        title: false,
        department: false,
        work_phone: false,
        mobile_phone: false,
        address: false,
    };

    /// What the answer of `/Schemas` announces; `None` if no user schema can be found in it.
    pub fn announced(schemas: &Value) -> Option<Self> {
        let listed = schemas.get("Resources").and_then(Value::as_array)?;
        let schema = |urn: &str| listed.iter().find(|schema| schema["id"].as_str().is_some_and(|id| same(id, urn)));
        let user = schema(CORE)?;
        let phone = |kind: &str| {
            attribute(user, "phoneNumbers").is_some_and(|phones| {
                let kinds = sub_attribute(phones, "type").and_then(|kind| kind["canonicalValues"].as_array());
                kinds.is_none_or(|kinds| {
                    kinds.is_empty() || kinds.iter().any(|one| one.as_str().is_some_and(|one| same(one, kind)))
                })
            })
        };
        Some(Self {
            display_name: attribute(user, "displayName").is_some(),
            title: attribute(user, "title").is_some(),
            department: schema(ENTERPRISE).is_some_and(|schema| attribute(schema, "department").is_some()),
            work_phone: phone("work"),
            mobile_phone: phone("mobile"),
            address: attribute(user, "addresses").is_some(),
        })
    }

    const fn carries(self, attribute: Attribute) -> bool {
        match attribute {
            Attribute::UserName
            | Attribute::WorkEmail
            | Attribute::GivenName
            | Attribute::FamilyName
            | Attribute::ExternalId => true,
            Attribute::DisplayName => self.display_name,
            Attribute::Title => self.title,
            Attribute::Department => self.department,
            Attribute::WorkPhone => self.work_phone,
            Attribute::MobilePhone => self.mobile_phone,
            Attribute::Country
            | Attribute::Region
            | Attribute::Locality
            | Attribute::PostalCode
            | Attribute::StreetAddress => self.address,
        }
    }
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn attribute<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema["attributes"].as_array()?.iter().find(|one| one["name"].as_str().is_some_and(|found| same(found, name)))
}

fn sub_attribute<'a>(attribute: &'a Value, name: &str) -> Option<&'a Value> {
    attribute["subAttributes"]
        .as_array()?
        .iter()
        .find(|one| one["name"].as_str().is_some_and(|found| same(found, name)))
}

/// How far a person has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// As created.
    First,
    /// After the change in Entra's older PATCH form.
    Second,
    /// After the change in its compliant form.
    Third,
}

/// One person: attributes and the values they should have.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub fields: Vec<(Attribute, String)>,
}

impl Person {
    /// The user name.
    pub fn user_name(&self) -> &str {
        self.fields.iter().find(|(attribute, _)| *attribute == Attribute::UserName).map_or("", |(_, value)| value)
    }

    /// The body of the creating POST, with Entra's habits: both schemas, `meta.resourceType`, an empty `roles`.
    pub fn post(&self) -> Value {
        let mut body = Map::new();
        body.insert("schemas".into(), json!([CORE, ENTERPRISE]));
        body.insert("active".into(), true.into());
        for (attribute, value) in &self.fields {
            attribute.write(&mut body, value);
        }
        body.insert("meta".into(), json!({"resourceType": "User"}));
        body.insert("roles".into(), json!([]));
        body.into()
    }

    /// A PATCH in the older form: capitalised operations, one for each attribute.
    pub fn legacy_patch(&self) -> Value {
        let operations: Vec<Value> = self
            .fields
            .iter()
            .filter(|(attribute, _)| *attribute != Attribute::ExternalId)
            .map(|(attribute, value)| {
                let op = if attribute.added_later() { "Add" } else { "Replace" };
                json!({"op": op, "path": attribute.path(), "value": value})
            })
            .collect();
        json!({"schemas": [PATCH_OP], "Operations": operations})
    }

    /// A PATCH in the compliant form: value paths with a path, all the rest in one `replace` without, dotted keys in it.
    pub fn compliant_patch(&self) -> Value {
        let mut operations = Vec::new();
        let mut rest = Map::new();
        for (attribute, value) in &self.fields {
            match attribute.place() {
                Place::Entry(..) => operations.push(json!({"op": "replace", "path": attribute.path(), "value": value})),
                _ if *attribute == Attribute::ExternalId => {}
                _ => {
                    rest.insert(attribute.path().into(), value.as_str().into());
                }
            }
        }
        operations.push(json!({"op": "replace", "value": rest}));
        json!({"schemas": [PATCH_OP], "Operations": operations})
    }
}

/// The PATCH that disables or restores: `"False"` as text in the older form, a boolean without a path's help in the other.
pub(super) fn active_patch(legacy: bool, active: bool) -> Value {
    let operation = if legacy {
        json!({"op": "Replace", "path": "active", "value": if active { "True" } else { "False" }})
    } else {
        json!({"op": "replace", "path": "active", "value": active})
    };
    json!({"schemas": [PATCH_OP], "Operations": [operation]})
}

/// A PATCH with one operation.
pub(super) fn single_patch(op: &str, path: &str, value: &Value) -> Value {
    patch_of(&json!([{"op": op, "path": path, "value": value}]))
}

/// A PATCH with these operations.
pub(super) fn patch_of(operations: &Value) -> Value {
    json!({"schemas": [PATCH_OP], "Operations": operations})
}

/// Everybody that takes part in one run.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    seed: u64,
    run: String,
    prefix: String,
    domain: String,
    wide: bool,
    mapping: Mapping,
}

impl Cast {
    /// The same seed, prefix and domain always give the same people.
    pub fn new(seed: u64, prefix: &str, domain: &str, wide: bool, mapping: Mapping) -> Self {
        let mut run = String::new();
        for byte in &Digest::of(&seed.to_be_bytes()).as_slice()[..3] {
            // Writing to a String cannot fail.
            let _ = write!(run, "{byte:02x}");
        }
        Self { seed, run, prefix: prefix.into(), domain: domain.into(), wide, mapping }
    }

    /// The name of the group, as it should be at `version`.
    pub fn team(&self, version: Version) -> String {
        let suffix = ["", " b", " c"][version as usize];
        format!("{} {} team{suffix}", self.prefix, self.run)
    }

    /// The person of this number as they should be at `version`.
    pub fn person(&self, index: usize, version: Version) -> Person {
        let mut input = [0; 17];
        input[..8].copy_from_slice(&self.seed.to_be_bytes());
        input[8..16].copy_from_slice(&(index as u64).to_be_bytes());
        input[16] = version as u8;
        let dice = Digest::of(&input).0;
        let pick = |at: usize, from: &[&'static str]| {
            from[usize::from(u16::from_be_bytes([dice[at], dice[at + 1]])) % from.len()]
        };
        let names = |at: usize, plain: &[&'static str], wide: &[&'static str]| {
            if self.wide && dice[at].is_multiple_of(2) { pick(at + 1, wide) } else { pick(at + 1, plain) }
        };
        let given = names(0, &GIVEN, &GIVEN_WIDE);
        let family = names(3, &FAMILY, &FAMILY_WIDE);
        let (region, locality, postal_code) = PLACES[usize::from(dice[6]) % PLACES.len()];
        let suffix = ["", "-b", "-c"][version as usize];
        let user_name = format!("{}.{}.{index}{suffix}@{}", self.prefix, self.run, self.domain);
        let phone = |at: usize| format!("+1415555{:04}", 100 + u16::from(dice[at]) % 100);
        let value = |attribute| match attribute {
            Attribute::UserName | Attribute::WorkEmail => user_name.clone(),
            Attribute::GivenName => given.into(),
            Attribute::FamilyName => family.into(),
            Attribute::DisplayName => format!("{given} {family}"),
            Attribute::ExternalId => format!("{}-{}-{index}", self.prefix, self.run),
            Attribute::Title => pick(7, &TITLES).into(),
            Attribute::Department => pick(9, &DEPARTMENTS).into(),
            Attribute::WorkPhone => phone(11),
            Attribute::MobilePhone => phone(12),
            Attribute::Country => "US".into(),
            Attribute::Region => region.into(),
            Attribute::Locality => locality.into(),
            Attribute::PostalCode => postal_code.into(),
            Attribute::StreetAddress => format!("{} Market Street", 1 + u16::from(dice[13])),
        };
        let fields = Attribute::ALL
            .into_iter()
            .filter(|one| self.mapping.carries(*one) && !(version == Version::First && one.added_later()))
            .map(|one| (one, value(one)))
            .collect();
        Person { fields }
    }
}

/// Unusual but harmless: one letter, apostrophe, hyphen, dot, and the full 45 characters.
const GIVEN: [&str; 12] = [
    "Ada",
    "Anne-Marie",
    "Bo",
    "D'Arcy",
    "J.R.",
    "Kwame",
    "Li",
    "Noor",
    "O",
    "Siobhan",
    "Yasmin",
    "Hubert-Blaine-Wolfe-Esteban-Maximilian-Oliver",
];
const FAMILY: [&str; 12] = [
    "Lovelace",
    "O'Neil",
    "Smith-Jones",
    "St.Clair",
    "Al-Farsi",
    "Ng",
    "Okafor",
    "X",
    "Garcia",
    "D'Angelo",
    "Null",
    "Wolfeschlegelstein-Hausenbergerdorff-Senior-I",
];
/// What a system that keeps Unicode should keep: accents composed and combining, other scripts, spaces.
const GIVEN_WIDE: [&str; 8] = ["Zoë", "José María", "Łukasz", "Ame\u{301}lie", "美咲", "Владимир", "Σοφία", "نور"];
const FAMILY_WIDE: [&str; 8] =
    ["van der Berg", "Nguyễn", "Müller-Lüdenscheidt", "Ó Briain", "山田", "Петров", "Þórsdóttir", "de l’Étoile"];
const TITLES: [&str; 4] = ["Engineer", "Team Lead", "Agent", "Controller"];
const DEPARTMENTS: [&str; 4] = ["Sales", "Support", "Research", "Finance"];
const PLACES: [(&str, &str, &str); 4] = [
    ("California", "San Francisco", "94105"),
    ("New York", "Albany", "12207"),
    ("Texas", "Austin", "78701"),
    ("Washington", "Seattle", "98101"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Mapping = Mapping {
        display_name: true,
        title: true,
        department: true,
        work_phone: true,
        mobile_phone: true,
        address: true,
    };

    #[test]
    fn plain_people_suit_the_strictest_system() {
        let cast = Cast::new(u64::MAX, "rehearse", "example.com", false, ALL);
        for index in [0, 1, 99, 999_999] {
            for version in [Version::First, Version::Second, Version::Third] {
                let person = cast.person(index, version);
                let user_name = person.user_name().to_owned();
                assert!((6..=50).contains(&user_name.len()), "{user_name}");
                assert!(user_name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-@".contains(&byte)));
                for (attribute, value) in &person.fields {
                    match attribute {
                        Attribute::WorkEmail => assert_eq!(*value, user_name),
                        Attribute::WorkPhone | Attribute::MobilePhone => assert_eq!(value.len(), 12),
                        _ => assert!(!value.is_empty()),
                    }
                }
            }
        }
        for name in GIVEN.into_iter().chain(FAMILY) {
            assert!((1..=45).contains(&name.len()), "{name} has {}", name.len());
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":()-,.'".contains(&byte)), "{name}");
        }
    }

    #[test]
    fn a_seed_repeats_its_people_and_others_differ() {
        let person = |seed| Cast::new(seed, "r", "example.com", true, ALL).person(3, Version::First).post();
        assert_eq!(person(1), person(1));
        assert_ne!(person(1), person(2));
    }

    #[test]
    fn both_flavours_say_the_same_in_entras_two_ways() {
        let cast = Cast::new(1, "r", "example.com", false, Mapping { department: true, ..Mapping::UNTOLD });
        let person = cast.person(0, Version::Second);
        let legacy = person.legacy_patch();
        assert!(
            legacy["Operations"]
                .as_array()
                .unwrap()
                .iter()
                .all(|one| one["op"] == "Replace" && one["path"].is_string())
        );
        let compliant = person.compliant_patch();
        let operations = compliant["Operations"].as_array().unwrap();
        assert_eq!(operations.len(), 2);
        assert_eq!(operations[0]["path"], "emails[type eq \"work\"].value");
        assert!(operations[1].get("path").is_none());
        assert!(operations[1]["value"].get("name.givenName").is_some());
        assert!(operations[1]["value"].get(Attribute::Department.path()).is_some());
    }

    #[test]
    fn a_post_reads_back_as_its_fields() {
        let person = Cast::new(1, "r", "example.com", true, ALL).person(0, Version::Second);
        let post = person.post();
        for (attribute, value) in &person.fields {
            assert_eq!(attribute.read(&post), Some(value.as_str()), "{}", attribute.path());
        }
        assert_eq!(post["emails"].as_array().unwrap().len(), 1);
        assert_eq!(post["phoneNumbers"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn the_mapping_follows_what_the_schemas_announce() {
        let schemas = json!({"Resources": [{"id": CORE, "attributes": [
            {"name": "userName"}, {"name": "title"},
            {"name": "phoneNumbers", "subAttributes": [{"name": "type", "canonicalValues": ["mobile"]}]}]}]});
        let mapping = Mapping::announced(&schemas).unwrap();
        assert!(mapping.title && mapping.mobile_phone);
        assert!(!mapping.work_phone && !mapping.display_name && !mapping.department && !mapping.address);
        assert_eq!(Mapping::announced(&json!({"Resources": []})), None);
    }
}
