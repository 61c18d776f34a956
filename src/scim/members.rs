//! Membership of a group as intents (RFC 7643 §4.2, RFC 7644 §3.5.2), in the order in which they were sent.
//!
//! A list of fifty thousand members is never loaded to add one: a PATCH of a group is split into what changes the group
//! itself and what adds and removes members. A member is a key and a type; who that is, and whether there is such a one, the
//! directory knows; one whose entry says nothing of its type (`type`, `$ref`) is taken for a person.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::error::ScimError;
use super::filter::{Filter, Operator};
use super::normalise;
use super::patch::{Change, Op, Operation};
use super::resource::Resource;
pub use super::resource_type::Member;
use super::schema::ResourceType;

/// One wish about the members of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Intent {
    /// These shall be members; who is one already stays so.
    Add(Vec<Member>),
    /// These shall be members no more; who is none may be named.
    Remove(Vec<String>),
    /// Nobody shall be a member.
    RemoveAll,
    /// These and nobody else shall be members.
    Replace(Vec<Member>),
    /// Those members shall go that the filter selects ([`selects`]).
    RemoveMatching(Box<Filter>),
}

/// Takes the wishes about members out of the operations of a PATCH of a group, path-less ones included. Gives the other
/// operations and the intents, each in the order in which they came.
///
/// # Errors
/// 400 `invalidValue` for a member without id, 400 `mutability` for an attempt to change one, 400 `noTarget` for a filter over
/// anything but `value`, `type` and `$ref`; the detail names the operation.
pub fn split(operations: Vec<Operation>) -> Result<(Vec<Operation>, Vec<Intent>), ScimError> {
    let (mut rest, mut intents) = (Vec::with_capacity(operations.len()), Vec::new());
    for operation in operations {
        match operation {
            Operation::Change(change) if change.path.schema.is_none() && change.path.attribute == "members" => {
                let number = change.number;
                intents_of(change, &mut intents).map_err(|mut error| {
                    error.detail.insert_str(0, &format!("operation {number}: "));
                    error
                })?;
            }
            other => rest.push(other),
        }
    }
    Ok((rest, intents))
}

/// Takes `members` out of a group that was parsed from a body: `None` when the body did not speak of them, an empty list when
/// it said that there are none.
///
/// # Errors
/// 400 `invalidValue` for an entry without id: passing over it would lose a member.
pub fn take(group: &mut Resource) -> Result<Option<Vec<Member>>, ScimError> {
    let mut map = std::mem::take(group).into_map();
    let members = map.shift_remove("members");
    *group = Resource::from_map(map);
    members.map(list).transpose()
}

/// Looks at `members` as sent, before what is read-only (`display`) is taken out of it and an entry may be empty.
///
/// # Errors
/// 400 `invalidValue` for an entry that says something, but not whom it means: passing over it would lose a member.
pub fn check(members: &Value) -> Result<(), ScimError> {
    let entries = members.as_array().map_or(std::slice::from_ref(members), Vec::as_slice);
    for (index, entry) in entries.iter().enumerate() {
        let says = |parts: &Map<String, Value>, wanted: fn(&str) -> bool| {
            parts.iter().any(|(name, value)| wanted(name) && !value.is_null() && value.as_str() != Some(""))
        };
        let whom = |name: &str| name.eq_ignore_ascii_case("value") || name.eq_ignore_ascii_case("$ref");
        if entry.as_object().is_some_and(|parts| says(parts, |_| true) && !says(parts, whom)) {
            return Err(nobody(index));
        }
    }
    Ok(())
}

/// The value of `members` in an answer; `location` gives the URI of a member.
#[must_use]
pub fn value(members: &[Member], location: impl Fn(&Member) -> String) -> Value {
    let entry = |member: &Member| json!({"value": member.key, "$ref": location(member), "type": member.kind.name()});
    members.iter().map(entry).collect()
}

/// Whether the filter of an [`Intent::RemoveMatching`] selects this member.
#[must_use]
pub fn selects(filter: &Filter, member: &Member) -> bool {
    let entry = json!({
        "value": member.key,
        "$ref": format!("../{}/{}", member.kind.endpoint(), member.key),
        "type": member.kind.name(),
    });
    super::entries::matches(&entry, filter, ResourceType::Group.attribute("members"))
}

