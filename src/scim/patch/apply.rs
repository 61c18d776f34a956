//! Applying changes to a resource, in order, each wholly or not at all.
//!
//! More forgiving than RFC 7644 §3.5.2 where provisioning clients need it: a value path that selects nothing makes the
//! entry, removing what is not there succeeds, `""` and null clear, a `remove` with values removes those values, and what no
//! schema knows is left out by name.

use serde_json::{Map, Value};

use super::{Change, Op, Operation, Refused, is_empty};
use crate::scim::entries;
use crate::scim::error::ScimError;
use crate::scim::filter::{Filter, same_without_case};
use crate::scim::normalise::{self, Dropped, Form, MOST_ENTRIES, Place};
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;
use crate::scim::schema::{self, Attribute, Kind, Mutability, ResourceType};

/// What a PATCH makes of a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The resource with every change that could be applied.
    pub after: Resource,
    /// What could not be applied; one path-less operation may be here several times.
    pub refused: Vec<Refused>,
    /// Names of attributes that no schema knows.
    pub dropped: Vec<String>,
    /// Whether the operations set `active` false, and it is so in the end.
    pub disables: bool,
}

/// Applies the operations to `before`, a resource of this type. Of a group's, [`super::split`] has taken the members away.
#[must_use]
pub fn apply(kind: ResourceType, before: &Resource, operations: &[Operation]) -> Applied {
    let mut patch = Patch {
        kind,
        after: before.clone(),
        dropped: Dropped::default(),
        sets_active_false: false,
        touches_lists: false,
    };
    let mut refused = Vec::new();
    for operation in operations {
        match operation {
            Operation::Change(change) => {
                if let Err(error) = patch.carry_out(change) {
                    refused.push(Refused::new(change.number, error));
                }
            }
            Operation::Malformed(error) => refused.push(error.clone()),
        }
    }
    patch.finish(refused)
}

struct Patch {
    kind: ResourceType,
    after: Resource,
    dropped: Dropped,
    sets_active_false: bool,
    touches_lists: bool,
}

impl Patch {
    fn finish(self, refused: Vec<Refused>) -> Applied {
        let Self { mut after, dropped, sets_active_false, touches_lists, .. } = self;
        if touches_lists {
            // An entry may have been labelled before its value came; one that never got a value says nothing.
            let mut map = after.into_map();
            map.retain(|_, value| match value {
                Value::Array(list) => {
                    list.retain(|entry| !normalise::is_hollow(entry));
                    !list.is_empty()
                }
                _ => true,
            });
            after = Resource::from_map(map);
        }
        let disables = sets_active_false && after.active() == Some(false);
        Applied { after, refused, dropped: dropped.0, disables }
    }

    fn carry_out(&mut self, change: &Change) -> Result<(), ScimError> {
        let path = &change.path;
        if path.attribute.is_empty() {
            // Only a removal, or a clearing, of a whole extension comes here.
            if !path.schema.as_deref().is_some_and(schema::is_core) {
                self.after.remove(path);
            }
            return Ok(());
        }
        let (Some(attribute), Some(leaf)) = (path.definition_in(self.kind), path.leaf_in(self.kind)) else {
            self.dropped.note(&path.to_string());
            return Ok(());
        };
        if attribute.name == "schemas" {
            return Ok(());
        }
        if attribute.mutability == Mutability::ReadOnly || leaf.mutability == Mutability::ReadOnly {
            return if change.addressed {
                Err(ScimError::mutability(format!("{path} is readOnly; leave it out")))
            } else {
                Ok(())
            };
        }
        if let Some(filter) = &path.filter {
            if !attribute.multi_valued {
                return Err(ScimError::invalid_path(format!("{} is no list; leave out the [filter]", attribute.name)));
            }
            if !knows(attribute, filter) {
                self.dropped.note(&path.to_string());
                return Ok(());
            }
        }
        self.touches_lists |= attribute.multi_valued;
        let target = Target { path, attribute, leaf, place: place(path) };
        let frozen = if attribute.is_frozen() { self.after.held(path).cloned() } else { None };
        match change.op {
            Op::Remove => self.remove(target, &change.value)?,
            op => self.write(target, op, change.value.clone())?,
        }
        match frozen {
            Some(before) if thaws(attribute, path, &before, self.after.held(path)) => {
                *self.after.slot(path) = before;
                Err(ScimError::mutability(format!("{path} is immutable and already has a value; leave it as it is")))
            }
            _ => Ok(()),
        }
    }

