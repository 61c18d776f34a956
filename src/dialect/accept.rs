//! The verdict on a wanted resource: sieve, defaults, what is required, the rules.

use serde_json::Value;

use super::{Dialect, rule};
use crate::scim::error::ScimError;
use crate::scim::path::AttrPath;
use crate::scim::resource::Resource;

/// What a dialect makes of a wanted resource.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// What to write. Attributes the dialect does not offer are as they were before.
    pub resource: Resource,
    /// Paths (never values) that were sent and are not offered.
    pub dropped: Vec<String>,
    /// Why it must not be written; empty when it may.
    pub violations: Vec<Violation>,
}

/// One reason to refuse.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The attribute to put back if the rest of the change is to be saved.
    pub path: AttrPath,
    /// What to answer: 400 `invalidValue`.
    pub error: ScimError,
}

impl Violation {
    /// `detail` says what is wrong and the way out; the path is put before it.
    pub(super) fn new(path: &AttrPath, detail: &str) -> Self {
        Self { path: path.clone(), error: ScimError::invalid_value(format!("{path}: {detail}")) }
    }
}

impl Dialect {
    /// Judges a wanted resource. `before` is the person as the directory holds them, not shaped for an answer; `None` is a
    /// create. A create must have everything required and obey every rule; a change is judged only where it differs from
    /// `before`, so that somebody who came into the directory by another door can still be changed, and disabled.
    #[must_use]
    pub fn accept(&self, before: Option<&Resource>, after: Resource) -> Accepted {
        let mut dropped = Vec::new();
        let mut resource = self.offering.sift(before, after, &mut dropped);
        if resource.active().is_none() {
            // A disable must be said: a replace that leaves `active` out keeps it.
            let active = before.map_or(Some(self.default_active), Resource::active);
            if let Some(active) = active {
                resource.set(rule::active(), Value::Bool(active));
            }
        }
        if before.is_none() {
            for (to, from) in &self.copied {
                copy(to, from, &mut resource, &dropped);
            }
        }
        let mut violations = Vec::new();
        for path in &self.required {
            let held = before.is_none_or(|before| rule::given(before, path));
            if held && !rule::given(&resource, path) {
                violations.push(rule::missing(path, &self.title));
            }
        }
        for rule in &self.rules {
            rule.check(before, &resource, &self.title, &mut violations);
        }
        Accepted { resource, dropped, violations }
    }

    /// Judges a create that takes over `existing` (linked, or revived after a DELETE): judged whole, as any create, and
    /// laid over what is there, so that attributes it does not name, or this dialect does not offer, stay.
    #[must_use]
    pub fn accept_over(&self, existing: &Resource, created: Resource) -> Accepted {
        let Accepted { resource: created, dropped, violations } = self.accept(None, created);
        let mut resource = existing.clone();
        for path in created.paths() {
            if let Some(value) = created.get(&path) {
                resource.set(&path, value.clone());
            }
        }
        Accepted { resource, dropped, violations }
    }

    /// As [`Dialect::accept`], for a change that disables the person: what would be refused is left as it was before, so
    /// that nothing stands in the way of a leaver (design decision 4). `violations` then tell what was left out.
    #[must_use]
    pub fn accept_disabling(&self, before: &Resource, after: Resource) -> Accepted {
        let mut accepted = self.accept(Some(before), after);
        let mut left_out = Vec::new();
        // Each round puts back at least one attribute that differed, and one put back is judged no more.
        for _ in 0..=self.required.len() + self.rules.len() {
            if accepted.violations.is_empty() {
                return Accepted { violations: left_out, ..accepted };
            }
            let Accepted { mut resource, dropped, violations } = accepted;
            for violation in &violations {
                match before.get(&violation.path) {
                    Some(value) => resource.set(&violation.path, value.clone()),
                    None => drop(resource.remove(&violation.path)),
                }
            }
            left_out.extend(violations);
            accepted = self.accept(Some(before), resource);
            accepted.dropped = dropped;
        }
        // A rule that still objects to what was there before must not keep a leaver in: only the disable is done.
        let mut resource = before.clone();
        resource.set(rule::active(), Value::Bool(false));
        Accepted { resource, dropped: accepted.dropped, violations: left_out }
    }

