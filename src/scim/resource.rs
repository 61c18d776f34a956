//! A resource (RFC 7643 §3): its attributes in canonical names, as one JSON tree.
//!
//! What the server itself knows (`id`, `meta`, `schemas`) is not in it; [`Resource::render`] adds that. Extension attributes
//! stand under their extension's URN, as on the wire. Values are typed as the schema says, since [`Resource::parse`] and
//! PATCH see to that; `null`, `[]` and `{}` do not occur.

use std::fmt;

use serde_json::{Map, Value};

use super::entries;
use super::error::ScimError;
use super::filter::{Filter, Operator};
use super::members;
use super::normalise::{self, Dropped, Form, Place};
use super::path::AttrPath;
pub use super::schema::ResourceType;
use super::schema::{self, Mutability, Schema};
use crate::types::Timestamp;

/// The attributes of a person (or group), without `id`, `meta` and `schemas`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Resource(Map<String, Value>);

/// What a request's body held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The attributes that are known and can be written.
    pub resource: Resource,
    /// Names of attributes that no schema knows, as the client spelt them.
    pub dropped: Vec<String>,
}

/// What the server knows of a resource beside its attributes.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    /// The SCIM `id`.
    pub id: &'a str,
    /// The resource's URI.
    pub location: &'a str,
    /// When it came to be.
    pub created: Option<Timestamp>,
    /// When it was last changed.
    pub modified: Option<Timestamp>,
    /// Its version.
    pub version: Option<&'a str>,
}

impl Resource {
    /// Reads the body of a create or replace: names in any case, `"True"` for true, a bare manager id; null and empty
    /// values are absent, but for a group's `members`, whose empty list says something; readOnly attributes are ignored. Whether
    /// required attributes are there is the dialect's to say.
    ///
    /// # Errors
    /// 400 `invalidSyntax` when the body is not a JSON object, 400 `invalidValue` naming the attribute whose value has
    /// the wrong type, holds NUL or is too large.
    pub fn parse(kind: ResourceType, body: &[u8]) -> Result<Parsed, ScimError> {
        let body = normalise::body(body)?;
        let mut map = Map::with_capacity(body.len());
        let mut dropped = Dropped::default();
        for (name, value) in body {
            if let Some(attribute) = kind.attribute(&name) {
                if attribute.name == "schemas" {
                    check_schemas(kind, &value)?;
                    continue;
                }
                // RFC 7644 §3.5.1: readOnly values that a client sends are ignored.
                if attribute.mutability == Mutability::ReadOnly {
                    continue;
                }
                // Whether a group shall have no members, or nothing is said of them, is a difference.
                let emptied = attribute.name == "members" && value.as_array().is_some_and(Vec::is_empty);
                if attribute.name == "members" {
                    members::check(&value)?;
                }
                let place = Place::of(None, attribute.name);
                if let Some(value) = normalise::attribute(attribute, value, place, Form::Body, &mut dropped)? {
                    map.insert(canonical(name, attribute.name), value);
                } else if emptied {
                    map.insert(canonical(name, attribute.name), Value::Array(Vec::new()));
                }
            } else if let Some(schema) = extension_of(kind, &name) {
                let extension = parse_extension(schema, value, &mut dropped)?;
                if !extension.is_empty() {
                    map.insert(canonical(name, schema.id), Value::Object(extension));
                }
            } else {
                dropped.note(&name);
            }
        }
        Ok(Parsed { resource: Self(map), dropped: dropped.0 })
    }

    /// From attributes in canonical names and of the schema's types, such as a connector makes.
    #[must_use]
    pub const fn from_map(map: Map<String, Value>) -> Self {
        Self(map)
    }

    /// The attributes.
    #[must_use]
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The attributes, given away.
    #[must_use]
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// The value at `path`. With a filter: of the first entry that matches and has it. A sub-attribute of a list without a
    /// filter: of the primary entry, else of the first.
    #[must_use]
    pub fn get(&self, path: &AttrPath) -> Option<&Value> {
        let part = |entry| match &path.sub {
            Some(sub) => Value::get(entry, sub),
            None => Some(entry),
        };
        match (self.held(path)?, &path.filter) {
            (Value::Array(list), Some(filter)) => {
                let definition = path.definition();
                list.iter().filter(|entry| entries::matches(entry, filter, definition)).find_map(part)
            }
            (Value::Array(list), None) if path.sub.is_some() => part(entries::preferred(list)?),
            (single, Some(filter)) if !entries::matches(single, filter, path.definition()) => None,
            (value, _) => part(value),
        }
    }

