//! Sorting (RFC 7644 §3.4.2.3): which of two resources comes first.
//!
//! Text is compared as the schema's `caseExact` says, a point in time as such, a multi-valued attribute by its primary entry,
//! else its first. Who has no value comes last, descending first.

use std::cmp::Ordering;

use serde_json::Value;

use super::error::{ScimError, excerpt};
use super::filter::{Subject, instant};
use super::path::AttrPath;
use super::schema::{Kind, Returned};

/// By what, and which way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sort {
    /// The attribute; not complex without naming a part, except where `value` stands for the whole.
    pub by: AttrPath,
    /// The largest first.
    pub descending: bool,
}

impl Sort {
    /// From the parameters `sortBy` and `sortOrder`; without `sortBy` there is nothing to sort by.
    ///
    /// # Errors
    /// 400 `invalidValue` for an attribute that is none, that is never told or has no order, and for an order that is none.
    pub fn parse(by: Option<&str>, order: Option<&str>) -> Result<Option<Self>, ScimError> {
        let descending = match order.map(str::trim) {
            None | Some("") => false,
            Some(order) if order.eq_ignore_ascii_case("ascending") => false,
            Some(order) if order.eq_ignore_ascii_case("descending") => true,
            Some(order) => {
                return Err(ScimError::invalid_value(format!(
                    "sortOrder is \"{}\"; use ascending or descending",
                    excerpt(order)
                )));
            }
        };
        let Some(text) = by.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
        let refuse = |why: &str| Err(ScimError::invalid_value(format!("sortBy: \"{}\" {why}", excerpt(text))));
        let mut by = match AttrPath::parse(text) {
            Ok(by) => by,
            Err(error) => return refuse(&format!("is no attribute: {}", error.detail)),
        };
        let Some(attribute) = by.compared() else {
            let near = by.nearest().map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return refuse(&format!("is no attribute{near}"));
        };
        if let (None, Some(plural)) = (by.definition(), by.plural()) {
            plural.name.clone_into(&mut by.attribute);
        }
        if by.definition().is_some_and(|whole| whole.returned == Returned::Never)
            || attribute.returned == Returned::Never
        {
            return refuse("is never told and cannot be sorted by");
        }
        if attribute.kind == Kind::Complex {
            let parts: Vec<_> = attribute.sub_attributes.iter().map(|sub| sub.name).collect();
            return refuse(&format!("has parts; sort by one of them: {}", parts.join(", ")));
        }
        Ok(Some(Self { by, descending }))
    }
}

/// Which of two resources comes first. Equal ones are told apart by their ids, so that pages do not overlap.
#[must_use]
pub fn compare(a: &Subject<'_>, b: &Subject<'_>, sort: &Sort) -> Ordering {
    let (left, right) = (key(a, sort), key(b, sort));
    // "Ordered last if ascending and first if descending": missing is simply the largest.
    let ordering = match (&left, &right) {
        (Some(left), Some(right)) => left.compare(right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    let ordering = if sort.descending { ordering.reverse() } else { ordering };
    ordering.then_with(|| a.meta.id.cmp(b.meta.id))
}

/// What a resource is sorted by. To sort many, compute it once for each: [`compare`] does so for each pair.
#[derive(Debug, PartialEq)]
pub enum Key {
    /// True after false.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// A point in time, in milliseconds since the Unix epoch.
    Time(i64),
    /// Text, folded unless its case counts.
    Text(String),
}

impl Key {
    /// The order of two keys; of different kinds only if the resource holds what its schema forbids.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Boolean(_) => 0,
            Self::Number(_) => 1,
            Self::Time(_) => 2,
            Self::Text(_) => 3,
        }
    }
}

