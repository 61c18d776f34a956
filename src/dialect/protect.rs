//! People whom only the strongest grant may change (question 13 of `reference/dialects.md`: an Account Administrator's connection
//! must not touch other administrators). Who is one is told by an attribute of theirs, as the directory holds it.

use serde_json::Value;

use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;

/// Which people are protected.
#[derive(Clone, Debug, PartialEq)]
pub struct Protected {
    /// The attribute that tells, such as `roles` or `userType`; of entries and complex values their `value`.
    pub attribute: AttrPath,
    /// Its values that make somebody protected, compared without case.
    pub values: Vec<String>,
}

impl Protected {
    /// Whether this person is one of them.
    #[must_use]
    pub fn covers(&self, person: &Resource) -> bool {
        let whole = AttrPath { filter: None, sub: None, ..self.attribute.clone() };
        let told = person.get(&whole);
        let entries = match told {
            Some(Value::Array(entries)) => entries.as_slice(),
            Some(single) => std::slice::from_ref(single),
            None => &[],
        };
        let sub = self.attribute.sub.as_deref().unwrap_or("value");
        entries
            .iter()
            .filter_map(|entry| entry.as_str().or_else(|| entry.get(sub)?.as_str()))
            .any(|told| self.values.iter().any(|value| value.eq_ignore_ascii_case(told.trim())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::path;
    use super::*;

    #[test]
    fn administrators_are_known_by_an_attribute() {
        let person = |value: Value| {
            let Value::Object(map) = value else { panic!("an object") };
            Resource::from_map(map)
        };
        let rows = [
            ("roles", json!({"roles": [{"value": "AU"}, {"value": "su", "primary": true}]}), true),
            ("roles", json!({"roles": [{"value": "AU"}]}), false),
            ("roles.display", json!({"roles": [{"value": "1", "display": "SU"}]}), true),
            ("userType", json!({"userType": " AA "}), true),
            ("userType", json!({}), false),
            ("urn:x:acme:User:role", json!({"urn:x:acme:User": {"role": "AA"}}), true),
        ];
        for (attribute, resource, covered) in rows {
            let protected = Protected { attribute: path(attribute), values: vec!["AA".into(), "SU".into()] };
            assert_eq!(protected.covers(&person(resource.clone())), covered, "{attribute} {resource}");
        }
    }
}
