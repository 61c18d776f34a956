//! Answering a filter over one resource.
//!
//! Text is compared as the schema's `caseExact` says, points in time as such, a complex attribute by its `value`. An attribute
//! without values equals null, and differs (`ne`) from everything else.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::{Filter, Operator};
use crate::scim::path::AttrPath;
use crate::scim::resource::{Meta, Resource};
use crate::scim::schema::{Attribute, Kind, ResourceType};
use crate::types::Timestamp;

/// What a filter is asked of: the attributes, and beside them what the server itself knows.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What it is.
    pub kind: ResourceType,
    /// The attributes.
    pub resource: &'a Resource,
    /// `id` and `meta`.
    pub meta: Meta<'a>,
}

/// Where the names of a filter are looked up.
#[derive(Clone, Copy)]
pub(in crate::scim) enum Scope<'a> {
    Resource(&'a Subject<'a>),
    /// An entry of a multi-valued attribute, and what the schema says of that attribute.
    Entry(&'a Value, Option<&'static Attribute>),
}

/// One value that a path leads to.
enum Found<'a> {
    Json(&'a Value),
    Text(&'a str),
    Time(Timestamp),
}

/// Whether the filter holds in the scope.
pub(in crate::scim) fn holds(filter: &Filter, scope: Scope<'_>) -> bool {
    match filter {
        Filter::And(left, right) => holds(left, scope) && holds(right, scope),
        Filter::Or(left, right) => holds(left, scope) || holds(right, scope),
        Filter::Not(inner) => !holds(inner, scope),
        Filter::Compare { path, operator, value } => compare(path, *operator, value, scope),
        Filter::Present(path) => visit(path, scope, false, &mut |found| present(&found)),
        Filter::ValuePath { path, filter } => {
            let definition = definition(path, scope);
            visit(path, scope, false, &mut |found| match found {
                Found::Json(Value::Array(entries)) => {
                    entries.iter().any(|entry| holds(filter, Scope::Entry(entry, definition)))
                }
                Found::Json(entry) => holds(filter, Scope::Entry(entry, definition)),
                Found::Text(_) | Found::Time(_) => false,
            })
        }
    }
}

fn definition(path: &AttrPath, scope: Scope<'_>) -> Option<&'static Attribute> {
    match scope {
        Scope::Resource(_) => path.definition().or_else(|| path.plural()),
        Scope::Entry(_, parent) => parent?.part(&path.attribute).map(|(_, part)| part),
    }
}

fn compare(path: &AttrPath, operator: Operator, wanted: &Value, scope: Scope<'_>) -> bool {
    let compared = match scope {
        Scope::Resource(_) => path.compared(),
        Scope::Entry(..) => definition(path, scope),
    };
    let mut any = false;
    let matched = visit(path, scope, true, &mut |found| {
        any |= present(&found);
        relates(&found, operator, wanted, compared)
    });
    // Nothing there: equal to null, different from anything else.
    matched || (!any && matches!((operator, wanted.is_null()), (Operator::Eq, true) | (Operator::Ne, false)))
}

/// Calls `test` with what `path` leads to until it says yes. With `values`, complex values stand for their `value`.
fn visit<'a>(path: &AttrPath, scope: Scope<'a>, values: bool, test: &mut dyn FnMut(Found<'a>) -> bool) -> bool {
    let subject = match scope {
        Scope::Entry(entry, _) => {
            let value = match entry {
                Value::Object(parts) => parts.get(&path.attribute),
                plain if path.attribute == "value" => Some(plain),
                _ => None,
            };
            return value.is_some_and(|value| test(Found::Json(value)));
        }
        Scope::Resource(subject) => subject,
    };
    if path.schema.is_none() {
        match (path.attribute.as_str(), path.sub.as_deref()) {
            ("id", _) => return test(Found::Text(subject.meta.id)),
            ("schemas", _) => return subject.resource.schemas(subject.kind).any(|urn| test(Found::Text(urn))),
            ("meta", sub) => return visit_meta(subject, sub, test),
            _ => {}
        }
    }
    let map = subject.resource.as_map();
    let held = match &path.schema {
        Some(urn) => map.get(urn).and_then(|extension| extension.get(&path.attribute)),
        None => map.get(&path.attribute).or_else(|| map.get(path.plural()?.name)),
    };
    let Some(held) = held else { return false };
    let definition = path.filter.as_ref().and_then(|_| definition(path, scope));
    let part = path.sub.as_deref().or(values.then_some("value"));
    let mut test_entry = |entry: &'a Value| {
        if let Some(filter) = &path.filter
            && !holds(filter, Scope::Entry(entry, definition))
        {
            return false;
        }
        match (entry, part) {
            (Value::Object(parts), Some(part)) => parts.get(part).is_some_and(|value| test(Found::Json(value))),
            (_, Some(part)) if part != "value" => false,
            (entry, _) => test(Found::Json(entry)),
        }
    };
    match held {
        Value::Array(_) if part.is_none() && path.filter.is_none() => test(Found::Json(held)),
        Value::Array(entries) => entries.iter().any(test_entry),
        single => test_entry(single),
    }
}

fn visit_meta<'a>(subject: &Subject<'a>, sub: Option<&str>, test: &mut dyn FnMut(Found<'a>) -> bool) -> bool {
    let meta = &subject.meta;
    match sub {
        None | Some("resourceType") => test(Found::Text(subject.kind.name())),
        Some("created") => meta.created.is_some_and(|at| test(Found::Time(at))),
        Some("lastModified") => meta.modified.is_some_and(|at| test(Found::Time(at))),
        Some("location") => test(Found::Text(meta.location)),
        Some("version") => meta.version.is_some_and(|version| test(Found::Text(version))),
        Some(_) => false,
    }
}

fn present(found: &Found<'_>) -> bool {
    match found {
        Found::Json(Value::Null) => false,
        Found::Json(Value::String(text)) => !text.is_empty(),
        Found::Json(Value::Array(entries)) => !entries.is_empty(),
        Found::Json(Value::Object(parts)) => !parts.is_empty(),
        Found::Text(text) => !text.is_empty(),
        Found::Json(_) | Found::Time(_) => true,
    }
}

fn relates(found: &Found<'_>, operator: Operator, wanted: &Value, attribute: Option<&'static Attribute>) -> bool {
    let is_time = attribute.is_some_and(|attribute| attribute.kind == Kind::DateTime);
    let exact = attribute.is_some_and(|attribute| attribute.case_exact);
    match (found, wanted) {
        (Found::Time(at), Value::String(wanted)) => match instant(wanted) {
            Some(wanted) => ordered(operator, at.millis().cmp(&wanted.as_millisecond())),
            None => text(&at.to_string(), operator, wanted, exact),
        },
        (Found::Json(Value::String(held)), Value::String(wanted)) if is_time => {
            match (instant(held), instant(wanted)) {
                (Some(held), Some(wanted)) => ordered(operator, held.cmp(&wanted)),
                _ => text(held, operator, wanted, exact),
            }
        }
        (Found::Text(held), Value::String(wanted)) => text(held, operator, wanted, exact),
        (Found::Json(Value::String(held)), Value::String(wanted)) => text(held, operator, wanted, exact),
        (Found::Json(Value::String(held)), Value::Bool(wanted)) => {
            text(held, operator, if *wanted { "true" } else { "false" }, false)
        }
        (Found::Json(Value::Bool(held)), Value::Bool(wanted)) => match operator {
            Operator::Eq => held == wanted,
            Operator::Ne => held != wanted,
            _ => false,
        },
        (Found::Json(Value::Number(held)), Value::Number(wanted)) => match compare_numbers(held, wanted) {
            Some(ordering) => ordered(operator, ordering),
            None => false,
        },
        // Of different types: not equal, and in no order.
        _ => operator == Operator::Ne && present(found),
    }
}

fn compare_numbers(a: &serde_json::Number, b: &serde_json::Number) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (a.as_i128(), b.as_i128()) {
        return Some(a.cmp(&b));
    }
    a.as_f64()?.partial_cmp(&b.as_f64()?)
}