    /// All the values at `path`, of every entry that matches and has one.
    #[must_use]
    pub fn values(&self, path: &AttrPath) -> Vec<&Value> {
        let Some(held) = self.held(path) else { return Vec::new() };
        let definition = path.definition();
        let entries = match held {
            Value::Array(list) => list.as_slice(),
            single => std::slice::from_ref(single),
        };
        let wanted = |entry: &&Value| path.filter.as_ref().is_none_or(|it| entries::matches(entry, it, definition));
        let part = |entry| path.sub.as_ref().map_or(Some(entry), |sub| Value::get(entry, sub));
        entries.iter().filter(wanted).filter_map(part).collect()
    }

    /// The text at `path`; of a complex value its `value`.
    #[must_use]
    pub fn text(&self, path: &AttrPath) -> Option<&str> {
        match self.get(path)? {
            Value::Object(parts) => parts.get("value")?.as_str(),
            value => value.as_str(),
        }
    }

    /// Sets the value at `path`, making the parent or the entry that is missing: an entry made for `[type eq "work"]`
    /// gets that type. With a filter every entry that matches is set; a sub-attribute of a list without a filter goes
    /// to the primary entry, else to the first. Null removes. The value must be of the schema's type.
    pub fn set(&mut self, path: &AttrPath, value: Value) {
        if value.is_null() {
            self.remove(path);
            return;
        }
        let definition = path.definition();
        let slot = self.slot(path);
        let is_list = slot.is_array() || path.filter.is_some() || definition.is_some_and(|it| it.multi_valued);
        match (&path.filter, &path.sub) {
            (None, None) => *slot = value,
            (None, Some(sub)) if !is_list => entries::object(slot).insert(sub.clone(), value).map_or((), drop),
            (filter, sub) => {
                let list = entries::list(slot);
                let chosen = match filter {
                    Some(filter) => entries::matching(list, filter, definition),
                    None => entries::preferred_index(list).into_iter().collect(),
                };
                let chosen = if chosen.is_empty() {
                    list.push(Value::Object(filter.as_deref().map(entries::template).unwrap_or_default()));
                    vec![list.len() - 1]
                } else {
                    chosen
                };
                for index in chosen {
                    entries::assign(&mut list[index], sub.as_deref(), value.clone(), filter.as_deref());
                }
            }
        }
    }

    /// Removes what `path` leads to and the parents that it leaves empty; whether there was anything.
    pub fn remove(&mut self, path: &AttrPath) -> bool {
        let definition = path.definition();
        let Some(held) = self.held_mut(path) else { return false };
        let (removed, empty) = match (held, &path.filter, &path.sub) {
            (_, None, None) => (true, true),
            (Value::Array(list), filter, sub) => {
                let before = list.len();
                let mut removed = false;
                list.retain_mut(|entry| {
                    if filter.as_ref().is_some_and(|filter| !entries::matches(entry, filter, definition)) {
                        return true;
                    }
                    let (Some(sub), Value::Object(parts)) = (sub, &mut *entry) else { return sub.is_some() };
                    let gone = parts.shift_remove(sub).is_some();
                    removed |= gone;
                    !(gone && normalise::is_hollow(entry))
                });
                (removed || list.len() < before, list.is_empty())
            }
            (single, Some(filter), _) if !entries::matches(single, filter, definition) => (false, false),
            (Value::Object(parts), _, Some(sub)) => (parts.shift_remove(sub).is_some(), parts.is_empty()),
            (_, _, sub) => (sub.is_none(), sub.is_none()),
        };
        if empty {
            self.discard(path);
        }
        removed
    }

    /// `active`, if it is set.
    #[must_use]
    pub fn active(&self) -> Option<bool> {
        self.0.get("active")?.as_bool()
    }