fn intents_of(change: Change, intents: &mut Vec<Intent>) -> Result<(), ScimError> {
    let Change { op, path, value, .. } = change;
    let part = path.sub.as_deref().unwrap_or("value");
    if part != "value" {
        return Err(ScimError::mutability(format!(
            "{path} cannot be changed; remove the member and add the one that is meant"
        )));
    }
    match (path.filter, op) {
        (None, Op::Add) => {
            let members = list(value)?;
            if !members.is_empty() {
                intents.push(Intent::Add(members));
            }
        }
        (None, Op::Replace) => intents.push(Intent::Replace(list(value)?)),
        // An empty list selects nobody. Taking it for "all" has emptied many a group.
        (None, Op::Remove) => match value {
            Value::Null => intents.push(Intent::RemoveAll),
            value => {
                let keys: Vec<_> = list(value)?.into_iter().map(|member| member.key).collect();
                if !keys.is_empty() {
                    intents.push(Intent::Remove(keys));
                }
            }
        },
        (Some(filter), op) => {
            let keys = named(&filter);
            let given = if op == Op::Remove { Vec::new() } else { list(value)? };
            // Adding what a path selects by id is adding the one with this id.
            if op == Op::Add && given.is_empty() {
                let members = keys.ok_or_else(|| unknown(&filter))?.into_iter().map(person).collect();
                intents.push(Intent::Add(members));
                return Ok(());
            }
            if op != Op::Add {
                match keys {
                    Some(keys) => intents.push(Intent::Remove(keys)),
                    None if can_be_decided(&filter) => intents.push(Intent::RemoveMatching(filter)),
                    None => return Err(unknown(&filter)),
                }
            }
            if !given.is_empty() {
                intents.push(Intent::Add(given));
            }
        }
    }
    Ok(())
}

fn person(key: String) -> Member {
    Member { key, kind: ResourceType::User }
}

fn unknown(filter: &Filter) -> ScimError {
    ScimError::no_target(format!("members[{filter}] cannot be decided; select members by value, as in value eq \"…\""))
}

/// The ids that a filter names: `value eq "a"`, and several of these joined by `or`.
fn named(filter: &Filter) -> Option<Vec<String>> {
    let mut keys = Vec::new();
    let mut waiting = vec![filter];
    while let Some(filter) = waiting.pop() {
        match filter {
            Filter::Or(left, right) => waiting.extend([&**right, &**left]),
            Filter::Compare { path, operator: Operator::Eq, value: Value::String(key) }
                if path.attribute == "value" =>
            {
                keys.push(key.clone());
            }
            _ => return None,
        }
    }
    Some(keys)
}

/// Whether a member's key and type are enough to answer the filter.
fn can_be_decided(filter: &Filter) -> bool {
    match filter {
        Filter::And(left, right) | Filter::Or(left, right) => can_be_decided(left) && can_be_decided(right),
        Filter::Not(inner) => can_be_decided(inner),
        Filter::Compare { path, .. } | Filter::Present(path) => matches!(path.attribute.as_str(), "value" | "type"),
        Filter::ValuePath { .. } => false,
    }
}

/// The members that a value names: a list, one entry, or bare ids; null and what is empty name nobody.
fn list(value: Value) -> Result<Vec<Member>, ScimError> {
    let entries = match value {
        Value::Null => Vec::new(),
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::Array(entries) => entries,
        entry @ (Value::Object(_) | Value::String(_)) => vec![entry],
        other => {
            let what = normalise::what(&other);
            return Err(ScimError::invalid_value(format!(
                "members is {what}; send a list such as [{{\"value\": \"id of the member\"}}]"
            )));
        }
    };
    let mut members = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        match normalise::plain_object(entry) {
            Some(parts) if parts.is_empty() => {}
            Some(parts) => members.push(of_parts(&parts).ok_or_else(|| nobody(index))?),
            None => return Err(nobody(index)),
        }
    }
    Ok(distinct(members))
}

fn nobody(index: usize) -> ScimError {
    ScimError::invalid_value(format!(
        "members (entry {}) names nobody; give it a value, the id of the member",
        index + 1
    ))
}