fn ordered(operator: Operator, ordering: Ordering) -> bool {
    match operator {
        Operator::Eq => ordering.is_eq(),
        Operator::Ne => ordering.is_ne(),
        Operator::Gt => ordering.is_gt(),
        Operator::Ge => ordering.is_ge(),
        Operator::Lt => ordering.is_lt(),
        Operator::Le => ordering.is_le(),
        Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}

fn text(held: &str, operator: Operator, wanted: &str, exact: bool) -> bool {
    let equal = || held == wanted || (!exact && same_without_case(held, wanted));
    match operator {
        Operator::Eq => return equal(),
        Operator::Ne => return !equal(),
        _ => {}
    }
    let (held, wanted) = (folded(held, exact), folded(wanted, exact));
    match operator {
        Operator::Co => held.contains(&*wanted),
        Operator::Sw => held.starts_with(&*wanted),
        Operator::Ew => held.ends_with(&*wanted),
        _ => ordered(operator, held.cmp(&wanted)),
    }
}

fn folded(text: &str, exact: bool) -> Cow<'_, str> {
    if exact { text.into() } else { text.to_lowercase().into() }
}

/// Whether two texts are equal but for case. ASCII, the usual case, is settled without allocating.
pub(in crate::scim) fn same_without_case(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() { a.eq_ignore_ascii_case(b) } else { a.to_lowercase() == b.to_lowercase() }
}

/// A point in time from RFC 3339 text; one without a zone is taken as UTC.
pub(in crate::scim) fn instant(text: &str) -> Option<jiff::Timestamp> {
    if !text.contains(['T', 't']) {
        return None;
    }
    text.parse().ok().or_else(|| format!("{text}Z").parse().ok())
}