    /// `userName`, if it is set.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.0.get("userName")?.as_str()
    }

    /// The paths of all values: `userName`, `name.givenName`, `emails[type eq "work"].value`, the extension's attributes with
    /// their URN. Entries without a type are `roles[not (type pr)].value`; each path occurs once.
    #[must_use]
    pub fn paths(&self) -> Vec<AttrPath> {
        let mut paths = Vec::with_capacity(self.0.len() * 2);
        for (name, value) in &self.0 {
            match value {
                Value::Object(attributes) if name.contains(':') => {
                    for (attribute, value) in attributes {
                        let path = AttrPath { schema: Some(name.clone()), ..AttrPath::core(attribute) };
                        push_paths(path, value, &mut paths);
                    }
                }
                value => push_paths(AttrPath::core(name), value, &mut paths),
            }
        }
        paths
    }

    /// The URNs of the schemas that the resource uses.
    pub(super) fn schemas(&self, kind: ResourceType) -> impl Iterator<Item = &'static str> {
        let extensions = self.0.keys().filter(|name| name.contains(':'));
        std::iter::once(kind.schema()).chain(extensions.filter_map(|urn| schema::known_urn(urn)))
    }

    /// What is held under the attribute's name, or under the extension's when the path is a whole extension.
    pub(super) fn held(&self, path: &AttrPath) -> Option<&Value> {
        match &path.schema {
            Some(urn) if path.attribute.is_empty() => self.0.get(urn),
            Some(urn) => self.0.get(urn)?.get(&path.attribute),
            None => self.0.get(&path.attribute),
        }
    }

    pub(super) fn held_mut(&mut self, path: &AttrPath) -> Option<&mut Value> {
        match &path.schema {
            Some(urn) if path.attribute.is_empty() => self.0.get_mut(urn),
            Some(urn) => self.0.get_mut(urn)?.get_mut(&path.attribute),
            None => self.0.get_mut(&path.attribute),
        }
    }

    /// As [`Resource::held_mut`], making what is missing as null.
    pub(super) fn slot(&mut self, path: &AttrPath) -> &mut Value {
        match &path.schema {
            Some(urn) if path.attribute.is_empty() => self.0.entry(urn.as_str()).or_insert(Value::Null),
            Some(urn) => {
                let extension = entries::object(self.0.entry(urn.as_str()).or_insert(Value::Null));
                extension.entry(path.attribute.as_str()).or_insert(Value::Null)
            }
            None => self.0.entry(path.attribute.as_str()).or_insert(Value::Null),
        }
    }

    /// Removes the whole attribute, and the extension that it leaves empty.
    pub(super) fn discard(&mut self, path: &AttrPath) {
        match &path.schema {
            Some(urn) if !path.attribute.is_empty() => {
                if let Some(Value::Object(extension)) = self.0.get_mut(urn) {
                    extension.shift_remove(&path.attribute);
                    if extension.is_empty() {
                        self.0.shift_remove(urn);
                    }
                }
            }
            Some(urn) => self.0.shift_remove(urn).map_or((), drop),
            None => self.0.shift_remove(&path.attribute).map_or((), drop),
        }
    }
}

/// Names only: values are personal data.
impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resource ")?;
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// The client's own key if it is canonical already, to save an allocation.
fn canonical(sent: String, name: &str) -> String {
    if sent == name { sent } else { name.to_owned() }
}

/// The extension of this type that a key of a body names.
fn extension_of(kind: ResourceType, name: &str) -> Option<&'static Schema> {
    if !name.contains(':') || schema::extended(name) != Some(kind) {
        return None;
    }
    schema::extension(name)
}

fn parse_extension(
    schema: &'static Schema,
    value: Value,
    dropped: &mut Dropped,
) -> Result<Map<String, Value>, ScimError> {
    let object = match value {
        Value::Null => return Ok(Map::new()),
        Value::Object(object) => object,
        other => {
            let (urn, what) = (schema.id, normalise::what(&other));
            return Err(ScimError::invalid_value(format!("{urn} is {what}; send an object of its attributes")));
        }
    };
    let mut map = Map::with_capacity(object.len());
    for (name, value) in object {
        let Some(attribute) = schema.attribute(&name) else {
            dropped.note(&format!("{}:{name}", schema.id));
            continue;
        };
        if attribute.mutability == Mutability::ReadOnly {
            continue;
        }
        let place = Place::of(Some(schema.id), attribute.name);
        if let Some(value) = normalise::attribute(attribute, value, place, Form::Body, dropped)? {
            map.insert(canonical(name, attribute.name), value);
        }
    }
    Ok(map)
}