/// From the parts of an entry, in names of any case.
fn of_parts(parts: &Map<String, Value>) -> Option<Member> {
    let part = |name: &str| {
        let found = parts.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_str()).filter(|text| !text.is_empty())
    };
    let reference = part("$ref").map(|uri| uri.trim_end_matches('/'));
    let mut segments = reference.into_iter().flat_map(|uri| uri.rsplit('/'));
    let (last, before) = (segments.next(), segments.next());
    let kind = part("type").and_then(ResourceType::named).or_else(|| before.and_then(ResourceType::of_endpoint));
    let key = part("value").map(str::to_owned).or_else(|| {
        let key = percent_encoding::percent_decode_str(last?).decode_utf8().ok()?;
        Some(key.into_owned())
    })?;
    if key.contains('\0') {
        return None;
    }
    Some(Member { key, kind: kind.unwrap_or(ResourceType::User) })
}

/// Each member once, where it stands first.
fn distinct(mut members: Vec<Member>) -> Vec<Member> {
    let mut seen = HashSet::with_capacity(members.len());
    members.retain(|member| seen.insert(member.key.clone()));
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::patch;

    fn read(operations: &Value) -> Result<(Vec<Operation>, Vec<Intent>), ScimError> {
        split(patch::parse(json!({ "Operations": operations }).to_string().as_bytes()).unwrap())
    }

    fn people(keys: &[&str]) -> Vec<Member> {
        keys.iter().map(|key| person((*key).to_owned())).collect()
    }

    fn keys(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    fn group(key: &str) -> Member {
        Member { key: key.to_owned(), kind: ResourceType::Group }
    }

    #[test]
    fn what_entra_and_okta_send_becomes_intents() {
        for (operations, intents, others) in [
            (
                json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": "u1"}, {"$ref": null, "value": "u2"}]}]),
                vec![Intent::Add(people(&["u1", "u2"]))],
                0,
            ),
            (
                json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": "u1"}]}]),
                vec![Intent::Remove(keys(&["u1"]))],
                0,
            ),
            (json!([{"op": "remove", "path": "members[value eq \"u1\"]"}]), vec![Intent::Remove(keys(&["u1"]))], 0),
            (
                json!([{"op": "REMOVE", "path": "Members[Value EQ \"u1\" or value eq \"u2\"]", "value": [{"value": "x"}]}]),
                vec![Intent::Remove(keys(&["u1", "u2"]))],
                0,
            ),
            // An empty list is nobody; only silence is everybody.
            (json!([{"op": "Remove", "path": "members", "value": []}]), vec![], 0),
            (json!([{"op": "Remove", "path": "members", "value": [{}]}]), vec![], 0),
            (json!([{"op": "remove", "path": "members"}]), vec![Intent::RemoveAll], 0),
            (json!([{"op": "remove", "path": "members", "value": "u1"}]), vec![Intent::Remove(keys(&["u1"]))], 0),
            (
                json!([{"op": "remove", "path": "members", "value": {"value": "u1"}}]),
                vec![Intent::Remove(keys(&["u1"]))],
                0,
            ),
            (
                json!([{"op": "replace", "path": "members", "value": [{"value": "u1"}, "u2", {"value": "u1"}]}]),
                vec![Intent::Replace(people(&["u1", "u2"]))],
                0,
            ),
            (json!([{"op": "replace", "path": "members", "value": []}]), vec![Intent::Replace(vec![])], 0),
            // Okta: the rename that comes with each change, and a path-less replacement of the members.
            (
                json!([
                    {"op": "replace", "value": {"id": "g1", "displayName": "Sales"}},
                    {"op": "remove", "path": "members[value eq \"u1\"]"},
                    {"op": "add", "path": "members", "value": [{"value": "u2", "display": "U 2"}]},
                ]),
                vec![Intent::Remove(keys(&["u1"])), Intent::Add(people(&["u2"]))],
                2,
            ),
            (
                json!([{"op": "replace", "value": {"displayName": "Sales", "members": [{"value": "u2"}]}}]),
                vec![Intent::Replace(people(&["u2"]))],
                1,
            ),
            (
                json!([{"op": "add", "value": {"urn:ietf:params:scim:schemas:core:2.0:Group:members": [{"value": "u2"}]}}]),
                vec![Intent::Add(people(&["u2"]))],
                0,
            ),
            (
                json!([{"op": "add", "path": "members", "value": [{"value": "g9", "type": "group"}]}]),
                vec![Intent::Add(vec![group("g9")])],
                0,
            ),
            (
                json!([{"op": "add", "path": "members", "value": [{"$ref": "https://x/scim/v2/Groups/g%209"}]}]),
                vec![Intent::Add(vec![group("g 9")])],
                0,
            ),
            (
                json!([{"op": "add", "path": "members[value eq \"u1\"]", "value": null}]),
                vec![Intent::Add(people(&["u1"]))],
                0,
            ),
            (
                json!([{"op": "replace", "path": "members[value eq \"u1\"]", "value": {"value": "u2"}}]),
                vec![Intent::Remove(keys(&["u1"])), Intent::Add(people(&["u2"]))],
                0,
            ),
        ] {
            let (rest, read) = read(&operations).unwrap();
            assert_eq!((read, rest.len()), (intents, others), "{operations}");
        }
    }

    #[test]
    fn a_filter_over_what_is_known_of_members_selects_them() {
        let (_, intents) =
            read(&json!([{"op": "remove", "path": "members[type eq \"group\" and not (value eq \"g1\")]"}])).unwrap();
        let [Intent::RemoveMatching(filter)] = &intents[..] else { panic!("{intents:?}") };
        assert!(selects(filter, &group("g2")));
        assert!(!selects(filter, &group("g1")) && !selects(filter, &people(&["u1"])[0]));
    }

    #[test]
    fn what_names_nobody_is_refused_with_its_operation() {
        for (operation, status, says) in [
            (
                json!({"op": "add", "path": "members", "value": [{"display": "Ada"}]}),
                "invalidValue",
                "operation 1: members (entry 1) names nobody",
            ),
            (json!({"op": "add", "path": "members", "value": [7]}), "invalidValue", "names nobody"),
            (json!({"op": "add", "path": "members", "value": true}), "invalidValue", "members is a boolean"),
            (json!({"op": "add", "path": "members", "value": [{"value": "\u{0}"}]}), "invalidValue", "names nobody"),
            (
                json!({"op": "replace", "path": "members[value eq \"u1\"].display", "value": "x"}),
                "mutability",
                "cannot be changed",
            ),
            (json!({"op": "remove", "path": "members[display eq \"Ada\"]"}), "noTarget", "select members by value"),
        ] {
            let error = read(&json!([operation])).unwrap_err();
            assert_eq!(error.scim_type.map(crate::scim::error::ScimType::as_str), Some(status), "{operation}");
            assert!(error.detail.contains(says), "{operation}: {}", error.detail);
        }
    }

    #[test]
    fn a_body_says_who_belongs_or_says_nothing() {
        for (members, taken) in [
            (json!(null), None),
            (json!([]), Some(vec![])),
            (
                json!([{"value": "u1", "display": "U"}, {"value": "g1", "type": "Group"}]),
                Some(vec![people(&["u1"])[0].clone(), group("g1")]),
            ),
            (json!("u1"), None),
        ] {
            let body = json!({"displayName": "Sales", "members": members}).to_string();
            let Ok(parsed) = Resource::parse(ResourceType::Group, body.as_bytes()) else {
                assert_eq!(members, "u1");
                continue;
            };
            let mut group = parsed.resource;
            assert_eq!(take(&mut group), Ok(taken));
            assert_eq!(group.as_map().len(), 1);
        }
        for (members, entry) in [
            (json!([{"display": "U"}]), "entry 1"),
            (json!([{"value": "u1"}, {"value": null, "type": "User"}]), "entry 2"),
        ] {
            let body = json!({"displayName": "Sales", "members": members}).to_string();
            let error = Resource::parse(ResourceType::Group, body.as_bytes()).unwrap_err();
            assert!(error.detail.contains(entry), "{members}: {}", error.detail);
        }
        let shown = value(&[group("g1")], |member| format!("https://x/{}/{}", member.kind.endpoint(), member.key));
        assert_eq!(shown, json!([{"value": "g1", "$ref": "https://x/Groups/g1", "type": "Group"}]));
    }
}
