//! The answer made from a resource (RFC 7644 §3.9): `schemas`, `id`, the attributes in the schema's order, `meta`.

use serde_json::{Map, Value};

use super::command::Projection;
use super::entries;
use super::path::AttrPath;
use super::resource::{Meta, Resource};
use super::schema::{self, Attribute, ResourceType, Returned};

impl Resource {
    /// The JSON that a client gets. `attributes` leaves what it names (and `schemas` and `id`, always), `excludedAttributes`
    /// takes away; both reach into sub-attributes. What the schema says is never returned (`password`) is not.
    #[must_use]
    pub fn render(&self, kind: ResourceType, meta: Meta<'_>, projection: &Projection) -> Value {
        let map = self.as_map();
        let mut answer = Map::with_capacity(map.len() + 3);
        answer.insert("schemas".into(), self.schemas(kind).map(Value::from).collect());
        answer.insert("id".into(), meta.id.into());
        let external_id = schema::common().iter().filter(|attribute| attribute.name == "externalId");
        for attribute in external_id.chain(kind.definition().attributes).chain(schema::additions(kind)) {
            if let Some(value) = map.get(attribute.name)
                && let Some(value) = shown(None, attribute, value, projection)
            {
                answer.insert(attribute.name.into(), value);
            }
        }
        let enterprise = (kind == ResourceType::User).then(schema::enterprise);
        for extension in enterprise.into_iter().chain(schema::extensions(kind)) {
            let Some(held) = map.get(extension.id) else { continue };
            let mut values = Map::new();
            for attribute in extension.attributes {
                if let Some(value) = held.get(attribute.name)
                    && let Some(value) = shown(Some(extension.id), attribute, value, projection)
                {
                    values.insert(attribute.name.into(), value);
                }
            }
            if !values.is_empty() {
                answer.insert(extension.id.into(), Value::Object(values));
            }
        }
        if let Some(attribute) = schema::core("meta")
            && let Some(value) = shown(None, attribute, &meta_object(kind, &meta), projection)
        {
            answer.insert("meta".into(), value);
        }
        Value::Object(answer)
    }
}

fn meta_object(kind: ResourceType, meta: &Meta<'_>) -> Value {
    let mut object = Map::with_capacity(5);
    object.insert("resourceType".into(), kind.name().into());
    if let Some(created) = meta.created {
        object.insert("created".into(), created.to_string().into());
    }
    if let Some(modified) = meta.modified {
        object.insert("lastModified".into(), modified.to_string().into());
    }
    object.insert("location".into(), meta.location.into());
    if let Some(version) = meta.version {
        object.insert("version".into(), version.into());
    }
    Value::Object(object)
}

/// What of an attribute the client is to see; `None` for nothing.
fn shown(schema: Option<&str>, attribute: &'static Attribute, value: &Value, projection: &Projection) -> Option<Value> {
    match attribute.returned {
        Returned::Never => return None,
        Returned::Always => return each(value, |entry| settled(Some(entry.clone()), entry, &[], attribute)),
        Returned::Default | Returned::Request => {}
    }
    let concerns = |path: &&AttrPath| match path.schema.as_deref() {
        Some(urn) if path.attribute.is_empty() => {
            if schema::is_core(urn) {
                schema.is_none()
            } else {
                schema == Some(urn)
            }
        }
        own => own == schema && path.attribute == attribute.name,
    };
    let wanted: Vec<_> = projection.attributes.iter().filter(concerns).collect();
    let named = wanted.iter().any(|path| !path.attribute.is_empty());
    if attribute.returned == Returned::Request && !named {
        return None;
    }
    let unwanted: Vec<_> = projection.excluded.iter().filter(concerns).collect();
    each(value, |entry| {
        let kept = if projection.attributes.is_empty() { Some(entry.clone()) } else { keep(entry, &wanted, attribute) };
        let kept =
            if unwanted.is_empty() { kept } else { kept.and_then(|kept| without(kept, entry, &unwanted, attribute)) };
        // What was asked for may be nothing but what is always told.
        let concerned = wanted.iter().any(|path| selects(path, entry, attribute)) && unwanted.is_empty();
        let kept = kept.or_else(|| concerned.then(|| Value::Object(Map::new())));
        settled(kept, entry, &wanted, attribute)
    })
}

/// `of_entry` of each entry of a list, or of the value that is none.
fn each(value: &Value, of_entry: impl Fn(&Value) -> Option<Value>) -> Option<Value> {
    match value {
        Value::Array(list) => {
            let list: Vec<_> = list.iter().filter_map(of_entry).collect();
            if list.is_empty() { None } else { Some(Value::Array(list)) }
        }
        single => of_entry(single),
    }
}

/// What is left of an entry when its parts' own `returned` has been heard: never, only by name, or always beside another.
fn settled(kept: Option<Value>, entry: &Value, wanted: &[&AttrPath], attribute: &'static Attribute) -> Option<Value> {
    let mut kept = kept?;
    if let (Value::Object(parts), Some(held)) = (&mut kept, entry.as_object()) {
        for sub in attribute.sub_attributes {
            match sub.returned {
                Returned::Default => {}
                Returned::Always => {
                    if let Some(value) = held.get(sub.name) {
                        parts.insert(sub.name.to_owned(), value.clone());
                    }
                }
                Returned::Request if wanted.iter().any(|path| path.sub.as_deref() == Some(sub.name)) => {}
                Returned::Never | Returned::Request => drop(parts.shift_remove(sub.name)),
            }
        }
    }
    match &kept {
        Value::Object(parts) if parts.is_empty() => None,
        _ => Some(kept),
    }
}

/// Whether the path selects this entry.
fn selects(path: &AttrPath, entry: &Value, attribute: &'static Attribute) -> bool {
    path.filter.as_ref().is_none_or(|filter| entries::matches(entry, filter, Some(attribute)))
}

/// What of an entry some path names.
fn keep(entry: &Value, paths: &[&AttrPath], attribute: &'static Attribute) -> Option<Value> {
    let mut subs = Vec::new();
    for path in paths.iter().filter(|path| selects(path, entry, attribute)) {
        match &path.sub {
            Some(sub) => subs.push(sub),
            None => return Some(entry.clone()),
        }
    }
    let parts: Map<_, _> = entry
        .as_object()?
        .iter()
        .filter(|(name, _)| subs.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if parts.is_empty() { None } else { Some(Value::Object(parts)) }
}

/// `kept` without what some path names; the paths' filters look at the whole entry.
fn without(mut kept: Value, entry: &Value, paths: &[&AttrPath], attribute: &'static Attribute) -> Option<Value> {
    for path in paths.iter().filter(|path| selects(path, entry, attribute)) {
        match (&path.sub, &mut kept) {
            (Some(sub), Value::Object(parts)) => {
                parts.shift_remove(sub);
            }
            (Some(_), _) => {}
            (None, _) => return None,
        }
    }
    match &kept {
        Value::Object(parts) if parts.is_empty() => None,
        _ => Some(kept),
    }
}
