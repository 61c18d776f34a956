//! What the schemas' characteristics ask of a whole resource (RFC 7643 §2.2, §7): required, immutable, unique.
//!
//! A PATCH sees to the characteristics of what it touches; a create and a replace send a whole resource, which is looked at here.

use serde_json::Value;

use super::error::ScimError;
use super::path::AttrPath;
use super::resource::Resource;
use super::resource_type::ResourceType;
use super::schema::{self, Attribute, Kind, Mutability, Schema, Selection, Uniqueness};

impl Resource {
    /// Keeps what is immutable when this resource takes the place of `before` (RFC 7644 §3.5.1): what it does not name stays,
    /// what it names must be as it was.
    ///
    /// # Errors
    /// 400 `mutability` naming the attribute that would change.
    pub fn keep_immutable(&mut self, kind: ResourceType, before: &Self) -> Result<(), ScimError> {
        for (path, attribute) in declared(kind).filter(|(_, attribute)| attribute.is_frozen()) {
            let Some(held) = before.held(&path) else { continue };
            if attribute.mutability == Mutability::Immutable {
                settle(self, &path, held)?;
            } else if !attribute.multi_valued {
                let parts = attribute.sub_attributes.iter().filter(|sub| sub.mutability == Mutability::Immutable);
                for part in parts {
                    if let Some(value) = held.get(part.name) {
                        settle(self, &path.clone().with_sub(part.name), value)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether everything is there that must be: the required attributes of the type's own schema and of what the tenant adds to
    /// it, those of an extension where the resource uses it, and the required parts of what is there.
    ///
    /// # Errors
    /// 400 `invalidValue` naming the first that is missing.
    pub fn check_required(&self, kind: ResourceType, listed: &Selection) -> Result<(), ScimError> {
        let own = kind.definition().attributes.iter().map(|attribute| (AttrPath::core(attribute.name), attribute));
        for (path, attribute) in own.chain(declared(kind).filter(|(path, _)| listed.has(kind, path))) {
            let used = path.schema.as_ref().is_none_or(|urn| self.as_map().contains_key(urn));
            let held = self.held(&path);
            if attribute.required && used && held.is_none() {
                return Err(ScimError::invalid_value(format!("{path} is required; send a value for it")));
            }
            let Some(held) = held else { continue };
            for part in attribute.sub_attributes.iter().filter(|sub| sub.required) {
                let lacks = |entry: &Value| entry.get(part.name).is_none();
                if held.as_array().map_or_else(|| lacks(held), |entries| entries.iter().any(lacks)) {
                    return Err(ScimError::invalid_value(format!(
                        "{path}.{} is required; send a value for it",
                        part.name
                    )));
                }
            }
        }
        Ok(())
    }

    /// The values of declared attributes that no other resource of this type may have, each with its path. The standard's own,
    /// `userName` and `displayName`, are the directory's to keep unique.
    #[must_use]
    pub fn unique_values(&self, kind: ResourceType) -> Vec<(AttrPath, String)> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let mut values = Vec::new();
        for (path, attribute) in declared(kind) {
            let Some(held) = self.held(&path) else { continue };
            let entries = held.as_array().map_or(std::slice::from_ref(held), Vec::as_slice);
            if attribute.kind != Kind::Complex && attribute.uniqueness != Uniqueness::None {
                values.extend(entries.iter().filter_map(text).map(|value| (path.clone(), value)));
            }
            for part in attribute.sub_attributes.iter().filter(|sub| sub.uniqueness != Uniqueness::None) {
                let path = path.clone().with_sub(part.name);
                let parts = entries.iter().filter_map(|entry| text(entry.get(part.name)?));
                values.extend(parts.map(|value| (path.clone(), value)));
            }
        }
        values
    }
}

/// Puts back what `held` says at `path` if the resource says nothing.
fn settle(resource: &mut Resource, path: &AttrPath, held: &Value) -> Result<(), ScimError> {
    match resource.get(path) {
        Some(value) if value == held => Ok(()),
        Some(_) => Err(ScimError::mutability(format!("{path} is immutable and already has a value; send it as it is"))),
        None => {
            resource.set(path, held.clone());
            Ok(())
        }
    }
}

/// Every declared attribute of this type with its path. The standard's own have nothing immutable outside of `members`.
fn declared(kind: ResourceType) -> impl Iterator<Item = (AttrPath, &'static Attribute)> {
    let of = |schema: &'static Schema| {
        let path =
            |attribute: &Attribute| AttrPath { schema: Some(schema.id.to_owned()), ..AttrPath::core(attribute.name) };
        schema.attributes.iter().map(move |attribute| (path(attribute), attribute))
    };
    let added = schema::additions(kind).iter().map(|attribute| (AttrPath::core(attribute.name), attribute));
    added.chain(schema::extensions(kind).into_iter().flat_map(of))
}