    fn remove(&mut self, target: Target<'_>, value: &Value) -> Result<(), ScimError> {
        let Target { path, attribute, .. } = target;
        let selects_values = attribute.multi_valued && path.filter.is_none() && path.sub.is_none();
        match value {
            // An empty list selects nothing. Taking it for "all" has emptied many a group.
            Value::Array(_) | Value::Object(_) if selects_values => self.remove_values(target, value.clone()),
            Value::String(text) if selects_values && !text.is_empty() => self.remove_values(target, value.clone()),
            _ => self.clear(target),
        }
    }

    /// Removes those entries that the value names: by their `value`, or lacking one by all that is given.
    fn remove_values(&mut self, target: Target<'_>, value: Value) -> Result<(), ScimError> {
        let items = match value {
            Value::Array(items) => items,
            single => vec![single],
        };
        let mut wanted = Vec::with_capacity(items.len());
        for item in items {
            let Target { attribute, place, .. } = target;
            if attribute.kind != Kind::Complex {
                wanted.extend(normalise::plain_entry(attribute, item, place)?);
            } else if let Some(parts) = normalise::complex(attribute, item, place, &mut self.dropped)? {
                wanted.push(parts);
            }
        }
        if let Some(Value::Array(list)) = self.after.held_mut(target.path) {
            list.retain(|entry| !wanted.iter().any(|wanted| is_named(target.attribute, entry, wanted)));
            if list.is_empty() {
                self.after.discard(target.path);
            }
        }
        Ok(())
    }

    /// Takes away what the path leads to.
    fn clear(&mut self, target: Target<'_>) -> Result<(), ScimError> {
        let Target { path, attribute, .. } = target;
        if attribute.required {
            return Err(ScimError::invalid_value(format!(
                "{} is required and cannot be removed; replace it with a value",
                attribute.name
            )));
        }
        if path.sub.as_deref() == Some("value") && !attribute.multi_valued {
            // What is left of a manager without the id would describe nobody.
            self.after.discard(path);
        } else {
            self.after.remove(path);
        }
        Ok(())
    }

    fn write(&mut self, target: Target<'_>, op: Op, value: Value) -> Result<(), ScimError> {
        let Target { path, attribute, leaf, place } = target;
        match (&path.filter, &path.sub) {
            (None, None) if attribute.multi_valued => self.write_list(target, op, value),
            (None, None) if attribute.kind == Kind::Complex => self.write_object(target, value),
            (Some(filter), None) if attribute.kind != Kind::Complex => self.write_plain_entry(target, filter, value),
            (Some(_), None) => self.write_entry(target, op, value),
            (filter, sub) => match normalise::scalar(leaf, value, place)? {
                None => self.clear(target),
                Some(value) => {
                    if attribute.multi_valued {
                        let selected_by = filter.as_deref();
                        return self.write_entries(target, |entry| {
                            entries::assign(entry, sub.as_deref(), value.clone(), selected_by);
                        });
                    }
                    if attribute.name == "active" {
                        self.sets_active_false |= value == Value::Bool(false);
                    }
                    if sub.as_deref() == Some("value") && self.after.get(path) != Some(&value) {
                        // The rest of a manager describes the one before.
                        self.after.discard(path);
                    }
                    self.after.set(path, value);
                    Ok(())
                }
            },
        }
    }

    /// A whole list: replaced, or added to without doubling what is there.
    fn write_list(&mut self, target: Target<'_>, op: Op, value: Value) -> Result<(), ScimError> {
        let Target { path, attribute, place, .. } = target;
        let given = normalise::attribute(attribute, value, place, Form::Patch, &mut self.dropped)?;
        let given = match (given, op) {
            (Some(Value::Array(given)), _) => given,
            (_, Op::Replace) => return self.clear(target),
            _ => return Ok(()),
        };
        if op == Op::Replace {
            *self.after.slot(path) = Value::Array(given);
            return Ok(());
        }
        let list = entries::list(self.after.slot(path));
        let before = (list.len() + given.len() > MOST_ENTRIES).then(|| list.clone());
        for new in given {
            let index = if let Some(index) = list.iter().position(|held| is_same(held, &new)) {
                if let Value::Object(parts) = new {
                    entries::object(&mut list[index]).extend(parts);
                }
                index
            } else {
                list.push(new);
                list.len() - 1
            };
            settle_primary(list, &[index]);
        }
        match before {
            Some(before) if list.len() > MOST_ENTRIES => {
                *list = before;
                Err(too_many_entries(place))
            }
            _ => Ok(()),
        }
    }