    /// A value in the spelling of the rules over its path: what to look for in the directory, which holds it so.
    #[must_use]
    pub fn spelling(&self, path: &AttrPath, value: &str) -> Option<String> {
        let mut spelt: Option<String> = None;
        for rule in self.rules.iter().filter(|rule| rule.path() == path) {
            spelt = rule.spelling(spelt.as_deref().unwrap_or(value)).or(spelt);
        }
        spelt
    }

    /// Puts what is about to be written into the spelling of the rules (NFC, numbers without their spaces), where it differs
    /// from `before`. The resource that was accepted keeps the client's spelling, which is what it reads back (question 28 of
    /// dialects.md: whatever is answered otherwise is written again for ever).
    pub fn spell(&self, before: Option<&Resource>, wanted: &mut Resource) {
        for rule in &self.rules {
            let path = rule.path();
            let changed = before.is_none_or(|before| before.get(path) != wanted.get(path));
            if let Some(spelt) = wanted.text(path).filter(|_| changed).and_then(|text| rule.spelling(text)) {
                wanted.set(path, Value::String(spelt));
            }
        }
    }

    /// Adds to a new person what the dialect gives every one, where nothing is said of it.
    pub fn complete(&self, created: &mut Resource) {
        for (path, value) in &self.on_create {
            if created.get(path).is_none() {
                created.set(path, value.clone());
            }
        }
    }

    /// Makes a person out of the directory an answer of this dialect: what is not offered is hidden, and `active` is
    /// always told (a directory that does not say lets its people in).
    pub fn shape(&self, resource: &mut Resource) {
        self.offering.narrow(resource);
        if resource.active().is_none() {
            resource.set(rule::active(), Value::Bool(true));
        }
    }
}

/// Fills `to` from `from` where nothing was sent for it.
fn copy(to: &AttrPath, from: &AttrPath, resource: &mut Resource, dropped: &[String]) {
    // Somebody who sent the value under another type meant something: they are told, not second-guessed.
    let other_type = || dropped.iter().any(|name| name.starts_with(to.attribute.as_str()));
    if rule::given(resource, to) || other_type() {
        return;
    }
    if let Some(value) = resource.text(from).map(str::to_owned) {
        resource.set(to, Value::String(value));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::path;
    use super::*;

    const PATHS: [&str; 9] = [
        "userName",
        "displayName",
        "name.givenName",
        "name.familyName",
        "name.formatted",
        r#"emails[type eq "work"].value"#,
        r#"emails[type eq "home"].value"#,
        r#"addresses[type eq "work"].country"#,
        r#"addresses[type eq "work"].region"#,
    ];

    fn person() -> impl Strategy<Value = Resource> {
        let value = prop_oneof![
            Just(None),
            prop::sample::select(vec!["ada@example.com", "b@example.com", "Ada", "a b", "US", "CA", "\u{0}", " ", "Ž"])
                .prop_map(Some),
        ];
        (prop::collection::vec(value, PATHS.len()), any::<bool>()).prop_map(|(values, active)| {
            let mut person = Resource::default();
            for (text, value) in PATHS.iter().zip(values) {
                if let Some(value) = value {
                    person.set(&path(text), Value::from(value));
                }
            }
            person.set(rule::active(), Value::Bool(active));
            person
        })
    }

    proptest! {
        #[test]
        fn nothing_keeps_a_leaver_in(before in person(), mut after in person()) {
            after.set(rule::active(), Value::Bool(false));
            for dialect in Dialect::all() {
                let accepted = dialect.accept_disabling(&before, after.clone());
                prop_assert_eq!(accepted.resource.active(), Some(false));
                let again = dialect.accept(Some(&before), accepted.resource);
                prop_assert!(again.violations.is_empty(), "{}: {:?}", dialect.name, again.violations);
            }
        }

        #[test]
        fn only_what_is_offered_goes_in_or_out(before in person(), after in person()) {
            for dialect in Dialect::all() {
                let created = dialect.accept(None, after.clone()).resource;
                let mut answer = before.clone();
                dialect.shape(&mut answer);
                for path in created.paths().iter().chain(&answer.paths()) {
                    prop_assert!(dialect.offers(path), "{}: {path}", dialect.name);
                }
                let changed = dialect.accept(Some(&before), after.clone()).resource;
                for path in before.paths().iter().filter(|path| !dialect.offers(path)) {
                    prop_assert_eq!(changed.get(path), before.get(path), "{}: {}", dialect.name, path);
                }
            }
        }
    }
}