fn check_schemas(kind: ResourceType, value: &Value) -> Result<(), ScimError> {
    match value {
        Value::Array(urns) if urns.iter().all(Value::is_string) => {
            let names = |kind: ResourceType| {
                urns.iter().filter_map(Value::as_str).any(|urn| urn.eq_ignore_ascii_case(kind.schema()))
            };
            match ResourceType::ALL.into_iter().find(|other| *other != kind && names(*other)) {
                Some(other) if !names(kind) => Err(ScimError::invalid_syntax(format!(
                    "schemas says that this is a {}, and here it is a {} that is written; send it to /{}",
                    other.name(),
                    kind.name(),
                    other.endpoint()
                ))),
                _ => Ok(()),
            }
        }
        Value::Null => Ok(()),
        _ => Err(ScimError::invalid_value(format!("schemas must be a list of URNs, such as [\"{}\"]", kind.schema()))),
    }
}

fn push_paths(path: AttrPath, value: &Value, paths: &mut Vec<AttrPath>) {
    match value {
        Value::Object(parts) => paths.extend(parts.keys().map(|sub| path.clone().with_sub(sub))),
        Value::Array(list) => {
            let typed = path.definition().is_none_or(|attribute| attribute.sub("type").is_some());
            for entry in list {
                let Value::Object(parts) = entry else {
                    push_once(path.clone(), paths);
                    continue;
                };
                let label = AttrPath::core("type");
                let filter = match parts.get("type") {
                    Some(value) => Some(Filter::Compare { path: label, operator: Operator::Eq, value: value.clone() }),
                    None if typed => Some(Filter::Not(Box::new(Filter::Present(label)))),
                    None => None,
                };
                let of_entry = AttrPath { filter: filter.map(Box::new), ..path.clone() };
                for sub in parts.keys().filter(|sub| *sub != "type") {
                    push_once(of_entry.clone().with_sub(sub), paths);
                }
            }
        }
        _ => paths.push(path),
    }
}