    /// A complex attribute that is no list: the parts given are set or cleared, the others stay (RFC 7644 §3.5.2.3); but a
    /// new manager takes the place of the old one.
    fn write_object(&mut self, target: Target<'_>, value: Value) -> Result<(), ScimError> {
        let Target { path, attribute, place, .. } = target;
        let value = match value {
            Value::Array(mut items) if items.len() <= 1 => items.pop().unwrap_or(Value::Null),
            value => value,
        };
        let Value::Object(object) = value else {
            return match normalise::complex(attribute, value, place, &mut self.dropped)? {
                Some(value) => {
                    *self.after.slot(path) = value;
                    Ok(())
                }
                None => self.clear(target),
            };
        };
        let (mut set, mut cleared) = (Map::new(), Vec::new());
        normalise::each_part(attribute, object, place, &mut self.dropped, |name, value| match value {
            Some(value) => drop(set.insert(name, value)),
            None => cleared.push(name),
        })?;
        if cleared.iter().any(|name| name == "value") {
            return self.clear(target);
        }
        if set.contains_key("value") {
            *self.after.slot(path) = Value::Object(set);
            return Ok(());
        }
        if !set.is_empty() {
            entries::object(self.after.slot(path)).extend(set);
        }
        for name in cleared {
            self.after.remove(&path.clone().with_sub(&name));
        }
        Ok(())
    }

    /// The plain values that a filter selects give way to one, which is added if there are none.
    fn write_plain_entry(&mut self, target: Target<'_>, filter: &Filter, value: Value) -> Result<(), ScimError> {
        let Target { path, attribute, place, .. } = target;
        let Some(new) = normalise::plain_entry(attribute, value, place)? else { return self.clear(target) };
        let list = entries::list(self.after.slot(path));
        let at = list.iter().position(|entry| entries::matches(entry, filter, Some(attribute))).unwrap_or(list.len());
        list.retain(|entry| *entry != new && !entries::matches(entry, filter, Some(attribute)));
        if list.len() >= MOST_ENTRIES {
            return Err(too_many_entries(place));
        }
        list.insert(at.min(list.len()), new);
        Ok(())
    }

    /// The entries that a filter selects: replaced, or merged into.
    fn write_entry(&mut self, target: Target<'_>, op: Op, value: Value) -> Result<(), ScimError> {
        let Target { path, attribute, place, .. } = target;
        if is_empty(&value) {
            return if op == Op::Replace { self.clear(target) } else { Ok(()) };
        }
        let Some(Value::Object(given)) = normalise::complex(attribute, value, place, &mut self.dropped)? else {
            return Ok(());
        };
        let selected_by = path.filter.as_deref();
        self.write_entries(target, |entry| {
            if op == Op::Add {
                entries::object(entry).extend(given.clone());
            } else {
                entries::assign(entry, None, Value::Object(given.clone()), selected_by);
            }
        })
    }

    /// Lets `write` write into the entries that the path selects, or into one made so that it is selected.
    fn write_entries(&mut self, target: Target<'_>, write: impl Fn(&mut Value)) -> Result<(), ScimError> {
        let Target { path, attribute, place, .. } = target;
        let filter = path.filter.as_deref();
        let list = match self.after.held(path) {
            Some(Value::Array(list)) => list.as_slice(),
            _ => &[],
        };
        let mut chosen = match filter {
            Some(filter) => entries::matching(list, filter, Some(attribute)),
            None => entries::preferred_index(list).into_iter().collect(),
        };
        let mut made = None;
        if chosen.is_empty() {
            // As if it had been sent: a filter may name what no entry can hold, such as an empty text.
            let entry = Value::Object(filter.map(entries::template).unwrap_or_default());
            let whole = Place::of(path.schema.as_deref(), &path.attribute);
            let entry = normalise::complex(attribute, entry, whole, &mut self.dropped)?;
            let entry = entry.unwrap_or_else(|| Value::Object(Map::new()));
            if filter.is_some_and(|filter| !entries::matches(&entry, filter, Some(attribute))) {
                return Err(ScimError::no_target(format!(
                    "{path} selects no entry, and none can be made from its filter; select by type eq \"…\" instead"
                )));
            }
            if list.len() >= MOST_ENTRIES {
                return Err(ScimError::invalid_value(format!(
                    "{place} would hold too many entries; remove some first"
                )));
            }
            chosen.push(list.len());
            made = Some(entry);
        }
        let list = entries::list(self.after.slot(path));
        list.extend(made);
        for &index in &chosen {
            write(&mut list[index]);
        }
        settle_primary(list, &chosen);
        Ok(())
    }
}

