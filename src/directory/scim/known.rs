//! What a SCIM server says of itself: its `/ServiceProviderConfig` (RFC 7643 §5) and its `/Schemas` (§7). Pure.

use serde_json::{Map, Value};

use super::config::Config;
use crate::scim::ResourceType;
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;

/// What is known of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whether it takes PATCH.
    pub patch: bool,
    /// Whether it answers filters.
    pub filter: bool,
    /// Whether it compares versions.
    pub etag: bool,
    /// The attributes of each schema by URN, in lower case: `name` and `name.givenname`. None: it does not tell.
    schemas: Option<Vec<(String, Vec<String>)>>,
}

impl Default for Known {
    /// What is believed of a server that says nothing: the server will refuse what it cannot do.
    fn default() -> Self {
        Self { patch: true, filter: true, etag: false, schemas: None }
    }
}

impl Known {
    /// From the two documents, as far as they could be had.
    pub fn new(provider: Option<&Value>, schemas: Option<&Value>) -> Self {
        let supported = |feature: &str| provider?.get(feature)?.get("supported")?.as_bool();
        let default = Self::default();
        let schemas = schemas.and_then(|answer| answer.get("Resources")?.as_array()).map(|list| {
            let schema = |it: &Value| Some((it.get("id")?.as_str()?.to_lowercase(), names(it.get("attributes"))));
            list.iter().filter_map(schema).collect::<Vec<_>>()
        });
        Self {
            patch: supported("patch").unwrap_or(default.patch),
            filter: supported("filter").unwrap_or(default.filter),
            etag: supported("etag").unwrap_or(default.etag),
            schemas: schemas.filter(|list| !list.is_empty()),
        }
    }

    /// Whether the server keeps this attribute. What it says nothing about it is taken to keep.
    pub fn holds(&self, config: &Config, kind: ResourceType, path: &AttrPath) -> bool {
        let (urn, attribute) = (path.schema.as_deref(), path.attribute.as_str());
        self.keeps(config, kind, urn, attribute, path.sub.as_deref())
    }

    fn keeps(&self, config: &Config, kind: ResourceType, urn: Option<&str>, name: &str, sub: Option<&str>) -> bool {
        if kind == ResourceType::User && !config.attributes.is_empty() {
            return config.attributes.iter().any(|path| {
                let same =
                    |held: &str, asked: &str| held.is_empty() || asked.is_empty() || held.eq_ignore_ascii_case(asked);
                path.schema.as_deref().is_none_or(|held| urn.is_some_and(|urn| urn.eq_ignore_ascii_case(held)))
                    && path.schema.is_some() == urn.is_some()
                    && same(&path.attribute, name)
                    && same(path.sub.as_deref().unwrap_or_default(), sub.unwrap_or_default())
            });
        }
        // externalId is common to all and need not stand in a schema (RFC 7643 §3.1).
        let Some(schemas) = self.schemas.as_ref().filter(|_| !name.eq_ignore_ascii_case("externalId")) else {
            return true;
        };
        let urn = urn.unwrap_or(kind.schema()).to_lowercase();
        let Some((_, names)) = schemas.iter().find(|(id, _)| *id == urn) else {
            // A server without the core schema's document has it nevertheless; an extension that is not listed it has not.
            return urn == kind.schema().to_lowercase();
        };
        if name.is_empty() {
            return true;
        }
        let attribute = name.to_lowercase();
        let whole = names.contains(&attribute);
        let parts = format!("{attribute}.");
        match sub {
            Some(sub) if names.iter().any(|known| known.starts_with(&parts)) => {
                names.contains(&format!("{parts}{}", sub.to_lowercase()))
            }
            _ => whole,
        }
    }