fn push_once(path: AttrPath, paths: &mut Vec<AttrPath>) {
    if !paths.contains(&path) {
        paths.push(path);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::command::Projection;
    use crate::scim::schema::{ENTERPRISE, USER};

    fn parse(body: &Value) -> Result<Parsed, ScimError> {
        Resource::parse(ResourceType::User, body.to_string().as_bytes())
    }

    fn path(text: &str) -> AttrPath {
        AttrPath::parse(text).unwrap()
    }

    #[test]
    fn what_entra_and_okta_send_is_read() {
        let parsed = parse(&json!({
            "schemas": [USER, ENTERPRISE, "urn:example:unknown"], "ID": "mine", "meta": {"resourceType": "User"},
            "externalId": "0a21", "username": "ada@example.com", "ACTIVE": "True", "roles": [], "groups": [],
            "emails": {"primary": "true", "Type": "work", "value": "ada@example.com"},
            "phoneNumbers": [null, {"type": "mobile", "value": ""}],
            "name": {"Formatted": "Ada Lovelace", "middleName": null, "suffix": "x"},
            "title": null, "nickName": "", "department": "stray", "password": "s3cret",
            ENTERPRISE: {"manager": "m1", "Department": "Engines", "shoes": 4},
            "urn:example:custom": {"deep": [[[1]]]},
        }))
        .unwrap();
        assert_eq!(
            Value::Object(parsed.resource.into_map()),
            json!({
                "externalId": "0a21", "userName": "ada@example.com", "active": true, "password": "s3cret",
                "emails": [{"primary": true, "type": "work", "value": "ada@example.com"}],
                "name": {"formatted": "Ada Lovelace"},
                ENTERPRISE: {"manager": {"value": "m1"}, "department": "Engines"},
            })
        );
        let shoes = format!("{ENTERPRISE}:shoes");
        assert_eq!(parsed.dropped, ["name.suffix", "department", &shoes, "urn:example:custom"]);
    }

    #[test]
    fn json_in_a_role_stays_as_it_is() {
        let role = r#"{"id":"1","value":"Admin"}"#;
        let parsed = parse(&json!({"roles": [{"primary": "True", "value": role}]})).unwrap();
        assert_eq!(parsed.resource.text(&path("roles[primary eq \"True\"].value")), Some(role));
    }

    #[test]
    fn wrong_bodies_are_refused_by_name() {
        for (body, scim_type, says) in [
            (&br#"{"userName": 5}"#[..], "invalidValue", "userName is a number"),
            (br#"{"emails": "x"}"#, "invalidValue", "emails is text"),
            (br#"{"emails": [["x"]]}"#, "invalidValue", "emails (entry 1) is a list"),
            (br#"{"emails": [{"value": {}}]}"#, "invalidValue", "emails.value (entry 1) is an object"),
            (br#"{"active": "yes"}"#, "invalidValue", "active is text; send true or false"),
            (br#"{"name": "Ada"}"#, "invalidValue", "name is text"),
            (br#"{"title": "a\u0000b"}"#, "invalidValue", "title holds the character NUL"),
            (
                br#"{"emails": [{"value": "a", "primary": true}, {"value": "b", "primary": true}]}"#,
                "invalidValue",
                "emails has 2",
            ),
            (br#"{"schemas": "x"}"#, "invalidValue", "schemas must be"),
            (
                br#"{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": 4}}"#,
                "invalidValue",
                "2.0:User:department is a number",
            ),
            (br#"{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": "x"}"#, "invalidValue", "is text"),
            (b"[]", "invalidSyntax", "a list"),
            (b"", "invalidSyntax", "empty"),
            (b"{\"userName\":\n oops}", "invalidSyntax", "line 2 column 2"),
            (b"{\"userName\": \"\xff\"}", "invalidSyntax", "line 1"),
        ] {
            let error = Resource::parse(ResourceType::User, body).unwrap_err();
            assert_eq!(error.scim_type.map(super::super::error::ScimType::as_str), Some(scim_type));
            assert!(error.detail.contains(says), "{}", error.detail);
        }
    }

    #[test]
    fn the_bounds_hold() {
        let nested = format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(Resource::parse(ResourceType::User, nested.as_bytes()).unwrap_err().status, 400);
        assert!(parse(&json!({"title": "x".repeat(65_536)})).is_ok());
        assert!(parse(&json!({"title": "x".repeat(65_537)})).is_err());
        assert!(parse(&json!({"emails": vec![json!({"value": "x"}); 1001]})).is_err());
    }

    #[test]
    fn values_are_found_set_and_removed_by_path() {
        let mut person = Resource::default();
        person.set(&path("emails[type eq \"work\"].value"), json!("a@example.com"));
        person.set(&path("emails[type eq \"home\"].value"), json!("b@example.com"));
        person.set(&path("emails[type eq \"home\"].primary"), json!(true));
        person.set(&path("name.givenName"), json!("Ada"));
        person.set(&path("department"), json!("Engines"));
        person.set(&path("manager.value"), json!("m1"));
        assert_eq!(
            Value::Object(person.as_map().clone()),
            json!({
                "emails": [{"type": "work", "value": "a@example.com"}, {"type": "home", "value": "b@example.com", "primary": true}],
                "name": {"givenName": "Ada"},
                ENTERPRISE: {"department": "Engines", "manager": {"value": "m1"}},
            })
        );
        assert_eq!(person.text(&path("emails.value")), Some("b@example.com"));
        assert_eq!(person.text(&path("emails[type eq \"work\"]")), Some("a@example.com"));
        assert_eq!(person.text(&path("manager")), Some("m1"));
        assert_eq!(person.get(&path("emails[type eq \"fax\"].value")), None);
        assert!(person.remove(&path("emails[type eq \"home\"].value")));
        assert!(!person.remove(&path("emails[type eq \"home\"].value")));
        for gone in ["emails[type eq \"work\"]", "name.givenName", "manager.value", ENTERPRISE] {
            assert!(person.remove(&path(gone)), "{gone}");
        }
        assert_eq!(person, Resource::default());
    }

    #[test]
    fn every_value_has_a_path_that_leads_to_it() {
        let person = parse(&json!({
            "userName": "ada", "name": {"givenName": "Ada"},
            "emails": [{"type": "work", "value": "a", "primary": true}, {"value": "b"}],
            ENTERPRISE: {"department": "Engines", "manager": {"value": "m"}},
        }))
        .unwrap()
        .resource;
        let paths = person.paths();
        let printed: Vec<_> = paths.iter().map(ToString::to_string).collect();
        assert_eq!(
            printed,
            [
                "userName",
                "name.givenName",
                "emails[type eq \"work\"].value",
                "emails[type eq \"work\"].primary",
                "emails[not (type pr)].value",
                &format!("{ENTERPRISE}:department"),
                &format!("{ENTERPRISE}:manager.value"),
            ]
        );
        let mut rest = person.clone();
        for path in &paths {
            assert!(person.get(path).is_some(), "{path}");
            rest.remove(path);
        }
        assert_eq!(rest, Resource::default());
    }

    #[test]
    fn an_answer_holds_what_was_asked_for() {
        let person = parse(&json!({
            "externalId": "e", "userName": "ada", "password": "p", "title": "Countess",
            "name": {"givenName": "Ada", "familyName": "Lovelace"},
            "emails": [{"type": "work", "value": "a"}, {"type": "home", "value": "b"}],
            ENTERPRISE: {"department": "Engines", "division": "North"},
        }))
        .unwrap()
        .resource;
        let meta = Meta {
            id: "u1",
            location: "https://x/Users/u1",
            created: Some(Timestamp::from_seconds(0)),
            modified: None,
            version: Some("W/\"1\""),
        };
        let render = |attributes: &[&str], excluded: &[&str]| {
            let paths = |texts: &[&str]| texts.iter().map(|text| path(text)).collect();
            person.render(
                ResourceType::User,
                meta,
                &Projection { attributes: paths(attributes), excluded: paths(excluded) },
            )
        };
        let whole = render(&[], &[]);
        let keys: Vec<_> = whole.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["schemas", "id", "externalId", "userName", "name", "title", "emails", ENTERPRISE, "meta"]);
        assert_eq!(whole["schemas"], json!([USER, ENTERPRISE]));
        assert_eq!(
            whole["meta"],
            json!({"resourceType": "User", "created": "1970-01-01T00:00:00.000Z", "location": "https://x/Users/u1", "version": "W/\"1\""})
        );
        let department = format!("{ENTERPRISE}:department");
        for (attributes, excluded, rest) in [
            (&["userName"][..], &[][..], json!({"userName": "ada"})),
            (&["ID"], &[], json!({})),
            (&["password", "shoeSize"], &[], json!({})),
            (
                &["name.givenName", "meta.location"],
                &[],
                json!({"name": {"givenName": "Ada"}, "meta": {"location": "https://x/Users/u1"}}),
            ),
            (&["emails.value"], &[], json!({"emails": [{"value": "a"}, {"value": "b"}]})),
            (&["emails[type eq \"work\"]"], &[], json!({"emails": [{"type": "work", "value": "a"}]})),
            (&[ENTERPRISE], &[], json!({ENTERPRISE: {"department": "Engines", "division": "North"}})),
            (&[&department], &[], json!({ENTERPRISE: {"department": "Engines"}})),
            (
                &["emails", "name"],
                &["emails.type", "name.givenName"],
                json!({"emails": [{"value": "a"}, {"value": "b"}], "name": {"familyName": "Lovelace"}}),
            ),
            (
                &[],
                &["id", "schemas", "meta", "emails", "name", "externalId", "division"],
                json!({"userName": "ada", "title": "Countess", ENTERPRISE: {"department": "Engines"}}),
            ),
        ] {
            let mut expected = json!({"schemas": [USER, ENTERPRISE], "id": "u1"});
            expected.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            assert_eq!(render(attributes, excluded), expected, "{attributes:?} {excluded:?}");
        }
    }

    #[test]
    fn values_do_not_print() {
        let person = parse(&json!({"userName": "ada", "title": "x"})).unwrap().resource;
        assert_eq!(format!("{person:?}"), "Resource [\"userName\", \"title\"]");
    }
}