/// What a change is about.
#[derive(Clone, Copy)]
struct Target<'a> {
    path: &'a AttrPath,
    attribute: &'static Attribute,
    leaf: &'static Attribute,
    place: Place<'a>,
}

fn too_many_entries(place: Place<'_>) -> ScimError {
    ScimError::invalid_value(format!("{place} would hold more than {MOST_ENTRIES} entries; remove some first"))
}

fn place(path: &AttrPath) -> Place<'_> {
    let whole = Place::of(path.schema.as_deref(), &path.attribute);
    match &path.sub {
        Some(sub) => whole.part(sub),
        None => whole,
    }
}

/// Whether something immutable that had a value is no longer what it was. In a list, parts of entries are compared where a path
/// leads to them; whole entries come and go.
fn thaws(attribute: &Attribute, path: &AttrPath, before: &Value, after: Option<&Value>) -> bool {
    if attribute.mutability == Mutability::Immutable {
        return after != Some(before);
    }
    let frozen = attribute.sub_attributes.iter().filter(|sub| sub.mutability == Mutability::Immutable);
    let parts: Vec<_> = frozen.map(|sub| sub.name).collect();
    let differ = |before: &Value, after: Option<&Value>| {
        let after = after.unwrap_or(&Value::Null);
        parts.iter().any(|part| before.get(part).is_some_and(|held| after.get(part) != Some(held)))
    };
    match (before, after) {
        (Value::Array(before), Some(Value::Array(after))) if path.sub.is_some() => {
            before.len() == after.len() && before.iter().zip(after).any(|(before, after)| differ(before, Some(after)))
        }
        (Value::Array(_), _) => false,
        (before, after) => differ(before, after),
    }
}

/// Whether every name in the filter is a part of the attribute.
fn knows(attribute: &'static Attribute, filter: &Filter) -> bool {
    match filter {
        Filter::And(left, right) | Filter::Or(left, right) => knows(attribute, left) && knows(attribute, right),
        Filter::Not(inner) => knows(attribute, inner),
        Filter::Compare { path, .. } | Filter::Present(path) => attribute.part(&path.attribute).is_some(),
        Filter::ValuePath { .. } => false,
    }
}

/// When an entry just written is primary, the others no longer are (RFC 7644 §3.5.2).
fn settle_primary(list: &mut [Value], written: &[usize]) {
    let Some(primary) = written.iter().copied().find(|&index| entries::is_primary(&list[index])) else { return };
    for (index, entry) in list.iter_mut().enumerate() {
        if index != primary && entries::is_primary(entry) {
            entries::assign(entry, Some("primary"), Value::Bool(false), None);
        }
    }
}

/// Whether a new entry says what one says already: the same value under the same label. Entries without a value must be equal.
fn is_same(held: &Value, new: &Value) -> bool {
    match (held.get("value"), new.get("value")) {
        (Some(a), Some(b)) => a == b && same_label(held.get("type"), new.get("type")),
        _ => held == new,
    }
}

/// Whether an entry is among those that a removal names.
fn is_named(attribute: &Attribute, entry: &Value, wanted: &Value) -> bool {
    let Value::Object(wanted) = wanted else {
        return entry == wanted || (!attribute.case_exact && is_same_text(entry, wanted));
    };
    let same = |name: &str, wanted: &Value| {
        let exact = attribute.sub(name).is_some_and(|sub| sub.case_exact);
        entry.get(name).is_some_and(|held| held == wanted || (!exact && is_same_text(held, wanted)))
    };
    match wanted.get("value") {
        Some(value) => same("value", value) && same_label(entry.get("type"), wanted.get("type")),
        None => !wanted.is_empty() && wanted.iter().all(|(name, value)| same(name, value)),
    }
}

/// A missing label does not tell entries apart.
fn same_label(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => is_same_text(a, b),
        _ => true,
    }
}

fn is_same_text(a: &Value, b: &Value) -> bool {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => same_without_case(a, b),
        _ => false,
    }
}
