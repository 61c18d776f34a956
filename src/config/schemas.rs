//! `[schemas."urn:…"]`: extensions and additional attributes that the operator declares, in the words of RFC 7643 §7.

use super::reader::{Section, choose};
use super::value::{Value, advice};
use crate::scim::ResourceType;
use crate::scim::schema::{self, Declared, DeclaredAttribute, Kind, Mutability, Returned, Uniqueness};

/// All of them, checked and made known to the process; `None` when one is wrong.
pub(super) fn all(mut section: Section<'_>) -> Option<Vec<Declared>> {
    let mut declared = Vec::new();
    let mut whole = true;
    for (urn, _) in section.names() {
        let Some(value) = section.branch(&urn) else { continue };
        match value.section().and_then(|section| one(&urn, section)) {
            Some(schema) => declared.push(schema),
            None => whole = false,
        }
    }
    if whole && let Err(error) = schema::check(&declared) {
        let mut path = vec![error.urn];
        for (name, step) in error.attribute.iter().flat_map(|it| it.split('.')).zip(["attributes", "sub_attributes"]) {
            path.extend([step.to_owned(), name.to_owned()]);
        }
        section.refuse_at(&path, &error.message);
        whole = false;
    }
    section.finish();
    whole.then_some(declared)
}

fn one(urn: &str, mut section: Section<'_>) -> Option<Declared> {
    let name = section.value("name").and_then(|value| value.text());
    let description = section.value("description").map_or_else(|| Some(String::new()), |value| value.text());
    let extends = section
        .value("extends")
        .map_or(Some(ResourceType::User), |value| word(&value, &ResourceType::ALL.map(|kind| (kind.name(), kind))));
    let attributes =
        section.required_section("attributes", "attributes.badge = { type = \"string\" }").and_then(attributes);
    section.finish();
    Some(Declared {
        urn: urn.to_owned(),
        name: name.unwrap_or_else(|| urn.rsplit(':').next().unwrap_or_default().to_owned()),
        description: description?,
        extends: extends?,
        attributes: attributes?,
    })
}

fn attributes(mut section: Section<'_>) -> Option<Vec<DeclaredAttribute>> {
    let mut attributes = Vec::new();
    let mut whole = true;
    for (name, _) in section.names() {
        let Some(value) = section.branch(&name) else { continue };
        match value.section().and_then(|section| attribute(&name, section)) {
            Some(attribute) => attributes.push(attribute),
            None => whole = false,
        }
    }
    section.finish();
    whole.then_some(attributes)
}

fn attribute(name: &str, mut section: Section<'_>) -> Option<DeclaredAttribute> {
    let kind =
        section.value("type").map_or(Some(Kind::String), |value| word(&value, &Kind::ALL.map(|it| (it.as_str(), it))));
    let default = DeclaredAttribute::new(name, kind.unwrap_or(Kind::String));
    let mutability = section
        .value("mutability")
        .map_or(Some(default.mutability), |value| word(&value, &Mutability::ALL.map(|it| (it.as_str(), it))));
    // What nobody reads back is never returned; saying so twice would be a trap.
    let returned = match mutability {
        Some(Mutability::WriteOnly) => Returned::Never,
        _ => default.returned,
    };
    let returned = section
        .value("returned")
        .map_or(Some(returned), |value| word(&value, &Returned::ALL.map(|it| (it.as_str(), it))));
    let uniqueness = section
        .value("uniqueness")
        .map_or(Some(default.uniqueness), |value| word(&value, &Uniqueness::ALL.map(|it| (it.as_str(), it))));
    let description = section.value("description").map_or_else(|| Some(String::new()), |value| value.text());
    let attribute = DeclaredAttribute {
        multi_valued: section.boolean("multi_valued", false),
        required: section.boolean("required", false),
        case_exact: section.boolean("case_exact", default.case_exact),
        canonical_values: texts(&mut section, "canonical_values")?,
        reference_types: texts(&mut section, "reference_types")?,
        sub_attributes: match section.branch("sub_attributes") {
            Some(value) => value.section().and_then(attributes)?,
            None => Vec::new(),
        },
        ..default
    };
    section.finish();
    Some(DeclaredAttribute {
        kind: kind?,
        mutability: mutability?,
        returned: returned?,
        uniqueness: uniqueness?,
        description: description?,
        ..attribute
    })
}

fn texts(section: &mut Section<'_>, key: &str) -> Option<Vec<String>> {
    let Some(value) = section.value(key) else { return Some(Vec::new()) };
    value.list()?.iter().map(Value::text).collect()
}

/// One of a few words, spelt as the RFC spells it.
fn word<T: Copy>(value: &Value<'_>, words: &[(&str, T)]) -> Option<T> {
    value.parse(|text| {
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            advice("is none of the words that may stand here", choose(text, &words))
        })
    })
}

/// The URNs that a tenant lists, each of which must be declared.
pub(super) fn listed(value: &Value<'_>, declared: &[Declared]) -> Option<schema::Selection> {
    let urn = |item: Value<'_>| {
        item.parse(|text| {
            let found = declared.iter().find(|schema| schema.urn.eq_ignore_ascii_case(text));
            found.map(|schema| schema.urn.clone()).ok_or_else(|| {
                let urns: Vec<_> = declared.iter().map(|schema| schema.urn.as_str()).collect();
                let help = if urns.is_empty() {
                    format!("declare it in a section [schemas.\"{text}\"]")
                } else {
                    choose(text, &urns)
                };
                advice("is declared nowhere", help)
            })
        })
    };
    // All items are looked at before the first wrong one ends the list.
    let read: Vec<_> = value.list()?.into_iter().map(urn).collect();
    read.into_iter().collect::<Option<Vec<_>>>().map(schema::Selection::new)
}