/// The key of a resource, `None` if it has no value there.
#[must_use]
pub fn key(subject: &Subject<'_>, sort: &Sort) -> Option<Key> {
    let path = &sort.by;
    let attribute = path.compared();
    let exact = attribute.is_some_and(|attribute| attribute.case_exact);
    let folded = |text: &str| Key::Text(if exact { text.to_owned() } else { text.to_lowercase() });
    let meta = &subject.meta;
    if path.schema.is_none() {
        match (path.attribute.as_str(), path.sub.as_deref()) {
            // An address ends with the id; where resources are compared the rest of it is not known.
            ("id", _) | ("meta", Some("location")) => return Some(folded(meta.id)),
            ("meta", Some("created")) => return meta.created.map(|at| Key::Time(at.millis())),
            ("meta", Some("lastModified")) => return meta.modified.map(|at| Key::Time(at.millis())),
            ("meta", Some("version")) => return meta.version.map(folded),
            ("meta", Some("resourceType")) => return Some(folded(subject.kind.name())),
            ("meta", _) => return None,
            ("schemas", _) => return Some(folded(subject.kind.schema())),
            _ => {}
        }
    }
    let value = match subject.resource.get(path)? {
        Value::Array(list) => super::entries::preferred(list)?,
        single => single,
    };
    match value {
        Value::Object(parts) => parts.get("value"),
        value => Some(value),
    }
    .and_then(|value| match value {
        Value::Bool(boolean) => Some(Key::Boolean(*boolean)),
        Value::Number(number) => number.as_f64().map(Key::Number),
        Value::String(text) if attribute.is_some_and(|attribute| attribute.kind == Kind::DateTime) => {
            Some(instant(text).map_or_else(|| folded(text), |at| Key::Time(at.as_millisecond())))
        }
        Value::String(text) => Some(folded(text)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::ResourceType;
    use crate::scim::resource::{Meta, Resource};
    use crate::types::Timestamp;

    fn sorted(by: &str, order: &str) -> Vec<&'static str> {
        let people = [
            (
                "a",
                json!({"userName": "Zoe", "title": "b", "active": true,
                         "emails": [{"value": "m@x"}, {"value": "a@x", "primary": true}]}),
            ),
            (
                "b",
                json!({"userName": "adam", "title": "B", "active": false, "emails": [{"value": "b@x"}, {"value": "0@x"}]}),
            ),
            ("c", json!({"userName": "Bert", "externalId": "b"})),
            ("d", json!({"userName": "carl", "externalId": "B", "name": {"familyName": "É"}})),
        ];
        let people = people
            .map(|(id, body)| (id, Resource::parse(ResourceType::User, body.to_string().as_bytes()).unwrap().resource));
        let subject = |index: usize| {
            let (id, resource) = &people[index];
            let created = Some(Timestamp::from_seconds([3, 1, 2, 0][index]));
            let meta = Meta { id, location: "", created, modified: None, version: None };
            Subject { kind: ResourceType::User, resource, meta }
        };
        let sort = Sort::parse(Some(by), Some(order)).unwrap().unwrap();
        let mut order: Vec<usize> = (0..4).collect();
        order.sort_by(|a, b| compare(&subject(*a), &subject(*b), &sort));
        order.into_iter().map(|index| ["a", "b", "c", "d"][index]).collect()
    }

    #[test]
    fn resources_are_ordered_as_the_schema_compares() {
        for (by, order, wanted) in [
            ("userName", "", "b c d a"),
            ("USERNAME", "Descending", "a d c b"),
            // Case counts here: "B" before "b". Those without a value come last, descending first.
            ("externalId", "ascending", "d c a b"),
            ("externalId", "descending", "a b c d"),
            ("title", "ascending", "a b c d"),
            ("active", "ascending", "b a c d"),
            ("emails", "ascending", "a b c d"),
            ("emails.value", "descending", "c d b a"),
            ("email", "ascending", "a b c d"),
            ("name.familyName", "ascending", "d a b c"),
            ("id", "descending", "d c b a"),
            ("meta.created", "ascending", "d b c a"),
            ("meta.lastModified", "ascending", "a b c d"),
        ] {
            assert_eq!(sorted(by, order).join(" "), wanted, "{by} {order}");
        }
    }

    #[test]
    fn what_cannot_be_sorted_by_is_refused() {
        for (by, order, says) in [
            ("usrName", "", "did you mean userName?"),
            ("name", "", "sort by one of them: formatted"),
            ("password", "", "never told"),
            ("a b", "", "is no attribute"),
            ("userName", "up", "use ascending or descending"),
        ] {
            let error = Sort::parse(Some(by), Some(order)).unwrap_err();
            assert!(error.status == 400 && error.detail.contains(says), "{by}: {}", error.detail);
        }
        assert_eq!(Sort::parse(None, Some("descending")), Ok(None));
    }
}