    /// What the server keeps of a resource.
    pub fn kept(&self, config: &Config, kind: ResourceType, resource: &Resource) -> Map<String, Value> {
        let mut kept = Map::with_capacity(resource.as_map().len());
        for (name, value) in resource.as_map() {
            let value = match value {
                Value::Object(attributes) if name.contains(':') => {
                    let inner = attributes
                        .iter()
                        .filter(|(attribute, _)| self.keeps(config, kind, Some(name), attribute, None));
                    Value::Object(inner.map(|(name, value)| (name.clone(), value.clone())).collect())
                }
                _ if !self.keeps(config, kind, None, name, None) => continue,
                Value::Object(parts) => Value::Object(self.parts(config, kind, name, parts)),
                Value::Array(list) => list
                    .iter()
                    .map(|entry| match entry {
                        Value::Object(parts) => Value::Object(self.parts(config, kind, name, parts)),
                        other => other.clone(),
                    })
                    .filter(|entry| entry.as_object().is_none_or(|parts| !parts.is_empty()))
                    .collect(),
                other => other.clone(),
            };
            let hollow = match &value {
                Value::Object(parts) => parts.is_empty(),
                Value::Array(list) => list.is_empty(),
                _ => false,
            };
            if !hollow {
                kept.insert(name.clone(), value);
            }
        }
        kept
    }

    fn parts(&self, config: &Config, kind: ResourceType, name: &str, parts: &Map<String, Value>) -> Map<String, Value> {
        let kept = parts.iter().filter(|(sub, _)| self.keeps(config, kind, None, name, Some(sub)));
        kept.map(|(sub, value)| (sub.clone(), value.clone())).collect()
    }
}

/// `name` and `name.sub` of a list of attributes, in lower case.
fn names(attributes: Option<&Value>) -> Vec<String> {
    let mut all = Vec::new();
    for attribute in attributes.and_then(Value::as_array).into_iter().flatten() {
        let Some(name) = attribute.get("name").and_then(Value::as_str).map(str::to_lowercase) else { continue };
        let subs = attribute.get("subAttributes").and_then(Value::as_array).into_iter().flatten();
        let subs = subs.filter_map(|sub| sub.get("name")?.as_str());
        all.extend(subs.map(|sub| format!("{name}.{}", sub.to_lowercase())));
        all.push(name);
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::config::Draft;
    use super::*;

    #[test]
    fn what_the_server_does_not_keep_is_not_sent() {
        let schemas = json!({"Resources": [{"id": "urn:ietf:params:scim:schemas:core:2.0:User", "attributes": [
            {"name": "userName"}, {"name": "name", "subAttributes": [{"name": "givenName"}]},
            {"name": "emails", "subAttributes": [{"name": "value"}]}, {"name": "active"},
        ]}]});
        let known = Known::new(Some(&json!({"patch": {"supported": false}})), Some(&schemas));
        assert!(!known.patch && known.filter);
        let config = Config::new(Draft { url: "http://127.0.0.1:9".into(), ..Draft::default() }).unwrap();
        let sent = json!({"userName": "ada", "externalId": "x", "title": "Dr", "active": true,
            "name": {"givenName": "Ada", "familyName": "L"}, "emails": [{"value": "a@x", "type": "work"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R"}});
        let Value::Object(sent) = sent else { panic!("an object") };
        let kept = known.kept(&config, ResourceType::User, &Resource::from_map(sent.clone()));
        let expected = json!({"userName": "ada", "externalId": "x", "active": true, "name": {"givenName": "Ada"},
            "emails": [{"value": "a@x"}]});
        assert_eq!(Value::Object(kept), expected);
        let all = Known::default().kept(&config, ResourceType::User, &Resource::from_map(sent.clone()));
        assert_eq!(all, sent, "a server that tells nothing is sent everything");
        let attributes = ["userName", "active", "name.familyName"].map(str::to_owned).to_vec();
        let config = Config::new(Draft { url: "http://127.0.0.1:9".into(), attributes, ..Draft::default() }).unwrap();
        let kept = known.kept(&config, ResourceType::User, &Resource::from_map(sent));
        assert_eq!(Value::Object(kept), json!({"userName": "ada", "active": true, "name": {"familyName": "L"}}));
    }
}
