//! How the vendors' tables are run: a row is a change, the path that is blamed, and words of the message.

use serde_json::{Map, Value};

use super::{Accepted, Dialect, path};
use crate::scim::resource::{Resource, ResourceType};

/// JSON of path to value (null: without it); the path blamed, or "" when accepted; words of the message.
pub(super) type Row = (&'static str, &'static str, &'static str);

pub(super) fn parse(body: &Value) -> Resource {
    Resource::parse(ResourceType::User, body.to_string().as_bytes()).expect("a well-formed resource").resource
}

pub(super) fn with(person: &Resource, change: &str) -> Resource {
    let change: Map<String, Value> = serde_json::from_str(change).expect("a row is JSON");
    let mut person = person.clone();
    for (name, value) in change {
        if value.is_null() {
            person.remove(&path(&name));
        } else {
            person.set(&path(&name), value);
        }
    }
    person
}

/// Creates `person` with each row's change.
pub(super) fn creates(dialect: &Dialect, person: &Resource, rows: &[Row]) {
    for row in rows {
        judge(row, &dialect.accept(None, with(person, row.0)));
    }
}

/// Changes `person`, who is there already, by each row.
pub(super) fn changes(dialect: &Dialect, person: &Resource, rows: &[Row]) {
    for row in rows {
        let after = with(person, row.0);
        judge(row, &dialect.accept(Some(person), after.clone()));
        // Whatever is wrong beside a disable, the disable goes through and what is written obeys the rules.
        let mut leaving = after;
        leaving.set(&path("active"), Value::Bool(false));
        let accepted = dialect.accept_disabling(person, leaving);
        assert_eq!(accepted.resource.active(), Some(false), "{row:?}");
        assert_eq!(accepted.violations.is_empty(), row.1.is_empty(), "{row:?}");
        let again = dialect.accept(Some(person), accepted.resource);
        assert!(again.violations.is_empty(), "{row:?}: {:?}", again.violations);
    }
}

fn judge((change, blamed, words): &Row, accepted: &Accepted) {
    let found: Vec<_> = accepted.violations.iter().map(|one| (one.path.to_string(), &one.error)).collect();
    if blamed.is_empty() {
        assert!(found.is_empty(), "{change}: {found:?}");
        return;
    }
    let Some((_, error)) = found.iter().find(|(path, _)| path == blamed) else {
        panic!("{change}: {blamed} is not blamed, but {found:?}");
    };
    assert_eq!(error.status, 400, "{change}");
    assert!(error.detail.starts_with(&format!("{blamed}: ")), "{change}: {}", error.detail);
    assert!(error.detail.contains(words), "{change}: {}", error.detail);
    let sent: Map<String, Value> = serde_json::from_str(change).expect("a row is JSON");
    for value in sent.values().filter_map(Value::as_str).filter(|value| value.len() > 3) {
        assert!(!error.detail.contains(value), "{change}: the value is in {}", error.detail);
    }
}
