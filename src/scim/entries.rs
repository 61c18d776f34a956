//! Entries of multi-valued attributes: finding them by filter, making them, writing into them.
//!
//! Shared by [`super::resource::Resource`] and PATCH, so that a value path means the same to both.

use serde_json::{Map, Value};

use super::filter::{self, Filter, Operator, Scope};
use super::schema::Attribute;

/// Whether an entry of this attribute matches.
pub(super) fn matches(entry: &Value, filter: &Filter, attribute: Option<&'static Attribute>) -> bool {
    filter::holds(filter, Scope::Entry(entry, attribute))
}

/// Where the entries stand that match.
pub(super) fn matching(list: &[Value], filter: &Filter, attribute: Option<&'static Attribute>) -> Vec<usize> {
    list.iter().enumerate().filter(|(_, entry)| matches(entry, filter, attribute)).map(|(index, _)| index).collect()
}

/// The primary entry, else the first.
pub(super) fn preferred(list: &[Value]) -> Option<&Value> {
    preferred_index(list).map(|index| &list[index])
}

/// Where the primary entry stands, else the first.
pub(super) fn preferred_index(list: &[Value]) -> Option<usize> {
    list.iter().position(is_primary).or(if list.is_empty() { None } else { Some(0) })
}

/// Whether the entry is the preferred one.
pub(super) fn is_primary(entry: &Value) -> bool {
    entry.get("primary") == Some(&Value::Bool(true))
}

/// The list in this slot; a lone value becomes its first entry.
pub(super) fn list(slot: &mut Value) -> &mut Vec<Value> {
    if !slot.is_array() {
        *slot = match slot.take() {
            Value::Null => Value::Array(Vec::new()),
            lone => Value::Array(vec![lone]),
        };
    }
    match slot {
        Value::Array(list) => list,
        _ => unreachable!("made a list just above"),
    }
}

/// The object in this slot; anything else gives way to an empty one.
pub(super) fn object(slot: &mut Value) -> &mut Map<String, Value> {
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(object) => object,
        _ => unreachable!("made an object just above"),
    }
}

/// What an entry must hold so that the filter selects it: the equalities that all must hold.
pub(super) fn template(filter: &Filter) -> Map<String, Value> {
    filter
        .conjuncts()
        .into_iter()
        .filter_map(|part| match part {
            Filter::Compare { path, operator: Operator::Eq, value } if !value.is_null() && *value != "" => {
                Some((path.attribute.clone(), value.clone()))
            }
            _ => None,
        })
        .collect()
}

/// Writes into an entry: a part of it, the whole of it (what selected it stays), or for bare values its `value`.
pub(super) fn assign(entry: &mut Value, sub: Option<&str>, value: Value, selected_by: Option<&Filter>) {
    match (sub, value) {
        (Some(sub), value) => object(entry).insert(sub.to_owned(), value).map_or((), drop),
        (None, Value::Object(mut parts)) => {
            for (name, value) in selected_by.map(template).unwrap_or_default() {
                parts.entry(name).or_insert(value);
            }
            *entry = Value::Object(parts);
        }
        (None, value) => object(entry).insert("value".to_owned(), value).map_or((), drop),
    }
}
